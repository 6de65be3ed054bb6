//! The first bytes of a connection under TLS: once no more are needed to judge a hello, more change nothing.
#![no_main]

#[path = "../../../sdk/transport/src/tls/hello.rs"]
mod hello;

use hello::is_incomplete;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    // The first byte says whether it is a hello at all; without one, all waits.
    assert!(is_incomplete(b""));
    let judged = (1..=data.len()).find(|len| !is_incomplete(&data[..*len]));
    if let Some(len) = judged {
        assert!((len..=data.len()).all(|len| !is_incomplete(&data[..len])));
    }
});
