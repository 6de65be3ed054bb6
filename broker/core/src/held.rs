//! Pulls that found nothing and wait: for a message in their queue, or for their deadline.
//!
//! A waiting pull is a future that its connection polls; nothing here owns a task. The future is
//! dropped with the connection, and takes its entry out of the table then.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use blockhouse_filter::Subscription;
use blockhouse_model::{QueueId, QueueOffset, Topic};
use blockhouse_store::QueueListener;
use parking_lot::Mutex;
use tokio::sync::oneshot;
use tokio::time::Instant;

const SHARDS: usize = 64;

type Key = (Topic, QueueId);
type Table = HashMap<Key, Vec<Waiter>>;

struct Waiter {
    id: usize,
    /// Woken when the queue's end passes this.
    offset: QueueOffset,
    subscription: Arc<Subscription>,
    /// Dropping it wakes the waiter as well: something arrived.
    wake: oneshot::Sender<Woken>,
}

/// All waiting pulls of the broker.
pub struct HeldPulls {
    count: AtomicUsize,
    next_id: AtomicUsize,
    /// How often all were questioned.
    questions: AtomicUsize,
    has_ended: AtomicBool,
    hasher: RandomState,
    shards: Box<[Mutex<Table>]>,
}

impl Default for HeldPulls {
    fn default() -> Self {
        Self {
            count: AtomicUsize::new(0),
            next_id: AtomicUsize::new(0),
            questions: AtomicUsize::new(0),
            has_ended: AtomicBool::new(false),
            hasher: RandomState::new(),
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
        }
    }
}

/// Why a wait ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Woken {
    /// Something arrived.
    Advanced,
    /// The time asked for is over.
    Expired,
    /// It is to be asked anew whether it may wait at all.
    Questioned,
}

impl HeldPulls {
    /// How many pulls wait.
    #[must_use]
    pub fn count(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }

    fn shard(&self, topic: &str, queue: QueueId) -> &Mutex<Table> {
        let hash = self.hasher.hash_one((topic, queue));
        let at = usize::try_from(hash % SHARDS as u64).unwrap_or(0);
        &self.shards[at]
    }

    /// Enters a waiter. The caller looks at the queue once more before it waits, so that a message
    /// which came between its first look and this call is not missed.
    #[must_use]
    pub fn enter(
        self: &Arc<Self>,
        topic: Topic,
        queue: QueueId,
        offset: QueueOffset,
        subscription: Arc<Subscription>,
    ) -> Held {
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let (wake, woken) = oneshot::channel();
        let waiter = Waiter { id, offset, subscription, wake };
        self.count.fetch_add(1, Ordering::SeqCst);
        let key = (topic, queue);
        self.shard(&key.0, queue).lock().entry(key.clone()).or_default().push(waiter);
        Held { pulls: Arc::clone(self), key, id, woken }
    }

    /// Wakes all waiters of all queues, as when the broker's role changes.
    pub fn wake_all(&self) {
        for shard in &self.shards {
            shard.lock().clear();
        }
    }

    /// Nobody waits any more, and nobody will: the broker stops.
    pub fn end(&self) {
        // Before they wake: who enters too late to be woken sees it.
        self.has_ended.store(true, Ordering::SeqCst);
        self.wake_all();
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.has_ended.load(Ordering::SeqCst)
    }

    /// Has all waiters ask anew whether they may: what allowed it may have been taken back.
    pub fn question_all(&self) {
        // Before they wake: who enters too late to be woken sees that the number has changed.
        self.questions.fetch_add(1, Ordering::SeqCst);
        for shard in &self.shards {
            let waiters = std::mem::take(&mut *shard.lock());
            for waiter in waiters.into_values().flatten() {
                // Its connection may have ended just now.
                let _gone = waiter.wake.send(Woken::Questioned);
            }
        }
    }

    pub(crate) fn questions(&self) -> usize {
        self.questions.load(Ordering::SeqCst)
    }

    fn leave(&self, key: &Key, id: usize) {
        let mut table = self.shard(&key.0, key.1).lock();
        if let Some(waiters) = table.get_mut(key) {
            waiters.retain(|w| w.id != id);
            if waiters.is_empty() {
                table.remove(key);
            }
        }
        drop(table);
        self.count.fetch_sub(1, Ordering::SeqCst);
    }
}

impl QueueListener for HeldPulls {
    fn advanced(&self, topic: &Topic, queue: QueueId, end: QueueOffset, tags_code: i64) {
        if self.count.load(Ordering::SeqCst) == 0 {
            return;
        }
        let mut table = self.shard(topic, queue).lock();
        let Some(waiters) = table.get_mut(&(topic.clone(), queue)) else { return };
        waiters.retain(|w| w.offset >= end || !w.subscription.matches_code(tags_code));
    }
}

/// One waiting pull.
pub struct Held {
    pulls: Arc<HeldPulls>,
    key: Key,
    id: usize,
    woken: oneshot::Receiver<Woken>,
}

impl Held {
    /// Waits until something arrives, it is questioned, or it is `deadline`.
    pub async fn wait_until(mut self, deadline: Instant) -> Woken {
        match tokio::time::timeout_at(deadline, &mut self.woken).await {
            Ok(told) => told.unwrap_or(Woken::Advanced),
            Err(_elapsed) => Woken::Expired,
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.pulls.leave(&self.key, self.id);
    }
}
