//! The log as a hook: told what was decided, and asked whether administration may go on.

use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use blockhouse_disk::Disk;
use blockhouse_hook::{
    AdminCommand, AuditEvent, Awaited, Hook, Point, Points, Rejection, Settled, Verdict,
};
use blockhouse_meter::AuditCounts;
use blockhouse_model::{Access, Action, Clock, RequestContext};
use parking_lot::{Condvar, Mutex};
use tokio::sync::oneshot;

use crate::config::OnFailure;
use crate::engine::{Engine, Status};
use crate::queue::{Queue, Work};
use crate::recent::Recent;
use crate::writer::Writer;
use crate::{Config, Error};

/// The name in refusals and metrics.
const NAME: &str = "audit";
/// RocketMQ's `SYSTEM_ERROR`.
const SYSTEM_ERROR: i32 = 1;
/// RocketMQ's `SERVICE_NOT_AVAILABLE`: producers try another broker.
const NOT_AVAILABLE: i32 = 14;
const REFUSAL: &str = "the audit log cannot be written, and nothing is changed until it can be";

/// What a log needs.
pub struct Parts {
    /// Where its files are.
    pub disk: Arc<dyn Disk>,
    /// Its directory.
    pub dir: PathBuf,
    /// The node's name, in each record; none if empty.
    pub node: String,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Where it counts.
    pub counts: Arc<AuditCounts>,
}

struct Shared {
    queue: Mutex<Queue>,
    wake: Condvar,
    clock: Arc<dyn Clock>,
    counts: Arc<AuditCounts>,
    status: Arc<Mutex<Status>>,
    recent: Recent,
}

/// An audit log that is being written.
pub struct AuditLog {
    shared: Arc<Shared>,
    on_failure: OnFailure,
    sync_logins: bool,
    public_key: String,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl std::fmt::Debug for AuditLog {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AuditLog").field("key", &self.public_key).finish_non_exhaustive()
    }
}

impl AuditLog {
    /// Opens the log, records that, and begins to write.
    ///
    /// # Errors
    /// It cannot be read or written, another process writes it, or it was changed.
    pub fn start(config: &Config, parts: Parts) -> Result<Self, Error> {
        let Parts { disk, dir, node, clock, counts } = parts;
        let (writer, first) = Writer::open(disk, &dir, config.clone(), &node, clock.now())?;
        let recent = writer.recent().clone();
        let public_key = writer.key().public().to_string();
        let status = Arc::new(Mutex::new(Status::default()));
        let engine = Engine::new(
            writer,
            first,
            Arc::clone(&clock),
            Arc::clone(&counts),
            Arc::clone(&status),
        )
        .map_err(Error::disk(&dir))?;
        let queue = Mutex::new(Queue::default());
        let wake = Condvar::new();
        let shared = Arc::new(Shared { queue, wake, clock, counts, status, recent });
        let of_thread = Arc::clone(&shared);
        let thread = std::thread::Builder::new()
            .name("blockhouse-audit".to_owned())
            .spawn(move || of_thread.run(engine))
            .map_err(Error::disk(&dir))?;
        let thread = Mutex::new(Some(thread));
        let Config { on_failure, sync_logins, .. } = *config;
        Ok(Self { shared, on_failure, sync_logins, public_key, thread })
    }

    /// The key that checks its checkpoints.
    #[must_use]
    pub fn public_key(&self) -> &str {
        &self.public_key
    }

    /// How it is.
    #[must_use]
    pub fn status(&self) -> Status {
        let (told, queued) = {
            let queue = self.shared.queue.lock();
            (queue.told(), queue.since())
        };
        let mut status = self.shared.status.lock().clone();
        status.pending = told.saturating_sub(status.progress.durable);
        let since = status.progress.since.or(queued).filter(|_| status.pending > 0);
        let age = since.map_or(0, |since| self.shared.clock.now().0.saturating_sub(since.0));
        status.lag = Duration::from_millis(u64::try_from(age).unwrap_or(0));
        status.failures = self.shared.counts.failures.read();
        status
    }

    /// Hands the last records, of which there are at most [`crate::RECENT_MAX`], to `visit`, the newest
    /// first, until it says false. They come out of memory.
    pub fn recent(&self, visit: &mut dyn FnMut(&[u8]) -> bool) {
        self.shared.recent.each(visit);
    }

    /// Writes what there is, and ends. What is told later is lost.
    pub fn close(&self) {
        let Some(thread) = self.thread.lock().take() else { return };
        self.shared.queue.lock().is_stopping = true;
        self.shared.wake.notify_all();
        if thread.join().is_err() {
            tracing::error!("audit: the log did not end cleanly");
        }
    }

