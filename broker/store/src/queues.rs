//! Every ConsumeQueue by topic and id, and which of them have entries to write.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use blockhouse_model::{QueueId, Topic, names};
use parking_lot::{Mutex, RwLock};

use crate::Error;
use crate::queue::Queue;
use crate::queue_files::QueueFiles;

/// Entries that are written with one system call.
const WRITE_BATCH: usize = 4_096;

/// The queues of one topic, by id.
type OfTopic = Vec<Arc<Queue>>;

/// Whether `topic` names a directory of its own and nothing else. Senders are checked more
/// strictly, but a log may come from anywhere.
pub(crate) fn is_directory_name(topic: &str) -> bool {
    !matches!(topic, "" | "." | "..")
        && topic.len() <= names::STORED_TOPIC_LEN_MAX
        && !topic.contains(['/', '\0'])
}

/// Every ConsumeQueue.
#[derive(Debug)]
pub(crate) struct Queues {
    pub(crate) files: QueueFiles,
    table: RwLock<HashMap<Topic, OfTopic>>,
    dirty: Mutex<Vec<Arc<Queue>>>,
    /// Those whose newest entries are in memory though they are in files.
    warm: Mutex<Vec<Arc<Queue>>>,
    last_uid: AtomicU64,
    /// One thread at a time writes entries.
    writing: Mutex<()>,
    /// No queue begins before its first record from here on.
    expired: AtomicU64,
    /// Files came or went other than by writing.
    changed: AtomicBool,
}

impl Queues {
    pub(crate) fn new(files: QueueFiles) -> Self {
        Self {
            files,
            table: RwLock::default(),
            dirty: Mutex::default(),
            warm: Mutex::default(),
            last_uid: AtomicU64::new(0),
            writing: Mutex::new(()),
            expired: AtomicU64::new(0),
            changed: AtomicBool::new(false),
        }
    }

    pub(crate) fn find(&self, topic: &str, id: QueueId) -> Option<Arc<Queue>> {
        let table = self.table.read();
        let queues = table.get(topic)?;
        queues.binary_search_by_key(&id, |queue| queue.id).ok().map(|i| Arc::clone(&queues[i]))
    }

    /// `None` for a topic that cannot be a directory.
    pub(crate) fn find_or_make(&self, topic: &str, id: QueueId) -> Option<Arc<Queue>> {
        self.find(topic, id)
            .or_else(|| is_directory_name(topic).then(|| self.add(topic, id, (0, 0))))
    }

    /// Adds a queue with known bounds, unless it is there.
    pub(crate) fn add(&self, topic: &str, id: QueueId, (min, max): (u64, u64)) -> Arc<Queue> {
        let mut table = self.table.write();
        let topic = table
            .get_key_value(topic)
            .map_or_else(|| Topic::trusted(topic), |(topic, _)| topic.clone());
        let queues = table.entry(topic.clone()).or_default();
        match queues.binary_search_by_key(&id, |queue| queue.id) {
            Ok(i) => Arc::clone(&queues[i]),
            Err(i) => {
                let uid = self.last_uid.fetch_add(1, Ordering::Relaxed) + 1;
                let queue = Arc::new(Queue::new(topic, id, uid, min, max));
                queues.insert(i, Arc::clone(&queue));
                queue
            }
        }
    }

    /// A queue that is not in the table, for looking at its files.
    pub(crate) fn probe(&self, topic: &str, id: QueueId) -> Queue {
        let uid = self.last_uid.fetch_add(1, Ordering::Relaxed) + 1;
        Queue::new(Topic::trusted(topic), id, uid, 0, 0)
    }

    /// All queues, or those of one topic.
    pub(crate) fn list(&self, topic: Option<&str>) -> Vec<Arc<Queue>> {
        let table = self.table.read();
        match topic {
            Some(topic) => table.get(topic).cloned().unwrap_or_default(),
            None => table.values().flatten().cloned().collect(),
        }
    }

    pub(crate) fn count(&self) -> usize {
        self.table.read().values().map(Vec::len).sum()
    }

    /// Puts a queue on the list of those with entries to write.
    pub(crate) fn mark_dirty(&self, queue: &Arc<Queue>) {
        if !queue.dirty.swap(true, Ordering::AcqRel) {
            queue.touched.store(true, Ordering::Release);
            self.dirty.lock().push(Arc::clone(queue));
        }
    }

