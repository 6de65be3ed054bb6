//! Frames and their headers: what is read can be written, and is read again as the same.
#![no_main]

#[path = "../typed.rs"]
#[expect(dead_code, reason = "another target has the bodies")]
mod typed;

use blockhouse_protocol::encode::{self, Head};
use blockhouse_protocol::frame::{FRAME_LEN_MAX, split};
use bytes::BytesMut;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let mut buf = BytesMut::from(data);
    while let Ok(Some(command)) = split(&mut buf, FRAME_LEN_MAX) {
        typed::headers(&command.ext);
        let head = Head {
            code: command.code,
            language: command.language,
            version: command.version,
            opaque: command.opaque,
            flag: command.flag,
            remark: command.remark(),
        };
        let mut out = BytesMut::new();
        let ext = |ext: &mut encode::ExtWriter<'_>| {
            command.ext.iter().for_each(|(name, value)| ext.pair(name, value));
        };
        encode::frame(&mut out, command.serialize, &head, ext, command.body.len());
        out.extend_from_slice(&command.body);
        // Texts may grow by their escapes.
        if let Some(back) = split(&mut out, usize::MAX).expect("what was written is a frame") {
            assert!(back.ext.iter().eq(command.ext.iter()));
            assert_eq!(back.remark(), command.remark());
            assert_eq!(back.body, command.body);
        }
    }
});
