//! A guest may do what it likes: the host goes on, and a hook that is to fail closed does.

use std::time::{Duration, Instant};

use blockhouse_hook::{Decision, Verdict};
use blockhouse_host::{Binding, OnFailure};
use blockhouse_model::{Access, Action, Resource};

use super::rig::{Sample, request, sent};

fn rejected(sample: &Sample, body: &str) -> bool {
    matches!(sent(&sample.chain, &[body])[0].0, Decision::Reject(_))
}

/// The sample with a fault in before-send where the body says `bad`.
fn with(fault: &str, change: impl FnOnce(&mut Binding)) -> Sample {
    let rules = format!(r#"{{"faults": {{"before-send": "{fault}"}}, "fault_on": "bad"}}"#);
    Sample::with(&rules, change)
}

#[test]
fn whatever_goes_wrong_nothing_gets_through() {
    for (fault, kind) in [
        ("trap", "trap"),
        ("loop", "deadline"),
        ("grow", "trap"),
        ("recurse", "trap"),
        // More bytes than a call may copy.
        ("oversized", "trap"),
        ("index_beyond", "answer"),
        ("index_twice", "answer"),
        ("illegal_name", "answer"),
        ("empty_name", "answer"),
        ("illegal_topic", "answer"),
        ("too_many_edits", "answer"),
    ] {
        // What fails of itself has time to, on a busy machine as well.
        let deadline_ms = if kind == "deadline" { 20 } else { 50 };
        let sample = with(fault, |binding| binding.deadline_ms = Some(deadline_ms));
        assert!(rejected(&sample, "bad"), "{fault}");
        assert_eq!(sample.failures("before-send"), [(kind, 1)], "{fault}");
        // The next call finds an instance that knows nothing of the one before.
        assert!(!rejected(&sample, "good"), "{fault}");
    }
}

#[test]
fn what_fails_open_is_stored_as_it_was() {
    let sample = with("trap", |binding| binding.on_failure = Some(OnFailure::Open));
    let (decision, body, properties) = sent(&sample.chain, &["bad"]).remove(0);
    assert_eq!((decision, &*body), (Decision::Admit, &b"bad"[..]));
    assert_eq!(properties, "TAGS\u{1}red\u{2}");
    assert_eq!(sample.failures("before-send"), [("trap", 1)]);
}

#[test]
fn an_endless_loop_is_stopped_in_time() {
    let sample = with("loop", |binding| binding.deadline_ms = Some(5));
    #[expect(clippy::disallowed_methods, reason = "it is about real time")]
    let begun = Instant::now();
    assert!(rejected(&sample, "bad"));
    // The bound is for a machine that does other things; the benchmark has the real figure.
    assert!(begun.elapsed() < Duration::from_secs(1));
    assert!(begun.elapsed() >= Duration::from_millis(5), "it had its time");
}

#[test]
fn host_calls_without_end_cost_the_guest_its_time_only() {
    let sample = with("host_calls", |binding| binding.deadline_ms = Some(5));
    assert!(rejected(&sample, "bad"), "it calls and calls");
    assert_eq!(sample.failures("before-send"), [("deadline", 1)]);
    assert!(!rejected(&sample, "good"));
    let sample = with("log_flood", |_| {});
    assert!(rejected(&sample, "bad"), "more bytes than a call may copy");
    assert!(!rejected(&sample, "good"));
}

#[test]
fn an_instance_that_takes_more_and_more_memory_is_replaced_before_it_fails() {
    let sample = Sample::with(r#"{"keep_kib": 1024}"#, |binding| binding.memory_mib = 16);
    for n in 0..100 {
        assert!(!rejected(&sample, "good"), "message {n}");
    }
    assert_eq!(sample.failures("before-send"), []);
}

#[test]
fn the_breaker_leaves_alone_what_keeps_failing() {
    let sample = with("trap", |_| {});
    // On a busy machine five calls can take longer than failures count together.
    sample.shelf.clock.stand_still();
    (0..5).for_each(|_| assert!(rejected(&sample, "bad")));
    assert!(sample.host.status()[0].breaker_open, "{:?}", sample.failures("before-send"));
    assert!(rejected(&sample, "good"), "an open breaker is a failed call");
    assert_eq!(sample.failures("before-send"), [("open", 1), ("trap", 5)]);
}

#[test]
fn a_security_plugin_that_panics_on_its_thousandth_call_lets_nothing_through() {
    let rules = r#"{"faults": {"authorize": "trap"}, "fault_after": 999,
                    "deny_principals": ["eve"]}"#;
    let sample = Sample::with(rules, |_| {});
    let accesses = [Access { action: Action::Pub, resource: Resource::Topic("orders") }];
    let ask = |user| sample.chain.authorize(&request(Some(user)), &accesses);
    for n in 0..3_000 {
        assert!(matches!(ask("eve"), Verdict::Reject(_)), "call {n}");
    }
    assert_ne!(sample.failures("authorize"), []);
}

#[test]
fn a_fault_in_shadow_mode_changes_nothing() {
    let sample = with("trap", |binding| binding.mode = blockhouse_host::Mode::Shadow);
    assert!(!rejected(&sample, "bad"));
    assert_eq!(sample.failures("before-send"), [("trap", 1)]);
}

#[test]
fn illegal_answers_at_other_hooks() {
    let rules = r#"{"faults": {"route-query": "index_twice", "before-deliver": "mask_length"}}"#;
    let sample = Sample::new(rules);
    let mut route = vec![blockhouse_hook::RouteEntry {
        broker: "a".to_owned(),
        read_queues: 1,
        write_queues: 1,
    }];
    let verdict = sample.chain.route_query(&request(None), "orders", &mut route);
    assert_eq!((verdict, route.len()), (Verdict::Continue, 1), "routes fail open");
    assert_eq!(sample.failures("route-query"), [("answer", 1)]);

    let delivery = blockhouse_hook::Delivery {
        group: "g",
        topic: "orders",
        queue: blockhouse_model::QueueId(0),
    };
    let mut messages = [blockhouse_hook::Outbound {
        queue_offset: blockhouse_model::QueueOffset(0),
        properties: "",
        stored_body: b"body",
        body: None,
        keep: true,
    }];
    let verdict = sample.chain.before_deliver(&request(None), &delivery, &mut messages);
    assert!(matches!(verdict, Verdict::Reject(_)), "deliveries fail closed");
}
