//! The files of an audit log: readers and the check end, whatever is in them.
#![no_main]

use std::path::Path;
use std::sync::Arc;

use blockhouse_audit::{PublicKey, Request, records, verify};
use blockhouse_disk::{MemDisk, whole};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let (disk, dir) = (MemDisk::new(), Path::new("audit"));
    let mut parts = data.split(|byte| *byte == 0x0c);
    let mut lines = 0;
    for (name, is_records) in [("00000000000000000000.jsonl", true), ("00000000000000000000.tree", false),
        ("00000000000000000002.jsonl", true), ("00000000000000000002.tree", false)]
    {
        let Some(part) = parts.next() else { break };
        whole::replace(&disk, &dir.join(name), part).expect("memory");
        if is_records {
            lines += part.iter().filter(|byte| **byte == b'\n').count();
        }
    }
    let mut seen = 0;
    let _missing = records(Arc::new(disk.clone()), dir, &mut |_, record| {
        seen += 1;
        if let Some(record) = record {
            let _shown = (record.principal(), record.resource(), record.peer(), record.decided_by());
        }
        true
    });
    assert!(seen <= lines);
    let key: PublicKey = KEY.parse().expect("a key");
    let checkpoint = parts.next().and_then(|text| str::from_utf8(text).ok()).map(str::to_owned);
    let _refused = verify(&disk, dir, &Request { key, checkpoint });
});

const KEY: &str = "blockhouse-audit-ad7a09aba20f6caf+da9c78aa+AYGUnUCyN8vLbUnTOux/1rzqwMGZKn/evaa38YzInEK8";
