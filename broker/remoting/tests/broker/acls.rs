//! ACLs by their request codes.

use std::sync::Arc;

use blockhouse_hook::{AclError, Acls, UserError, UserStep};
use blockhouse_meter::Meter;
use blockhouse_model::{Acl, AclEntry, RequestContext};
use blockhouse_protocol::codes::{request_code, response_code as code};
use blockhouse_protocol::{ExtWriter, RemotingCommand, RequestHead, encode, frame};
use blockhouse_remoting::{Node, Remoting};
use blockhouse_transport::{Connection, Replies, Service as _};
use bytes::BytesMut;
use parking_lot::Mutex;

use super::support::World;

/// Takes what it is told, and notes it in words. `User:nobody` is nobody, `User:none` has no ACL.
#[derive(Default)]
struct Noted(Mutex<Vec<String>>);

fn alice() -> Acl {
    let entry = |resource: &str, policy_type: &str| AclEntry {
        policy_type: policy_type.to_owned(),
        resource: resource.to_owned(),
        actions: vec!["Pub".to_owned(), "Sub".to_owned()],
        source_ips: Vec::new(),
        decision: "Allow".to_owned(),
    };
    let with_ip =
        AclEntry { source_ips: vec!["10.0.0.0/8".to_owned()], ..entry("Topic:b", "Custom") };
    let entries = vec![entry("Topic:a", "Custom"), entry("*", "Default"), with_ip];
    Acl { subject: "User:alice".to_owned(), entries }
}

impl Acls for Noted {
    fn find(&self, subject: &str) -> Result<Option<Acl>, AclError> {
        match subject {
            "User:alice" => Ok(Some(alice())),
            "User:none" => Ok(None),
            _ => Err(AclError::NoUser(subject.to_owned())),
        }
    }

    fn list(&self, subject_filter: &str, resource_filter: &str) -> Vec<Acl> {
        self.0.lock().push(format!("list {subject_filter:?} {resource_filter:?}"));
        if subject_filter == "none" { Vec::new() } else { vec![alice(), alice()] }
    }

    fn put(&self, cx: &RequestContext, acl: &Acl) -> Result<(), AclError> {
        match &*acl.subject {
            "User:nobody" => return Err(AclError::NoUser("nobody".to_owned())),
            "User:far" => return Err(AclError::Forbidden("from here".to_owned())),
            "User:disk" => return Err(AclError::NotSaved("full".to_owned())),
            _ => {}
        }
        let words = acl.entries.iter().map(|entry| {
            let AclEntry { policy_type, resource, actions, source_ips, decision } = entry;
            format!("{policy_type:?} {resource} {actions:?} {source_ips:?} {decision}")
        });
        let words: Vec<String> = words.collect();
        self.0.lock().push(format!("{} put {}: {}", cx.code, acl.subject, words.join("; ")));
        Ok(())
    }

    fn delete(
        &self,
        _: &RequestContext,
        subject: &str,
        policy_type: &str,
        resource: Option<&str>,
    ) -> Result<(), AclError> {
        if subject == "User:none" {
            return Err(AclError::Missing(subject.to_owned()));
        }
        self.0.lock().push(format!("delete {subject} {policy_type:?} {resource:?}"));
        Ok(())
    }

    fn create_user(&self, _: &str, create: UserStep<'_>) -> Result<(), UserError> {
        create()
    }

    fn delete_user(
        &self,
        _: &RequestContext,
        _: &str,
        _: UserStep<'_>,
        delete: UserStep<'_>,
    ) -> Result<(), UserError> {
        delete()
    }
}

struct WithAcls(Option<Arc<Noted>>);

impl Node for WithAcls {
    fn properties(&self) -> String {
        String::new()
    }

    fn update(&self, _: &str) -> Result<(), String> {
        Ok(())
    }

    fn facts(&self) -> Vec<(&'static str, String)> {
        Vec::new()
    }

    fn acls(&self) -> Option<Arc<dyn Acls>> {
        self.0.clone().map(|acls| acls as _)
    }
}

struct Scene {
    world: World,
    remoting: Arc<Remoting>,
    acls: Arc<Noted>,
}

impl Scene {
    async fn new(has_acls: bool) -> Self {
        let acls = Arc::new(Noted::default());
        let world = World::new(&[]).await;
        let node = WithAcls(has_acls.then(|| Arc::clone(&acls)));
        let meter = Arc::new(Meter::default());
        let remoting = Remoting::new(Arc::clone(&world.broker), Arc::new(node), meter);
        Self { world, remoting, acls }
    }

    async fn ask(&self, code: i32, fields: &[(&str, &str)], body: &str) -> RemotingCommand {
        let mut frames = BytesMut::new();
        let write = |out: &mut ExtWriter<'_>| fields.iter().for_each(|(n, v)| out.pair(n, v));
        encode::request(&mut frames, &RequestHead::new(code, 1), write, body.as_bytes());
        let mut burst = split(frames);
        let mut replies = Replies::new();
        let at = |port| ([127, 0, 0, 1], port).into();
        self.remoting.burst(&Connection::detached(at(5), at(6)), &mut burst, &mut replies);
        split(BytesMut::from(&*replies.settled().await)).remove(0)
    }
}

