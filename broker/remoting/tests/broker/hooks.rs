//! Every hook point of the broker is reached, and steers.

use std::collections::BTreeSet;
use std::sync::Arc;

use blockhouse_hook::{
    Ack, AdminCommand, Appended, ConnectionInfo, Credentials, Decision, Delivery, Draft, Hook,
    Identity, Outbound, Points, Pull, Rejection, Verdict,
};
use blockhouse_model::{Access, MessageId, Principal, RequestContext, Resource};
use blockhouse_protocol::codes::{request_code, response_code as code};
use bytes::Bytes;
use parking_lot::Mutex;

use super::support::{World, bodies};

/// Notes every call; acts on messages by what their body says.
#[derive(Default)]
struct Recorder(Mutex<BTreeSet<&'static str>>);

impl Recorder {
    fn note(&self, point: &'static str) {
        self.0.lock().insert(point);
    }
}

impl Hook for Recorder {
    fn name(&self) -> &'static str {
        "recorder"
    }

    fn points(&self) -> Points {
        Points::all()
    }

    fn connection_opened(&self, _: &ConnectionInfo) -> Verdict {
        self.note("connection opened");
        Verdict::Continue
    }

    fn connection_closed(&self, _: &ConnectionInfo) {
        self.note("connection closed");
    }

    fn authenticate(&self, _: &RequestContext, credentials: &Credentials<'_>) -> Identity {
        self.note("authenticate");
        match credentials.access_key {
            "" => Identity::Unknown,
            "thief" => Identity::Refused(Rejection::new("who are you")),
            name => Identity::Known(Principal::User(Arc::from(name))),
        }
    }

    fn authorize(&self, cx: &RequestContext, accesses: &[Access<'_>]) -> Verdict {
        self.note("authorize");
        let eve = Principal::User(Arc::from("eve"));
        if cx.principal == eve && !accesses.is_empty() {
            return Verdict::Reject(Rejection::new("eve may nothing"));
        }
        Verdict::Continue
    }

    fn before_send(&self, _: &RequestContext, messages: &mut [Draft<'_>]) {
        self.note("before send");
        for message in messages {
            match message.body.as_ref() {
                b"reject" => message.decision = Decision::Reject(Rejection::with_code(13, "no")),
                b"drop" => message.decision = Decision::Drop,
                b"reroute" => message.decision = Decision::Reroute("elsewhere".to_owned()),
                b"reroute to secret" => {
                    message.decision = Decision::Reroute("secret".to_owned());
                }
                b"edit" => message.body = b"edited".to_vec().into(),
                _ => {}
            }
        }
    }

    fn rerouted(&self, _: &RequestContext, message: &Draft<'_>) -> Verdict {
        assert!(message.body.starts_with(b"reroute"));
        match message.topic {
            "secret" => Verdict::Reject(Rejection::new("not that one")),
            _ => Verdict::Continue,
        }
    }

    fn after_append(&self, _: &RequestContext, messages: &[Appended<'_>]) {
        assert!(!messages.is_empty());
        self.note("after append");
    }

    fn pull(&self, _: &RequestContext, _: &Pull<'_>) -> Verdict {
        self.note("pull");
        Verdict::Continue
    }

    fn before_deliver(
        &self,
        _: &RequestContext,
        _: &Delivery<'_>,
        messages: &mut [Outbound<'_>],
    ) -> Verdict {
        self.note("before deliver");
        for message in messages {
            match message.stored_body {
                b"hide" => message.keep = false,
                b"mask" => message.body = Some(Bytes::from_static(b"****")),
                b"withhold" => return Verdict::Reject(Rejection::new("not now")),
                _ => {}
            }
        }
        Verdict::Continue
    }

    fn ack(&self, _: &RequestContext, _: &Ack<'_>) {
        self.note("ack");
    }

    fn admin_command(&self, _: &RequestContext, command: &AdminCommand<'_>) -> Verdict {
        self.note("admin command");
        if command.name == "DELETE_TOPIC_IN_BROKER" {
            return Verdict::Reject(Rejection::new("topics stay"));
        }
        Verdict::Continue
    }
}

#[tokio::test]
async fn every_point_is_reached() {
    let recorder = Arc::new(Recorder::default());
    let world = World::new(&[Arc::clone(&recorder) as _]).await;
    let client = world.client().await;
    client.send("t", "", b"x").await;
    client.pull("t", 0, "*").await;
    let place = [("consumerGroup", "consumers"), ("topic", "t"), ("queueId", "0")];
    let commit = [&place[..], &[("commitOffset", "1")]].concat();
    client.ask(request_code::UPDATE_CONSUMER_OFFSET, &commit, b"").await;
    client.ask(request_code::GET_ALL_TOPIC_CONFIG, &[], b"").await;
    client.0.close();
    world.server.shutdown().await;
    let reached: Vec<_> = recorder.0.lock().iter().copied().collect();
    let all = [
        "ack",
        "admin command",
        "after append",
        "authenticate",
        "authorize",
        "before deliver",
        "before send",
        "connection closed",
        "connection opened",
        "pull",
    ];
    assert_eq!(reached, all);
}

#[tokio::test]
async fn a_send_is_rejected_dropped_rerouted_or_edited() {
    let world = World::new(&[Arc::new(Recorder::default()) as _]).await;
    let client = world.client().await;
    let rejected = client.send("t", "", b"reject").await;
    assert_eq!((rejected.code, rejected.remark()), (13, Some("no")));
    let dropped = client.send("t", "", b"drop").await;
    assert_eq!((dropped.code, dropped.ext.get("queueOffset")), (code::SUCCESS, Some("-1")));
    client.send("t", "", b"reroute").await;
    let refused = client.send("t", "", b"reroute to secret").await;
    assert_eq!((refused.code, refused.remark()), (code::NO_PERMISSION, Some("not that one")));
    client.send("t", "", b"edit").await;
    assert_eq!(bodies(&client.pull("t", 0, "*").await), ["edited"]);
    assert_eq!(bodies(&client.pull("elsewhere", 0, "*").await), ["reroute"]);
    world.server.shutdown().await;
}

#[tokio::test]
async fn a_delivery_is_filtered_and_masked() {
    let world = World::new(&[Arc::new(Recorder::default()) as _]).await;
    let client = world.client().await;
    let mut ids = Vec::new();
    for body in [&b"hide"[..], b"mask", b"plain"] {
        let sent = client.send("t", "KEYS\u{1}k\u{2}", body).await;
        ids.push(sent.ext.get("msgId").unwrap().to_owned());
    }
    let pulled = client.pull("t", 0, "*").await;
    assert_eq!(bodies(&pulled), ["****", "plain"]);
    assert_eq!(pulled.ext.get("nextBeginOffset"), Some("3"));
    for record in blockhouse_record::records(&pulled.body) {
        blockhouse_record::check(record.unwrap().bytes).unwrap();
    }
    // The other ways to a message are no way around.
    for (at, seen) in [(0, None), (1, Some("****")), (2, Some("plain"))] {
        let id = MessageId::parse(&ids[at]).unwrap().offset.0.to_string();
        let viewed = client.ask(request_code::VIEW_MESSAGE_BY_ID, &[("offset", &id)], b"").await;
        assert_eq!(bodies(&viewed).first().map(String::as_str), seen);
    }
    let (begin, end) = (("beginTimestamp", "0"), ("endTimestamp", "9999999999999"));
    let query = [("topic", "t"), ("key", "k"), ("maxNum", "9"), begin, end];
    let found = client.ask(request_code::QUERY_MESSAGE, &query, b"").await;
    assert_eq!(bodies(&found), ["****", "plain"]);
    world.server.shutdown().await;
}

#[tokio::test]
async fn principals_are_named_and_refused() {
    let world = World::new(&[Arc::new(Recorder::default()) as _]).await;
    let client = world.client().await;
    let max = |key| {
        let fields = [("AccessKey", key), ("topic", "t"), ("queueId", "0")];
        let client = &client;
        async move { client.ask(request_code::GET_MAX_OFFSET, &fields, b"").await }
    };
    assert_eq!(max("adam").await.code, code::SUCCESS);
    assert_eq!(max("thief").await.code, code::NO_PERMISSION);
    let refused = max("eve").await;
    assert_eq!((refused.code, refused.remark()), (code::NO_PERMISSION, Some("eve may nothing")));
    let topic = [("topic", "t")];
    let refused = client.ask(request_code::DELETE_TOPIC_IN_BROKER, &topic, b"").await;
    assert_eq!((refused.code, refused.remark()), (code::NO_PERMISSION, Some("topics stay")));
    world.server.shutdown().await;
}

#[tokio::test]
async fn a_certificate_is_its_user_and_no_other() {
    let max = async |user, key: Option<&str>| {
        let world =
            World::with_certificates(&[Arc::new(Recorder::default()) as _], Some(user)).await;
        let mut fields = vec![("topic", "t"), ("queueId", "0")];
        fields.extend(key.map(|key| ("AccessKey", key)));
        let client = world.client().await;
        let answer = client.ask(request_code::GET_MAX_OFFSET, &fields, b"").await;
        world.server.shutdown().await;
        (answer.code, answer.remark().unwrap_or_default().to_owned())
    };
    assert_eq!(max("adam", None).await.0, code::SUCCESS);
    assert_eq!(max("adam", Some("adam")).await.0, code::SUCCESS);
    // What hooks are asked about is the certificate's user.
    assert_eq!(max("eve", None).await, (code::NO_PERMISSION, "eve may nothing".to_owned()));
    let (refused, remark) = max("adam", Some("eve")).await;
    assert_eq!(refused, code::NO_PERMISSION);
    assert!(remark.contains("different users"), "{remark}");
}

/// Remembers how many messages each call showed.
#[derive(Default)]
struct Sizes(Mutex<Vec<usize>>);

impl Hook for Sizes {
    fn name(&self) -> &'static str {
        "sizes"
    }

    fn points(&self) -> Points {
        Points::NONE.with(blockhouse_hook::Point::BeforeSend)
    }

    fn before_send(&self, _: &RequestContext, messages: &mut [Draft<'_>]) {
        self.0.lock().push(messages.len());
    }
}

#[tokio::test]
async fn the_requests_of_one_burst_are_shown_together() {
    let sizes = Arc::new(Sizes::default());
    let world = World::new(&[Arc::clone(&sizes) as _]).await;
    let cx = RequestContext::new(([127, 0, 0, 1], 1).into(), 1, request_code::SEND_MESSAGE_V2);
    let send = |topic| blockhouse_core::send::Send {
        producer_group: "producers",
        topic,
        default_topic: "TBW102",
        default_topic_queues: 1,
        queue: None,
        sys_flag: blockhouse_model::SysFlag(0),
        flag: 0,
        born_timestamp: 0,
        properties: "",
        reconsume_times: 0,
        max_reconsume_times: None,
        unit_mode: false,
        content: blockhouse_core::send::Content::One(b"x"),
    };
    let hooks = world.broker.hooks().load_full();
    let caller = blockhouse_core::Caller { cx: &cx, hooks: &hooks };
    let sent = world.broker.send(caller, &[send("t"), send("../x"), send("t")]);
    let stored: Vec<bool> = sent.outcomes.iter().map(Result::is_ok).collect();
    assert_eq!(stored, [true, false, true]);
    assert_eq!(*sizes.0.lock(), [2], "one call, without the refused one");
    world.server.shutdown().await;
}

/// Remembers what is known of each request at authorize: the client's id, and its span.
#[derive(Default)]
struct Contexts {
    asks: bool,
    seen: Mutex<Vec<(Option<String>, Option<u64>)>>,
}

impl Hook for Contexts {
    fn name(&self) -> &'static str {
        "contexts"
    }

    fn points(&self) -> Points {
        Points::NONE.with(blockhouse_hook::Point::Authorize)
    }

    fn authorize(&self, cx: &RequestContext, _: &[Access<'_>]) -> Verdict {
        let client_id = cx.client_id.as_deref().map(str::to_owned);
        self.seen.lock().push((client_id, cx.trace_parent.map(|parent| parent.span_id)));
        Verdict::Continue
    }

    fn wants_client_id(&self) -> bool {
        self.asks
    }
}

#[tokio::test]
async fn a_context_has_the_clients_id_and_span_once_it_has_said_them() {
    let parent = "00-0af7651916cd43dd8448eb211c80319c-00000000000000ff-01";
    let heartbeat = br#"{"clientID":"10.0.0.1@7","producerDataSet":[{"groupName":"p"}]}"#;
    for asks in [true, false] {
        let hook = Arc::new(Contexts { asks, ..Contexts::default() });
        let world = World::new(&[Arc::clone(&hook) as _]).await;
        let client = world.client().await;
        let place = [("topic", "t"), ("queueId", "0")];
        client.ask(request_code::GET_MAX_OFFSET, &place, b"").await;
        let beat = client.ask(request_code::HEART_BEAT, &[], heartbeat).await;
        assert_eq!(beat.code, code::SUCCESS, "{:?}", beat.remark());
        hook.seen.lock().clear();
        for parent in [parent, "00-nonsense", ""] {
            let fields = [&place[..], &[("traceparent", parent)]].concat();
            client.ask(request_code::GET_MAX_OFFSET, &fields, b"").await;
        }
        let id = asks.then(|| "10.0.0.1@7".to_owned());
        let seen = hook.seen.lock().clone();
        assert_eq!(seen, [(id.clone(), Some(255)), (id.clone(), None), (id, None)]);
        world.server.shutdown().await;
    }
}

/// Keeps what it is told.
#[derive(Default)]
struct Sink(Mutex<Vec<blockhouse_hook::AuditEvent>>);

impl Hook for Sink {
    fn name(&self) -> &'static str {
        "sink"
    }

    fn points(&self) -> Points {
        Points::NONE.with(blockhouse_hook::Point::AuditSink)
    }

    fn audit(&self, events: &[blockhouse_hook::AuditEvent]) {
        self.0.lock().extend_from_slice(events);
    }
}

#[tokio::test]
async fn what_the_broker_decides_is_told_to_a_sink() {
    let sink = Arc::new(Sink::default());
    let world = World::new(&[Arc::new(Recorder::default()) as _, Arc::clone(&sink) as _]).await;
    let clock = Arc::clone(&world.clock);
    world.broker.hooks().audit_with(&Arc::new(blockhouse_hook::Auditor::new(clock)));
    let client = world.client().await;
    client.send("t", "", b"fine").await;
    client.send("t", "", b"reject").await;
    client.send("t", "", b"hide").await;
    client.pull("t", 0, "*").await;
    client.ask(request_code::DELETE_TOPIC_IN_BROKER, &[("topic", "t")], b"").await;
    client.ask(request_code::GET_ALL_TOPIC_CONFIG, &[], b"").await;
    let fields = [("AccessKey", "eve"), ("topic", "t"), ("queueId", "0")];
    client.ask(request_code::GET_MAX_OFFSET, &fields, b"").await;
    client.0.close();
    world.server.shutdown().await;
    let events = sink.0.lock().clone();
    let line = |event: &blockhouse_hook::AuditEvent| {
        let outcome = event.outcome;
        format!("{outcome:?} {} {} {}", event.user(), event.action, event.resource)
    };
    let told: Vec<String> = events.iter().map(line).collect();
    let expected = [
        "Allowed anonymous open ",
        "Refused anonymous Pub topic:t",
        "Dropped anonymous Sub topic:t,group:consumers",
        "Refused anonymous DELETE_TOPIC_IN_BROKER t",
        "Allowed anonymous GET_ALL_TOPIC_CONFIG ",
        "Allowed eve authenticate key:eve",
        "Refused eve Get topic:t",
        "Allowed anonymous close ",
    ];
    assert_eq!(told, expected);
    assert!((1..).zip(&events).all(|(n, event)| event.sequence == n), "{events:?}");
    assert!(events.iter().all(|event| event.time.0 >= 1_700_000_000_000));
}

/// Lets nobody look at `secret`, whatever it is.
struct Veil;

impl Hook for Veil {
    fn name(&self) -> &'static str {
        "veil"
    }

    fn points(&self) -> Points {
        Points::NONE.with(blockhouse_hook::Point::Authorize)
    }

    fn authorize(&self, _: &RequestContext, accesses: &[Access<'_>]) -> Verdict {
        let is_veiled = |access: &Access<'_>| {
            matches!(access.resource, Resource::Topic("secret") | Resource::Group("secret"))
        };
        if accesses.iter().any(is_veiled) {
            return Verdict::Reject(Rejection::new("no"));
        }
        Verdict::Continue
    }
}

#[tokio::test]
async fn a_command_that_would_show_too_much_is_not_told_as_allowed() {
    let sink = Arc::new(Sink::default());
    let world = World::new(&[Arc::new(Veil) as _, Arc::clone(&sink) as _]).await;
    let clock = Arc::clone(&world.clock);
    world.broker.hooks().audit_with(&Arc::new(blockhouse_hook::Auditor::new(clock)));
    let client = world.client().await;
    let reset = [("topic", "secret"), ("group", "g"), ("timestamp", "0"), ("isForce", "true")];
    let copied = [("srcGroup", "secret"), ("destGroup", "g"), ("topic", "t"), ("offline", "false")];
    let reset = client.ask(request_code::INVOKE_BROKER_TO_RESET_OFFSET, &reset, b"").await;
    let copied = client.ask(request_code::CLONE_GROUP_OFFSET, &copied, b"").await;
    assert_eq!([reset.code, copied.code], [code::NO_PERMISSION; 2]);
    client.0.close();
    world.server.shutdown().await;
    let told = sink.0.lock().clone();
    let line = |event: &blockhouse_hook::AuditEvent| {
        format!("{:?} {} {}", event.outcome, event.action, event.resource)
    };
    let told: Vec<String> = told.iter().map(line).filter(|line| !line.contains(" open ")).collect();
    let expected = ["Refused Get topic:secret", "Refused Get group:secret", "Allowed close "];
    assert_eq!(told, expected);
}
