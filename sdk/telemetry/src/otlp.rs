//! How all that leaves over OTLP gets to a collector: the same settings for spans, metrics and logs.
//!
//! Nothing connects before there is something to send. A connection that ends is made anew with the next
//! request; who sends decides how long he waits, and what becomes of what was not taken.

mod config;
mod dial;
mod endpoint;
mod http;
mod requests;
mod story;

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use opentelemetry_otlp::{Protocol as Wire, WithExportConfig as _, WithHttpConfig as _};
use opentelemetry_otlp::{SpanExporter, WithTonicConfig as _};
use rustls::ClientConfig;
use tonic::transport::Channel;

pub use config::{Config, Protocol};
use dial::Dialer;
pub use endpoint::Endpoint;
use http::Http;
pub(crate) use requests::Requests;
use requests::{Posts, Way};
pub(crate) use story::Story;

use crate::Error;

/// How long the last requests may take, when the process stops.
pub(crate) const LAST_PATIENCE: Duration = Duration::from_millis(100);

/// The TLS of the moment: files are read again when they change.
pub type Tls = Arc<dyn Fn() -> Arc<ClientConfig> + Send + Sync>;

/// The way to collectors.
#[derive(Clone)]
pub struct Transport {
    config: Config,
    tls: Option<Tls>,
}

impl fmt::Debug for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transport").field("config", &self.config).finish_non_exhaustive()
    }
}

impl Transport {
    /// By these options; `tls` is asked for endpoints of `https`.
    #[must_use]
    pub fn new(config: &Config, tls: Option<Tls>) -> Self {
        Self { config: config.clone(), tls }
    }

    /// How long a request may take.
    #[must_use]
    pub const fn timeout(&self) -> Duration {
        Duration::from_millis(self.config.timeout_ms)
    }

    /// What sends spans there. In a runtime.
    pub(crate) fn spans(&self, endpoint: &str) -> Result<SpanExporter, Error> {
        let endpoint = Endpoint::parse(endpoint).ok_or(Error::Endpoint)?;
        let builder = SpanExporter::builder();
        let exporter = match self.config.protocol {
            Protocol::Grpc => builder
                .with_tonic()
                .with_timeout(self.timeout())
                .with_metadata(self.config.metadata().unwrap_or_default())
                .with_channel(self.channel(&endpoint)?)
                .build(),
            Protocol::Http => builder
                .with_http()
                .with_protocol(Wire::HttpBinary)
                .with_timeout(self.timeout())
                .with_headers(self.header_pairs())
                .with_endpoint(endpoint.url("/v1/traces"))
                .with_http_client(self.http(&endpoint)?)
                .build(),
        };
        exporter.map_err(Error::Collector)
    }

    /// What sends metrics and events of the log there. In a runtime.
    pub(crate) fn requests(&self, endpoint: &str) -> Result<Requests, Error> {
        let endpoint = Endpoint::parse(endpoint).ok_or(Error::Endpoint)?;
        Ok(Requests(match self.config.protocol {
            Protocol::Grpc => {
                Way::Grpc(self.channel(&endpoint)?, self.config.metadata().unwrap_or_default())
            }
            Protocol::Http => {
                let (http, config) = (self.http(&endpoint)?, self.config.clone());
                Way::Http(Box::new(Posts { http, endpoint, config }))
            }
        }))
    }

    fn channel(&self, endpoint: &Endpoint) -> Result<Channel, Error> {
        let dialer = Arc::new(self.dialer(endpoint, b"h2")?);
        let way = tonic::transport::Endpoint::from_shared(endpoint.url(""))
            .map_err(|_| Error::Endpoint)?
            .timeout(self.timeout())
            .connect_timeout(self.timeout());
        Ok(way.connect_with_connector_lazy(dial::Connect(dialer)))
    }

    fn http(&self, endpoint: &Endpoint) -> Result<Http, Error> {
        Ok(Http::new(self.dialer(endpoint, b"http/1.1")?))
    }

    fn dialer(&self, endpoint: &Endpoint, alpn: &'static [u8]) -> Result<Dialer, Error> {
        let tls = self.tls.clone().filter(|_| endpoint.is_tls);
        if tls.is_none() && endpoint.is_tls {
            return Err(Error::NoTls);
        }
        let name = match &*self.config.server_name {
            "" => endpoint.host.clone(),
            name => name.to_owned(),
        };
        Dialer::new(endpoint, name, tls.map(|tls| (tls, alpn))).ok_or(Error::Endpoint)
    }

    fn header_pairs(&self) -> HashMap<String, String> {
        self.config.header_pairs().collect()
    }
}
