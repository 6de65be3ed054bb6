//! The points beside the data path: spans that are enriched, and decisions that are told.

use std::sync::Arc;

use blockhouse_hook::{
    AdminCommand, Appended, Attribute, AuditEvent, Hook, HookChain, Point, Points, SpanRecord,
    Verdict,
};
use blockhouse_host::{Binding, Interface, Mode, OnFailure};
use blockhouse_model::{
    Access, Action, MessageId, PhysicalOffset, QueueId, QueueOffset, Resource, TraceParent,
};
use parking_lot::Mutex;

use super::rig::{Sample, Shelf, binding, component, request, sent};

pub(crate) fn span(properties: &str) -> SpanRecord {
    let id = TraceParent { trace_id: 7, span_id: 9, sampled: true };
    let own = vec![Attribute { name: "topic".to_owned(), value: "orders".to_owned() }];
    let mut span = SpanRecord::new("send".to_owned(), id, ([10, 1, 2, 3], 1).into(), own);
    properties.clone_into(&mut span.properties);
    span
}

fn names(span: &SpanRecord) -> Vec<&str> {
    span.attributes().iter().map(|attribute| attribute.name.as_str()).collect()
}

const TENANT: &str = r#"{"span_attributes": {"tenant.id": "TENANT", "topic": "TENANT"}}"#;

#[test]
fn a_span_gets_what_its_message_says_and_keeps_what_it_has() {
    let sample = Sample::new(TENANT);
    let mut spans = [span("TENANT\u{1}a\u{2}"), span("")];
    sample.chain.enrich_span(&mut spans);
    assert_eq!(names(&spans[0]), ["topic", "tenant.id"]);
    assert_eq!(spans[0].attributes()[0].value, "orders", "the node's own stands");
    assert_eq!((names(&spans[1]), spans[0].dropped()), (vec!["topic"], 1));
    let hook = |sample: &Sample| sample.hook("enrich-span");
    assert_eq!((hook(&sample).messages, hook(&sample).lost), (2, 1));
}

