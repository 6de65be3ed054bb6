//! Exclusive queues: a member of an ordered group locks the queues that it consumes, so that after
//! a rebalance no two members consume one queue at the same time.
//!
//! A lock lasts 60 s from its last renewal; clients renew every 20 s. Locks are in memory only: after
//! a restart, members lock again.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use blockhouse_model::{Clock, Group, QueueId, Timestamp, Topic};
use parking_lot::Mutex;

/// How long a lock lasts without renewal.
/// RocketMQ: `rocketmq.broker.rebalance.lockMaxLiveTime`.
pub const LEASE: Duration = Duration::from_secs(60);
/// Most locked queues of a group.
pub const LOCKS_MAX: usize = 65_536;
/// Most groups with locks.
pub const GROUPS_MAX: usize = 100_000;
/// Most locked queues of all groups.
pub const ALL_MAX: usize = 1_000_000;

/// A queue as clients name it, which includes the broker: a client may ask one broker to lock the
/// queues of several.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LockedQueue {
    /// The topic.
    pub topic: Topic,
    /// The broker's name.
    pub broker: Arc<str>,
    /// The queue.
    pub queue: QueueId,
}

struct Lock {
    client_id: Arc<str>,
    renewed: Timestamp,
}

impl Lock {
    fn is_live(&self, now: Timestamp) -> bool {
        now.since(self.renewed) <= LEASE
    }
}

type Locks = HashMap<LockedQueue, Lock>;

#[derive(Default)]
struct Groups {
    by_name: HashMap<Group, Locks>,
    /// Locks of all of them.
    count: usize,
}

/// The locks of all groups.
pub struct QueueLocks {
    groups: Mutex<Groups>,
    /// Queues for whose locks there was no room.
    refused: AtomicU64,
    all_max: usize,
    clock: Arc<dyn Clock>,
}

impl QueueLocks {
    /// No locks.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { groups: Mutex::default(), refused: AtomicU64::new(0), all_max: ALL_MAX, clock }
    }

    /// How many queues found no room for their locks since the start.
    #[must_use]
    pub fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    /// Locks queues for a member of a group, or renews its locks; returns those that it has now.
    #[must_use]
    pub fn lock(
        &self,
        group: &Group,
        client_id: &str,
        queues: impl IntoIterator<Item = LockedQueue>,
    ) -> Vec<LockedQueue> {
        let now = self.clock.now();
        let mut groups = self.groups.lock();
        let Groups { by_name, count } = &mut *groups;
        if by_name.len() >= GROUPS_MAX && !by_name.contains_key(group) {
            self.refused.fetch_add(1, Ordering::Relaxed);
            return Vec::new();
        }
        let locks = by_name.entry(group.clone()).or_default();
        let client_id: Arc<str> = Arc::from(client_id);
        let mut locked = Vec::new();
        for queue in queues {
            let known = locks.get(&queue);
            let has_room = locks.len() < LOCKS_MAX && *count < self.all_max;
            let free =
                known.map_or(has_room, |lock| lock.client_id == client_id || !lock.is_live(now));
            if known.is_none() && !has_room {
                self.refused.fetch_add(1, Ordering::Relaxed);
            }
            if free {
                let lock = Lock { client_id: Arc::clone(&client_id), renewed: now };
                *count += usize::from(locks.insert(queue.clone(), lock).is_none());
                locked.push(queue);
            }
        }
        if locks.is_empty() {
            by_name.remove(group);
        }
        locked
    }

    /// Gives queues free that the member has locked; others are left alone.
    pub fn unlock<'a>(
        &self,
        group: &str,
        client_id: &str,
        queues: impl IntoIterator<Item = &'a LockedQueue>,
    ) {
        let mut groups = self.groups.lock();
        let Groups { by_name, count } = &mut *groups;
        let Some(locks) = by_name.get_mut(group) else {
            return;
        };
        for queue in queues {
            if locks.get(queue).is_some_and(|lock| *lock.client_id == *client_id) {
                locks.remove(queue);
                *count -= 1;
            }
        }
        if locks.is_empty() {
            by_name.remove(group);
        }
    }

    /// Whether any queue is locked for the group.
    #[must_use]
    pub fn any_live(&self, group: &str) -> bool {
        let now = self.clock.now();
        let groups = self.groups.lock();
        groups.by_name.get(group).is_some_and(|locks| locks.values().any(|l| l.is_live(now)))
    }

    /// Forgets the locks that nobody renewed. To be called now and then, for the memory's sake.
    pub fn expire(&self) {
        let now = self.clock.now();
        let mut groups = self.groups.lock();
        let Groups { by_name, count } = &mut *groups;
        by_name.retain(|_, locks| {
            let before = locks.len();
            locks.retain(|_, lock| lock.is_live(now));
            *count -= before - locks.len();
            !locks.is_empty()
        });
    }
}

