//! ACLs of a node: in force when they are set, over restarts, and never what the set would not load with.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use blockhouse_authz::{Config, File, Files, Keeper, KnownUsers, Parts, Refused};
use blockhouse_disk::{Disk as _, MemDisk, whole};
use blockhouse_hook::{AclError, Hook as _, UserError, Verdict};
use blockhouse_model::{
    Access, Acl, AclEntry, Action, ManualClock, Principal, RequestContext, Resource,
};

const ACLS: &str = "/data/blockhouse/security/acls.json";

struct Node {
    disk: MemDisk,
    keeper: Keeper,
}

fn start(disk: &MemDisk, policies: &str) -> Result<Node, Refused> {
    start_with(disk, policies, Arc::new(|name| name != "nobody"))
}

fn start_with(disk: &MemDisk, policies: &str, is_known: KnownUsers) -> Result<Node, Refused> {
    let config = Config { enabled: true, policies: policies.into(), ..Config::default() };
    let parts = Parts {
        disk: Arc::new(disk.clone()),
        record: "/data/blockhouse/security/policies.json".into(),
        clock: Arc::new(ManualClock::default()),
        is_super: Arc::new(|name| name == "root"),
        is_known,
        cluster: "c".into(),
    };
    Keeper::start(&config, parts).map(|keeper| Node { disk: disk.clone(), keeper })
}

fn alone() -> Node {
    start(&MemDisk::new(), "").unwrap()
}

fn acl(user: &str, topic: &str, decision: &str) -> Acl {
    let entry = AclEntry {
        resource: format!("Topic:{topic}"),
        actions: vec!["Pub".to_owned()],
        decision: decision.to_owned(),
        ..AclEntry::default()
    };
    Acl { subject: format!("User:{user}"), entries: vec![entry] }
}

fn write(disk: &MemDisk, name: &str, text: &str) {
    whole::replace(disk, &Path::new("/etc/p").join(name), text.as_bytes()).unwrap();
}

impl Node {
    /// Why `user` may not send to `topic`; `None` if he may.
    fn denied(&self, user: &str, topic: &str) -> Option<String> {
        let principal = Principal::User(user.into());
        let cx =
            RequestContext { principal, ..RequestContext::new(([127, 0, 0, 1], 7).into(), 1, 310) };
        let access = Access { action: Action::Pub, resource: Resource::Topic(topic) };
        match self.keeper.hook().authorize(&cx, &[access]) {
            Verdict::Continue => None,
            Verdict::Reject(rejection) => Some(rejection.detail.unwrap().to_string()),
        }
    }
}

#[test]
fn an_acl_is_in_force_once_it_is_set_and_after_a_restart() {
    let node = alone();
    assert!(node.denied("alice", "t").unwrap().ends_with("denied by no rule"));
    let first = node.keeper.put_acl(&acl("alice", "t", "Allow")).unwrap();
    assert_eq!((first.acl_entries, first.rules), (1, 0));
    assert_eq!(node.denied("alice", "t"), None);
    assert!(node.denied("bob", "t").is_some());
    assert!(node.disk.is_private(Path::new(ACLS)).unwrap());

    let node = start(&node.disk, "").unwrap();
    assert_eq!(node.denied("alice", "t"), None);
    assert_eq!(node.keeper.report().generation, first.generation);
    let report = node.keeper.put_acl(&acl("alice", "t", "Deny")).unwrap();
    assert_eq!(report.generation, first.generation + 1);
    let detail = node.denied("alice", "t").unwrap();
    assert!(detail.ends_with("denied by ACL User:alice Topic:t"), "{detail}");
    node.keeper.delete_acl("User:alice", "", None).unwrap();
    assert!(node.denied("alice", "t").unwrap().ends_with("denied by no rule"));
    assert_eq!(node.keeper.acl("User:alice").unwrap(), None);

    let node = start(&node.disk, "").unwrap();
    assert!(node.denied("alice", "t").unwrap().ends_with("denied by no rule"));
}

#[test]
fn files_and_acls_change_apart_from_each_other() {
    let disk = MemDisk::new();
    write(&disk, "a.csv", "p, user:bob, *, Topic:t, Pub, -, allow\n");
    let node = start(&disk, "/etc/p").unwrap();
    node.keeper.put_acl(&acl("alice", "t", "Allow")).unwrap();
    let text = "p, user:carol, *, Topic:t, Pub, -, allow\n".to_owned();
    let files = Files::new(vec![File { name: "b.csv".into(), text }]).unwrap();
    let report = node.keeper.apply(&files, false).unwrap();
    assert_eq!((report.rules, report.acl_entries), (1, 1));
    let may = |node: &Node| ["alice", "bob", "carol"].map(|user| node.denied(user, "t").is_none());
    assert_eq!(may(&node), [true, false, true]);
    node.keeper.delete_acl("User:alice", "", Some("Topic:t")).unwrap();
    node.keeper.roll_back().unwrap();
    assert_eq!(may(&node), [false, true, false]);
    node.keeper.put_acl(&acl("alice", "t", "Allow")).unwrap();
    node.keeper.reload().unwrap();
    assert_eq!(may(&node), [true, true, false]);
    let node = start(&node.disk, "/etc/p").unwrap();
    assert_eq!(may(&node), [true, true, false]);
}

