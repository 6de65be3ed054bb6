//! A broker on a port of its own, and a client that speaks to it.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use blockhouse_core::{Broker, Config, HeldPulls, Identity, NoAnnouncer, Parts, Recorder};
use blockhouse_disk::{Disk, MemDisk};
use blockhouse_hook::{Hook, HookChain, Hooks};
use blockhouse_meta::{GroupSettings, Home, Meta, TopicSettings};
use blockhouse_meter::{Connections, Meter, Spans};
use blockhouse_model::{Clock, ManualClock, Timestamp};
use blockhouse_protocol::codes::request_code;
use blockhouse_protocol::header::pull::{PullMessage, sys_flag};
use blockhouse_protocol::header::send::SendMessage;
use blockhouse_protocol::{ExtWriter, RemotingCommand};
use blockhouse_remoting::{Node, Remoting};
use blockhouse_store::Store;
use blockhouse_transport::{
    Connection, Dialer, Endpoint, Limits, NoService, NoSessions, Server, Sessions,
};

const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) struct NoNode;

impl Node for NoNode {
    fn properties(&self) -> String {
        "brokerName=broker-a\n".to_owned()
    }

    fn update(&self, _: &str) -> Result<(), String> {
        Err("fixed".to_owned())
    }

    fn facts(&self) -> Vec<(&'static str, String)> {
        Vec::new()
    }
}

pub(crate) struct World {
    pub(crate) broker: Arc<Broker>,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) disk: MemDisk,
    pub(crate) server: Server,
    pub(crate) counts: Arc<Connections>,
    pub(crate) meter: Arc<Meter>,
    dialer: Dialer,
}

fn broker(disk: &MemDisk, clock: &Arc<ManualClock>, hooks: &[Arc<dyn Hook>]) -> Broker {
    let disk: Arc<dyn Disk> = Arc::new(disk.clone());
    let clock: Arc<dyn Clock> = Arc::clone(clock) as _;
    let dir = PathBuf::from("/data");
    let home = Home { disk: Arc::clone(&disk), dir: dir.clone(), clock: Arc::clone(&clock) };
    let meta = Meta::open(&home, TopicSettings::default(), GroupSettings::default()).unwrap();
    let held = Arc::new(HeldPulls::default());
    let config = blockhouse_store::Config {
        dir,
        segment_size: 16 << 20,
        index_slots: 1_000,
        index_entries: 4_000,
        ..blockhouse_store::Config::default()
    };
    let listener = Arc::clone(&held) as _;
    let parts = blockhouse_store::Parts { disk, clock: Arc::clone(&clock), listener };
    let store = Arc::new(Store::open(config, parts).unwrap());
    let parts = Parts {
        identity: Identity {
            cluster: "DefaultCluster".to_owned(),
            name: "broker-a".to_owned(),
            id: 0,
            store_host: ([127, 0, 0, 1], 10_911).into(),
        },
        store,
        topics: meta.topics,
        groups: meta.groups,
        offsets: meta.offsets,
        delay_offsets: meta.delay_offsets,
        held,
        hooks: Arc::new(Hooks::new(HookChain::new(hooks))),
        announcer: Arc::new(NoAnnouncer),
        clock,
    };
    Broker::new(Config::default(), parts, 1).unwrap().timing_sends(true)
}

/// As if the handshake had found a certificate of this user.
struct Certified {
    sessions: Arc<Remoting>,
    user: Option<&'static str>,
}

impl Sessions for Certified {
    fn opened(&self, connection: &Arc<Connection>) -> bool {
        if let Some(user) = self.user {
            connection.secured(Some(user.into()));
        }
        self.sessions.opened(connection)
    }

    fn closed(&self, connection: &Arc<Connection>) {
        self.sessions.closed(connection);
    }
}

impl World {
    pub(crate) async fn new(hooks: &[Arc<dyn Hook>]) -> Self {
        Self::with_certificates(hooks, None).await
    }

    /// Every client shows a certificate of this user.
    pub(crate) async fn with_certificates(
        hooks: &[Arc<dyn Hook>],
        user: Option<&'static str>,
    ) -> Self {
        Self::build(hooks, user, None).await
    }

