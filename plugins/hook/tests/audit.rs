//! What sinks are told: what hooks decide, in order, and nothing where nobody listens.

use std::borrow::Cow;
use std::sync::Arc;

use blockhouse_hook::{
    AdminCommand, AuditEvent, AuditKind, Auditor, ConnectionInfo, Credentials, Decided, Decision,
    Delivery, Draft, Hook, HookChain, Hooks, Identity, Outbound, Outcome, PluginEvent, Point,
    Points, Rejection, RouteEntry, Subject, Verdict,
};
use blockhouse_model::{
    Access, Action, ManualClock, Principal, QueueId, QueueOffset, RequestContext, Resource,
};
use bytes::Bytes;
use parking_lot::Mutex;

/// Keeps what it is told.
#[derive(Default)]
struct Sink(Mutex<Vec<AuditEvent>>);

impl Sink {
    fn told(&self) -> Vec<AuditEvent> {
        std::mem::take(&mut *self.0.lock())
    }

    /// Kind, outcome, action, resource, who decided, and why, of each event.
    fn lines(&self) -> Vec<String> {
        let line = |event: AuditEvent| {
            let AuditEvent { kind, outcome, action, resource, decided_by, reason, .. } = event;
            format!("{kind:?} {outcome:?} {action} {resource} {decided_by} {reason}")
        };
        self.told().into_iter().map(line).collect()
    }
}

impl Hook for Sink {
    fn name(&self) -> &'static str {
        "sink"
    }
    fn points(&self) -> Points {
        Points::NONE.with(Point::AuditSink)
    }
    fn audit(&self, events: &[AuditEvent]) {
        self.0.lock().extend_from_slice(events);
    }
}

