//! `blockhouse/queues`: starts that look at no queue's files, and when it is not believed.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use blockhouse_disk::{Disk, whole};
use blockhouse_model::{QueueId, Timestamp};
use blockhouse_store::{Boundary, Config, Error, Store};

use crate::rig::{DIR, Rig, bodies, config, draft, send};

const TABLE: &str = "blockhouse/queues";

fn path(name: &str) -> PathBuf {
    Path::new(DIR).join(name)
}

fn file(topic: &str, queue: u32) -> String {
    format!("consumequeue/{topic}/{queue}/00000000000000000000")
}

/// No checkpoint by itself.
fn rig() -> Rig {
    Rig::with(Config { checkpoint_interval_ms: u64::MAX, ..config() })
}

fn fill(store: &Store, topic: &str, count: u32) {
    for n in 0..count {
        send(store, &[draft(topic, n % 2, &n.to_be_bytes(), "")]);
    }
}

fn counts(store: &Store) -> Vec<(String, u32, u64, u64)> {
    let row = |q: blockhouse_store::QueueBounds| (q.topic.to_string(), q.queue.0, q.min.0, q.max.0);
    store.queues(None).into_iter().map(row).collect()
}

fn remove(rig: &Rig, name: &str) {
    rig.disk.remove(&path(name)).unwrap();
}

#[test]
fn a_start_looks_at_no_more_than_the_last_entry_of_queues() {
    for is_clean in [true, false] {
        let rig = rig();
        let store = rig.open();
        fill(&store, "t", 20);
        fill(&store, "u", 10);
        store.flush().unwrap();
        // Made after the checkpoint: it comes from the log.
        fill(&store, "v", 6);
        fill(&store, "t", 2);
        store.tick();
        if is_clean {
            store.close().unwrap();
        }
        let expected = counts(&store);
        drop(store);
        let rig = rig.killed();
        // Who looks for the end would find a shorter queue.
        rig.disk.open(&path(&file("u", 1))).unwrap().write_at(&[0; 4 * 20], 0).unwrap();
        let store = rig.open();
        assert_eq!(counts(&store), expected);
        assert_eq!(store.stats().replayed, if is_clean { 0 } else { 8 });
        for (topic, queue, count) in [("t", 0, 11), ("t", 1, 11), ("u", 0, 5), ("v", 1, 3)] {
            assert_eq!(bodies(&store, topic, queue, 0).len(), count, "{topic} {queue}");
        }
        let placed = send(&store, &[draft("u", 0, b"x", ""), draft("v", 1, b"x", "")]);
        assert_eq!([placed[0].queue_offset.0, placed[1].queue_offset.0], [5, 3]);
    }
}

#[test]
fn a_table_that_is_not_whole_or_of_another_moment_is_not_believed() {
    let rig = rig();
    let store = rig.open();
    fill(&store, "t", 20);
    store.flush().unwrap();
    let older = rig.bytes(TABLE);
    fill(&store, "t", 20);
    store.flush().unwrap();
    fill(&store, "t", 2);
    store.tick();
    let expected = counts(&store);
    drop(store);
    let newer = rig.bytes(TABLE);
    let damaged = |at: usize| {
        let mut bytes = newer.clone();
        bytes[at] ^= 1;
        bytes
    };
    let mut all: Vec<_> = (0..newer.len()).map(damaged).collect();
    all.extend([older, Vec::new(), newer[..newer.len() - 1].to_vec()]);
    for bytes in all {
        let rig = rig.killed();
        whole::replace(&rig.disk, &path(TABLE), &bytes).unwrap();
        let store = rig.open();
        assert_eq!(counts(&store), expected);
        assert_eq!(bodies(&store, "t", 0, 0).len(), 21);
        assert_eq!(bodies(&store, "t", 1, 0).len(), 21);
    }
    let other = rig.killed();
    remove(&other, TABLE);
    assert_eq!(counts(&other.open()), expected);
}

