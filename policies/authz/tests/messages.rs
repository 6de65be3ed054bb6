//! Conditions on messages, as a node's chain of hooks asks them.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::Path;
use std::sync::Arc;

use blockhouse_authz::{Config, File, Files, Keeper, Parts};
use blockhouse_disk::{MemDisk, whole};
use blockhouse_hook::{Decision, Draft, Hook, HookChain, Hooks, Point, Points, Verdict};
use blockhouse_model::{Access, Action, ManualClock, Principal, RequestContext, Resource};

const PLAIN: &str = "p, anonymous, *, Topic:t, Pub, -, allow\n";
const SMALL: &str = "p, anonymous, *, Topic:t, Pub, size<=3, allow\n\
                     p, anonymous, *, Topic:t, Pub, tag=bad, deny\n\
                     p, anonymous, *, Group:g, Sub, -, allow\n";

struct Node {
    keeper: Keeper,
    hooks: Arc<Hooks>,
}

fn set(text: &str) -> Files {
    Files::new(vec![File { name: "a.csv".into(), text: text.into() }]).unwrap()
}

/// A node whose chain the policies are in, and know of if `told`.
fn node(text: &str, told: bool) -> Node {
    let disk = MemDisk::new();
    whole::replace(&disk, Path::new("/etc/p/a.csv"), text.as_bytes()).unwrap();
    let config = Config { enabled: true, policies: "/etc/p".into(), ..Config::default() };
    let parts = Parts {
        disk: Arc::new(disk),
        record: "/data/policies.json".into(),
        clock: Arc::new(ManualClock::default()),
        is_super: Arc::new(|name| name == "root"),
        is_known: Arc::new(|_| true),
        cluster: "DefaultCluster".into(),
    };
    let keeper = Keeper::start(&config, parts).unwrap();
    let hook = Arc::clone(keeper.hook()) as Arc<dyn Hook>;
    let hooks = Arc::new(Hooks::new(HookChain::new(&[hook])));
    if told {
        keeper.hook().stand_in(&hooks);
    }
    Node { keeper, hooks }
}

fn cx(principal: Principal) -> RequestContext {
    RequestContext { principal, ..RequestContext::new(([127, 0, 0, 1], 7).into(), 1, 310) }
}

fn draft<'a>(topic: &'a str, body: &'a [u8], properties: &'a str) -> Draft<'a> {
    Draft {
        topic,
        producer_group: "p",
        queue: None,
        body: body.into(),
        properties: properties.into(),
        decision: Decision::Admit,
    }
}

/// What becomes of these, sent together in `chain`: whether the request is authorized, and each message.
fn sent(
    chain: &HookChain,
    principal: Principal,
    topic: &str,
    messages: &[(&str, &str)],
) -> (bool, Vec<bool>) {
    let cx = cx(principal);
    let access = Access { action: Action::Pub, resource: Resource::Topic(topic) };
    let authorized = chain.authorize(&cx, &[access]) == Verdict::Continue;
    let mut drafts: Vec<Draft<'_>> =
        messages.iter().map(|(body, text)| draft(topic, body.as_bytes(), text)).collect();
    chain.before_send(&cx, &mut drafts);
    (authorized, drafts.iter().map(|draft| draft.decision == Decision::Admit).collect())
}

const MESSAGES: [(&str, &str); 3] = [("abc", ""), ("abcd", ""), ("a", "TAGS\u{1}bad\u{2}")];

