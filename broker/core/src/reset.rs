//! Moving a group's progress by an operator's hand.

use std::collections::BTreeMap;

use blockhouse_model::{QueueId, QueueOffset, Timestamp};
use blockhouse_store::{Boundary, Store};

use crate::refusal::{Refusal, RefusalKind};
use crate::{Broker, blocking};

/// Where to put a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// To the end of each queue.
    End,
    /// To the first message at or after this time.
    Time(Timestamp),
    /// To this offset, of one queue.
    Offset(QueueOffset),
}

impl Broker {
    /// Puts a group elsewhere in a topic: in one queue, or in all. The consumers learn of it by
    /// their next pull; what they commit until then does not count.
    ///
    /// # Errors
    /// No such topic or group, or an offset outside of the queue.
    pub async fn reset_offsets(
        &self,
        topic: &str,
        group: &str,
        queue: Option<QueueId>,
        target: Target,
    ) -> Result<Vec<(QueueId, QueueOffset)>, Refusal> {
        let config = self.topic(topic)?;
        if !self.groups().contains(group) {
            return Err(Refusal::no_group(group));
        }
        let queues: Vec<QueueId> = match queue {
            Some(queue) => vec![queue],
            None => (0..config.read_queues).map(QueueId).collect(),
        };
        let (store, name) = (self.shared_store(), config.name.clone());
        let found = move || {
            let place = |queue| Ok((queue, offset_of(&store, &name, queue, target)?));
            queues.into_iter().map(place).collect::<Result<Vec<_>, Refusal>>()
        };
        let places = blocking(found).await??;
        for (queue, offset) in &places {
            self.offsets().assign_reset(group, topic, *queue, *offset);
        }
        self.held().wake_all();
        Ok(places)
    }

    /// Gives one group the progress of another, in one topic or in all.
    ///
    /// # Errors
    /// The target group's name is not one.
    pub fn clone_offsets(&self, from: &str, to: &str, topic: Option<&str>) -> Result<(), Refusal> {
        blockhouse_model::names::check_group(to)?;
        let topics = topic.map_or_else(|| self.committed_topics(from), |t| vec![t.to_owned()]);
        for topic in topics.iter().filter(|topic| self.topics().contains(topic)) {
            self.offsets().clone_group(from, to, topic);
        }
        Ok(())
    }

    /// How far the slowest group is in each queue of a topic, `without` some groups; `None` where
    /// `compared` is behind that.
    #[must_use]
    pub fn slowest_offsets(
        &self,
        topic: &str,
        without: &[&str],
        compared: &str,
    ) -> BTreeMap<QueueId, Option<QueueOffset>> {
        let mut slowest = BTreeMap::new();
        for group in self.offsets().groups_of(topic) {
            if without.contains(&group.as_str()) {
                continue;
            }
            for (queue, offset) in self.offsets().of(&group, topic) {
                let least = slowest.entry(queue).or_insert(offset);
                *least = offset.min(*least);
            }
        }
        let mut slowest: BTreeMap<_, _> =
            slowest.into_iter().map(|(queue, offset)| (queue, Some(offset))).collect();
        for (queue, offset) in self.offsets().of(compared, topic) {
            let least = slowest.entry(queue).or_insert(None);
            *least = least.filter(|least| *least <= offset);
        }
        slowest
    }

    /// The progress of all groups as JSON in RocketMQ's form, as one broker sends it to another.
    #[must_use]
    pub fn all_offsets_json(&self) -> String {
        self.offsets().to_json()
    }

    /// The same of the delay levels.
    #[must_use]
    pub fn all_delay_offsets_json(&self) -> String {
        self.delay_offsets().to_json()
    }
}

fn offset_of(
    store: &Store,
    topic: &str,
    queue: QueueId,
    target: Target,
) -> Result<QueueOffset, Refusal> {
    let (min, max) = (store.min_offset(topic, queue), store.max_offset(topic, queue));
    match target {
        Target::End => Ok(max),
        Target::Time(time) => Ok(store.offset_by_time(topic, queue, time, Boundary::Lower)),
        Target::Offset(offset) if offset < min || offset > max.plus(1) => {
            let reason = format!("Target offset {offset} not in consume queue range [{min}-{max}]");
            Err(Refusal::new(RefusalKind::SystemError, reason))
        }
        Target::Offset(offset) => Ok(offset),
    }
}
