//! Syncs of the log, told to whoever records spans.

use std::sync::Arc;

use blockhouse_meter::Spans;
use blockhouse_meter::spans::Flush;
use blockhouse_store::{FlushWatcher, Flushed, Store};

struct ToSpans(Arc<Spans>);

impl FlushWatcher for ToSpans {
    fn flushed(&self, flushed: &Flushed) {
        let Flushed { from, to, messages, began, took, has_failed } = *flushed;
        self.0.flushed(Flush { from: from.0, to: to.0, messages, began, took, has_failed });
    }
}

/// Has syncs recorded that sends wait for, if they do. Before the first send.
pub(crate) fn watch(store: &Store, spans: &Arc<Spans>) {
    if store.watch_flushes(Arc::new(ToSpans(Arc::clone(spans)))) {
        spans.watch_flushes();
    }
}
