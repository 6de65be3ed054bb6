//! What the disk refuses at the moment, and whether sends are taken in spite of it.
//!
//! Every part that writes reports how its last attempt went. A fault is logged when it appears,
//! when it changes and when it is over, not at each attempt; it ends by itself with the first
//! attempt that succeeds. A failed write or sync of the CommitLog never ends: see [`Faults::poison`].

use std::fmt;
use std::io::ErrorKind;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;

use crate::{AppendError, Error};

/// `ENFILE` and `EMFILE`, for which `std` has no kind.
const NO_DESCRIPTORS: [i32; 2] = [23, 24];

/// A part of the store that writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Part {
    /// Making the next CommitLog file.
    CommitLog,
    /// Writing the entries of each ConsumeQueue behind.
    ConsumeQueue,
    /// Writing the index.
    Index,
    /// Making queues and index durable.
    Checkpoint,
    /// Removing what is expired.
    Retention,
}

impl Part {
    /// One word for metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::CommitLog => "commit_log",
            Self::ConsumeQueue => "consume_queue",
            Self::Index => "index",
            Self::Checkpoint => "checkpoint",
            Self::Retention => "retention",
        }
    }

    /// Whether sends are refused while it fails: what cannot be written behind would pile up.
    const fn blocks(self) -> bool {
        matches!(self, Self::ConsumeQueue | Self::Index)
    }

    const fn consequence(self) -> &'static str {
        match self {
            Self::CommitLog => "no CommitLog file can be made",
            Self::ConsumeQueue => "ConsumeQueues cannot be written",
            Self::Index => "the index cannot be written",
            Self::Checkpoint => "no checkpoint can be made",
            Self::Retention => "old files cannot be removed",
        }
    }
}

/// What the filesystem said, as far as it matters to whoever reads it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Cause {
    /// No room, or none within a quota.
    Full,
    /// The filesystem takes no writes.
    ReadOnly,
    /// The process, or the machine, has no more file descriptors.
    NoDescriptors,
    /// Anything else; the log has the words.
    Failed,
}

impl Cause {
    fn of(error: &Error) -> Self {
        let Error::Io { source, .. } = error else { return Self::Failed };
        match source.kind() {
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded => Self::Full,
            ErrorKind::ReadOnlyFilesystem => Self::ReadOnly,
            _ if is_out_of_descriptors(source) => Self::NoDescriptors,
            _ => Self::Failed,
        }
    }
}

/// Whether an open failed for want of file descriptors.
pub(crate) fn is_out_of_descriptors(error: &std::io::Error) -> bool {
    error.raw_os_error().is_some_and(|code| NO_DESCRIPTORS.contains(&code))
}

/// Which part fails, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// The part.
    pub part: Part,
    /// Why.
    pub cause: Cause,
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let cause = match self.cause {
            Cause::Full => "the disk is full",
            Cause::ReadOnly => "the disk is read-only",
            Cause::NoDescriptors => "too many open files",
            Cause::Failed => "the disk fails",
        };
        write!(f, "{cause}: {}", self.part.consequence())
    }
}

/// A fault as operators see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// One word for metrics.
    pub name: &'static str,
    /// What is wrong, in a sentence.
    pub text: String,
    /// Whether sends are refused because of it.
    pub refuses: bool,
    /// Whether only a restart ends it.
    pub lasting: bool,
}

/// The faults of one store.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    /// Whether [`Faults::blocking`] has to look.
    blocked: AtomicBool,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    poisoned: Option<String>,
    now: Vec<Now>,
}

#[derive(Debug)]
struct Now {
    trouble: Trouble,
    text: String,
    refuses: bool,
}

impl Faults {
    /// How an attempt of `part` went.
    pub(crate) fn report(&self, part: Part, result: Result<(), Error>) {
        match result {
            Ok(()) => self.over(part),
            // Told when it happened.
            Err(Error::Poisoned) => {}
            Err(e) => drop(self.add(part, &e, part.blocks())),
        }
    }

    /// An attempt of `part` failed that not everyone who asks for it reports.
    pub(crate) fn note(&self, part: Part, error: &Error) {
        self.add(part, error, part.blocks());
    }

    /// A send needs what `part` could not do.
    pub(crate) fn refuse(&self, part: Part, error: &Error) -> AppendError {
        AppendError::Disk(self.add(part, error, true))
    }

