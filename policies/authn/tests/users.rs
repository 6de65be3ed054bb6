//! Users over their life: made, changed, saved, read again, and what their signatures prove.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test")]

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use blockhouse_authn::{Authn, Config, SigningKey, UserTable, users};
use blockhouse_disk::{Disk, MemDisk, whole};
use blockhouse_hook::{
    ConnectionInfo, Credentials, Hook, Identity, UserChange, UserError, UserKind, Users, Verdict,
};
use blockhouse_model::{Principal, RequestContext};

const DATA: &str = "/data";
const SEND: i32 = 310;
const REGISTER_BROKER: i32 = 103;

struct Node {
    disk: Arc<MemDisk>,
    config: Config,
}

impl Node {
    fn new() -> Self {
        let disk = Arc::new(MemDisk::new());
        whole::replace(&*disk, Path::new("/etc/admin"), b"admin:canary-admin\n").unwrap();
        let config = Config {
            enabled: true,
            key_file: "/etc/users.key".to_owned(),
            initial_user_file: "/etc/admin".to_owned(),
            ..Config::default()
        };
        Self { disk, config }
    }

    fn open(&self) -> Result<UserTable, String> {
        let disk = Arc::clone(&self.disk) as Arc<dyn Disk>;
        UserTable::open(&self.config, disk, Path::new(DATA)).map_err(|e| e.to_string())
    }

    fn file(&self) -> String {
        let bytes = whole::read(&*self.disk, &users::path(Path::new(DATA))).unwrap().unwrap();
        String::from_utf8(bytes).unwrap()
    }

    fn put(&self, text: &str) {
        whole::replace(&*self.disk, &users::path(Path::new(DATA)), text.as_bytes()).unwrap();
    }
}

fn admin() -> Principal {
    Principal::User("admin".into())
}

fn change<'a>(name: &'a str, secret: Option<&'a str>) -> UserChange<'a> {
    UserChange { name, secret, kind: None, enabled: None }
}

fn hook(config: Config) -> (Authn, Arc<UserTable>) {
    let node = Node { config, ..Node::new() };
    let table = Arc::new(node.open().unwrap());
    table.create(&admin(), &change("alice", Some("canary-alice"))).unwrap();
    (Authn::new(&node.config, Arc::clone(&table)), table)
}

fn plain() -> Config {
    Node::new().config
}

struct From {
    peer: &'static str,
    connection: u64,
    code: i32,
    secure: bool,
    certificate: Option<&'static str>,
}

const HERE: From =
    From { peer: "127.0.0.1:5", connection: 1, code: SEND, secure: false, certificate: None };

fn ask(hook: &Authn, from: &From, name: &str, secret: &str) -> Result<String, String> {
    let (fields, body) = (b"fields".as_slice(), b"body".as_slice());
    let signature = SigningKey::new(secret.as_bytes()).sign(fields, body);
    let signature = if name.is_empty() { String::new() } else { signature };
    let peer: SocketAddr = from.peer.parse().unwrap();
    let mut cx = RequestContext::new(peer, from.connection, from.code);
    cx.secure = from.secure;
    cx.certificate = from.certificate.map(Into::into);
    let credentials =
        Credentials { access_key: name, signature: &signature, signed_fields: fields, body };
    match hook.authenticate(&cx, &credentials) {
        Identity::Known(Principal::User(name)) => Ok(name.to_string()),
        Identity::Known(other) => panic!("{other:?}"),
        Identity::Unknown => Ok("anonymous".to_owned()),
        Identity::Refused(rejection) => {
            assert_eq!(rejection.code, None);
            Err(rejection.reason.into_owned())
        }
    }
}

fn counted(hook: &Authn) -> Vec<(&'static str, u64)> {
    hook.counts().read().filter(|(_, count)| *count > 0).collect()
}

