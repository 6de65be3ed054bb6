//! Consumer groups and their members.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use blockhouse_filter::Subscription;
use blockhouse_model::{Group, Timestamp, Topic};

use super::heartbeat::{GROUPS_MAX, SUBSCRIPTION_BYTES_MAX, check_count};
use super::view::{ConnectionView, ConsumerView};
use super::{
    Client, ClientChannel, ConsumeFromWhere, ConsumeType, ConsumerHeartbeat, HeartbeatError,
    MessageModel, Notice,
};

/// A consumer group with at least one member.
pub(super) struct ConsumerGroup {
    pub(super) consume_type: ConsumeType,
    pub(super) message_model: MessageModel,
    pub(super) from_where: ConsumeFromWhere,
    /// By connection.
    pub(super) members: HashMap<u64, Client>,
    pub(super) subscriptions: HashMap<Topic, Arc<Subscription>>,
    /// What these take, in bytes.
    weight: usize,
    /// The hash of what the last heartbeat said; `None` before the first.
    fingerprint: Option<i32>,
    notify: bool,
}

/// A member's arrival, or its sign of life.
pub(super) struct Joining {
    pub(super) client: Client,
    pub(super) fingerprint: i32,
    pub(super) without_subscriptions: bool,
    pub(super) notify: bool,
}

pub(super) struct Registered {
    pub(super) notice: Option<Notice>,
    pub(super) subscriptions_unknown: bool,
}

#[derive(Default)]
pub(super) struct Consumers {
    groups: HashMap<Group, ConsumerGroup>,
    /// The groups of each connection.
    connections: HashMap<u64, HashSet<Group>>,
    /// All of these together.
    members: usize,
    /// What the subscriptions of all groups take, in bytes.
    weight: usize,
}

impl ConsumerGroup {
    fn new(heartbeat: &ConsumerHeartbeat) -> Self {
        Self {
            consume_type: heartbeat.consume_type,
            message_model: heartbeat.message_model,
            from_where: heartbeat.from_where,
            members: HashMap::new(),
            subscriptions: HashMap::new(),
            weight: 0,
            fingerprint: None,
            notify: true,
        }
    }

    /// Whether the member is a new one.
    fn join(&mut self, client: Client) -> bool {
        let connection = client.channel.id();
        let client = client.after(self.members.get(&connection));
        let before = self.members.insert(connection, client);
        let same_id = before.as_ref().zip(self.members.get(&connection)).map(|(a, b)| a.id == b.id);
        if same_id == Some(false) {
            tracing::error!(connection, "a connection's client id is not what it was");
        }
        before.is_none()
    }

    /// Whether topics came or went. A newer expression for a known topic is no change that members
    /// hear of, as in RocketMQ: it does not move queues.
    fn subscribe(&mut self, subscriptions: Vec<Subscription>) -> bool {
        let wanted: HashSet<Topic> = subscriptions.iter().map(|s| s.topic.clone()).collect();
        let count = self.subscriptions.len();
        self.subscriptions.retain(|topic, _| wanted.contains(topic));
        let mut changed = self.subscriptions.len() != count;
        for subscription in subscriptions {
            match self.subscriptions.get(&subscription.topic) {
                Some(known) if known.sub_version >= subscription.sub_version => {}
                known => {
                    changed |= known.is_none();
                    self.subscriptions.insert(subscription.topic.clone(), Arc::new(subscription));
                }
            }
        }
        self.weight = self.subscriptions.values().map(|s| s.weight()).sum();
        changed
    }

    /// Whether the client must send its subscriptions again.
    fn recognise(&mut self, fingerprint: i32, without_subscriptions: bool) -> bool {
        let known = self.fingerprint.replace(fingerprint);
        if fingerprint == 0 {
            return true;
        }
        // RocketMQ says no where it knows nothing and got nothing: after a restart such a group
        // has no subscriptions until its pulls fail.
        known.map_or(without_subscriptions, |known| known != fingerprint)
    }

    fn notice(&self, group: &Group) -> Option<Notice> {
        let wanted = self.notify && self.message_model != MessageModel::Broadcasting;
        let members = || self.members.values().map(|c| Arc::clone(&c.channel)).collect();
        wanted.then(|| Notice { group: group.clone(), members: members() })
    }

    pub(super) fn subscriptions(&self) -> Vec<Arc<Subscription>> {
        let mut subscriptions: Vec<_> = self.subscriptions.values().map(Arc::clone).collect();
        subscriptions.sort_unstable_by(|a, b| a.topic.cmp(&b.topic));
        subscriptions
    }

    pub(super) fn view(&self) -> ConsumerView {
        ConsumerView {
            connections: ConnectionView::sorted(self.members.values()),
            consume_type: self.consume_type,
            message_model: self.message_model,
            from_where: self.from_where,
            subscriptions: self.subscriptions(),
        }
    }
}

impl Consumers {
    pub(super) fn find(&self, group: &str) -> Option<&ConsumerGroup> {
        self.groups.get(group)
    }

