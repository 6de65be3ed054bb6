//! Whatever somebody does to the files, `verify` says so.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use blockhouse_disk::{Disk, MemDisk, RealDisk, whole};

use super::{Bench, all, check};
use crate::{Config, public_key};

const SEGMENT: u64 = 1 << 16;

fn config() -> Config {
    Config { segment_bytes: SEGMENT, ..Config::default() }
}

/// A closed log of two segments.
fn log() -> (MemDisk, PathBuf) {
    let disk = MemDisk::new();
    let mut bench = Bench::open(Arc::new(disk.clone()), &config()).unwrap();
    for n in 0..130 {
        assert!(bench.admin(&format!("topic-{n}")));
    }
    let dir = bench.dir.clone();
    bench.close();
    assert_eq!(firsts(&disk, &dir).len(), 2);
    (disk, dir)
}

fn firsts(disk: &MemDisk, dir: &Path) -> Vec<u64> {
    crate::segment::list(disk, dir).unwrap()
}

/// What `verify` says after a change of one file.
fn after(
    disk: &MemDisk,
    dir: &Path,
    name: &str,
    change: impl FnOnce(Vec<u8>) -> Vec<u8>,
) -> Vec<String> {
    let disk = disk.snapshot();
    let path = dir.join(name);
    let bytes = whole::read(&disk, &path).unwrap().unwrap();
    whole::replace(&disk, &path, &change(bytes)).unwrap();
    let disk: Arc<dyn Disk> = Arc::new(disk);
    let report = check(&disk, dir, None);
    report.findings.iter().map(ToString::to_string).collect()
}

fn lines(bytes: &[u8]) -> Vec<Vec<u8>> {
    bytes.split_inclusive(|b| *b == b'\n').map(<[u8]>::to_vec).collect()
}

fn name(first: u64, suffix: &str) -> String {
    format!("{first:020}.{suffix}")
}

#[test]
fn each_changed_byte_of_a_record_is_found() {
    let (disk, dir) = log();
    let path = dir.join(name(0, "jsonl"));
    let len = whole::read(&disk, &path).unwrap().unwrap().len();
    // Every byte of the first record, and some of all others.
    for at in (0..800).step_by(3).chain((800..len).step_by(997)) {
        let found = after(&disk, &dir, &name(0, "jsonl"), |mut bytes| {
            bytes[at] ^= 1;
            bytes
        });
        assert!(!found.is_empty(), "byte {at}");
    }
}

#[test]
fn the_record_and_the_reason_are_named() {
    let (disk, dir) = log();
    let records = name(0, "jsonl");
    let second = firsts(&disk, &dir)[1];
    let changed = |text: Vec<u8>| {
        String::from_utf8(text).unwrap().replacen("topic-3\"", "topic-4\"", 1).into_bytes()
    };
    let found = after(&disk, &dir, &records, changed);
    assert!(found[0].contains("records 4 to 4 are not those that were signed"), "{found:#?}");
    assert!(found[1].contains("record 5 does not follow the one before it"), "{found:#?}");

    let found = after(&disk, &dir, &records, |bytes| {
        let mut lines = lines(&bytes);
        lines.remove(7);
        lines.concat()
    });
    assert!(found[0].contains("record 8 stands where 7 should: 1 were removed"), "{found:#?}");

    let found = after(&disk, &dir, &records, |bytes| {
        let mut lines = lines(&bytes);
        lines.swap(7, 8);
        lines.concat()
    });
    assert!(found[0].contains("record 8 stands where 7 should"), "{found:#?}");

    let found = after(&disk, &dir, &records, |bytes| {
        let mut lines = lines(&bytes);
        lines.pop();
        lines.concat()
    });
    let whole = format!("it ends with {} records, but {second} were signed", second - 1);
    assert!(found[0].contains(&whole), "{found:#?}");

    let found = after(&disk, &dir, &name(second, "jsonl"), |bytes| bytes[..1_500].to_vec());
    assert!(found[0].contains("were signed: its end was cut"), "{found:#?}");
}

