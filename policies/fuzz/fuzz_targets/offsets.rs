//! The progress of groups, and its journal, whose sums are made right here: read or refused, and what was read is
//! written and read again as the same.
#![no_main]

use std::path::{Path, PathBuf};
use std::sync::Arc;

use blockhouse_disk::{MemDisk, whole};
use blockhouse_meta::{Home, Offsets};
use blockhouse_model::{ManualClock, Timestamp};
use libfuzzer_sys::fuzz_target;

const FILE: &str = "d/config/consumerOffset.json";
const JOURNAL: &str = "d/blockhouse/offsets.log";
const TEXT: &[u8] = br#"{"offsetTable":{"t@g":{0:7,1:9}}}"#;

fuzz_target!(|data: &[u8]| {
    let (choice, data) = data.split_first().unwrap_or((&0, &[]));
    let disk = MemDisk::new();
    let put = |path: &str, bytes: &[u8]| whole::replace(&disk, Path::new(path), bytes).expect("memory");
    match choice % 4 {
        0 => put(FILE, data),
        1 => put(JOURNAL, data),
        version => {
            put(FILE, TEXT);
            put(JOURNAL, &journal(version - 1, data));
        }
    }
    let Ok(offsets) = open(&disk) else { return };
    offsets.persist().expect("memory");
    let again = open(&disk.snapshot()).expect("what was written is read");
    assert_eq!(again.all(), offsets.all());
});

fn open(disk: &MemDisk) -> Result<Offsets, blockhouse_meta::Error> {
    let clock = Arc::new(ManualClock::at(Timestamp(7)));
    Offsets::open(&Home { disk: Arc::new(disk.clone()), dir: PathBuf::from("d"), clock })
}

/// A journal that continues the file: a byte for the length of each record's body, and that.
fn journal(version: u8, data: &[u8]) -> Vec<u8> {
    let digest = [&(TEXT.len() as u64).to_le_bytes()[..], &crc32fast::hash(TEXT).to_le_bytes()].concat();
    let mut bytes = [b"BHOFFS\0", &[version][..], &digest, &digest].concat();
    bytes.extend_from_slice(&crc32fast::hash(&bytes).to_le_bytes());
    let mut rest = data;
    while let Some((len, more)) = rest.split_first() {
        let (body, more) = more.split_at(usize::from(*len).min(more.len()));
        bytes.extend_from_slice(&(body.len() as u16).to_le_bytes());
        bytes.extend_from_slice(&crc32fast::hash(body).to_le_bytes());
        bytes.extend_from_slice(body);
        rest = more;
    }
    bytes
}
