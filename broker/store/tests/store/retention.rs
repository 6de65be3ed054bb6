//! Old files go, and what points into them.

use std::time::Duration;

use crate::rig::{Rig, START, bodies, draft, read, send, try_send};
use blockhouse_disk::Space;
use blockhouse_model::{PhysicalOffset, QueueId, QueueOffset, Timestamp};
use blockhouse_store::{AppendError, Boundary, ReadStatus, Store};

/// 100 messages an hour for ten hours, in two queues; about 12 KiB an hour.
fn ten_hours(rig: &Rig) -> Store {
    let store = rig.open();
    for hour in 0..10_u8 {
        for n in 0..100_u32 {
            let text = format!("UNIQ_KEY\u{1}h{hour}n{n}\u{2}");
            send(&store, &[draft("t", n % 2, &[hour; 20], &text)]);
        }
        rig.clock.advance(Duration::from_hours(1));
    }
    store.flush().unwrap();
    store
}

#[test]
fn expired_files_go_with_their_entries() {
    let mut rig = Rig::new();
    rig.config.file_reserved_hours = 4;
    let store = ten_hours(&rig);
    let before = store.stats();
    let removed = store.delete_expired().unwrap();
    assert!(removed >= 3, "{removed}");
    let stats = store.stats();
    assert_eq!(stats.segments, before.segments - removed);
    assert_eq!(stats.log_min.0, removed as u64 * rig.config.segment_size);
    for queue in 0..2 {
        let min = store.min_offset("t", QueueId(queue)).0;
        assert!(min > 100, "{min}");
        let kept = bodies(&store, "t", queue, min);
        assert_eq!(min + kept.len() as u64, 500);
        assert!(kept.iter().any(|body| body[0] == 6), "what is younger than 4 hours is there");
        let outcome = read(&store, "t", queue, 0, 32);
        assert_eq!((outcome.status, outcome.next.0), (ReadStatus::OffsetTooSmall, min));
        let at = |time, boundary| store.offset_by_time("t", QueueId(queue), time, boundary).0;
        assert_eq!(at(START, Boundary::Lower), min);
        assert_eq!(at(START, Boundary::Upper), 0);
        // The first that is left, all of its hour, and one past the last.
        let first = store.earliest_store_time("t", QueueId(queue)).unwrap();
        assert_eq!(at(first, Boundary::Lower), min);
        let of_hour = at(first, Boundary::Upper);
        let time = |offset| store.store_time_of("t", QueueId(queue), QueueOffset(offset)).unwrap();
        assert!(time(of_hour) == first && time(of_hour + 1) > first);
        assert_eq!(at(Timestamp(first.0 + 1), Boundary::Lower), of_hour + 1);
        assert_eq!(at(Timestamp(first.0 - 1), Boundary::Upper), 0);
        assert_eq!(at(Timestamp(i64::MAX), Boundary::Lower), 500);
        assert_eq!(at(Timestamp(i64::MAX), Boundary::Upper), 499);
    }
    assert!(!rig.has("commitlog/00000000000000000000"));
    assert!(!rig.has("consumequeue/t/0/00000000000000000000"));
    let gone = store.query("t", "h0n5", 9, Timestamp(0), Timestamp(i64::MAX));
    assert!(gone.records.is_empty());
    let there = store.query("t", "h9n5", 9, Timestamp(0), Timestamp(i64::MAX));
    assert_eq!(there.records.len(), 1);
    assert_eq!(store.delete_expired().unwrap(), 0);
    assert_eq!(
        store.message_at(PhysicalOffset(0), blockhouse_store::ColdRead::Allow).unwrap(),
        None
    );

    // The beginning is found again after a restart.
    let min = store.min_offset("t", QueueId(1));
    drop(store);
    let store = rig.killed().open();
    assert_eq!(store.min_offset("t", QueueId(1)), min);
    assert_eq!(store.stats().log_min, stats.log_min);
}

#[test]
fn the_schedule_waits_for_the_hour_or_a_filling_disk() {
    let mut rig = Rig::new();
    rig.config.file_reserved_hours = 4;
    // START is 22:13 UTC; ten hours later it is 08:13.
    rig.config.delete_when = "09".into();
    let store = ten_hours(&rig);
    let segments = |store: &Store| {
        rig.clock.advance(Duration::from_secs(10));
        store.tick();
        store.stats().segments
    };
    let all = segments(&store);
    assert_eq!(segments(&store), all);
    rig.disk.set_space(Space { total: 100, free: 20 });
    let kept = segments(&store);
    assert!(kept < all, "80 % full: what is expired goes");
    rig.disk.set_space(Space { total: 100, free: 13 });
    let forced = segments(&store);
    assert!(forced < kept, "87 % full: the oldest go");
    assert!(forced >= 1);
    send(&store, &[draft("t", 0, b"x", "")]);

    let rig = Rig { config: rig.config.clone(), ..Rig::new() };
    let store = ten_hours(&rig);
    let all = store.stats().segments;
    rig.clock.advance(Duration::from_hours(1));
    store.tick();
    assert!(store.stats().segments < all, "nine o'clock");
}

#[test]
fn messages_that_are_not_expired_stay_on_a_full_disk_if_so_configured() {
    let mut rig = Rig::new();
    rig.config.disk_force_clean_percent = None;
    rig.config.delete_when = "09".into();
    let store = ten_hours(&rig);
    rig.disk.set_space(Space { total: 100, free: 0 });
    rig.clock.advance(Duration::from_secs(10));
    store.tick();
    assert_eq!(store.stats().log_min, PhysicalOffset(0));
    let refused = try_send(&store, &[draft("t", 0, b"x", "")]).err();
    assert_eq!(refused, Some(AppendError::DiskFull));
}