#[test]
fn users_are_there_again_after_a_restart_and_their_secrets_are_not_in_the_file() {
    let node = Node::new();
    let table = node.open().unwrap();
    table.create(&admin(), &change("alice", Some("canary-alice"))).unwrap();
    let off = UserChange { enabled: Some(false), ..change("alice", None) };
    table.update(&admin(), &off).unwrap();
    assert!(!node.file().contains("canary"));
    assert!(!format!("{:?}", change("alice", Some("canary-alice"))).contains("canary"));
    assert!(node.open().err().unwrap().contains("another process"), "the file has one owner");
    drop(table);

    let again = node.open().unwrap();
    let names: Vec<_> = again.list("").iter().map(|u| (u.name.to_string(), u.enabled)).collect();
    assert_eq!(names, [("admin".to_owned(), true), ("alice".to_owned(), false)]);
    assert_eq!(again.list("lic").len(), 1);
    assert!(again.is_super(&admin()));
    assert!(!again.is_super(&Principal::Anonymous));
    // Enabled again, it has its old secret.
    let on = UserChange { enabled: Some(true), ..change("alice", None) };
    again.update(&admin(), &on).unwrap();
    let hook = Authn::new(&node.config, Arc::new(again));
    assert_eq!(ask(&hook, &HERE, "alice", "canary-alice"), Ok("alice".to_owned()));
}

#[test]
fn an_edited_file_and_another_key_are_refused() {
    let node = Node::new();
    node.open().unwrap().create(&admin(), &change("alice", Some("canary-alice"))).unwrap();
    let good = node.file();
    for (from, to) in [
        ("\"type\": \"Normal\"", "\"type\": \"Super\""),
        ("\"name\": \"alice\"", "\"name\": \"bob\""),
        ("\"status\": \"enable\"", "\"status\": \"disable\""),
    ] {
        let edited = good.replace(from, to);
        assert_ne!(edited, good);
        node.put(&edited);
        let error = node.open().err().unwrap();
        assert!(error.contains("cannot be opened"), "{error}");
    }
    node.put("{\"version\":1,\"users\":[{\"name\":\"canary\"}]}");
    let error = node.open().err().unwrap();
    assert!(error.contains("is no file of users") && !error.contains("canary"), "{error}");
    node.put(&good.replace("\"version\": 1", "\"version\": 2"));
    assert!(node.open().err().unwrap().contains("version 2"));

    node.put(&good);
    node.disk.remove(Path::new("/etc/users.key")).unwrap();
    assert!(node.open().is_err(), "no new key for users that are there");
    assert!(!node.disk.exists(Path::new("/etc/users.key")));
}

#[test]
fn the_key_does_not_lie_beside_what_it_seals() {
    let mut node = Node::new();
    node.config.key_file = "/data/blockhouse/users.key".to_owned();
    assert!(node.open().err().unwrap().contains("data directory"));
    assert_eq!(node.disk.paths(), [PathBuf::from("/etc/admin")]);
}

#[test]
fn only_super_users_administer_super_users_and_one_stays() {
    let table = Node::new().open().unwrap();
    let alice = Principal::User("alice".into());
    table.create(&admin(), &change("alice", Some("canary-alice"))).unwrap();
    let make = UserChange { kind: Some(UserKind::Super), ..change("eve", Some("canary-eve")) };
    for by in [&alice, &Principal::Anonymous, &Principal::Plugin("plugin:p".into())] {
        assert!(matches!(table.create(by, &make), Err(UserError::Forbidden(_))));
        let rise = UserChange { kind: Some(UserKind::Super), ..change("alice", None) };
        assert!(matches!(table.update(by, &rise), Err(UserError::Forbidden(_))));
        let reset = change("admin", Some("another-secret"));
        assert!(matches!(table.update(by, &reset), Err(UserError::Forbidden(_))));
        assert!(matches!(table.may_delete(by, "admin"), Err(UserError::Forbidden(_))));
        assert!(matches!(table.delete(by, "admin"), Err(UserError::Forbidden(_))));
    }
    let last = [
        table.may_delete(&admin(), "admin"),
        table.delete(&admin(), "admin"),
        table.update(&admin(), &UserChange { enabled: Some(false), ..change("admin", None) }),
        table.update(
            &admin(),
            &UserChange { kind: Some(UserKind::Normal), ..change("admin", None) },
        ),
    ];
    for refused in last {
        assert!(refused.unwrap_err().to_string().contains("last Super user"));
    }
    table.create(&admin(), &make).unwrap();
    table.may_delete(&admin(), "admin").unwrap();
    assert!(table.find("admin").is_some(), "whether it may be was asked, and it was");
    table.delete(&admin(), "admin").unwrap();
}

