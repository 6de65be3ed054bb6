//! Signed sends in bursts, and users by their request codes.

use std::sync::Arc;

use blockhouse_hook::{
    AclError, AuditEvent, AuditKind, Auditor, Credentials, Draft, Hook, HookChain, Identity, Point,
    Points, Rejection, User, UserChange, UserError, UserKind, UserStep, Users,
};
use blockhouse_meter::Meter;
use blockhouse_model::{Acl, Principal, RequestContext};
use blockhouse_protocol::codes::{request_code, response_code as code};
use blockhouse_protocol::frame;
use blockhouse_protocol::signed::Signer;
use blockhouse_protocol::{ExtWriter, RemotingCommand, RequestHead, encode};
use blockhouse_remoting::{Node, Remoting};
use blockhouse_transport::{Connection, Replies, Service as _};
use bytes::BytesMut;
use parking_lot::Mutex;

use super::support::{World, send_header};

/// Believes who signs with their own name, and notes who sent how much at a time.
#[derive(Default)]
struct Judge {
    asked: Mutex<usize>,
    sent: Mutex<Vec<(Principal, usize)>>,
}

impl Hook for Judge {
    fn name(&self) -> &'static str {
        "judge"
    }

    fn points(&self) -> Points {
        Points::NONE.with(Point::Authenticate).with(Point::BeforeSend)
    }

    fn authenticate(&self, _: &RequestContext, credentials: &Credentials<'_>) -> Identity {
        *self.asked.lock() += 1;
        match (credentials.access_key, credentials.signature) {
            ("", _) => Identity::Unknown,
            (name, signature) if signature == name => Identity::Known(Principal::User(name.into())),
            _ => Identity::Refused(Rejection::new("wrong")),
        }
    }

    fn before_send(&self, cx: &RequestContext, messages: &mut [Draft<'_>]) {
        self.sent.lock().push((cx.principal.clone(), messages.len()));
    }
}

/// Two users: `root`, a Super one, and `alice`. Changes are taken, and noted in words.
#[derive(Default)]
struct Two(Mutex<Vec<String>>);

impl Users for Two {
    fn find(&self, name: &str) -> Option<User> {
        let kind = match name {
            "root" => UserKind::Super,
            "alice" => UserKind::Normal,
            _ => return None,
        };
        Some(User { name: name.into(), kind, enabled: true })
    }

    fn list(&self, filter: &str) -> Vec<User> {
        ["alice", "root"]
            .into_iter()
            .filter(|n| n.contains(filter))
            .filter_map(|n| self.find(n))
            .collect()
    }

    fn create(&self, by: &Principal, user: &UserChange<'_>) -> Result<(), UserError> {
        if user.name == "alice" {
            return Err(UserError::Exists("alice".to_owned()));
        }
        let secret = user.secret.unwrap_or("no secret");
        self.0
            .lock()
            .push(format!("{by:?} {} {secret} {:?} {:?}", user.name, user.kind, user.enabled));
        Ok(())
    }

    fn update(&self, by: &Principal, change: &UserChange<'_>) -> Result<(), UserError> {
        match self.find(change.name) {
            Some(_) => self.create(by, &UserChange { name: "changed", ..*change }),
            None => Err(UserError::Missing(change.name.to_owned())),
        }
    }

    fn may_delete(&self, by: &Principal, name: &str) -> Result<(), UserError> {
        match name {
            "root" => Err(UserError::Forbidden("not root")),
            "alice" if self.is_super(by) => Ok(()),
            "alice" => Err(UserError::Forbidden("not alice")),
            _ => Err(UserError::Missing(name.to_owned())),
        }
    }

    fn delete(&self, by: &Principal, name: &str) -> Result<(), UserError> {
        self.may_delete(by, name)?;
        self.0.lock().push(format!("delete {name}"));
        Ok(())
    }
}

/// Nothing is asked of their ACLs but to be looked for and to go with their users, which is noted.
impl blockhouse_hook::Acls for Two {
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
        if Users::find(self, user).is_none() {
            self.0.lock().push(format!("look for the ACL of {user}"));
        }
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

struct WithUsers(Option<Arc<Two>>);

impl Node for WithUsers {
    fn properties(&self) -> String {
        String::new()
    }

    fn update(&self, _: &str) -> Result<(), String> {
        Err("fixed".to_owned())
    }

    fn facts(&self) -> Vec<(&'static str, String)> {
        Vec::new()
    }

    fn users(&self) -> Option<Arc<dyn Users>> {
        self.0.clone().map(|users| users as _)
    }

    fn acls(&self) -> Option<Arc<dyn blockhouse_hook::Acls>> {
        self.0.clone().map(|users| users as _)
    }
}

struct Scene {
    world: World,
    remoting: Arc<Remoting>,
    connection: Arc<Connection>,
    judge: Arc<Judge>,
    users: Arc<Two>,
}

impl Scene {
    async fn new(has_users: bool) -> Self {
        let judge = Arc::new(Judge::default());
        let users = Arc::new(Two::default());
        let world = World::new(&[Arc::clone(&judge) as _]).await;
        let node = WithUsers(has_users.then(|| Arc::clone(&users)));
        let meter = Arc::new(Meter::default());
        let remoting = Remoting::new(Arc::clone(&world.broker), Arc::new(node), meter);
        let at = |port| ([127, 0, 0, 1], port).into();
        Self { world, remoting, connection: Connection::detached(at(5), at(6)), judge, users }
    }

