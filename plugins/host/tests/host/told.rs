//! Changes of plugins are told to audit sinks.

use std::sync::Arc;
use std::time::Duration;

use blockhouse_hook::{AuditEvent, AuditKind, Decision, Hook, Point, Points};
use blockhouse_host::{Config, Host, Interface, Terms};
use blockhouse_package::Digest;
use parking_lot::Mutex;

use super::deploy::{deploy, empty, marks, put, stamp};
use super::rig::{Shelf, binding, component, sent, version};

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

fn observed() -> (Shelf, Arc<Seen>, Host) {
    let (mut shelf, seen) = (Shelf::new(), Arc::new(Seen::default()));
    shelf.native.push(Arc::clone(&seen) as _);
    let host = empty(&shelf);
    (shelf, seen, host)
}

/// What was told of plugins since the last call: outcome, action, plugin, and the reason.
fn told(seen: &Seen) -> Vec<(String, String)> {
    let events = std::mem::take(&mut *seen.0.lock());
    let plugins = events.into_iter().filter(|event| event.kind == AuditKind::Plugin);
    let line =
        |event: &AuditEvent| format!("{:?} {} {}", event.outcome, event.action, event.resource);
    plugins.map(|event| (line(&event), event.reason)).collect()
}

#[test]
fn each_change_is_told() {
    let (shelf, seen, host) = observed();
    let one = |expected: &str, reasons: &[&str]| {
        let told = told(&seen);
        assert_eq!(told.iter().map(|(line, _)| line.as_str()).collect::<Vec<_>>(), [expected]);
        assert!(reasons.iter().all(|reason| told[0].1.contains(reason)), "{told:?}");
    };
    let first = stamp(&shelf, "a", "1.0.0");
    let digest = first.digest.clone();
    put(&host, vec![first]).unwrap();
    one("Allowed deploy plugin:a", &["added", &digest, "generation 1"]);
    put(&host, vec![stamp(&shelf, "a", "1.1.0")]).unwrap();
    one("Allowed deploy plugin:a", &["replaced", "generation 2"]);
    host.rollback("a").unwrap();
    one("Allowed rollback plugin:a", &["replaced", &digest, "generation 3"]);
    host.disable("a").unwrap();
    one("Allowed disable plugin:a", &["disabled", "generation 4"]);
    host.enable("a").unwrap();
    one("Allowed enable plugin:a", &["enabled", "generation 5"]);

    // What changes nothing is not told, what is refused is.
    host.enable("a").unwrap();
    let dry = Terms { dry_run: true, force: false };
    host.deploy(vec![stamp(&shelf, "a", "1.2.0")], dry).unwrap();
    assert_eq!(told(&seen), []);
    host.deploy(vec![stamp(&shelf, "a", "0.9.0")], Terms::default()).unwrap_err();
    one("Refused deploy plugin:a", &["0.9.0"]);
    host.deploy(vec![stamp(&shelf, "a", "0.9.0")], dry).unwrap_err();
    one("Refused deploy plugin:a", &["0.9.0"]);
    host.disable("nobody").unwrap_err();
    one("Refused disable plugin:nobody", &[]);

    let junk = Digest::of(b"junk").to_string();
    let refused = host.changes().refused;
    host.put_component("junk".into(), &junk).unwrap_err();
    one(&format!("Refused upload plugin:{junk}"), &[]);
    host.put_component("jumk".into(), &junk).unwrap_err();
    one(&format!("Refused upload plugin:{junk}"), &[&junk]);
    let bare = component("noop");
    host.put_component(bare.to_vec().into(), &Digest::of(&bare).to_string()).unwrap_err();
    assert!(told(&seen)[0].1.contains("manifest"));
    assert_eq!(host.changes().refused, refused + 3);
    host.close();
}

#[test]
fn a_version_that_went_back_by_itself_is_told() {
    let (shelf, seen, host) = observed();
    put(&host, vec![stamp(&shelf, "a", "1.0.0")]).unwrap();
    marks(&shelf.hooks);
    let rules = r#"{"faults": {"before-send": "trap"}}"#;
    let mut bound = binding(&shelf.put(&version("1.1.0")), rules);
    bound.hooks = vec![Interface::BeforeSend];
    put(&host, vec![deploy("a", bound)]).unwrap();
    told(&seen);
    for _ in 0..3 {
        assert!(matches!(sent(&shelf.hooks.load(), &["x"])[0].0, Decision::Reject(_)));
    }
    host.look();
    let told = told(&seen);
    assert_eq!((told.len(), told[0].0.as_str()), (1, "Failed automatic-rollback plugin:a"));
    assert!(told[0].1.contains("before-send: 3 of 3 calls failed"), "{told:?}");
    host.close();
}

#[test]
fn a_sink_is_told_that_it_is_taken_out() {
    let shelf = Shelf::new();
    let host = empty(&shelf);
    // Its failure shows that it was called.
    let rules = r#"{"faults": {"audit": "trap"}, "fault_on": "disable"}"#;
    let mut bound = binding(&shelf.put(&version("1.0.0")), rules);
    bound.hooks = vec![Interface::AuditSink];
    bound.deadline_ms = Some(5_000);
    put(&host, vec![deploy("audit", bound)]).unwrap();
    host.disable("audit").unwrap();
    host.close();
    let lines = host.lines("audit", 0, 99).unwrap();
    assert!(lines.iter().any(|line| line.text.starts_with("audit-sink: ")), "{lines:?}");
}

/// Puts a version of a sink in force.
fn put_sink(shelf: &Shelf, host: &Host, of: &str, rules: &str) {
    let mut bound = binding(&shelf.put(&version(of)), rules);
    bound.hooks = vec![Interface::AuditSink];
    bound.deadline_ms = Some(5_000);
    put(host, vec![deploy("audit", bound)]).unwrap();
}

#[test]
fn a_sink_that_takes_nothing_is_let_go_when_it_is_replaced_or_disabled() {
    let shelf = Shelf::new();
    // It is not about what else brings a version back.
    let config = Config { guard_seconds: 0, ..Config::default() };
    let host = shelf.start_with(&config).unwrap().unwrap();
    let said = |what: &str| {
        let lines = host.lines("audit", 0, 999).unwrap();
        lines.iter().filter(|line| line.text.contains(what)).count()
    };
    // Instances say so when they are let go.
    let until_let_go = |before: usize| {
        for _ in 0..3_000 {
            if said("drain: ") > before {
                return;
            }
            host.look();
            std::thread::park_timeout(Duration::from_millis(10));
        }
        panic!("not in half a minute");
    };
    let lost = || {
        let hooks = host.status().remove(0).hooks;
        hooks.iter().find(|hook| hook.hook == Interface::AuditSink).unwrap().lost
    };
    // It is told of its own arrival at least.
    put_sink(&shelf, &host, "1.0.0", r#"{"faults": {"audit": "error", "drain": "trap"}}"#);
    assert_eq!((lost(), said("drain: ")), (0, 0));
    put_sink(&shelf, &host, "1.1.0", "{}");
    until_let_go(0);
    assert_eq!((lost(), said("audit events were not taken and are lost")), (0, 1));

    // The same once more.
    host.rollback("audit").unwrap();
    let (first, let_go) = (lost(), said("drain: "));
    assert!(first > 0);
    host.disable("audit").unwrap();
    until_let_go(let_go);
    host.enable("audit").unwrap();
    assert!(lost() > first, "also what it had not taken since it was back");
    host.close();
}
