//! The plugin calls of single requests, for who asks.

use std::time::Duration;

use blockhouse_hook::{Ack, Decision, Verdict};
use blockhouse_host::{Host, Interface, Mode, TraceRequest, Traced};
use blockhouse_model::{Access, Action, QueueId, QueueOffset, RequestContext, Resource};

use super::rig::{Shelf, binding, component, draft, request};

fn wanted(count: usize) -> TraceRequest {
    TraceRequest { count, seconds: 600, ..TraceRequest::default() }
}

/// Two bindings of the sample: one that guards, one that only watches what is sent.
fn two() -> (Shelf, Host) {
    let shelf = Shelf::new();
    let digest = shelf.put(&component("conformance"));
    let rules = r#"{"deny_principals": ["eve"], "set_property": {"tenant": "secret"}, "replace": {"x": "long"}}"#;
    let mut guard = binding(&digest, rules);
    guard.hooks = vec![Interface::Authorize, Interface::BeforeSend, Interface::Ack];
    guard.order = 1;
    let rules = r#"{"reject_body": "nothing"}"#;
    let mut watch = binding(&digest, rules);
    watch.name = "watch".to_owned();
    watch.hooks = vec![Interface::BeforeSend];
    watch.mode = Mode::Shadow;
    watch.order = 2;
    let host = shelf.start(vec![guard, watch]).unwrap().unwrap();
    (shelf, host)
}

fn numbered(number: u64, user: &str) -> RequestContext {
    RequestContext { request: number, ..request(Some(user)) }
}

fn authorized(shelf: &Shelf, cx: &RequestContext, topic: &str) -> bool {
    let accesses = [Access { action: Action::Pub, resource: Resource::Topic(topic) }];
    shelf.hooks.load().authorize(cx, &accesses) == Verdict::Continue
}

/// What was recorded of one trace, once its requests count as done.
fn read(shelf: &Shelf, host: &Host, trace: u64) -> Traced {
    shelf.clock.advance(Duration::from_secs(1));
    host.traced(trace, 0).unwrap()
}

#[test]
fn a_request_is_shown_with_all_of_its_calls_in_order() {
    let (shelf, host) = two();
    let only = TraceRequest { topic: Some("orders".to_owned()), ..wanted(1) };
    let trace = host.trace(only).unwrap();
    let (other, ann) = (numbered(4, "ann"), numbered(5, "ann"));
    assert!(authorized(&shelf, &other, "others") && authorized(&shelf, &ann, "orders"));
    let mut drafts = [draft("orders", "x"), draft("orders", "y")];
    shelf.hooks.load().before_send(&ann, &mut drafts);
    assert_eq!(drafts[0].decision, Decision::Admit);

    let traced = read(&shelf, &host, trace);
    assert!(traced.ended);
    assert_eq!(traced.requests.len(), 1);
    let shown = &traced.requests[0];
    assert_eq!((shown.number, shown.code, shown.principal.as_str()), (5, 310, "ann"));
    assert_eq!((shown.connection, shown.peer.to_string()), (7, "10.1.2.3:4567".to_owned()));
    let calls: Vec<_> =
        shown.calls.iter().map(|c| (c.hook, &*c.plugin, c.mode, c.messages, c.decision)).collect();
    let expected = [
        ("authorize", "sample", "enforce", 1, "continue"),
        ("before-send", "sample", "enforce", 2, "change"),
        ("before-send", "watch", "shadow", 2, "continue"),
    ];
    assert_eq!(calls, expected);
    assert_eq!(shown.nanoseconds, shown.calls.iter().map(|call| call.nanoseconds).sum::<u64>());
    assert_eq!(
        shown.calls[1].changes,
        ["message 0: body of 4 bytes, was 1: sets tenant", "message 1: sets tenant"]
    );
    let all = serde_json::to_string(&traced).unwrap();
    assert!(!all.contains("secret") && !all.contains("long"), "a value or a body: {all}");
    host.close();
}

#[test]
fn refusals_and_queued_calls_are_shown_too() {
    let (shelf, host) = two();
    let trace =
        host.trace(TraceRequest { principal: Some("eve".to_owned()), ..wanted(2) }).unwrap();
    assert!(authorized(&shelf, &numbered(1, "ann"), "orders"));
    assert!(!authorized(&shelf, &numbered(2, "eve"), "orders"));
    let ack = Ack { group: "g", topic: "t", queue: QueueId(0), offset: QueueOffset(1) };
    shelf.hooks.load().ack(&numbered(3, "eve"), &ack);
    // Ends when the queue is empty.
    host.close();
    let traced = read(&shelf, &host, trace);
    let requests: Vec<_> = traced.requests.iter().map(|r| (r.number, &r.calls[0])).collect();
    assert_eq!((requests.len(), requests[0].0, requests[1].0), (2, 2, 3));
    assert_eq!(
        (requests[0].1.decision, requests[0].1.topics.as_slice()),
        ("refuse", &["orders".to_owned()][..])
    );
    assert!(!requests[0].1.reason.is_empty());
    let acked = requests[1].1;
    assert_eq!((acked.hook, acked.groups.as_slice()), ("ack", &["g".to_owned()][..]));
}

#[test]
fn a_plugin_that_is_not_there_cannot_be_traced() {
    let (_shelf, host) = two();
    let only = |name: &str| TraceRequest { plugin: Some(name.to_owned()), ..wanted(1) };
    assert_eq!(host.trace(only("nobody")).unwrap_err().kind(), "unknown");
    let (first, second) = (host.trace(only("watch")).unwrap(), host.trace(wanted(1)).unwrap());
    assert!(host.traced(first, 0).is_none(), "the second took its place");
    assert!(!host.traced(second, 0).unwrap().ended);
    host.close();
}
