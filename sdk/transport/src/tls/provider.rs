//! The one cryptography that both directions use, and their clock.

use std::sync::Arc;

use blockhouse_model::Clock;
use rustls::crypto::CryptoProvider;
use rustls::crypto::aws_lc_rs::{default_provider, kx_group};
use rustls::pki_types::UnixTime;
use rustls::time_provider::TimeProvider;

use super::Error;
use super::certificate::Facts;

/// Named, so that neither another crate nor a feature decides: hybrid key exchange first, then what
/// Java's clients have.
pub(crate) fn provider() -> Arc<CryptoProvider> {
    let kx_groups =
        vec![kx_group::X25519MLKEM768, kx_group::X25519, kx_group::SECP256R1, kx_group::SECP384R1];
    Arc::new(CryptoProvider { kx_groups, ..default_provider() })
}

/// Our clock, as rustls wants it.
#[derive(Clone, Debug)]
pub(crate) struct Now(pub(crate) Arc<dyn Clock>);

impl Now {
    pub(crate) fn time(&self) -> UnixTime {
        UnixTime::since_unix_epoch(self.since_1970())
    }

    pub(crate) fn since_1970(&self) -> std::time::Duration {
        std::time::Duration::from_millis(u64::try_from(self.0.now().0).unwrap_or(0))
    }

    /// Refuses a certificate that is not valid now.
    pub(crate) fn check(&self, facts: &Facts) -> Result<(), Error> {
        let now = std::time::Duration::from_secs(self.time().as_secs());
        let wrong = |what: &str| Err(Error::Unusable(format!("the certificate {what}")));
        if now < facts.begin {
            return wrong("is not valid yet");
        }
        if now > facts.end {
            return wrong("has expired");
        }
        Ok(())
    }
}

impl TimeProvider for Now {
    fn current_time(&self) -> Option<UnixTime> {
        Some(self.time())
    }
}

#[cfg(test)]
mod tests {
    use rustls::NamedGroup::{X25519, X25519MLKEM768, secp256r1, secp384r1};

    #[test]
    fn both_directions_begin_with_the_hybrid_group() {
        let groups: Vec<_> = super::provider().kx_groups.iter().map(|g| g.name()).collect();
        assert_eq!(groups, [X25519MLKEM768, X25519, secp256r1, secp384r1]);
    }
}
