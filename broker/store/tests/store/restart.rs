//! What is there after a stop: clean, killed, torn, cut.

use std::path::Path;
use std::sync::Arc;

use crate::rig::{DIR, Rig, bodies, config, draft, send};
use blockhouse_disk::{Disk, MemDisk};
use blockhouse_model::{QueueId, Timestamp};
use blockhouse_store::{Config, Error, Store};

fn fill(store: &Store, from: u32, to: u32) {
    for n in from..to {
        let body = n.to_be_bytes();
        let text = format!("UNIQ_KEY\u{1}u{n}\u{2}KEYS\u{1}k{}\u{2}TAGS\u{1}a\u{2}", n % 10);
        send(store, &[draft("t", n % 3, &body, &text), draft("u", 0, &body, "")]);
    }
}

/// All that a store with `count` rounds of `fill` must answer.
fn assert_whole(store: &Store, count: u32) {
    let numbers = |queue, topic: &str| -> Vec<u32> {
        let all = bodies(store, topic, queue, 0);
        all.iter().map(|b| u32::from_be_bytes(b.as_slice().try_into().unwrap())).collect()
    };
    for queue in 0..3 {
        let expected: Vec<_> = (0..count).filter(|n| n % 3 == queue).collect();
        assert_eq!(numbers(queue, "t"), expected);
    }
    assert_eq!(numbers(0, "u"), (0..count).collect::<Vec<_>>());
    for n in (0..count).step_by(7) {
        let found = find(store, &format!("u{n}"));
        assert_eq!(found, [n], "by unique key u{n}");
    }
    assert_eq!(find(store, "k3").len(), ((count + 6) / 10).min(64) as usize);
}

fn find(store: &Store, key: &str) -> Vec<u32> {
    let found = store.query("t", key, 64, Timestamp(0), Timestamp(i64::MAX));
    let number = |r: &bytes::Bytes| {
        let view = blockhouse_record::View::parse(r).unwrap();
        u32::from_be_bytes(view.body.try_into().unwrap())
    };
    found.records.iter().map(number).collect()
}

#[test]
fn a_clean_stop_reads_nothing_again() {
    let rig = Rig::new();
    let mut count = 0;
    for _ in 0..3 {
        let store = rig.open();
        assert!(rig.has("abort"));
        assert_eq!(store.stats().replayed, 0);
        assert_whole(&store, count);
        fill(&store, count, count + 150);
        count += 150;
        assert_whole(&store, count);
        store.close().unwrap();
        assert!(!rig.has("abort"));
        assert_whole(&store, count);
    }
    let store = rig.open();
    assert_whole(&store, count);
}

#[test]
fn a_kill_loses_nothing_that_was_written() {
    let rig = Rig::new();
    let store = rig.open();
    fill(&store, 0, 100);
    let killed = rig.killed();
    let again = killed.open();
    assert_eq!(again.stats().replayed, 200);
    assert_whole(&again, 100);
    // After a checkpoint only what follows is read again.
    store.flush().unwrap();
    fill(&store, 100, 130);
    store.tick();
    fill(&store, 130, 140);
    let killed = rig.killed();
    let again = killed.open();
    assert!(again.stats().replayed <= 80, "{}", again.stats().replayed);
    assert_whole(&again, 140);
    fill(&again, 140, 200);
    assert_whole(&again, 200);
    // And once more on top.
    drop(again);
    let again = killed.killed().open();
    assert_whole(&again, 200);
    again.close().unwrap();
}

#[test]
fn dropping_is_not_closing() {
    let rig = Rig::new();
    fill(&rig.open(), 0, 50);
    assert!(rig.has("abort"));
    assert_whole(&rig.open(), 50);
}

/// Kills after `count` rounds, damages the log's last bytes, and opens again.
fn damaged(count: u32, damage: impl Fn(&dyn Disk, &Path, u64)) -> (Rig, Store) {
    let rig = Rig::new();
    let store = rig.open();
    fill(&store, 0, count / 2);
    store.flush().unwrap();
    fill(&store, count / 2, count);
    let end = store.stats().log_end.0;
    let killed = rig.killed();
    let base = end / killed.config.segment_size * killed.config.segment_size;
    let path = Path::new(DIR).join(format!("commitlog/{base:020}"));
    damage(&killed.disk, &path, end - base);
    let store = killed.open();
    (killed, store)
}

