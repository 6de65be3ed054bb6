//! Registrations, in both forms: the first byte of the input picks old or new brokers.
#![no_main]

use blockhouse_protocol::body::registration::RegisterBrokerBody;
use blockhouse_protocol::codes::version;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Some((which, body)) = data.split_first() else { return };
    let version = if which & 1 == 0 { version::CURRENT } else { version::V4_9_3 };
    if let Ok(read) = RegisterBrokerBody::decode_any(body, version) {
        let packed = read.encode_compressed();
        RegisterBrokerBody::decode_any(&packed, version::CURRENT).ok();
    }
});