    /// The answers to a burst, in their order.
    async fn burst(&self, frames: BytesMut) -> Vec<RemotingCommand> {
        let mut burst = split(frames);
        let mut replies = Replies::new();
        self.remoting.burst(&self.connection, &mut burst, &mut replies);
        split(BytesMut::from(&*replies.settled().await))
    }

    async fn ask(
        &self,
        who: &str,
        code: i32,
        fields: &[(&str, &str)],
        body: &str,
    ) -> RemotingCommand {
        let mut frames = BytesMut::new();
        let fields = |out: &mut ExtWriter<'_>| fields.iter().for_each(|(n, v)| out.pair(n, v));
        put(&mut frames, (who, who), RequestHead::new(code, 1), fields, body);
        self.burst(frames).await.remove(0)
    }
}

fn split(mut bytes: BytesMut) -> Vec<RemotingCommand> {
    std::iter::from_fn(|| frame::split(&mut bytes, 1 << 20).unwrap()).collect()
}

fn put(
    out: &mut BytesMut,
    (who, signature): (&str, &str),
    head: RequestHead,
    fields: impl FnOnce(&mut ExtWriter<'_>),
    body: &str,
) {
    let signature = signature.to_owned();
    let signer = Signer::new(who, move |_, _| signature.clone());
    let signed = |out: &mut ExtWriter<'_>| {
        if who.is_empty() { fields(out) } else { signer.write(out, fields, body.as_bytes()) }
    };
    encode::request(out, &head, signed, body.as_bytes());
}

#[tokio::test]
async fn signed_sends_of_one_user_go_to_the_core_together_and_each_is_judged() {
    let scene = Scene::new(false).await;
    let mut frames = BytesMut::new();
    let senders = [
        ("alice", "alice"),
        ("alice", "alice"),
        ("alice", "alice"),
        ("alice", "forged"),
        ("alice", "alice"),
        ("root", "root"),
        ("root", "root"),
        ("", ""),
        ("", ""),
        ("alice", "alice"),
    ];
    for (number, sender) in (0..).zip(senders) {
        let header = send_header("t", "");
        let head = RequestHead::new(request_code::SEND_MESSAGE_V2, number);
        put(&mut frames, sender, head, |out| header.write(out), "body");
    }
    let mut answers = scene.burst(frames).await;
    // Those that wait for the disk come later.
    answers.sort_by_key(|answer| answer.opaque);
    let opaques: Vec<i32> = answers.iter().map(|answer| answer.opaque).collect();
    assert_eq!(opaques, (0..10).collect::<Vec<_>>());
    for (answer, sender) in answers.iter().zip(senders) {
        let expected = if sender.1 == "forged" { code::NO_PERMISSION } else { code::SUCCESS };
        assert_eq!(answer.code, expected, "{:?}", answer.remark());
    }
    let user = |name: &str| Principal::User(name.into());
    // What is refused stands between what was before and after it.
    let sent = [
        (user("alice"), 3),
        (user("alice"), 1),
        (user("root"), 2),
        (Principal::Anonymous, 2),
        (user("alice"), 1),
    ];
    assert_eq!(*scene.judge.sent.lock(), sent);
    assert_eq!(*scene.judge.asked.lock(), 9, "all but the second of nobody's");
    scene.world.server.shutdown().await;
}

#[tokio::test]
async fn users_are_shown_without_secrets_and_changed_as_asked() {
    let scene = Scene::new(true).await;
    let who = [("username", "alice")];
    let shown = scene.ask("root", request_code::AUTH_GET_USER, &who, "").await;
    let alice = r#"{"password":"","userStatus":"enable","userType":"Normal","username":"alice"}"#;
    assert_eq!((shown.code, &shown.body[..]), (code::SUCCESS, alice.as_bytes()));
    let listed = scene.ask("root", request_code::AUTH_LIST_USER, &[("filter", "ali")], "").await;
    assert_eq!(&listed.body[..], format!("[{alice}]").as_bytes());
    let all = scene.ask("root", request_code::AUTH_LIST_USER, &[], "").await;
    assert!(all.body.len() > listed.body.len());

    let new = [("username", "bob")];
    let body = r#"{"username":"bob","password":"p","userType":"Super","userStatus":"disable"}"#;
    assert_eq!(scene.ask("root", request_code::AUTH_CREATE_USER, &new, body).await.code, 0);
    let body = r#"{"username":"alice","password":"","userType":""}"#;
    assert_eq!(scene.ask("root", request_code::AUTH_UPDATE_USER, &who, body).await.code, 0);
    let noted = [
        "look for the ACL of bob",
        r#"User("root") bob p Some(Super) Some(false)"#,
        r#"User("root") changed no secret None None"#,
    ];
    assert_eq!(*scene.users.0.lock(), noted);
    assert_eq!(scene.ask("root", request_code::AUTH_DELETE_USER, &who, "").await.code, 0);
    // Nobody gets rights by a name.
    assert_eq!(scene.users.0.lock()[3..], ["delete alice", "forget alice"]);
    scene.world.server.shutdown().await;
}

/// Keeps what it is told of commands, in words.
#[derive(Default)]
struct Sink(Mutex<Vec<String>>);

impl Hook for Sink {
    fn name(&self) -> &'static str {
        "sink"
    }

