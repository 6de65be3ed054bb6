//! What operators are shown, and members that can be spoken to.

use std::net::SocketAddr;
use std::sync::Arc;

use blockhouse_filter::Subscription;
use blockhouse_model::Timestamp;

use super::{Client, ClientChannel, ConsumeFromWhere, ConsumeType, MessageModel};

/// A client's connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConnectionView {
    /// The client's own name.
    pub client_id: Arc<str>,
    /// Its address.
    pub peer: SocketAddr,
    /// The number of its language.
    pub language: u8,
    /// The number of its version.
    pub version: i32,
    /// Its last heartbeat.
    pub seen: Timestamp,
}

impl ConnectionView {
    pub(super) fn of(client: &Client) -> Self {
        Self {
            client_id: Arc::clone(&client.id),
            peer: client.channel.peer(),
            language: client.language,
            version: client.version,
            seen: client.seen,
        }
    }

    /// The views of clients, by id and address.
    pub(super) fn sorted<'a>(clients: impl Iterator<Item = &'a Client>) -> Vec<Self> {
        let mut views: Vec<_> = clients.map(Self::of).collect();
        views.sort_unstable_by(|a, b| (&a.client_id, a.peer).cmp(&(&b.client_id, b.peer)));
        views
    }
}

/// A connected consumer group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsumerView {
    /// Its members.
    pub connections: Vec<ConnectionView>,
    /// How it gets messages.
    pub consume_type: ConsumeType,
    /// Who gets a message.
    pub message_model: MessageModel,
    /// Where it begins.
    pub from_where: ConsumeFromWhere,
    /// What it wants, by topic.
    pub subscriptions: Vec<Arc<Subscription>>,
}

/// A member of a consumer group that can be spoken to.
#[derive(Clone)]
pub struct Member {
    /// The way to it.
    pub channel: Arc<dyn ClientChannel>,
    /// Its own name.
    pub client_id: Arc<str>,
    /// The number of its version.
    pub version: i32,
}

impl Member {
    pub(super) fn of(client: &Client) -> Self {
        Self {
            channel: Arc::clone(&client.channel),
            client_id: Arc::clone(&client.id),
            version: client.version,
        }
    }
}
