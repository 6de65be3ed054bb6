//! The policies of a node: what is in force, over changes and restarts, and what a request meets.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::Path;
use std::sync::Arc;

use blockhouse_authz::{Config, File, Files, Keeper, Parts, Refused};
use blockhouse_disk::{Disk as _, MemDisk, whole};
use blockhouse_hook::{Hook as _, Rejection, Verdict};
use blockhouse_model::{Access, Action, Clock, ManualClock, Principal, RequestContext, Resource};

const RECORD: &str = "/data/blockhouse/security/policies.json";

struct Node {
    disk: MemDisk,
    clock: Arc<ManualClock>,
    keeper: Keeper,
}

fn start(disk: &MemDisk) -> Result<Node, Refused> {
    let config = Config { enabled: true, policies: "/etc/p".into(), ..Config::default() };
    let clock = Arc::new(ManualClock::default());
    let parts = Parts {
        disk: Arc::new(disk.clone()),
        record: RECORD.into(),
        clock: Arc::clone(&clock) as Arc<dyn Clock>,
        is_super: Arc::new(|name| name == "root"),
        is_known: Arc::new(|name| name != "nobody"),
        cluster: "DefaultCluster".into(),
    };
    Keeper::start(&config, parts).map(|keeper| Node { disk: disk.clone(), clock, keeper })
}

fn rule(topic: &str) -> String {
    format!("p, anonymous, *, Topic:{topic}, Pub, -, allow\n")
}

fn set(text: &str) -> Files {
    Files::new(vec![File { name: "a.csv".into(), text: text.into() }]).unwrap()
}

fn write(disk: &MemDisk, text: &str) {
    whole::replace(disk, Path::new("/etc/p/a.csv"), text.as_bytes()).unwrap();
}

fn node(text: &str) -> Node {
    let disk = MemDisk::new();
    write(&disk, text);
    start(&disk).unwrap()
}

impl Node {
    fn asked(&self, principal: Principal, topics: &[&str]) -> Verdict {
        let cx =
            RequestContext { principal, ..RequestContext::new(([127, 0, 0, 1], 7).into(), 1, 310) };
        let accesses: Vec<Access<'_>> = topics
            .iter()
            .map(|topic| Access { action: Action::Pub, resource: Resource::Topic(topic) })
            .collect();
        self.keeper.hook().authorize(&cx, &accesses)
    }

    fn may(&self, topic: &str) -> bool {
        self.asked(Principal::Anonymous, &[topic]) == Verdict::Continue
    }
}

#[test]
fn all_that_a_request_needs_must_be_allowed() {
    let node = node(&[rule("t1"), rule("t2")].concat());
    let asked = |who: Principal, topics: &[&str]| match node.asked(who, topics) {
        Verdict::Continue => None,
        Verdict::Reject(rejection) => Some(rejection),
    };
    assert_eq!(asked(Principal::Anonymous, &["t1", "t2"]), None);
    let Rejection { code, reason, failure, detail } =
        asked(Principal::Anonymous, &["t1", "secret"]).unwrap();
    assert_eq!((code, failure), (None, None));
    assert!(!reason.contains("secret") && !reason.contains("a.csv"), "{reason}");
    assert_eq!(detail.unwrap(), "anonymous: Pub Topic:secret: denied by no rule");
    assert!(asked(Principal::User("eve".into()), &["t1"]).is_some());
    assert_eq!(asked(Principal::User("root".into()), &["t1", "secret"]), None);
    // Who is called like a user with all rights, but is a plugin, has none.
    assert!(asked(Principal::Plugin("root".into()), &["t1"]).is_some());
    assert_eq!(node.keeper.counts().decisions, [1, 3, 1]);
}

#[test]
fn rules_of_the_time_and_of_the_day_hold_when_they_say_so() {
    let hour = std::time::Duration::from_secs(3_600);
    let node = node(
        "p, anonymous, *, Topic:early, Pub, time=00:00-01:00, allow\n\
         p, anonymous, *, Topic:friday, Pub, day=fri, allow\n",
    );
    // The clock stands at the beginning of 1970, a Thursday.
    assert_eq!((node.may("early"), node.may("friday")), (true, false));
    node.clock.advance(hour);
    assert_eq!((node.may("early"), node.may("friday")), (false, false));
    node.clock.advance(23 * hour);
    assert_eq!((node.may("early"), node.may("friday")), (true, true));
}

#[test]
fn what_somebody_may_is_found_out_without_counting_a_decision() {
    let node = node(&rule("t"));
    let may = |who: Principal, topic| {
        let cx = RequestContext {
            principal: who,
            ..RequestContext::new(([127, 0, 0, 1], 7).into(), 1, 310)
        };
        let access = Access { action: Action::Pub, resource: Resource::Topic(topic) };
        node.keeper.hook().may(&cx, &[access])
    };
    let root = || Principal::User("root".into());
    assert!(may(Principal::Anonymous, "t") && may(root(), "secret"));
    assert!(!may(Principal::Anonymous, "secret") && !may(Principal::User("eve".into()), "t"));
    assert_eq!(node.keeper.counts().decisions, [0; 3]);
}