#[test]
fn a_torn_tail_is_cut_and_never_comes_back() {
    // The last record ("u" of the last round) loses a byte of its body.
    let (rig, store) = damaged(40, |disk, path, end| {
        disk.open(path).unwrap().write_at(&[0xFF], end - 5).unwrap();
    });
    assert_eq!(bodies(&store, "u", 0, 0).len(), 39);
    assert_eq!(store.max_offset("t", QueueId(0)).0, 14);
    let end = store.stats().log_end.0;
    let base = end / rig.config.segment_size * rig.config.segment_size;
    let file = rig.bytes(&format!("commitlog/{base:020}"));
    assert_eq!(file.len() as u64, rig.config.segment_size);
    let behind = usize::try_from(end - base).unwrap();
    assert!(file[behind..].iter().all(|b| *b == 0), "zeros behind the cut");
    send(&store, &[draft("u", 0, &39_u32.to_be_bytes(), "")]);
    assert_whole(&store, 40);
    assert_whole(&rig.killed().open(), 40);
}

#[test]
fn records_behind_a_damaged_one_are_cut_with_it() {
    let (rig, store) = damaged(40, |disk, path, end| {
        // Somewhere in the last five rounds.
        disk.open(path).unwrap().write_at(&[0xFF; 8], end - 800).unwrap();
    });
    let kept = bodies(&store, "u", 0, 0).len();
    assert!((35..40).contains(&kept), "{kept}");
    fill(&store, u32::try_from(kept).unwrap(), 60);
    assert_eq!(bodies(&store, "u", 0, 0).len(), 60);
    let again = rig.killed().open();
    assert_eq!(bodies(&again, "u", 0, 0), bodies(&store, "u", 0, 0));
    assert_eq!(bodies(&again, "t", 1, 0), bodies(&store, "t", 1, 0));
}

#[test]
fn every_cut_of_the_tail_leaves_a_whole_prefix() {
    let rig = Rig::with(Config { checkpoint_interval_ms: u64::MAX, ..config() });
    let store = rig.open();
    fill(&store, 0, 20);
    store.flush().unwrap();
    let durable = store.stats().log_end.0;
    fill(&store, 20, 26);
    let end = store.stats().log_end.0;
    store.tick();
    let path = Path::new(DIR).join("commitlog/00000000000000000000");
    assert!(end < rig.config.segment_size, "one file is enough here");
    for cut in durable..end {
        let killed = rig.killed();
        let file = killed.disk.open(&path).unwrap();
        file.set_len(cut).unwrap();
        file.set_len(killed.config.segment_size).unwrap();
        let store = killed.open();
        let stats = store.stats();
        // The last two bytes of a record without properties are zeros anyway.
        assert!(
            stats.log_end.0 <= cut + 2 && stats.log_end.0 >= durable,
            "cut at {cut} of {durable}..{end}: {stats:?}"
        );
        let count = bodies(&store, "u", 0, 0).len();
        assert!((20..=26).contains(&count));
        let t: usize = (0..3).map(|queue| bodies(&store, "t", queue, 0).len()).sum();
        assert!(t == count || t == count + 1, "{t} and {count}");
        fill(&store, u32::try_from(count).unwrap(), 30);
    }
}

#[test]
fn lost_queue_and_index_files_are_built_again() {
    let rig = Rig::new();
    let store = rig.open();
    fill(&store, 0, 300);
    store.close().unwrap();
    let bare = MemDisk::new();
    for path in rig.disk.paths() {
        if path.starts_with("/data/commitlog") {
            let bytes = blockhouse_disk::whole::read(&rig.disk, &path).unwrap().unwrap();
            bare.create(&path).unwrap().write_at(&bytes, 0).unwrap();
        }
    }
    // As after a kill without any checkpoint: everything is read again.
    bare.create(&Path::new(DIR).join("abort")).unwrap();
    let rig = Rig { disk: bare, ..rig.killed() };
    let store = rig.open();
    assert_eq!(store.stats().replayed, 600);
    assert_whole(&store, 300);
}

#[test]
fn without_our_checkpoint_rocketmqs_rule_holds() {
    for clean in [true, false] {
        let rig = Rig::new();
        let store = rig.open();
        fill(&store, 0, 300);
        store.flush().unwrap();
        if clean {
            store.close().unwrap();
        }
        let rig = rig.killed();
        rig.disk.remove_dir(&Path::new(DIR).join("blockhouse")).unwrap();
        let store = rig.open();
        assert_whole(&store, 300);
        let replayed = store.stats().replayed;
        assert!(replayed < 600 || !clean, "a clean stop reads the last file only: {replayed}");
        fill(&store, 300, 320);
        assert_whole(&store, 320);
    }
}

#[test]
fn a_log_that_is_elsewhere_or_gone_is_not_taken_for_an_empty_one() {
    let rig = Rig::new();
    let store = rig.open();
    fill(&store, 0, 30);
    store.close().unwrap();
    let rig = rig.killed();
    rig.disk.remove_dir(&Path::new(DIR).join("commitlog")).unwrap();
    let refused = rig.open_on(Arc::new(rig.disk.clone())).err();
    assert!(matches!(refused, Some(Error::Format { .. })), "{refused:?}");
    assert!(rig.has("consumequeue/t/0/00000000000000000000"), "the queues are left alone");
    // What the sentence says to do.
    for name in ["consumequeue", "index", "blockhouse"] {
        rig.disk.remove_dir(&Path::new(DIR).join(name)).unwrap();
    }
    let store = rig.open();
    assert_whole(&store, 0);
    fill(&store, 0, 30);
    assert_whole(&store, 30);
}

