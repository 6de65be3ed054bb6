//! What the log says of messages that are passed over: nobody else would notice.

use std::ops::Range;
use std::sync::atomic::Ordering;

use super::Scan;

impl Scan<'_> {
    /// A record is not what its entry promises.
    pub(super) fn report(&self, offset: u64, physical: u64) {
        if self.is_removed() {
            return;
        }
        self.shared.distrust_queues();
        let (topic, id) = (&self.queue.topic, self.queue.id);
        tracing::error!(
            "{topic} {id}: message {offset} is passed over: the record at {physical} of the log is \
             damaged, or the queue's entry for it is"
        );
    }

    /// There are zeros instead of an entry.
    pub(super) fn nothing_at(&mut self, offset: u64) {
        if self.nothing.end != offset {
            self.tell_nothing();
            self.nothing = offset..offset;
        }
        self.nothing.end = offset + 1;
    }

    /// Tells of them, before others are passed over or the scan ends.
    pub(super) fn tell_nothing(&mut self) {
        let Range { start, end } = std::mem::take(&mut self.nothing);
        if start < end {
            self.report_missing(start, end);
        }
    }

    /// A file of the queue has no entries where the queue says that there are.
    pub(super) fn report_missing(&self, from: u64, to: u64) {
        // Retention removes files once the queue begins behind them.
        if self.is_removed() || from < self.queue.min() {
            return;
        }
        self.shared.distrust_queues();
        let (topic, id) = (&self.queue.topic, self.queue.id);
        tracing::error!(
            "{topic} {id}: messages {from} to {} are passed over: the queue's file has no entries \
             for them",
            to.saturating_sub(1)
        );
    }

    /// The topic was removed while this reads: what is missing is no damage.
    fn is_removed(&self) -> bool {
        self.queue.deleted.load(Ordering::Acquire)
    }
}
