//! Where a collector is.

use std::net::IpAddr;

use blockhouse_model::OptionError;

/// A collector's address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// Whether it is reached by TLS.
    pub is_tls: bool,
    /// Its name or IP address.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// What it wants before the paths of OTLP over HTTP.
    prefix: String,
}

impl Endpoint {
    /// Out of `http://HOST:PORT` or `https://HOST:PORT`, and a path for OTLP over HTTP.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (scheme, rest) = text.split_once("://")?;
        let is_tls = match scheme {
            "http" => false,
            "https" => true,
            _ => return None,
        };
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let (host, port) = authority.rsplit_once(':')?;
        let legal = |b: u8| b.is_ascii_alphanumeric() || b"-_.:".contains(&b);
        let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        let host = bare.unwrap_or(host);
        if host.is_empty() || !host.bytes().all(legal) || host.contains(':') != bare.is_some() {
            return None;
        }
        let legal = |b: u8| b.is_ascii_alphanumeric() || b"-_.~/".contains(&b);
        if !path.bytes().all(legal) {
            return None;
        }
        let prefix = match path.trim_end_matches('/') {
            "" => String::new(),
            path => format!("/{path}"),
        };
        let port = port.parse().ok().filter(|port| *port > 0)?;
        Some(Self { is_tls, host: host.to_owned(), port, prefix })
    }

    /// Refuses what is neither empty nor an endpoint.
    pub(crate) fn check(text: &str) -> Result<(), OptionError> {
        if text.is_empty() || Self::parse(text).is_some() {
            return Ok(());
        }
        Err(OptionError::new("endpoint", "must be empty, http://HOST:PORT or https://HOST:PORT"))
    }

    /// Whether nobody on the way can read what goes there.
    #[must_use]
    pub fn is_private(&self) -> bool {
        let ip: Option<IpAddr> = self.host.parse().ok();
        let is_here = ip.map_or(self.host == "localhost", |ip| ip.to_canonical().is_loopback());
        self.is_tls || is_here
    }

    /// `HOST:PORT`, as requests name it.
    pub(super) fn authority(&self) -> String {
        let Self { host, port, .. } = self;
        if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
    }

    /// The whole address of a path.
    pub(super) fn url(&self, path: &str) -> String {
        let scheme = if self.is_tls { "https" } else { "http" };
        format!("{scheme}://{}{}{path}", self.authority(), self.prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_collectors() {
        for (text, url, is_private) in [
            ("http://127.0.0.1:4317", "http://127.0.0.1:4317/x", true),
            ("http://[::1]:4317/", "http://[::1]:4317/x", true),
            ("http://localhost:1", "http://localhost:1/x", true),
            ("http://otel.example:4318", "http://otel.example:4318/x", false),
            ("http://127.0.0.1.example:4318", "http://127.0.0.1.example:4318/x", false),
            ("https://otel.example:443/otlp/", "https://otel.example:443/otlp/x", true),
        ] {
            let endpoint = Endpoint::parse(text).unwrap();
            assert_eq!((endpoint.url("/x"), endpoint.is_private()), (url.to_owned(), is_private));
        }
        for text in [
            "127.0.0.1:4317",
            "ftp://a:1",
            "http://host",
            "http://:1",
            "http://a:0",
            "http://a:65536",
            "http://a:1/a b",
            "http://u:p@a:1",
            "http://::1:4317",
            "http://a:1/\r\nx: y",
            "http://[a:1",
        ] {
            assert_eq!(Endpoint::parse(text), None, "{text}");
        }
    }
}