#[test]
fn a_shadow_and_a_failure_add_nothing() {
    let shadow = Sample::with(TENANT, |binding| binding.mode = Mode::Shadow);
    let mut spans = [span("TENANT\u{1}a\u{2}")];
    shadow.chain.enrich_span(&mut spans);
    assert_eq!((names(&spans[0]), shadow.objections("enrich-span")), (vec!["topic"], 1));
    for (fault, kind) in [
        ("trap", "trap"),
        ("index_beyond", "answer"),
        ("index_twice", "answer"),
        ("oversized", "trap"),
        // More bytes than an answer may have.
        ("too_many_edits", "answer"),
    ] {
        let rules = format!(r#"{{"faults": {{"enrich-span": "{fault}"}}}}"#);
        let sample = Sample::new(&rules);
        let mut spans = [span("TENANT\u{1}a\u{2}")];
        sample.chain.enrich_span(&mut spans);
        assert_eq!(names(&spans[0]), ["topic"], "{fault}");
        assert_eq!(sample.failures("enrich-span"), [(kind, 1)], "{fault}");
    }
    let sample = Sample::new(r#"{"faults": {"enrich-span": "illegal_name"}}"#);
    let mut spans = [span("")];
    sample.chain.enrich_span(&mut spans);
    assert_eq!((names(&spans[0]), spans[0].dropped()), (vec!["topic"], 1));
    assert_eq!(sample.failures("enrich-span"), [], "dropped, and no failure");
}

fn appended(offset: u64) -> Appended<'static> {
    let id = MessageId { host: ([127, 0, 0, 1], 1).into(), offset: PhysicalOffset(offset) };
    let (queue, queue_offset) = (QueueId(0), QueueOffset(offset));
    Appended { topic: "orders", queue, queue_offset, id, body_len: 1, properties: "" }
}

#[test]
fn a_burst_is_told_in_calls_that_are_not_too_large() {
    let sample = Sample::new(r#"{"batch_max": 3}"#);
    let burst: Vec<_> = (0..10).map(appended).collect();
    sample.chain.after_append(&request(None), &burst);
    sample.host.close();
    let hook = sample.hook("after-append");
    assert_eq!((hook.calls, hook.messages, hook.lost), (4, 10, 0));
}

#[test]
fn a_plugin_that_loops_keeps_no_other_from_being_told() {
    let shelf = Shelf::new();
    let digest = shelf.put(&component("conformance"));
    let bound = |name: &str, rules: &str| {
        let mut bound = binding(&digest, rules);
        name.clone_into(&mut bound.name);
        bound.hooks = vec![Interface::AfterAppend, Interface::AuditSink];
        bound.deadline_ms = Some(4_000);
        bound
    };
    let loops = r#"{"faults": {"after-append": "loop", "audit": "loop"}}"#;
    let both = vec![bound("a-loops", loops), bound("b-goes-on", "{}")];
    let host = shelf.start(both).unwrap().unwrap();
    let chain = HookChain::new(&host.hooks()).audited(&shelf.auditor);
    chain.after_append(&request(None), &[appended(0)]);
    let command = AdminCommand { name: "DELETE_TOPIC_IN_BROKER", target: "orders" };
    assert_eq!(chain.admin_command(&request(None), &command), Verdict::Continue);
    let calls = |plugin: usize| host.status()[plugin].hooks.iter().map(|h| h.calls).collect();
    let (mut other, mut first): (Vec<u64>, Vec<u64>) = (calls(1), calls(0));
    while other != [1, 1] {
        std::thread::yield_now();
        (other, first) = (calls(1), calls(0));
    }
    assert_eq!(first, [0, 0], "its first call is not over");
    host.close();
}

/// The sample at its audit sink only, and another one that decides.
fn watched(rules: &str, decides: &str, change: impl FnOnce(&mut [Binding; 2])) -> Watched {
    let shelf = Shelf::new();
    let digest = shelf.put(&component("conformance"));
    let mut both = [binding(&digest, decides), binding(&digest, rules)];
    both[1].name = "audit".to_owned();
    both[1].hooks = vec![Interface::AuditSink];
    both[1].deadline_ms = Some(5_000);
    both[0].hooks = vec![Interface::Authorize, Interface::BeforeSend];
    change(&mut both);
    let host = shelf.start(both.to_vec()).unwrap().unwrap();
    let chain = HookChain::new(&host.hooks()).audited(&shelf.auditor);
    Watched { host, chain, _shelf: shelf }
}

struct Watched {
    host: blockhouse_host::Host,
    chain: HookChain,
    _shelf: Shelf,
}

impl Watched {
    /// Events that were taken, calls that failed, and events that were lost.
    fn audited(&self) -> (u64, Vec<(&'static str, u64)>, u64) {
        let status = self.host.status();
        let audit = status.iter().find(|plugin| plugin.name == "audit").unwrap();
        let hook = &audit.hooks[0];
        (hook.messages, hook.failures.clone().into_iter().collect(), hook.lost)
    }
}

fn refused(chain: &HookChain) {
    let accesses = [Access { action: Action::Pub, resource: Resource::Topic("orders") }];
    assert!(matches!(chain.authorize(&request(Some("eve")), &accesses), Verdict::Reject(_)));
}

const DENY: &str = r#"{"deny_principals": ["eve"], "reject_body": "poison"}"#;

#[test]
fn decisions_reach_the_sink_before_the_stop() {
    let watched = watched("{}", DENY, |_| {});
    refused(&watched.chain);
    sent(&watched.chain, &["fine", "poison", "fine"]);
    watched.host.close();
    assert_eq!(watched.audited(), (2, vec![], 0), "what is admitted makes no event");
}

#[test]
fn what_is_out_of_scope_is_not_told() {
    let watched = watched("{}", DENY, |both| both[1].principals = vec!["ann".to_owned()]);
    refused(&watched.chain);
    sent(&watched.chain, &["poison"]);
    watched.host.close();
    assert_eq!(watched.audited(), (1, vec![], 0));
}

#[test]
fn what_a_sink_does_not_take_is_offered_again() {
    let rules = r#"{"faults": {"audit": "error"}, "fault_on": "Pub"}"#;
    let watched = watched(rules, DENY, |_| {});
    refused(&watched.chain);
    watched.host.close();
    let (messages, failures, lost) = watched.audited();
    assert!(messages >= 2, "offered once, and once more at the stop");
    assert_eq!(failures.iter().map(|(kind, _)| *kind).collect::<Vec<_>>(), ["refused"]);
    assert_eq!(lost, 1, "then it is counted as lost");
}

#[test]
fn a_sink_that_fails_is_not_told_of_it() {
    let rules = r#"{"faults": {"audit": "trap"}}"#;
    let watched = watched(rules, DENY, |_| {});
    for _ in 0..10 {
        refused(&watched.chain);
    }
    watched.host.close();
    let (_, failures, lost) = watched.audited();
    assert!(failures.iter().any(|(kind, _)| *kind == "trap"), "{failures:?}");
    assert_eq!(lost, 10, "only what others decided");
}

#[test]
fn a_full_queue_keeps_commands_out_if_the_binding_says_so() {
    let rules = r#"{"faults": {"audit": "error"}}"#;
    let watched = watched(rules, DENY, |both| both[1].on_failure = Some(OnFailure::Closed));
    let command = AdminCommand { name: "DELETE_TOPIC_IN_BROKER", target: "orders" };
    let ask = || watched.chain.admin_command(&request(None), &command);
    assert_eq!(ask(), Verdict::Continue);
    for _ in 0..10_000 {
        refused(&watched.chain);
    }
    assert!(matches!(ask(), Verdict::Reject(_)), "it would not be told");
    let (_, _, lost) = watched.audited();
    assert!(lost >= 10_000 - 8_192 - 1, "{lost}");
}

/// A native sink.
#[derive(Default)]
struct Seen(Mutex<Vec<AuditEvent>>);

impl Hook for Seen {
    fn name(&self) -> &'static str {
        "seen"
    }
    fn points(&self) -> Points {
        Points::NONE.with(Point::AuditSink)
    }
    fn audit(&self, events: &[AuditEvent]) {
        self.0.lock().extend_from_slice(events);
    }
}

/// What a native sink is told of the sample, as outcome, who decided, whether it only watched, and why.
fn told(rules: &str, change: impl FnOnce(&mut Binding), ask: impl Fn(&HookChain)) -> Vec<String> {
    let (seen, shelf) = (Arc::new(Seen::default()), Shelf::new());
    let mut bound = binding(&shelf.put(&component("conformance")), rules);
    bound.hooks = vec![Interface::Authorize, Interface::BeforeSend];
    change(&mut bound);
    let host = shelf.start(vec![bound]).unwrap().unwrap();
    let mut hooks = host.hooks();
    hooks.push(Arc::clone(&seen) as _);
    ask(&HookChain::new(&hooks).audited(&shelf.auditor));
    host.close();
    let line = |event: &AuditEvent| {
        let AuditEvent { outcome, resource, shadow, reason, .. } = event;
        format!("{outcome:?} {resource} {shadow} {reason}")
    };
    seen.0.lock().iter().map(line).collect()
}

#[test]
fn a_refusal_by_failure_is_told_with_its_reason() {
    let rules = r#"{"faults": {"authorize": "trap"}}"#;
    let lines = told(rules, |_| {}, refused);
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(lines[0].starts_with("Failed topic:orders false it trapped"), "{lines:?}");
}

#[test]
fn a_failure_that_changes_nothing_and_a_shadows_wish_are_told() {
    let open = told(
        r#"{"faults": {"before-send": "trap"}}"#,
        |binding| binding.on_failure = Some(OnFailure::Open),
        |chain| drop(sent(chain, &["x"])),
    );
    assert!(open[0].starts_with("Failed topic:orders false it trapped"), "{open:?}");
    let shadow = told(
        DENY,
        |binding| binding.mode = Mode::Shadow,
        |chain| drop(sent(chain, &["fine", "poison"])),
    );
    assert_eq!(shadow, ["Refused topic:orders true the sample refuses this body"]);
}

/// Whether `eve` may see `orders`.
fn sees(chain: &HookChain) -> bool {
    let accesses = [Access { action: Action::Get, resource: Resource::Topic("orders") }];
    chain.may(&request(Some("eve")), &accesses)
}

#[test]
fn what_is_only_shown_is_no_refusal() {
    let failing = r#"{"faults": {"authorize": "trap"}}"#;
    let denying = r#"{"deny_principals": ["eve"]}"#;
    let open: fn(&mut Binding) = |binding| binding.on_failure = Some(OnFailure::Open);
    let shadow: fn(&mut Binding) = |binding| binding.mode = Mode::Shadow;
    for (rules, change, seen) in [
        (failing, open, true),
        (failing, |_| {}, false),
        (denying, |_| {}, false),
        (denying, shadow, true),
    ] {
        let lines = told(rules, change, |chain| assert_eq!(sees(chain), seen, "{rules}"));
        assert_eq!(lines, [""; 0], "{rules}");
    }
    let sample = Sample::new(denying);
    assert!(!sees(&sample.chain));
    let asked = sample.hook("authorize");
    assert_eq!((asked.calls, asked.objections), (1, 0));
    assert!(sample.chain.has(Point::Authorize) && !sample.chain.decides_who_may());
}

#[test]
fn an_open_breaker_is_told_once() {
    let rules = r#"{"faults": {"authorize": "trap"}}"#;
    let lines = told(rules, |_| {}, |chain| (0..8).for_each(|_| refused(chain)));
    let opened = lines.iter().filter(|line| line.contains("plugin:sample")).count();
    assert_eq!((opened, lines.len()), (1, 9), "{lines:?}");
}

/// A bundled plugin with this configuration, in a chain of its own.
fn bundled(package: &str, config: &str, change: impl FnOnce(&mut Binding)) -> Watched {
    let shelf = Shelf::new();
    let mut bound = binding(&shelf.put(&component(package)), config);
    change(&mut bound);
    let host = shelf.start(vec![bound]).unwrap().unwrap();
    let chain = HookChain::new(&host.hooks()).audited(&shelf.auditor);
    Watched { host, chain, _shelf: shelf }
}

#[test]
fn the_tracing_plugin_reads_bodies_that_it_is_lent() {
    let config = r#"{"fields": {"country": "$.customer.country"}, "properties": {"key": "KEYS"}}"#;
    let enriched = |granted: bool| {
        let tracing = bundled("tracing", config, |b| b.grants.message_bodies = granted);
        let mut spans = [span(""), span("KEYS\u{1}k\u{2}")];
        spans[1].body = r#"{"customer": {"country": "CH"}}"#.into();
        tracing.chain.enrich_span(&mut spans);
        tracing.host.close();
        let [without, with] = spans;
        assert_eq!(names(&without), ["topic"]);
        with.attributes().iter().skip(1).map(|a| a.value.clone()).collect::<Vec<_>>()
    };
    assert_eq!(enriched(true), ["k", "CH"]);
    assert_eq!(enriched(false), ["k"], "no grant, no body");
}

#[test]
fn the_audit_plugin_takes_what_is_told() {
    let config = r#"{"log": true, "redact": {"principals": true}}"#;
    // It imports this grant, whether it is told of a collector or not.
    let audit = bundled("audit", config, |b| b.grants.http = vec!["http://127.0.0.1/".to_owned()]);
    let command = AdminCommand { name: "DELETE_TOPIC_IN_BROKER", target: "orders" };
    for _ in 0..100 {
        assert_eq!(audit.chain.admin_command(&request(Some("ann")), &command), Verdict::Continue);
    }
    audit.host.close();
    let status = audit.host.status();
    let hook = &status[0].hooks[0];
    assert_eq!((hook.messages, hook.failures.len(), hook.lost), (100, 0, 0));
    assert!(hook.calls < 100, "in batches: {}", hook.calls);
}
