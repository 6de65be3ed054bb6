//! How many names a table may hold: clients make up as many as they like.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use crate::Error;

/// What a table is called towards those who find no room in it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Words {
    /// What it holds.
    pub(crate) what: &'static str,
    /// The option that bounds it.
    pub(crate) option: &'static str,
    /// The command that makes room.
    pub(crate) command: &'static str,
}

/// What a table holds, and may. Whoever adds and removes says so here.
#[derive(Debug)]
pub(crate) struct Room {
    words: Words,
    max: usize,
    count: AtomicUsize,
    refused: AtomicU64,
}

impl Room {
    /// For a table that holds so many. More than `max` stay, and no new ones come.
    pub(crate) fn of(words: Words, count: usize, max: usize) -> Self {
        if count > max {
            let Words { what, option, .. } = words;
            tracing::warn!(count, max, "more {what} than {option}: no new ones");
        }
        Self { words, max, count: AtomicUsize::new(count), refused: AtomicU64::new(0) }
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }

    /// How many found no room.
    pub(crate) fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    /// Whether one more may come. Whoever asks holds the lock of changes until it is there.
    pub(crate) fn check(&self) -> Result<(), Error> {
        if self.count() < self.max {
            return Ok(());
        }
        self.refused.fetch_add(1, Ordering::Relaxed);
        let Words { what, option, command } = self.words;
        Err(Error::Full { what, max: self.max, option, command })
    }

    /// One more is there.
    pub(crate) fn took(&self) {
        self.count.fetch_add(1, Ordering::Relaxed);
    }

    /// One is gone.
    pub(crate) fn freed(&self) {
        self.count.fetch_sub(1, Ordering::Relaxed);
    }
}
