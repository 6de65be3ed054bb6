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
/// Most bytes of all that is remembered so.
const BYTES_MAX: usize = 64 << 20;

type Kind = (ConsumeType, MessageModel);

struct Said {
    kind: Kind,
    topics: HashMap<Topic, (Arc<Subscription>, Timestamp)>,
}

#[derive(Default)]
pub(super) struct Compensation {
    groups: HashMap<Group, Said>,
    /// What it takes, about.
    bytes: usize,
}

impl Compensation {
    pub(super) fn subscription(&self, group: &str, topic: &str) -> Option<Arc<Subscription>> {
        self.groups.get(group)?.topics.get(topic).map(|(subscription, _)| Arc::clone(subscription))
    }

    /// Whether nothing is new, and said not long ago.
    pub(super) fn knows(
        &self,
        group: &str,
        kind: Kind,
        subscription: &Subscription,
        now: Timestamp,
    ) -> bool {
        let said = self.groups.get(group).filter(|said| said.kind == kind);
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
        let weight = subscription.weight();
        let groups = self.groups.len();
        let said = self.groups.get(&group);
        let before = said.and_then(|said| said.topics.get(&subscription.topic));
        let freed = before.map_or(0, |(before, _)| before.weight());
        let is_full = said.map_or(groups >= GROUPS_MAX, |said| said.topics.len() >= TOPICS_MAX);
        if (is_full && before.is_none()) || self.bytes - freed + weight > BYTES_MAX {
            return;
        }
        self.bytes = self.bytes - freed + weight;
        let said =
            self.groups.entry(group).or_insert_with(|| Said { kind, topics: HashMap::new() });
        said.kind = kind;
        said.topics.insert(subscription.topic.clone(), (Arc::clone(subscription), now));
    }

    pub(super) fn expire(&mut self, now: Timestamp) {
        let bytes = &mut self.bytes;
        self.groups.retain(|_, said| {
            said.topics.retain(|_, (subscription, at)| {
                let stays = now.since(*at) <= COMPENSATION_AGE_MAX;
                *bytes -= if stays { 0 } else { subscription.weight() };
                stays
            });
            !said.topics.is_empty()
        });
    }
}
