//! What others add to spans before they leave.

use std::sync::Arc;

use blockhouse_meter::spans::StageRecord;
use opentelemetry::KeyValue;
use opentelemetry_sdk::trace::SpanData;

/// A span that is about to leave.
#[derive(Clone, Debug)]
pub struct Ended {
    /// What is known of it.
    pub record: StageRecord,
    /// What it is called.
    pub name: String,
    /// When it began, in nanoseconds since 1970-01-01 UTC.
    pub start_ns: u64,
    /// Its attributes.
    pub attributes: Vec<(String, String)>,
    /// What is added to them.
    pub added: Vec<(String, String)>,
}

/// Adds attributes to spans.
pub trait Enrich: Send + Sync + 'static {
    /// Whether anybody would.
    fn is_wanted(&self) -> bool;

    /// Adds to each span of a batch. It may take a while: it is called off the data path.
    fn enrich(&self, spans: &mut [Ended]);
}

/// The spans of `batch` that are not stages of others: their numbers in it, and what is known of them.
pub(super) type Wholes = Vec<(usize, StageRecord)>;

/// Has others add to the spans of `batch`, where they may take their time.
pub(super) async fn ask(enrich: Arc<dyn Enrich>, batch: &mut [SpanData], wholes: &Wholes) {
    let mut ended = ended(batch, wholes);
    let asked = tokio::task::spawn_blocking(move || {
        enrich.enrich(&mut ended);
        ended
    });
    match asked.await {
        Ok(ended) => add(batch, wholes, ended),
        Err(error) => tracing::error!(%error, "spans leave without what plugins add"),
    }
}

fn ended(batch: &[SpanData], wholes: &Wholes) -> Vec<Ended> {
    let of = |(at, record): &(usize, StageRecord)| {
        let span = batch.get(*at)?;
        let since = span.start_time.duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        let text = |a: &KeyValue| (a.key.to_string(), a.value.to_string());
        Some(Ended {
            record: *record,
            name: span.name.to_string(),
            start_ns: u64::try_from(since.as_nanos()).unwrap_or(u64::MAX),
            attributes: span.attributes.iter().map(text).collect(),
            added: Vec::new(),
        })
    };
    wholes.iter().filter_map(of).collect()
}

fn add(batch: &mut [SpanData], wholes: &Wholes, ended: Vec<Ended>) {
    for ((at, _), ended) in wholes.iter().zip(ended) {
        let Some(span) = batch.get_mut(*at) else { continue };
        let added = ended.added.into_iter().map(|(name, value)| KeyValue::new(name, value));
        span.attributes.extend(added);
    }
}
