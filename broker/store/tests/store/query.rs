//! The index by key, over several files.

use std::time::Duration;

use crate::rig::{Rig, START, config, draft, send};
use blockhouse_model::Timestamp;
use blockhouse_record::View;
use blockhouse_store::{Config, QUERY_MAX, Store};

fn find(store: &Store, topic: &str, key: &str, max: usize, from_s: i64, to_s: i64) -> Vec<u64> {
    let moment = |s: i64| Timestamp(START.0 + s * 1_000);
    let found = store.query(topic, key, max, moment(from_s), moment(to_s));
    found.records.iter().map(|r| View::parse(r).unwrap().queue_offset.0).collect()
}

#[test]
fn messages_are_found_by_every_key_and_time() {
    let rig = Rig::new();
    let store = rig.open();
    // 500 messages with two or three keys: several index files of 199 entries.
    for n in 0..500 {
        let text = format!("KEYS\u{1}all k{n} k{n}\u{2}UNIQ_KEY\u{1}U{n}\u{2}");
        send(&store, &[draft("t", 0, b"x", &text)]);
        rig.clock.advance(Duration::from_secs(1));
        if n % 100 == 0 {
            store.tick();
        }
    }
    let files = rig.disk.paths().iter().filter(|p| p.starts_with("/data/index")).count();
    assert!(files > 5, "{files}");
    for n in [0, 1, 99, 250, 499] {
        assert_eq!(find(&store, "t", &format!("k{n}"), 9, -10, 1_000), [n], "once each");
        assert_eq!(find(&store, "t", &format!("U{n}"), 9, -10, 1_000), [n]);
        assert_eq!(find(&store, "u", &format!("U{n}"), 9, -10, 1_000), Vec::<u64>::new());
    }
    let newest: Vec<_> = (500 - 10..500).collect();
    assert_eq!(find(&store, "t", "all", 10, -10, 1_000), newest, "the newest, in log order");
    assert_eq!(find(&store, "t", "all", 1_000, -10, 1_000).len(), QUERY_MAX);
    let within = find(&store, "t", "all", 64, 100, 109);
    assert_eq!(within, (100..110).collect::<Vec<_>>());
    assert_eq!(find(&store, "t", "none", 9, -10, 1_000), Vec::<u64>::new());
    let found = store.query("t", "all", 1, Timestamp(0), Timestamp(i64::MAX));
    assert_eq!(found.index_last_update_timestamp, START.0 + 499_000);
    assert!(found.index_last_update_offset > 0);
}

#[test]
fn colliding_keys_are_told_apart() {
    let rig = Rig::new();
    let store = rig.open();
    // "Aa" and "BB" have the same Java hash.
    send(
        &store,
        &[draft("t", 0, b"x", "KEYS\u{1}Aa\u{2}"), draft("t", 0, b"y", "KEYS\u{1}BB\u{2}")],
    );
    assert_eq!(find(&store, "t", "Aa", 9, -10, 10), [0]);
    assert_eq!(find(&store, "t", "BB", 9, -10, 10), [1]);
}

#[test]
fn index_files_are_laid_out_as_rocketmqs() {
    let rig = Rig::new();
    let store = rig.open();
    send(&store, &[draft("t", 0, b"x", "UNIQ_KEY\u{1}u\u{2}")]);
    rig.clock.advance(Duration::from_millis(2_500));
    let second = send(&store, &[draft("t", 0, b"y", "UNIQ_KEY\u{1}u\u{2}")])[0];
    store.flush().unwrap();
    let path = rig.disk.paths().into_iter().find(|p| p.starts_with("/data/index")).unwrap();
    assert_eq!(path.to_str().unwrap(), "/data/index/20231114221322500");
    let bytes = rig.bytes("index/20231114221322500");
    let (slots, entries) = (rig.config.index_slots as usize, rig.config.index_entries as usize);
    assert_eq!(bytes.len(), 40 + slots * 4 + entries * 20);
    let wide = |at: usize| i64::from_be_bytes(bytes[at..at + 8].try_into().unwrap());
    let narrow = |at: usize| i32::from_be_bytes(bytes[at..at + 4].try_into().unwrap());
    let place = i64::try_from(second.physical_offset.0).unwrap();
    assert_eq!([wide(0), wide(8), wide(16), wide(24)], [START.0, START.0 + 2_500, 0, place]);
    assert_eq!((narrow(32), narrow(36)), (1, 3));
    let hash = blockhouse_model::java_hash("t#u").abs();
    let slot = 40 + usize::try_from(hash).unwrap() % slots * 4;
    assert_eq!(narrow(slot), 2);
    let entry = 40 + slots * 4 + 2 * 20;
    assert_eq!(narrow(entry), hash);
    assert_eq!((wide(entry + 4), narrow(entry + 12), narrow(entry + 16)), (place, 2, 1));
}

