//! The log of a Java broker 5.4.0: opened, and its queues and index built to the same bytes.

use std::path::{Path, PathBuf};

use blockhouse_disk::Disk;
use blockhouse_store::{Config, examine};

use crate::rig::{DIR, Rig, config, draft, send};

fn data() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../sdk/protocol/tests/data/store")
}

fn file(name: &str) -> Vec<u8> {
    blockhouse_disk::whole::read(&blockhouse_disk::RealDisk, &data().join(name)).unwrap().unwrap()
}

fn hex(text: &str) -> Vec<u8> {
    text.as_bytes()
        .chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect()
}

#[test]
fn a_java_brokers_log_gives_its_own_queues_and_index() {
    let defaults = Config::default();
    let rig = Rig::with(Config {
        segment_size: defaults.segment_size,
        queue_file_entries: defaults.queue_file_entries,
        index_tags: true,
        index_slots: defaults.index_slots,
        index_entries: defaults.index_entries,
        ..config()
    });
    let log = file("commitlog/00000000000000000000");
    let path = Path::new(DIR).join("commitlog/00000000000000000000");
    let segment = rig.disk.create(&path).unwrap();
    segment.write_at(&log, 0).unwrap();
    segment.set_len(rig.config.segment_size).unwrap();
    rig.disk.create(&Path::new(DIR).join("abort")).unwrap();

    let store = rig.open();
    assert_eq!(store.stats().log_end.0, log.len() as u64);
    store.flush().unwrap();
    let queues = blockhouse_disk::RealDisk.list(&data().join("consumequeue")).unwrap();
    assert!(queues.len() > 5);
    for entry in queues {
        let (topic, queue) = entry.name.rsplit_once('.').unwrap();
        let theirs = file(&format!("consumequeue/{}", entry.name));
        let ours = rig.bytes(&format!("consumequeue/{topic}/{queue}/{:020}", 0));
        assert_eq!(ours.len(), 6_000_000);
        assert_eq!(ours[..theirs.len()], theirs, "{}", entry.name);
        assert!(ours[theirs.len()..].iter().all(|b| *b == 0), "{}", entry.name);
    }
    compare_index(&rig);

    // And it goes on.
    let placed = send(&store, &[draft("gold_topic", 2, b"x", "")])[0];
    assert_eq!((placed.queue_offset.0, placed.physical_offset.0), (3, log.len() as u64));
}

#[test]
fn nothing_is_wrong_with_what_a_java_broker_wrote() {
    let disk = blockhouse_disk::MemDisk::new();
    let put = |name: String, bytes: &[u8], len: u64| {
        let file = disk.create(&Path::new(DIR).join(name)).unwrap();
        file.write_at(bytes, 0).unwrap();
        file.set_len(len).unwrap();
    };
    put(
        "commitlog/00000000000000000000".to_owned(),
        &file("commitlog/00000000000000000000"),
        1 << 30,
    );
    for entry in blockhouse_disk::RealDisk.list(&data().join("consumequeue")).unwrap() {
        let (topic, queue) = entry.name.rsplit_once('.').unwrap();
        let name = format!("consumequeue/{topic}/{queue}/{:020}", 0);
        put(name, &file(&format!("consumequeue/{}", entry.name)), 6_000_000);
    }
    // Java's index is known in part only.
    let options = examine::Options { no_index: true, ..examine::Options::default() };
    let disk = std::sync::Arc::new(disk);
    let site = examine::Site::open(disk, Path::new(DIR), options, examine::Access::Read).unwrap();
    let report = examine::check(&site, &mut |_, _| ()).unwrap();
    // Of some queues no files were kept.
    let damage = |f: &&examine::Finding| f.severity == examine::Severity::Damage;
    let left = report.findings.list.iter().filter(damage);
    let left: Vec<_> = left.filter(|f| !f.problem.contains("there is no such file")).collect();
    assert!(left.is_empty(), "{left:?}");
    let kinds = report.survey.kinds;
    assert!(kinds.normal > 0 && kinds.delayed > 0 && kinds.half > 0 && kinds.op > 0, "{kinds:?}");
}

fn compare_index(rig: &Rig) {
    let path = rig.disk.paths().into_iter().find(|p| p.starts_with("/data/index")).unwrap();
    let index = rig.disk.open(&path).unwrap();
    assert_eq!(index.len().unwrap(), 420_000_040);
    let bytes_at = |at: u64, len: usize| {
        let mut bytes = vec![0; len];
        index.read_at(&mut bytes, at).unwrap();
        bytes
    };
    let json = String::from_utf8(file("index.json")).unwrap();
    let mut entry = 0;
    for line in json.lines() {
        let words: Vec<_> = line.split('"').collect();
        match words.as_slice() {
            // An entry of the list, in order.
            ["", bytes, "" | ","] => {
                let at = 40 + 5_000_000 * 4 + entry * 20;
                assert_eq!(bytes_at(at, 20), hex(bytes), "entry {entry}");
                entry += 1;
            }
            // `"slot": newest entry`.
            ["", slot, newest] if slot.bytes().all(|b| b.is_ascii_digit()) => {
                let newest: u32 = newest.trim_matches([':', ' ', ',']).parse().unwrap();
                let at = 40 + slot.parse::<u64>().unwrap() * 4;
                if u64::from(newest) < 13 {
                    assert_eq!(bytes_at(at, 4), newest.to_be_bytes(), "slot {slot}");
                }
            }
            _ => {}
        }
    }
    assert!(entry > 10);
    // The rest of the header depends on how far the log goes.
    assert_eq!(bytes_at(0, 8), hex("000001a209c1872e"));
}
