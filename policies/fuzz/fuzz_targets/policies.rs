//! Policies, their model and their tests: whatever the files hold, the compiler and casbin agree on it or
//! it is refused.
#![no_main]

use blockhouse_authz::{File, Files, Mode, Policies};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    // Longer ones find nothing more, and casbin takes long for them.
    let Some(text) = str::from_utf8(data).ok().filter(|text| text.len() <= 2_048) else { return };
    let mut parts = text.split('\x0c');
    let mut files = Vec::new();
    for name in ["a.csv", "tests/a.toml", "model.conf"] {
        if let Some(text) = parts.next() {
            files.push(File { name: name.to_owned(), text: text.to_owned() });
        }
    }
    let Ok(files) = Files::new(files) else { return };
    for mode in [Mode::DenyOverride, Mode::Acl2] {
        if let Err(refused) = Policies::load(&files, mode) {
            let said = refused.to_string();
            // A refusal may quote the files.
            let quoted = text.contains("casbin and the index part");
            assert!(quoted || !said.contains("casbin and the index part"), "{said}");
        }
    }
});
