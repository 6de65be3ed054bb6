//! Java's dialect: what is read can be written in both dialects, and is read again as the same.
#![no_main]

#[path = "../typed.rs"]
#[expect(dead_code, reason = "other targets have bodies and headers")]
mod typed;

use std::collections::BTreeMap;

use blockhouse_protocol::{MessageQueue, fastjson};
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

fuzz_target!(|data: &[u8]| {
    if let Ok(tree) = fastjson::read::<Value>(data) {
        for text in [fastjson::write(&tree), fastjson::write_strict(&tree)] {
            let back: Value = fastjson::read(&text).expect("what was written is read");
            assert!(typed::is_same(&back, &tree), "{back} is not {tree}");
        }
    }
    if let Ok(map) = fastjson::read::<BTreeMap<MessageQueue, i64>>(data) {
        let back: BTreeMap<MessageQueue, i64> =
            fastjson::read(&fastjson::write(&map)).expect("what was written is read");
        assert_eq!(back, map);
    }
});
