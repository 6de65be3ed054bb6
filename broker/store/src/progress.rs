//! How far the log has got, and who waits for it to get further.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use parking_lot::Mutex;

use crate::Settled;

/// A position that only rises, and those who wait for it.
#[derive(Debug, Default)]
struct Level {
    at: AtomicU64,
    waiters: Mutex<Waiters>,
}

#[derive(Debug, Default)]
struct Waiters {
    last_id: u64,
    list: Vec<Waiter>,
}

#[derive(Debug)]
struct Waiter {
    id: u64,
    target: u64,
    waker: Waker,
}

impl Level {
    fn rise(&self, to: u64) {
        self.at.fetch_max(to, Ordering::AcqRel);
        self.wake(to);
    }

    fn wake(&self, to: u64) {
        // Those who register later look at `at` under this lock, so none is missed.
        let mut waiters = self.waiters.lock();
        if waiters.list.is_empty() {
            return;
        }
        let reached: Vec<_> = waiters.list.extract_if(.., |waiter| waiter.target <= to).collect();
        drop(waiters);
        for waiter in reached {
            waiter.waker.wake();
        }
    }
}

/// Which position a ticket waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wait {
    /// The messages are in the page cache.
    Written,
    /// The messages are on disk.
    Flushed,
}

/// The positions of one log.
#[derive(Debug, Default)]
pub struct Progress {
    written: Level,
    flushed: Level,
    poisoned: AtomicBool,
}

impl Progress {
    /// The positions of a log that is on disk up to `end`.
    #[must_use]
    pub fn starting_at(end: u64) -> Arc<Self> {
        let progress = Self::default();
        progress.written.at.store(end, Ordering::Release);
        progress.flushed.at.store(end, Ordering::Release);
        Arc::new(progress)
    }

    fn level(&self, wait: Wait) -> &Level {
        match wait {
            Wait::Written => &self.written,
            Wait::Flushed => &self.flushed,
        }
    }

    /// How far the log has got.
    #[must_use]
    pub fn at(&self, wait: Wait) -> u64 {
        self.level(wait).at.load(Ordering::Acquire)
    }

    /// Publishes a new position and wakes those who waited for it.
    pub fn rise(&self, wait: Wait, to: u64) {
        self.level(wait).rise(to);
    }

    /// Gives up for good: all who wait are told that it failed.
    pub fn poison(&self) {
        self.poisoned.store(true, Ordering::SeqCst);
        self.written.wake(u64::MAX);
        self.flushed.wake(u64::MAX);
    }

    /// Whether a write or sync failed.
    #[must_use]
    pub fn is_poisoned(&self) -> bool {
        self.poisoned.load(Ordering::SeqCst)
    }
}

/// For waiting until a burst is stored as durably as configured.
#[derive(Debug)]
pub struct Ticket {
    progress: Arc<Progress>,
    wait: Wait,
    target: u64,
    timeout: Option<Duration>,
}

impl Ticket {
    /// A ticket for the log up to `target`.
    #[must_use]
    pub const fn new(
        progress: Arc<Progress>,
        wait: Wait,
        target: u64,
        timeout: Option<Duration>,
    ) -> Self {
        Self { progress, wait, target, timeout }
    }

    /// The outcome, if it is there already.
    #[must_use]
    pub fn try_settled(&self) -> Option<Settled> {
        if self.progress.at(self.wait) >= self.target {
            return Some(Settled::PutOk);
        }
        self.progress.is_poisoned().then_some(Settled::Failed)
    }

    /// Waits for the outcome. Under sync flush this needs a tokio runtime with time.
    pub async fn settled(self) -> Settled {
        if let Some(settled) = self.try_settled() {
            return settled;
        }
        let timeout = self.timeout;
        let reached = Reached { ticket: self, id: None };
        match timeout {
            None => reached.await,
            Some(limit) => {
                tokio::time::timeout(limit, reached).await.unwrap_or(Settled::FlushDiskTimeout)
            }
        }
    }

    /// Waits for the outcome by blocking the thread, without a timeout.
    #[must_use]
    pub fn wait(self) -> Settled {
        let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
        let mut reached = Reached { ticket: self, id: None };
        let mut context = Context::from_waker(&waker);
        loop {
            match Pin::new(&mut reached).poll(&mut context) {
                Poll::Ready(settled) => return settled,
                Poll::Pending => std::thread::park(),
            }
        }
    }
}

struct Unpark(std::thread::Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// A ticket that is being waited for.
struct Reached {
    ticket: Ticket,
    id: Option<u64>,
}

impl Future for Reached {
    type Output = Settled;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Settled> {
        let this = &mut *self;
        let mut waiters = this.ticket.progress.level(this.ticket.wait).waiters.lock();
        if let Some(settled) = this.ticket.try_settled() {
            return Poll::Ready(settled);
        }
        let old = this.id.and_then(|id| waiters.list.iter_mut().find(|w| w.id == id));
        if let Some(waiter) = old {
            waiter.waker.clone_from(context.waker());
        } else {
            waiters.last_id += 1;
            let id = waiters.last_id;
            let waker = context.waker().clone();
            waiters.list.push(Waiter { id, target: this.ticket.target, waker });
            this.id = Some(id);
        }
        Poll::Pending
    }
}

impl Drop for Reached {
    fn drop(&mut self) {
        let Some(id) = self.id else { return };
        self.ticket.progress.level(self.ticket.wait).waiters.lock().list.retain(|w| w.id != id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ticket(progress: &Arc<Progress>, target: u64) -> Ticket {
        Ticket::new(Arc::clone(progress), Wait::Flushed, target, None)
    }

    #[test]
    fn waiters_wake_when_their_position_is_reached() {
        let progress = Progress::starting_at(10);
        assert_eq!(ticket(&progress, 10).try_settled(), Some(Settled::PutOk));
        assert_eq!(ticket(&progress, 11).try_settled(), None);
        let waits: Vec<_> = [20, 30]
            .map(|target| {
                let ticket = ticket(&progress, target);
                std::thread::spawn(move || ticket.wait())
            })
            .into();
        progress.rise(Wait::Written, 99);
        progress.rise(Wait::Flushed, 20);
        progress.poison();
        let ends: Vec<_> = waits.into_iter().map(|w| w.join().unwrap()).collect();
        assert_eq!(ends, [Settled::PutOk, Settled::Failed]);
        assert!(progress.flushed.waiters.lock().list.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_disk_is_a_timeout_and_leaves_no_waiter() {
        let progress = Progress::starting_at(0);
        let limit = Some(Duration::from_secs(5));
        let ticket = Ticket::new(Arc::clone(&progress), Wait::Flushed, 1, limit);
        assert_eq!(ticket.settled().await, Settled::FlushDiskTimeout);
        assert!(progress.flushed.waiters.lock().list.is_empty());
    }
}
