//! Topics that were deleted and made again: what a start makes of a log that holds both.

use std::path::Path;

use blockhouse_disk::Disk;
use blockhouse_model::{QueueId, Timestamp};
use blockhouse_store::{Config, Store};

use crate::rig::{DIR, Rig, bodies, config, draft, send};

/// Offsets of a record's head.
const QUEUE_OFFSET: u64 = 20;

fn fill(store: &Store, topic: &str, text: &str, count: usize) {
    for n in 0..count {
        let key = format!("UNIQ_KEY\u{1}{text}{n}\u{2}");
        send(store, &[draft(topic, 0, format!("{text} {n}").as_bytes(), &key)]);
    }
}

fn texts(text: &str, count: usize) -> Vec<Vec<u8>> {
    (0..count).map(|n| format!("{text} {n}").into_bytes()).collect()
}

/// What is left when all but RocketMQ's own files is lost, after a kill.
fn without_checkpoints(rig: &Rig) -> Rig {
    let rig = rig.killed();
    for name in ["blockhouse/queues", "blockhouse/checkpoint", "blockhouse/flushed", "checkpoint"] {
        rig.disk.remove(&Path::new(DIR).join(name)).unwrap();
    }
    assert!(rig.has("abort"));
    rig
}

/// Reads the log whole, and once more what that has left.
fn reopened(rig: &Rig, records: u64, check: impl Fn(&Store)) {
    let rig = without_checkpoints(rig);
    let store = rig.open();
    assert_eq!(store.stats().replayed, records);
    check(&store);
    store.close().unwrap();
    drop(store);
    let rig = rig.killed();
    let store = rig.open();
    assert_eq!(store.stats().replayed, 0);
    check(&store);
    drop(store);
    check(&without_checkpoints(&rig).open());
}

#[test]
fn only_the_messages_of_the_new_topic_are_in_its_queue() {
    // One file of a queue and several; fewer, as many and more messages than before.
    for (before, after) in [(10, 4), (4, 4), (1, 1), (3, 1), (1, 7), (250, 30), (30, 250)] {
        let rig = Rig::new();
        let store = rig.open();
        fill(&store, "t", "old", before);
        fill(&store, "u", "other", 5);
        store.delete_topic("t").unwrap();
        fill(&store, "t", "new", after);
        fill(&store, "u", "more", 5);
        let records = (before + after + 10) as u64;
        drop(store);
        reopened(&rig, records, |store| {
            assert_eq!(bodies(store, "t", 0, 0), texts("new", after), "{before} {after}");
            assert_eq!(store.min_offset("t", QueueId(0)).0, 0);
            assert_eq!(bodies(store, "u", 0, 0).len(), 10);
            let found = store.query("t", "new0", 9, Timestamp(0), Timestamp(i64::MAX));
            assert_eq!(found.records.len(), 1);
        });
        let store = without_checkpoints(&rig).open();
        let placed = send(&store, &[draft("t", 0, b"next", "")]);
        assert_eq!(placed[0].queue_offset.0, after as u64);
    }
}

#[test]
fn a_topic_may_be_made_again_more_than_once() {
    let rig = Rig::new();
    let store = rig.open();
    for count in [5, 1, 1, 120, 2] {
        store.delete_topic("t").unwrap();
        fill(&store, "t", "of this life", count);
    }
    drop(store);
    reopened(&rig, 129, |store| {
        assert_eq!(bodies(store, "t", 0, 0), texts("of this life", 2));
    });
}

#[test]
fn a_damaged_queue_offset_is_no_new_topic() {
    let rig = Rig::new();
    let store = rig.open();
    let mut placed = Vec::new();
    for n in 0..20_u32 {
        placed.extend(send(&store, &[draft("t", 0, &n.to_be_bytes(), "")]));
    }
    drop(store);
    for damaged in [1, 8, 16, 18] {
        let rig = without_checkpoints(&rig);
        let log = Path::new(DIR).join("commitlog/00000000000000000000");
        let file = rig.disk.open(&log).unwrap();
        file.write_at(&[0; 8], placed[damaged].physical_offset.0 + QUEUE_OFFSET).unwrap();
        let store = rig.open();
        assert_eq!(store.max_offset("t", QueueId(0)).0, 20);
        let first = crate::rig::read(&store, "t", 0, 0, 1);
        assert_eq!(crate::rig::views(&first)[0].body, 0_u32.to_be_bytes());
        let last = crate::rig::read(&store, "t", 0, 19, 1);
        assert_eq!(crate::rig::views(&last)[0].body, 19_u32.to_be_bytes());
    }
}

#[test]
fn records_that_are_read_again_are_no_new_topic() {
    let rig = Rig::new();
    let store = rig.open();
    fill(&store, "t", "kept", 8);
    // Entries are in files, no checkpoint counts them.
    store.tick();
    drop(store);
    let rig = rig.killed();
    let store = rig.open();
    assert_eq!(bodies(&store, "t", 0, 0), texts("kept", 8));
    store.flush().unwrap();
    fill(&store, "t", "more", 1);
    drop(store);
    assert_eq!(bodies(&rig.killed().open(), "t", 0, 0).len(), 9);
}

#[test]
fn entries_that_a_long_replay_has_written_go_with_the_old_topic() {
    let rig = Rig::with(Config {
        segment_size: 1 << 20,
        queue_file_entries: 10_000,
        checkpoint_interval_ms: u64::MAX,
        ..config()
    });
    let store = rig.open();
    let burst = [draft("t", 0, b"x", ""); 1_000];
    for _ in 0..70 {
        send(&store, &burst);
    }
    store.delete_topic("t").unwrap();
    fill(&store, "t", "new", 3);
    drop(store);
    let rig = without_checkpoints(&rig);
    let store = rig.open();
    assert_eq!(store.stats().replayed, 70_003);
    store.flush().unwrap();
    assert_eq!(bodies(&store, "t", 0, 0), texts("new", 3));
    let entries = rig.bytes("consumequeue/t/0/00000000000000000000");
    assert!(entries[60..].iter().all(|byte| *byte == 0));
    assert!(!rig.has("consumequeue/t/0/00000000000000200000"));
}
