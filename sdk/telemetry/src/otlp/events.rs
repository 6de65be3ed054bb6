//! Events of the log, put together by opentelemetry-otlp and carried by our own requests.

use opentelemetry::InstrumentationScope;
use opentelemetry_otlp::{LogExporter, Protocol, WithExportConfig as _, WithHttpConfig as _};
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::logs::{LogBatch, LogExporter as _, SdkLogRecord};

use super::carrier::{Carrier, Outcome};
use super::{Requests, Taken};
use crate::Error;

/// A way for events of the log to one collector.
pub(crate) struct LogRequests {
    exporter: LogExporter,
    outcome: Outcome,
}

impl LogRequests {
    pub(super) fn new(requests: Requests, resource: &Resource) -> Result<Self, Error> {
        let (carrier, outcome) = Carrier::<ExportLogsServiceRequest>::new(requests);
        let mut exporter = LogExporter::builder()
            .with_http()
            .with_protocol(Protocol::HttpBinary)
            // The carrier knows where to.
            .with_endpoint("http://collector/v1/logs")
            .with_http_client(carrier)
            .build()
            .map_err(Error::Collector)?;
        exporter.set_resource(resource);
        Ok(Self { exporter, outcome })
    }

    /// Sends events. What is wrong otherwise is said in words.
    pub(crate) async fn send(
        &self,
        records: &[SdkLogRecord],
        scope: &InstrumentationScope,
    ) -> Result<Taken, String> {
        self.outcome.forget();
        let batch: Vec<_> = records.iter().map(|record| (record, scope)).collect();
        let exported = self.exporter.export(LogBatch::new(&batch)).await;
        self.outcome.of(exported.map_err(|error| error.to_string()))
    }
}
