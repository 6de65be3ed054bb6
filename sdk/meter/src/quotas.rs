//! What quotas kept back.

use crate::catalogue as c;
use crate::{Counter, Sample};

/// What is bounded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QuotaKind {
    /// Requests.
    Requests,
    /// Bytes of messages that are sent.
    ProduceBytes,
    /// Bytes of messages that are pulled.
    FetchBytes,
    /// Connections that are open.
    Connections,
    /// Requests that are not answered yet.
    InFlight,
    /// Topics that somebody made.
    Topics,
}

impl QuotaKind {
    /// All of them, in their order.
    pub const ALL: [Self; 6] = [
        Self::Requests,
        Self::ProduceBytes,
        Self::FetchBytes,
        Self::Connections,
        Self::InFlight,
        Self::Topics,
    ];

    /// As option and label say it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Requests => "requests",
            Self::ProduceBytes => "produce_bytes",
            Self::FetchBytes => "fetch_bytes",
            Self::Connections => "connections",
            Self::InFlight => "in_flight",
            Self::Topics => "topics",
        }
    }
}

/// Requests that were refused or held back, by [`QuotaKind`].
#[derive(Debug, Default)]
pub struct QuotaRefusals([Counter; QuotaKind::ALL.len()]);

impl QuotaRefusals {
    /// Counts so many more.
    pub fn add(&self, kind: QuotaKind, requests: u64) {
        self.0[kind as usize].add(requests);
    }

    /// Says how many there were in all, where somebody else counts.
    pub fn set(&self, kind: QuotaKind, requests: u64) {
        self.0[kind as usize].set(requests);
    }

    /// How many there were.
    #[must_use]
    pub fn of(&self, kind: QuotaKind) -> u64 {
        self.0[kind as usize].read()
    }

    pub(crate) fn read(&self, visit: &mut dyn FnMut(&Sample<'_>)) {
        for kind in QuotaKind::ALL {
            let value = self.of(kind) as f64;
            visit(&Sample { metric: &c::QUOTA_REFUSALS, labels: &[kind.name()], value });
        }
    }
}