#[test]
fn what_cannot_be_is_refused_and_a_change_that_is_not_saved_is_not_in_force() {
    let node = Node::new();
    let table = node.open().unwrap();
    for name in ["", "a b", "a:b", "user\n", "$node", "plugin:p", &"x".repeat(65)] {
        let refused = table.create(&admin(), &change(name, Some("canary-secret")));
        assert!(matches!(refused, Err(UserError::Invalid(_))), "{name:?}");
    }
    for secret in [None, Some("short"), Some("with\nnewline")] {
        assert!(matches!(table.create(&admin(), &change("a", secret)), Err(UserError::Invalid(_))));
    }
    assert!(matches!(
        table.create(&admin(), &change("admin", Some("canary-secret"))),
        Err(UserError::Exists(_))
    ));
    assert!(matches!(table.update(&admin(), &change("a", None)), Err(UserError::Missing(_))));
    assert!(matches!(table.may_delete(&admin(), "a"), Err(UserError::Missing(_))));
    assert!(matches!(table.delete(&admin(), "a"), Err(UserError::Missing(_))));
    node.disk.fail_writes(true);
    let refused = table.create(&admin(), &change("a", Some("canary-secret")));
    assert!(matches!(refused, Err(UserError::NotSaved(_))));
    assert_eq!(table.find("a"), None);
}

#[test]
fn unknown_wrong_and_disabled_are_told_the_same() {
    let (hook, table) = hook(plain());
    assert_eq!(ask(&hook, &HERE, "alice", "canary-alice"), Ok("alice".to_owned()));
    let wrong = ask(&hook, &HERE, "alice", "another-secret").unwrap_err();
    let unknown = ask(&hook, &HERE, "nobody", "canary-alice").unwrap_err();
    let off = UserChange { enabled: Some(false), ..change("alice", None) };
    table.update(&admin(), &off).unwrap();
    // The connection was hers already.
    let disabled = ask(&hook, &HERE, "alice", "canary-alice").unwrap_err();
    assert_eq!((&wrong, &wrong), (&unknown, &disabled));
    assert_eq!(
        counted(&hook),
        [("ok", 1), ("unknown_user", 1), ("bad_signature", 1), ("disabled", 1)]
    );
    let reset = UserChange { enabled: Some(true), ..change("alice", Some("canary-second")) };
    table.update(&admin(), &reset).unwrap();
    assert!(ask(&hook, &HERE, "alice", "canary-alice").is_err());
    assert_eq!(ask(&hook, &HERE, "alice", "canary-second"), Ok("alice".to_owned()));
}

#[test]
fn without_credentials_one_is_anonymous_only_where_that_is_allowed() {
    let (strict, _) = hook(plain());
    assert!(ask(&strict, &HERE, "", "").unwrap_err().contains("signed requests only"));
    let (open, _) = hook(Config { required: false, ..plain() });
    assert_eq!(ask(&open, &HERE, "", ""), Ok("anonymous".to_owned()));
    // What brokers say is never anonymous.
    let broker = From { code: REGISTER_BROKER, ..HERE };
    assert!(ask(&open, &broker, "", "").is_err());
    assert_eq!(counted(&open), [("anonymous", 1), ("missing", 1)]);
}

#[test]
fn a_connection_stays_with_its_first_user_until_it_ends() {
    let (hook_, _) = hook(plain());
    // What proves nothing binds nothing.
    assert!(ask(&hook_, &HERE, "admin", "wrong-secret").is_err());
    assert_eq!(ask(&hook_, &HERE, "alice", "canary-alice"), Ok("alice".to_owned()));
    assert!(ask(&hook_, &HERE, "admin", "canary-admin").unwrap_err().contains("another user's"));
    let other = From { connection: 2, ..HERE };
    assert_eq!(ask(&hook_, &other, "admin", "canary-admin"), Ok("admin".to_owned()));
    let address = HERE.peer.parse().unwrap();
    hook_.connection_closed(&ConnectionInfo {
        id: 1,
        peer: address,
        local: address,
        secure: false,
    });
    assert_eq!(ask(&hook_, &HERE, "admin", "canary-admin"), Ok("admin".to_owned()));

    let (proxy, _) = hook(Config { rebind: true, ..plain() });
    assert_eq!(ask(&proxy, &HERE, "alice", "canary-alice"), Ok("alice".to_owned()));
    assert_eq!(ask(&proxy, &HERE, "admin", "canary-admin"), Ok("admin".to_owned()));
}