    fn points(&self) -> Points {
        Points::NONE.with(Point::AuditSink)
    }

    fn audit(&self, events: &[AuditEvent]) {
        for event in events.iter().filter(|event| event.kind == AuditKind::AdminCommand) {
            let AuditEvent { outcome, action, resource, .. } = event;
            self.0.lock().push(format!("{outcome:?} {} {action} {resource}", event.user()));
        }
    }
}

#[tokio::test]
async fn what_nothing_comes_of_is_told_as_refused() {
    let scene = Scene::new(true).await;
    let sink = Arc::new(Sink::default());
    let hooks = scene.world.broker.hooks();
    hooks.audit_with(&Arc::new(Auditor::new(Arc::clone(&scene.world.clock) as _)));
    hooks.swap(HookChain::new(&[Arc::clone(&scene.judge) as _, Arc::clone(&sink) as _]));
    let (create, delete, show, list) = (
        request_code::AUTH_CREATE_USER,
        request_code::AUTH_DELETE_USER,
        request_code::AUTH_GET_USER,
        request_code::AUTH_LIST_USER,
    );
    for (who, request, field, expected) in [
        // Who is nobody to administer users was never allowed to.
        ("alice", create, ("username", "bob"), vec!["Refused alice AUTH_CREATE_USER bob"]),
        ("alice", list, ("filter", ""), vec!["Refused alice AUTH_LIST_USER "]),
        ("root", create, ("username", "bob"), vec!["Allowed root AUTH_CREATE_USER bob"]),
        (
            "root",
            create,
            ("username", "alice"),
            vec!["Allowed root AUTH_CREATE_USER alice", "Refused root AUTH_CREATE_USER alice"],
        ),
        (
            "root",
            delete,
            ("username", "root"),
            vec!["Allowed root AUTH_DELETE_USER root", "Refused root AUTH_DELETE_USER root"],
        ),
        // That something is not there to be looked at is no refusal.
        ("root", show, ("user", "x"), vec!["Allowed root AUTH_GET_USER "]),
        (
            "root",
            request_code::UPDATE_BROKER_CONFIG,
            ("x", "y"),
            vec!["Allowed root UPDATE_BROKER_CONFIG ", "Refused root UPDATE_BROKER_CONFIG "],
        ),
    ] {
        scene.ask(who, request, &[field], "{}").await;
        let told: Vec<String> = std::mem::take(&mut sink.0.lock());
        assert_eq!(told, expected, "{who} {request} {field:?}");
    }
    scene.world.server.shutdown().await;
}

#[tokio::test]
async fn what_cannot_be_done_with_users_has_its_code() {
    let scene = Scene::new(true).await;
    let (create, update, delete, show) = (
        request_code::AUTH_CREATE_USER,
        request_code::AUTH_UPDATE_USER,
        request_code::AUTH_DELETE_USER,
        request_code::AUTH_GET_USER,
    );
    for (who, request, name, body, expected) in [
        ("root", update, "nobody", "{}", code::USER_NOT_EXIST),
        ("root", create, "alice", "{}", code::INVALID_PARAMETER),
        ("root", create, "bob", r#"{"userType":"Root"}"#, code::INVALID_PARAMETER),
        ("root", create, "bob", r#"{"userStatus":"on"}"#, code::INVALID_PARAMETER),
        ("root", create, "bob", "", code::SYSTEM_ERROR),
        ("root", delete, "root", "", code::NO_PERMISSION),
        ("root", delete, "nobody", "", code::USER_NOT_EXIST),
        ("alice", show, "alice", "", code::NO_PERMISSION),
        ("", show, "alice", "", code::NO_PERMISSION),
    ] {
        let answer = scene.ask(who, request, &[("username", name)], body).await;
        assert_eq!(answer.code, expected, "{who} {request} {name}: {:?}", answer.remark());
    }
    assert!(scene.users.0.lock().is_empty(), "an ACL is gone, and its user is there");
    // That there is none is no failure to the tools: they copy users to where none is.
    let none = scene.ask("root", show, &[("username", "nobody")], "").await;
    assert_eq!((none.code, none.body.len()), (code::SUCCESS, 0));
    let answer = scene.ask("root", show, &[], "").await;
    assert_eq!(answer.code, code::SYSTEM_ERROR, "{:?}", answer.remark());
    scene.world.server.shutdown().await;

    let none = Scene::new(false).await;
    let answer = none.ask("root", show, &[("username", "root")], "").await;
    assert_eq!(answer.code, code::REQUEST_CODE_NOT_SUPPORTED);
    none.world.server.shutdown().await;
}
