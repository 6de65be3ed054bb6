//! The points, and what a hook sees at each.

use std::borrow::Cow;
use std::net::SocketAddr;

use blockhouse_model::{MessageId, QueueId, QueueOffset};
use bytes::Bytes;

use crate::Rejection;

/// A fixed point where hooks are called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Point {
    /// A connection was accepted.
    ConnectionOpened,
    /// A connection ended.
    ConnectionClosed,
    /// A request carries credentials.
    Authenticate,
    /// Before anything is done for a request.
    Authorize,
    /// Before messages are stored.
    BeforeSend,
    /// After messages were stored.
    AfterAppend,
    /// A consumer asks for messages.
    Pull,
    /// Messages are on their way to a consumer.
    BeforeDeliver,
    /// A consumer committed progress.
    Ack,
    /// An administrative request.
    AdminCommand,
    /// A broker reports to the name server.
    BrokerRegistration,
    /// A client asks for a route.
    RouteQuery,
    /// The process changes state.
    Lifecycle,
    /// Spans have ended.
    EnrichSpan,
    /// Something was decided.
    AuditSink,
}

impl Point {
    /// All points, in the order of their numbers.
    pub const ALL: [Self; 15] = [
        Self::ConnectionOpened,
        Self::ConnectionClosed,
        Self::Authenticate,
        Self::Authorize,
        Self::BeforeSend,
        Self::AfterAppend,
        Self::Pull,
        Self::BeforeDeliver,
        Self::Ack,
        Self::AdminCommand,
        Self::BrokerRegistration,
        Self::RouteQuery,
        Self::Lifecycle,
        Self::EnrichSpan,
        Self::AuditSink,
    ];
}

/// A set of points.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Points(u32);

impl Points {
    /// No point.
    pub const NONE: Self = Self(0);

    /// The set with `point` in it.
    #[must_use]
    pub const fn with(self, point: Point) -> Self {
        Self(self.0 | 1 << point as u8)
    }

    /// Every point.
    #[must_use]
    pub fn all() -> Self {
        Point::ALL.into_iter().fold(Self::NONE, Self::with)
    }

    /// Whether `point` is in the set.
    #[must_use]
    pub const fn has(self, point: Point) -> bool {
        self.0 & 1 << point as u8 != 0
    }
}

/// A connection, as far as a hook needs to know it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConnectionInfo {
    /// A number that tells it from other connections of this process.
    pub id: u64,
    /// The client's address.
    pub peer: SocketAddr,
    /// The address it came in on.
    pub local: SocketAddr,
    /// Whether it is encrypted.
    pub secure: bool,
}

/// What a request says to prove who it is from.
#[derive(Clone, Copy, Debug)]
pub struct Credentials<'a> {
    /// The claimed name (RocketMQ: `AccessKey`).
    pub access_key: &'a str,
    /// The signature, as it came.
    pub signature: &'a str,
    /// The signed fields' values, sorted by name and joined, before the body.
    pub signed_fields: &'a [u8],
    /// The request's body, the last part of what is signed.
    pub body: &'a [u8],
}

/// A message before it is stored.
#[derive(Debug)]
pub struct Draft<'a> {
    /// The topic it is sent to.
    pub topic: &'a str,
    /// The producer's group.
    pub producer_group: &'a str,
    /// The queue the client asked for; `None` when the broker picks.
    pub queue: Option<QueueId>,
    /// The body as it came (compressed, if the client compressed it).
    pub body: Cow<'a, [u8]>,
    /// The property text (`name \x01 value \x02` ...).
    pub properties: Cow<'a, str>,
    /// What becomes of the message; hooks set it.
    pub decision: Decision,
}

/// What becomes of a message that is being sent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Decision {
    /// Store it.
    #[default]
    Admit,
    /// Refuse it; the producer is told.
    Reject(Rejection),
    /// Do not store it; the producer is answered as if it was (queue offset -1).
    Drop,
    /// Store it in another topic, after that is authorized too.
    Reroute(String),
}

/// A message that has been stored.
#[derive(Clone, Copy, Debug)]
pub struct Appended<'a> {
    /// The topic.
    pub topic: &'a str,
    /// The queue.
    pub queue: QueueId,
    /// Its place in the queue.
    pub queue_offset: QueueOffset,
    /// Where it is stored.
    pub id: MessageId,
    /// Bytes of its body.
    pub body_len: usize,
    /// The property text.
    pub properties: &'a str,
}

/// A consumer's request for messages.
#[derive(Clone, Copy, Debug)]
pub struct Pull<'a> {
    /// The consumer group.
    pub group: &'a str,
    /// The topic.
    pub topic: &'a str,
    /// The queue.
    pub queue: QueueId,
    /// From where.
    pub offset: QueueOffset,
    /// At most so many messages.
    pub messages_max: usize,
}

/// To whom messages are delivered.
#[derive(Clone, Copy, Debug)]
pub struct Delivery<'a> {
    /// The consumer group.
    pub group: &'a str,
    /// The topic.
    pub topic: &'a str,
    /// The queue.
    pub queue: QueueId,
}

/// A message on its way to a consumer.
#[derive(Debug)]
pub struct Outbound<'a> {
    /// Its place in the queue.
    pub queue_offset: QueueOffset,
    /// The property text.
    pub properties: &'a str,
    /// The stored body.
    pub stored_body: &'a [u8],
    /// A body to deliver instead of the stored one.
    pub body: Option<Bytes>,
    /// Whether it is delivered at all.
    pub keep: bool,
}

/// Progress that a consumer commits.
#[derive(Clone, Copy, Debug)]
pub struct Ack<'a> {
    /// The consumer group.
    pub group: &'a str,
    /// The topic.
    pub topic: &'a str,
    /// The queue.
    pub queue: QueueId,
    /// Everything before this is consumed.
    pub offset: QueueOffset,
}

/// An administrative request.
#[derive(Clone, Copy, Debug)]
pub struct AdminCommand<'a> {
    /// The command's name, e.g. `UPDATE_AND_CREATE_TOPIC`.
    pub name: &'a str,
    /// The topic, group, key or broker it is about; empty when it is about the node.
    pub target: &'a str,
}

/// A broker's report to the name server.
#[derive(Clone, Copy, Debug)]
pub struct BrokerRegistration<'a> {
    /// The cluster it says it belongs to.
    pub cluster: &'a str,
    /// Its name.
    pub broker: &'a str,
    /// Its id; 0 is a master.
    pub broker_id: u64,
    /// The address that clients will be sent to.
    pub address: &'a str,
    /// How many topics it reports.
    pub topics: usize,
}

/// One broker of a topic's route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouteEntry {
    /// The broker's name; what clients call it, and how the entry is found again.
    pub broker: String,
    /// Readable queues.
    pub read_queues: u32,
    /// Writeable queues.
    pub write_queues: u32,
}

/// What happens to the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lifecycle {
    /// All parts run; requests are served from now on.
    Started,
    /// A stop has begun; no new connections.
    Stopping,
}