#[test]
fn a_table_of_other_file_sizes_is_not_believed() {
    let mut rig = rig();
    let store = rig.open();
    fill(&store, "t", 20);
    store.close().unwrap();
    drop(store);
    rig.config.queue_file_entries += 1;
    let rig = rig.killed();
    let refused = rig.open_on(Arc::new(rig.disk.clone())).err();
    assert!(matches!(refused, Some(Error::Format { .. })), "{refused:?}");
}

#[test]
fn deleted_topics_stay_away_whoever_deleted_them() {
    let rig = rig();
    let store = rig.open();
    for topic in ["t", "u", "v"] {
        fill(&store, topic, 20);
    }
    store.flush().unwrap();
    store.delete_topic("t").unwrap();
    store.delete_topic("never").unwrap();
    assert!(rig.has(TABLE));
    drop(store);
    let rig = rig.killed();
    let store = rig.open();
    assert!(store.queues(Some("t")).is_empty());
    assert_eq!(bodies(&store, "u", 1, 0).len(), 10);
    store.close().unwrap();
    drop(store);
    // RocketMQ removes the directory and knows of no table.
    let rig = rig.killed();
    rig.disk.remove_dir(&path("consumequeue/u")).unwrap();
    let left = counts(&rig.open());
    assert!(left.iter().all(|queue| queue.0 == "v"), "{left:?}");
}

#[test]
fn without_their_directory_all_queues_are_built_anew() {
    for (is_clean, has_table) in [(true, true), (true, false), (false, true), (false, false)] {
        let rig = rig();
        let store = rig.open();
        fill(&store, "t", 250);
        fill(&store, "u", 10);
        store.flush().unwrap();
        if is_clean {
            store.close().unwrap();
        } else {
            fill(&store, "t", 20);
        }
        let expected = counts(&store);
        drop(store);
        let rig = rig.killed();
        rig.disk.remove_dir(&path("consumequeue")).unwrap();
        if !has_table {
            remove(&rig, TABLE);
        }

        let store = rig.open();
        assert_eq!(counts(&store), expected);
        let placed = send(&store, &[draft("t", 1, b"next", "")]);
        let before = usize::try_from(placed[0].queue_offset.0).unwrap();
        assert_eq!(bodies(&store, "t", 1, 0).len(), before + 1);
        assert_eq!(bodies(&store, "u", 0, 0).len(), 5);
        drop(store);
        // Before anything is written, the log is known to be read again.
        let store = rig.killed().open();
        assert_eq!(bodies(&store, "t", 1, 0).len(), before + 1);
    }
}

#[test]
fn entries_of_records_that_are_lost_are_not_left_behind() {
    let rig = rig();
    let store = rig.open();
    fill(&store, "t", 20);
    store.flush().unwrap();
    let mut placed = Vec::new();
    for n in 0..10_u32 {
        placed.extend(send(&store, &[draft("t", 0, &n.to_be_bytes(), "")]));
    }
    // A queue of which nothing is left.
    send(&store, &[draft("late", 0, b"x", "")]);
    store.flush().unwrap();
    let entries = rig.bytes(&file("t", 0));
    let lost = usize::try_from(placed[4].queue_offset.0).unwrap();
    assert_ne!(entries[lost * 20..][..20], [0; 20]);
    drop(store);

    // The checkpoint before is still the newest, and what was flushed is not known.
    let rig = rig.killed();
    let earlier = {
        let first = Rig::with(rig.config.clone());
        let store = first.open();
        fill(&store, "t", 20);
        store.flush().unwrap();
        drop(store);
        first
    };
    for name in [TABLE, "blockhouse/checkpoint", "checkpoint"] {
        whole::replace(&rig.disk, &path(name), &earlier.bytes(name)).unwrap();
    }
    remove(&rig, "blockhouse/flushed");
    let at = placed[4].physical_offset.0;
    let log = rig.disk.open(&path("commitlog/00000000000000000000")).unwrap();
    log.write_at(&[0xEE; 3], at + 88).unwrap();
    let store = rig.open();
    assert_eq!(store.stats().log_end.0, at);
    store.tick();
    let max = usize::try_from(store.max_offset("t", QueueId(0)).0).unwrap();
    assert_eq!(max, lost);
    let now = rig.bytes(&file("t", 0));
    assert_eq!(now[..max * 20], entries[..max * 20]);
    assert!(now[max * 20..].iter().all(|byte| *byte == 0));
    assert!(!rig.has(&file("late", 0)));
    assert_eq!(now.len(), entries.len());
}

