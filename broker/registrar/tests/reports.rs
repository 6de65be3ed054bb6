//! A registrar against name servers that write down what they hear.
#![expect(clippy::panic, clippy::unwrap_used, reason = "helpers of tests fail their test")]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::Duration;

use blockhouse_model::{DataVersion, Timestamp, Topic, TopicConfig};
use blockhouse_protocol::body::Body as _;
use blockhouse_protocol::body::registration::{RegisterBrokerBody, body_crc32};
use blockhouse_protocol::codes::request_code as code;
use blockhouse_protocol::header::namesrv::{RegisterBroker, UnregisterBroker};
use blockhouse_protocol::signed::{ACCESS_KEY, SIGNATURE, Signer};
use blockhouse_protocol::{RemotingCommand, ResponseHead, encode};
use blockhouse_registrar::{Answer, Changes, Config, Identity, Registrar, Reported, Snapshot};
use blockhouse_transport::{Connection, Endpoint, Limits, NoSessions, Replies, Server, Service};
use parking_lot::Mutex;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

const PATIENCE: Duration = Duration::from_secs(5);

/// What a name server heard: a code, and of a report the number of topics and the version.
type Heard = (i32, usize, i64);

struct Listener {
    heard: mpsc::Sender<Heard>,
    /// The response code of reports.
    answers: AtomicI32,
    /// The version that questions are answered with.
    knows: Mutex<Option<DataVersion>>,
}

impl Service for Listener {
    fn burst(&self, _: &Arc<Connection>, burst: &mut Vec<RemotingCommand>, replies: &mut Replies) {
        for command in burst.drain(..) {
            let mut body = bytes::Bytes::new();
            let mut heard = (command.code, 0, 0);
            let mut result = 0;
            // Whatever a name server is told is signed.
            assert_eq!(command.ext.get(ACCESS_KEY), Some("node"));
            let signature = format!("{} bytes", command.body.len());
            assert_eq!(command.ext.get(SIGNATURE), Some(&*signature));
            match command.code {
                code::REGISTER_BROKER => {
                    let (topics, version) = read_report(&command);
                    heard = (command.code, topics, version.counter);
                    *self.knows.lock() = Some(version);
                    result = self.answers.load(Ordering::SeqCst);
                    body = bytes::Bytes::from_static(b"{\"table\":{\"t\":\"a:4\"}}");
                }
                code::QUERY_DATA_VERSION => {
                    let known = *self.knows.lock();
                    body = known.map(|v| v.encode()).unwrap_or_default();
                }
                code::UNREGISTER_BROKER => {
                    assert!(UnregisterBroker::parse(&command.ext).is_ok());
                }
                other => panic!("unexpected code {other}"),
            }
            let head = ResponseHead::new(command.opaque, result, None);
            encode::response(
                replies.frames(),
                &head,
                |out| out.text("changed", "false"),
                body.len(),
            );
            replies.slice(body);
            // A full channel means that the test listens no more.
            let _unheard = self.heard.try_send(heard);
        }
    }
}

fn read_report(command: &RemotingCommand) -> (usize, DataVersion) {
    let header = RegisterBroker::parse(&command.ext).unwrap();
    assert_eq!(header.body_crc32, body_crc32(&command.body));
    assert_eq!((header.broker_name, header.broker_addr), ("a", "127.0.0.1:10911"));
    assert_eq!((header.cluster_name, header.ha_server_addr), ("c", "127.0.0.1:10912"));
    let body = RegisterBrokerBody::decode_any(&command.body, command.version).unwrap();
    let table = body.topic_config_serialize_wrapper;
    (table.topic_config_table.len(), table.data_version)
}

/// A name server on a port of its own.
struct NameServer {
    server: Server,
    service: Arc<Listener>,
    heard: mpsc::Receiver<Heard>,
}

impl NameServer {
    async fn start(addr: &str) -> Self {
        let (sender, heard) = mpsc::channel(100);
        let answers = AtomicI32::new(0);
        let service = Arc::new(Listener { heard: sender, answers, knows: Mutex::default() });
        let limits = Limits { drain_ms: 100, ..Limits::default() };
        let endpoint = Endpoint::new(Arc::clone(&service) as _, Arc::new(NoSessions), limits);
        Self { server: Server::bind(addr, endpoint).await.unwrap(), service, heard }
    }

    fn addr(&self) -> String {
        self.server.local_addr().to_string()
    }

    async fn next(&mut self) -> Heard {
        tokio::time::timeout(PATIENCE, self.heard.recv()).await.unwrap().unwrap()
    }
}

/// Topics that can be added to.
#[derive(Default)]
struct Topics {
    state: Mutex<(DataVersion, Vec<TopicConfig>)>,
    answers: Mutex<Vec<Answer>>,
}

impl Topics {
    fn add(&self, name: &str) -> DataVersion {
        let mut state = self.state.lock();
        state.0 = state.0.next(Timestamp(5));
        state.1.push(TopicConfig::new(Topic::trusted(name), 4));
        state.0
    }
}

impl Reported for Topics {
    fn snapshot(&self) -> Snapshot {
        let (version, topics) = self.state.lock().clone();
        Snapshot { version, topics }
    }
    fn version(&self) -> DataVersion {
        self.state.lock().0
    }
    fn answered(&self, _: &str, answer: &Answer) {
        self.answers.lock().push(answer.clone());
    }
}

struct Broker {
    topics: Arc<Topics>,
    changes: Changes,
    state: Arc<blockhouse_registrar::State>,
    stop: oneshot::Sender<()>,
    running: JoinHandle<()>,
}

