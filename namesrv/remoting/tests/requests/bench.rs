//! A name service on a bench: requests in, answers out.
#![expect(clippy::panic, reason = "a broken bench fails its test")]

use std::collections::BTreeMap;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use blockhouse_disk::{MemDisk, whole};
use blockhouse_hook::{Acls, Hook, HookChain, Hooks, Users};
use blockhouse_meter::Meter;
use blockhouse_model::{Clock, ManualClock, Timestamp};
use blockhouse_namesrv_remoting::{
    Background, KvStore, NameService, Registration, Settings, name_service,
};
use blockhouse_protocol::codes::request_code;
use blockhouse_protocol::{ExtFields, RemotingCommand, frame};
use blockhouse_transport::{Connection, Replies, Service};
use bytes::{Bytes, BytesMut};

pub(crate) const BROKER_FIELDS: &[(&str, &str)] = &[
    ("clusterName", "c"),
    ("brokerName", "a"),
    ("brokerAddr", "127.0.0.1:10911"),
    ("brokerId", "0"),
    ("haServerAddr", "127.0.0.1:10912"),
];

/// A registration's body with the topics `t` and `u`.
pub(crate) fn two_topics(counter: i64) -> String {
    let topic = |name: &str| {
        format!(
            r#""{name}":{{"attributes":{{}},"order":false,"perm":6,"readQueueNums":4,"topicFilterType":"SINGLE_TAG","topicName":"{name}","topicSysFlag":0,"writeQueueNums":4}}"#
        )
    };
    format!(
        r#"{{"filterServerList":[],"topicConfigSerializeWrapper":{{"dataVersion":{{"counter":{counter},"stateVersion":0,"timestamp":5}},"topicConfigTable":{{{},{}}}}}}}"#,
        topic("t"),
        topic("u")
    )
}

/// Saves at once, on the thread that asks.
struct AtOnce;

impl Background for AtOnce {
    fn run(&self, work: Box<dyn FnOnce() + Send>) {
        work();
    }
}

pub(crate) struct Bench {
    pub(crate) service: NameService,
    pub(crate) connection: Arc<Connection>,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) disk: MemDisk,
    pub(crate) meter: Arc<Meter>,
    pub(crate) hooks: Arc<Hooks>,
}

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) code: i32,
    pub(crate) remark: Option<String>,
    fields: BTreeMap<String, String>,
    body: Bytes,
}