#[test]
fn keys_do_not_pile_up_while_a_checkpoint_waits_for_the_disk() {
    let rig = Rig::with(Config { flush_interval_ms: 1, segment_size: 64 << 20, ..config() });
    let store = rig.open();
    send(&store, &[draft("t", 0, b"x", "KEYS\u{1}k\u{2}")]);
    rig.disk.hold_syncs(true);
    let held_from = rig.disk.syncs();
    // Now a checkpoint is stuck in its sync, and still is when the keys are absorbed.
    while rig.disk.syncs() == held_from {
        send(&store, &[draft("t", 0, b"x", "KEYS\u{1}k\u{2}")]);
        std::thread::yield_now();
    }
    send(&store, &[draft("t", 0, b"x", "KEYS\u{1}k\u{2}")]);
    while store.stats().index_backlog > 0 {
        std::thread::yield_now();
    }
    rig.disk.hold_syncs(false);
    store.close().unwrap();
}

#[test]
fn index_files_go_with_the_log_and_after_a_restart_the_rest_is_found() {
    let rig = Rig::with(Config { file_reserved_hours: 3, ..config() });
    let store = rig.open();
    for hour in 0..8 {
        for n in 0..100 {
            let text = format!("UNIQ_KEY\u{1}h{hour}n{n}\u{2}KEYS\u{1}every\u{2}");
            send(&store, &[draft("t", 0, &[7; 40], &text)]);
        }
        rig.clock.advance(Duration::from_hours(1));
    }
    store.flush().unwrap();
    let index_files =
        |rig: &Rig| rig.disk.paths().iter().filter(|path| path.starts_with("/data/index")).count();
    let before = index_files(&rig);
    assert!(before > 6, "{before}");
    assert!(store.delete_expired().unwrap() > 2);
    assert!(index_files(&rig) + 2 < before);
    let (from, to) = (-10, 100 * 3_600);
    let min = store.min_offset("t", blockhouse_model::QueueId(0)).0;
    let check = |store: &Store| {
        for offset in [0, min - 1, min, min + 1, 799] {
            let key = format!("h{}n{}", offset / 100, offset % 100);
            let found = find(store, "t", &key, 9, from, to);
            let expected = if offset < min { Vec::new() } else { vec![offset] };
            assert_eq!(found, expected, "{key}");
        }
        let all = find(store, "t", "every", QUERY_MAX, from, to);
        assert_eq!(all, (800 - QUERY_MAX as u64..800).collect::<Vec<_>>());
        // The hour that is half gone, by its time.
        let hour = i64::try_from(min / 100).unwrap();
        let all = find(store, "t", "every", QUERY_MAX, from, hour * 3_600 + 1);
        let end = (min / 100 + 1) * 100;
        assert_eq!(all, (min.max(end - QUERY_MAX as u64)..end).collect::<Vec<_>>());
        assert_eq!(find(store, "t", "every", 9, from, (hour - 1) * 3_600 + 1), Vec::<u64>::new());
    };
    check(&store);
    drop(store);
    let killed = rig.killed();
    check(&killed.open());
}
