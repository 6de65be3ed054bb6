//! Certificates, revocation lists and the PEM files that they come in: read or refused, and whoever has a name
//! has one that lines of logs and policies can carry.
#![no_main]
#![allow(dead_code, reason = "what the crate uses elsewhere")]

#[path = "../../../sdk/transport/src/tls/certificate.rs"]
mod certificate;
#[path = "../../../sdk/transport/src/tls/error.rs"]
mod error;
#[path = "../../../sdk/transport/src/tls/files.rs"]
mod files;
#[path = "../../../sdk/transport/src/tls/identity.rs"]
mod identity;
#[path = "../../../sdk/transport/src/tls/provider.rs"]
mod provider;
#[path = "../../../sdk/transport/src/tls/revocation.rs"]
mod revocation;

use std::path::Path;
use std::time::Duration;

use blockhouse_disk::{MemDisk, whole};
use certificate::Facts;
use error::Error;
use files::Pem;
use identity::Rules;
use libfuzzer_sys::fuzz_target;
use rustls::RootCertStore;
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer};

const AUTHORITY: &[u8] = include_bytes!("../seeds/authority.der");
const CLIENT: &[u8] = include_bytes!("../seeds/client.der");
const REVOKED: &[u8] = include_bytes!("../seeds/revoked.der");
const RULES: [&str; 5] = ["spiffe:a.org/ns/*/sa/* -> {2}.{1}", "spiffe", "dns:*.apps.a.org -> {1}", "dns:*", "dn:CN=*,O=A"];

fuzz_target!(|data: &[u8]| {
    let (choice, data) = data.split_first().unwrap_or((&0, &[]));
    match choice % 6 {
        0 => certificate(data),
        1 => certificate(&damaged(CLIENT, data)),
        2 => list(data),
        3 => list(&damaged(REVOKED, data)),
        4 => texts(data),
        _ => pem(data),
    }
});

/// A good one with other bytes at some places, two bytes for the place and one for what is there.
fn damaged(good: &[u8], damage: &[u8]) -> Vec<u8> {
    let mut bytes = good.to_vec();
    for part in damage.chunks_exact(3) {
        let at = usize::from(u16::from_be_bytes([part[0], part[1]])) % bytes.len();
        bytes[at] = part[2];
    }
    bytes
}

fn rules(texts: &[&str]) -> Option<Rules> {
    let texts: Vec<String> = texts.iter().map(|text| (*text).to_owned()).collect();
    Rules::parse(&texts).ok()
}

fn is_good_name(name: &str) -> bool {
    let breaks = |c: char| c.is_control() || c.is_whitespace();
    (1..=255).contains(&name.len()) && !name.contains(breaks) && !name.starts_with("plugin:")
}

fn certificate(der: &[u8]) {
    let der = CertificateDer::from(der.to_vec());
    let facts = Facts::read(&der);
    if let Some(name) = rules(&RULES).expect("rules").name(&der) {
        let facts = facts.expect("a name is of what was read");
        assert!(is_good_name(&name));
        if name.starts_with("spiffe://") {
            // Of one that claims to be a SPIFFE ID nothing else is taken.
            assert!(facts.uris == [name.to_string()] && !facts.issues && !name.contains("/../"));
        }
    }
}

fn list(der: &[u8]) {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from(AUTHORITY)).expect("a root");
    let is_forged = |der: &[u8]| revocation::is_forged(&CertificateRevocationListDer::from(der.to_vec()), &roots);
    assert!(!is_forged(REVOKED));
    let _judged = is_forged(der);
}

/// Rules and what certificates say, both as texts.
fn texts(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else { return };
    let mut parts = text.split('\n');
    let mut next = || parts.next().unwrap_or_default();
    let (rule, subject, uri, dns) = (next(), next(), next(), next());
    let Some(rules) = rules(&[rule]) else { return };
    let facts = Facts {
        subject: subject.to_owned(),
        uris: vec![uri.to_owned()],
        dns: vec![dns.to_owned()],
        issues: false,
        begin: Duration::ZERO,
        end: Duration::MAX,
    };
    assert!(rules.name_of(&facts).is_none_or(|name| is_good_name(&name)));
}

fn pem(data: &[u8]) {
    let (disk, path) = (MemDisk::new(), Path::new("pem"));
    whole::replace_private(&disk, path, data).expect("memory");
    let Ok(read) = Pem::read(&disk, path) else { return };
    let _ends = (read.chain(), read.key().is_ok(), read.lists(&RootCertStore::empty()));
    if let Ok(roots) = read.roots() {
        assert!(!roots.is_empty());
        let _judged = read.lists(&roots);
    }
}