impl Answer {
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        self.fields.get(name).map(String::as_str)
    }

    pub(crate) fn body(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

impl Bench {
    pub(crate) fn new() -> Self {
        Self::with(Settings::default(), &[])
    }

    pub(crate) fn with(settings: Settings, hooks: &[Arc<dyn Hook>]) -> Self {
        Self::registering(settings, hooks, Registration::default())
    }

    pub(crate) fn registering(
        settings: Settings,
        hooks: &[Arc<dyn Hook>],
        registration: Registration,
    ) -> Self {
        Self::administering(settings, hooks, registration, None)
    }

    pub(crate) fn administering(
        settings: Settings,
        hooks: &[Arc<dyn Hook>],
        registration: Registration,
        who: Option<(Arc<dyn Users>, Arc<dyn Acls>)>,
    ) -> Self {
        let (users, acls) = who.unzip();
        let disk = MemDisk::new();
        let clock = Arc::new(ManualClock::at(Timestamp(1_000)));
        let kv = KvStore::open(Arc::new(disk.clone()), "/d".as_ref());
        let meter = Arc::<Meter>::default();
        let hooks = Arc::new(Hooks::new(HookChain::new(hooks)));
        let service = NameService::new(name_service::Parts {
            settings,
            fixed_options: BTreeMap::from([("listenPort".to_owned(), "9876".to_owned())]),
            kv: kv.unwrap_or_else(|e| panic!("{e}")),
            clock: Arc::clone(&clock) as Arc<dyn Clock>,
            hooks: Arc::clone(&hooks),
            background: Arc::new(AtOnce),
            meter: Arc::clone(&meter),
            users,
            acls,
            registration,
        });
        let at = |port| SocketAddr::from(([127, 0, 0, 1], port));
        let connection = Connection::detached(at(5), at(9876));
        Self { service, connection, clock, disk, meter, hooks }
    }

    /// The broker `a` with the topics `t` and `u`.
    pub(crate) fn register(&self) -> Answer {
        self.ask(request_code::REGISTER_BROKER, BROKER_FIELDS, two_topics(1).as_bytes())
    }

    pub(crate) fn ask(&self, code: i32, fields: &[(&str, &str)], body: &[u8]) -> Answer {
        self.ask_as(493, code, fields, body)
    }

    pub(crate) fn ask_as(
        &self,
        version: i32,
        code: i32,
        fields: &[(&str, &str)],
        body: &[u8],
    ) -> Answer {
        let mut command = command(code, fields, body);
        (command.version, command.opaque) = (version, 77);
        let mut answers = self.burst(vec![command]);
        assert_eq!(answers.len(), 1);
        let answer = answers.remove(0);
        assert!(answer.is_response() && answer.opaque == 77);
        Answer {
            code: answer.code,
            remark: answer.remark().map(str::to_owned),
            fields: answer.ext.iter().map(|(n, v)| (n.to_owned(), v.to_owned())).collect(),
            body: answer.body,
        }
    }

    /// How many answers a one-way request gets.
    pub(crate) fn one_way(&self, code: i32, fields: &[(&str, &str)], body: &[u8]) -> usize {
        let mut command = command(code, fields, body);
        command.flag = 2;
        self.burst(vec![command]).len()
    }

    /// Answers frames as they come off the wire.
    pub(crate) fn ask_raw(&self, frames: &[u8]) -> Vec<RemotingCommand> {
        let mut bytes = BytesMut::from(frames);
        self.burst(split_all(&mut bytes))
    }

    pub(crate) fn burst(&self, mut burst: Vec<RemotingCommand>) -> Vec<RemotingCommand> {
        let mut replies = Replies::new();
        self.service.burst(&self.connection, &mut burst, &mut replies);
        let settled = pin!(replies.settled());
        let Poll::Ready(bytes) = settled.poll(&mut Context::from_waker(Waker::noop())) else {
            panic!("what saves at once is answered at once")
        };
        let mut bytes = BytesMut::from(&*bytes);
        split_all(&mut bytes)
    }

    /// How many of these requests are answered while there is room for so many bytes.
    pub(crate) fn answered_with_room(&self, room: usize, code: i32, requests: usize) -> usize {
        let mut burst: Vec<_> = (0..requests).map(|_| command(code, &[], b"")).collect();
        let mut replies = Replies::up_to(room);
        self.service.burst(&self.connection, &mut burst, &mut replies);
        requests - burst.len()
    }

    /// The codes of the answers to a request, when they are there.
    pub(crate) fn later(
        &self,
        code: i32,
        fields: &[(&str, &str)],
        body: &[u8],
    ) -> impl Future<Output = Vec<i32>> + 'static {
        let mut replies = Replies::new();
        self.service.burst(&self.connection, &mut vec![command(code, fields, body)], &mut replies);
        async move {
            let mut bytes = BytesMut::from(&*replies.settled().await);
            split_all(&mut bytes).iter().map(|answer| answer.code).collect()
        }
    }

    /// The KV file's text.
    pub(crate) fn file(&self) -> String {
        let path = self.service.kv_path();
        let bytes = whole::read(&self.disk, path).ok().flatten().unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

fn split_all(bytes: &mut BytesMut) -> Vec<RemotingCommand> {
    let mut commands = Vec::new();
    while let Some(command) = frame::split(bytes, 1 << 24).unwrap_or_else(|e| panic!("{e}")) {
        commands.push(command);
    }
    assert!(bytes.is_empty());
    commands
}

fn command(code: i32, fields: &[(&str, &str)], body: &[u8]) -> RemotingCommand {
    let ext: ExtFields = fields.iter().copied().collect();
    RemotingCommand::new(code, ext, Bytes::copy_from_slice(body))
}