    fn add(&self, part: Part, error: &Error, refuses: bool) -> Trouble {
        let trouble = Trouble { part, cause: Cause::of(error) };
        let mut state = self.state.lock();
        let before = state.now.iter().position(|now| now.trouble.part == part);
        let before = before.map(|i| state.now.swap_remove(i));
        let refuses = refuses || before.as_ref().is_some_and(|now| now.refuses);
        if before.is_none_or(|now| now.trouble != trouble || now.refuses != refuses) {
            let sends = if refuses { "; sends are refused" } else { "" };
            tracing::error!("{trouble}{sends}: {error}");
        }
        state.now.push(Now { trouble, text: format!("{trouble}: {error}"), refuses });
        self.note_blocked(&state);
        trouble
    }

    fn over(&self, part: Part) {
        let mut state = self.state.lock();
        let Some(i) = state.now.iter().position(|now| now.trouble.part == part) else { return };
        let over = state.now.swap_remove(i);
        self.note_blocked(&state);
        tracing::warn!("this is over: {}", over.trouble);
    }

    fn note_blocked(&self, state: &State) {
        let blocked = state.now.iter().any(|now| now.trouble.part.blocks());
        self.blocked.store(blocked, Ordering::Release);
    }

    /// The trouble for which sends are refused before they try.
    pub(crate) fn blocking(&self) -> Option<Trouble> {
        if !self.blocked.load(Ordering::Acquire) {
            return None;
        }
        let state = self.state.lock();
        state.now.iter().map(|now| now.trouble).find(|trouble| trouble.part.blocks())
    }

    /// Whether the last attempt of `part` failed.
    pub(crate) fn has(&self, part: Part) -> bool {
        self.state.lock().now.iter().any(|now| now.trouble.part == part)
    }

    /// The CommitLog could not be written or synced. What the file holds then is unknown, so this
    /// ends with the process.
    pub(crate) fn poison(&self, error: &Error) {
        let mut state = self.state.lock();
        if state.poisoned.is_none() {
            let text = format!("a write or sync of the CommitLog failed: {error}");
            tracing::error!("{text}; no more messages are taken until a restart, reads go on");
            state.poisoned = Some(text);
        }
    }

    /// All that is wrong, the worst first.
    pub(crate) fn list(&self) -> Vec<Fault> {
        let state = self.state.lock();
        let poisoned = state.poisoned.iter().map(|text| Fault {
            name: "poisoned",
            text: text.clone(),
            refuses: true,
            lasting: true,
        });
        let now = state.now.iter().map(|now| Fault {
            name: now.trouble.part.name(),
            text: now.text.clone(),
            refuses: now.refuses,
            lasting: false,
        });
        poisoned.chain(now).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::path::Path;

    use super::*;

    fn failed(code: i32) -> Error {
        Error::io("write", Path::new("/d/f"))(io::Error::from_raw_os_error(code))
    }

    #[test]
    fn a_fault_lasts_until_an_attempt_of_its_part_succeeds() {
        let faults = Faults::default();
        assert_eq!(faults.blocking(), None);
        faults.report(Part::Checkpoint, Err(failed(28)));
        assert_eq!(faults.blocking(), None, "sends do not need a checkpoint");
        faults.report(Part::Index, Err(failed(30)));
        let trouble = Trouble { part: Part::Index, cause: Cause::ReadOnly };
        assert_eq!(faults.blocking(), Some(trouble));
        assert_eq!(trouble.to_string(), "the disk is read-only: the index cannot be written");
        faults.report(Part::ConsumeQueue, Ok(()));
        faults.report(Part::Checkpoint, Ok(()));
        assert_eq!(faults.list().len(), 1);
        faults.report(Part::Index, Ok(()));
        assert_eq!((faults.blocking(), faults.list()), (None, Vec::new()));
    }

    #[test]
    fn a_refused_send_says_why_until_the_part_works_again() {
        let faults = Faults::default();
        faults.report(Part::CommitLog, Err(failed(24)));
        assert!(!faults.list()[0].refuses, "there may be room in the last file");
        let refused = faults.refuse(Part::CommitLog, &failed(24));
        assert_eq!(refused.to_string(), "too many open files: no CommitLog file can be made");
        faults.report(Part::CommitLog, Err(failed(24)));
        assert!(faults.list()[0].refuses);
    }

    #[test]
    fn poison_stays_and_keeps_its_first_reason() {
        let faults = Faults::default();
        faults.poison(&failed(5));
        faults.poison(&failed(28));
        faults.report(Part::CommitLog, Err(Error::Poisoned));
        let list = faults.list();
        assert_eq!(list.len(), 1);
        assert!(list[0].lasting && list[0].refuses && list[0].text.contains("os error 5"));
    }
}
