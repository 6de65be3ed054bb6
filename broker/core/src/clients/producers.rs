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
    /// The groups of each connection.
    connections: HashMap<u64, HashSet<Group>>,
    /// The last connection of each client id.
    clients: HashMap<Arc<str>, Arc<dyn ClientChannel>>,
}

impl Producers {
    pub(super) fn register(&mut self, group: Group, client: &Client) -> Result<(), HeartbeatError> {
        let connection = client.channel.id();
        let groups = self.connections.entry(connection).or_default();
        if !groups.contains(&group) {
            check_count("producerDataSet", groups.len() + 1, GROUPS_MAX)?;
            groups.insert(group.clone());
        }
        self.clients.insert(Arc::clone(&client.id), Arc::clone(&client.channel));
        let members = self.groups.entry(group).or_default();
        let client = client.clone().after(members.get(&connection));
        let id = Arc::clone(&client.id);
        let before = members.insert(connection, client);
        if let Some(before) = before.filter(|before| before.id != id) {
            self.forget_client(&before);
        }
        Ok(())
    }

    pub(super) fn unregister(&mut self, group: &str, connection: u64) {
        let Some(groups) = self.connections.get_mut(&connection) else {
            return;
        };
        if let Some(group) = groups.take(group) {
            if groups.is_empty() {
                self.connections.remove(&connection);
            }
            self.leave(&group, connection);
        }
    }

    pub(super) fn closed(&mut self, connection: u64) {
        for group in self.connections.remove(&connection).unwrap_or_default() {
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
        let left = members.remove(&connection);
        if members.is_empty() {
            self.groups.remove(name);
        }
        if let Some(client) = left.filter(|_| !self.connections.contains_key(&connection)) {
            self.forget_client(&client);
        }
    }

    /// Forgets the way to a client id, unless another connection has taken it over.
    fn forget_client(&mut self, client: &Client) {
        let same = |channel: &Arc<dyn ClientChannel>| channel.id() == client.channel.id();
        if self.clients.get(&client.id).is_some_and(same) {
            self.clients.remove(&client.id);
        }
    }
}