fn split(mut bytes: BytesMut) -> Vec<RemotingCommand> {
    std::iter::from_fn(|| frame::split(&mut bytes, 1 << 20).unwrap()).collect()
}

#[tokio::test]
async fn acls_are_put_deleted_and_shown_as_rocketmqs_tools_say_it() {
    let scene = Scene::new(true).await;
    let who = [("subject", "User:u")];
    let body = r#"{"policies":[{"entries":[{"actions":["Pub"],"decision":"Allow","resource":"Topic:t"},{"actions":{"$ref":"$.policies[0].entries[0].actions"},"decision":"Deny","resource":"Topic:s","sourceIps":["10.0.0.1"]}]}],"subject":"User:u"}"#;
    for code in [request_code::AUTH_CREATE_ACL, request_code::AUTH_UPDATE_ACL] {
        let answer = scene.ask(code, &who, body).await;
        assert_eq!(answer.code, code::SUCCESS, "{:?}", answer.remark());
    }
    let delete = request_code::AUTH_DELETE_ACL;
    assert_eq!(scene.ask(delete, &who, "").await.code, 0);
    let fields = [("subject", "User:u"), ("policyType", "Default"), ("resource", "Topic:t")];
    assert_eq!(scene.ask(delete, &fields, "").await.code, 0);
    let put = r#"put User:u: "" Topic:t ["Pub"] [] Allow; "" Topic:s ["Pub"] ["10.0.0.1"] Deny"#;
    let noted = [
        format!("3006 {put}"),
        format!("3007 {put}"),
        r#"delete User:u "" None"#.to_owned(),
        r#"delete User:u "Default" Some("Topic:t")"#.to_owned(),
    ];
    assert_eq!(*scene.acls.0.lock(), noted);

    let shown = scene.ask(request_code::AUTH_GET_ACL, &[("subject", "User:alice")], "").await;
    let alice = r#"{"policies":[{"entries":[{"actions":["Pub","Sub"],"decision":"Allow","resource":"Topic:a"},{"actions":["Pub","Sub"],"decision":"Allow","resource":"Topic:b","sourceIps":["10.0.0.0/8"]}],"policyType":"Custom"},{"entries":[{"actions":["Pub","Sub"],"decision":"Allow","resource":"*"}],"policyType":"Default"}],"subject":"User:alice"}"#;
    assert_eq!((shown.code, std::str::from_utf8(&shown.body).unwrap()), (0, alice));
    let none = scene.ask(request_code::AUTH_GET_ACL, &[("subject", "User:none")], "").await;
    assert_eq!((none.code, none.body.len()), (0, 0));
    let list = request_code::AUTH_LIST_ACL;
    let filters = [("subjectFilter", "ali"), ("resourceFilter", "Topic")];
    let listed = scene.ask(list, &filters, "").await;
    assert_eq!(&listed.body[..], format!("[{alice},{alice}]").as_bytes());
    let none = scene.ask(list, &[("subjectFilter", "none")], "").await;
    assert_eq!((none.code, none.body.len()), (0, 0));
    assert_eq!(scene.acls.0.lock()[4..], [r#"list "ali" "Topic""#, r#"list "none" """#]);
    scene.world.server.shutdown().await;
}

#[tokio::test]
async fn what_cannot_be_done_with_acls_has_its_code() {
    let scene = Scene::new(true).await;
    let (put, delete, show) =
        (request_code::AUTH_CREATE_ACL, request_code::AUTH_DELETE_ACL, request_code::AUTH_GET_ACL);
    for (request, subject, body, expected) in [
        (put, "User:nobody", "{}", code::USER_NOT_EXIST),
        (put, "User:far", "{}", code::NO_PERMISSION),
        (put, "User:disk", "{}", code::SYSTEM_ERROR),
        (put, "User:u", "", code::SYSTEM_ERROR),
        (put, "User:u", "7", code::SYSTEM_ERROR),
        (put, "User:u", r#"{"policies":[{"entries":7}]}"#, code::SYSTEM_ERROR),
        (put, "User:u", r#"{"subject":"User:v"}"#, code::INVALID_PARAMETER),
        (
            put,
            "User:u",
            r#"{"policies":[{"entries":[{"actions":{"$ref":"$.policies[0].entries[0].actions"}}]}]}"#,
            code::INVALID_PARAMETER,
        ),
        (delete, "User:none", "", code::POLICY_NOT_EXIST),
        (show, "User:nobody", "", code::USER_NOT_EXIST),
    ] {
        let answer = scene.ask(request, &[("subject", subject)], body).await;
        assert_eq!(answer.code, expected, "{request} {subject} {body}: {:?}", answer.remark());
    }
    let answer = scene.ask(show, &[], "").await;
    assert_eq!(answer.code, code::SYSTEM_ERROR, "{:?}", answer.remark());
    assert!(scene.acls.0.lock().is_empty());
    scene.world.server.shutdown().await;

    let none = Scene::new(false).await;
    for request in [put, delete, show, request_code::AUTH_UPDATE_ACL, request_code::AUTH_LIST_ACL] {
        let answer = none.ask(request, &[("subject", "User:u")], "{}").await;
        assert_eq!(answer.code, code::REQUEST_CODE_NOT_SUPPORTED, "{request}");
    }
    none.world.server.shutdown().await;
}
