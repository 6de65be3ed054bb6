//! How all that leaves over OTLP gets to a collector: the same settings for spans, metrics and logs.
//!
//! Nothing connects before there is something to send. A connection that ends is made anew with the next
//! request; who sends decides how long he waits, and what becomes of what was not taken.

mod batch;
mod carrier;
mod config;
mod dial;
mod encoded;
mod endpoint;
mod events;
mod headers;
mod http;
mod requests;
mod signals;
mod spans;
mod story;
#[cfg(test)]
mod tests;
mod wire;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConfig;
use tonic::transport::Channel;

pub(crate) use batch::{Attributes, Batch, Head, Scope, Sender, Written};
pub use config::{Config, Packing, Protocol};
use dial::Dialer;
pub use endpoint::Endpoint;
pub(crate) use events::LogRequests;
pub use headers::{Secrets, of_text as headers_of_text};
use http::Http;
use requests::Way;
pub(crate) use requests::{Requests, Taken};
pub(crate) use signals::Signal;
pub(crate) use spans::SpanRequests;
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
    secrets: Option<Secrets>,
    #[cfg(test)]
    in_memory: Option<dial::InMemory>,
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
        Self {
            config: config.clone(),
            tls,
            secrets: None,
            #[cfg(test)]
            in_memory: None,
        }
    }

    /// The same, without a network.
    #[cfg(test)]
    fn in_memory(self, connect: dial::InMemory) -> Self {
        Self { in_memory: Some(connect), ..self }
    }

    /// The same, with headers that are no business of the configuration.
    #[must_use]
    pub fn with_secrets(self, secrets: Option<Secrets>) -> Self {
        Self { secrets, ..self }
    }

    /// How long a request may take.
    #[must_use]
    pub const fn timeout(&self) -> Duration {
        Duration::from_millis(self.config.timeout_ms)
    }

    /// What sends there. In a runtime.
    pub(crate) fn requests(&self, endpoint: &str) -> Result<Requests, Error> {
        let endpoint = Endpoint::parse(endpoint).ok_or(Error::Endpoint)?;
        Ok(Requests {
            way: match self.config.protocol {
                Protocol::Grpc => Way::Grpc(self.channel(&endpoint)?),
                Protocol::Http => Way::Http(Box::new(self.http(&endpoint)?), endpoint),
            },
            headers: self.config.header_map().unwrap_or_default(),
            secrets: self.secrets.clone(),
            is_packed: self.config.compression == Packing::Gzip,
        })
    }

    /// What sends spans there. In a runtime.
    pub(crate) fn spans(&self, endpoint: &str, sender: Sender) -> Result<SpanRequests, Error> {
        Ok(SpanRequests::new(self.requests(endpoint)?, sender))
    }

    /// What sends events of the log there. In a runtime.
    pub(crate) fn events(
        &self,
        endpoint: &str,
        resource: &opentelemetry_sdk::Resource,
    ) -> Result<LogRequests, Error> {
        LogRequests::new(self.requests(endpoint)?, resource)
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
        let dialer = Dialer::new(endpoint, name, tls.map(|tls| (tls, alpn)));
        #[cfg(test)]
        let dialer = dialer.map(|dialer| dialer.in_memory(self.in_memory.clone()));
        dialer.ok_or(Error::Endpoint)
    }
}
