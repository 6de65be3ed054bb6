//! What a plugin costs that does nothing, and what one costs that misbehaves.
//!
//! `cargo bench -p blockhouse-host` runs everything; a word after `--` picks (`-- send`). Calls go the
//! way of a request: through the chain, with deadline, breaker, counting, and the check of the answer.
#![expect(clippy::expect_used, reason = "a measurement that cannot be made has nothing to say")]
#![expect(clippy::disallowed_methods, reason = "it measures real time")]
#![expect(clippy::print_stdout, reason = "what criterion has no form for")]

#[path = "../tests/host/rig.rs"]
#[expect(
    dead_code,
    clippy::panic,
    clippy::unwrap_used,
    reason = "it is the tests' own, and they use more of it"
)]
mod rig;

use std::time::{Duration, Instant};

use blockhouse_hook::{Delivery, Draft, HookChain, Outbound};
use blockhouse_host::Host;
use blockhouse_model::{QueueId, QueueOffset};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};

use rig::{Shelf, binding, component, draft, request};

fn bound(package: &str, config: &str, deadline_ms: u32) -> (Host, HookChain, Shelf) {
    let shelf = Shelf::new();
    let digest = shelf.put(&component(package));
    let mut binding = binding(&digest, config);
    binding.deadline_ms = Some(deadline_ms);
    let host = shelf.start(vec![binding]).expect("it loads").expect("there is a binding");
    let chain = HookChain::new(&host.hooks());
    (host, chain, shelf)
}

/// Before send: metadata only, and with bodies of 1 KiB.
fn send(c: &mut Criterion) {
    let body = "x".repeat(1 << 10);
    let cx = request(None);
    let mut group = c.benchmark_group("before-send");
    for bodies in ["none", "flat", "lent"] {
        let (host, chain, _shelf) = bound("noop", &format!(r#"{{"bodies": "{bodies}"}}"#), 50);
        for count in [1, 32] {
            let mut drafts: Vec<Draft<'_>> = (0..count).map(|_| draft("orders", &body)).collect();
            group.throughput(Throughput::Elements(count));
            group.bench_function(format!("{bodies}, {count} x 1 KiB"), |b| {
                b.iter(|| chain.before_send(&cx, &mut drafts));
            });
        }
        well(&host);
        host.close();
    }
    group.finish();
}

/// On a machine that does other things calls miss their deadline, and what is measured is a breaker.
fn well(host: &Host) {
    let status = host.status();
    assert!(
        status[0].hooks.iter().all(|hook| hook.failures.is_empty()),
        "calls failed: {status:?}"
    );
}

/// Before deliver: 32 messages.
fn deliver(c: &mut Criterion) {
    let body = vec![b'x'; 1 << 10];
    let cx = request(None);
    let delivery = Delivery { group: "g", topic: "orders", queue: QueueId(0) };
    let mut group = c.benchmark_group("before-deliver");
    group.throughput(Throughput::Elements(32));
    for bodies in ["none", "flat"] {
        let (host, chain, _shelf) = bound("noop", &format!(r#"{{"bodies": "{bodies}"}}"#), 50);
        let mut messages: Vec<Outbound<'_>> = (0..32)
            .map(|n| Outbound {
                queue_offset: QueueOffset(n),
                properties: "TAGS\u{1}red\u{2}",
                stored_body: &body,
                body: None,
                keep: true,
            })
            .collect();
        group.bench_function(format!("{bodies}, 32 x 1 KiB"), |b| {
            b.iter(|| chain.before_deliver(&cx, &delivery, &mut messages));
        });
        well(&host);
        host.close();
    }
    group.finish();
}

/// No plugin: what every burst pays for asking whether there is one.
fn none(c: &mut Criterion) {
    let chain = HookChain::new(&[]);
    let (cx, body) = (request(None), "x".repeat(1 << 10));
    let mut drafts: Vec<Draft<'_>> = (0..32).map(|_| draft("orders", &body)).collect();
    c.bench_function("no plugin, 32 x 1 KiB", |b| b.iter(|| chain.before_send(&cx, &mut drafts)));
}

fn quantiles(what: &str, mut took: Vec<Duration>) {
    took.sort_unstable();
    let at = |part: usize| took.get(took.len() * part / 100).copied().unwrap_or_default();
    let max = took.last().copied().unwrap_or_default();
    println!("{what}: p50 {:?}, p99 {:?}, max {max:?}", at(50), at(99));
}

/// Instances that fail: what the request pays, and what the next one does.
fn fail(_: &mut Criterion) {
    let cx = request(None);
    let rules = |fault| {
        format!(
            r#"{{"faults": {{"before-send": "{fault}"}}, "fault_on": "bad", "bodies": "flat"}}"#
        )
    };
    let timed = |chain: &HookChain, body: &str| {
        let mut drafts = [draft("orders", body)];
        let begun = Instant::now();
        chain.before_send(&cx, &mut drafts);
        begun.elapsed()
    };
    let (mut stopped, mut trapped, mut after, mut plain) = (vec![], vec![], vec![], vec![]);
    for _ in 0..25 {
        // Four failures of a host: the fifth would open the breaker.
        let (host, chain, _shelf) = bound("conformance", &rules("loop"), 5);
        stopped.extend((0..4).map(|_| timed(&chain, "bad")));
        host.close();
        let (host, chain, _shelf) = bound("conformance", &rules("trap"), 5);
        for _ in 0..4 {
            for _ in 0..50 {
                timed(&chain, "good");
            }
            plain.push(timed(&chain, "good"));
            trapped.push(timed(&chain, "bad"));
            after.push(timed(&chain, "good"));
            std::thread::park_timeout(Duration::from_millis(5));
        }
        host.close();
    }
    quantiles("endless loop, deadline 5 ms, until stopped", stopped);
    quantiles("call that goes well", plain);
    quantiles("call that traps, its instance given away", trapped);
    quantiles("first call after it, on the spare", after);
}

/// A host with one plugin: read, checked, made code, first instance up. First a component that was
/// never seen, then one whose code is in the cache; and what a host takes that has none, which is in both.
fn deploy(_: &mut Criterion) {
    let start = |shelf: &Shelf, bindings| {
        let begun = Instant::now();
        let host = shelf.start(bindings).expect("it starts").expect("there is one");
        let took = begun.elapsed();
        host.close();
        (took, host.code())
    };
    let timed = |shelf: &Shelf, digest: &str| start(shelf, vec![binding(digest, "{}")]);
    let alone = (0..100).map(|_| start(&Shelf::new(), Vec::new()).0).collect();
    quantiles("a host without plugins", alone);
    for package in ["noop", "conformance"] {
        let (mut new, mut kept) = (vec![], vec![]);
        for _ in 0..20 {
            let shelf = Shelf::new();
            let digest = shelf.put(&component(package));
            new.push(timed(&shelf, &digest).0);
            for _ in 0..5 {
                let (took, code) = timed(&shelf, &digest);
                assert_eq!((code.cached, code.compiled), (1, 0), "the cache did not serve");
                kept.push(took);
            }
        }
        quantiles(&format!("{package}: load of a new plugin"), new);
        quantiles(&format!("{package}: load of a plugin out of the cache"), kept);
    }
}

criterion_group!(benches, none, send, deliver, fail, deploy);
criterion_main!(benches);
