//! What must be there, what may be there, and nothing else.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::ops::Range;

use blockhouse_model::{PhysicalOffset, QueueId, Timestamp, properties};
use blockhouse_record::View;
use blockhouse_store::{ColdRead, Store};
use bytes::Bytes;

use super::workload::TOPICS;
use crate::rig::{read, views};

/// A message that was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Sent {
    pub(crate) topic: &'static str,
    pub(crate) queue: u32,
    pub(crate) offset: u64,
    /// Its whole record.
    pub(crate) record: Bytes,
    /// From this event on it must be there after a crash.
    durable_at: usize,
    /// From this event on it may be gone, since someone asked for that.
    may_go_at: usize,
    /// From this event on its queue must not have it.
    gone_at: usize,
}

/// Everything that was sent, by its place in the log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Model {
    sent: BTreeMap<u64, Sent>,
    /// From which event on a topic is not among the broker's, and whether: the broker strikes it off before
    /// its queues go.
    struck: Vec<(usize, &'static str, bool)>,
}

impl Model {
    pub(crate) fn len(&self) -> usize {
        self.sent.len()
    }

    /// How many entries what lies from `begin` on has in the index.
    pub(crate) fn keys_from(&self, begin: u64) -> u64 {
        let of = |sent: &Sent| {
            let view = View::parse(&sent.record).unwrap();
            let unique = u64::from(view.property(properties::UNIQUE_KEY).is_some());
            unique
                + view.property(properties::KEYS).map_or(0, |keys| keys.split(' ').count() as u64)
        };
        self.sent.range(begin..).map(|(_, sent)| of(sent)).sum()
    }

