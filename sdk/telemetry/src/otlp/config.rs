//! The options of the way to collectors.

use std::path::PathBuf;

use blockhouse_model::OptionError;
use hyper::HeaderMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::headers;

/// Section `[telemetry.otlp]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// How collectors are spoken to: `grpc` (port 4317, as a rule) or `http` (4318), both with protobuf.
    pub protocol: Protocol,
    /// A PEM file: the roots that may vouch for collectors of `https://`; empty: those of the system.
    pub ca: PathBuf,
    /// A PEM file: the certificate to show them, then those between it and the root; empty: none.
    pub cert: PathBuf,
    /// A PEM file: that certificate's private key, not encrypted.
    pub key: PathBuf,
    /// The name that their certificates must have; empty: the host of the endpoint.
    pub server_name: String,
    /// How long a collector may take for a request, in milliseconds; then it is dropped and counted
    /// (RocketMQ: `metricGrpcExporterTimeOutInMills`).
    #[schemars(range(min = 1, max = 600_000))]
    pub timeout_ms: u64,
    /// Headers of requests, each as `name=value` (RocketMQ: `metricsGrpcExporterHeader`). `config show` prints
    /// them: no place for secrets.
    pub headers: Vec<String>,
    /// A file with further headers, for secrets: `name=value` in each line. Only its owner may be able to read it. It is
    /// read again before each request.
    pub headers_file: PathBuf,
    /// How requests are packed: `none` or `gzip`.
    pub compression: Packing,
}

/// How requests are packed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Packing {
    /// Not at all.
    #[default]
    None,
    /// With gzip.
    Gzip,
}

/// How a collector is spoken to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// OTLP over gRPC.
    #[default]
    Grpc,
    /// OTLP over HTTP, with bodies of protobuf.
    Http,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            protocol: Protocol::Grpc,
            ca: PathBuf::new(),
            cert: PathBuf::new(),
            key: PathBuf::new(),
            server_name: String::new(),
            timeout_ms: 5_000,
            headers: Vec::new(),
            headers_file: PathBuf::new(),
            compression: Packing::None,
        }
    }
}

impl Config {
    /// Checks what types cannot say.
    ///
    /// # Errors
    /// The option that no exporter could work with.
    pub fn validate(&self) -> Result<(), OptionError> {
        OptionError::check_range("timeout_ms", &self.timeout_ms, &(1..=600_000))?;
        if self.cert.as_os_str().is_empty() != self.key.as_os_str().is_empty() {
            return Err(OptionError::new("cert", "and `key` must be given together"));
        }
        let name = &self.server_name;
        if !name.is_empty() && rustls::pki_types::ServerName::try_from(name.as_str()).is_err() {
            return Err(OptionError::new("server_name", "must be a host name or an IP address"));
        }
        if self.header_map().is_none() {
            return Err(OptionError::new("headers", "must be a list of name=value"));
        }
        Ok(())
    }

    /// The headers; `None` if one is none.
    pub(super) fn header_map(&self) -> Option<HeaderMap> {
        headers::of_list(&self.headers)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The option that is to be refused, and what makes it wrong.
    type Case = (&'static str, fn(&mut Config));

    #[test]
    fn what_no_exporter_could_work_with_is_refused() {
        assert_eq!(Config::default().validate(), Ok(()));
        let set: [Case; 7] = [
            ("timeout_ms", |c| c.timeout_ms = 0),
            ("timeout_ms", |c| c.timeout_ms = 600_001),
            ("cert", |c| c.cert = "c".into()),
            ("server_name", |c| c.server_name = "a b".to_owned()),
            ("headers", |c| c.headers = vec!["alone".to_owned()]),
            ("headers", |c| c.headers = vec!["a b=c".to_owned()]),
            ("headers", |c| c.headers = vec!["a=b\nc".to_owned()]),
        ];
        for (option, set) in set {
            let mut config = Config::default();
            set(&mut config);
            assert_eq!(config.validate().unwrap_err().option, option, "{config:?}");
        }
    }

    #[test]
    fn headers_may_hold_what_divides_them() {
        let headers = vec!["X-Scope-OrgID = a=b".to_owned()];
        let config = Config { headers, ..Config::default() };
        assert_eq!(config.header_map().unwrap().get("x-scope-orgid").unwrap(), "a=b");
    }
}