/// Refuses what is called `bad`, and changes what it can.
struct Guard(&'static str);

fn verdict(name: &str) -> Verdict {
    if name == "bad" { Verdict::Reject(Rejection::new("it is bad")) } else { Verdict::Continue }
}

impl Hook for Guard {
    fn name(&self) -> &str {
        self.0
    }
    fn points(&self) -> Points {
        let all = Point::ALL.into_iter().filter(|point| *point != Point::AuditSink);
        all.fold(Points::NONE, Points::with)
    }
    fn authenticate(&self, _: &RequestContext, credentials: &Credentials<'_>) -> Identity {
        match credentials.access_key {
            "" => Identity::Unknown,
            "bad" => Identity::Refused(Rejection::new("it is bad")),
            user => Identity::Known(Principal::User(user.into())),
        }
    }
    fn authorize(&self, _: &RequestContext, accesses: &[Access<'_>]) -> Verdict {
        match accesses[0].resource {
            Resource::Topic(topic) => verdict(topic),
            _ => Verdict::Continue,
        }
    }
    fn before_send(&self, _: &RequestContext, messages: &mut [Draft<'_>]) {
        for message in messages {
            match &*message.body {
                b"reject" => message.decision = Decision::Reject(Rejection::new("no")),
                b"fail" => {
                    let rejection =
                        Rejection { failure: Some("it trapped".into()), ..Rejection::new("later") };
                    message.decision = Decision::Reject(rejection);
                }
                b"detail" => {
                    let rejection = Rejection::new("no").with_detail("a.csv:7");
                    message.decision = Decision::Reject(rejection);
                }
                b"drop" => message.decision = Decision::Drop,
                b"reroute" => message.decision = Decision::Reroute("other".to_owned()),
                b"edit" => message.body = Cow::Owned(b"edited".to_vec()),
                // In place: the second guard finds what the first one has put there.
                b"edited" => message.body.to_mut()[0] = b'E',
                _ => {}
            }
        }
    }
    fn before_deliver(
        &self,
        _: &RequestContext,
        _: &Delivery<'_>,
        messages: &mut [Outbound<'_>],
    ) -> Verdict {
        for message in messages {
            match message.stored_body {
                b"hide" => message.keep = false,
                b"mask" => message.body = Some(Bytes::from_static(b"****")),
                _ => {}
            }
        }
        Verdict::Continue
    }
    fn admin_command(&self, _: &RequestContext, command: &AdminCommand<'_>) -> Verdict {
        verdict(command.target)
    }
    fn route_query(&self, _: &RequestContext, _: &str, route: &mut Vec<RouteEntry>) -> Verdict {
        route.retain(|entry| entry.broker != "bad");
        Verdict::Continue
    }
}

fn auditor() -> Arc<Auditor> {
    Arc::new(Auditor::new(Arc::new(ManualClock::default())))
}

fn chain(guards: &[&'static str]) -> (HookChain, Arc<Sink>) {
    let sink = Arc::new(Sink::default());
    let mut hooks: Vec<Arc<dyn Hook>> = vec![Arc::clone(&sink) as _];
    hooks.extend(guards.iter().map(|name| Arc::new(Guard(name)) as Arc<dyn Hook>));
    (HookChain::new(&hooks).audited(&auditor()), sink)
}

fn cx() -> RequestContext {
    RequestContext::new(([127, 0, 0, 1], 7).into(), 3, 310)
}

#[test]
fn what_may_not_be_seen_is_no_refusal() {
    let (chain, sink) = chain(&["first", "second"]);
    let may = |topic| {
        let access = Access { action: Action::Get, resource: Resource::Topic(topic) };
        let is_allowed = chain.authorize(&cx(), &[access]) == Verdict::Continue;
        let told = sink.told().len();
        assert_eq!(chain.may(&cx(), &[access]), is_allowed, "{topic}");
        (is_allowed, told, sink.told().len())
    };
    assert_eq!((may("good"), may("bad")), ((true, 0, 0), (false, 1, 0)));
}

fn connection(id: u64) -> ConnectionInfo {
    let (peer, local) = (([127, 0, 0, 1], 7).into(), ([127, 0, 0, 1], 9).into());
    ConnectionInfo { id, peer, local, secure: false }
}

fn draft(body: &'static [u8]) -> Draft<'static> {
    Draft {
        topic: "orders",
        producer_group: "p",
        queue: None,
        body: Cow::Borrowed(body),
        properties: Cow::Borrowed(""),
        decision: Decision::Admit,
    }
}

#[test]
fn what_becomes_of_messages_is_told_and_what_is_admitted_is_not() {
    let (chain, sink) = chain(&["guard"]);
    let mut drafts = ["reject", "fine", "drop", "reroute", "edit", "fail", "detail"]
        .map(|body| draft(body.as_bytes()));
    chain.before_send(&cx(), &mut drafts);
    let events = sink.told();
    assert_eq!(events.iter().map(|event| event.sequence).collect::<Vec<_>>(), [1, 2, 3, 4, 5, 6]);
    assert!(events.iter().all(|event| event.connection == 3 && event.code == 310));
    let told: Vec<_> = events.iter().map(|e| (e.outcome, e.reason.as_str())).collect();
    let expected = [
        (Outcome::Refused, "no"),
        (Outcome::Dropped, ""),
        (Outcome::Rerouted, "to other"),
        (Outcome::Edited, ""),
        (Outcome::Failed, "it trapped"),
        (Outcome::Refused, "a.csv:7"),
    ];
    assert_eq!(told, expected);
    assert!(events.iter().all(|e| e.decided_by == "guard" && e.resource == "topic:orders"));
}

#[test]
fn each_hook_answers_for_what_it_did() {
    let (chain, sink) = chain(&["first", "second"]);
    chain.before_send(&cx(), &mut [draft(b"edit"), draft(b"drop")]);
    let told = ["Send Edited Pub topic:orders first ", "Send Dropped Pub topic:orders first "];
    let later = "Send Edited Pub topic:orders second ";
    assert_eq!(sink.lines(), [told[0], told[1], later], "an edit in place is one too");
}

#[test]
fn who_a_client_is_is_told_once_for_a_connection() {
    let (chain, sink) = chain(&["guard"]);
    let ask = |key| {
        let credentials =
            Credentials { access_key: key, signature: "", signed_fields: b"", body: b"" };
        drop(chain.authenticate(&cx(), &credentials));
        sink.lines()
    };
    assert_eq!(ask("ann"), ["Authentication Allowed authenticate key:ann guard "]);
    assert_eq!(ask("ann"), [""; 0]);
    assert_eq!(ask("bob"), ["Authentication Allowed authenticate key:bob guard "]);
    assert_eq!(ask("bad"), ["Authentication Refused authenticate key:bad guard it is bad"]);
    assert_eq!(ask(""), [""; 0], "nobody said anything");
    chain.connection_closed(&connection(3));
    sink.told();
    assert_eq!(ask("bob").len(), 1, "another connection may have the number");
}

#[test]
fn the_control_plane_is_told_of_what_is_allowed() {
    let (chain, sink) = chain(&["guard"]);
    assert_eq!(chain.connection_opened(&connection(1)), Verdict::Continue);
    chain.connection_closed(&connection(1));
    for target in ["orders", "bad"] {
        drop(chain.admin_command(&cx(), &AdminCommand { name: "DELETE", target }));
    }
    let topics = ["orders", "bad"].map(Resource::Topic);
    for resource in topics {
        let both = [resource, Resource::Group("g")];
        let accesses = both.map(|resource| Access { action: Action::Sub, resource });
        drop(chain.authorize(&cx(), &accesses));
    }
    let expected = [
        "Connection Allowed open   ",
        "Connection Allowed close   ",
        "AdminCommand Allowed DELETE orders  ",
        "AdminCommand Refused DELETE bad guard it is bad",
        "Authorization Refused Sub topic:bad,group:g guard it is bad",
    ];
    assert_eq!(sink.lines(), expected);
}

#[test]
fn what_is_done_only_once_it_is_recorded_is_announced() {
    let (chain, sink) = chain(&["guard"]);
    let command = AdminCommand { name: "DELETE", target: "orders" };
    assert_eq!(chain.announce_admin(&cx(), &command), Verdict::Continue);
    assert_eq!(chain.admin_command(&cx(), &command), Verdict::Continue);
    assert_eq!(sink.told().iter().map(|event| event.announced).collect::<Vec<_>>(), [true, false]);
    let bad = AdminCommand { target: "bad", ..command };
    assert_eq!(chain.announce_admin(&cx(), &bad), Verdict::Reject(Rejection::new("it is bad")));
}

#[test]
fn what_clients_do_not_get_is_told_with_its_number() {
    let (chain, sink) = chain(&["guard"]);
    let mut messages: Vec<Outbound<'_>> = [&b"hide"[..], b"mask", b"hide", b"fine"]
        .into_iter()
        .map(|stored_body| Outbound {
            queue_offset: QueueOffset(0),
            properties: "",
            stored_body,
            body: None,
            keep: true,
        })
        .collect();
    let delivery = Delivery { group: "g", topic: "orders", queue: QueueId(0) };
    assert_eq!(chain.before_deliver(&cx(), &delivery, &mut messages), Verdict::Continue);
    let entry =
        |broker: &str| RouteEntry { broker: broker.to_owned(), read_queues: 1, write_queues: 1 };
    let mut route = vec![entry("good"), entry("bad")];
    assert_eq!(chain.route_query(&cx(), "orders", &mut route), Verdict::Continue);
    let expected = [
        "Delivery Dropped Sub topic:orders,group:g guard 2 of 4 messages",
        "Delivery Edited Sub topic:orders,group:g guard 1 of 4 messages",
        "RouteQuery Edited GET_ROUTEINFO_BY_TOPIC topic:orders guard 1 of 2 brokers",
    ];
    assert_eq!(sink.lines(), expected);
}

#[test]
fn a_chain_gets_the_nodes_auditor_when_it_comes_into_force() {
    let (auditor, hooks) = (auditor(), Hooks::none());
    assert!(hooks.auditor().is_none());
    hooks.audit_with(&auditor);
    assert!(hooks.auditor().is_some());
    assert!(!auditor.is_on() && !hooks.load().has(Point::AdminCommand));
    let sink = Arc::new(Sink::default());
    hooks.swap(HookChain::new(&[Arc::clone(&sink) as _]));
    assert!(auditor.is_on() && hooks.load().has(Point::AdminCommand), "what is allowed is told");
    assert!(!hooks.load().has(Point::BeforeSend));
    assert_eq!(hooks.load().connection_opened(&connection(1)), Verdict::Continue);
    let event = PluginEvent {
        name: "acl",
        action: "load",
        outcome: Outcome::Allowed,
        reason: "",
        caller: None,
    };
    auditor.plugin(&event);
    let info = connection(2);
    let decided = Decided { outcome: Outcome::Refused, by: "x", shadow: true, reason: "would" };
    auditor.tell(Subject::Opened(&info), decided);
    let events = sink.told();
    let told: Vec<_> = events.iter().map(|e| (e.sequence, e.kind, e.shadow)).collect();
    let expected = [
        (1, AuditKind::Connection, false),
        (2, AuditKind::Plugin, false),
        (3, AuditKind::Connection, true),
    ];
    assert_eq!(told, expected);
    assert_eq!(events[1].resource, "plugin:acl");
    hooks.swap(HookChain::new(&[]));
    auditor.plugin(&event);
    assert!(!auditor.is_on() && sink.told().is_empty(), "it is in force no more");
}

#[test]
fn who_changes_a_plugin_is_told_and_the_node_itself_is_nobody() {
    let (auditor, sink) = (auditor(), Arc::new(Sink::default()));
    let _chain = HookChain::new(&[Arc::clone(&sink) as _]).audited(&auditor);
    let mut cx = RequestContext::new(([10, 0, 0, 7], 4_711).into(), 9, 0);
    cx.principal = Principal::User("operator".into());
    for caller in [Some(&cx), None] {
        let (name, action) = ("acl", "deploy");
        auditor.plugin(&PluginEvent {
            name,
            action,
            outcome: Outcome::Allowed,
            reason: "",
            caller,
        });
    }
    let events = sink.told();
    assert_eq!((events[0].user(), events[0].peer, events[0].connection), ("operator", cx.peer, 9));
    assert_eq!((events[1].user(), events[1].connection), ("anonymous", 0));
    assert!(events[1].peer.ip().is_unspecified());
}

#[test]
fn credentials_that_contradict_a_certificate_are_told() {
    let (auditor, sink) = (auditor(), Arc::new(Sink::default()));
    let chain = HookChain::new(&[Arc::clone(&sink) as _]).audited(&auditor);
    let cx = RequestContext::new(([10, 0, 0, 7], 4_711).into(), 9, 310);
    chain.mistaken(&cx, "alice", "two users at once");
    let events = sink.told();
    let event = &events[0];
    assert_eq!((event.kind, event.outcome), (AuditKind::Authentication, Outcome::Refused));
    assert_eq!((&*event.resource, &*event.reason), ("key:alice", "two users at once"));
}

#[test]
fn what_is_refused_without_a_hook_is_told_where_somebody_listens() {
    let (auditor, sink) = (auditor(), Arc::new(Sink::default()));
    let chain = HookChain::new(&[Arc::clone(&sink) as _]).audited(&auditor);
    let cx = RequestContext::new(([10, 0, 0, 7], 4_711).into(), 9, 9_999);
    let peer = ConnectionInfo { id: 9, peer: cx.peer, local: cx.peer, secure: true };
    chain.unknown(|| cx.clone(), "GET /x");
    chain.shut(&peer, "tls-handshake", &"no certificate");
    chain.not_changed(&cx, &AdminCommand { name: "POST /x", target: "" }, "not from here");
    let events = sink.told();
    let made_up: Vec<bool> = events.iter().map(AuditEvent::is_made_up).collect();
    assert_eq!(made_up, [true, true, false]);
    assert_eq!((events[0].code, &*events[0].resource), (9_999, "GET /x"));
    assert_eq!((events[1].connection, &*events[1].reason), (9, "no certificate"));
    assert!(events.iter().all(|event| event.outcome == Outcome::Refused && event.peer == cx.peer));
    HookChain::new(&[]).unknown(|| unreachable!("nobody listens"), "");
}