#[test]
fn the_tests_of_the_policies_hold_for_acls_too() {
    let disk = MemDisk::new();
    write(&disk, "a.csv", "p, user:bob, *, Topic:t, Pub, -, allow\n");
    let case = "[[case]]\nname = \"nobody sends to the payroll\"\nprincipal = \"user:alice\"\naction = \"Pub\"\nresource = \"Topic:payroll\"\nexpect = \"deny\"\n";
    write(&disk, "tests/a.toml", case);
    let node = start(&disk, "/etc/p").unwrap();
    let refused = node.keeper.put_acl(&acl("alice", "pay*", "Allow")).unwrap_err();
    let text = refused.to_string();
    assert!(
        matches!(refused, AclError::Invalid(_)) && text.contains("ACL User:alice Topic:pay*"),
        "{text}"
    );
    assert!(node.denied("alice", "payroll").is_some());
    assert!(!node.disk.exists(Path::new(ACLS)));
    node.keeper.put_acl(&acl("alice", "t", "Allow")).unwrap();
    // Nor do files come into force that ACLs contradict.
    write(&disk, "tests/a.toml", &case.replace("payroll", "t"));
    let refused = node.keeper.reload().unwrap_err().to_string();
    assert!(refused.contains("ACL User:alice Topic:t"), "{refused}");
    assert_eq!(node.denied("alice", "t"), None);
    let refused = start(&disk, "/etc/p").err().unwrap().to_string();
    assert!(refused.contains(ACLS), "{refused}");
}

#[test]
fn what_is_refused_changes_nothing() {
    let node = alone();
    node.keeper.put_acl(&acl("alice", "t", "Allow")).unwrap();
    let refused = node.keeper.put_acl(&acl("nobody", "t", "Allow")).unwrap_err();
    assert!(matches!(refused, AclError::NoUser(name) if name == "nobody"));
    assert!(matches!(node.keeper.acl("User:nobody"), Err(AclError::NoUser(_))));
    assert!(matches!(node.keeper.delete_acl("User:bob", "", None), Err(AclError::Missing(_))));
    node.keeper.put_acl(&acl("alice", "u", "Perhaps")).unwrap_err();
    node.disk.fail_writes(true);
    let refused = node.keeper.put_acl(&acl("alice", "u", "Allow")).unwrap_err();
    assert!(matches!(refused, AclError::NotSaved(_)), "{refused}");
    assert!(node.denied("alice", "u").is_some() && node.denied("alice", "t").is_none());
    assert_eq!(node.keeper.acls("", "").len(), 1);
    let counts = node.keeper.counts();
    assert_eq!((counts.done, counts.refused), (1, 4));
}

#[test]
fn a_directory_without_rules_is_refused_as_ever() {
    let disk = MemDisk::new();
    write(&disk, "a.csv", "");
    let refused = start(&disk, "/etc/p").err().unwrap().to_string();
    assert!(refused.contains("no rule at all"), "{refused}");
    let config = Config { enabled: true, ..Config::default() };
    assert!(config.validate(false).is_err() && config.validate(true).is_ok());
}

/// Nothing asks for it: an entry that denied it would deny nothing. What an older version took is still read.
#[test]
fn a_namespace_is_refused_when_it_is_set_and_not_when_it_is_read() {
    let node = alone();
    node.keeper.put_acl(&acl("alice", "t", "Allow")).unwrap();
    let mut of_namespace = acl("alice", "t", "Deny");
    of_namespace.entries[0].resource = "namespace:ns*".to_owned();
    let refused = node.keeper.put_acl(&of_namespace).unwrap_err();
    assert!(matches!(&refused, AclError::Invalid(why) if why.contains("Namespace")), "{refused}");
    assert_eq!(node.denied("alice", "t"), None);
    let old = whole::read(&node.disk, Path::new(ACLS)).unwrap().unwrap();
    let old = String::from_utf8(old).unwrap().replace("Topic:t", "Namespace:ns");
    whole::replace(&node.disk, Path::new(ACLS), old.as_bytes()).unwrap();
    let node = start(&node.disk, "").unwrap();
    assert!(node.denied("alice", "t").is_some());
}

/// A node with `alice`, who has an ACL, and whether she is there.
fn with_alice() -> (Node, Arc<AtomicBool>) {
    let there = Arc::new(AtomicBool::new(true));
    let node = start_with(&MemDisk::new(), "", known(&there)).unwrap();
    node.keeper.put_acl(&acl("alice", "t", "Allow")).unwrap();
    (node, there)
}

fn known(there: &Arc<AtomicBool>) -> KnownUsers {
    let there = Arc::clone(there);
    Arc::new(move |name| name != "alice" || there.load(Ordering::SeqCst))
}

