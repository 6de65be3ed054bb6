use std::sync::LazyLock;

use blockhouse_disk::{MemDisk, RealDisk, whole};
use proptest::prelude::*;
use tar::{Builder, EntryType, Header};

use super::*;
use crate::package::tests::package;
use crate::{SecretKey, Signature};

fn signed(version: &str) -> Package {
    let package = package(version, "\"log\"");
    let key = SecretKey::from_seed("release".parse().unwrap(), &[7; 32]);
    let mut signatures = Signatures::default();
    signatures.add(Signature::sign(&key, package.digest(), package.manifest())).unwrap();
    package.with_signatures(signatures)
}

fn parts(packages: &[Package]) -> Vec<(Digest, String, String)> {
    let parts = |p: &Package| (p.digest(), p.manifest().canonical(), p.signatures().to_string());
    packages.iter().map(parts).collect()
}

/// A saved directory with one plugin.
fn saved() -> MemDisk {
    let disk = MemDisk::new();
    save(&disk, Path::new("/d"), &[signed("1.0.0")]).unwrap();
    disk
}

fn refusal(disk: &MemDisk, path: &str) -> String {
    load(disk, Path::new(path)).map_or_else(|e| e.to_string(), |_| "none".to_owned())
}

fn change(disk: &MemDisk, file: &Path, from: &str, to: &str) {
    let text = String::from_utf8(whole::read(disk, file).unwrap().unwrap()).unwrap();
    assert!(text.contains(from), "{text} has no {from}");
    whole::replace(disk, file, text.replace(from, to).as_bytes()).unwrap();
}

#[test]
fn what_is_saved_is_loaded_from_a_directory_and_from_a_tar_file() {
    let dir = tempfile::tempdir().unwrap();
    let packages = [signed("1.0.0"), signed("1.1.0+b"), package("2.0.0", "")];
    let mem = MemDisk::new();
    for (disk, root) in [(&RealDisk as &dyn Disk, dir.path()), (&mem, Path::new("/m"))] {
        for name in ["plugins", "plugins.tar"] {
            let path = root.join(name);
            save(disk, &path, &packages).unwrap();
            assert_eq!(parts(&load(disk, &path).unwrap()), parts(&packages), "{name}");
            assert!(matches!(save(disk, &path, &packages), Err(Error::Exists(_))));
        }
    }
    let tar = |disk: &dyn Disk, path: &Path| whole::read(disk, path).unwrap().unwrap();
    let twice = tar(&mem, Path::new("/m/plugins.tar"));
    assert_eq!(tar(&RealDisk, &dir.path().join("plugins.tar")), twice);
}

#[test]
fn every_changed_file_is_noticed() {
    let paths = saved().paths();
    // Three blobs of the plugin, the empty configuration, the image, and two files of JSON.
    assert_eq!(paths.len(), 7);
    let mut refused = 0;
    for path in paths {
        let disk = saved();
        let mut bytes = whole::read(&disk, &path).unwrap().unwrap();
        bytes[0] ^= 1;
        whole::replace(&disk, &path, &bytes).unwrap();
        refused += usize::from(refusal(&disk, "/d") != "none");
        disk.remove(&path).unwrap();
        refused += usize::from(refusal(&disk, "/d") != "none");
    }
    // Nobody reads the empty configuration.
    assert_eq!(refused, 12);
}

#[test]
fn sizes_digests_and_types_are_checked() {
    let index = Path::new("/d/index.json");
    let changed = |from: &str, to: &str| {
        let disk = saved();
        change(&disk, index, from, to);
        refusal(&disk, "/d")
    };
    assert_eq!(changed("image.index.v1", "image.index.v2"), "none");
    assert!(changed("\"size\":", "\"size\":1").contains("has not 1"));
    assert!(changed("\"size\":", "\"size\":-1").contains("index.json is wrong"));
    assert!(changed("\"size\":", "\"size\":999999").contains("more than 262144"));
    assert!(changed("sha256:", "sha512:").contains("is not a digest"));
    assert!(changed("sha256:", "sha256:../../").contains("is not a digest"));
    assert!(changed("image.manifest.v1", "image.index.v1").contains("not application/vnd.oci"));
    assert!(changed("\"schemaVersion\":2", "\"schemaVersion\":1").contains("schema version 2"));
    assert!(changed("\"manifests\":[", "\"manifests\":[],\"m\":[").contains("1 to 64 plugins"));
    let many =
        changed("\"manifests\":[", &format!("\"x\":\"{}\",\"manifests\":[", "x".repeat(300_000)));
    assert!(many.contains("more than 262144"), "{many}");
    let disk = saved();
    change(&disk, Path::new("/d/oci-layout"), "1.0.0", "2.0.0");
    assert!(refusal(&disk, "/d").contains("has not version 1.0.0"));
    assert!(refusal(&MemDisk::new(), "/d").contains("cannot read /d/oci-layout"));
}

