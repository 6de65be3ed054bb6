//! What each call site may write, and what its lines get besides what they say.
//!
//! A line that every request causes would drown the log, and its disk. So each place in the program
//! that logs may write so many lines in a second, in the long run; the next line that it may write says
//! how many were suppressed before.

use std::cell::Cell;
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use blockhouse_model::{Clock, trace};
use parking_lot::Mutex;
use tracing::callsite::Identifier;
use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

/// Lines of plugins: they share a call site, and have limits of their own, each plugin for itself.
const PLUGIN: &str = "plugin";

/// What a line gets at its end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Extra {
    /// Lines of the same call site that were not written before it.
    pub(super) suppressed: u64,
    /// The trace that the thread works for; 0 for none.
    pub(super) trace_id: u128,
}

thread_local! {
    static EXTRA: Cell<Extra> = const { Cell::new(Extra { suppressed: 0, trace_id: 0 }) };
}

/// Of the line that this thread formatted last.
pub(super) fn take_extra() -> Extra {
    EXTRA.take()
}

/// So many seconds' lines may come at once: a list that is told at the start is told whole.
const AT_ONCE: u64 = 100;

/// So many lines in a second of each call site, in the long run.
#[derive(Debug)]
pub(super) struct Sites<K> {
    lines: u32,
    buckets: Mutex<HashMap<K, Bucket>>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Bucket {
    /// What was written and is not forgotten yet, in thousandths of a line.
    level: u64,
    /// Up to when it was forgotten.
    at: Duration,
    suppressed: u64,
}

impl<K: Eq + std::hash::Hash> Sites<K> {
    /// 0 lines are any number of them.
    pub(super) fn new(lines: u32) -> Self {
        Self { lines, buckets: Mutex::default() }
    }

    /// Whether `site` may write a line now, and how many it could not write since its last one.
    pub(super) fn take(&self, site: K, now: Duration) -> Option<u64> {
        if self.lines == 0 {
            return Some(0);
        }
        let lines = u64::from(self.lines);
        let mut buckets = self.buckets.lock();
        // As many as the program has places that log.
        let bucket = buckets.entry(site).or_default();
        let passed = u64::try_from(now.saturating_sub(bucket.at).as_millis()).unwrap_or(u64::MAX);
        bucket.level = bucket.level.saturating_sub(passed.saturating_mul(lines));
        bucket.at += Duration::from_millis(passed);
        if bucket.level + 1_000 > lines * AT_ONCE * 1_000 {
            bucket.suppressed += 1;
            return None;
        }
        bucket.level += 1_000;
        Some(std::mem::take(&mut bucket.suppressed))
    }
}

/// A format that passes over what its call site may not write.
pub(super) struct Sited<F> {
    pub(super) format: F,
    pub(super) sites: Sites<Identifier>,
    pub(super) clock: Arc<dyn Clock>,
}

impl<S, N, F> FormatEvent<S, N> for Sited<F>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'writer> FormatFields<'writer> + 'static,
    F: FormatEvent<S, N>,
{
    fn format_event(
        &self,
        cx: &FmtContext<'_, S, N>,
        writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let about = event.metadata();
        let suppressed = if about.target() == PLUGIN {
            Some(0)
        } else {
            self.sites.take(about.callsite(), self.clock.monotonic())
        };
        // Nothing written is no line.
        let Some(suppressed) = suppressed else { return Ok(()) };
        EXTRA.set(Extra { suppressed, trace_id: trace::current() });
        self.format.format_event(cx, writer, event)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_site_writes_so_many_lines_and_then_says_how_many_were_left_out() {
        let sites = Sites::new(3);
        let ms = Duration::from_millis;
        let take = |site, at| sites.take(site, ms(at));
        assert!((0..300).all(|_| take("a", 0) == Some(0)), "100 seconds' lines at once");
        assert_eq!([take("a", 0), take("a", 333)], [None; 2]);
        assert_eq!(take("b", 333), Some(0), "another site");
        assert_eq!([take("a", 334), take("a", 335)], [Some(2), None], "then three in a second");
        let later: Vec<u64> = (1..1_000).filter_map(|n| take("a", 335 + n)).collect();
        assert_eq!(later, [332, 332, 333]);
        assert!((0..300).all(|_| take("a", 200_000) == Some(0)), "all is forgotten");
        let any = Sites::new(0);
        assert!((0..1_000).all(|_| any.take("a", ms(0)) == Some(0)));
    }
}
