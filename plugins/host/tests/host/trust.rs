//! Who vouches for plugins on a node, and what a crash leaves.

use std::path::Path;
use std::sync::Arc;

use blockhouse_disk::{CrashDisk, Disk, RealDisk, whole};
use blockhouse_host::{Config, Deploy, Trust};
use blockhouse_package::{Digest, Package, SecretKey, Signature, Signatures, package};

use super::deploy::{marks, put, refused, stamp};
use super::rig::{Shelf, version};

fn key(name: &str) -> SecretKey {
    SecretKey::from_seed(name.parse().unwrap(), Digest::of(name.as_bytes()).bytes())
}

fn signed(bytes: Vec<u8>, by: &[&str]) -> Signatures {
    let package = Package::new(bytes.into(), None, Signatures::default()).unwrap();
    let mut signatures = Signatures::default();
    for name in by {
        let signature = Signature::sign(&key(name), package.digest(), package.manifest());
        signatures.add(signature).unwrap();
    }
    signatures
}

fn trusting(shelf: &Shelf, names: &[&str], require: &str) -> Config {
    let dir = shelf.dir().parent().unwrap().join("trust");
    for name in names {
        let line = key(name).public().to_string();
        whole::replace(&RealDisk, &dir.join(format!("{name}.pub")), line.as_bytes()).unwrap();
    }
    let trust = Trust { dir: None, require: serde_json::from_str(require).unwrap() };
    Config { trust, ..Config::default() }
}

fn with(shelf: &Shelf, of: &str, signatures: Option<Signatures>) -> Vec<Deploy> {
    vec![Deploy { signatures, ..stamp(shelf, "a", of) }]
}

#[test]
fn what_nobody_signed_is_refused_where_a_signature_is_required() {
    let shelf = Shelf::new();
    let config = trusting(&shelf, &["release", "security"], "\"signed\"");
    let host = shelf.start_with(&config).unwrap().unwrap();
    assert_eq!(refused(&host, with(&shelf, "1.0.0", None)).0, "unsigned");
    let stranger = signed(version("1.0.0"), &["stranger"]);
    assert_eq!(refused(&host, with(&shelf, "1.0.0", Some(stranger))).0, "unsigned");
    // Of another version: somebody changed what was signed.
    let other = signed(version("1.0.1"), &["release"]);
    assert_eq!(refused(&host, with(&shelf, "1.0.0", Some(other))).0, "bad-signature");
    let path = package::signatures_path(&shelf.path(&stamp(&shelf, "a", "1.0.0").digest));
    assert!(!path.exists(), "what was refused is not kept");
    put(&host, with(&shelf, "1.0.0", Some(signed(version("1.0.0"), &["release"])))).unwrap();
    assert_eq!(marks(&shelf.hooks), "a=1.0.0 ");
    host.close();

    // The signature is kept, and asked for at the start.
    shelf.start_with(&config).unwrap().unwrap().close();
    RealDisk.remove(&path).unwrap();
    assert_eq!(shelf.start_with(&config).err().unwrap().kind(), "unsigned");
    let all = trusting(&shelf, &[], r#"{"all_of": ["release", "security"]}"#);
    whole::replace(&RealDisk, &path, signed(version("1.0.0"), &["release"]).to_string().as_bytes())
        .unwrap();
    assert_eq!(shelf.start_with(&all).err().unwrap().kind(), "missing-signer");
    let gone = trusting(&shelf, &[], r#"{"any_of": ["nobody"]}"#);
    let error = shelf.start_with(&gone).err().unwrap();
    assert_eq!(error.kind(), "trust-store");
    assert!(error.to_string().contains("put nobody.pub there"), "{error}");
}

#[test]
fn a_trusted_signature_that_does_not_fit_is_refused_though_none_is_required() {
    let shelf = Shelf::new();
    let host = shelf.start_with(&trusting(&shelf, &["release"], "\"none\"")).unwrap().unwrap();
    let other = signed(version("1.0.1"), &["release"]);
    assert_eq!(refused(&host, with(&shelf, "1.0.0", Some(other))).0, "bad-signature");
    put(&host, with(&shelf, "1.0.0", None)).unwrap();
    host.close();
}

#[test]
fn a_key_that_is_not_trusted_any_more_keeps_a_rollback_out() {
    let shelf = Shelf::new();
    let config = trusting(&shelf, &["old", "new"], "\"signed\"");
    let host = shelf.start_with(&config).unwrap().unwrap();
    put(&host, with(&shelf, "1.0.0", Some(signed(version("1.0.0"), &["old"])))).unwrap();
    put(&host, with(&shelf, "1.0.1", Some(signed(version("1.0.1"), &["new"])))).unwrap();
    RealDisk.remove(&shelf.dir().parent().unwrap().join("trust/old.pub")).unwrap();
    assert_eq!(host.rollback("a").unwrap_err().kind(), "unsigned");
    assert_eq!(marks(&shelf.hooks), "a=1.0.1 ");
    host.close();
}

/// The disk with the sample in two versions on it, where the shelf's host looks for it.
fn filled(shelf: &Shelf) -> CrashDisk {
    let disk = CrashDisk::default();
    for of in ["1.0.0", "1.0.1"] {
        let bytes = version(of);
        let path = shelf.path(&Digest::of(&bytes).to_string());
        whole::replace(&disk, &path, &bytes).unwrap();
    }
    for dir in shelf.dir().ancestors() {
        disk.sync_dir(dir).unwrap();
    }
    disk
}

#[test]
fn after_a_crash_at_any_point_either_set_is_there() {
    let shelf = Shelf::new();
    let disk = filled(&shelf);
    let begun = disk.events();
    let host = shelf.start_on(&Config::default(), Arc::new(disk.clone()), None).unwrap().unwrap();
    put(&host, vec![stamp(&shelf, "a", "1.0.0")]).unwrap();
    put(&host, vec![stamp(&shelf, "a", "1.0.1")]).unwrap();
    host.disable("a").unwrap();
    host.close();
    let mut crashes = disk.crashes();
    (0..begun).for_each(|_| assert!(crashes.step()));
    let path: &Path = &shelf.dir().join("deployed.json");
    let mut seen = std::collections::BTreeMap::new();
    loop {
        for seed in 0..8 {
            let image = crashes.image(seed);
            let left = whole::read(&image, path).unwrap();
            // Each content is started with once: it is the same whenever it is there.
            seen.entry(left).or_insert_with(|| {
                let host =
                    shelf.start_on(&Config::default(), Arc::new(image), None).unwrap().unwrap();
                let found = host.status().first().map(|p| (p.version.clone(), p.disabled));
                host.close();
                (host.changes().generation, found)
            });
        }
        if !crashes.step() {
            break;
        }
    }
    let mut found: Vec<_> = seen.into_values().collect();
    found.sort();
    let of = |version: &str, disabled| Some((Some(version.to_owned()), disabled));
    assert_eq!(
        found,
        [(0, None), (1, of("1.0.0", false)), (2, of("1.0.1", false)), (3, of("1.0.1", true))]
    );
}
