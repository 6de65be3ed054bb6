//! A real plugin, from its directory to a component. Needs a toolchain for WASM, so it runs only
//! when asked for: `cargo test -p blockhouse-build -- --ignored`.

use std::path::Path;

use blockhouse_build::{Error, Request, build};
use blockhouse_disk::{RealDisk, whole};
use blockhouse_package::{Manifest, Package, Signatures};

fn path() -> std::ffi::OsString {
    std::env::var_os("PATH").unwrap_or_default()
}

/// Our own plugins: the workspace, the package and where its manifest is.
const OURS: [(&str, &str, &[u8]); 5] = [
    ("conformance/guest", "conformance", include_bytes!("../../conformance/guest/plugin.toml")),
    ("conformance/guest", "noop", include_bytes!("../../conformance/guest/noop/plugin.toml")),
    ("conformance/guest", "courier", include_bytes!("../../conformance/guest/courier/plugin.toml")),
    ("bundled", "acl", include_bytes!("../../bundled/acl/plugin.toml")),
    ("bundled", "filter", include_bytes!("../../bundled/filter/plugin.toml")),
];

#[test]
fn manifests_of_our_own_plugins_are_legal_and_named_after_them() {
    for (_, name, text) in OURS {
        assert_eq!(Manifest::parse(text).unwrap().name.to_string(), name);
    }
}

#[test]
#[ignore = "needs a toolchain for wasm32-unknown-unknown"]
fn our_own_plugins_are_what_their_manifests_say() {
    for (workspace, name, manifest) in OURS {
        let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(workspace);
        let mut request = Request::new(directory, path());
        request.package = Some(name.to_owned());
        request.locked = true;
        let built = build(&RealDisk, &request).unwrap();
        assert_eq!(built.warnings, [""; 0], "{name}");
        assert!(built.component.len() < 512 << 10, "{name}: {}", built.component.len());
        let manifest = Manifest::parse(manifest).unwrap();
        let hooks = manifest.hooks.len() + 1;
        assert_eq!(built.description.hooks().count(), hooks, "{name}: with lifecycle");
        let package = Package::new(built.component.into(), Some(manifest), Signatures::default());
        assert!(package.is_ok(), "{name}: {:?}", package.err());
    }
}

#[test]
#[ignore = "needs a toolchain for wasm32-unknown-unknown"]
fn what_the_compiler_says_reaches_the_author() {
    let directory = tempfile::tempdir().unwrap();
    let manifest = "[package]\nname = \"broken\"\nedition = \"2024\"\n[lib]\n\
        crate-type = [\"cdylib\"]\n[workspace]\n";
    let put = |name: &str, text: &str| {
        whole::replace(&RealDisk, &directory.path().join(name), text.as_bytes()).unwrap();
    };
    put("Cargo.toml", manifest);
    put("src/lib.rs", "pub fn f() -> u32 { \"no number\" }");
    let told = build(&RealDisk, &Request::new(directory.path(), path())).unwrap_err();
    assert!(matches!(&told, Error::Cargo(text) if text.contains("mismatched types")), "{told}");
    put("src/lib.rs", "");
    put("Cargo.toml", &manifest.replace("cdylib", "rlib"));
    let told = build(&RealDisk, &Request::new(directory.path(), path())).unwrap_err();
    assert!(matches!(&told, Error::Artifact(text) if text.contains("cdylib")), "{told}");
}
