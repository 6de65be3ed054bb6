//! Reading queues, with RocketMQ's statuses.

use std::time::Duration;

use crate::rig::{Rig, START, bodies, config, draft, read, request, send, views};
use blockhouse_model::java::tags_code;
use blockhouse_model::{PhysicalOffset, QueueId, QueueOffset, Timestamp};
use blockhouse_store::{Accept, Boundary, ColdRead, Config, Error, ReadRequest, ReadStatus};

#[test]
fn statuses_are_rocketmqs() {
    let rig = Rig::new();
    let store = rig.open();
    assert_eq!(read(&store, "t", 0, 0, 1).status, ReadStatus::NoSuchQueue);
    send(&store, &[draft("t", 0, b"x", ""); 10]);
    let status = |from| {
        let outcome = read(&store, "t", 0, from, 4);
        assert_eq!((outcome.min.0, outcome.max.0), (0, 10));
        (outcome.status, outcome.next.0, outcome.count)
    };
    assert_eq!(status(0), (ReadStatus::Found, 4, 4));
    assert_eq!(status(8), (ReadStatus::Found, 10, 2));
    assert_eq!(status(10), (ReadStatus::OffsetOverflowOne, 10, 0));
    assert_eq!(status(11), (ReadStatus::OffsetOverflowBadly, 10, 0));
}

#[test]
fn neighbours_in_the_log_come_as_one_slice() {
    let rig = Rig::new();
    let store = rig.open();
    send(&store, &[draft("t", 0, &[1; 100], ""); 32]);
    let outcome = read(&store, "t", 0, 0, 32);
    assert_eq!((outcome.slices.len(), outcome.count), (1, 32));
    assert_eq!(outcome.bytes, outcome.slices[0].len());
    let (a, c) = ([2; 1_200], [3; 1_300]);
    send(&store, &[draft("t", 0, &a, ""), draft("u", 0, b"b", ""), draft("t", 0, &c, "")]);
    let outcome = read(&store, "t", 0, 31, 32);
    assert_eq!((outcome.slices.len(), outcome.count), (2, 3));
    let bodies: Vec<_> = views(&outcome).iter().map(|v| v.body.len()).collect();
    assert_eq!(bodies, [100, 1_200, 1_300]);
}

/// Whoever sends them would copy each by itself.
#[test]
fn small_pieces_come_together_in_their_order() {
    let rig = Rig::new();
    let store = rig.open();
    let sizes = [10, 500, 2_000, 30, 40, 900, 1_500, 5];
    for size in sizes {
        send(&store, &[draft("t", 0, &vec![1; size], ""), draft("u", 0, b"between", "")]);
    }
    let outcome = read(&store, "t", 0, 0, 32);
    assert_eq!((outcome.slices.len(), outcome.count), (5, 8));
    assert_eq!(outcome.bytes, outcome.slices.iter().map(bytes::Bytes::len).sum::<usize>());
    let bodies: Vec<_> = views(&outcome).iter().map(|v| v.body.len()).collect();
    assert_eq!(bodies, sizes);
}

#[test]
fn copied_records_come_in_one_piece_whatever_lies_between_them() {
    let rig = Rig::with(Config { hot_bytes: 0, ..config() });
    let store = rig.open();
    for n in 0..20_u8 {
        send(&store, &[draft("t", 0, &[n; 700], ""), draft("u", 0, b"between", "")]);
    }
    let outcome = read(&store, "t", 0, 0, 32);
    assert_eq!((outcome.slices.len(), outcome.count), (1, 20));
    assert_eq!(outcome.bytes, outcome.slices[0].len());
    let bodies: Vec<_> = views(&outcome).iter().map(|v| v.body[0]).collect();
    assert_eq!(bodies, (0..20).collect::<Vec<_>>());
}

#[test]
fn limits_hold_but_one_message_always_comes() {
    let rig = Rig::new();
    let store = rig.open();
    let size = send(&store, &[draft("t", 0, &[1; 1_000], ""); 10])[0].size as usize;
    let limited = |max_bytes| {
        let request = ReadRequest { max_bytes, ..request("t", 0, 0, 32) };
        let outcome = store.read(&request, &mut |_: i64| true);
        (outcome.count, outcome.next.0)
    };
    assert_eq!(limited(1), (1, 1));
    assert_eq!(limited(3 * size), (3, 3));
    assert_eq!(limited(3 * size - 1), (2, 2));
    assert_eq!(limited(usize::MAX), (10, 10));
}

#[test]
fn filtered_messages_are_passed_over_up_to_a_bound() {
    let rig = Rig::with(Config { filter_scan_entries: 50, ..config() });
    let store = rig.open();
    let (a, b) = ("TAGS\u{1}a\u{2}", "TAGS\u{1}b\u{2}");
    for n in 0..120 {
        send(&store, &[draft("t", 0, b"x", if n == 70 { b } else { a })]);
    }
    let wanted = tags_code(b);
    let mut is_b = |code: i64| code == wanted;
    let first = store.read(&request("t", 0, 0, 8), &mut is_b);
    assert_eq!((first.status, first.next.0, first.count), (ReadStatus::NoMatch, 50, 0));
    let second = store.read(&request("t", 0, 50, 8), &mut is_b);
    assert_eq!((second.status, second.next.0, second.count), (ReadStatus::Found, 100, 1));
    assert_eq!(views(&second)[0].queue_offset.0, 70);
}

