//! What a certificate says, as far as it matters here.

use std::time::Duration;

use rustls::pki_types::CertificateDer;
use x509_cert::Certificate;
use x509_cert::der::Decode as _;
use x509_cert::ext::pkix::name::GeneralName;
use x509_cert::ext::pkix::{BasicConstraints, KeyUsage, SubjectAltName};

use super::Error;

/// Facts out of one certificate. Nothing of it is to be trusted before the chain was verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Facts {
    /// The subject as RFC 4514 writes it.
    pub(crate) subject: String,
    /// All names that are URIs.
    pub(crate) uris: Vec<String>,
    /// All names that are DNS names.
    pub(crate) dns: Vec<String>,
    /// Whether it may issue certificates or revocation lists.
    pub(crate) issues: bool,
    /// From when it is valid, since 1970.
    pub(crate) begin: Duration,
    /// Until when it is valid, since 1970.
    pub(crate) end: Duration,
}

impl Facts {
    pub(crate) fn read(der: &CertificateDer<'_>) -> Result<Self, Error> {
        let malformed = |e: x509_cert::der::Error| Error::Malformed(e.to_string());
        let tbs = Certificate::from_der(der).map_err(malformed)?.tbs_certificate;
        let constraints = tbs.get::<BasicConstraints>().map_err(malformed)?;
        let usage = tbs.get::<KeyUsage>().map_err(malformed)?;
        let names = tbs.get::<SubjectAltName>().map_err(malformed)?;
        let (mut uris, mut dns) = (Vec::new(), Vec::new());
        for name in names.map(|(_, names)| names.0).unwrap_or_default() {
            match name {
                GeneralName::UniformResourceIdentifier(uri) => uris.push(uri.as_str().to_owned()),
                GeneralName::DnsName(name) => dns.push(name.as_str().to_owned()),
                _ => {}
            }
        }
        let signs = |usage: &KeyUsage| usage.key_cert_sign() || usage.crl_sign();
        Ok(Self {
            subject: tbs.subject.to_string(),
            uris,
            dns,
            issues: constraints.is_some_and(|(_, constraints)| constraints.ca)
                || usage.is_some_and(|(_, usage)| signs(&usage)),
            begin: tbs.validity.not_before.to_unix_duration(),
            end: tbs.validity.not_after.to_unix_duration(),
        })
    }
}
