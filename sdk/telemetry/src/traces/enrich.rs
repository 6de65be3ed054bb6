//! What others add to spans before they leave.

use std::sync::Arc;

use blockhouse_meter::spans::StageRecord;

/// What is added to a span: names and values.
pub(super) type Added = Vec<(String, String)>;

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

/// Has others add to what these spans are, where they may take their time: what they add to each.
pub(super) async fn ask(enrich: Arc<dyn Enrich>, mut ended: Vec<Ended>) -> Vec<Added> {
    let asked = tokio::task::spawn_blocking(move || {
        enrich.enrich(&mut ended);
        ended
    });
    match asked.await {
        Ok(ended) => ended.into_iter().map(|span| span.added).collect(),
        Err(error) => {
            tracing::error!(%error, "spans leave without what plugins add");
            Vec::new()
        }
    }
}