#[test]
fn access_keys_from_elsewhere_come_encrypted() {
    let (strict, _) = hook(plain());
    let far = From { peer: "10.0.0.7:5", ..HERE };
    assert!(ask(&strict, &far, "alice", "canary-alice").unwrap_err().contains("use TLS"));
    for near in [From { secure: true, ..far }, From { peer: "[::ffff:127.0.0.1]:5", ..HERE }] {
        assert_eq!(ask(&strict, &near, "alice", "canary-alice"), Ok("alice".to_owned()));
    }
    let (open, _) = hook(Config { allow_plaintext: true, ..plain() });
    let far = From { peer: "10.0.0.7:5", ..HERE };
    assert_eq!(ask(&open, &far, "alice", "canary-alice"), Ok("alice".to_owned()));
}

#[test]
fn brokers_are_super_users() {
    let (hook_, table) = hook(plain());
    let broker = From { code: REGISTER_BROKER, ..HERE };
    assert!(ask(&hook_, &broker, "alice", "canary-alice").unwrap_err().contains("Super"));
    let other = From { connection: 2, ..broker };
    assert_eq!(ask(&hook_, &other, "admin", "canary-admin"), Ok("admin".to_owned()));
    let node = table.in_process().unwrap();
    let own = From { connection: 3, ..broker };
    assert_eq!(ask(&hook_, &own, &node.name, node.secret.expose()), Ok("$node".to_owned()));
    assert!(table.list("").iter().all(|user| *user.name != *node.name));
    assert!(matches!(table.delete(&admin(), "$node"), Err(UserError::Missing(_))));
    assert!(matches!(table.update(&admin(), &change("$node", None)), Err(UserError::Missing(_))));

    let policy = Config { node_requests: blockhouse_authn::NodeRequests::Policy, ..plain() };
    let (hook_, _) = hook(policy);
    assert_eq!(ask(&hook_, &broker, "alice", "canary-alice"), Ok("alice".to_owned()));
}

#[test]
fn a_certificate_needs_no_access_key() {
    let (hook_, table) = hook(plain());
    let of = |name| From { certificate: Some(name), secure: true, ..HERE };
    assert_eq!(ask(&hook_, &of("stranger"), "", ""), Ok("stranger".to_owned()));
    assert_eq!(ask(&hook_, &of("alice"), "", ""), Ok("alice".to_owned()));
    table.update(&admin(), &UserChange { enabled: Some(false), ..change("alice", None) }).unwrap();
    assert!(ask(&hook_, &of("alice"), "", "").is_err());
    let node = |name| From { code: REGISTER_BROKER, ..of(name) };
    assert!(ask(&hook_, &node("stranger"), "", "").unwrap_err().contains("Super"));
    assert_eq!(ask(&hook_, &node("admin"), "", ""), Ok("admin".to_owned()));
    assert_eq!(counted(&hook_), [("certificate", 3), ("disabled", 1), ("not_super", 1)]);
}

#[test]
fn a_certificate_makes_nobody_the_super_user_who_lives_in_the_process() {
    let (hook, table) = hook(plain());
    let node = table.in_process().unwrap();
    let certified = From { certificate: Some("$node"), secure: true, ..HERE };
    for code in [SEND, REGISTER_BROKER] {
        assert!(ask(&hook, &From { code, ..certified }, "", "").is_err(), "{code}");
    }
    assert_eq!(counted(&hook), [("unknown_user", 2)]);
    let own = From { connection: 2, code: REGISTER_BROKER, ..HERE };
    assert_eq!(ask(&hook, &own, &node.name, node.secret.expose()), Ok("$node".to_owned()));
}

#[test]
fn why_somebody_is_refused_is_for_the_audit_alone() {
    let (hook, table) = hook(plain());
    table.create(&admin(), &change("off", Some("canary-alice"))).unwrap();
    let off = UserChange { enabled: Some(false), ..change("off", None) };
    table.update(&admin(), &off).unwrap();
    let refused = |name: &str, secret: &str| {
        let (fields, body) = (b"fields".as_slice(), b"body".as_slice());
        let signature = SigningKey::new(secret.as_bytes()).sign(fields, body);
        let cx = RequestContext::new(HERE.peer.parse().unwrap(), HERE.connection, SEND);
        let credentials =
            Credentials { access_key: name, signature: &signature, signed_fields: fields, body };
        match hook.authenticate(&cx, &credentials) {
            Identity::Refused(rejection) => (rejection.reason, rejection.detail.unwrap()),
            other => panic!("{other:?}"),
        }
    };
    let all = [
        refused("nobody", "canary-alice"),
        refused("alice", "another-secret"),
        refused("off", "canary-alice"),
    ];
    let reasons = all.each_ref().map(|(_, detail)| &**detail);
    assert_eq!(reasons, ["unknown user", "wrong signature", "the user is disabled"]);
    assert!(all.iter().all(|(told, _)| *told == all[0].0), "{all:?}");
}

