//! A whole process with a hook at every point: none is left without a call.

use std::sync::Arc;
use std::time::Duration;

use blockhouse_hook::{
    Ack, AdminCommand, Appended, AuditEvent, BrokerRegistration, ConnectionInfo, Credentials,
    Delivery, Draft, Hook, HookChain, Identity, Outbound, Point, Points, Pull, RouteEntry,
    SpanRecord, Verdict,
};
use blockhouse_model::{Access, RequestContext};
use blockhouse_protocol::codes::request_code as request;
use blockhouse_protocol::header::pull::{PullMessage, sys_flag};
use blockhouse_protocol::header::send::SendMessage;
use blockhouse_protocol::{ExtWriter, RemotingCommand};
use blockhouse_transport::{Connection, Dialer, Endpoint, Limits, NoService, NoSessions};
use tokio::sync::watch;

use super::*;

/// Only a test that is going to fail waits this long.
const PATIENCE: Duration = Duration::from_secs(60);

/// What the hook has seen.
#[derive(Clone, Default)]
struct Seen {
    points: Vec<Point>,
    lifecycle: Vec<Lifecycle>,
    /// The numbers of the events it was told of.
    audited: Vec<u64>,
    /// What the broker registered, and where.
    broker: Option<String>,
    namesrv: Option<String>,
    /// The spans that ended, and the bodies of their messages.
    spans: Vec<(String, bytes::Bytes)>,
}

/// Notes every call and lets everything pass.
struct Recorder(watch::Sender<Seen>);

impl Recorder {
    fn note(&self, point: Point) -> Verdict {
        self.0.send_modify(|seen| seen.points.push(point));
        Verdict::Continue
    }
}