#[cfg(test)]
mod tests {
    use blockhouse_model::ManualClock;

    use super::*;

    fn locks() -> (QueueLocks, Arc<ManualClock>) {
        let clock = Arc::new(ManualClock::at(Timestamp(1_000)));
        (QueueLocks::new(Arc::clone(&clock) as _), clock)
    }

    fn queue(id: u32) -> LockedQueue {
        let (topic, broker) = (Topic::trusted("t"), Arc::from("broker-a"));
        LockedQueue { topic, broker, queue: QueueId(id) }
    }

    fn lock(locks: &QueueLocks, client: &str, ids: &[u32]) -> Vec<u32> {
        let queues = ids.iter().map(|id| queue(*id));
        locks.lock(&Group::trusted("g"), client, queues).iter().map(|q| q.queue.0).collect()
    }

    #[test]
    fn a_queue_has_one_owner_until_its_lease_ends() {
        let (locks, clock) = locks();
        assert_eq!(lock(&locks, "a", &[0, 1]), [0, 1]);
        assert_eq!(lock(&locks, "b", &[1, 2]), [2]);
        clock.advance(LEASE);
        assert_eq!(lock(&locks, "b", &[0]), [0; 0], "the lease's last millisecond");
        clock.advance(Duration::from_millis(1));
        assert_eq!(lock(&locks, "b", &[0, 1]), [0, 1]);
        assert_eq!(lock(&locks, "a", &[0, 1]), [0; 0]);
    }

    #[test]
    fn renewing_prolongs_the_lease() {
        let (locks, clock) = locks();
        for _ in 0..5 {
            assert_eq!(lock(&locks, "a", &[0]), [0]);
            clock.advance(LEASE / 2);
        }
        assert_eq!(lock(&locks, "b", &[0]), [0; 0]);
    }

    #[test]
    fn only_the_owner_unlocks() {
        let (locks, _) = locks();
        assert_eq!(lock(&locks, "a", &[0]), [0]);
        locks.unlock("g", "b", [&queue(0)]);
        assert_eq!(lock(&locks, "b", &[0]), [0; 0]);
        locks.unlock("g", "a", [&queue(0), &queue(7)]);
        assert!(!locks.any_live("g"));
        assert_eq!(lock(&locks, "b", &[0]), [0]);
    }

    #[test]
    fn groups_and_brokers_are_apart() {
        let (locks, _) = locks();
        assert_eq!(lock(&locks, "a", &[0]), [0]);
        assert_eq!(locks.lock(&Group::trusted("h"), "b", [queue(0)]).len(), 1);
        let elsewhere = LockedQueue { broker: Arc::from("broker-b"), ..queue(0) };
        assert_eq!(locks.lock(&Group::trusted("g"), "b", [elsewhere]).len(), 1);
    }

    #[test]
    fn locks_that_ended_take_no_memory() {
        let (locks, clock) = locks();
        assert_eq!(lock(&locks, "a", &[0]), [0]);
        assert!(locks.any_live("g") && !locks.any_live("h"));
        clock.advance(LEASE + Duration::from_millis(1));
        assert!(!locks.any_live("g"));
        locks.expire();
        assert!(locks.groups.lock().by_name.is_empty());
        let many: Vec<u32> = (0..=u32::try_from(LOCKS_MAX).unwrap()).collect();
        assert_eq!(lock(&locks, "a", &many).len(), LOCKS_MAX);
    }

    #[test]
    fn locks_of_all_groups_are_bounded_and_those_that_ended_make_room() {
        let (mut locks, clock) = locks();
        locks.all_max = 3;
        assert_eq!(lock(&locks, "a", &[0, 1]), [0, 1]);
        assert_eq!(locks.lock(&Group::trusted("h"), "b", [queue(0), queue(1)]).len(), 1);
        assert_eq!(locks.refused(), 1);
        assert_eq!(lock(&locks, "a", &[0, 1]), [0, 1], "who has one renews it");
        locks.unlock("g", "a", [&queue(0)]);
        assert_eq!(locks.lock(&Group::trusted("h"), "b", [queue(1)]).len(), 1);
        clock.advance(LEASE + Duration::from_millis(1));
        locks.expire();
        assert_eq!(lock(&locks, "a", &[4, 5, 6]), [4, 5, 6]);
    }
}
