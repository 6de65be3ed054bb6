//! Consumer groups: settings, progress, members, offsets.

use std::collections::{BTreeMap, BTreeSet};

use blockhouse_model::names;
use blockhouse_protocol::MessageQueue;
use blockhouse_protocol::body::Body as _;
use blockhouse_protocol::body::client::{ConsumerConnection, ProducerConnection};
use blockhouse_protocol::body::group::{SubscriptionGroupConfig, SubscriptionGroupTable};
use blockhouse_protocol::body::list::GroupList;
use blockhouse_protocol::body::offset::ResetOffsetBody;
use blockhouse_protocol::body::stats::{ConsumeStats, OffsetWrapper};
use blockhouse_protocol::codes::{request_code, response_code};
use blockhouse_protocol::header::client::{GetConsumerConnectionList, GetProducerConnectionList};
use blockhouse_protocol::header::group::DeleteSubscriptionGroup;
use blockhouse_protocol::header::offset::ResetOffset;
use blockhouse_protocol::header::stats::GetConsumeStats;
use blockhouse_protocol::header::topic::QueryTopicConsumeByWho;

use super::Scope;
use crate::{Client, Error};

/// How far a group is in a queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lag {
    /// The queue.
    pub queue: MessageQueue,
    /// The offsets.
    pub offsets: OffsetWrapper,
}

impl Lag {
    /// Messages that are stored and not consumed.
    #[must_use]
    pub fn messages(&self) -> i64 {
        (self.offsets.broker_offset - self.offsets.consumer_offset).max(0)
    }
}

/// Where to set a group's offsets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResetTo {
    /// The first message.
    First,
    /// After the last message.
    Last,
    /// The first message stored at or after this time, in milliseconds.
    Time(i64),
}

impl Client {
    /// The groups of the brokers in `scope`, by name.
    ///
    /// # Errors
    /// A broker cannot be reached or refuses.
    pub async fn groups(
        &self,
        scope: &Scope,
    ) -> Result<BTreeMap<String, SubscriptionGroupConfig>, Error> {
        let mut all = BTreeMap::new();
        for master in self.masters(scope).await? {
            let code = request_code::GET_ALL_SUBSCRIPTIONGROUP_CONFIG;
            let answer = self.call(&master.addr, code, |_| {}, b"").await?;
            all.extend(SubscriptionGroupTable::decode(&answer.body)?.subscription_group_table);
        }
        Ok(all)
    }

    /// Creates or changes a group on the brokers of `scope`; returns their names.
    ///
    /// # Errors
    /// The first broker that cannot be reached or refuses.
    pub async fn create_group(
        &self,
        scope: &Scope,
        config: &SubscriptionGroupConfig,
    ) -> Result<Vec<String>, Error> {
        let body = config.encode();
        let mut done = Vec::new();
        for master in self.masters(scope).await? {
            let code = request_code::UPDATE_AND_CREATE_SUBSCRIPTIONGROUP;
            self.call(&master.addr, code, |_| {}, &body).await?;
            done.push(master.name);
        }
        Ok(done)
    }

    /// Deletes a group from the brokers of `scope`; returns their names.
    ///
    /// # Errors
    /// The first broker that cannot be reached or refuses.
    pub async fn delete_group(
        &self,
        scope: &Scope,
        group: &str,
        with_offsets: bool,
    ) -> Result<Vec<String>, Error> {
        let header = DeleteSubscriptionGroup { group_name: group, clean_offset: with_offsets };
        let mut done = Vec::new();
        for master in self.masters(scope).await? {
            let code = request_code::DELETE_SUBSCRIPTIONGROUP;
            self.call(&master.addr, code, |ext| header.write(ext), b"").await?;
            done.push(master.name);
        }
        Ok(done)
    }

    /// How far a group is in all queues of its topics, or of one topic.
    ///
    /// # Errors
    /// A broker cannot be reached or refuses.
    pub async fn progress(&self, group: &str, topic: Option<&str>) -> Result<Vec<Lag>, Error> {
        let mut all = BTreeMap::new();
        for master in self.masters(&Scope::All).await? {
            let header = GetConsumeStats { consumer_group: group, topic, topic_list: None };
            let code = request_code::GET_CONSUME_STATS;
            let answer = self.call(&master.addr, code, |ext| header.write(ext), b"").await?;
            all.extend(ConsumeStats::decode(&answer.body)?.offset_table);
        }
        Ok(all.into_iter().map(|(queue, offsets)| Lag { queue, offsets }).collect())
    }

