//! Consuming a topic together with the other members of a group.

mod share;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use blockhouse_model::{names, properties};
use blockhouse_protocol::MessageQueue;
use blockhouse_protocol::body::Body as _;
use blockhouse_protocol::body::client::ConsumerIdList;
use blockhouse_protocol::body::heartbeat::{
    ConsumeFromWhere, ConsumeType, ConsumerData, HeartbeatData, MessageModel, SubscriptionData,
};
use blockhouse_protocol::codes::request_code;
use blockhouse_protocol::header::client::{GetConsumerListByGroup, UnregisterClient};
use futures_util::stream::{FuturesUnordered, StreamExt};
use tokio::time::{Interval, MissedTickBehavior};

use crate::{Client, Error, Pull, Pulled, Received};

/// RocketMQ's pace: heartbeats, rebalance, offset commits.
const HEARTBEAT_EVERY: Duration = Duration::from_secs(30);
const REBALANCE_EVERY: Duration = Duration::from_secs(20);
const COMMIT_EVERY: Duration = Duration::from_secs(5);
/// How long a broker may hold a pull.
const HOLD: Duration = Duration::from_secs(15);
/// How long a queue rests after a failed pull.
const REST: Duration = Duration::from_secs(1);
const BATCH: i32 = 32;

/// Where a group begins that has committed nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum StartAt {
    /// With what is stored.
    #[default]
    First,
    /// With what comes.
    Last,
}

type PullResult = (MessageQueue, u64, Result<Pulled, Error>);
type PendingPull = Pin<Box<dyn Future<Output = PullResult> + Send>>;

/// A member of a consumer group. All work is done inside [`next`](Self::next).
pub struct GroupConsumer {
    client: Arc<Client>,
    group: String,
    topic: String,
    filter: String,
    start: StartAt,
    follow: bool,
    /// The queues that are this member's now.
    owned: BTreeMap<MessageQueue, Progress>,
    pulls: FuturesUnordered<PendingPull>,
    ready: VecDeque<(MessageQueue, u64, Received)>,
    /// What the caller was given last: consumed when it asks for more.
    working_on: Option<(MessageQueue, u64, i64)>,
    brokers: BTreeSet<String>,
    epoch: u64,
    heartbeats: Interval,
    rebalances: Interval,
    commits: Interval,
}

/// How far an owned queue is.
#[derive(Debug)]
struct Progress {
    /// Tells this ownership of the queue from an earlier one.
    epoch: u64,
    /// Where the next pull begins.
    pulled: i64,
    /// The offset after the last consumed message.
    consumed: i64,
    committed: Option<i64>,
    /// Messages in `ready` or with the caller.
    unconsumed: usize,
    pulling: bool,
    /// The last pull found nothing more.
    at_end: bool,
    /// The last pull was refused for good.
    refused: bool,
}

enum Event {
    Heartbeat,
    Rebalance,
    Commit,
    Pulled(PullResult),
}

impl GroupConsumer {
    /// Joins `group` for the messages of `topic` that `filter` takes (`*`, or tags joined by
    /// `||`). With `follow` it waits for messages to come, else it ends with those that are there.
    ///
    /// # Errors
    /// The topic has no route.
    pub async fn join(
        client: Arc<Client>,
        group: &str,
        topic: &str,
        filter: &str,
        (start, follow): (StartAt, bool),
    ) -> Result<Self, Error> {
        let mut consumer = Self {
            client,
            group: group.to_owned(),
            topic: topic.to_owned(),
            filter: filter.to_owned(),
            start,
            follow,
            owned: BTreeMap::new(),
            pulls: FuturesUnordered::new(),
            ready: VecDeque::new(),
            working_on: None,
            brokers: BTreeSet::new(),
            epoch: 0,
            heartbeats: interval(HEARTBEAT_EVERY),
            rebalances: interval(REBALANCE_EVERY),
            commits: interval(COMMIT_EVERY),
        };
        consumer.heartbeat().await?;
        consumer.rebalance().await?;
        consumer.heartbeats.reset();
        consumer.rebalances.reset();
        Ok(consumer)
    }

    /// The queues that are this member's now.
    pub fn queues(&self) -> impl Iterator<Item = &MessageQueue> {
        self.owned.keys()
    }

