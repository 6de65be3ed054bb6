//! What a message's properties make of it: tags code, index keys, visibility.

use std::time::Duration;

use blockhouse_model::java::{java_hash, java_hash_on};
use blockhouse_model::{DelayLevels, SysFlag, Timestamp, names, properties};

use crate::dispatch::{is_indexed, is_visible};
use crate::index::key_hash_on;
use crate::queue::Queue;

/// Before a tag that is indexed.
pub(crate) const TAG_KEY: &str = "T#";

/// What a message is to queues and index.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    tags_code: i64,
    /// A message that waits in the delay topic: its tags code is when it is due.
    delay: Option<Duration>,
    pub(crate) visible: bool,
}

impl Shape {
    pub(crate) fn tags_code(self, store_timestamp: Timestamp) -> i64 {
        self.delay.map_or(self.tags_code, |delay| store_timestamp.plus(delay).0)
    }
}

/// Reads properties.
#[derive(Clone, Debug)]
pub(crate) struct Shaper {
    pub(crate) levels: DelayLevels,
    pub(crate) index: bool,
    /// RocketMQ 5.4 indexes tags too, as the key `T#tag`.
    pub(crate) index_tags: bool,
}

impl Shaper {
    /// What a message with these properties is; appends the hashes of its keys.
    pub(crate) fn shape(
        &self,
        queue: &Queue,
        flags: SysFlag,
        property_text: &str,
        keys: &mut Vec<u32>,
    ) -> Shape {
        let mut shape = Shape { tags_code: 0, delay: None, visible: is_visible(flags) };
        let is_delayed = queue.topic.as_str() == names::SCHEDULE_TOPIC;
        let (mut tag, mut unique, mut words) = (None, None, "");
        // Of several pairs of one name the last counts.
        for (name, value) in properties::pairs(property_text) {
            match name {
                properties::TAGS => tag = Some(value),
                properties::UNIQUE_KEY => unique = Some(value),
                properties::KEYS => words = value,
                properties::DELAY if is_delayed => {
                    let level = value.parse().map_or(0, |level| self.levels.clamp(level));
                    shape.delay = (level > 0).then(|| self.levels.delay(level));
                }
                _ => {}
            }
        }
        shape.tags_code = tag.map_or(0, |tag| i64::from(java_hash(tag)));
        if self.index && is_indexed(flags) {
            // RocketMQ indexes the unique key first.
            let all = unique.into_iter().chain(words.split(' ').filter(|key| !key.is_empty()));
            keys.extend(all.map(|key| key_hash_on(queue.key_hash, key)));
            if let Some(tag) = tag.filter(|_| self.index_tags) {
                keys.push(key_hash_on(java_hash_on(queue.key_hash, TAG_KEY), tag));
            }
        }
        shape
    }
}

#[cfg(test)]
mod tests {
    use blockhouse_model::{QueueId, Topic};

    use super::*;

    fn shape(topic: &str, flags: i32, text: &str) -> (Shape, Vec<u32>) {
        let shaper = Shaper { levels: DelayLevels::default(), index: true, index_tags: false };
        let queue = Queue::new(Topic::trusted(topic), QueueId(0), 1, 0, 0);
        let mut keys = vec![9];
        let shape = shaper.shape(&queue, SysFlag(flags), text, &mut keys);
        (shape, keys.split_off(1))
    }

    #[test]
    fn keys_are_indexed_unique_key_first() {
        let text = "KEYS\u{1}a  b\u{2}UNIQ_KEY\u{1}u\u{2}TAGS\u{1}TagA\u{2}";
        let (seen, keys) = shape("t", 0, text);
        let hash = |key| crate::index::key_hash("t", key);
        assert_eq!(keys, [hash("u"), hash("a"), hash("b")]);
        assert_eq!(seen.tags_code(Timestamp(5)), 2_598_919);
        assert!(seen.visible);
    }

    #[test]
    fn what_a_batch_adds_behind_a_messages_own_properties_counts() {
        let own = "UNIQ_KEY\u{1}own\u{2}KEYS\u{1}a b\u{2}TAGS\u{1}A\u{2}";
        let (shape_of_both, keys) =
            shape("t", 0, &format!("{own}UNIQ_KEY\u{1}batch\u{2}TAGS\u{1}B\u{2}"));
        let (expected, expected_keys) =
            shape("t", 0, "UNIQ_KEY\u{1}batch\u{2}KEYS\u{1}a b\u{2}TAGS\u{1}B\u{2}");
        assert_eq!(keys, expected_keys);
        assert_eq!(shape_of_both.tags_code, expected.tags_code);
    }

    #[test]
    fn half_messages_are_indexed_but_in_no_queue_and_rolled_back_ones_neither() {
        let text = "UNIQ_KEY\u{1}u\u{2}";
        let (half, keys) = shape("t", SysFlag::TRANSACTION_PREPARED, text);
        assert_eq!((half.visible, keys.len()), (false, 1));
        let (back, keys) = shape("t", SysFlag::TRANSACTION_ROLLBACK, text);
        assert_eq!((back.visible, keys.len()), (false, 0));
        assert!(shape("t", SysFlag::TRANSACTION_COMMIT, text).0.visible);
    }

    #[test]
    fn delayed_messages_have_their_due_time_as_tags_code() {
        let text = "TAGS\u{1}TagA\u{2}DELAY\u{1}3\u{2}";
        assert_eq!(shape(names::SCHEDULE_TOPIC, 0, text).0.tags_code(Timestamp(5)), 10_005);
        assert_eq!(shape("t", 0, text).0.tags_code(Timestamp(5)), 2_598_919);
    }
}