fn start(config: Config, name_servers: &[String]) -> Broker {
    let topics = Arc::new(Topics::default());
    topics.add("t");
    topics.add("u");
    let identity = Identity {
        cluster: "c".to_owned(),
        broker: "a".to_owned(),
        id: 0,
        addr: "127.0.0.1:10911".to_owned(),
        ha_addr: "127.0.0.1:10912".to_owned(),
    };
    let changes = Changes::new();
    let reported = Arc::clone(&topics) as Arc<dyn Reported>;
    let signer = Arc::new(Signer::new("node", |_, body| format!("{} bytes", body.len())));
    let registrar = Registrar::new(config, name_servers, identity, reported, &changes);
    let registrar = registrar.signed_by(&signer);
    let state = registrar.state();
    let (stop, stopped) = oneshot::channel::<()>();
    let run = registrar.run(async {
        let _stopped = stopped.await;
    });
    #[expect(clippy::disallowed_methods, reason = "a test joins the one task it spawns")]
    let running = tokio::spawn(run);
    Broker { topics, changes, state, stop, running }
}

impl Broker {
    async fn stop(self) {
        drop(self.stop);
        tokio::time::timeout(PATIENCE, self.running).await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn a_broker_reports_at_start_on_change_and_says_goodbye() {
    let mut servers =
        [NameServer::start("127.0.0.1:0").await, NameServer::start("127.0.0.1:0").await];
    let broker = start(Config::default(), &[servers[0].addr(), servers[1].addr()]);
    for server in &mut servers {
        assert_eq!(server.next().await, (code::REGISTER_BROKER, 2, 2));
    }
    let all = async {
        while broker.state.reached() < 2 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, all).await.unwrap();
    assert!(broker.state.told(broker.topics.version(), PATIENCE).await);
    let order = BTreeMap::from([("t".to_owned(), "a:4".to_owned())]);
    assert_eq!(broker.topics.answers.lock()[0].order_topics, Some(order));

    // Many changes in a row are few reports, the last of which holds them all.
    let mut version = DataVersion::default();
    for n in 0..20 {
        version = broker.topics.add(&format!("new{n}"));
        broker.changes.tell();
    }
    assert!(broker.state.told(version, PATIENCE).await);
    for server in &mut servers {
        let mut reports = 0;
        while server.next().await != (code::REGISTER_BROKER, 22, 22) {
            reports += 1;
        }
        assert!(reports < 3, "{reports}");
    }
    broker.stop().await;
    for server in &mut servers {
        assert_eq!(server.next().await.0, code::UNREGISTER_BROKER);
    }
}

#[tokio::test]
async fn a_name_server_that_is_down_delays_nobody_and_is_told_when_it_is_back() {
    let down = NameServer::start("127.0.0.1:0").await;
    let addr = down.addr();
    down.server.shutdown().await;
    let mut up = NameServer::start("127.0.0.1:0").await;
    let config = Config { retry_ms: 10, retry_ms_max: 20, ..Config::default() };
    let broker = start(config, &[addr.clone(), up.addr()]);
    assert_eq!(up.next().await.0, code::REGISTER_BROKER);
    assert!(broker.state.reached_any(PATIENCE).await);
    assert_eq!(broker.state.name_servers()[&addr], None);
    // What is told while one is down does not wait for it.
    assert!(broker.state.told(broker.topics.version(), PATIENCE).await);

    let mut back = NameServer::start(&addr).await;
    assert_eq!(back.next().await, (code::REGISTER_BROKER, 2, 2));
    // And one that goes away and comes back empty is told everything again.
    back.server.shutdown().await;
    let mut again = NameServer::start(&addr).await;
    assert_eq!(again.next().await, (code::REGISTER_BROKER, 2, 2));
    broker.stop().await;
    assert_eq!(up.next().await.0, code::UNREGISTER_BROKER);
}

#[tokio::test]
async fn a_refused_report_is_tried_again() {
    let mut server = NameServer::start("127.0.0.1:0").await;
    server.service.answers.store(1, Ordering::SeqCst);
    let config = Config { retry_ms: 10, retry_ms_max: 20, compressed: true, ..Config::default() };
    let broker = start(config, &[server.addr()]);
    assert_eq!(server.next().await, (code::REGISTER_BROKER, 2, 2));
    assert_eq!(server.next().await, (code::REGISTER_BROKER, 2, 2));
    assert_eq!(broker.state.reached(), 0);
    server.service.answers.store(0, Ordering::SeqCst);
    assert!(broker.state.reached_any(PATIENCE).await);
    broker.stop().await;
}

#[tokio::test]
async fn a_sign_of_life_is_a_question_and_a_report_only_if_the_versions_differ() {
    let mut server = NameServer::start("127.0.0.1:0").await;
    let broker = start(Config::default(), &[server.addr()]);
    assert_eq!(server.next().await.0, code::REGISTER_BROKER);
    assert!(broker.state.reached_any(PATIENCE).await);
    for _ in 0..2 {
        assert_eq!(quietly(&mut server).await.0, code::QUERY_DATA_VERSION);
    }
    *server.service.knows.lock() = None;
    assert_eq!(quietly(&mut server).await.0, code::QUERY_DATA_VERSION);
    assert_eq!(server.next().await, (code::REGISTER_BROKER, 2, 2));
    assert_eq!(quietly(&mut server).await.0, code::QUERY_DATA_VERSION);
    broker.stop().await;
}

/// What the name server hears next, with the time moved on for as long as nothing is heard.
async fn quietly(server: &mut NameServer) -> Heard {
    loop {
        if let Ok(heard) = server.heard.try_recv() {
            return heard;
        }
        tokio::time::pause();
        tokio::time::advance(Duration::from_millis(500)).await;
        tokio::time::resume();
        for _ in 0..20 {
            tokio::task::yield_now().await;
        }
    }
}
