//! How connections are protected, and how handshakes end.

use crate::catalogue as c;
use crate::{Counter, Gauge, Sample};

/// How a handshake ended, in the order of [`Channels::handshakes`].
pub const HANDSHAKES: [&str; 5] = ["done", "failed", "timeout", "refused", "plaintext"];

/// How a change of certificates ended, in the order of [`Channels::reloads`].
pub const RELOADS: [&str; 2] = ["done", "failed"];

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
