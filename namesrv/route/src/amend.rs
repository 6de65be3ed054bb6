//! What operators change about topics and brokers.

use std::collections::BTreeMap;
use std::sync::Arc;

use blockhouse_model::Perm;

use crate::{QueueConfig, QueueRoute, Routes};

impl Routes {
    /// Takes the write permission from all topics of a broker, so that producers leave it.
    /// Returns how many topics it serves. Lasts until the broker's topics change.
    pub fn wipe_write_perm(&mut self, broker: &str) -> usize {
        self.take_write_perm(broker)
    }

    /// Makes all topics of a broker readable and writeable; returns how many. As in RocketMQ 5.x
    /// a topic that was never writeable becomes so too.
    pub fn add_write_perm(&mut self, broker: &str) -> usize {
        self.each_topic_of(broker, |queues| queues.perm = Perm::RW)
    }

    /// Forgets a topic, everywhere or in one cluster. It comes back with the next changed report
    /// of a broker that still has it. Returns whether anything was there.
    pub fn delete_topic(&mut self, topic: &str, cluster: Option<&str>) -> bool {
        let Some(cluster) = cluster else {
            let removed = self.topics.remove(topic);
            self.places -= removed.as_ref().map_or(0, BTreeMap::len);
            return removed.is_some();
        };
        let Some(served) = self.topics.get_mut(topic) else { return false };
        let before = served.len();
        let in_cluster = |name: &Arc<str>| {
            self.brokers.get(name).is_some_and(|broker| *broker.cluster == *cluster)
        };
        served.retain(|name, _| !in_cluster(name));
        let removed = served.len() < before;
        self.places -= before - served.len();
        if served.is_empty() {
            self.topics.remove(topic);
        }
        removed
    }

    /// Adds queues of a topic on brokers that are known. If one is not, or there is no room, nothing is changed.
    /// Returns whether the topic was taken.
    pub fn register_topic(&mut self, topic: &str, queues: &[QueueRoute]) -> bool {
        if queues.is_empty() || queues.iter().any(|q| !self.brokers.contains_key(&q.broker)) {
            return false;
        }
        let known = self.topics.get(topic);
        let is_new = |q: &&QueueRoute| known.is_none_or(|served| !served.contains_key(&q.broker));
        if self.places + queues.iter().filter(is_new).count() > self.bounds.places {
            return false;
        }
        let entries = queues.iter().map(|q| (Arc::clone(&q.broker), q.queues));
        let before = known.map_or(0, BTreeMap::len);
        let served = match self.topics.get_mut(topic) {
            Some(served) => served,
            None => self.topics.entry(Arc::from(topic)).or_default(),
        };
        served.extend(entries);
        self.places += served.len() - before;
        true
    }

    /// How `broker` serves `topic`.
    #[must_use]
    pub fn queues(&self, topic: &str, broker: &str) -> Option<QueueConfig> {
        self.topics.get(topic)?.get(broker).copied()
    }
}
