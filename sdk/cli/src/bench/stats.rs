//! What the generator counts.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};

use hdrhistogram::Histogram;

/// Longest latency that is told apart: a minute, in nanoseconds.
const LATENCY_MAX: u64 = 60_000_000_000;

/// Counts of one thread, over the measured time.
#[derive(Debug)]
pub(crate) struct Stats {
    /// In nanoseconds.
    pub(crate) latency: Histogram<u64>,
    /// Messages that were stored or received.
    pub(crate) messages: u64,
    /// Bytes of those messages' bodies.
    pub(crate) bytes: u64,
    /// Answered requests.
    pub(crate) requests: u64,
    /// Answers with an error code, and an example's remark.
    pub(crate) refused: BTreeMap<i32, (u64, String)>,
}

impl Stats {
    pub(crate) fn new() -> anyhow::Result<Self> {
        Ok(Self {
            latency: Histogram::new_with_bounds(1, LATENCY_MAX, 3)?,
            messages: 0,
            bytes: 0,
            requests: 0,
            refused: BTreeMap::new(),
        })
    }

    /// Counts the answer to a request with `messages`, whose bodies have `bytes` together.
    pub(crate) fn answered(&mut self, messages: u64, bytes: u64, latency: u64) {
        self.messages += messages;
        self.bytes += bytes;
        self.requests += 1;
        self.latency.saturating_record(latency.max(1));
    }

    pub(crate) fn refuse(&mut self, code: i32, remark: impl FnOnce() -> Option<String>) {
        let entry = self.refused.entry(code).or_insert_with(|| (0, remark().unwrap_or_default()));
        entry.0 += 1;
    }

    pub(crate) fn add(&mut self, other: &Self) -> anyhow::Result<()> {
        self.latency.add(&other.latency)?;
        self.messages += other.messages;
        self.bytes += other.bytes;
        self.requests += other.requests;
        for (code, (count, remark)) in &other.refused {
            let entry = self.refused.entry(*code).or_insert_with(|| (0, remark.clone()));
            entry.0 += count;
        }
        Ok(())
    }
}

/// What all threads of a run share.
#[derive(Debug, Default)]
pub(crate) struct Shared {
    phase: AtomicU8,
    /// Messages of the measured time so far, for progress and `--messages`.
    messages: AtomicU64,
}

impl Shared {
    pub(crate) fn is_measuring(&self) -> bool {
        self.phase.load(Ordering::Relaxed) == 1
    }

    pub(crate) fn set_measuring(&self, yes: bool) {
        self.phase.store(u8::from(yes), Ordering::Relaxed);
    }

    pub(crate) fn count(&self, messages: u64) {
        self.messages.fetch_add(messages, Ordering::Relaxed);
    }

    pub(crate) fn messages(&self) -> u64 {
        self.messages.load(Ordering::Relaxed)
    }
}
