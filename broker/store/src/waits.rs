//! Since when the disk has been waited for: one that hangs neither works nor fails.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use blockhouse_model::Timestamp;

/// What is waited for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Operation {
    /// A write of the log into the page cache.
    Write,
    /// A sync of it.
    Sync,
}

/// When what is under way began; 0 if nothing is. One of each at a time: both have a lock.
#[derive(Debug, Default)]
pub(crate) struct Waits {
    write: AtomicI64,
    sync: AtomicI64,
}

/// Something under way; over when this is dropped.
#[derive(Debug)]
pub(crate) struct UnderWay<'a>(&'a AtomicI64);

impl Waits {
    #[must_use]
    pub(crate) fn begin(&self, operation: Operation, at: Timestamp) -> UnderWay<'_> {
        let since = match operation {
            Operation::Write => &self.write,
            Operation::Sync => &self.sync,
        };
        since.store(at.0, Ordering::Relaxed);
        UnderWay(since)
    }

    /// For how long a write and a sync have been under way at `now`; zero if none is.
    pub(crate) fn at(&self, now: Timestamp) -> [Duration; 2] {
        [&self.write, &self.sync].map(|since| match since.load(Ordering::Relaxed) {
            0 => Duration::ZERO,
            since => Duration::from_millis(u64::try_from(now.0 - since).unwrap_or(0)),
        })
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.0.store(0, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_under_way_is_waited_for_until_it_is_over() {
        let waits = Waits::default();
        let at = |ms| waits.at(Timestamp(ms)).map(|wait| wait.as_millis());
        assert_eq!(at(9_000), [0, 0]);
        let write = waits.begin(Operation::Write, Timestamp(1_000));
        let sync = waits.begin(Operation::Sync, Timestamp(8_000));
        assert_eq!(at(9_000), [8_000, 1_000]);
        assert_eq!(at(500), [0, 0], "a clock that was set back");
        drop(write);
        assert_eq!(at(9_000), [0, 1_000]);
        drop(sync);
        assert_eq!(at(9_000), [0, 0]);
    }
}
