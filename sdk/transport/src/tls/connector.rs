//! TLS on connections that are made here.

use std::fmt;
use std::io;
use std::sync::Arc;

use blockhouse_disk::Disk;
use blockhouse_model::Clock;
use parking_lot::RwLock;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tracing::{info, warn};

use super::files::{self, Pem, Print};
use super::provider::{Now, provider};
use super::wire::Wire;
use super::{Error, Outgoing};

/// A connection that was made, under TLS.
pub type Secure = TlsStream<Wire<TcpStream>>;

/// Makes connections secure, as a client.
pub struct Connector {
    config: Outgoing,
    disk: Arc<dyn Disk>,
    now: Now,
    current: RwLock<(Arc<ClientConfig>, Print)>,
    /// What was said last about files that cannot be used.
    failed: RwLock<Option<String>>,
}

impl Connector {
    /// Reads and tries all files.
    ///
    /// # Errors
    /// What is wrong with which file.
    pub fn load(
        config: &Outgoing,
        disk: Arc<dyn Disk>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, Error> {
        let now = Now(clock);
        let files = read(config, &*disk)?;
        let current = (Arc::new(build(config, &files, &now)?), print(&files));
        Ok(Self {
            config: config.clone(),
            disk,
            now,
            current: RwLock::new(current),
            failed: RwLock::default(),
        })
    }

    /// Looks at the files, and takes what changed if it is good, for connections made from now on.
    ///
    /// # Errors
    /// What is wrong with the new contents; it is logged once.
    pub fn reload(&self) -> Result<bool, Error> {
        let renewed = read(&self.config, &*self.disk).and_then(|files| {
            let next = print(&files);
            if next == self.current.read().1 {
                return Ok(false);
            }
            let config = Arc::new(build(&self.config, &files, &self.now)?);
            *self.current.write() = (config, next);
            info!("certificates for outgoing connections were read again");
            Ok(true)
        });
        let text = renewed.as_ref().err().map(ToString::to_string);
        if let Some(error) = text.as_ref().filter(|text| self.failed.read().as_ref() != Some(text))
        {
            warn!(error, "changed certificates are not taken, the old ones stay in force");
        }
        *self.failed.write() = text;
        renewed
    }

    /// What is in force now, for those who shake hands themselves.
    #[must_use]
    pub fn client_config(&self) -> Arc<ClientConfig> {
        Arc::clone(&self.current.read().0)
    }

    /// Shakes hands with the server at `addr` (`host:port`).
    ///
    /// # Errors
    /// The server does not speak TLS, or does not prove to be who it should be.
    pub async fn connect(&self, stream: TcpStream, addr: &str) -> io::Result<Secure> {
        let host = addr.rsplit_once(':').map_or(addr, |(host, _)| host);
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let name = if self.config.server_name.is_empty() { host } else { &self.config.server_name };
        let name = ServerName::try_from(name.to_owned()).map_err(io::Error::other)?;
        let config = Arc::clone(&self.current.read().0);
        TlsConnector::from(config).connect(name, Wire::new(stream, None)).await
    }
}

/// Roots, certificate, key: those that are given.
type Files = [Option<Pem>; 3];

fn read(config: &Outgoing, disk: &dyn Disk) -> Result<Files, Error> {
    let given = |file: &std::path::PathBuf| {
        if file.as_os_str().is_empty() { Ok(None) } else { Pem::read(disk, file).map(Some) }
    };
    Ok([given(&config.ca)?, given(&config.cert)?, given(&config.key)?])
}

fn print(files: &Files) -> Print {
    files::print(files.iter().flatten())
}

fn build(config: &Outgoing, files: &Files, now: &Now) -> Result<ClientConfig, Error> {
    let unusable = |e: rustls::Error| Error::Unusable(e.to_string());
    let provider = provider();
    let [ca, cert, key] = files;
    let roots = match ca {
        Some(ca) => ca.roots()?,
        // Nobody is asked then.
        None if config.insecure => RootCertStore::empty(),
        None => system_roots()?,
    };
    let builder = ClientConfig::builder_with_details(Arc::clone(&provider), Arc::new(now.clone()))
        .with_safe_default_protocol_versions()
        .map_err(unusable)?;
    let builder = if config.insecure {
        builder.dangerous().with_custom_certificate_verifier(Arc::new(Anyone(provider)))
    } else {
        builder.with_root_certificates(roots)
    };
    match (cert, key) {
        (Some(cert), Some(key)) => {
            builder.with_client_auth_cert(cert.chain()?, key.key()?).map_err(unusable)
        }
        _ => Ok(builder.with_no_client_auth()),
    }
}

fn system_roots() -> Result<RootCertStore, Error> {
    let mut roots = RootCertStore::empty();
    let _some_are_not_understood =
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if roots.is_empty() {
        let text = "the system has no roots: name a file with those that vouch for servers";
        return Err(Error::Unusable(text.to_owned()));
    }
    Ok(roots)
}

/// Takes any certificate: for those who asked for it.
#[derive(Debug)]
struct Anyone(Arc<CryptoProvider>);

impl ServerCertVerifier for Anyone {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

impl fmt::Debug for Connector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connector").field("config", &self.config).finish_non_exhaustive()
    }
}
