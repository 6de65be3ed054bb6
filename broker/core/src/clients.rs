//! Who is connected, and in which groups: producers and consumers by group, as their heartbeats
//! say, until they leave, their connection closes, or they are silent for too long.
//!
//! A consumer group's settings and subscriptions are what its last heartbeat said: members that
//! disagree change them back and forth, as in RocketMQ. Members hear of joins, leaves and changed
//! subscriptions at once, and only then.
//!
//! Nothing here touches topics, offsets or files; see [`heartbeat::Admission`] for what the broker
//! does about a group before its members count.
//!
//! | module | holds |
//! |---|---|
//! | [`channel`] | [`ClientChannel`]: what can be said to a client |
//! | [`heartbeat`] | what a client says about itself |
//! | [`inventory`] | who is connected, over all groups |
//! | [`view`] | what operators are shown |

pub mod channel;
mod compensation;
mod consumers;
pub mod heartbeat;
pub mod inventory;
mod producers;
pub mod view;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use blockhouse_filter::Subscription;
use blockhouse_model::{Clock, Group, Timestamp, Topic};
use parking_lot::RwLock;

pub use channel::{CallError, ClientChannel, ClientEvent, ClientReply, ClientRequest};
pub use heartbeat::{
    Admission, ConsumeFromWhere, ConsumeType, ConsumerHeartbeat, Heartbeat, HeartbeatError,
    HeartbeatOutcome, MessageModel,
};
pub use inventory::{ClientKind, ClientView};
pub use view::{ConnectionView, ConsumerView, Member};

use compensation::Compensation;
use consumers::Consumers;
use producers::Producers;

/// A client that is silent for longer than this is taken for dead.
/// RocketMQ: `channelExpiredTimeout`.
pub const SILENCE_MAX: Duration = Duration::from_secs(120);
/// Most memberships in consumer groups, and in producer groups, if nothing is said.
pub const MEMBERS_MAX: usize = 262_144;
/// What a consumer without heartbeats said in a request counts for so long.
/// RocketMQ: `subscriptionExpiredTimeout`.
pub const COMPENSATION_AGE_MAX: Duration = Duration::from_secs(600);

/// A member of a group.
#[derive(Clone)]
struct Client {
    channel: Arc<dyn ClientChannel>,
    id: Arc<str>,
    language: u8,
    version: i32,
    /// When it came into the group over this connection.
    since: Timestamp,
    seen: Timestamp,
}

impl Client {
    /// The same member as `before`, if it is: then it came when that one came.
    fn after(mut self, before: Option<&Self>) -> Self {
        if let Some(before) = before.filter(|before| before.id == self.id) {
            self.since = before.since;
        }
        self
    }

    fn is_silent(&self, now: Timestamp) -> bool {
        now.since(self.seen) > SILENCE_MAX
    }
}

/// Members that have to hear that their group is not what it was.
struct Notice {
    group: Group,
    members: Vec<Arc<dyn ClientChannel>>,
}

impl Notice {
    /// Called without a lock, since a channel may do anything.
    fn send(self) {
        for member in self.members {
            // A full or closed channel misses nothing: clients look for themselves every 20 s.
            let _heard = member.push(ClientEvent::ConsumerIdsChanged { group: self.group.clone() });
        }
    }
}

/// All clients of the broker.
pub struct Clients {
    consumers: RwLock<Consumers>,
    producers: RwLock<Producers>,
    compensation: RwLock<Compensation>,
    /// Whose turn it is when any producer of a group will do.
    turn: AtomicUsize,
    members_max: usize,
    /// Heartbeats for which there was no room.
    refused: AtomicU64,
    clock: Arc<dyn Clock>,
}

