//! Bytes in flight of all connections together.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::Waker;

use parking_lot::Mutex;

/// A bound on the bytes that unanswered requests and unsent replies of a process hold.
///
/// A connection reports what it holds in steps of [`STEP`](Charge::STEP) bytes: bursts that are
/// answered in place, the usual case, never touch the shared counter.
#[derive(Debug)]
pub struct Budget {
    limit: usize,
    used: AtomicUsize,
    anyone_waits: AtomicBool,
    waiting: Mutex<HashMap<u64, Waker>>,
}

impl Budget {
    /// A budget of `limit` bytes.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self {
            limit,
            used: AtomicUsize::new(0),
            anyone_waits: AtomicBool::new(false),
            waiting: Mutex::new(HashMap::new()),
        }
    }

    /// The bytes in flight now.
    #[must_use]
    pub fn used(&self) -> usize {
        self.used.load(Ordering::Acquire)
    }

    /// The bytes that may be in flight.
    #[must_use]
    pub fn limit(&self) -> usize {
        self.limit
    }

    /// Whether requests have to wait.
    #[must_use]
    pub fn is_spent(&self) -> bool {
        self.used() >= self.limit
    }

    fn take(&self, bytes: usize) {
        self.used.fetch_add(bytes, Ordering::SeqCst);
    }

    fn give_back(&self, bytes: usize) {
        let before = self.used.fetch_sub(bytes, Ordering::SeqCst);
        let now_free = before.saturating_sub(bytes) < self.limit;
        if now_free && self.anyone_waits.swap(false, Ordering::SeqCst) {
            let woken = std::mem::take(&mut *self.waiting.lock());
            woken.into_values().for_each(Waker::wake);
        }
    }
}

/// A connection that waits until the budget is no longer spent, until this is dropped: what is left of one that has
/// ended would be kept in memory by its waker.
#[derive(Debug)]
pub(crate) struct Waiter {
    budget: Arc<Budget>,
    connection: u64,
}

impl Waiter {
    pub(crate) fn new(budget: &Arc<Budget>, connection: u64) -> Self {
        Self { budget: Arc::clone(budget), connection }
    }

    /// Wakes `waker` when the budget is no longer spent.
    pub(crate) fn wait(&self, waker: &Waker) {
        self.budget.waiting.lock().insert(self.connection, waker.clone());
        self.budget.anyone_waits.store(true, Ordering::SeqCst);
        // A release between the caller's look and the registration has woken nobody.
        if !self.budget.is_spent() {
            waker.wake_by_ref();
        }
    }
}

impl Drop for Waiter {
    fn drop(&mut self) {
        self.budget.waiting.lock().remove(&self.connection);
    }
}

/// One connection's part of the budget; given back when dropped.
#[derive(Debug)]
pub(crate) struct Charge {
    budget: Arc<Budget>,
    reported: usize,
}

impl Charge {
    /// Smaller changes are not reported.
    pub(crate) const STEP: usize = 16 * 1024;

    pub(crate) fn new(budget: Arc<Budget>) -> Self {
        Self { budget, reported: 0 }
    }

    /// Reports that the connection holds `bytes`.
    pub(crate) fn set(&mut self, bytes: usize) {
        let bytes = if bytes < Self::STEP { 0 } else { bytes };
        if bytes.abs_diff(self.reported) < Self::STEP {
            return;
        }
        if bytes > self.reported {
            self.budget.take(bytes - self.reported);
        } else {
            self.budget.give_back(self.reported - bytes);
        }
        self.reported = bytes;
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        if self.reported > 0 {
            self.budget.give_back(self.reported);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_holdings_are_not_reported_and_all_is_given_back() {
        let budget = Arc::new(Budget::new(100_000));
        let mut charge = Charge::new(Arc::clone(&budget));
        charge.set(Charge::STEP - 1);
        assert_eq!(budget.used(), 0);
        charge.set(100_000);
        assert!(budget.is_spent());
        charge.set(99_000);
        assert_eq!(budget.used(), 100_000);
        charge.set(40_000);
        assert_eq!(budget.used(), 40_000);
        charge.set(10);
        assert_eq!(budget.used(), 0);
        charge.set(50_000);
        drop(charge);
        assert_eq!(budget.used(), 0);
    }

    /// Somebody waits for a budget that this charge has spent.
    fn one_waits() -> (Arc<Flag>, Charge, Waiter) {
        let flag = Arc::new(Flag(AtomicBool::new(false)));
        let budget = Arc::new(Budget::new(50_000));
        let mut charge = Charge::new(Arc::clone(&budget));
        charge.set(60_000);
        let waiter = Waiter::new(&budget, 1);
        waiter.wait(&Waker::from(Arc::clone(&flag)));
        (flag, charge, waiter)
    }

    #[test]
    fn a_release_wakes_those_who_wait() {
        let (flag, mut charge, _waiter) = one_waits();
        assert!(!flag.0.load(Ordering::SeqCst));
        charge.set(0);
        assert!(flag.0.load(Ordering::SeqCst));
    }

    #[test]
    fn nothing_is_kept_of_who_waits_no_more() {
        let (flag, _charge, waiter) = one_waits();
        assert_eq!(Arc::strong_count(&flag), 2);
        drop(waiter);
        assert_eq!(Arc::strong_count(&flag), 1);
    }

    #[derive(Debug)]
    struct Flag(AtomicBool);

    impl std::task::Wake for Flag {
        fn wake(self: Arc<Self>) {
            self.0.store(true, Ordering::SeqCst);
        }
    }
}
