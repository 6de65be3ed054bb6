//! Writing progress: the journal, and the file that a new journal begins with.

use std::sync::atomic::Ordering;

use super::journal::Digest;
use super::{Offsets, codec};
use crate::{Error, SyncLog};

impl Offsets {
    /// Writes what was committed since the last call into the journal: no sync, one system call,
    /// and none if there is nothing. After this, a kill of the process forgets none of it.
    ///
    /// # Errors
    /// The disk fails; the next call tries again.
    pub fn flush_journal(&self) -> Result<(), Error> {
        self.journal_failure.note(self.journal.flush())
    }

    /// Why the journal could not be written the last time, if so.
    pub(crate) fn journal_failure(&self) -> Option<String> {
        self.journal_failure.text()
    }

    /// The length of the journal; it shrinks with each [`Offsets::persist`].
    #[must_use]
    pub fn journal_len(&self) -> u64 {
        self.journal.len()
    }

    /// As [`Offsets::persist_after`], where the log is on disk.
    ///
    /// # Errors
    /// As there.
    pub fn persist(&self) -> Result<bool, Error> {
        self.persist_after(&|| true)
    }

    /// Writes the file if something changed since it was last written, and begins a new journal.
    /// Waits for the disk, first for the log's; commits go on meanwhile.
    ///
    /// # Errors
    /// The disk fails; nothing is lost, and the next call tries again.
    pub fn persist_after(&self, sync_log: &SyncLog<'_>) -> Result<bool, Error> {
        let mut base = self.base.lock();
        let changes = self.changes.load(Ordering::Acquire);
        if self.file.holds(changes) {
            return Ok(false);
        }
        // Order matters. What is committed from the cut on goes into the new journal, too; what was
        // before it is in the text. The old journal says that it continues the new text as well:
        // wherever a kill falls, file and journal fit.
        self.journal.cut();
        let text = codec::encode(self.version(), &self.all(), true);
        let next = Digest::of(text.as_bytes());
        // A message that was sent back was stored again before it was committed: the file must not
        // outlive that copy. A log that cannot be synced takes no more messages; then consumers'
        // progress is saved all the same, or all of them would get much again.
        let _synced = sync_log();
        if let Err(error) = self.journal.continues(next) {
            tracing::warn!(%error, "cannot write the journal of offsets");
        }
        if let Err(error) = self.file.persist(changes, || text) {
            self.journal.abandon_cut();
            return Err(error);
        }
        let previous = std::mem::replace(&mut *base, next);
        self.journal_failure.note(self.journal.rotate(next, previous))?;
        Ok(true)
    }
}