#[test]
fn a_user_who_stays_keeps_its_acl_whatever_keeps_it() {
    let (node, _) = with_alice();
    let refused =
        node.keeper.delete_user("alice", || Ok(()), || Err(UserError::Forbidden("not her")));
    assert!(matches!(refused, Err(UserError::Forbidden(_))), "{refused:?}");
    assert_eq!(node.denied("alice", "t"), None);
    assert_eq!(start(&node.disk, "").unwrap().denied("alice", "t"), None, "nor on the disk");
}

#[test]
fn a_user_whose_acl_the_tests_need_stays() {
    let disk = MemDisk::new();
    write(&disk, "a.csv", "p, user:bob, *, Topic:t, Pub, -, allow\n");
    let node = start(&disk, "/etc/p").unwrap();
    node.keeper.put_acl(&acl("alice", "t", "Allow")).unwrap();
    let case = "[[case]]\nname = \"alice\"\nprincipal = \"user:alice\"\naction = \"Pub\"\nresource = \"Topic:t\"\nexpect = \"allow\"\n";
    write(&disk, "tests/a.toml", case);
    node.keeper.reload().unwrap();
    // Who may not delete her does not hear what is in the policies, and has them not compiled.
    let not_hers = || Err(UserError::Forbidden("not her"));
    let refused = node.keeper.delete_user("alice", not_hers, || panic!("she would be gone"));
    assert!(matches!(refused, Err(UserError::Forbidden(_))), "{refused:?}");
    assert_eq!(node.keeper.counts().refused, 0, "the set was compiled");
    let refused = node.keeper.delete_user("alice", || Ok(()), || panic!("she would be gone"));
    assert!(matches!(refused, Err(UserError::Acl(AclError::Invalid(_)))), "{refused:?}");
    assert_eq!(node.keeper.counts().refused, 1);
    assert_eq!(node.denied("alice", "t"), None);
}

#[test]
fn who_looks_at_acls_does_not_wait_for_a_change() {
    let node = alone();
    node.keeper.put_acl(&acl("alice", "t", "Allow")).unwrap();
    let (tell, told) = mpsc::sync_channel(1);
    std::thread::scope(|scope| {
        // As when the disk hangs: this change does not end before the look has.
        let create = || {
            scope.spawn(|| {
                let found = node.keeper.acl("User:alice").unwrap().is_some();
                tell.send((found, node.keeper.acls("", "").len()))
            });
            assert_eq!(told.recv_timeout(Duration::from_secs(20)), Ok((true, 1)));
            Ok(())
        };
        node.keeper.create_user("bob", create).unwrap();
    });
}

/// Deleting an ACL is for who may change policies, and this one may be that of a certificate.
#[test]
fn an_acl_that_is_left_by_a_disk_stays_until_somebody_deletes_it_and_no_user_gets_it() {
    let (node, there) = with_alice();
    let disk = node.disk.clone();
    let leave = || {
        there.store(false, Ordering::SeqCst);
        disk.fail_writes(true);
        Ok(())
    };
    let left = node.keeper.delete_user("alice", || Ok(()), leave);
    assert!(matches!(left, Err(UserError::AclLeft(AclError::NotSaved(_)))), "{left:?}");
    disk.fail_writes(false);
    let gone =
        node.keeper.delete_user("alice", || Ok(()), || Err(UserError::Missing("alice".to_owned())));
    assert!(matches!(gone, Err(UserError::Missing(_))), "{gone:?}");
    assert_eq!(node.denied("alice", "t"), None, "who has no account loses rights");
    let refused = node.keeper.create_user("alice", || panic!("she would have the ACL"));
    let told = |why: &str| why.contains("deleteAcl -s User:alice");
    assert!(matches!(&refused, Err(UserError::Invalid(why)) if told(why)), "{refused:?}");
    assert_eq!(node.denied("alice", "t"), None, "who has no account loses rights");
    node.keeper.delete_acl("User:alice", "", None).unwrap();
    node.keeper.create_user("alice", || Ok(())).unwrap();
    assert!(node.denied("alice", "t").is_some());
}

#[test]
fn who_gets_the_name_of_a_user_who_is_gone_does_not_get_the_rights() {
    let (node, there) = with_alice();
    there.store(false, Ordering::SeqCst);
    // After a restart, too, as after a kill between the two writes.
    let node = start_with(&node.disk, "", known(&there)).unwrap();
    let refused = node.keeper.create_user("alice", || panic!("she would have the ACL"));
    assert!(matches!(refused, Err(UserError::Invalid(_))), "{refused:?}");
    node.keeper.delete_acl("User:alice", "", None).unwrap();
    let create = || {
        there.store(true, Ordering::SeqCst);
        Ok(())
    };
    node.keeper.create_user("alice", create).unwrap();
    assert!(node.denied("alice", "t").is_some());
    assert!(start(&node.disk, "").unwrap().denied("alice", "t").is_some());
    // Who is there keeps hers when somebody would make her again.
    node.keeper.put_acl(&acl("alice", "t", "Allow")).unwrap();
    let twice = node.keeper.create_user("alice", || Err(UserError::Exists("alice".to_owned())));
    assert!(matches!(twice, Err(UserError::Exists(_))), "{twice:?}");
    assert_eq!(node.denied("alice", "t"), None);
}