    pub(crate) fn add(
        &mut self,
        physical: u64,
        (topic, queue): (&'static str, u32),
        offset: u64,
        record: Bytes,
    ) {
        let never = usize::MAX;
        let sent = Sent {
            topic,
            queue,
            offset,
            record,
            durable_at: never,
            may_go_at: never,
            gone_at: never,
        };
        let before = self.sent.insert(physical, sent);
        assert!(before.is_none(), "two records at {physical}");
    }

    /// The log is durable up to `flushed` from this event on.
    pub(crate) fn durable(&mut self, flushed: u64, event: usize) {
        for (physical, sent) in &mut self.sent {
            if physical + sent.record.len() as u64 <= flushed {
                sent.durable_at = sent.durable_at.min(event);
            }
        }
    }

    pub(crate) fn may_go(&mut self, event: usize, which: impl Fn(u64, &Sent) -> bool) {
        for (physical, sent) in &mut self.sent {
            if which(*physical, sent) {
                sent.may_go_at = sent.may_go_at.min(event);
            }
        }
    }

    pub(crate) fn gone(&mut self, event: usize, which: impl Fn(u64, &Sent) -> bool) {
        for (physical, sent) in &mut self.sent {
            if which(*physical, sent) {
                sent.gone_at = sent.gone_at.min(event);
            }
        }
    }

    /// The broker has the topic from this event on, or has not.
    pub(crate) fn strike(&mut self, event: usize, topic: &'static str, is_struck: bool) {
        self.struck.push((event, topic, is_struck));
    }

    /// The topics that the broker has at `event`.
    pub(crate) fn topics(&self, event: usize) -> BTreeSet<String> {
        let mut topics: BTreeSet<_> = TOPICS.map(str::to_owned).into();
        for (_, topic, is_struck) in self.struck.iter().filter(|(at, ..)| *at <= event) {
            if *is_struck {
                topics.remove(*topic);
            } else {
                topics.insert((*topic).to_owned());
            }
        }
        topics
    }

    /// Whether a topic was deleted by `event`.
    pub(crate) fn has_removed(&self, event: usize) -> bool {
        self.sent.values().any(|sent| sent.gone_at <= event)
    }

    /// The store has recovered, which took until `event` of a history that began with a crash at
    /// `crashed_at` of the one before: what it has now is there for good.
    pub(crate) fn all_durable_at(&mut self, event: usize, crashed_at: usize) {
        let since = |at: usize| if at <= crashed_at { 0 } else { usize::MAX };
        for sent in self.sent.values_mut() {
            sent.durable_at = if sent.durable_at <= crashed_at { 0 } else { event };
            sent.may_go_at = since(sent.may_go_at);
            sent.gone_at = since(sent.gone_at);
        }
    }

    /// Holds a store that was opened after a crash at `event` against this; gives what it has.
    pub(crate) fn inspect(&self, store: &Store, event: usize) -> Self {
        let mut found = Self::default();
        let log_end = store.stats().log_end.0;
        for bounds in store.queues(None) {
            let (topic, queue) = (bounds.topic.as_str(), bounds.queue.0);
            let mut next = bounds.min.0;
            while next < bounds.max.0 {
                let outcome = read(store, topic, queue, next, 32);
                for view in views(&outcome) {
                    self.may_skip((topic, queue), next..view.queue_offset.0, event);
                    next = view.queue_offset.0 + 1;
                    let physical = view.physical_offset.0;
                    let sent = self.sent.get(&physical);
                    assert!(sent.is_some(), "never sent: {view:?}");
                    let sent = sent.unwrap();
                    assert_eq!(view.bytes, &sent.record[..], "at {physical}");
                    assert!(event < sent.gone_at, "{topic} {queue} {next} was removed");
                    assert!(physical + sent.record.len() as u64 <= log_end);
                    found.sent.insert(physical, sent.clone());
                }
                self.may_skip((topic, queue), next..outcome.next.0, event);
                assert!(outcome.next.0 > next || outcome.count > 0, "{outcome:?}");
                next = outcome.next.0;
            }
        }
        for (physical, sent) in &self.sent {
            let is_there = found.sent.contains_key(physical);
            let must = event >= sent.durable_at && event < sent.may_go_at;
            assert!(
                is_there || !must,
                "{} {} {} at {physical} was durable at event {}, the log ends at {log_end}",
                sent.topic,
                sent.queue,
                sent.offset,
                sent.durable_at
            );
            // What lies before the log's end was not cut, so it is in its queue.
            let is_before = *physical < log_end && event < sent.may_go_at;
            assert!(is_there || !is_before, "{} at {physical} of {log_end}", sent.topic);
        }
        found.look_up(store);
        // Half a deletion: what it took stays away or not.
        for (physical, sent) in &self.sent {
            if *physical < log_end && event >= sent.may_go_at {
                found.sent.entry(*physical).or_insert_with(|| sent.clone());
            }
        }
        found
    }

    /// Offsets are dense, but for a topic that was being deleted.
    fn may_skip(&self, (topic, queue): (&str, u32), offsets: Range<u64>, event: usize) {
        for offset in offsets {
            let may_go = self.sent.values().any(|sent| {
                (sent.topic, sent.queue, sent.offset) == (topic, queue, offset)
                    && event >= sent.may_go_at
            });
            assert!(may_go, "{topic} {queue} has no {offset}");
        }
    }

    /// Every message is found by its place and by its key.
    fn look_up(&self, store: &Store) {
        let mut asked = HashSet::new();
        // The oldest and the newest are the most in danger.
        let some = self.sent.iter().take(3).chain(self.sent.iter().rev().take(8));
        for (physical, sent) in some {
            let place = PhysicalOffset(*physical);
            let by_place = store.message_at(place, ColdRead::Allow).unwrap();
            assert_eq!(by_place.as_ref(), Some(&sent.record), "by its place {physical}");
            let view = View::parse(&sent.record).unwrap();
            let Some(key) = view.property(properties::UNIQUE_KEY) else { continue };
            if !asked.insert(key.to_owned()) {
                continue;
            }
            let all = (Timestamp(0), Timestamp(i64::MAX));
            let by_key = store.query(sent.topic, key, 64, all.0, all.1);
            assert_eq!(by_key.records, std::slice::from_ref(&sent.record), "by its key {key}");
            let queue = QueueId(sent.queue);
            let (min, max) =
                (store.min_offset(sent.topic, queue), store.max_offset(sent.topic, queue));
            assert!((min.0..max.0).contains(&sent.offset));
        }
    }
}
