//! A name server and broker in one, whose answers a test writes.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;

use blockhouse_model::{
    ManualClock, PhysicalOffset, QueueId, QueueOffset, SysFlag, Timestamp, properties,
};
use blockhouse_protocol::body::Body as _;
use blockhouse_protocol::body::client::ConsumerIdList;
use blockhouse_protocol::body::route::{BrokerData, QueueData, TopicRouteData};
use blockhouse_protocol::codes::{request_code, response_code};
use blockhouse_protocol::encode::{self, ResponseHead};
use blockhouse_protocol::{ExtFields, RemotingCommand};
use blockhouse_record::{Draft, Stamp};
use blockhouse_transport::{Connection, Endpoint, Limits, NoSessions, Replies, Server, Service};
use bytes::Bytes;
use parking_lot::Mutex;

use crate::{Client, Options};

/// Code, fields and body of an answer.
#[derive(Clone, Debug, Default)]
pub(super) struct Answer {
    pub(super) code: i32,
    pub(super) ext: Vec<(&'static str, String)>,
    pub(super) body: Bytes,
}

impl Answer {
    pub(super) fn code(code: i32) -> Self {
        Self { code, ..Self::default() }
    }

    pub(super) fn with(mut self, name: &'static str, value: i64) -> Self {
        self.ext.push((name, value.to_string()));
        self
    }

    pub(super) fn body(body: impl Into<Bytes>) -> Self {
        Self { body: body.into(), ..Self::default() }
    }
}

type Script = Box<dyn FnMut(&ExtFields, &Bytes) -> Answer + Send>;

#[derive(Default)]
pub(super) struct Fake {
    scripts: Mutex<HashMap<i32, Script>>,
    /// All requests so far.
    pub(super) heard: Mutex<Vec<RemotingCommand>>,
}

impl Fake {
    pub(super) fn on(
        &self,
        code: i32,
        script: impl FnMut(&ExtFields, &Bytes) -> Answer + Send + 'static,
    ) {
        self.scripts.lock().insert(code, Box::new(script));
    }

    pub(super) fn heard(&self, code: i32) -> Vec<RemotingCommand> {
        self.heard.lock().iter().filter(|c| c.code == code).cloned().collect()
    }
}

impl Service for Fake {
    fn burst(&self, _: &Arc<Connection>, burst: &mut Vec<RemotingCommand>, replies: &mut Replies) {
        for request in burst.drain(..) {
            let answer = match self.scripts.lock().get_mut(&request.code) {
                Some(script) => script(&request.ext, &request.body),
                None => Answer::code(response_code::REQUEST_CODE_NOT_SUPPORTED),
            };
            if !request.is_one_way() {
                let head = ResponseHead::new(request.opaque, answer.code, Some("as scripted"));
                let fields = |ext: &mut blockhouse_protocol::ExtWriter<'_>| {
                    answer.ext.iter().for_each(|(name, value)| ext.text(name, value));
                };
                encode::response(replies.frames(), &head, fields, answer.body.len());
                replies.slice(answer.body);
            }
            self.heard.lock().push(request);
        }
    }
}

pub(super) struct Cluster {
    pub(super) fake: Arc<Fake>,
    pub(super) server: Server,
    pub(super) client: Arc<Client>,
    pub(super) clock: Arc<ManualClock>,
}

/// A cluster whose broker `b` has topic `t` with `queues` queues, and a client of it.
pub(super) async fn cluster(queues: i32) -> Cluster {
    cluster_behind(queues, "").await
}

/// The same; the client tries the name servers of `first` before the right one.
pub(super) async fn cluster_behind(queues: i32, first: &str) -> Cluster {
    let fake = Arc::new(Fake::default());
    let service = Arc::clone(&fake);
    let endpoint = Endpoint::new(service, Arc::new(NoSessions), Limits::default());
    let server = Server::bind("127.0.0.1:0", endpoint).await.unwrap();
    let addr = server.local_addr();
    fake.on(request_code::GET_ROUTEINFO_BY_TOPIC, move |ext, _| match ext.get("topic") {
        Some("t") => Answer::body(route(addr, queues).encode_for(493, true)),
        _ => Answer::code(response_code::TOPIC_NOT_EXIST),
    });
    let clock = Arc::new(ManualClock::at(Timestamp(1_700_000_000_000)));
    let options = Options::new(&format!("{first}{addr}"));
    let client = Client::new(options, Arc::clone(&clock) as _).unwrap();
    Cluster { fake, server, client: Arc::new(client), clock }
}

fn route(addr: SocketAddr, queues: i32) -> TopicRouteData {
    TopicRouteData {
        broker_datas: vec![BrokerData {
            broker_addrs: [(0, addr.to_string())].into(),
            broker_name: "b".to_owned(),
            cluster: "c".to_owned(),
            ..BrokerData::default()
        }],
        queue_datas: vec![QueueData {
            broker_name: "b".to_owned(),
            perm: 6,
            read_queue_nums: queues,
            write_queue_nums: queues,
            topic_sys_flag: 0,
        }],
        ..TopicRouteData::default()
    }
}

/// Lets `client` be the only member of every group.
pub(super) fn alone(cluster: &Cluster) {
    let list = ConsumerIdList { consumer_id_list: vec![cluster.client.id()] };
    cluster
        .fake
        .on(request_code::GET_CONSUMER_LIST_BY_GROUP, move |_, _| Answer::body(list.encode()));
    cluster.fake.on(request_code::HEART_BEAT, |_, _| Answer::default());
    cluster.fake.on(request_code::UNREGISTER_CLIENT, |_, _| Answer::default());
    cluster.fake.on(request_code::UPDATE_CONSUMER_OFFSET, |_, _| Answer::default());
    cluster.fake.on(request_code::GET_MIN_OFFSET, |_, _| Answer::default().with("offset", 0));
}

/// A record as brokers send it.
pub(super) fn record(queue: u32, offset: u64, body: &str, tag: &str) -> Vec<u8> {
    let host = "127.0.0.1:10911".parse().unwrap();
    let mut text = String::new();
    properties::push(&mut text, properties::TAGS, tag);
    let draft = Draft {
        topic: "t",
        queue: QueueId(queue),
        flag: 0,
        sys_flag: SysFlag(0),
        born_timestamp: Timestamp(1),
        born_host: host,
        store_host: host,
        reconsume_times: 0,
        prepared_offset: 0,
        body: body.as_bytes(),
        properties: &text,
        wait: true,
    };
    let mut bytes = Vec::new();
    blockhouse_record::encode(&draft, &mut bytes).unwrap();
    let stamp = Stamp {
        queue_offset: QueueOffset(offset),
        physical_offset: PhysicalOffset(4096),
        store_timestamp: Timestamp(2),
    };
    blockhouse_record::stamp(&mut bytes, stamp);
    bytes
}