    /// Whether all that was told is on disk.
    fn is_durable(&self, queue: &Queue) -> bool {
        self.is_writable() && queue.told() == self.shared.status.lock().progress.durable
    }

    fn is_writable(&self) -> bool {
        self.shared.counts.writable.read() == 1
    }

    /// What the data path is told while the log cannot be written.
    fn gate(&self) -> Verdict {
        if self.on_failure == OnFailure::Permit || self.is_writable() {
            return Verdict::Continue;
        }
        Verdict::Reject(Rejection::with_code(NOT_AVAILABLE, REFUSAL))
    }
}

impl Drop for AuditLog {
    fn drop(&mut self) {
        self.close();
    }
}

/// Whoever waits is answered, whatever ends the thread.
struct Closing<'a>(&'a Shared);

impl Drop for Closing<'_> {
    fn drop(&mut self) {
        self.0.counts.writable.set(0);
        let mut queue = self.0.queue.lock();
        queue.is_closed = true;
        // With the senders goes the hope of those who wait.
        drop(queue.take(self.0.clock.monotonic(), true));
    }
}

impl Shared {
    fn run(&self, mut engine: Engine) {
        let _closing = Closing(self);
        loop {
            let work = self.next(&engine);
            let is_stopping = work.is_stopping;
            engine.turn(work);
            if is_stopping {
                return;
            }
        }
    }

    /// Waits until there is something to do.
    fn next(&self, engine: &Engine) -> Work {
        let mut queue = self.queue.lock();
        let is_due = if engine.is_failed() { queue.is_urgent() } else { queue.is_due() };
        if !is_due {
            // What has come meanwhile, or nothing but the time.
            let _timed_out = self.wake.wait_for(&mut queue, engine.idle());
        }
        queue.take(self.clock.monotonic(), engine.takes_events())
    }
}

/// Whether somebody only looks at the node, at the ops listener, whose requests have no code: who is to
/// mend the log must see what is wrong with it.
fn is_look(cx: &RequestContext, accesses: &[Access<'_>]) -> bool {
    let is_look = |access: &Access<'_>| matches!(access.action, Action::Get | Action::List);
    cx.code == 0 && !accesses.is_empty() && accesses.iter().all(is_look)
}

impl Hook for AuditLog {
    fn name(&self) -> &str {
        NAME
    }

    fn points(&self) -> Points {
        let points = Points::NONE.with(Point::AuditSink).with(Point::AdminCommand);
        match self.on_failure {
            OnFailure::Permit => points,
            OnFailure::Reject => points.with(Point::Authorize),
        }
    }

    fn audit(&self, events: &[AuditEvent]) {
        let now = self.shared.clock.monotonic();
        let mut queue = self.shared.queue.lock();
        let was_due = queue.is_due();
        events.iter().for_each(|event| queue.put(event, now, &self.shared.counts));
        let is_due = queue.is_due();
        drop(queue);
        if is_due && !was_due {
            self.shared.wake.notify_one();
        }
    }

    fn audit_settled(&self, awaited: Awaited) -> Option<Settled> {
        if awaited == Awaited::Login && !self.sync_logins {
            return None;
        }
        let (tell, told) = oneshot::channel();
        let mut queue = self.shared.queue.lock();
        // A refusal that is counted with others like it has its record.
        if self.is_durable(&queue) {
            return None;
        }
        queue.wait(tell);
        drop(queue);
        self.shared.wake.notify_one();
        // Without brokers there is no data path that could go on.
        let may_fail = awaited == Awaited::Registration && self.on_failure == OnFailure::Permit;
        Some(Box::pin(async move {
            match told.await {
                Ok(true) => Ok(()),
                _ if may_fail => Ok(()),
                _ => Err(Rejection::with_code(SYSTEM_ERROR, REFUSAL)),
            }
        }))
    }

    fn admin_command(&self, _: &RequestContext, _: &AdminCommand<'_>) -> Verdict {
        // A command whose record finds no room would be carried out without one.
        if self.is_writable() && self.shared.queue.lock().takes_commands() {
            return Verdict::Continue;
        }
        Verdict::Reject(Rejection::with_code(SYSTEM_ERROR, REFUSAL))
    }

    fn authorize(&self, cx: &RequestContext, accesses: &[Access<'_>]) -> Verdict {
        if is_look(cx, accesses) { Verdict::Continue } else { self.gate() }
    }
}