#[test]
fn more_plugins_than_a_layout_has_are_refused() {
    let package = package("1.0.0", "");
    let many = vec![package; PLUGINS_MAX + 1];
    let error = save(&MemDisk::new(), Path::new("/d"), &many).unwrap_err().to_string();
    assert!(error.contains("more than 64 plugins"), "{error}");
}

/// A tar file with one entry of this kind and path, in front of a whole layout.
fn tar_with(kind: EntryType, path: &str, body: &[u8]) -> MemDisk {
    let disk = MemDisk::new();
    let mut builder = Builder::new(Vec::new());
    let mut put = |kind, path: &str, body: &[u8]| {
        let mut header = Header::new_ustar();
        header.as_ustar_mut().unwrap().name[..path.len()].copy_from_slice(path.as_bytes());
        header.set_entry_type(kind);
        header.set_size(body.len() as u64);
        header.set_cksum();
        builder.append(&header, body).unwrap();
    };
    put(kind, path, body);
    for (path, bytes) in files(&[signed("1.0.0")]).unwrap() {
        put(EntryType::Regular, &path, &bytes);
    }
    whole::replace(&disk, Path::new("/t.tar"), &builder.into_inner().unwrap()).unwrap();
    disk
}

#[test]
fn no_path_in_a_tar_file_leads_elsewhere() {
    for path in
        ["../index.json", "/etc/passwd", "blobs/sha256/../x", "blobs/sha256/00", "readme", "./../x"]
    {
        let refused = refusal(&tar_with(EntryType::Regular, path, b"x"), "/t.tar");
        assert!(refused.contains("does not belong"), "{path}: {refused}");
    }
    for kind in [
        EntryType::Symlink,
        EntryType::Link,
        EntryType::Char,
        EntryType::Fifo,
        EntryType::GNUSparse,
        EntryType::GNULongName,
        EntryType::XHeader,
        EntryType::XGlobalHeader,
    ] {
        let refused = refusal(&tar_with(kind, "oci-layout", b""), "/t.tar");
        assert!(refused.contains("is no plain file"), "{kind:?}: {refused}");
    }
    let twice = refusal(&tar_with(EntryType::Regular, "index.json", b"{}"), "/t.tar");
    assert!(twice.contains("index.json is there twice"), "{twice}");
    for path in ["./", "blobs/", "blobs/sha256/", "./blobs"] {
        assert_eq!(refusal(&tar_with(EntryType::Directory, path, b""), "/t.tar"), "none", "{path}");
    }
}

#[test]
fn a_size_that_a_tar_file_only_claims_is_not_allocated() {
    let disk = MemDisk::new();
    let mut header = Header::new_ustar();
    header.set_path("index.json").unwrap();
    header.set_size(63 << 20);
    header.set_cksum();
    whole::replace(&disk, Path::new("/t.tar"), header.as_bytes()).unwrap();
    assert!(refusal(&disk, "/t.tar").contains("66060288 bytes, more than 512"));
    let body = vec![0; 300_000];
    let large = refusal(&tar_with(EntryType::Regular, "./index.json", &body), "/t.tar");
    assert!(large.contains("twice"), "{large}");
}

/// A tar file to be damaged, made once: signing takes longer than reading.
static WHOLE: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let (disk, path) = (MemDisk::new(), Path::new("/t.tar"));
    save(&disk, path, &[signed("1.0.0")]).unwrap();
    whole::read(&disk, path).unwrap().unwrap()
});

proptest! {
    #[test]
    fn changed_tar_files_are_read_or_refused(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        cut in any::<prop::sample::Index>(),
    ) {
        let (disk, path) = (MemDisk::new(), Path::new("/t.tar"));
        let mut bytes = WHOLE.clone();
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        whole::replace(&disk, path, &bytes).unwrap();
        let _whatever = load(&disk, path).is_ok();
        bytes.truncate(cut.index(bytes.len()));
        whole::replace(&disk, path, &bytes).unwrap();
        let _whatever = load(&disk, path).is_ok();
    }
}
