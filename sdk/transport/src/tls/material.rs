//! What a server shows and whom it trusts, read and tried before it takes effect.

use std::sync::Arc;

use blockhouse_disk::Disk;
use rustls::ServerConfig;
use rustls::pki_types::CertificateDer;
use rustls::server::danger::ClientCertVerifier as _;
use rustls::server::{NoServerSessionStorage, VerifierBuilderError, WebPkiClientVerifier};
use rustls::sign::{CertifiedKey, SingleCertAndKey};

use super::certificate::Facts;
use super::files::{self, Pem, Print};
use super::provider::{Now, provider};
use super::verifier::Named;
use super::{ClientAuth, Config, Error, Rules};

/// The contents of all files, before they are looked into.
pub(super) struct Material {
    cert: Pem,
    key: Pem,
    /// Roots and lists, if clients are asked for certificates.
    trust: Option<(Pem, Vec<Pem>)>,
}

/// What they held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Prints {
    pub(super) own: Print,
    pub(super) trust: Print,
}

/// What new connections meet.
#[derive(Debug)]
pub(super) struct Current {
    pub(super) server: Arc<ServerConfig>,
    pub(super) verifier: Option<Arc<Named>>,
    pub(super) prints: Prints,
    /// When the certificate ends, in seconds since 1970.
    pub(super) end: u64,
}

impl Material {
    pub(super) fn read(config: &Config, disk: &dyn Disk) -> Result<Self, Error> {
        let trust = if config.client_auth == ClientAuth::None {
            None
        } else {
            let lists = config.client_crl.iter().map(|file| Pem::read(disk, file));
            Some((Pem::read(disk, &config.client_ca)?, lists.collect::<Result<_, _>>()?))
        };
        Ok(Self { cert: Pem::read(disk, &config.cert)?, key: Pem::read(disk, &config.key)?, trust })
    }

    pub(super) fn prints(&self) -> Prints {
        let trust =
            self.trust.iter().flat_map(|(roots, lists)| std::iter::once(roots).chain(lists));
        Prints { own: files::print([&self.cert, &self.key]), trust: files::print(trust) }
    }

    /// Tries it out: whatever is wrong is an error here, and not at the next handshake.
    pub(super) fn build(&self, config: &Config, now: &Now) -> Result<Current, Error> {
        let unusable = |e: rustls::Error| Error::Unusable(e.to_string());
        let provider = provider();
        let chain = self.cert.chain()?;
        let mut end = u64::MAX;
        for certificate in &chain {
            let facts = Facts::read(certificate)?;
            now.check(&facts)?;
            end = end.min(facts.end.as_secs());
        }
        let key = provider.key_provider.load_private_key(self.key.key()?).map_err(unusable)?;
        let certified = CertifiedKey::new(chain, key);
        certified.keys_match().map_err(|e| match e {
            rustls::Error::InconsistentKeys(_) => {
                Error::in_file(&config.key, &format!("is not the key of {}", config.cert.display()))
            }
            other => unusable(other),
        })?;
        let verifier = self.verifier(config)?;
        let builder =
            ServerConfig::builder_with_details(Arc::clone(&provider), Arc::new(now.clone()))
                .with_safe_default_protocol_versions()
                .map_err(unusable)?;
        let builder = match &verifier {
            None => builder.with_no_client_auth(),
            Some(verifier) => builder.with_client_cert_verifier(Arc::clone(verifier) as _),
        };
        let mut server = builder.with_cert_resolver(Arc::new(SingleCertAndKey::from(certified)));
        server.max_early_data_size = 0;
        if verifier.is_some() {
            // A session that is taken up again does not look at the certificate again.
            server.session_storage = Arc::new(NoServerSessionStorage {});
            server.send_tls13_tickets = 0;
        }
        Ok(Current { server: Arc::new(server), verifier, prints: self.prints(), end })
    }

    fn verifier(&self, config: &Config) -> Result<Option<Arc<Named>>, Error> {
        let Some((roots, lists)) = &self.trust else { return Ok(None) };
        let roots = Arc::new(roots.roots()?);
        let mut crls = Vec::new();
        for list in lists {
            crls.extend(list.lists(&roots)?);
        }
        let mut builder =
            WebPkiClientVerifier::builder_with_provider(roots, provider()).with_crls(crls);
        if config.client_auth == ClientAuth::Optional {
            builder = builder.allow_unauthenticated();
        }
        let chains = builder.build().map_err(|e| {
            Error::Unusable(match e {
                VerifierBuilderError::InvalidCrl(e) => format!(
                    "a list in tls.client_crl is not what RFC 5280 wants (version 2, with a \
                     number): {e:?}"
                ),
                other => format!("tls.client_ca: {other}"),
            })
        })?;
        let rules = Rules::parse(&config.identity).map_err(Error::Unusable)?;
        Ok(Some(Arc::new(Named { chains, rules })))
    }
}

impl Current {
    /// Whether a chain that was good once still is.
    pub(super) fn admits(&self, chain: &[CertificateDer<'_>], now: &Now) -> bool {
        let (Some(verifier), Some((leaf, rest))) = (&self.verifier, chain.split_first()) else {
            return false;
        };
        verifier.verify_client_cert(leaf, rest, now.time()).is_ok()
    }
}