#[test]
fn files_of_another_shape_are_refused() {
    let rig = Rig::new();
    let store = rig.open();
    fill(&store, 0, 300);
    store.close().unwrap();
    for change in [
        |c: &mut Config| c.segment_size *= 2,
        |c: &mut Config| c.segment_size /= 2,
        |c: &mut Config| c.queue_file_entries += 1,
        |c: &mut Config| c.index_slots += 1,
    ] {
        let mut other = rig.killed();
        change(&mut other.config);
        let refused = other.open_on(Arc::new(other.disk.clone())).err();
        assert!(matches!(refused, Some(Error::Format { .. })), "{refused:?}");
    }
    let refused = Rig::with(Config { write_buffer_size: 1, ..config() });
    let refused = refused.open_on(Arc::new(MemDisk::new())).err();
    assert!(matches!(refused, Some(Error::Config { option: "store.write_buffer_size", .. })));
}

#[test]
fn large_records_are_read_across_chunks() {
    let rig = Rig::with(Config {
        segment_size: 8 << 20,
        max_message_size: 3 << 20,
        write_buffer_size: 4 << 20,
        ..config()
    });
    let store = rig.open();
    let big = vec![5; 3 << 20];
    for n in 0..9_usize {
        send(&store, &[draft("t", 0, &big[..n * 340_000], ""), draft("t", 0, b"small", "")]);
    }
    let store = rig.killed().open();
    let lens: Vec<_> = bodies(&store, "t", 0, 0).iter().map(Vec::len).collect();
    let expected: Vec<_> = (0..9).flat_map(|n| [n * 340_000, 5]).collect();
    assert_eq!(lens, expected);
}

#[test]
fn a_long_replay_is_written_as_it_goes() {
    let rig = Rig::with(Config {
        segment_size: 1 << 20,
        queue_file_entries: 10_000,
        checkpoint_interval_ms: u64::MAX,
        ..config()
    });
    let store = rig.open();
    let burst = [draft("t", 0, b"x", "UNIQ_KEY\u{1}u\u{2}"); 1_000];
    for _ in 0..70 {
        send(&store, &burst);
    }
    assert!(!rig.has("consumequeue"));
    let killed = rig.killed();
    let store = killed.open();
    assert_eq!(store.stats().replayed, 70_000);
    // All but the last entries are in files already, and all can be read.
    assert!(killed.has("consumequeue/t/0/00000000000001200000"));
    assert_eq!(bodies(&store, "t", 0, 0).len(), 70_000);
    assert_eq!(find_bodies(&store), 64);
}

fn find_bodies(store: &Store) -> usize {
    store.query("t", "u", 64, Timestamp(0), Timestamp(i64::MAX)).records.len()
}

#[test]
fn a_record_with_an_impossible_queue_offset_is_left_out() {
    for offset in [1_u64 << 32, 1 << 63, u64::MAX] {
        let rig = Rig::new();
        fill(&rig.open(), 0, 40);
        let killed = rig.killed();
        let log = format!("commitlog/{:020}", 0);
        let bytes = killed.bytes(&log);
        let mut at = 0;
        for record in blockhouse_record::records(&bytes).map_while(Result::ok) {
            if (record.topic, record.queue_offset.0) == ("u", 7) {
                break;
            }
            at += record.bytes.len() as u64;
        }
        let file = killed.disk.open(&Path::new(DIR).join(&log)).unwrap();
        let place = at + blockhouse_record::layout::QUEUE_OFFSET as u64;
        file.write_at(&offset.to_be_bytes(), place).unwrap();
        let store = killed.open();
        assert_eq!(store.max_offset("u", QueueId(0)).0, 40);
        assert_eq!(bodies(&store, "u", 0, 8).len(), 32);
        assert_eq!(bodies(&store, "t", 0, 0).len(), 14);
        fill(&store, 40, 41);
        assert_eq!(store.max_offset("u", QueueId(0)).0, 41);
    }
}

#[test]
fn an_index_that_points_behind_the_log_takes_new_keys() {
    let rig = Rig::new();
    let store = rig.open();
    fill(&store, 0, 20);
    store.close().unwrap();
    drop(store);
    let is_index = |path: &std::path::PathBuf| path.starts_with("/data/index");
    let last = rig.disk.paths().into_iter().rfind(is_index).unwrap();
    rig.disk.open(&last).unwrap().write_at(&(1_u64 << 40).to_be_bytes(), 24).unwrap();
    let store = rig.open();
    fill(&store, 20, 40);
    assert_whole(&store, 40);
}