#[test]
fn a_replaced_checkpoint_is_found() {
    let (disk, dir) = log();
    let second = firsts(&disk, &dir)[1];
    for first in [0, second] {
        let tree = name(first, "tree");
        let len = whole::read(&disk, &dir.join(&tree)).unwrap().unwrap().len();
        for at in (0..len).step_by(if first == 0 { 211 } else { 17 }) {
            let mut is_end = false;
            let found = after(&disk, &dir, &tree, |mut bytes| {
                bytes[at] ^= 4;
                // What is cut from the end of the last file may be of a crash.
                is_end = first == second && at + 400 > bytes.len();
                bytes
            });
            assert!(is_end || !found.is_empty(), "byte {at} of {tree}");
        }
    }
    // The checkpoint of another key.
    let (other, other_dir) = log();
    let foreign = whole::read(&other, &other_dir.join(name(second, "tree"))).unwrap().unwrap();
    let found = after(&disk, &dir, &name(second, "tree"), |_| foreign);
    assert!(found.iter().any(|what| what.contains("is of another log")), "{found:#?}");
}

#[test]
fn a_removed_segment_is_found() {
    let (disk, dir) = log();
    let second = firsts(&disk, &dir)[1];
    let copy = disk.snapshot();
    for suffix in ["jsonl", "tree"] {
        copy.remove(&dir.join(name(0, suffix))).unwrap();
    }
    let copy: Arc<dyn Disk> = Arc::new(copy);
    let found = check(&copy, &dir, None).findings;
    let gone = format!("records 0 to {} are gone, and no record announces that", second - 1);
    assert!(found[0].what.contains(&gone), "{found:#?}");
}

#[test]
fn a_cut_that_takes_the_checkpoints_along_is_found_by_one_from_elsewhere() {
    let disk = MemDisk::new();
    let mut bench = Bench::open(Arc::new(disk.clone()), &Config::default()).unwrap();
    bench.admin("a");
    let old = disk.snapshot();
    bench.admin("b");
    let kept = bench.status.lock().checkpoint.clone();
    bench.admin("c");
    let here: Arc<dyn Disk> = Arc::new(disk.clone());
    let report = check(&here, &bench.dir, Some(kept.clone()));
    assert_eq!((report.anchored, report.findings), (Some(3), vec![]));

    let old: Arc<dyn Disk> = Arc::new(old);
    assert_eq!(check(&old, &bench.dir, None).findings, [], "an older copy is whole in itself");
    let report = check(&old, &bench.dir, Some(kept.clone()));
    assert!(report.findings[0].what.contains("an older copy put back"), "{report:#?}");

    // Another history of the same key and length.
    let mut fork = Bench::at(old, &bench.dir, &Config::default(), 1_000_000).unwrap();
    fork.admin("x");
    let report = check(&fork.disk, &bench.dir, Some(kept.clone()));
    assert!(report.findings[0].what.contains("kept elsewhere"), "{report:#?}");
    let wrong = kept.replace("\n3\n", "\n2\n");
    let key = public_key(&disk, &bench.dir).unwrap();
    let request = crate::Request { key, checkpoint: Some(wrong) };
    assert!(crate::verify(&disk, &bench.dir, &request).is_err());
}

#[test]
fn a_changed_log_is_not_written_on() {
    let (disk, dir) = log();
    let second = firsts(&disk, &dir)[1];
    let open = |change: &dyn Fn(Vec<u8>) -> Vec<u8>| {
        let disk = disk.snapshot();
        let path = dir.join(name(second, "jsonl"));
        let bytes = whole::read(&disk, &path).unwrap().unwrap();
        whole::replace(&disk, &path, &change(bytes)).unwrap();
        Bench::at(Arc::new(disk), &dir, &config(), 2_000_000).err().map(|error| error.to_string())
    };
    assert_eq!(open(&|bytes| bytes), None);
    let changed = open(&|mut bytes| {
        bytes[300] ^= 1;
        bytes
    });
    assert!(changed.unwrap().contains("keep /data/blockhouse/audit as evidence"));
    let cut = open(&|bytes| lines(&bytes)[..3].concat()).unwrap();
    assert!(cut.contains("its last checkpoint counts"), "{cut}");
}

#[test]
fn a_file_that_is_taken_away_is_noticed_and_recorded() {
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path().join("audit");
    let disk: Arc<dyn Disk> = Arc::new(RealDisk);
    let mut bench = Bench::at(Arc::clone(&disk), &dir, &Config::default(), 1_000_000).unwrap();
    assert!(bench.admin("before"));
    disk.remove(&dir.join(name(0, "jsonl"))).unwrap();
    bench.pass(Duration::from_secs(1));
    assert!(bench.admin("after"));
    let records = all(&disk, &dir);
    assert_eq!(records[0].activity_name, "Audit file replaced");
    assert_eq!(records[1].resource(), "after");
    let found = bench.verify().findings;
    assert!(found[0].what.contains("no record announces that"), "{found:#?}");
}