impl Clients {
    /// No clients, and later at most so many memberships in consumer groups, and in producer groups.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>, members_max: usize) -> Self {
        Self {
            consumers: RwLock::default(),
            producers: RwLock::default(),
            compensation: RwLock::default(),
            turn: AtomicUsize::new(0),
            members_max,
            refused: AtomicU64::new(0),
            clock,
        }
    }

    /// Takes a heartbeat in. `admit` is asked about each consumer group that it names and prepares
    /// what the group needs (RocketMQ creates its retry topic); groups that it refuses are passed
    /// over, as RocketMQ does.
    ///
    /// # Errors
    /// The heartbeat is beyond what any client needs, or names no client.
    pub fn heartbeat(
        &self,
        channel: &Arc<dyn ClientChannel>,
        heartbeat: Heartbeat,
        admit: impl FnMut(&ConsumerHeartbeat) -> Option<Admission>,
    ) -> Result<HeartbeatOutcome, HeartbeatError> {
        let taken = self.take_in(channel, heartbeat, admit);
        if taken.as_ref().is_err_and(HeartbeatError::is_full) {
            self.refused.fetch_add(1, Ordering::Relaxed);
        }
        taken
    }

    /// How many heartbeats found no room since the start.
    #[must_use]
    pub fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    fn take_in(
        &self,
        channel: &Arc<dyn ClientChannel>,
        heartbeat: Heartbeat,
        mut admit: impl FnMut(&ConsumerHeartbeat) -> Option<Admission>,
    ) -> Result<HeartbeatOutcome, HeartbeatError> {
        heartbeat.check()?;
        let now = self.clock.now();
        let client = Client {
            channel: Arc::clone(channel),
            id: Arc::from(heartbeat.client_id.as_str()),
            language: heartbeat.language,
            version: heartbeat.version,
            since: now,
            seen: now,
        };
        let mut outcome = HeartbeatOutcome { subscriptions_unknown: heartbeat.fingerprint == 0 };
        for consumer in heartbeat.consumers {
            let Some(admission) = admit(&consumer) else {
                continue;
            };
            let joining = consumers::Joining {
                client: client.clone(),
                fingerprint: heartbeat.fingerprint,
                without_subscriptions: heartbeat.without_subscriptions,
                notify: admission.notify,
            };
            let registered =
                self.consumers.write().register(joining, consumer, self.members_max)?;
            outcome.subscriptions_unknown |= registered.subscriptions_unknown;
            if let Some(notice) = registered.notice {
                notice.send();
            }
        }
        let mut producers = self.producers.write();
        for group in heartbeat.producers {
            producers.register(group, &client, self.members_max)?;
        }
        Ok(outcome)
    }

    /// A client leaves groups.
    pub fn unregister(
        &self,
        channel: &dyn ClientChannel,
        producer_group: Option<&str>,
        consumer_group: Option<&str>,
    ) {
        if let Some(group) = producer_group {
            self.producers.write().unregister(group, channel.id());
        }
        if let Some(group) = consumer_group {
            let notice = self.consumers.write().unregister(group, channel.id());
            if let Some(notice) = notice {
                notice.send();
            }
        }
    }

    /// A connection is gone, and everything that was said over it.
    pub fn closed(&self, connection: u64) {
        self.producers.write().closed(connection);
        let notices = self.consumers.write().closed(connection);
        notices.into_iter().for_each(Notice::send);
    }

    /// Takes out the clients that were silent for too long and closes their connections. To be
    /// called every few seconds (RocketMQ: 10).
    pub fn expire(&self) {
        let now = self.clock.now();
        let mut silent = self.producers.write().expire(now);
        let (also_silent, notices) = self.consumers.write().expire(now);
        silent.extend(also_silent);
        self.compensation.write().expire(now);
        notices.into_iter().for_each(Notice::send);
        for channel in silent {
            tracing::warn!(peer = %channel.peer(), "client is silent and is disconnected");
            channel.close();
        }
    }
}

/// Consumers.
impl Clients {
    /// Whether a group consumes in broadcasting mode; `None` if none of it is connected.
    #[must_use]
    pub fn is_broadcasting(&self, group: &str) -> Option<bool> {
        let consumers = self.consumers.read();
        consumers.find(group).map(|g| g.message_model == MessageModel::Broadcasting)
    }

    /// A connected group's subscription to a topic.
    #[must_use]
    pub fn subscription(&self, group: &str, topic: &str) -> Option<Arc<Subscription>> {
        self.consumers.read().find(group)?.subscriptions.get(topic).map(Arc::clone)
    }