    /// What the broker does is recorded as spans.
    pub(crate) async fn recording(hooks: &[Arc<dyn Hook>], spans: Option<Arc<Spans>>) -> Self {
        Self::build(hooks, None, spans).await
    }

    async fn build(
        hooks: &[Arc<dyn Hook>],
        user: Option<&'static str>,
        spans: Option<Arc<Spans>>,
    ) -> Self {
        let clock = Arc::new(ManualClock::at(Timestamp(1_700_000_000_000)));
        let disk = MemDisk::new();
        let code_of = blockhouse_remoting::code_of;
        let recorder = spans.map(|spans| Recorder { spans, code_of });
        let broker = Arc::new(broker(&disk, &clock, hooks).recording(recorder));
        let meter = Arc::new(Meter::default());
        meter.watch_sizes(broker.stats().sizes());
        let remoting = Remoting::new(Arc::clone(&broker), Arc::new(NoNode), Arc::clone(&meter));
        let sessions = Arc::new(Certified { sessions: Arc::clone(&remoting), user });
        let endpoint = Endpoint::new(remoting, sessions, Limits::default());
        let counts = Arc::clone(&endpoint.counts);
        let server = Server::bind("127.0.0.1:0", endpoint).await.unwrap();
        let no_one = Endpoint::new(Arc::new(NoService), Arc::new(NoSessions), Limits::default());
        Self { broker, clock, disk, server, counts, meter, dialer: Dialer::new(no_one) }
    }

    pub(crate) async fn client(&self) -> Client {
        let addr = self.server.local_addr().to_string();
        Client(self.dialer.connect(&addr, PATIENCE).await.unwrap())
    }
}

pub(crate) struct Client(pub(crate) Arc<Connection>);

impl Client {
    pub(crate) async fn call(
        &self,
        code: i32,
        ext: impl FnOnce(&mut ExtWriter<'_>),
        body: &[u8],
    ) -> RemotingCommand {
        self.0.call(code, ext, body, PATIENCE).await.unwrap()
    }

    /// A request with fields given as texts.
    pub(crate) async fn ask(
        &self,
        code: i32,
        fields: &[(&'static str, &str)],
        body: &[u8],
    ) -> RemotingCommand {
        let write = |out: &mut ExtWriter<'_>| {
            for (name, value) in fields {
                out.text(name, value);
            }
        };
        self.call(code, write, body).await
    }

    pub(crate) async fn send(&self, topic: &str, properties: &str, body: &[u8]) -> RemotingCommand {
        let header = send_header(topic, properties);
        self.call(request_code::SEND_MESSAGE_V2, |out| header.write(out), body).await
    }

    pub(crate) async fn pull(&self, topic: &str, offset: i64, tags: &str) -> RemotingCommand {
        let header = pull_header(topic, offset, tags);
        self.call(request_code::PULL_MESSAGE, |out| header.write(out), b"").await
    }
}

pub(crate) fn send_header<'a>(topic: &'a str, properties: &'a str) -> SendMessage<'a> {
    SendMessage {
        producer_group: "producers",
        topic,
        default_topic: "TBW102",
        default_topic_queue_nums: 1,
        queue_id: 0,
        sys_flag: 0,
        born_timestamp: 1_700_000_000_000,
        flag: 0,
        properties,
        reconsume_times: 0,
        unit_mode: false,
        max_reconsume_times: None,
        batch: false,
        broker_name: None,
    }
}

pub(crate) fn pull_header<'a>(topic: &'a str, offset: i64, tags: &'a str) -> PullMessage<'a> {
    PullMessage {
        consumer_group: "consumers",
        topic,
        queue_id: 0,
        queue_offset: offset,
        max_msg_nums: 32,
        sys_flag: sys_flag::SUBSCRIPTION,
        commit_offset: 0,
        suspend_timeout_millis: 0,
        subscription: Some(tags),
        sub_version: 0,
        expression_type: None,
        max_msg_bytes: None,
        request_source: None,
        proxy_forward_client_id: None,
        broker_name: None,
    }
}

/// The bodies of the messages in a pull's answer.
pub(crate) fn bodies(answer: &RemotingCommand) -> Vec<String> {
    blockhouse_record::records(&answer.body)
        .map(|record| String::from_utf8(record.unwrap().body.to_vec()).unwrap())
        .collect()
}
