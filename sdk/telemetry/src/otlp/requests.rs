//! Requests that the exporters of OpenTelemetry do not make of what we have: metrics out of a snapshot, and
//! records of the log.

use hyper::Request;
use hyper::body::Bytes;
use hyper::header::CONTENT_TYPE;
use opentelemetry_http::HttpClient as _;
use opentelemetry_proto::tonic::collector::logs::v1::logs_service_client::LogsServiceClient;
use opentelemetry_proto::tonic::collector::logs::v1::{
    ExportLogsServiceRequest, ExportLogsServiceResponse,
};
use opentelemetry_proto::tonic::collector::metrics::v1::metrics_service_client::MetricsServiceClient;
use opentelemetry_proto::tonic::collector::metrics::v1::{
    ExportMetricsServiceRequest, ExportMetricsServiceResponse,
};
use prost::Message;
use tonic::metadata::MetadataMap;
use tonic::transport::Channel;

use super::http::Http;
use super::{Config, Endpoint};

/// A way to one collector.
pub(crate) struct Requests(pub(super) Way);

pub(super) enum Way {
    Grpc(Channel, MetadataMap),
    Http(Box<Posts>),
}

/// Requests over HTTP.
pub(super) struct Posts {
    pub(super) http: Http,
    pub(super) endpoint: Endpoint,
    pub(super) config: Config,
}

impl Requests {
    /// What is wrong, if anything is: nobody asks further.
    pub(crate) async fn metrics(&self, all: ExportMetricsServiceRequest) -> Result<(), String> {
        let answer: ExportMetricsServiceResponse = match &self.0 {
            Way::Grpc(channel, headers) => {
                let mut client = MetricsServiceClient::new(channel.clone());
                client.export(with(headers, all)).await.map_err(|s| told(&s))?.into_inner()
            }
            Way::Http(posts) => posts.post("/v1/metrics", &all).await?,
        };
        let rejected = answer.partial_success.map(|p| (p.rejected_data_points, p.error_message));
        all_taken(rejected)
    }

    /// The same for events of the log.
    pub(crate) async fn logs(&self, all: ExportLogsServiceRequest) -> Result<(), String> {
        let answer: ExportLogsServiceResponse = match &self.0 {
            Way::Grpc(channel, headers) => {
                let mut client = LogsServiceClient::new(channel.clone());
                client.export(with(headers, all)).await.map_err(|s| told(&s))?.into_inner()
            }
            Way::Http(posts) => posts.post("/v1/logs", &all).await?,
        };
        let rejected = answer.partial_success.map(|p| (p.rejected_log_records, p.error_message));
        all_taken(rejected)
    }
}

impl Posts {
    async fn post<R: Message + Default>(
        &self,
        path: &str,
        message: &impl Message,
    ) -> Result<R, String> {
        let mut request = Request::post(self.endpoint.url(path));
        request = request.header(CONTENT_TYPE, "application/x-protobuf");
        for (name, value) in self.config.header_pairs() {
            request = request.header(name, value);
        }
        let request = request.body(Bytes::from(message.encode_to_vec()));
        let request = request.map_err(|error| error.to_string())?;
        let answer = self.http.send_bytes(request).await.map_err(|error| error.to_string())?;
        if !answer.status().is_success() {
            return Err(format!("status {}", answer.status().as_u16()));
        }
        // An answer that cannot be read names nothing that was rejected.
        Ok(R::decode(answer.into_body()).unwrap_or_default())
    }
}

fn with<T>(headers: &MetadataMap, message: T) -> tonic::Request<T> {
    let mut request = tonic::Request::new(message);
    *request.metadata_mut() = headers.clone();
    request
}

fn told(status: &tonic::Status) -> String {
    format!("{:?}: {}", status.code(), status.message())
}

fn all_taken(rejected: Option<(i64, String)>) -> Result<(), String> {
    match rejected {
        Some((count, message)) if count > 0 => {
            Err(format!("it rejected {count} of a request: {message}"))
        }
        _ => Ok(()),
    }
}
