//! What a binding says: scope, order, shadow, stores.

use blockhouse_hook::{Decision, HookChain};
use blockhouse_host::{Mode, OnFailure, StoreMode};

use super::rig::{Sample, Shelf, binding, component, draft, request, sent};

const REJECT: &str = r#"{"reject_body": "poison"}"#;

fn rejects(chain: &HookChain, topic: &str, user: Option<&str>) -> bool {
    let mut drafts = [draft(topic, "poison")];
    chain.before_send(&request(user), &mut drafts);
    matches!(drafts[0].decision, Decision::Reject(_))
}

#[test]
fn what_is_out_of_scope_never_enters_the_guest() {
    let sample = Sample::with(REJECT, |binding| {
        binding.hooks = vec![blockhouse_host::Interface::BeforeSend];
        binding.topics = vec!["orders-*".to_owned()];
        binding.principals = vec!["ann".to_owned()];
        binding.codes = vec![310];
    });
    assert!(rejects(&sample.chain, "orders-eu", Some("ann")));
    assert!(!rejects(&sample.chain, "invoices", Some("ann")));
    assert!(!rejects(&sample.chain, "orders-eu", Some("bob")));
    assert!(!rejects(&sample.chain, "orders-eu", None));
    assert_eq!(sample.host.status()[0].hooks[0].calls, 1);
}

#[test]
fn only_the_hooks_of_the_binding_run() {
    let sample =
        Sample::with(REJECT, |binding| binding.hooks = vec![blockhouse_host::Interface::Pull]);
    assert!(!rejects(&sample.chain, "orders", None));
    assert_eq!(sample.host.status()[0].hooks.len(), 1);
}

#[test]
fn shadow_counts_what_it_would_have_done() {
    let sample = Sample::with(REJECT, |binding| binding.mode = Mode::Shadow);
    assert!(!rejects(&sample.chain, "orders", None));
    assert_eq!(sample.objections("before-send"), 1);
    assert_eq!(sample.hook("before-send").disagreements, Some(1));
}

#[test]
fn a_shadow_that_fails_disagrees_where_its_failure_would_refuse() {
    let disagreed = |on_failure| {
        let rules = r#"{"faults": {"before-send": "trap"}}"#;
        let sample = Sample::with(rules, |binding| {
            (binding.mode, binding.on_failure) = (Mode::Shadow, on_failure);
        });
        assert_eq!(sent(&sample.chain, &["a", "b"])[1].0, Decision::Admit);
        sample.hook("before-send").disagreements
    };
    assert_eq!(disagreed(None), Some(2), "both messages went on");
    assert_eq!(disagreed(Some(OnFailure::Open)), Some(0));
}

#[test]
fn verdicts_are_counted_by_what_they_say() {
    let rules = r#"{"reject_body": "poison", "drop_body": "noise", "replace": {"old": "new"},
                    "reroute": {"eu": "orders-eu"}, "hide_tag": "red"}"#;
    let sample = Sample::new(rules);
    sent(&sample.chain, &["poison", "noise", "noise", "fine", "old", "eu", "eu"]);
    let hook = sample.hook("before-send");
    let counts: Vec<_> = hook.verdicts.into_iter().collect();
    assert_eq!(counts, [("drop", 2), ("reject", 1), ("reroute", 2), ("rewrite", 1)]);
    assert_eq!((hook.objections, hook.disagreements), (6, None), "it does not only watch");
}

#[test]
fn bindings_run_in_their_order_and_the_first_decision_stands() {
    let shelf = Shelf::new();
    let digest = shelf.put(&component("conformance"));
    let mut first = binding(&digest, r#"{"drop_body": "poison"}"#);
    let mut second = binding(&digest, REJECT);
    (first.name, first.order) = ("z-first".to_owned(), -1);
    second.name = "a-second".to_owned();
    let host = shelf.start(vec![second, first]).unwrap().unwrap();
    let chain = HookChain::new(&host.hooks());
    assert_eq!(sent(&chain, &["poison"])[0].0, Decision::Drop);
    let status = host.status();
    assert_eq!([&*status[0].name, &*status[1].name], ["z-first", "a-second"]);
    assert_eq!(status[1].hooks.iter().map(|hook| hook.calls).sum::<u64>(), 0);
    host.close();
}

#[test]
fn a_fresh_store_is_made_for_each_call() {
    let shelf = Shelf::new();
    let digest = shelf.put(&component("noop"));
    let mut fresh = binding(&digest, "{}");
    fresh.store = StoreMode::Fresh;
    let host = shelf.start(vec![fresh]).unwrap().unwrap();
    let chain = HookChain::new(&host.hooks());
    for _ in 0..20 {
        assert_eq!(sent(&chain, &["x"])[0].0, Decision::Admit);
    }
    let status = host.status();
    assert_eq!((status[0].hooks[0].calls, status[0].hooks[0].failures.len()), (20, 0));
    assert!(status[0].instances <= 1, "none stays");
    host.close();
}

#[test]
fn a_plugin_that_keeps_state_is_not_bound_fresh() {
    let shelf = Shelf::new();
    let digest = shelf.put(&component("conformance"));
    let mut fresh = binding(&digest, r#"{"faults": {"pull": "trap"}, "fault_after": 1}"#);
    fresh.store = StoreMode::Fresh;
    let refusal = shelf.start(vec![fresh]).err().unwrap().to_string();
    assert!(refusal.contains("keeps state"), "{refusal}");
}

#[test]
fn what_is_not_granted_is_not_shown() {
    let rules = r#"{"reject_body": "poison", "bodies": "flat"}"#;
    let sample = Sample::with(rules, |binding| binding.grants.message_bodies = false);
    assert!(!rejects(&sample.chain, "orders", None), "it saw no body");
}
