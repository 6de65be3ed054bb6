//! Batch bodies: at most one error, at the end; what is read can be written.
#![no_main]

use blockhouse_protocol::batch;
use bytes::BytesMut;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let mut failed = false;
    for message in batch::messages(data) {
        assert!(!failed);
        let Ok(message) = message else {
            failed = true;
            continue;
        };
        let mut out = BytesMut::new();
        batch::push(&mut out, message.flag, message.body, message.properties)
            .expect("what was read fits");
        assert_eq!(batch::messages(&out).next().and_then(Result::ok), Some(message));
    }
});
