//! Credentials in a frame, and in the header of gRPC's clients: what is signed verifies, and nothing else.
#![no_main]

use blockhouse_authn::SigningKey;
use blockhouse_authn::grpc::{Authorization, is_fresh};
use blockhouse_authn::signature::decode;
use blockhouse_protocol::frame::{FRAME_LEN_MAX, split};
use blockhouse_protocol::signed::{SIGNATURE, SignedFields};
use bytes::BytesMut;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let key = SigningKey::new(b"a secret that is long enough");
    let mut buf = BytesMut::from(data);
    let mut signed = SignedFields::default();
    while let Ok(Some(command)) = split(&mut buf, FRAME_LEN_MAX) {
        let claimed = command.ext.get(SIGNATURE).and_then(decode);
        let Some(fields) = signed.of(&command) else { continue };
        let right = decode(&key.sign(fields, &command.body));
        assert!(right.is_some() && key.verifies(right, [fields, &command.body]));
        assert_eq!(key.verifies(claimed, [fields, &command.body]), claimed == right);
    }
    if let Ok(text) = str::from_utf8(data) {
        let _none_or_fresh = is_fresh(text, 1_780_000_000);
        if let Some(header) = Authorization::parse(text) {
            assert!(!header.access_key.is_empty());
        }
    }
});
