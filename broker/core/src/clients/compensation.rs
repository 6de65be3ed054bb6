//! What requests said about groups that may send no heartbeats.

use std::collections::HashMap;
use std::sync::Arc;

use blockhouse_filter::Subscription;
use blockhouse_model::{Group, Timestamp, Topic};

use super::{COMPENSATION_AGE_MAX, ConsumeType, MessageModel};

/// Most groups that are remembered so.
const GROUPS_MAX: usize = 10_000;
/// Most topics of each.
const TOPICS_MAX: usize = 1_000;

type Kind = (ConsumeType, MessageModel);

struct Said {
    kind: Kind,
    topics: HashMap<Topic, (Arc<Subscription>, Timestamp)>,
}

#[derive(Default)]
pub(super) struct Compensation(HashMap<Group, Said>);

impl Compensation {
    pub(super) fn subscription(&self, group: &str, topic: &str) -> Option<Arc<Subscription>> {
        self.0.get(group)?.topics.get(topic).map(|(subscription, _)| Arc::clone(subscription))
    }

    /// Whether nothing is new, and said not long ago.
    pub(super) fn knows(
        &self,
        group: &str,
        kind: Kind,
        subscription: &Subscription,
        now: Timestamp,
    ) -> bool {
        let said = self.0.get(group).filter(|said| said.kind == kind);
        said.and_then(|said| said.topics.get(&subscription.topic)).is_some_and(|(known, at)| {
            **known == *subscription && now.since(*at) < COMPENSATION_AGE_MAX / 2
        })
    }

    pub(super) fn note(
        &mut self,
        group: Group,
        kind: Kind,
        subscription: &Arc<Subscription>,
        now: Timestamp,
    ) {
        if self.0.len() >= GROUPS_MAX && !self.0.contains_key(&group) {
            return;
        }
        let said = self.0.entry(group).or_insert_with(|| Said { kind, topics: HashMap::new() });
        said.kind = kind;
        if said.topics.len() < TOPICS_MAX || said.topics.contains_key(&subscription.topic) {
            let topic = subscription.topic.clone();
            said.topics.insert(topic, (Arc::clone(subscription), now));
        }
    }

    pub(super) fn expire(&mut self, now: Timestamp) {
        self.0.retain(|_, said| {
            said.topics.retain(|_, (_, at)| now.since(*at) <= COMPENSATION_AGE_MAX);
            !said.topics.is_empty()
        });
    }
}