    /// The next message; waits for one if it follows the topic, else `None` is the end. The message
    /// before it counts as consumed by then. Brokers and name servers that do not answer are tried
    /// again, and so is what may pass.
    ///
    /// Dropping the future loses no message.
    ///
    /// # Errors
    /// Brokers refuse to hand out messages, and will go on to ([`Error::is_final`]): of any queue where
    /// all messages are to come, of all of this member's where it follows. The member is still in the group: it can [`leave`](Self::leave), or
    /// ask again.
    pub async fn next(&mut self) -> Result<Option<Received>, Error> {
        loop {
            self.finish_work();
            while let Some((queue, epoch, message)) = self.ready.pop_front() {
                if self.owned.get(&queue).is_some_and(|p| p.epoch == epoch) {
                    self.working_on = Some((queue, epoch, message.queue_offset));
                    return Ok(Some(message));
                }
            }
            if !self.follow && self.owned.values().all(|p| p.at_end) {
                return Ok(None);
            }
            self.start_pulls();
            let event = tokio::select! {
                _ = self.heartbeats.tick() => Event::Heartbeat,
                _ = self.rebalances.tick() => Event::Rebalance,
                () = self.client.members_changed() => Event::Rebalance,
                _ = self.commits.tick() => Event::Commit,
                Some(pulled) = self.pulls.next() => Event::Pulled(pulled),
            };
            let done = match event {
                Event::Heartbeat => self.heartbeat().await,
                Event::Rebalance => self.rebalance().await,
                Event::Commit => self.commit().await,
                Event::Pulled(pulled) => {
                    self.take(pulled)?;
                    Ok(())
                }
            };
            if let Err(error) = done {
                tracing::warn!(%error, group = %self.group, "trying again");
            }
        }
    }

    /// Commits, and leaves the group: the others take over at once.
    ///
    /// # Errors
    /// The offsets could not be committed: messages will be delivered again.
    pub async fn leave(mut self) -> Result<(), Error> {
        self.finish_work();
        let committed = self.commit().await;
        let id = self.client.id();
        let header = UnregisterClient {
            client_id: Some(&id),
            producer_group: None,
            consumer_group: Some(&self.group),
        };
        for addr in &self.brokers {
            let code = request_code::UNREGISTER_CLIENT;
            if let Err(error) = self.client.call(addr, code, |ext| header.write(ext), b"").await {
                tracing::debug!(%error, "the broker will miss the heartbeats instead");
            }
        }
        committed
    }

    fn finish_work(&mut self) {
        let Some((queue, epoch, offset)) = self.working_on.take() else { return };
        if let Some(progress) = self.owned.get_mut(&queue).filter(|p| p.epoch == epoch) {
            progress.consumed = offset + 1;
            progress.unconsumed = progress.unconsumed.saturating_sub(1);
        }
    }

    /// Starts a pull for every queue whose messages have all been consumed.
    fn start_pulls(&mut self) {
        for (queue, progress) in &mut self.owned {
            let enough = progress.at_end && !self.follow;
            if progress.pulling || progress.unconsumed > 0 || enough {
                continue;
            }
            progress.pulling = true;
            let (client, queue) = (Arc::clone(&self.client), queue.clone());
            let (group, offset, epoch) = (self.group.clone(), progress.pulled, progress.epoch);
            let retry = names::is_retry(&queue.topic);
            let hold = self.follow.then_some(HOLD);
            let filter = if retry { "*".to_owned() } else { self.filter.clone() };
            self.pulls.push(Box::pin(async move {
                let pull = Pull {
                    group: &group,
                    queue: &queue,
                    offset,
                    max: BATCH,
                    filter: &filter,
                    hold,
                };
                let pulled = client.pull(&pull).await;
                if pulled.is_err() {
                    tokio::time::sleep(REST).await;
                }
                (queue, epoch, pulled)
            }));
        }
    }

    /// What a pull brought. Fails if pulls are refused for good: one is enough where all messages are
    /// to come; a member that follows goes on while any of its queues gives some.
    fn take(&mut self, (queue, epoch, pulled): PullResult) -> Result<(), Error> {
        let Some(progress) = self.owned.get_mut(&queue).filter(|p| p.epoch == epoch) else {
            return Ok(());
        };
        progress.pulling = false;
        progress.refused = pulled.as_ref().is_err_and(Error::is_final);
        match pulled {
            Ok(pulled) => {
                progress.pulled = pulled.next;
                progress.at_end = pulled.messages.is_empty() && pulled.next >= pulled.max;
                let wanted = pulled.messages.into_iter().filter(|m| {
                    // Brokers compare hashes of tags only.
                    names::is_retry(&queue.topic)
                        || share::takes(&self.filter, m.property(properties::TAGS))
                });
                let before = self.ready.len();
                self.ready.extend(wanted.map(|mut message| {
                    message.queue = queue.clone();
                    (queue.clone(), epoch, message)
                }));
                progress.unconsumed = self.ready.len() - before;
                if progress.unconsumed == 0 {
                    progress.consumed = pulled.next;
                }
            }
            Err(error) if error.is_final() && (!self.follow || self.is_refused()) => {
                return Err(error);
            }
            Err(error) => {
                tracing::warn!(%error, queue = queue.queue_id, topic = queue.topic, "pull failed");
                self.client.forget_route(&queue.topic);
            }
        }
        Ok(())
    }

