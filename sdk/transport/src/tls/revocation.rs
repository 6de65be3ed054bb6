//! Who signed a list of revoked certificates: asked when the list is read, because afterwards a list
//! that nobody believes refuses everybody.

use rustls::RootCertStore;
use rustls::pki_types::{
    CertificateRevocationListDer, SignatureVerificationAlgorithm, TrustAnchor,
};
use x509_cert::der::asn1::{AnyRef, BitStringRef};
use x509_cert::der::{Decode as _, Reader as _, Result, SliceReader, Tag, Tagged as _};

use super::provider::provider;

/// The parts of a list that its signature is about (RFC 5280, 5.1), and of its signer's key.
struct Signed<'a> {
    /// With its tag and length, as it was signed.
    body: &'a [u8],
    /// These two without tag and length, as those who verify name them.
    issuer: &'a [u8],
    algorithm: &'a [u8],
    signature: &'a [u8],
}

/// Whether `list` is of somebody whom `roots` knows and was not signed by them. Of an authority that
/// is not a root itself no key is here: its lists are verified with its certificate, at handshakes.
pub(super) fn is_forged(list: &CertificateRevocationListDer<'_>, roots: &RootCertStore) -> bool {
    let Ok(signed) = Signed::read(list) else { return true };
    let mut named = roots.roots.iter().filter(|root| *root.subject == *signed.issuer).peekable();
    named.peek().is_some() && !named.any(|root| signed.is_by(root))
}

impl<'a> Signed<'a> {
    fn read(der: &'a [u8]) -> Result<Self> {
        let (body, algorithm, signature) = outer(der)?;
        Ok(Self { body, issuer: issuer(body)?, algorithm, signature })
    }

    fn is_by(&self, root: &TrustAnchor<'_>) -> bool {
        let Ok((algorithm, key)) = key(&root.subject_public_key_info) else { return false };
        let verifies = |by: &&dyn SignatureVerificationAlgorithm| {
            *by.signature_alg_id() == *self.algorithm
                && *by.public_key_alg_id() == *algorithm
                && by.verify_signature(key, self.body, self.signature).is_ok()
        };
        provider().signature_verification_algorithms.all.iter().any(verifies)
    }
}

/// Body, algorithm and signature of a list.
fn outer(der: &[u8]) -> Result<(&[u8], &[u8], &[u8])> {
    let list = AnyRef::from_der(der)?;
    let mut parts = SliceReader::new(list.value())?;
    let body = parts.tlv_bytes()?;
    let algorithm = AnyRef::decode(&mut parts)?.value();
    let signature = BitStringRef::decode(&mut parts)?.raw_bytes();
    parts.finish((body, algorithm, signature))
}

fn issuer(body: &[u8]) -> Result<&[u8]> {
    let mut parts = SliceReader::new(AnyRef::from_der(body)?.value())?;
    let mut part = AnyRef::decode(&mut parts)?;
    if part.tag() == Tag::Integer {
        // The version; what follows is the algorithm.
        part = AnyRef::decode(&mut parts)?;
    }
    part.tag().assert_eq(Tag::Sequence)?;
    Ok(AnyRef::decode(&mut parts)?.value())
}

/// Algorithm and key out of a `SubjectPublicKeyInfo` without its own tag and length.
fn key(info: &[u8]) -> Result<(&[u8], &[u8])> {
    let mut parts = SliceReader::new(info)?;
    let algorithm = AnyRef::decode(&mut parts)?.value();
    let key = BitStringRef::decode(&mut parts)?.raw_bytes();
    parts.finish((algorithm, key))
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use proptest::prelude::*;
    use proptest::sample::Index;
    use rcgen::{
        BasicConstraints, CertificateParams, CertificateRevocationListParams, IsCa, Issuer,
        KeyIdMethod, KeyPair, KeyUsagePurpose, SerialNumber, date_time_ymd,
    };

    use super::*;

    /// A root, and a list that it signed.
    static SIGNED: LazyLock<(RootCertStore, Vec<u8>)> = LazyLock::new(|| {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate().unwrap();
        let mut roots = RootCertStore::empty();
        roots.add(params.self_signed(&key).unwrap().der().clone()).unwrap();
        let list = CertificateRevocationListParams {
            this_update: date_time_ymd(2026, 1, 1),
            next_update: date_time_ymd(2100, 1, 1),
            crl_number: SerialNumber::from(1),
            issuing_distribution_point: None,
            revoked_certs: Vec::new(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        let signed = list.signed_by(&Issuer::new(params, key)).unwrap();
        (roots, signed.der().to_vec())
    });

    fn judged(der: &[u8]) -> bool {
        is_forged(&CertificateRevocationListDer::from(der.to_vec()), &SIGNED.0)
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn a_list_with_other_contents_is_forged_or_of_somebody_else(
            bytes in prop::collection::vec(any::<u8>(), 0..300),
            at: Index,
            value: u8,
            cut: Option<Index>,
        ) {
            let good = &SIGNED.1;
            prop_assert!(!judged(good) && judged(&bytes));
            let mut list = good.clone();
            let at = at.index(list.len());
            list[at] = value;
            list.truncate(cut.map_or(list.len(), |at| at.index(good.len())));
            if !judged(&list) {
                let body = |der| Signed::read(der).map(|signed| (signed.body, signed.issuer));
                let ((was, of), (is, by)) = (body(good).unwrap(), body(&list).unwrap());
                prop_assert!(is == was || by != of);
            }
        }
    }
}