    pub(super) fn all(&self) -> impl Iterator<Item = (&Group, &ConsumerGroup)> {
        self.groups.iter()
    }

    pub(super) fn names(&self) -> Vec<Group> {
        let mut names: Vec<_> = self.groups.keys().cloned().collect();
        names.sort_unstable();
        names
    }

    pub(super) fn groups_of(&self, topic: &str) -> Vec<Group> {
        let mut groups: Vec<_> = self
            .groups
            .iter()
            .filter(|(_, group)| group.subscriptions.contains_key(topic))
            .map(|(name, _)| name.clone())
            .collect();
        groups.sort_unstable();
        groups
    }

    /// Whether a client may be in one more group.
    fn room(
        &self,
        connection: u64,
        heartbeat: &ConsumerHeartbeat,
        members_max: usize,
    ) -> Result<(), HeartbeatError> {
        let groups = self.connections.get(&connection);
        if groups.is_none_or(|groups| !groups.contains(&heartbeat.group)) {
            check_count("consumerDataSet", groups.map_or(0, HashSet::len) + 1, GROUPS_MAX)?;
            if self.members >= members_max {
                return Err(HeartbeatError::Members { of: "consumer", max: members_max });
            }
        }
        let group = self.groups.get(&heartbeat.group);
        let known = |topic: &Topic| group.and_then(|group| group.subscriptions.get(topic));
        let weight = |wanted: &Subscription| match known(&wanted.topic) {
            Some(known) if known.sub_version >= wanted.sub_version => known.weight(),
            _ => wanted.weight(),
        };
        let (before, after): (usize, usize) = (
            group.map_or(0, |group| group.weight),
            heartbeat.subscriptions.iter().map(weight).sum(),
        );
        if after > before && self.weight - before + after > SUBSCRIPTION_BYTES_MAX {
            return Err(HeartbeatError::Subscriptions { max: SUBSCRIPTION_BYTES_MAX });
        }
        Ok(())
    }

    pub(super) fn register(
        &mut self,
        joining: Joining,
        heartbeat: ConsumerHeartbeat,
        members_max: usize,
    ) -> Result<Registered, HeartbeatError> {
        let connection = joining.client.channel.id();
        self.room(connection, &heartbeat, members_max)?;
        let groups = self.connections.entry(connection).or_default();
        if groups.insert(heartbeat.group.clone()) {
            self.members += 1;
        }
        let group = self
            .groups
            .entry(heartbeat.group.clone())
            .or_insert_with(|| ConsumerGroup::new(&heartbeat));
        group.consume_type = heartbeat.consume_type;
        group.message_model = heartbeat.message_model;
        group.from_where = heartbeat.from_where;
        group.notify = joining.notify;
        let subscriptions_unknown =
            group.recognise(joining.fingerprint, joining.without_subscriptions);
        let mut changed = group.join(joining.client);
        if !joining.without_subscriptions {
            self.weight -= group.weight;
            changed |= group.subscribe(heartbeat.subscriptions);
            self.weight += group.weight;
        }
        let notice = if changed { group.notice(&heartbeat.group) } else { None };
        Ok(Registered { notice, subscriptions_unknown })
    }

    pub(super) fn unregister(&mut self, group: &str, connection: u64) -> Option<Notice> {
        let groups = self.connections.get_mut(&connection)?;
        let group = groups.take(group)?;
        self.members -= 1;
        if groups.is_empty() {
            self.connections.remove(&connection);
        }
        self.leave(&group, connection)
    }

    pub(super) fn closed(&mut self, connection: u64) -> Vec<Notice> {
        let groups = self.connections.remove(&connection).unwrap_or_default();
        self.members -= groups.len();
        groups.iter().filter_map(|group| self.leave(group, connection)).collect()
    }

    /// Takes silent members out: their channels, and who has to hear of it.
    pub(super) fn expire(&mut self, now: Timestamp) -> (Vec<Arc<dyn ClientChannel>>, Vec<Notice>) {
        let mut silent: Vec<(Group, Arc<dyn ClientChannel>)> = Vec::new();
        for (name, group) in &self.groups {
            let members = group.members.values().filter(|client| client.is_silent(now));
            silent.extend(members.map(|client| (name.clone(), Arc::clone(&client.channel))));
        }
        let mut channels = Vec::with_capacity(silent.len());
        let mut notices: HashMap<Group, Notice> = HashMap::new();
        for (group, channel) in silent {
            // The last notice of a group knows who is left.
            match self.unregister(&group, channel.id()) {
                Some(notice) => drop(notices.insert(group, notice)),
                None => drop(notices.remove(&group)),
            }
            channels.push(channel);
        }
        (channels, notices.into_values().collect())
    }

    fn leave(&mut self, name: &Group, connection: u64) -> Option<Notice> {
        let group = self.groups.get_mut(name)?;
        group.members.remove(&connection)?;
        if group.members.is_empty() {
            self.weight -= group.weight;
            self.groups.remove(name);
            return None;
        }
        group.notice(name)
    }
}
