//! What can be said to a client, over whatever protocol it came.

use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::time::Duration;

use blockhouse_model::{Group, QueueId, QueueOffset, Topic};
use bytes::Bytes;

/// Something that a client is told and does not answer.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ClientEvent {
    /// A group that the client is in has other members or subscriptions.
    ConsumerIdsChanged {
        /// The group.
        group: Group,
    },
    /// An operator moves the group.
    ResetOffset {
        /// The group.
        group: Group,
        /// The topic.
        topic: Topic,
        /// The time that the operator asked for.
        timestamp: i64,
        /// Also forward.
        force: bool,
        /// Where to go on.
        offsets: Vec<(QueueId, QueueOffset)>,
    },
}

/// Something that a client is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ClientRequest {
    /// How is it?
    RunningInfo {
        /// The group it is asked about.
        group: Group,
        /// The client's id.
        client_id: String,
        /// With the stacks of its threads.
        stacks: bool,
    },
    /// Consume this message now and say how it went.
    ConsumeDirectly {
        /// The group that shall consume it.
        group: Group,
        /// The client's id.
        client_id: String,
        /// The message's id as the operator gave it.
        message_id: String,
        /// The topic.
        topic: String,
        /// The stored record.
        record: Bytes,
    },
    /// How far is it in a topic's queues?
    ConsumerStatus {
        /// The group.
        group: Group,
        /// The topic.
        topic: Topic,
    },
}

/// A client's answer, which is passed on as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientReply {
    /// The client's own status number; 0 is success.
    pub status: i32,
    /// Its explanation.
    pub remark: Option<String>,
    /// Its answer.
    pub body: Bytes,
}

/// Why there is no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CallError {
    /// The connection is gone.
    #[error("the client is gone")]
    Closed,
    /// It took too long.
    #[error("the client did not answer in time")]
    Timeout,
    /// Too much waits for this client already.
    #[error("the client has too many requests to answer")]
    Busy,
    /// The client's protocol has no such request.
    #[error("the client cannot be asked this")]
    Unsupported,
}

/// An answer to come.
pub type Call = Pin<Box<dyn Future<Output = Result<ClientReply, CallError>> + Send>>;

/// The way to a client.
pub trait ClientChannel: Send + Sync {
    /// A number that no other connection of this process has.
    fn id(&self) -> u64;

    /// The client's address.
    fn peer(&self) -> SocketAddr;

    /// Tells the client something, without waiting; `false` if it will not hear of it.
    fn push(&self, event: ClientEvent) -> bool;

    /// Asks the client something; resolves after `timeout` at the latest.
    fn call(&self, request: ClientRequest, timeout: Duration) -> Call;

    /// Ends the connection.
    fn close(&self);
}
