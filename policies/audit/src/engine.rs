//! What the log's thread does: write, sync, answer those who wait, sign, and go on after failures.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use blockhouse_meter::{AUDIT_KINDS, AuditCounts};
use blockhouse_model::{Clock, Timestamp};
use parking_lot::Mutex;
use tokio::sync::oneshot;
use tracing::{error, info};

use crate::queue::{Lost, Work};
use crate::record::{Entry, Own};
use crate::writer::Writer;

/// How often what is new is signed, files are looked for, and a failed write is tried again.
const INTERVAL: Duration = Duration::from_secs(1);
/// From so many on that a failed write left here, further events stay in their queue.
const STUCK_MAX: usize = 8_192;
/// Records after which they are signed at once.
const SIGN_AFTER: u64 = 1_024;

/// How the log is, for those who look.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Status {
    /// Why it cannot be written.
    pub trouble: Option<String>,
    /// The last checkpoint.
    pub checkpoint: String,
    /// How many records there are.
    pub records: u64,
    /// Events that are not on disk yet.
    pub pending: u64,
    /// For how long the first of them has not been.
    pub lag: Duration,
    /// Writes and syncs that failed.
    pub failures: u64,
    /// How far records are on disk.
    pub(crate) progress: Progress,
}

/// How far records are on disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Progress {
    /// Of all events that came in, how many are durable.
    pub(crate) durable: u64,
    /// When the first that is not was decided.
    pub(crate) since: Option<Timestamp>,
}

/// Why records must be durable at once.
#[derive(Clone, Copy)]
struct Need {
    /// Somebody waits.
    waits: bool,
    /// The log is to be closed.
    is_stopping: bool,
}

pub(crate) struct Engine {
    writer: Writer,
    clock: Arc<dyn Clock>,
    counts: Arc<AuditCounts>,
    status: Arc<Mutex<Status>>,
    /// What could not be written.
    stuck: Vec<Entry>,
    gap: Option<Lost>,
    failed: Option<Duration>,
    signed: Duration,
    looked: Duration,
    /// When all records were durable for the last time.
    durable: Timestamp,
    /// Events that are written.
    written: u64,
    progress: Progress,
}

impl Engine {
    pub(crate) fn new(
        writer: Writer,
        first: Entry,
        clock: Arc<dyn Clock>,
        counts: Arc<AuditCounts>,
        status: Arc<Mutex<Status>>,
    ) -> io::Result<Self> {
        let now = clock.monotonic();
        let durable = clock.now();
        let mut engine = Self {
            writer,
            clock,
            counts,
            status,
            stuck: Vec::new(),
            gap: None,
            failed: None,
            signed: now,
            looked: now,
            durable,
            written: 0,
            progress: Progress::default(),
        };
        engine.write(vec![first], true).map_err(|(error, _)| error)?;
        engine.retain()?;
        engine.sign(true)?;
        engine.counts.enabled.set(1);
        engine.counts.writable.set(1);
        engine.tell(None);
        Ok(engine)
    }

    /// Whether the last attempt to write failed.
    pub(crate) const fn is_failed(&self) -> bool {
        self.failed.is_some()
    }

    /// Whether events are to be taken out of their queue. They stay there between two attempts, and
    /// while many are here already: the queue has an end, and says what finds no room.
    pub(crate) fn takes_events(&self) -> bool {
        !self.is_failed() || (self.is_time() && self.stuck.len() < STUCK_MAX)
    }

    /// How long nothing has to be done if nothing happens.
    pub(crate) fn idle(&self) -> Duration {
        let since = self.failed.unwrap_or(if self.writer.unsigned() > 0 {
            self.signed
        } else {
            self.looked
        });
        (since + INTERVAL).saturating_sub(self.clock.monotonic()).max(Duration::from_millis(1))
    }

    /// Whether a failed write is to be tried again.
    pub(crate) fn is_time(&self) -> bool {
        self.failed.is_none_or(|at| self.clock.monotonic().saturating_sub(at) >= INTERVAL)
    }

    /// Writes what there is, and does what is due.
    pub(crate) fn turn(&mut self, work: Work) {
        let Work { entries, mut waiters, lost, told, has_events, is_stopping } = work;
        let since = entries.first().map(Entry::time);
        self.progress.since = self.progress.since.or(since);
        // Before it is written: a disk that hangs ends no turn, and its lag is to be seen.
        self.status.lock().progress.since = self.progress.since;
        let told = told.max(self.written);
        self.gap = lost.map_or(self.gap, |lost| Some(lost.and(self.gap)));
        self.stuck.extend(entries);
        if !has_events {
            // What they wait for is not among what is written now.
            answer(std::mem::take(&mut waiters), false);
        }
        if !self.is_time() && !is_stopping {
            answer(waiters, false);
            return;
        }
        let need = Need { waits: !waiters.is_empty(), is_stopping };
        if let Err(error) = self.flush(need, told) {
            // Whoever is refused finds everything refused that is to be.
            self.fail(&error);
            answer(waiters, false);
            return;
        }
        answer(waiters, true);
        match self.duties(need) {
            Ok(()) => self.recovered(),
            Err(error) => self.fail(&error),
        }
    }

