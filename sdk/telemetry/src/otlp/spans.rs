//! Spans, put together by opentelemetry-otlp and carried by our own requests.

use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig as _, WithHttpConfig as _};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{SpanData, SpanExporter as _};

use super::carrier::{Carrier, Outcome};
use super::{Requests, Taken};
use crate::Error;

/// A way for spans to one collector.
pub(crate) struct SpanRequests {
    exporter: SpanExporter,
    outcome: Outcome,
}

impl SpanRequests {
    pub(super) fn new(requests: Requests, resource: &Resource) -> Result<Self, Error> {
        let (carrier, outcome) = Carrier::<ExportTraceServiceRequest>::new(requests);
        let mut exporter = SpanExporter::builder()
            .with_http()
            .with_protocol(Protocol::HttpBinary)
            // The carrier knows where to.
            .with_endpoint("http://collector/v1/traces")
            .with_http_client(carrier)
            .build()
            .map_err(Error::Collector)?;
        exporter.set_resource(resource);
        Ok(Self { exporter, outcome })
    }

    /// Sends spans. What is wrong otherwise is said in words.
    pub(crate) async fn send(&mut self, batch: Vec<SpanData>) -> Result<Taken, String> {
        self.outcome.forget();
        let exported = self.exporter.export(batch).await;
        self.outcome.of(exported.map_err(|error| error.to_string()))
    }
}