    /// A group's subscription to a topic, also if the group never sends heartbeats and only said
    /// so in requests.
    #[must_use]
    pub fn subscription_or_compensation(
        &self,
        group: &str,
        topic: &str,
    ) -> Option<Arc<Subscription>> {
        self.subscription(group, topic)
            .or_else(|| self.compensation.read().subscription(group, topic))
    }

    /// A connected group's subscriptions, by topic.
    #[must_use]
    pub fn subscriptions(&self, group: &str) -> Vec<Arc<Subscription>> {
        let consumers = self.consumers.read();
        consumers.find(group).map_or_else(Vec::new, consumers::ConsumerGroup::subscriptions)
    }

    /// The topics that a connected group subscribes to, by name.
    #[must_use]
    pub fn topics_of(&self, group: &str) -> Vec<Topic> {
        self.subscriptions(group).iter().map(|s| s.topic.clone()).collect()
    }

    /// The connected groups that subscribe to a topic, by name.
    #[must_use]
    pub fn groups_of_topic(&self, topic: &str) -> Vec<Group> {
        self.consumers.read().groups_of(topic)
    }

    /// The ids of a group's members, by id.
    #[must_use]
    pub fn client_ids(&self, group: &str) -> Vec<Arc<str>> {
        let consumers = self.consumers.read();
        let members = consumers.find(group).into_iter().flat_map(|g| g.members.values());
        let mut ids: Vec<_> = members.map(|client| Arc::clone(&client.id)).collect();
        ids.sort_unstable();
        ids
    }

    /// What operators are shown of a connected group.
    #[must_use]
    pub fn consumer(&self, group: &str) -> Option<ConsumerView> {
        self.consumers.read().find(group).map(consumers::ConsumerGroup::view)
    }

    /// All connected consumer groups, by name.
    #[must_use]
    pub fn consumer_groups(&self) -> Vec<Group> {
        self.consumers.read().names()
    }

    /// The members of a group, to be spoken to.
    #[must_use]
    pub fn members(&self, group: &str) -> Vec<Member> {
        let consumers = self.consumers.read();
        let members = consumers.find(group).into_iter().flat_map(|g| g.members.values());
        members.map(Member::of).collect()
    }

    /// A member of a group by its id.
    #[must_use]
    pub fn member(&self, group: &str, client_id: &str) -> Option<Member> {
        let consumers = self.consumers.read();
        let mut members = consumers.find(group)?.members.values();
        members.find(|client| *client.id == *client_id).map(Member::of)
    }

    /// Notes what a request said about a group that may send no heartbeats: tools and pull
    /// consumers of some languages.
    pub fn compensate(
        &self,
        group: &str,
        kind: (ConsumeType, MessageModel),
        subscription: &Arc<Subscription>,
    ) {
        let now = self.clock.now();
        // Requests repeat themselves; most of them find everything as it is.
        if self.compensation.read().knows(group, kind, subscription, now) {
            return;
        }
        if let Ok(group) = Group::new(group) {
            self.compensation.write().note(group, kind, subscription, now);
        }
    }
}

/// Producers.
impl Clients {
    /// What operators are shown of a connected producer group, by client id.
    #[must_use]
    pub fn producer(&self, group: &str) -> Vec<ConnectionView> {
        self.producers.read().view(group)
    }

    /// All connected producer groups with their members, by name.
    #[must_use]
    pub fn producers(&self) -> Vec<(Group, Vec<ConnectionView>)> {
        let producers = self.producers.read();
        producers.names().into_iter().map(|g| (g.clone(), producers.view(&g))).collect()
    }

    /// The producer with that client id, to be spoken to.
    #[must_use]
    pub fn producer_channel(&self, client_id: &str) -> Option<Arc<dyn ClientChannel>> {
        self.producers.read().by_client_id(client_id)
    }

    /// Some producer of a group, another one each time.
    #[must_use]
    pub fn any_producer(&self, group: &str) -> Option<Arc<dyn ClientChannel>> {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        self.producers.read().nth(group, turn)
    }
}

#[cfg(test)]
mod tests;
