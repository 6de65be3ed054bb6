//! Every typed body: what is read can be written, and says the same when it is read again.
#![no_main]

#[path = "../typed.rs"]
#[expect(dead_code, reason = "another target has the headers")]
mod typed;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| typed::bodies(data));
