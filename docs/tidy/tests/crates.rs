//! What every crate has, and what only one may have.

use std::path::Path;

use blockhouse_tidy::{crates, files, read, root};

#[test]
fn every_crate_says_what_it_is() {
    for krate in crates().unwrap() {
        let dir = krate.dir.join("src");
        let main = if root().join(dir.join("lib.rs")).exists() { "lib.rs" } else { "main.rs" };
        let text = read(dir.join(main)).unwrap();
        let docs: usize =
            text.lines().take_while(|l| l.starts_with("//!")).map(|l| l.len() - 3).sum();
        assert!(docs > 80, "{} should begin with `//!` lines that say what it does", krate.name);
    }
}

#[test]
fn every_crate_has_the_lints_of_the_workspace() {
    for krate in crates().unwrap() {
        let manifest = read(krate.dir.join("Cargo.toml")).unwrap();
        assert!(manifest.contains("[lints]\nworkspace = true"), "{}", krate.name);
    }
}

#[test]
fn only_disk_compiled_plugins_and_generated_bindings_lift_the_ban_on_unsafe_code() {
    let lifted: Vec<_> = files("rs")
        .unwrap()
        .into_iter()
        .filter(|path| !path.starts_with("sdk/disk") && !path.starts_with(Path::new("docs/tidy")))
        .filter(|path| path != Path::new("sdk/plugin/src/bindings.rs"))
        // Taking in native code is unsafe whoever made it: this file says why ours may be.
        .filter(|path| path != Path::new("plugins/host/src/precompiled.rs"))
        .filter(|path| {
            let text = read(path).unwrap();
            text.contains("allow(unsafe_code") || text.contains("expect(unsafe_code")
        })
        .collect();
    assert!(lifted.is_empty(), "{lifted:?}");
}

#[test]
fn modules_are_files_beside_their_directory() {
    let old: Vec<_> = files("rs").unwrap().into_iter().filter(|p| p.ends_with("mod.rs")).collect();
    assert!(old.is_empty(), "use foo.rs and foo/: {old:?}");
}

/// What this is built on, by name: the project stands for these.
const FOUNDATIONS: [&str; 8] = [
    "casbin",
    "memmap2",
    "opentelemetry-otlp",
    "prometheus",
    "rustls",
    "tokio",
    "tonic",
    "wasmtime",
];

#[test]
fn the_foundations_are_used() {
    let sources: Vec<String> = files("rs").unwrap().into_iter().map(|p| read(p).unwrap()).collect();
    for foundation in FOUNDATIONS {
        let path = format!("{}::", foundation.replace('-', "_"));
        let is_used = sources.iter().any(|source| source.contains(&path));
        assert!(is_used, "{foundation} is not used any more");
    }
}
