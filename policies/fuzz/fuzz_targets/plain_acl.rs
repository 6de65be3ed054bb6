//! RocketMQ's `plain_acl.yml`: what is taken has names and permissions that can be written.
#![no_main]

use blockhouse_authn::plain_acl::PlainAcl;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Ok(text) = str::from_utf8(data) else { return };
    if let Err(error) = PlainAcl::parse(text) {
        assert!(error.line <= text.lines().count().max(1), "{error:?}");
    }
});
