//! The log as a hook: told what was decided, and asked whether administration may go on.

use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;

use blockhouse_disk::Disk;
use blockhouse_hook::{
    AdminCommand, AuditEvent, ConnectionInfo, Hook, Point, Points, Rejection, Settled, Verdict,
};
use blockhouse_meter::AuditCounts;
use blockhouse_model::{Access, Clock, RequestContext};
use parking_lot::{Condvar, Mutex};
use tokio::sync::oneshot;

use crate::config::OnFailure;
use crate::engine::{Engine, Status};
use crate::queue::{Queue, Work};
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
}

/// An audit log that is being written.
pub struct AuditLog {
    shared: Arc<Shared>,
    on_failure: OnFailure,
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
        let Parts { disk, dir, clock, counts } = parts;
        let (writer, first) = Writer::open(disk, &dir, config.clone(), clock.now())?;
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
        let shared = Arc::new(Shared { queue, wake: Condvar::new(), clock, counts, status });
        let of_thread = Arc::clone(&shared);
        let thread = std::thread::Builder::new()
            .name("blockhouse-audit".to_owned())
            .spawn(move || of_thread.run(engine))
            .map_err(Error::disk(&dir))?;
        let thread = Mutex::new(Some(thread));
        Ok(Self { shared, on_failure: config.on_failure, public_key, thread })
    }

    /// The key that checks its checkpoints.
    #[must_use]
    pub fn public_key(&self) -> &str {
        &self.public_key
    }

    /// How it is.
    #[must_use]
    pub fn status(&self) -> Status {
        self.shared.status.lock().clone()
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
        queue.take(self.clock.monotonic(), !engine.is_failed() || engine.is_time())
    }
}

impl Hook for AuditLog {
    fn name(&self) -> &str {
        NAME
    }

    fn points(&self) -> Points {
        let points = Points::NONE.with(Point::AuditSink).with(Point::AdminCommand);
        match self.on_failure {
            OnFailure::Permit => points,
            OnFailure::Reject => points.with(Point::Authorize).with(Point::ConnectionOpened),
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

    fn audit_settled(&self) -> Option<Settled> {
        let (tell, told) = oneshot::channel();
        self.shared.queue.lock().wait(tell);
        self.shared.wake.notify_one();
        Some(Box::pin(async move {
            match told.await {
                Ok(true) => Ok(()),
                _ => Err(Rejection::with_code(SYSTEM_ERROR, REFUSAL)),
            }
        }))
    }

    fn admin_command(&self, _: &RequestContext, _: &AdminCommand<'_>) -> Verdict {
        if self.is_writable() {
            return Verdict::Continue;
        }
        Verdict::Reject(Rejection::with_code(SYSTEM_ERROR, REFUSAL))
    }

    fn authorize(&self, _: &RequestContext, _: &[Access<'_>]) -> Verdict {
        self.gate()
    }

    fn connection_opened(&self, _: &ConnectionInfo) -> Verdict {
        self.gate()
    }
}
