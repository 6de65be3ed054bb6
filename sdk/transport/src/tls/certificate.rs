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

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use proptest::prelude::*;
    use proptest::sample::Index;
    use rcgen::{CertificateParams, DnType, KeyPair, SanType};

    use super::*;
    use crate::tls::Rules;

    static GOOD: LazyLock<CertificateDer<'static>> = LazyLock::new(|| {
        let mut params = CertificateParams::new(vec!["pay.apps.a.org".to_owned()]).unwrap();
        let id = "spiffe://a.org/ns/pay/sa/orders".try_into().unwrap();
        params.subject_alt_names.push(SanType::URI(id));
        params.distinguished_name.push(DnType::CommonName, "pay");
        params.self_signed(&KeyPair::generate().unwrap()).unwrap().der().clone()
    });

    fn rules() -> Rules {
        let texts = ["spiffe", "dns:*.apps.a.org -> {1}", "dns:*", "dn:CN=*,O=A -> {1}"];
        Rules::parse(&texts.map(str::to_owned)).unwrap()
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn any_bytes_are_a_certificate_or_refused(
            bytes in prop::collection::vec(any::<u8>(), 0..400),
            damage in prop::collection::vec((any::<Index>(), any::<u8>()), 0..4),
            cut: Option<Index>,
        ) {
            let _read = Facts::read(&CertificateDer::from(bytes));
            let mut der = GOOD.to_vec();
            for (at, value) in damage {
                let at = at.index(der.len());
                der[at] = value;
            }
            der.truncate(cut.map_or(der.len(), |at| at.index(GOOD.len())));
            let der = CertificateDer::from(der);
            let name = rules().name(&der);
            if der == *GOOD {
                prop_assert_eq!(name.as_deref(), Some("spiffe://a.org/ns/pay/sa/orders"));
            }
            if let Some(name) = name {
                let breaks = |c: char| c.is_control() || c.is_whitespace();
                prop_assert!((1..=255).contains(&name.len()) && !name.contains(breaks), "{name:?}");
                // One that claims to be a SPIFFE ID is that, or nobody.
                let uris = Facts::read(&der).unwrap().uris;
                let claims = uris.iter().any(|uri| uri.to_ascii_lowercase().starts_with("spiffe://"));
                prop_assert!(!claims || uris == [name.to_string()], "{uris:?} {name:?}");
            }
        }
    }
}