#[test]
fn each_message_is_asked_for_what_the_request_does_not_say() {
    let node = node(SMALL, true);
    let chain = node.hooks.load();
    let of = |principal, topic| sent(&chain, principal, topic, &MESSAGES);
    assert_eq!(of(Principal::Anonymous, "t"), (true, vec![true, false, false]));
    assert_eq!(node.keeper.counts().decisions, [1, 2, 0]);
    assert_eq!(of(Principal::User("root".into()), "t"), (true, vec![true; 3]));
    assert!(!of(Principal::Anonymous, "u").0);
    // Messages of a retry topic are its group's, whatever they are.
    assert_eq!(of(Principal::Anonymous, "%RETRY%g").1, [true; 3]);
    let mut drafts = [draft("t", b"abcd", "TAGS\u{1}x\u{2}")];
    chain.before_send(&cx(Principal::Anonymous), &mut drafts);
    let Decision::Reject(rejection) = std::mem::take(&mut drafts[0].decision) else {
        unreachable!()
    };
    assert_eq!(rejection.code, None);
    assert!(!rejection.reason.contains("bytes"), "{}", rejection.reason);
    assert_eq!(
        rejection.detail.unwrap(),
        "anonymous: Pub Topic:t: denied by no rule: normal, 4 bytes, tag \"x\""
    );
}

#[test]
fn where_a_hook_reroutes_a_message_its_new_topic_is_asked_too() {
    let node = node(SMALL, true);
    let rerouted = |body: &[u8]| {
        node.hooks.load().rerouted(&cx(Principal::Anonymous), &draft("t", body, ""))
            == Verdict::Continue
    };
    assert!(rerouted(b"abc") && !rerouted(b"abcd"));
}

#[test]
fn only_a_set_that_asks_for_messages_is_asked_before_they_are_stored() {
    let node = node(PLAIN, true);
    let asked = || node.hooks.load().has(Point::BeforeSend);
    let small = || sent(&node.hooks.load(), Principal::Anonymous, "t", &MESSAGES).1;
    assert!(!asked());
    node.keeper.apply(&set(SMALL), false).unwrap();
    assert!(asked());
    assert_eq!(small(), [true, false, false]);
    // A chain that others make keeps it there.
    let hooks = node.hooks.load().hooks().to_vec();
    node.hooks.swap(HookChain::new(&hooks));
    assert!(asked());
    node.keeper.roll_back().unwrap();
    assert!(!asked());
    assert_eq!(small(), [true; 3]);
}

#[test]
fn a_chain_made_before_and_put_in_force_after_a_change_is_asked() {
    let node = node(PLAIN, true);
    let late = HookChain::new(node.hooks.load().hooks());
    node.keeper.apply(&set(SMALL), false).unwrap();
    node.hooks.swap(late);
    assert_eq!(
        sent(&node.hooks.load(), Principal::Anonymous, "t", &MESSAGES).1,
        [true, false, false]
    );
}

#[test]
fn a_request_whose_messages_nobody_looks_at_is_refused_where_that_matters() {
    let node = node(PLAIN, true);
    let before = node.hooks.load_full();
    node.keeper.apply(&set(SMALL), false).unwrap();
    // It began before the change: no message of it is stored that no rule allows.
    assert!(!sent(&before, Principal::Anonymous, "t", &MESSAGES).0);
    let unaware = self::node(PLAIN, false);
    unaware.keeper.apply(&set(SMALL), false).unwrap();
    assert!(!sent(&unaware.hooks.load(), Principal::Anonymous, "t", &MESSAGES).0);
    let deny = [PLAIN, "p, *, *, Topic:t, Pub, size>=9, deny\np, *, *, Topic:u, Pub, -, allow\n"];
    unaware.keeper.apply(&set(&deny.concat()), false).unwrap();
    assert!(!sent(&unaware.hooks.load(), Principal::Anonymous, "t", &MESSAGES).0);
    assert!(sent(&unaware.hooks.load(), Principal::Anonymous, "u", &MESSAGES).0);
}

#[test]
fn what_stands_in_for_a_hook_is_no_hook_of_the_chain() {
    let node = node(SMALL, true);
    let chain = node.hooks.load();
    assert_eq!(chain.hooks().len(), 1);
    assert_eq!(chain.hooks()[0].points(), Points::NONE.with(Point::Authorize));
    assert!(chain.decides_who_may() && self::node(PLAIN, true).hooks.load().decides_who_may());
}
