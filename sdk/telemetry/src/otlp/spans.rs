//! Spans, put together by opentelemetry-otlp and carried by our own requests: it says neither what a collector
//! rejects of a request, nor asks for headers before each.

use std::fmt;
use std::sync::Arc;

use hyper::body::Bytes;
use hyper::{Request, Response};
use opentelemetry_http::{HttpClient, HttpError};
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig as _, WithHttpConfig as _};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{SpanData, SpanExporter as _};
use parking_lot::Mutex;
use prost::Message as _;

use super::{Requests, Taken};
use crate::Error;

/// What became of the request that was carried last.
type Outcome = Arc<Mutex<Option<Result<Taken, String>>>>;

/// A way for spans to one collector.
pub(crate) struct SpanRequests {
    exporter: SpanExporter,
    outcome: Outcome,
}

impl SpanRequests {
    pub(super) fn new(requests: Requests, resource: &Resource) -> Result<Self, Error> {
        let outcome = Outcome::default();
        let carrier = Carrier { requests, outcome: Arc::clone(&outcome) };
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
        // Of one that somebody gave up.
        self.outcome.lock().take();
        let exported = self.exporter.export(batch).await;
        let carried = self.outcome.lock().take();
        carried.unwrap_or_else(|| match exported {
            Ok(()) => Ok(Taken::default()),
            Err(error) => Err(error.to_string()),
        })
    }
}

/// Takes requests that are meant for HTTP the way that is configured.
struct Carrier {
    requests: Requests,
    outcome: Outcome,
}

impl fmt::Debug for Carrier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Carrier").finish_non_exhaustive()
    }
}

#[tonic::async_trait]
impl HttpClient for Carrier {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let sent = self.requests.send(ExportTraceServiceRequest::decode(request.into_body())?);
        *self.outcome.lock() = Some(sent.await);
        Ok(Response::new(Bytes::new()))
    }
}