/// The context of a request that alice has signed.
fn proved(hook: &Authn, connection: u64, secret: &str) -> RequestContext {
    let signature = SigningKey::new(secret.as_bytes()).sign(b"", b"");
    let mut cx = RequestContext::new(HERE.peer.parse().unwrap(), connection, SEND);
    let credentials =
        Credentials { access_key: "alice", signature: &signature, signed_fields: b"", body: b"" };
    let Identity::Known(principal) = hook.authenticate(&cx, &credentials) else {
        panic!("alice is not known");
    };
    cx.principal = principal;
    cx
}

#[test]
fn who_waits_is_known_until_the_user_is_disabled_deleted_or_has_another_secret() {
    let enabled = |is| UserChange { enabled: Some(is), ..change("alice", None) };
    let stands = |hook: &Authn, cx: &RequestContext| hook.reaffirm(cx) == Verdict::Continue;
    for rebind in [false, true] {
        let (hook, table) = hook(Config { rebind, ..plain() });
        let told = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&told);
        table.when_changed(Box::new(move || {
            counted.fetch_add(1, Ordering::SeqCst);
        }));
        let first = proved(&hook, 1, "canary-alice");
        table.create(&admin(), &change("bob", Some("canary-bob"))).unwrap();
        table
            .update(&admin(), &UserChange { kind: Some(UserKind::Super), ..enabled(true) })
            .unwrap();
        assert!(stands(&hook, &first), "neither changes what she proved");

        table.update(&admin(), &enabled(false)).unwrap();
        assert!(!stands(&hook, &first));
        table.update(&admin(), &enabled(true)).unwrap();
        assert!(!stands(&hook, &first), "what was taken back does not come back by itself");
        let second = proved(&hook, 1, "canary-alice");
        assert!(stands(&hook, &second));

        table.update(&admin(), &change("alice", Some("canary-other"))).unwrap();
        assert!(!stands(&hook, &second));
        let third = proved(&hook, 1, "canary-other");
        assert!(stands(&hook, &third) && !stands(&hook, &second));

        table.delete(&admin(), "alice").unwrap();
        assert!(!stands(&hook, &third));
        table.create(&admin(), &change("alice", Some("canary-other"))).unwrap();
        assert!(!stands(&hook, &third), "another user of the same name");
        assert_eq!(told.load(Ordering::SeqCst), 7, "each change is told");
    }
}

#[test]
fn a_connection_whose_user_is_revoked_is_nobodys() {
    let (hook, table) = hook(plain());
    let _alice = proved(&hook, 1, "canary-alice");
    assert!(ask(&hook, &HERE, "admin", "canary-admin").is_err());
    table.delete(&admin(), "alice").unwrap();
    assert_eq!(ask(&hook, &HERE, "admin", "canary-admin"), Ok("admin".to_owned()));
    table.create(&admin(), &change("alice", Some("canary-alice"))).unwrap();
    assert!(ask(&hook, &HERE, "alice", "canary-alice").is_err(), "it is admin's now");
}

#[test]
fn a_certificate_waits_until_its_user_is_disabled() {
    let (hook, table) = hook(plain());
    let mut cx = RequestContext::new(HERE.peer.parse().unwrap(), 1, SEND);
    cx.certificate = Some("alice".into());
    cx.principal = Principal::User("alice".into());
    table.update(&admin(), &change("alice", Some("canary-other"))).unwrap();
    assert_eq!(hook.reaffirm(&cx), Verdict::Continue, "a secret is not what she showed");
    table.update(&admin(), &UserChange { enabled: Some(false), ..change("alice", None) }).unwrap();
    assert_ne!(hook.reaffirm(&cx), Verdict::Continue);
}