    /// The members of a consumer group; `None` if it has none now.
    ///
    /// # Errors
    /// A broker cannot be reached or refuses.
    pub async fn consumers(&self, group: &str) -> Result<Option<ConsumerConnection>, Error> {
        let mut found: Option<ConsumerConnection> = None;
        for master in self.masters(&Scope::All).await? {
            let header = GetConsumerConnectionList { consumer_group: group };
            let code = request_code::GET_CONSUMER_CONNECTION_LIST;
            match self.call(&master.addr, code, |ext| header.write(ext), b"").await {
                Ok(answer) => {
                    let more = ConsumerConnection::decode(&answer.body)?;
                    match &mut found {
                        Some(found) => found.connection_set.extend(more.connection_set),
                        None => found = Some(more),
                    }
                }
                Err(e) if e.code() == Some(response_code::CONSUMER_NOT_ONLINE) => {}
                Err(e) => return Err(e),
            }
        }
        if let Some(found) = &mut found {
            found.connection_set.sort_by(|a, b| a.client_id.cmp(&b.client_id));
            found.connection_set.dedup_by(|a, b| a.client_id == b.client_id);
        }
        Ok(found)
    }

    /// The producers of a group.
    ///
    /// # Errors
    /// A broker cannot be reached. A broker without such a producer is no error.
    pub async fn producers(&self, group: &str) -> Result<ProducerConnection, Error> {
        let mut found = ProducerConnection::default();
        for master in self.masters(&Scope::All).await? {
            let header = GetProducerConnectionList { producer_group: group };
            let code = request_code::GET_PRODUCER_CONNECTION_LIST;
            match self.call(&master.addr, code, |ext| header.write(ext), b"").await {
                Ok(answer) => found
                    .connection_set
                    .extend(ProducerConnection::decode(&answer.body)?.connection_set),
                Err(e) if e.code().is_some() => {}
                Err(e) => return Err(e),
            }
        }
        Ok(found)
    }

    /// Sets a group's offsets of a topic; the brokers tell its members.
    ///
    /// # Errors
    /// The topic has no route, or a broker cannot be reached or refuses.
    pub async fn reset_offsets(
        &self,
        group: &str,
        topic: &str,
        to: ResetTo,
    ) -> Result<BTreeMap<MessageQueue, i64>, Error> {
        let timestamp = match to {
            // Any time before the first message means the first message.
            ResetTo::First => 0,
            ResetTo::Last => -1,
            ResetTo::Time(time) => time,
        };
        let header =
            ResetOffset { group, topic, queue_id: -1, offset: None, timestamp, is_force: true };
        let mut all = BTreeMap::new();
        for (name, addr) in &self.route(topic).await?.masters {
            let code = request_code::INVOKE_BROKER_TO_RESET_OFFSET;
            let answer = self.call(addr, code, |ext| header.write(ext), b"").await?;
            let table = ResetOffsetBody::decode(&answer.body)?.offset_table;
            all.extend(table.into_iter().map(|(queue, offset)| {
                (MessageQueue { broker_name: name.clone(), ..queue }, offset)
            }));
        }
        Ok(all)
    }

    /// The consumer groups that a topic is known to be consumed by: those that have progress in it, and those that
    /// are connected.
    ///
    /// # Errors
    /// A broker cannot be reached or refuses.
    pub async fn groups_of_topic(&self, topic: &str) -> Result<BTreeSet<String>, Error> {
        let mut all = BTreeSet::new();
        for master in self.masters(&Scope::All).await? {
            let header = QueryTopicConsumeByWho { topic };
            let code = request_code::QUERY_TOPIC_CONSUME_BY_WHO;
            let answer = self.call(&master.addr, code, |ext| header.write(ext), b"").await?;
            all.extend(GroupList::decode(&answer.body)?.group_list);
        }
        Ok(all)
    }

    /// Names of consumer groups, as far as their retry topics tell.
    ///
    /// # Errors
    /// No name server answers.
    pub async fn group_names(&self) -> Result<Vec<String>, Error> {
        let topics = self.topics().await?;
        let groups = topics.iter().filter_map(|t| t.strip_prefix(names::RETRY_PREFIX));
        Ok(groups.map(str::to_owned).collect())
    }
}
