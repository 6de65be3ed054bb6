//! Topics.

use std::collections::BTreeMap;

use blockhouse_model::names;
use blockhouse_protocol::MessageQueue;
use blockhouse_protocol::body::Body as _;
use blockhouse_protocol::body::list::TopicList;
use blockhouse_protocol::body::stats::{TopicOffset, TopicStatsTable};
use blockhouse_protocol::body::topic::TopicConfig;
use blockhouse_protocol::codes::{request_code, response_code};
use blockhouse_protocol::header::namesrv::DeleteTopicFromNamesrv;
use blockhouse_protocol::header::topic::{CreateTopic, DeleteTopic, GetTopicStatsInfo};

use super::Scope;
use crate::{Client, Error};

impl Client {
    /// Names of all topics.
    ///
    /// # Errors
    /// No name server answers.
    pub async fn topics(&self) -> Result<Vec<String>, Error> {
        let code = request_code::GET_ALL_TOPIC_LIST_FROM_NAMESERVER;
        let answer = self.ask_name_server(code, |_| {}, b"").await?;
        let mut topics = TopicList::decode(&answer.body)?.topic_list;
        topics.sort_unstable();
        topics.dedup();
        Ok(topics)
    }

    /// Creates or changes a topic on the brokers of `scope`; returns their names.
    ///
    /// # Errors
    /// The first broker that cannot be reached or refuses.
    pub async fn create_topic(
        &self,
        scope: &Scope,
        config: &TopicConfig,
    ) -> Result<Vec<String>, Error> {
        let attributes: Vec<String> =
            config.attributes.iter().map(|(name, value)| format!("+{name}={value}")).collect();
        let attributes = attributes.join(",");
        let header = CreateTopic {
            topic: &config.topic_name,
            default_topic: names::AUTO_CREATE_TOPIC,
            read_queue_nums: config.read_queue_nums,
            write_queue_nums: config.write_queue_nums,
            perm: config.perm,
            topic_filter_type: &config.topic_filter_type,
            topic_sys_flag: Some(config.topic_sys_flag),
            order: config.order,
            attributes: (!attributes.is_empty()).then_some(&attributes),
            force: false,
        };
        let mut done = Vec::new();
        for master in self.masters(scope).await? {
            let code = request_code::UPDATE_AND_CREATE_TOPIC;
            self.call(&master.addr, code, |ext| header.write(ext), b"").await?;
            done.push(master.name);
        }
        self.forget_route(&config.topic_name);
        Ok(done)
    }

    /// Deletes a topic with its messages from the brokers of `scope`, and if that is all, from the
    /// name servers.
    ///
    /// # Errors
    /// The first that cannot be reached or refuses.
    pub async fn delete_topic(&self, scope: &Scope, topic: &str) -> Result<Vec<String>, Error> {
        let mut done = Vec::new();
        let header = DeleteTopic { topic };
        for master in self.masters(scope).await? {
            let code = request_code::DELETE_TOPIC_IN_BROKER;
            self.call(&master.addr, code, |ext| header.write(ext), b"").await?;
            done.push(master.name);
        }
        if *scope == Scope::All {
            let header = DeleteTopicFromNamesrv { topic, cluster_name: None };
            let code = request_code::DELETE_TOPIC_IN_NAMESRV;
            self.ask_all_name_servers(code, |ext| header.write(ext)).await?;
        }
        self.forget_route(topic);
        Ok(done)
    }

    /// How far the queues of a topic go.
    ///
    /// # Errors
    /// The topic has no route, or a broker cannot be reached or refuses.
    pub async fn topic_status(
        &self,
        topic: &str,
    ) -> Result<BTreeMap<MessageQueue, TopicOffset>, Error> {
        let route = self.route(topic).await?;
        let mut all = BTreeMap::new();
        for addr in route.masters.values() {
            let header = GetTopicStatsInfo { topic };
            let code = request_code::GET_TOPIC_STATS_INFO;
            match self.call(addr, code, |ext| header.write(ext), b"").await {
                Ok(answer) => all.extend(TopicStatsTable::decode(&answer.body)?.offset_table),
                // A broker that lost the topic meanwhile.
                Err(e) if e.code() == Some(response_code::TOPIC_NOT_EXIST) => {}
                Err(e) => return Err(e),
            }
        }
        Ok(all)
    }
}