    /// Whether none of its queues gives anything. Messages to be tried again are asked for without a filter,
    /// so their queue says nothing of the others.
    fn is_refused(&self) -> bool {
        let mut own = self.owned.iter().filter(|(queue, _)| queue.topic == self.topic);
        own.all(|(_, progress)| progress.refused)
    }

    async fn heartbeat(&mut self) -> Result<(), Error> {
        let route = self.client.route(&self.topic).await?;
        let data = self.heartbeat_data();
        self.brokers = route.masters.values().cloned().collect();
        for addr in &self.brokers {
            if let Err(error) = self.client.heartbeat(addr, &data).await {
                tracing::warn!(%error, "heartbeat failed");
            }
        }
        Ok(())
    }

    fn heartbeat_data(&self) -> HeartbeatData {
        let retry = names::retry_topic(&self.group);
        let consumer = ConsumerData {
            group_name: self.group.clone(),
            consume_type: ConsumeType::Passively,
            message_model: MessageModel::Clustering,
            consume_from_where: match self.start {
                StartAt::First => ConsumeFromWhere::FirstOffset,
                StartAt::Last => ConsumeFromWhere::LastOffset,
            },
            subscription_data_set: vec![
                share::subscription(&self.topic, &self.filter),
                share::subscription(&retry, "*"),
            ],
            unit_mode: false,
        };
        HeartbeatData {
            client_id: self.client.id(),
            consumer_data_set: vec![consumer],
            ..HeartbeatData::default()
        }
    }

    /// Asks who is in the group, and takes this member's part of the queues.
    async fn rebalance(&mut self) -> Result<(), Error> {
        let mut wanted = self.part_of(&self.topic).await?;
        // The retry topic is created by the first heartbeat; there may be none yet.
        match self.part_of(&names::retry_topic(&self.group)).await {
            Ok(queues) => wanted.extend(queues),
            Err(Error::NoRoute(_)) => {}
            Err(e) => return Err(e),
        }
        let lost: Vec<_> = self.owned.keys().filter(|q| !wanted.contains(*q)).cloned().collect();
        for queue in lost {
            if let Some(progress) = self.owned.remove(&queue) {
                tracing::debug!(queue = queue.queue_id, "the queue is another member's now");
                self.client.commit(&self.group, &queue, progress.consumed).await?;
            }
        }
        for queue in wanted {
            if !self.owned.contains_key(&queue) {
                let committed = self.client.committed(&self.group, &queue).await?;
                let from = match (committed, self.start) {
                    (Some(offset), _) => offset,
                    // What is to be redelivered is never passed over.
                    (None, _) if names::is_retry(&queue.topic) => {
                        self.client.min_offset(&queue).await?
                    }
                    (None, StartAt::First) => self.client.min_offset(&queue).await?,
                    (None, StartAt::Last) => self.client.max_offset(&queue).await?,
                };
                self.epoch += 1;
                let progress = Progress {
                    epoch: self.epoch,
                    pulled: from,
                    consumed: from,
                    committed,
                    unconsumed: 0,
                    pulling: false,
                    at_end: false,
                    refused: false,
                };
                self.owned.insert(queue, progress);
            }
        }
        Ok(())
    }

    async fn part_of(&self, topic: &str) -> Result<BTreeSet<MessageQueue>, Error> {
        let route = self.client.route(topic).await?;
        let mut members = BTreeSet::new();
        let header = GetConsumerListByGroup { consumer_group: &self.group };
        let code = request_code::GET_CONSUMER_LIST_BY_GROUP;
        let addr = route.masters.values().next().cloned().unwrap_or_default();
        let answer = self.client.call(&addr, code, |ext| header.write(ext), b"").await?;
        members.extend(ConsumerIdList::decode(&answer.body)?.consumer_id_list);
        Ok(share::average(&route.readable, &members, &self.client.id()))
    }

    async fn commit(&mut self) -> Result<(), Error> {
        for (queue, progress) in &mut self.owned {
            if progress.committed != Some(progress.consumed) {
                self.client.commit(&self.group, queue, progress.consumed).await?;
                progress.committed = Some(progress.consumed);
            }
        }
        Ok(())
    }
}

fn interval(every: Duration) -> Interval {
    let mut interval = tokio::time::interval_at(tokio::time::Instant::now() + every, every);
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    interval
}

/// The subscription that a heartbeat declares.
#[must_use]
pub fn subscription(topic: &str, filter: &str) -> SubscriptionData {
    share::subscription(topic, filter)
}
