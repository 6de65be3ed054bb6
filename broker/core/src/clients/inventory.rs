//! Who is connected, over all groups: for operators, and counted for metrics.

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::sync::Arc;

use blockhouse_model::{Group, Timestamp};

use super::{Client, Clients, ConsumeType, MessageModel};

/// A client, with all that it is in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientView {
    /// The client's own name.
    pub client_id: Arc<str>,
    /// Its address.
    pub peer: SocketAddr,
    /// The number of its language.
    pub language: u8,
    /// The number of its version.
    pub version: i32,
    /// Its first heartbeat over this connection, of the groups that it is still in.
    pub since: Timestamp,
    /// Its last heartbeat.
    pub seen: Timestamp,
    /// The groups in which it produces, by name.
    pub producers: Vec<Group>,
    /// The groups in which it consumes, by name.
    pub consumers: Vec<(Group, ConsumeType, MessageModel)>,
}

/// What clients are alike in.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ClientKind {
    /// The consumer group and how it gets messages; `None` for producers, whatever their group.
    pub consumes: Option<(Group, ConsumeType)>,
    /// The number of their language.
    pub language: u8,
    /// The number of their version.
    pub version: i32,
}

impl ClientView {
    fn of(client: &Client) -> Self {
        Self {
            client_id: Arc::clone(&client.id),
            peer: client.channel.peer(),
            language: client.language,
            version: client.version,
            since: client.since,
            seen: client.seen,
            producers: Vec::new(),
            consumers: Vec::new(),
        }
    }

    /// The same client in another group, where it may have come earlier or been seen later.
    fn join(&mut self, client: &Client) {
        self.since = self.since.min(client.since);
        self.seen = self.seen.max(client.seen);
    }
}

/// Views by client id and connection: a client may have several.
#[derive(Default)]
struct Views(BTreeMap<(Arc<str>, u64), ClientView>);

impl Views {
    fn of(&mut self, client: &Client) -> &mut ClientView {
        let key = (Arc::clone(&client.id), client.channel.id());
        let view = self.0.entry(key).or_insert_with(|| ClientView::of(client));
        view.join(client);
        view
    }
}

impl Clients {
    /// All clients, by id and connection.
    #[must_use]
    pub fn inventory(&self) -> Vec<ClientView> {
        let mut views = Views::default();
        for (name, members) in self.producers.read().all() {
            members.for_each(|client| views.of(client).producers.push(name.clone()));
        }
        for (name, group) in self.consumers.read().all() {
            let (kind, model) = (group.consume_type, group.message_model);
            for client in group.members.values() {
                views.of(client).consumers.push((name.clone(), kind, model));
            }
        }
        let mut views: Vec<ClientView> = views.0.into_values().collect();
        for view in &mut views {
            view.producers.sort_unstable();
            view.consumers.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        }
        views
    }

    /// How many members of groups there are of each kind; a client counts in each group that it is in.
    #[must_use]
    pub fn kinds(&self) -> HashMap<ClientKind, usize> {
        let mut kinds = HashMap::new();
        let mut count = |consumes, client: &Client| {
            let kind = ClientKind { consumes, language: client.language, version: client.version };
            *kinds.entry(kind).or_default() += 1;
        };
        for (_, members) in self.producers.read().all() {
            members.for_each(|client| count(None, client));
        }
        for (name, group) in self.consumers.read().all() {
            let members = group.members.values();
            members.for_each(|c| count(Some((name.clone(), group.consume_type)), c));
        }
        kinds
    }
}
