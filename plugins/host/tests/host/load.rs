//! What is loaded, and what is refused.

use blockhouse_disk::Disk;
use blockhouse_host::{Grants, OnFailure};

use super::rig::{Shelf, binding, component, sent};
use blockhouse_hook::{Decision, HookChain};

fn refused(shelf: &Shelf, binding: blockhouse_host::Binding) -> String {
    shelf.start(vec![binding]).err().map(|e| e.to_string()).unwrap_or_default()
}

#[test]
fn what_cannot_be_loaded_is_refused_with_a_reason() {
    let shelf = Shelf::new();
    let bytes = component("conformance");
    let digest = shelf.put(&bytes);

    let missing = format!("sha256:{}", "0".repeat(64));
    assert!(refused(&shelf, binding(&missing, "{}")).contains("is not there"));

    let ungranted = refused(&shelf, {
        let mut binding = binding(&digest, "{}");
        binding.grants = Grants { log: false, ..binding.grants };
        binding
    });
    assert!(ungranted.contains("does not grant") && ungranted.contains("log"), "{ungranted}");

    let wrong = refused(&shelf, binding(&digest, r#"{"no_such_rule": 1}"#));
    assert!(wrong.contains("it says") && wrong.contains("no_such_rule"), "{wrong}");

    let scoped = refused(&shelf, {
        let mut binding = binding(&digest, "{}");
        binding.topics = vec!["orders".to_owned()];
        binding
    });
    assert!(scoped.contains("knows no topic"), "{scoped}");

    for fault in ["trap", "loop", "error"] {
        let text = format!(r#"{{"faults": {{"init": "{fault}"}}}}"#);
        assert_ne!(refused(&shelf, binding(&digest, &text)), "", "{fault}");
    }
}

#[test]
fn one_flipped_byte_is_seen() {
    let shelf = Shelf::new();
    let mut bytes = component("conformance").to_vec();
    let digest = shelf.put(&bytes);
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    blockhouse_disk::whole::replace(&blockhouse_disk::RealDisk, &shelf.path(&digest), &bytes)
        .unwrap();
    assert!(refused(&shelf, binding(&digest, "{}")).contains("the file has the digest"));
}

#[test]
fn bytes_that_are_no_component_are_refused() {
    let shelf = Shelf::new();
    let whole = component("conformance");
    for (bytes, why) in [
        (&b"\x7fELF\x02\x01\x01\x00 compiled"[..], "not WebAssembly"),
        (b"(component)", "not WebAssembly"),
        (b"\0asm\x01\0\0\0", "core module"),
        (b"\0asm\x0d\0\x01\0", "contract"),
        (&whole[..whole.len() / 2], "compiled"),
    ] {
        let digest = shelf.put(bytes);
        let refusal = refused(&shelf, binding(&digest, "{}"));
        assert!(refusal.contains(why), "{why}: {refusal}");
    }
}

#[test]
fn a_plugin_that_is_not_required_fails_as_its_binding_says() {
    let shelf = Shelf::new();
    let with = |on_failure| {
        let mut binding = binding(&format!("sha256:{}", "0".repeat(64)), "{}");
        binding.required = false;
        binding.hooks = vec![blockhouse_host::Interface::BeforeSend];
        binding.on_failure = on_failure;
        let host = shelf.start(vec![binding]).unwrap().unwrap();
        let fate = sent(&HookChain::new(&host.hooks()), &["x"]).remove(0).0;
        let problem = host.status()[0].problem.clone().unwrap_or_default();
        assert!(problem.contains("is not there"), "{problem}");
        host.close();
        fate
    };
    assert!(matches!(with(None), Decision::Reject(_)), "a missing plugin is a failed plugin");
    assert_eq!(with(Some(OnFailure::Open)), Decision::Admit);
}

#[test]
fn a_component_that_is_too_large_is_not_read() {
    let shelf = Shelf::new();
    let digest = format!("sha256:{}", "0".repeat(64));
    let file = blockhouse_disk::RealDisk.create(&shelf.path(&digest)).unwrap();
    file.set_len((64 << 20) + 1).unwrap();
    let refusal = refused(&shelf, binding(&digest, "{}"));
    assert!(refusal.contains("larger than 64 MiB"), "{refusal}");
}

#[test]
fn a_component_is_compiled_once_and_again_when_its_code_was_touched() {
    let shelf = Shelf::new();
    let digest = shelf.put(&component("conformance"));
    let start = || {
        let host = shelf.start(vec![binding(&digest, r#"{"reject_body": "x"}"#)]).unwrap().unwrap();
        let fate = sent(&HookChain::new(&host.hooks()), &["x"]).remove(0).0;
        assert!(matches!(fate, Decision::Reject(_)));
        host.close();
        let code = host.code();
        (code.cached, code.compiled, code.refused)
    };
    assert_eq!(start(), (0, 1, 0));
    assert_eq!(start(), (1, 0, 0));
    let cache = shelf.path(&digest).parent().unwrap().join("cache");
    let kept = blockhouse_disk::RealDisk.list(&cache).unwrap().remove(0);
    let file = blockhouse_disk::RealDisk.open(&cache.join(&kept.name)).unwrap();
    file.write_at(b"x", kept.len / 2).unwrap();
    assert_eq!(start(), (0, 1, 1));
    assert_eq!(start(), (1, 0, 0));
}
