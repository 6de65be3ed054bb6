//! Random sets and requests: casbin, which `Policies::check` asks, must never see anything otherwise.

use blockhouse_authz::{File, Files, Mode, Policies};
use proptest::prelude::*;

fn rule() -> impl Strategy<Value = String> {
    let subject = prop::sample::select(vec![
        "*",
        "*",
        "anonymous",
        "user:a",
        "user:a",
        "plugin:p",
        "role:r1",
        "role:r2",
        "role:r3",
    ]);
    let tenant = prop::sample::select(vec!["*", "*", "default", "t1"]);
    let resource = prop::sample::select(vec![
        "*",
        "Topic:*",
        "Topic:a*",
        "Topic:a*",
        "Topic:ab*",
        "Topic:ab*",
        "Topic:abc*",
        "Topic:ab",
        "Topic:abc",
        "Topic:é*",
        "Topic:a%*",
        "Topic:ab%c",
        "Topic:%DLQ%a*",
        "Group:ab%*",
        "Namespace:*",
        "Namespace:a*",
        "Namespace:a",
        "Namespace:ab",
        "Plugin:a*",
        "Plugin:ab",
        "Group:*",
        "Group:a",
        "Cluster:*",
        "plugin:*",
    ]);
    let actions =
        prop::sample::select(vec!["Pub", "Pub", "Sub", "Get", "Pub|Sub", "Update|Get", "All"]);
    let condition = prop::sample::select(vec![
        "-",
        "-",
        "-",
        "-",
        "ip=10.0.0.0/9|127.0.0.1",
        "ip=fe80::/10",
        "ip=0.0.0.0/0",
        "time=22:30-05:00",
        "time=00:00-12:00|13:00-24:00",
        "day=fri-mon",
        "day=tue|thu-fri;chan=plain",
        "chan=tls;ip=::1",
        "chan=plain|mtls",
    ]);
    let effect = prop::sample::select(vec!["allow", "allow", "deny"]);
    (subject, tenant, resource, actions, condition, effect)
        .prop_map(|(s, t, r, a, c, e)| format!("p, {s}, {t}, {r}, {a}, {c}, {e}\n"))
}

/// Of messages: they are for topics, and `Pub` alone.
fn message_rule() -> impl Strategy<Value = String> {
    let subject = prop::sample::select(vec!["*", "anonymous", "user:a", "role:r1", "role:r2"]);
    let tenant = prop::sample::select(vec!["*", "*", "t1"]);
    let resource =
        prop::sample::select(vec!["Topic:*", "Topic:a*", "Topic:ab*", "Topic:ab", "topic:abc"]);
    let condition = prop::sample::select(vec![
        "size<=10",
        "size>=11",
        "size>=2;size<=100;chan=plain",
        "mtype=normal",
        "mtype=delay|transaction;size<=10",
        "tag=a",
        "ip=10.0.0.0/9|127.0.0.1;tag=a|b",
        "tag=b;mtype=fifo|normal;day=fri-mon",
    ]);
    let effect = prop::sample::select(vec!["allow", "allow", "deny"]);
    (subject, tenant, resource, condition, effect)
        .prop_map(|(s, t, r, c, e)| format!("p, {s}, {t}, {r}, Pub, {c}, {e}\n"))
}

/// No role has itself through others, or most sets would be refused for that.
fn grant() -> impl Strategy<Value = String> {
    let pair = prop::sample::select(vec![
        "anonymous, role:r1",
        "anonymous, role:r3",
        "user:a, role:r1",
        "user:a, role:r2",
        "user:b, role:r1",
        "plugin:p, role:r2",
        "role:r1, role:r2",
        "role:r2, role:r3",
    ]);
    let tenant = prop::sample::select(vec!["default", "t1", "t2"]);
    (pair, tenant).prop_map(|(pair, tenant)| format!("g, {pair}, {tenant}\n"))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 192, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn casbin_and_the_index_never_part(
        rules in prop::collection::vec(prop_oneof![2 => rule(), 1 => message_rule()], 1..16),
        grants in prop::collection::vec(grant(), 0..6),
        home in prop::sample::select(vec!["", "g2, user:a, t1\n", "g2, user:a, t2\ng2, plugin:p, t1\n"]),
        acl2: bool,
    ) {
        let text = [rules.concat(), grants.concat(), home.to_owned()].concat();
        let mode = if acl2 { Mode::Acl2 } else { Mode::DenyOverride };
        let files = Files::new(vec![File { name: "a.csv".into(), text: text.clone() }]).unwrap();
        match Policies::check(&files, mode) {
            Ok(set) => prop_assert!(set.compared() > 0),
            // Sets that cannot be meant come up as well.
            Err(refused) => prop_assert!(!refused.to_string().contains("casbin"), "{refused}\n{text}"),
        }
    }
}
