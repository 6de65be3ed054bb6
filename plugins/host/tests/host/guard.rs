//! The first minute of a new version.

use std::time::Duration;

use blockhouse_hook::{Decision, HookChain};
use blockhouse_host::{Config, Deploy, Host, Terms};

use super::deploy::{deploy, empty, marks, put, refused, rules, stamp};
use super::rig::{Shelf, binding, sent, version};

/// The sample that fails where a body says `bad`.
fn fragile(shelf: &Shelf, name: &str, of: &str) -> Deploy {
    let text = format!(
        r#"{{"set_property": {{"{name}": "{of}"}}, "faults": {{"before-send": "trap"}}, "fault_on": "bad"}}"#
    );
    let mut bound = binding(&shelf.put(&version(of)), &text);
    bound.hooks = vec![blockhouse_host::Interface::BeforeSend];
    deploy(name, bound)
}

fn bad(chain: &HookChain) -> bool {
    matches!(sent(chain, &["bad"])[0].0, Decision::Reject(_))
}

fn watched(host: &Host) -> bool {
    host.status().iter().any(|plugin| plugin.watched)
}

#[test]
fn a_version_that_fails_more_than_the_one_before_goes_back_by_itself() {
    let shelf = Shelf::new();
    let host = empty(&shelf);
    put(&host, vec![stamp(&shelf, "a", "1.0.0")]).unwrap();
    assert!(!watched(&host), "there is nothing to go back to");
    marks(&shelf.hooks);
    put(&host, vec![fragile(&shelf, "a", "1.1.0")]).unwrap();
    assert!(watched(&host));
    for _ in 0..2 {
        assert!(bad(&shelf.hooks.load()));
    }
    host.look();
    assert_eq!(marks(&shelf.hooks), "a=1.1.0 ", "two failures may be anything");
    bad(&shelf.hooks.load());
    host.look();
    assert_eq!(marks(&shelf.hooks), "a=1.0.0 ");
    assert!(!watched(&host));
    assert_eq!((host.changes().generation, host.changes().reverted), (3, 1));
    let past = host.status()[0].history.clone();
    assert_eq!(
        (past.len(), past[0].state, past[0].version.as_deref()),
        (1, "rejected", Some("1.1.0"))
    );
    assert!(past[0].reason.as_deref().unwrap().contains("before-send: 3 of 4 calls failed"));
    assert!(
        host.lines("a", 0, 99).unwrap().iter().any(|l| l.text.contains("version before is back"))
    );

    let (kind, text) = refused(&host, vec![fragile(&shelf, "a", "1.1.0")]);
    assert!(kind == "rejected" && text.contains("--force") && text.contains("3 of 4"), "{text}");
    host.close();

    // Also after a restart.
    let host = empty(&shelf);
    assert_eq!(marks(&shelf.hooks), "a=1.0.0 ");
    assert_eq!(refused(&host, vec![fragile(&shelf, "a", "1.1.0")]).0, "rejected");
    let forced = Terms { force: true, dry_run: false };
    host.deploy(vec![fragile(&shelf, "a", "1.1.0")], forced).unwrap();
    assert_eq!(marks(&shelf.hooks), "a=1.1.0 ");
    host.close();
}

#[test]
fn a_version_that_is_slower_goes_back_by_itself() {
    let shelf = Shelf::new();
    let host = empty(&shelf);
    put(&host, vec![stamp(&shelf, "a", "1.0.0")]).unwrap();
    shelf.clock.slow(Duration::from_millis(1));
    (0..50).for_each(|_| drop(marks(&shelf.hooks)));
    put(&host, vec![stamp(&shelf, "a", "1.1.0")]).unwrap();
    shelf.clock.slow(Duration::from_millis(20));
    (0..49).for_each(|_| drop(marks(&shelf.hooks)));
    host.look();
    assert_eq!(marks(&shelf.hooks), "a=1.1.0 ", "too few calls");
    host.look();
    assert_eq!(marks(&shelf.hooks), "a=1.0.0 ");
    let reason = host.status()[0].history[0].reason.clone().unwrap();
    assert!(reason.contains("before-send: a message takes"), "{reason}");
    host.close();
}

#[test]
fn what_came_together_goes_back_together() {
    let shelf = Shelf::new();
    let host = empty(&shelf);
    put(&host, vec![stamp(&shelf, "a", "1.0.0"), stamp(&shelf, "b", "1.0.0")]).unwrap();
    put(&host, vec![stamp(&shelf, "a", "1.1.0"), fragile(&shelf, "b", "1.1.0")]).unwrap();
    (0..3).for_each(|_| assert!(bad(&shelf.hooks.load())));
    host.look();
    assert_eq!(marks(&shelf.hooks), "a=1.0.0 b=1.0.0 ");
    let states: Vec<_> = host.status().iter().map(|p| p.history.len()).collect();
    assert_eq!(states, [0, 1], "only the bad one is rejected");
    host.close();
}

#[test]
fn after_its_time_a_version_stays_whatever_it_does() {
    let shelf = Shelf::new();
    let host = empty(&shelf);
    put(&host, vec![stamp(&shelf, "a", "1.0.0")]).unwrap();
    put(&host, vec![fragile(&shelf, "a", "1.1.0")]).unwrap();
    shelf.clock.advance(Duration::from_secs(59));
    host.look();
    assert!(watched(&host));
    shelf.clock.advance(Duration::from_secs(1));
    host.look();
    assert!(!watched(&host));
    (0..5).for_each(|_| assert!(bad(&shelf.hooks.load())));
    host.look();
    assert_eq!(host.status()[0].version.as_deref(), Some("1.1.0"));
    // An operator may go back, and forth again.
    host.rollback("a").unwrap();
    put(&host, vec![fragile(&shelf, "a", "1.1.0")]).unwrap();
    host.close();
}

#[test]
fn a_binding_that_makes_it_worse_goes_back_and_its_component_is_not_rejected() {
    let shelf = Shelf::new();
    let config = Config { guard_seconds: 5, ..Config::default() };
    let host = shelf.start_with(&config).unwrap().unwrap();
    put(&host, vec![stamp(&shelf, "a", "1.0.0")]).unwrap();
    let mut other = stamp(&shelf, "a", "1.0.0");
    let bound = other.binding.as_mut().unwrap();
    bound.config = rules(r#"{"faults": {"before-send": "trap"}, "bodies": "lent"}"#);
    bound.order = 3;
    put(&host, vec![other]).unwrap();
    (0..3).for_each(|_| assert!(bad(&shelf.hooks.load())));
    host.look();
    assert_eq!(marks(&shelf.hooks), "a=1.0.0 ");
    let mut same = stamp(&shelf, "a", "1.0.0");
    same.binding.as_mut().unwrap().order = 4;
    put(&host, vec![same]).unwrap();
    host.close();
}

#[test]
fn the_host_looks_by_itself() {
    let shelf = Shelf::new();
    let host = empty(&shelf);
    put(&host, vec![stamp(&shelf, "a", "1.0.0")]).unwrap();
    put(&host, vec![fragile(&shelf, "a", "1.1.0")]).unwrap();
    (0..3).for_each(|_| assert!(bad(&shelf.hooks.load())));
    while host.changes().reverted == 0 {
        std::thread::yield_now();
    }
    assert_eq!(marks(&shelf.hooks), "a=1.0.0 ");
    host.close();
}
