//! What spans are told of plugin calls.

use std::time::Duration;

use blockhouse_hook::{Calls, Delivery, HookChain, Outbound};
use blockhouse_host::{Mode, OnFailure};
use blockhouse_model::{Access, Action, QueueId, QueueOffset, Resource};

use super::rig::{Sample, Shelf, binding, component, request, sent};

/// Hook, verdict and failure of the calls that `ask` makes.
fn noted(
    chain: &HookChain,
    ask: impl FnOnce(&HookChain),
) -> Vec<(&'static str, &'static str, Option<&'static str>)> {
    let calls = Calls::begin();
    ask(chain);
    calls.read(|all| all.iter().map(|c| (c.hook, c.verdict, c.failure)).collect())
}

fn authorize(chain: &HookChain, user: &str) {
    let access = Access { action: Action::Pub, resource: Resource::Topic("orders") };
    let _verdict = chain.authorize(&request(Some(user)), &[access]);
}

fn deliver(chain: &HookChain, body: &str) {
    let mut messages = [Outbound {
        queue_offset: QueueOffset(0),
        properties: "",
        stored_body: body.as_bytes(),
        body: None,
        keep: true,
    }];
    let delivery = Delivery { group: "consumers", topic: "orders", queue: QueueId(0) };
    let _verdict = chain.before_deliver(&request(Some("ann")), &delivery, &mut messages);
}

#[test]
fn a_call_is_noted_with_what_the_plugin_said() {
    let rules = r#"{"deny_principals": ["eve"], "reject_body": "no", "replace": {"long": "short"}, "mask": "1234"}"#;
    let sample = Sample::new(rules);
    let chain = &sample.chain;
    let authorized = |user: &'static str| noted(chain, move |chain| authorize(chain, user));
    assert_eq!(authorized("ann"), [("authorize", "continue", None)]);
    assert_eq!(authorized("eve"), [("authorize", "refuse", None)]);
    for (body, verdict) in [("good", "continue"), ("no", "refuse"), ("long", "change")] {
        let calls = noted(chain, |chain| drop(sent(chain, &[body])));
        assert_eq!(calls, [("before-send", verdict, None)]);
    }
    for (body, verdict) in [("good", "continue"), ("a 1234", "change")] {
        let calls = noted(chain, |chain| deliver(chain, body));
        assert_eq!(calls, [("before-deliver", verdict, None)]);
    }
}

#[test]
fn a_failed_call_is_noted_with_how_it_failed() {
    for (fault, kind) in [("trap", "trap"), ("loop", "deadline")] {
        let rules = format!(r#"{{"faults": {{"before-send": "{fault}"}}}}"#);
        let sample = Sample::with(&rules, |binding| binding.on_failure = Some(OnFailure::Open));
        let calls = noted(&sample.chain, |chain| drop(sent(chain, &["body"])));
        assert_eq!(calls, [("before-send", "fail", Some(kind))], "{fault}");
    }
}

#[test]
fn a_call_is_noted_with_its_plugin_its_time_and_what_it_was_for() {
    let shelf = Shelf::new();
    let digest = shelf.put(&component("conformance"));
    let mut watch = binding(&digest, "{}");
    watch.mode = Mode::Shadow;
    let host = shelf.start(vec![watch]).unwrap().unwrap();
    shelf.clock.slow(Duration::from_millis(3));
    let calls = Calls::begin();
    let chain = shelf.hooks.load();
    calls.are_of(Some(1));
    authorize(&chain, "ann");
    calls.are_of(None);
    drop(sent(&chain, &["a", "b"]));
    calls.read(|all| {
        let [first, second] = all else { panic!("{all:?}") };
        assert!(first.plugin() == "sample" && first.is_shadow);
        assert!(first.took >= Duration::from_millis(3) && second.began >= first.began + first.took);
        assert_eq!((first.is_of(0), first.is_of(1), second.is_of(0)), (false, true, true));
        assert_eq!((first.messages, second.messages), (1, 2));
    });
    host.close();
}
