//! How connections are protected, and how handshakes end.

use crate::catalogue as c;
use crate::{Connections, Counter, Gauge, Sample};

/// How a handshake ended, in the order of [`Channels::handshakes`].
pub const HANDSHAKES: [&str; 5] = ["done", "failed", "timeout", "refused", "plaintext"];

/// How a change of certificates ended, in the order of [`Channels::reloads`].
pub const RELOADS: [&str; 2] = ["done", "failed"];

/// Why a connection was closed before a request of it was let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shed {
    /// Nothing complete came in time.
    FirstRequest,
    /// No request was let in, in time.
    Login,
    /// There were too many like it, and it was the oldest.
    Unproven,
    /// There were too many like it from its address, and it was their oldest.
    Address,
    /// It wanted more memory when there was none left for its kind.
    Bytes,
    /// It was the oldest when there were too many connections altogether.
    Connections,
    /// It was among the oldest when the process had no file descriptor left.
    Descriptors,
    /// It did not begin with a header of the PROXY protocol, and had to.
    Proxy,
}

impl Shed {
    /// All of them, in their order.
    pub const ALL: [Self; 8] = [
        Self::FirstRequest,
        Self::Login,
        Self::Unproven,
        Self::Address,
        Self::Bytes,
        Self::Connections,
        Self::Descriptors,
        Self::Proxy,
    ];

    /// As the label says it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::FirstRequest => "first_request",
            Self::Login => "login",
            Self::Unproven => "unproven",
            Self::Address => "address",
            Self::Bytes => "bytes",
            Self::Connections => "connections",
            Self::Descriptors => "descriptors",
            Self::Proxy => "proxy",
        }
    }
}

impl Connections {
    pub(crate) fn read_shed(&self, visit: &mut dyn FnMut(&Sample<'_>)) {
        for (why, counter) in Shed::ALL.iter().zip(&self.shed) {
            let value = counter.read() as f64;
            visit(&Sample { metric: &c::CONNECTIONS_SHED, labels: &[why.name()], value });
        }
    }
}

/// Plaintext and TLS.
#[derive(Debug, Default)]
pub struct Channels {
    /// Open connections in plaintext.
    pub plain: Gauge,
    /// Open connections over TLS.
    pub tls: Gauge,
    /// Handshakes by [`HANDSHAKES`].
    pub handshakes: [Counter; HANDSHAKES.len()],
    /// Changes of certificates by [`RELOADS`].
    pub reloads: [Counter; RELOADS.len()],
    /// When the server's certificate ends, in seconds since 1970; 0 without one.
    pub certificate_end: Gauge,
    /// Connections closed since their certificate is no longer good.
    pub revoked: Counter,
}

impl Channels {
    pub(crate) fn read(&self, visit: &mut dyn FnMut(&Sample<'_>)) {
        for (channel, open) in [("plain", &self.plain), ("tls", &self.tls)] {
            let value = open.read() as f64;
            visit(&Sample { metric: &c::CHANNEL_CONNECTIONS, labels: &[channel], value });
        }
        for (outcome, counter) in HANDSHAKES.iter().zip(&self.handshakes) {
            let value = counter.read() as f64;
            visit(&Sample { metric: &c::TLS_HANDSHAKES, labels: &[outcome], value });
        }
        for (outcome, counter) in RELOADS.iter().zip(&self.reloads) {
            let value = counter.read() as f64;
            visit(&Sample { metric: &c::TLS_RELOADS, labels: &[outcome], value });
        }
        let end = self.certificate_end.read();
        if end != 0 {
            visit(&Sample { metric: &c::TLS_CERTIFICATE_END, labels: &[], value: end as f64 });
        }
        let value = self.revoked.read() as f64;
        visit(&Sample { metric: &c::TLS_REVOKED, labels: &[], value });
    }
}
