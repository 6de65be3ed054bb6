//! Fixed keys, fixed manifest, fixed bytes: what was signed once stays signed.
//!
//! If one of these fails, every plugin out there has to be signed again. Do not change the expected
//! texts; change the code back.
#![expect(clippy::unwrap_used, reason = "helpers of tests; a failure is a failed test")]

use blockhouse_package::{
    Digest, Manifest, Package, PublicKey, SecretKey, Signature, Signatures, component, layout,
};

const PUBLIC: &str = "blockhouse-public-key:release:A6EHv/POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg=\n";

const MANIFEST: &str = r#"
description = "Quarantines \"odd\" clients"
hooks = ["before-send", "authorize"]
asks = ["metrics", "log"]
abi = "0.1"
version = "1.2.0-rc.1+b7"
name = "orders-acl"
sdk = { language = "rust", version = "0.1.0" }
limits = { memory = "8MiB", deadline_ms = { authorize = 1 } }
"#;

/// A component without imports that exports three empty instances, by hand.
fn bytes() -> Vec<u8> {
    let mut bytes = b"\0asm\x0d\0\x01\0".to_vec();
    // Section 5: one instance, of no exports.
    bytes.extend_from_slice(&[5, 3, 1, 1, 0]);
    let mut exports = vec![3];
    for interface in ["lifecycle", "authorize", "before-send"] {
        let name = format!("blockhouse:plugin/{interface}@0.1.0");
        exports.push(0);
        exports.push(u8::try_from(name.len()).unwrap());
        exports.extend_from_slice(name.as_bytes());
        // Of kind instance, number 0, without a type.
        exports.extend_from_slice(&[5, 0, 0]);
    }
    // Section 11: the exports.
    bytes.push(11);
    bytes.push(u8::try_from(exports.len()).unwrap());
    bytes.extend_from_slice(&exports);
    bytes
}

fn key() -> SecretKey {
    let seed: Vec<u8> = (0..32).collect();
    SecretKey::from_seed("release".parse().unwrap(), &seed.try_into().unwrap())
}

fn package() -> Package {
    let manifest = Manifest::parse(MANIFEST.as_bytes()).unwrap();
    let bytes = component::embed(&bytes(), &manifest).unwrap();
    Package::new(bytes, None, Signatures::default()).unwrap()
}

#[test]
fn the_signature_of_fixed_bytes_with_a_fixed_key() {
    let package = package();
    assert_eq!(
        Digest::of(package.manifest().canonical().as_bytes()).to_string(),
        "sha256:772758c6807cf615dfdebc9cb23192f5a3d64d4aea87d32915fe961248b736c6"
    );
    assert_eq!(
        package.digest().to_string(),
        "sha256:db609cfe5c29d6a9a6a66081d755393eb0992147c163a884dc2488f225d34482"
    );
    let signature = Signature::sign(&key(), package.digest(), package.manifest());
    assert_eq!(
        signature.to_string(),
        "blockhouse-signature:56475aa75463474c:ogR4s5/Ud7lqC3Zc1rYpoaRw/ffRelTE2HHr/dBisguW/j0RYeThOh4E+9K+N1JeK1pC3Qx8hNl6vkIC9e7QBw=="
    );
    let public: PublicKey = PUBLIC.parse().unwrap();
    signature.verify(&public, package.digest(), package.manifest()).unwrap();
}

#[test]
fn the_layout_of_fixed_bytes() {
    let package = package();
    let mut signatures = Signatures::default();
    signatures.add(Signature::sign(&key(), package.digest(), package.manifest())).unwrap();
    let disk = blockhouse_disk::MemDisk::new();
    let path = std::path::Path::new("/plugins.tar");
    layout::save(&disk, path, &[package.with_signatures(signatures)]).unwrap();
    let bytes = blockhouse_disk::whole::read(&disk, path).unwrap().unwrap();
    assert_eq!(
        Digest::of(&bytes).to_string(),
        "sha256:a59952f5302d743a79780fca903204a61bbf878f79aca00028914a67daf13086"
    );
}