#[test]
fn filters_may_look_at_records() {
    struct Even;
    impl Accept for Even {
        fn entry(&mut self, _: i64) -> bool {
            true
        }
        fn looks_inside(&self) -> bool {
            true
        }
        fn record(&mut self, record: &[u8]) -> bool {
            blockhouse_record::View::parse(record).unwrap().queue_offset.0.is_multiple_of(2)
        }
    }
    let rig = Rig::new();
    let store = rig.open();
    send(&store, &[draft("t", 0, b"x", ""); 20]);
    let outcome = store.read(&request("t", 0, 1, 5), &mut Even);
    let offsets: Vec<_> = views(&outcome).iter().map(|v| v.queue_offset.0).collect();
    assert_eq!(offsets, [2, 4, 6, 8, 10]);
    assert_eq!(outcome.next.0, 11);
    let outcome = store.read(&request("t", 0, 19, 5), &mut Even);
    assert_eq!((outcome.status, outcome.next.0), (ReadStatus::NoMatch, 20));
}

#[test]
fn cold_bytes_are_read_only_by_those_who_may_wait() {
    let rig = Rig::with(Config { hot_bytes: 0, ..config() });
    let store = rig.open();
    send(&store, &[draft("t", 0, b"x", ""); 10]);
    rig.disk.cool_down(true);
    let refuse = ReadRequest { cold: ColdRead::Refuse, ..request("t", 0, 3, 32) };
    let outcome = store.read(&refuse, &mut |_: i64| true);
    assert_eq!((outcome.status, outcome.next.0), (ReadStatus::WouldBlock, 3));
    assert!(matches!(
        store.message_at(PhysicalOffset(0), ColdRead::Refuse),
        Err(Error::WouldBlock)
    ));
    assert_eq!(read(&store, "t", 0, 3, 32).count, 7);
    rig.disk.cool_down(false);
    let outcome = store.read(&refuse, &mut |_: i64| true);
    assert_eq!((outcome.status, outcome.count), (ReadStatus::Found, 7));
}

#[test]
fn entries_are_read_from_files_once_they_left_memory() {
    let rig = Rig::new();
    let store = rig.open();
    let sent: Vec<_> = (0..1_000_u32).map(|n| n.to_be_bytes().to_vec()).collect();
    for body in &sent {
        send(&store, &[draft("t", 0, body, "")]);
    }
    store.flush().unwrap();
    let file = rig.bytes("consumequeue/t/0/00000000000000002000");
    assert_eq!(file.len(), 2_000);
    let first = store.message_at(PhysicalOffset(0), ColdRead::Allow).unwrap().unwrap();
    assert_eq!(file[..8], (100 * first.len() as u64).to_be_bytes());
    assert_eq!(file[8..12], u32::try_from(first.len()).unwrap().to_be_bytes());
    assert_eq!(bodies(&store, "t", 0, 0), sent);
    assert_eq!(store.message_at(PhysicalOffset(1), ColdRead::Allow).unwrap(), None);
    assert_eq!(store.message_at(PhysicalOffset(u64::MAX), ColdRead::Allow).unwrap(), None);
}

#[test]
fn the_offset_of_a_moment_has_two_boundaries() {
    let rig = Rig::new();
    let store = rig.open();
    // Three messages at each of START, START + 1000, ... START + 49_000.
    for _ in 0..50 {
        send(&store, &[draft("t", 0, b"x", ""); 3]);
        rig.clock.advance(Duration::from_secs(1));
    }
    store.flush().unwrap();
    let at = |ms: i64, boundary| {
        let moment = Timestamp(START.0 + ms);
        store.offset_by_time("t", QueueId(0), moment, boundary).0
    };
    let (lower, upper) = (Boundary::Lower, Boundary::Upper);
    assert_eq!((at(10_000, lower), at(10_000, upper)), (30, 32));
    assert_eq!((at(10_500, lower), at(10_500, upper)), (33, 32));
    assert_eq!((at(-1, lower), at(-1, upper)), (0, 0));
    assert_eq!((at(99_000, lower), at(99_000, upper)), (150, 149));
    assert_eq!(store.offset_by_time("none", QueueId(0), START, lower).0, 0);
    let time = |offset| store.store_time_of("t", QueueId(0), QueueOffset(offset));
    assert_eq!(time(31), Some(Timestamp(START.0 + 10_000)));
    assert_eq!(time(150), None);
    assert_eq!(store.earliest_store_time("t", QueueId(0)), Some(START));
    assert_eq!(store.earliest_message_time(), Some(START));
}

#[test]
fn deleted_topics_start_again_at_zero() {
    let rig = Rig::new();
    let store = rig.open();
    send(&store, &[draft("t", 0, b"old", ""), draft("u", 0, b"kept", "")]);
    store.flush().unwrap();
    assert!(rig.has("consumequeue/t"));
    store.delete_topic("t").unwrap();
    assert!(!rig.has("consumequeue/t"));
    assert_eq!(read(&store, "t", 0, 0, 1).status, ReadStatus::NoSuchQueue);
    assert_eq!(send(&store, &[draft("t", 0, b"new", "")])[0].queue_offset.0, 0);
    assert_eq!(bodies(&store, "t", 0, 0), [b"new"]);
    // Not even a crash brings the old messages back.
    let store = rig.killed().open();
    assert_eq!(bodies(&store, "t", 0, 0), [b"new"]);
    assert_eq!(bodies(&store, "u", 0, 0), [b"kept"]);
}
