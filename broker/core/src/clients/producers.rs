//! Producer groups and their members.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use blockhouse_model::{Group, Timestamp};

use super::heartbeat::{GROUPS_MAX, check_count};
use super::view::ConnectionView;
use super::{Client, ClientChannel, HeartbeatError};

#[derive(Default)]
pub(super) struct Producers {
    /// Members by connection, by group.
    groups: HashMap<Group, HashMap<u64, Client>>,
    connections: HashMap<u64, Of>,
    /// All groups of all connections together.
    members: usize,
    /// The last connection of each client id.
    clients: HashMap<Arc<str>, Arc<dyn ClientChannel>>,
}

/// What a connection said.
struct Of {
    /// Its groups.
    groups: HashSet<Group>,
    /// Its client id, the last one: it is forgotten with the connection, or when there is another.
    id: Arc<str>,
}

impl Producers {
    pub(super) fn register(
        &mut self,
        group: Group,
        client: &Client,
        members_max: usize,
    ) -> Result<(), HeartbeatError> {
        let connection = client.channel.id();
        let known = self.connections.get(&connection);
        if known.is_none_or(|known| !known.groups.contains(&group)) {
            let count = known.map_or(0, |known| known.groups.len());
            check_count("producerDataSet", count + 1, GROUPS_MAX)?;
            if self.members >= members_max {
                return Err(HeartbeatError::Members { of: "producer", max: members_max });
            }
        }
        self.rename(connection, client);
        let id = || Of { groups: HashSet::new(), id: Arc::clone(&client.id) };
        let groups = &mut self.connections.entry(connection).or_insert_with(id).groups;
        if groups.insert(group.clone()) {
            self.members += 1;
        }
        let members = self.groups.entry(group).or_default();
        let client = client.clone().after(members.get(&connection));
        members.insert(connection, client);
        Ok(())
    }

    /// The connection speaks for this client now, and for no other.
    fn rename(&mut self, connection: u64, client: &Client) {
        let before = self
            .connections
            .get_mut(&connection)
            .map(|known| std::mem::replace(&mut known.id, Arc::clone(&client.id)));
        if let Some(before) = before.filter(|before| *before != client.id) {
            self.forget_client(&before, connection);
        }
        self.clients.insert(Arc::clone(&client.id), Arc::clone(&client.channel));
    }

    pub(super) fn unregister(&mut self, group: &str, connection: u64) {
        let Some(known) = self.connections.get_mut(&connection) else {
            return;
        };
        let Some(group) = known.groups.take(group) else { return };
        if known.groups.is_empty() {
            let id = Arc::clone(&known.id);
            self.connections.remove(&connection);
            self.forget_client(&id, connection);
        }
        self.leave(&group, connection);
    }

    pub(super) fn closed(&mut self, connection: u64) {
        let Some(known) = self.connections.remove(&connection) else { return };
        self.forget_client(&known.id, connection);
        for group in known.groups {
            self.leave(&group, connection);
        }
    }

    /// Takes silent members out; returns their channels.
    pub(super) fn expire(&mut self, now: Timestamp) -> Vec<Arc<dyn ClientChannel>> {
        let members = self.groups.iter().flat_map(|(group, members)| {
            members.values().filter(|client| client.is_silent(now)).map(move |c| (group, c))
        });
        let silent: Vec<(Group, Arc<dyn ClientChannel>)> =
            members.map(|(group, c)| (group.clone(), Arc::clone(&c.channel))).collect();
        let mut channels = Vec::with_capacity(silent.len());
        for (group, channel) in silent {
            self.unregister(&group, channel.id());
            channels.push(channel);
        }
        channels
    }

    pub(super) fn all(&self) -> impl Iterator<Item = (&Group, impl Iterator<Item = &Client>)> {
        self.groups.iter().map(|(name, members)| (name, members.values()))
    }

    pub(super) fn names(&self) -> Vec<Group> {
        let mut names: Vec<_> = self.groups.keys().cloned().collect();
        names.sort_unstable();
        names
    }

    pub(super) fn view(&self, group: &str) -> Vec<ConnectionView> {
        let members = self.groups.get(group).into_iter().flat_map(HashMap::values);
        ConnectionView::sorted(members)
    }

    pub(super) fn by_client_id(&self, client_id: &str) -> Option<Arc<dyn ClientChannel>> {
        self.clients.get(client_id).map(Arc::clone)
    }

    pub(super) fn nth(&self, group: &str, turn: usize) -> Option<Arc<dyn ClientChannel>> {
        let members = self.groups.get(group)?;
        let at = turn.checked_rem(members.len())?;
        members.values().nth(at).map(|client| Arc::clone(&client.channel))
    }

    fn leave(&mut self, name: &Group, connection: u64) {
        let Some(members) = self.groups.get_mut(name) else {
            return;
        };
        if members.remove(&connection).is_some() {
            self.members -= 1;
        }
        if members.is_empty() {
            self.groups.remove(name);
        }
    }

    /// Forgets the way to a client id, unless another connection has taken it over.
    fn forget_client(&mut self, id: &str, connection: u64) {
        if self.clients.get(id).is_some_and(|channel| channel.id() == connection) {
            self.clients.remove(id);
        }
    }
}