#[test]
fn policies_plugins_and_the_audit_log_are_things_of_their_own() {
    let node = node(
        "p, anonymous, *, Audit:*, Get, -, allow\np, anonymous, *, Plugin:*, List, -, allow\n",
    );
    let cx = RequestContext::new(([127, 0, 0, 1], 7).into(), 1, 0);
    let may = |action, resource| {
        node.keeper.hook().authorize(&cx, &[Access { action, resource }]) == Verdict::Continue
    };
    assert!(may(Action::Get, Resource::Audit) && may(Action::List, Resource::Plugin("")));
    for resource in [Resource::Cluster, Resource::Policy, Resource::Plugin("")] {
        assert!(!may(Action::Get, resource), "{resource:?}");
    }
}

#[test]
fn a_bad_load_keeps_the_old_set() {
    let node = node(&rule("t"));
    write(&node.disk, "p, anonymous, *, Topic:t, Pub, -, den\n");
    let refused = node.keeper.reload().unwrap_err().to_string();
    assert!(refused.contains("a.csv:1: unknown effect"), "{refused}");
    node.keeper.apply(&set(""), false).unwrap_err();
    assert!(node.may("t"));
    let counts = node.keeper.counts();
    assert_eq!((counts.generation, counts.done, counts.refused), (1, 0, 2));
    // Nor does one come into force that would be gone after a restart.
    node.disk.fail_writes(true);
    let refused = node.keeper.apply(&set(&rule("u")), false).unwrap_err().to_string();
    assert!(refused.contains("cannot be written"), "{refused}");
    assert!(node.may("t") && !node.may("u"));
}

#[test]
fn what_was_applied_is_in_force_after_a_restart_until_the_next_reload() {
    let node = node(&rule("t"));
    let report = node.keeper.apply(&set(&rule("u")), true).unwrap();
    assert_eq!((report.generation, node.may("t")), (2, true));
    let report = node.keeper.apply(&set(&rule("u")), false).unwrap();
    assert_eq!((report.generation, report.source), (2, "applied"));
    assert!(node.may("u") && !node.may("t"));
    assert!(node.disk.is_private(Path::new(RECORD)).unwrap());
    let node = start(&node.disk).unwrap();
    assert!(node.may("u") && !node.may("t"));
    assert_eq!(node.keeper.report().generation, 2);
    let report = node.keeper.reload().unwrap();
    assert_eq!((report.generation, report.source), (3, "directory"));
    assert!(node.may("t") && !node.may("u"));
    let report = node.keeper.roll_back().unwrap();
    assert_eq!((report.generation, report.source), (4, "applied"));
    assert!(node.may("u") && !node.may("t"));
    node.keeper.roll_back().unwrap();
    assert!(node.may("t") && !node.may("u"));
}

#[test]
fn a_first_set_has_none_before_it() {
    let node = node(&rule("t"));
    assert!(!node.keeper.report().can_roll_back);
    let refused = node.keeper.roll_back().unwrap_err().to_string();
    assert!(refused.contains("no set before"), "{refused}");
}

#[test]
fn what_cannot_be_loaded_refuses_the_start() {
    let disk = MemDisk::new();
    let why = |disk: &MemDisk| start(disk).err().map(|e| e.to_string()).unwrap_or_default();
    assert!(why(&disk).contains("no such directory"));
    write(&disk, "");
    assert!(why(&disk).contains("no rule at all"));
    write(&disk, &rule("t"));
    assert_eq!(why(&disk), "");
    let path = Path::new(RECORD);
    for (record, expected) in [
        ("{", "cannot be understood"),
        (
            r#"{"version":2,"generation":1,"digest":"","applied":null,"previous":null}"#,
            "of version 2",
        ),
        (
            r#"{"version":1,"generation":1,"digest":"","applied":[{"name":"a.csv","text":""}],"previous":null}"#,
            "without this file the node starts with its directory",
        ),
        (
            r#"{"version":1,"generation":1,"digest":"","applied":[{"name":"../a.csv","text":""}],"previous":null}"#,
            "no file of policies",
        ),
    ] {
        whole::replace(&disk, path, record.as_bytes()).unwrap();
        assert!(why(&disk).contains(expected), "{record}: {}", why(&disk));
    }
}

#[test]
fn a_connection_is_what_it_has_shown() {
    let node = node(
        "p, user:a, *, Topic:t, Pub, chan=mtls, allow\np, user:a, *, Topic:u, Pub, chan=tls, allow\n",
    );
    let may = |topic: &str, secure: bool, certificate: Option<&str>| {
        let cx = RequestContext {
            principal: Principal::User("a".into()),
            secure,
            certificate: certificate.map(Into::into),
            ..RequestContext::new(([127, 0, 0, 1], 7).into(), 1, 310)
        };
        let access = Access { action: Action::Pub, resource: Resource::Topic(topic) };
        node.keeper.hook().authorize(&cx, &[access]) == Verdict::Continue
    };
    assert!(may("t", true, Some("a")) && !may("u", true, Some("a")));
    assert!(may("u", true, None) && !may("t", true, None));
    assert!(!may("t", false, None) && !may("u", false, None));
}
