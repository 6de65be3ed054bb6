//! Users of a name server.

use std::sync::Arc;

use blockhouse_hook::{
    AclError, Acls, AuditEvent, AuditKind, Auditor, Credentials, Hook, Identity, Point, Points,
    User, UserChange, UserError, UserKind, UserStep, Users,
};
use blockhouse_model::{Acl, Principal, RequestContext};
use blockhouse_namesrv_remoting::{Registration, Settings};
use blockhouse_protocol::codes::{request_code, response_code};
use parking_lot::Mutex;

use super::bench::Bench;

/// Everybody may delete `alice`, and nobody `root`. What is done is noted.
#[derive(Default)]
struct Two(Mutex<Vec<String>>);

impl Users for Two {
    fn find(&self, name: &str) -> Option<User> {
        Some(User { name: name.into(), kind: UserKind::Normal, enabled: true })
    }

    fn list(&self, _: &str) -> Vec<User> {
        Vec::new()
    }

    fn create(&self, _: &Principal, user: &UserChange<'_>) -> Result<(), UserError> {
        self.0.lock().push(format!("create {}", user.name));
        Ok(())
    }

    fn update(&self, _: &Principal, change: &UserChange<'_>) -> Result<(), UserError> {
        Err(UserError::Missing(change.name.to_owned()))
    }

    fn may_delete(&self, _: &Principal, name: &str) -> Result<(), UserError> {
        if name == "root" { Err(UserError::Forbidden("not root")) } else { Ok(()) }
    }

    fn delete(&self, by: &Principal, name: &str) -> Result<(), UserError> {
        self.may_delete(by, name)?;
        self.0.lock().push(format!("delete {name}"));
        Ok(())
    }

    fn is_super(&self, who: &Principal) -> bool {
        *who != Principal::User("mallory".into())
    }
}

impl Acls for Two {
    fn find(&self, subject: &str) -> Result<Option<Acl>, AclError> {
        Err(AclError::NoUser(subject.to_owned()))
    }

    fn list(&self, _: &str, _: &str) -> Vec<Acl> {
        Vec::new()
    }

    fn put(&self, _: &RequestContext, acl: &Acl) -> Result<(), AclError> {
        Err(AclError::NoUser(acl.subject.clone()))
    }

    fn delete(
        &self,
        _: &RequestContext,
        subject: &str,
        _: &str,
        _: Option<&str>,
    ) -> Result<(), AclError> {
        Err(AclError::NoUser(subject.to_owned()))
    }

    fn create_user(&self, user: &str, create: UserStep<'_>) -> Result<(), UserError> {
        self.0.lock().push(format!("look for the ACL of {user}"));
        create()
    }

    fn delete_user(
        &self,
        _: &RequestContext,
        user: &str,
        may: UserStep<'_>,
        delete: UserStep<'_>,
    ) -> Result<(), UserError> {
        may()?;
        delete()?;
        self.0.lock().push(format!("forget {user}"));
        Ok(())
    }
}

#[test]
fn who_stays_keeps_its_acl_and_who_is_new_has_none() {
    let two = Arc::new(Two::default());
    let who = (Arc::clone(&two) as _, Arc::clone(&two) as _);
    let bench = Bench::administering(Settings::default(), &[], Registration::default(), Some(who));
    let delete = |name| bench.ask(request_code::AUTH_DELETE_USER, &[("username", name)], b"").code;
    assert_eq!(delete("root"), response_code::NO_PERMISSION);
    assert!(two.0.lock().is_empty(), "the ACL of who stays is gone");
    assert_eq!(delete("alice"), response_code::SUCCESS);
    let create = (request_code::AUTH_CREATE_USER, &[("username", "alice")]);
    let body = br#"{"username":"alice","password":"p"}"#;
    assert_eq!(bench.ask(create.0, create.1, body).code, response_code::SUCCESS);
    let noted = ["delete alice", "forget alice", "look for the ACL of alice", "create alice"];
    assert_eq!(*two.0.lock(), noted);
}

/// Believes everybody's name, and keeps in words what it is told of commands.
#[derive(Default)]
struct Sink(Mutex<Vec<String>>);

impl Hook for Sink {
    fn name(&self) -> &'static str {
        "sink"
    }

    fn points(&self) -> Points {
        Points::NONE.with(Point::Authenticate).with(Point::AuditSink)
    }

    fn authenticate(&self, _: &RequestContext, credentials: &Credentials<'_>) -> Identity {
        Identity::Known(Principal::User(credentials.access_key.into()))
    }

    fn audit(&self, events: &[AuditEvent]) {
        for event in events.iter().filter(|event| event.kind == AuditKind::AdminCommand) {
            let AuditEvent { outcome, action, resource, .. } = event;
            self.0.lock().push(format!("{outcome:?} {} {action} {resource}", event.user()));
        }
    }
}

#[test]
fn what_nothing_comes_of_is_told_as_refused() {
    let two = Arc::new(Two::default());
    let who = (Arc::clone(&two) as _, Arc::clone(&two) as _);
    let sink = Arc::new(Sink::default());
    let hooks = [Arc::clone(&sink) as _];
    let bench =
        Bench::administering(Settings::default(), &hooks, Registration::default(), Some(who));
    bench.hooks.audit_with(&Arc::new(Auditor::new(Arc::clone(&bench.clock) as _)));
    let (create, delete, list) = (
        request_code::AUTH_CREATE_USER,
        request_code::AUTH_DELETE_USER,
        request_code::AUTH_LIST_USER,
    );
    for (who, request, name, expected) in [
        // Who is nobody to administer users was never allowed to.
        ("mallory", create, "bob", vec!["Refused mallory AUTH_CREATE_USER bob"]),
        ("mallory", list, "", vec!["Refused mallory AUTH_LIST_USER "]),
        ("ann", create, "bob", vec!["Allowed ann AUTH_CREATE_USER bob"]),
        (
            "ann",
            delete,
            "root",
            vec!["Allowed ann AUTH_DELETE_USER root", "Refused ann AUTH_DELETE_USER root"],
        ),
        (
            "ann",
            request_code::UPDATE_NAMESRV_CONFIG,
            "",
            vec!["Allowed ann UPDATE_NAMESRV_CONFIG ", "Refused ann UPDATE_NAMESRV_CONFIG "],
        ),
    ] {
        let fields = [("AccessKey", who), ("username", name)];
        bench.ask(request, &fields, br#"{"username":"bob","password":"p"}"#);
        let told: Vec<String> = std::mem::take(&mut sink.0.lock());
        assert_eq!(told, expected, "{who} {request} {name}");
    }
}

#[test]
fn without_authentication_and_policies_there_are_no_users_and_no_acls_whatever_is_said_of_them() {
    let bench = Bench::new();
    for code in [
        request_code::AUTH_CREATE_USER,
        request_code::AUTH_UPDATE_USER,
        request_code::AUTH_DELETE_USER,
        request_code::AUTH_GET_USER,
        request_code::AUTH_LIST_USER,
        request_code::AUTH_CREATE_ACL,
        request_code::AUTH_UPDATE_ACL,
        request_code::AUTH_DELETE_ACL,
        request_code::AUTH_GET_ACL,
        request_code::AUTH_LIST_ACL,
    ] {
        let fields: [&[(&str, &str)]; 3] = [&[], &[("username", "u")], &[("subject", "User:u")]];
        for fields in fields {
            let answer = bench.ask(code, fields, b"");
            assert_eq!(answer.code, response_code::REQUEST_CODE_NOT_SUPPORTED, "{code}");
        }
    }
}
