//! How long decisions of a large set take: `cargo run --release -p blockhouse-authz --example decisions -- 10000`.

#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "it prints what it has measured")]
#![expect(clippy::disallowed_methods, reason = "what is measured is real time")]

use std::fmt::Write as _;
use std::hint::black_box;
use std::time::Instant;

use blockhouse_authz::{Circumstances, File, Files, Mode, Policies, Question};

const ASKED: usize = 200_000;

/// A tenth of the rules are for prefixes; each user has three roles of a hundredth of them.
fn set(rules: usize) -> Files {
    let mut text = String::new();
    let roles = (rules / 100).max(1);
    for i in 0..rules {
        let star = if i % 10 == 0 { "*" } else { "" };
        let effect = if i % 50 == 7 { "deny" } else { "allow" };
        let role = i % roles;
        writeln!(
            text,
            "p, role:r{role}, *, Topic:team-{}-orders-{i}{star}, Pub, -, {effect}",
            i % 977
        )
        .unwrap();
    }
    for user in 0..roles {
        for role in 0..3 {
            writeln!(text, "g, user:u{user}, role:r{}, default", (user + role * 7) % roles)
                .unwrap();
        }
    }
    let mut lines: Vec<&str> = text.lines().collect();
    lines.sort_unstable();
    lines.dedup();
    let text = lines.join("\n") + "\n";
    Files::new(vec![File { name: "a.csv".into(), text }]).unwrap()
}

fn main() {
    let rules: usize = std::env::args().nth(1).and_then(|n| n.parse().ok()).unwrap_or(10_000);
    let files = set(rules);
    let begin = Instant::now();
    let set = Policies::load(&files, Mode::DenyOverride).unwrap();
    println!(
        "{rules} rules: loaded in {:?}, {} decisions of casbin",
        begin.elapsed(),
        set.compared()
    );
    let roles = (rules / 100).max(1);
    let asked: Vec<(String, String)> = (0..ASKED)
        .map(|i| {
            let rule = i.wrapping_mul(2_654_435_761) % rules;
            let user = if i % 2 == 0 { rule % roles } else { i % roles };
            (format!("user:u{user}"), format!("Topic:team-{}-orders-{rule}", rule % 977))
        })
        .collect();
    let (at, mut allowed) = (Circumstances::default(), 0_usize);
    let mut times = Vec::with_capacity(ASKED);
    for (principal, resource) in &asked {
        let (who, ask) = Question { principal, action: "Pub", resource }.read().unwrap();
        let begin = Instant::now();
        let decision = black_box(set.index().decide(black_box(who), black_box(&ask), &at));
        times.push(begin.elapsed().as_nanos());
        allowed += usize::from(decision.allowed);
    }
    times.sort_unstable();
    let part = |percent: usize| times[(times.len() * percent / 1_000).min(times.len() - 1)];
    println!(
        "{ASKED} decisions, {allowed} allowed: p50 {} ns, p99 {} ns, p99.9 {} ns",
        part(500),
        part(990),
        part(999)
    );
}