    /// Gives back the memory of queues to which nothing came since this was called last.
    pub(crate) fn cool(&self) {
        let mut warm = std::mem::take(&mut *self.warm.lock());
        warm.retain(|queue| {
            if queue.touched.swap(false, Ordering::AcqRel) {
                return true;
            }
            // First, so that whoever writes entries now puts it on the list again.
            queue.warm.store(false, Ordering::Release);
            !queue.cool() && !queue.warm.swap(true, Ordering::AcqRel)
        });
        self.warm.lock().append(&mut warm);
    }

    /// Writes the entries of all records that lie before `limit`.
    pub(crate) fn write_behind(&self, limit: u64) -> Result<(), Error> {
        let _one_at_a_time = self.writing.lock();
        let dirty = std::mem::take(&mut *self.dirty.lock());
        let mut failed = None;
        for queue in dirty {
            queue.dirty.store(false, Ordering::Release);
            let more = match self.write_queue(&queue, limit) {
                Ok(more) => more,
                Err(e) => {
                    failed = Some(e);
                    true
                }
            };
            if more {
                self.mark_dirty(&queue);
            } else if !queue.warm.swap(true, Ordering::AcqRel) {
                self.warm.lock().push(queue);
            }
        }
        failed.map_or(Ok(()), Err)
    }

    /// Gives whether entries are left that must wait.
    fn write_queue(&self, queue: &Queue, limit: u64) -> Result<bool, Error> {
        loop {
            let (first, units) = queue.unwritten(limit, WRITE_BATCH);
            if queue.deleted.load(Ordering::Acquire) {
                return Ok(false);
            }
            if !units.is_empty() {
                self.files.write(queue, first, &units)?;
            }
            let more = queue.stored(first + units.len() as u64);
            if units.len() < WRITE_BATCH {
                return Ok(more);
            }
        }
    }

    /// Removes a topic's queues and their files.
    pub(crate) fn remove_topic(&self, topic: &str) -> Result<bool, Error> {
        let _no_writes = self.writing.lock();
        let Some(queues) = self.table.read().get(topic).cloned() else { return Ok(false) };
        for queue in &queues {
            self.files.forget(queue);
        }
        // The files first: who tries again after they could not be removed finds the topic.
        self.files.remove_topic(topic)?;
        self.table.write().remove(topic);
        self.changed.store(true, Ordering::Release);
        for queue in &queues {
            queue.deleted.store(true, Ordering::Release);
            self.files.forget(queue);
        }
        Ok(true)
    }

    /// Puts an empty queue in the place of one whose topic was deleted and made again.
    pub(crate) fn begin_again(&self, old: &Queue) -> Result<Arc<Queue>, Error> {
        let _no_writes = self.writing.lock();
        old.deleted.store(true, Ordering::Release);
        self.files.cut(old, 0)?;
        Ok(self.replace(old))
    }

    /// Puts an empty queue in the place of one; its files stay as they are.
    pub(crate) fn replace(&self, old: &Queue) -> Arc<Queue> {
        self.files.forget(old);
        if let Some(queues) = self.table.write().get_mut(old.topic.as_str()) {
            queues.retain(|queue| queue.id != old.id);
        }
        self.add(old.topic.as_str(), old.id, (0, 0))
    }

    /// Whether a topic was removed of which no checkpoint knows.
    pub(crate) fn has_changed(&self) -> bool {
        self.changed.load(Ordering::Acquire)
    }

    /// Whether a topic was removed since this was asked last.
    pub(crate) fn take_changed(&self) -> bool {
        self.changed.swap(false, Ordering::AcqRel)
    }

    /// No queue begins before its first record from here on.
    pub(crate) fn expired(&self) -> u64 {
        self.expired.load(Ordering::Acquire)
    }

    /// As [`Queues::expire`] left it, by a table of queues.
    pub(crate) fn set_expired(&self, log_min: u64) {
        self.expired.fetch_max(log_min, Ordering::AcqRel);
    }

    /// Moves the beginning of every queue to its first record at `log_min` or after it, and removes
    /// files before that. Gives how many files.
    pub(crate) fn expire(&self, log_min: u64) -> Result<usize, Error> {
        let mut removed = 0;
        for queue in self.list(None) {
            // Most queues need no look at their files.
            if queue.oldest() >= log_min {
                continue;
            }
            let _no_writes = self.writing.lock();
            let before = queue.min();
            queue.raise_min(self.files.first_from(&queue, log_min)?);
            if queue.oldest() == 0 || !self.files.are_together(before, queue.min()) {
                removed += self.files.remove_before(&queue, queue.min())?;
            }
            queue.raise_oldest(log_min);
        }
        self.set_expired(log_min);
        Ok(removed)
    }
}
