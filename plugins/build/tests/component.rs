//! Modules become components that say what they are; what is none is refused.

#![expect(clippy::unwrap_used, reason = "a failure here fails the test")]

use std::ffi::OsStr;
use std::path::Path;

use blockhouse_build::{Error, describe, encode, find};
use blockhouse_disk::MemDisk;
use wit_component::{ComponentEncoder, StringEncoding, dummy_module, embed_component_metadata};
use wit_parser::{LiftLowerAbi, ManglingAndAbi, Resolve};

const CONTRACT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../wit/0.1.0");

/// As `wit-bindgen` spells exports.
const NAMES: ManglingAndAbi = ManglingAndAbi::Legacy(LiftLowerAbi::Sync);

/// A module for a world of the contract whose functions all trap.
fn module(world: &str) -> Vec<u8> {
    let mut resolve = Resolve::default();
    let (package, _) = resolve.push_path(CONTRACT).unwrap();
    let world = resolve.select_world(&[package], Some(world)).unwrap();
    let mut module = dummy_module(&resolve, world, NAMES);
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8).unwrap();
    module
}

#[test]
fn every_world_of_the_contract_becomes_a_component() {
    let hooks = [
        ("acl", vec!["lifecycle", "connection", "authorize", "before-send", "admin-command"]),
        ("audit", vec!["lifecycle", "audit-sink"]),
        ("filter", vec!["lifecycle", "before-deliver"]),
        ("tracing", vec!["lifecycle", "enrich-span"]),
    ];
    for (world, mut hooks) in hooks {
        let component = encode(&module(world)).unwrap();
        let description = describe(&component).unwrap();
        let mut found: Vec<_> = description.hooks().collect();
        found.sort_unstable();
        hooks.sort_unstable();
        assert_eq!(found, hooks, "{world}");
        assert!(description.imports.contains(&"blockhouse:plugin/log@0.1.0".to_owned()), "{world}");
    }
    assert_eq!(describe(&encode(&module("plugin")).unwrap()).unwrap().hooks().count(), 14);
}

#[test]
fn what_a_host_would_refuse_is_warned_of() {
    let wit = "package other:thing@1.0.0; interface door { open: func(); }
        world other { import door; export run: func(); }";
    let mut resolve = Resolve::default();
    let package = resolve.push_str("other.wit", wit).unwrap();
    let world = resolve.select_world(&[package], None).unwrap();
    let mut module = dummy_module(&resolve, world, NAMES);
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8).unwrap();
    let component = ComponentEncoder::default().module(&module).unwrap().encode().unwrap();
    let warnings = describe(&component).unwrap().warnings(component.len());
    assert!(warnings[0].contains("lifecycle"), "{warnings:?}");
    assert!(warnings.iter().any(|told| told.contains("other:thing/door")), "{warnings:?}");
    assert!(describe(&encode(&self::module("acl")).unwrap()).unwrap().warnings(0).is_empty());
}

#[test]
fn an_export_that_the_module_lacks_is_named() {
    let module = module("filter");
    // The name stands in the module's export section; another one of the same length hides it.
    let name = b"before-deliver@0.1.0#before-deliver";
    let found = module.windows(name.len()).position(|window| window == name);
    let Some(at) = found else { panic!("the dummy module has other names now") };
    let mut broken = module;
    broken[at] = b'x';
    let Err(Error::Wasm(told)) = encode(&broken) else { panic!("it was encoded") };
    assert!(told.contains("before-deliver"), "{told}");
}

#[test]
fn what_is_no_component_is_refused() {
    let component = encode(&module("filter")).unwrap();
    assert!(describe(b"\0asm").is_err());
    assert!(describe(&module("filter")).is_err(), "a module is no component");
    for cut in [7, component.len() / 2, component.len() - 1] {
        assert!(describe(&component[..cut]).is_err(), "{cut}");
    }
    assert!(encode(b"").is_err());
    assert!(encode(&component).is_err(), "a component is no module");
}

#[test]
fn without_a_toolchain_both_ways_to_one_are_told() {
    let found = find(&MemDisk::default(), Path::new("/"), OsStr::new("/nowhere"));
    let told = found.unwrap_err().to_string();
    assert!(told.contains("rustup target add") && told.contains("rustc-web"), "{told}");
}
