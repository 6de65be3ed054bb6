//! Spans on their way to a collector.

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;

use super::batch::{Batch, Sender};
use super::{Requests, Taken};

/// A way for spans to one collector.
pub(crate) struct SpanRequests {
    requests: Requests,
    sender: Sender,
}

impl SpanRequests {
    pub(super) const fn new(requests: Requests, sender: Sender) -> Self {
        Self { requests, sender }
    }

    /// Sends spans. What is wrong otherwise is said in words.
    pub(crate) async fn send(&self, batch: Batch) -> Result<Taken, String> {
        let request = batch.request(&self.sender);
        drop(batch);
        self.requests.send::<ExportTraceServiceRequest>(request).await
    }
}