impl Hook for Recorder {
    fn name(&self) -> &'static str {
        "recorder"
    }

    fn points(&self) -> Points {
        Points::all()
    }

    fn connection_opened(&self, connection: &ConnectionInfo) -> Verdict {
        // The first connection of all is the broker's to the name server.
        let local = connection.local.to_string();
        self.0.send_modify(|seen| {
            seen.namesrv.get_or_insert(local);
        });
        self.note(Point::ConnectionOpened)
    }

    fn connection_closed(&self, _: &ConnectionInfo) {
        self.note(Point::ConnectionClosed);
    }

    fn authenticate(&self, _: &RequestContext, _: &Credentials<'_>) -> Identity {
        self.note(Point::Authenticate);
        Identity::Unknown
    }

    fn authorize(&self, _: &RequestContext, _: &[Access<'_>]) -> Verdict {
        self.note(Point::Authorize)
    }

    fn before_send(&self, _: &RequestContext, _: &mut [Draft<'_>]) {
        self.note(Point::BeforeSend);
    }

    fn after_append(&self, _: &RequestContext, _: &[Appended<'_>]) {
        self.note(Point::AfterAppend);
    }

    fn pull(&self, _: &RequestContext, _: &Pull<'_>) -> Verdict {
        self.note(Point::Pull)
    }

    fn before_deliver(
        &self,
        _: &RequestContext,
        _: &Delivery<'_>,
        _: &mut [Outbound<'_>],
    ) -> Verdict {
        self.note(Point::BeforeDeliver)
    }

    fn ack(&self, _: &RequestContext, _: &Ack<'_>) {
        self.note(Point::Ack);
    }

    fn admin_command(&self, _: &RequestContext, _: &AdminCommand<'_>) -> Verdict {
        self.note(Point::AdminCommand)
    }

    fn broker_registration(&self, _: &RequestContext, broker: &BrokerRegistration<'_>) -> Verdict {
        self.0.send_modify(|seen| seen.broker = Some(broker.address.to_owned()));
        self.note(Point::BrokerRegistration)
    }

    fn route_query(&self, _: &RequestContext, _: &str, _: &mut Vec<RouteEntry>) -> Verdict {
        self.note(Point::RouteQuery)
    }

    fn audit(&self, events: &[AuditEvent]) {
        self.0.send_modify(|seen| seen.audited.extend(events.iter().map(|event| event.sequence)));
        self.note(Point::AuditSink);
    }

    fn enrich_span(&self, spans: &mut [SpanRecord]) {
        self.note(Point::EnrichSpan);
        let ended = spans.iter().map(|span| {
            assert_eq!(span.properties.is_empty(), span.body.is_empty());
            (span.name.clone(), span.body.clone())
        });
        self.0.send_modify(|seen| seen.spans.extend(ended));
    }

    fn lifecycle(&self, event: Lifecycle) {
        self.0.send_modify(|seen| seen.lifecycle.push(event));
        self.note(Point::Lifecycle);
    }
}

async fn ask(
    connection: &Connection,
    code: i32,
    ext: impl FnOnce(&mut ExtWriter<'_>),
    body: &[u8],
) -> RemotingCommand {
    let answer = connection.call(code, ext, body, PATIENCE).await.unwrap();
    assert_eq!(answer.code, 0, "{code}: {:?}", answer.remark());
    answer
}

/// A producer, a consumer and an administrator in one.
async fn use_broker(broker: &Connection) {
    let send = SendMessage {
        producer_group: "producers",
        topic: "t",
        default_topic: "TBW102",
        default_topic_queue_nums: 1,
        queue_id: 0,
        sys_flag: 0,
        born_timestamp: 1,
        flag: 0,
        properties: "",
        reconsume_times: 0,
        unit_mode: false,
        max_reconsume_times: None,
        batch: false,
        broker_name: None,
    };
    let pull = PullMessage {
        consumer_group: "consumers",
        topic: "t",
        queue_id: 0,
        queue_offset: 0,
        max_msg_nums: 32,
        sys_flag: sys_flag::SUBSCRIPTION | sys_flag::SUSPEND,
        commit_offset: 0,
        suspend_timeout_millis: 20_000,
        subscription: Some("*"),
        sub_version: 0,
        expression_type: None,
        max_msg_bytes: None,
        request_source: None,
        proxy_forward_client_id: None,
        broker_name: None,
    };
    ask(broker, request::SEND_MESSAGE_V2, |out| send.write(out), b"x").await;
    ask(broker, request::PULL_MESSAGE, |out| pull.write(out), b"").await;
    let commit = |out: &mut ExtWriter<'_>| {
        for (name, value) in [
            ("consumerGroup", "consumers"),
            ("topic", "t"),
            ("queueId", "0"),
            ("commitOffset", "1"),
        ] {
            out.text(name, value);
        }
    };
    ask(broker, request::UPDATE_CONSUMER_OFFSET, commit, b"").await;
    let signed = |out: &mut ExtWriter<'_>| out.text("AccessKey", "someone");
    ask(broker, request::GET_ALL_TOPIC_CONFIG, signed, b"").await;
}

#[test]
fn every_hook_point_is_reached_in_a_process() {
    let dir = tempfile::tempdir().unwrap();
    let data = format!("node.data={}", dir.path().display());
    let sets = [
        data.as_str(),
        "node.broker_listen=127.0.0.1:0",
        "namesrv.listen=127.0.0.1:0",
        // Nobody is there: spans are shown to hooks before that turns out.
        "telemetry.traces.endpoint=http://127.0.0.1:1",
        "telemetry.traces.head_ratio=1",
    ];
    let mut args = NodeArgs::default();
    args.process.sets = sets.map(str::to_owned).to_vec();
    args.process.ops_listen = Some("off".to_owned());
    let (recorder, mut seen) = watch::channel(Seen::default());
    let setup = Setup {
        role: Role::Standalone,
        options: options::load(&args).unwrap().loaded,
        hooks: Arc::new(Hooks::new(HookChain::new(&[Arc::new(Recorder(recorder)) as _]))),
        level: Arc::new(Level::fixed("info")),
        events: None,
    };
    let process = std::thread::spawn(|| setup.run());
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let up = |seen: &Seen| !seen.lifecycle.is_empty() && seen.broker.is_some();
        let up = tokio::time::timeout(PATIENCE, seen.wait_for(up)).await.unwrap().unwrap().clone();
        assert_eq!(up.lifecycle, [Lifecycle::Started]);
        let no_one = Endpoint::new(Arc::new(NoService), Arc::new(NoSessions), Limits::default());
        let dialer = Dialer::new(no_one);
        let broker = dialer.connect(&up.broker.unwrap(), PATIENCE).await.unwrap();
        use_broker(&broker).await;
        let namesrv = dialer.connect(&up.namesrv.unwrap(), PATIENCE).await.unwrap();
        let topic = |out: &mut ExtWriter<'_>| out.text("topic", "TBW102");
        ask(&namesrv, request::GET_ROUTEINFO_BY_TOPIC, topic, b"").await;
        let sent = ("send t".to_owned(), bytes::Bytes::from_static(b"x"));
        let delivered = ("deliver t".to_owned(), bytes::Bytes::new());
        let both = |seen: &Seen| seen.spans.contains(&sent) && seen.spans.contains(&delivered);
        let shown = tokio::time::timeout(PATIENCE, seen.wait_for(both)).await;
        assert!(shown.is_ok_and(|shown| shown.is_ok()), "both with what they are about");
    });
    // The process listens for it, so that it does not end this one.
    let me = std::process::id().to_string();
    let sent = std::process::Command::new("kill").args(["-TERM", &me]).status().unwrap();
    assert!(sent.success());
    process.join().unwrap().unwrap();
    let seen = seen.borrow().clone();
    assert_eq!(seen.lifecycle, [Lifecycle::Started, Lifecycle::Stopping]);
    let missed: Vec<_> =
        Point::ALL.into_iter().filter(|point| !seen.points.contains(point)).collect();
    assert_eq!(missed, [], "no call at these points");
    assert!((1..).zip(&seen.audited).all(|(n, sequence)| n == *sequence), "{:?}", seen.audited);
}