#[test]
fn what_expired_after_the_checkpoint_stays_gone() {
    let rig = Rig::with(Config { file_reserved_hours: 1, ..rig().config });
    let store = rig.open();
    for n in 0..600_u32 {
        send(&store, &[draft("t", n % 2, &[7; 20], ""), draft("idle", 0, b"x", "")]);
    }
    store.flush().unwrap();
    rig.clock.advance(Duration::from_hours(2));
    send(&store, &[draft("t", 0, b"x", "")]);
    assert!(store.delete_expired().unwrap() > 3);
    let expected = counts(&store);
    assert!(expected[1].2 > 100, "{expected:?}");
    drop(store);
    let rig = rig.killed();
    let store = rig.open();
    assert_eq!(counts(&store), expected);
    for (topic, queue, min, max) in &expected {
        assert_eq!(bodies(&store, topic, *queue, *min).len() as u64, max - min);
        let at = store.offset_by_time(topic, QueueId(*queue), Timestamp(0), Boundary::Lower);
        assert_eq!(at.0, *min);
    }
    // And so it is with a table that says so.
    store.close().unwrap();
    drop(store);
    assert_eq!(counts(&rig.killed().open()), expected);
}

#[test]
fn a_file_that_a_crash_left_empty_gets_its_length() {
    let rig = rig();
    let store = rig.open();
    fill(&store, "t", 20);
    store.flush().unwrap();
    send(&store, &[draft("new", 0, b"x", "")]);
    drop(store);
    let rig = rig.killed();
    rig.disk.create(&path(&file("new", 0))).unwrap();
    let store = rig.open();
    store.flush().unwrap();
    assert_eq!(rig.bytes(&file("new", 0)).len(), 100 * 20);
    assert_eq!(bodies(&store, "new", 0, 0), [b"x"]);
}

#[test]
fn a_queue_whose_end_is_lost_is_built_anew() {
    let lose: [fn(&Rig); 4] = [
        |rig| remove(rig, &file("t", 1)),
        |rig| rig.disk.open(&path(&file("t", 1))).unwrap().zero_from(13 * 20).unwrap(),
        |rig| rig.disk.open(&path(&file("t", 1))).unwrap().set_len(13 * 20).unwrap(),
        |rig| rig.disk.open(&path(&file("t", 1))).unwrap().set_len(0).unwrap(),
    ];
    for lose in lose {
        for is_clean in [true, false] {
            let rig = rig();
            let store = rig.open();
            fill(&store, "t", 60);
            fill(&store, "u", 10);
            store.flush().unwrap();
            if is_clean {
                store.close().unwrap();
            } else {
                fill(&store, "t", 6);
            }
            let expected = counts(&store);
            drop(store);
            let rig = rig.killed();
            let good = rig.bytes(&file("t", 1));
            assert!(rig.has(TABLE));
            lose(&rig);
            for _ in 0..2 {
                let store = rig.open();
                assert_eq!(counts(&store), expected, "{is_clean}");
                for (topic, queue, min, max) in &expected {
                    assert_eq!(bodies(&store, topic, *queue, *min).len() as u64, max - min);
                }
                store.close().unwrap();
                drop(store);
                assert_eq!(rig.bytes(&file("t", 1))[..30 * 20], good[..30 * 20]);
            }
            let placed = send(&rig.open(), &[draft("t", 1, b"next", "")]);
            assert_eq!(placed[0].queue_offset.0, expected[1].3);
        }
    }
}