    fn flush(&mut self, need: Need, events: u64) -> io::Result<()> {
        self.writer.mend()?;
        self.look()?;
        if self.writer.is_full() {
            self.rotate()?;
        }
        let now = self.clock.now();
        let mut entries = std::mem::take(&mut self.stuck);
        let told = self.gap;
        if let Some(Lost { count, since }) = told {
            let why = self.status.lock().trouble.clone();
            let why = why.unwrap_or_else(|| "there was no room for them in memory".to_owned());
            entries.insert(0, Entry::Own(now, Own::Lost { count, since, why }));
        }
        if need.is_stopping {
            entries.push(Entry::Own(now, Own::Stopped));
        }
        let must_sync = need.waits || need.is_stopping || told.is_some();
        match self.write(entries, must_sync) {
            Ok(()) => {
                self.written = events;
                if must_sync {
                    self.progress = Progress { durable: events, since: None };
                }
                self.gap = None;
                Ok(())
            }
            Err((error, entries)) => {
                let own =
                    |entry: &Entry| matches!(entry, Entry::Own(_, Own::Lost { .. } | Own::Stopped));
                self.stuck = entries.into_iter().filter(|entry| !own(entry)).collect();
                Err(error)
            }
        }
    }

    /// Appends, and syncs if somebody waits for it. Gives back what was not written.
    fn write(
        &mut self,
        entries: Vec<Entry>,
        must_sync: bool,
    ) -> Result<(), (io::Error, Vec<Entry>)> {
        if !entries.is_empty() {
            match self.writer.append(&entries) {
                Ok(bytes) => self.counts.bytes.add(bytes),
                Err(error) => return Err((error, entries)),
            }
        }
        if must_sync && let Err(error) = self.sync(entries.len() as u64) {
            return Err((error, entries));
        }
        for entry in &entries {
            self.counts.records[kind(entry)].add(1);
        }
        Ok(())
    }

    /// Makes all records durable; after a failure those that were not are lost, but for the last
    /// `kept`, which are still at hand.
    fn sync(&mut self, kept: u64) -> io::Result<()> {
        match self.writer.sync() {
            Ok(()) => {
                self.durable = self.clock.now();
                if self.stuck.is_empty() {
                    self.progress = Progress { durable: self.written, since: None };
                }
                Ok(())
            }
            Err((error, lost)) => {
                let count = lost.saturating_sub(kept);
                if count > 0 {
                    self.counts.lost.add(count);
                    self.gap = Some(Lost { count, since: self.durable }.and(self.gap));
                }
                Err(error)
            }
        }
    }

    /// Signs what is new, if it is time.
    fn duties(&mut self, need: Need) -> io::Result<()> {
        let new = self.writer.unsigned();
        let is_late = self.clock.monotonic().saturating_sub(self.signed) >= INTERVAL;
        if new == 0 || !(need.waits || need.is_stopping || is_late || new >= SIGN_AFTER) {
            return Ok(());
        }
        self.sign(is_late || need.is_stopping)
    }

    fn sign(&mut self, durably: bool) -> io::Result<()> {
        self.sync(0)?;
        self.writer.checkpoint()?;
        if durably {
            self.writer.sync_checkpoints()?;
        }
        self.signed = self.clock.monotonic();
        self.counts.checkpoint_ms.set(self.clock.now().0);
        Ok(())
    }

    fn rotate(&mut self) -> io::Result<()> {
        self.sign(true)?;
        self.writer.rotate(self.clock.now())?;
        self.retain()
    }

    /// Lets old segments go, once a durable record says so.
    fn retain(&mut self) -> io::Result<()> {
        let now = self.clock.now();
        let Some(below) = self.writer.retained(now) else { return Ok(()) };
        self.write(vec![Writer::removal(now, below)], true).map_err(|(error, _)| error)?;
        self.sign(true)?;
        self.writer.remove_below(below)?;
        info!("audit: the segments before record {below} were removed");
        Ok(())
    }

    /// Looks whether the files are still there.
    fn look(&mut self) -> io::Result<()> {
        let now = self.clock.monotonic();
        if now.saturating_sub(self.looked) < INTERVAL {
            return Ok(());
        }
        self.looked = now;
        let Some(file) = self.writer.replaced()? else { return Ok(()) };
        error!("audit: {file} was removed or replaced while it was written");
        self.sign(false)?;
        self.writer.rotate(self.clock.now())?;
        let entry = Entry::Own(self.clock.now(), Own::Replaced { file });
        self.write(vec![entry], true).map_err(|(error, _)| error)
    }

    fn fail(&mut self, why: &io::Error) {
        self.counts.failures.add(1);
        self.counts.writable.set(0);
        if self.failed.is_none() {
            error!("audit: the log cannot be written, admin commands are refused: {why}");
        }
        self.failed = Some(self.clock.monotonic());
        // The answers to what was announced say that nothing was done.
        self.stuck.iter_mut().for_each(Entry::undo);
        self.tell(Some(why.to_string()));
    }

    fn recovered(&mut self) {
        if self.failed.take().is_some() {
            info!("audit: the log is written again");
            self.counts.writable.set(1);
        }
        self.tell(None);
    }

    fn tell(&self, trouble: Option<String>) {
        let mut status = self.status.lock();
        status.trouble = trouble;
        if status.checkpoint != self.writer.checkpoint_text() {
            status.checkpoint = self.writer.checkpoint_text().to_owned();
        }
        status.records = self.writer.size();
        status.progress = self.progress;
    }
}

fn answer(waiters: Vec<oneshot::Sender<bool>>, is_durable: bool) {
    for waiter in waiters {
        // Whoever has gone away does not want to know.
        let _gone = waiter.send(is_durable);
    }
}

/// Which of the kinds that are counted.
const fn kind(entry: &Entry) -> usize {
    match entry {
        Entry::Event(event) | Entry::Merged { event, .. } => event.kind as usize,
        Entry::Own(..) => AUDIT_KINDS.len() - 1,
    }
}
