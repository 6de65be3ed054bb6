//! Other languages than Rust, as far as that needs none of their tools.

#![expect(clippy::unwrap_used, reason = "a failure here fails the test")]

use std::path::Path;

use blockhouse_build::{Error, Language, Request, World, build, describe, encode};
use blockhouse_disk::{MemDisk, whole};
use wit_component::{StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

fn request(language: Language) -> Request {
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    let world = World { hooks: names(&["before-send"]), asks: names(&["log"]) };
    Request { language, world, ..Request::new("/plugin", "/nowhere") }
}

#[test]
fn what_is_missing_is_named_with_the_command_that_installs_it() {
    for (language, source, command) in [
        (Language::C, "src/plugin.c", "apt-get install clang"),
        (Language::Go, "go.mod", "apt-get install golang"),
        (Language::JavaScript, "plugin.js", "npm install"),
        (Language::Python, "plugin.py", "pip install componentize-py=="),
    ] {
        let disk = MemDisk::new();
        let told = build(&disk, &request(language)).unwrap_err();
        assert!(matches!(told, Error::Artifact(_)), "no source: {told}");
        whole::replace(&disk, &Path::new("/plugin").join(source), b"module a\n").unwrap();
        let told = build(&disk, &request(language)).unwrap_err();
        assert!(matches!(told, Error::MissingTool(_)), "{told}");
        assert!(told.to_string().contains(command), "{told}");
    }
}

/// A module that imports a function of WASI.
fn module(import: &str) -> Vec<u8> {
    let wit = "package a:b; world w { export run: func(); }";
    let mut resolve = Resolve::default();
    let package = resolve.push_str("w.wit", wit).unwrap();
    let world = resolve.select_world(&[package], None).unwrap();
    let text = format!(
        r#"(module (import "wasi_snapshot_preview1" {import})
            (memory (export "memory") 1) (func (export "run")))"#
    );
    let mut module = wat::parse_str(text).unwrap();
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8).unwrap();
    module
}

#[test]
fn a_module_of_wasi_becomes_a_component_without() {
    for import in [
        r#""clock_time_get" (func (param i32 i64 i32) (result i32))"#,
        r#""environ_sizes_get" (func (param i32 i32) (result i32))"#,
        r#""fd_write" (func (param i32 i32 i32 i32) (result i32))"#,
        r#""path_open" (func (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32))"#,
        r#""proc_exit" (func (param i32))"#,
        r#""random_get" (func (param i32 i32) (result i32))"#,
        r#""sched_yield" (func (result i32))"#,
    ] {
        let component = encode(&module(import)).unwrap();
        assert_eq!(describe(&component).unwrap().imports, [""; 0], "{import}");
    }
    let unknown = encode(&module(r#""brew_coffee" (func)"#)).unwrap_err().to_string();
    assert!(unknown.contains("brew_coffee"), "{unknown}");
}
