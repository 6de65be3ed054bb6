//! Storing: places, order, group commit, failures.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crate::rig::{Recorder, Rig, START, bodies, config, draft, read, send, try_send, views};
use blockhouse_disk::{Disk, Space};
use blockhouse_model::{Clock, PhysicalOffset, QueueId, QueueOffset, SysFlag, Timestamp, names};
use blockhouse_record::{Checked, check};
use blockhouse_store::{
    AppendError, Cause, Config, Flush, FlushWatcher, Flushed, Part, Settled, Trouble,
};

#[test]
fn a_burst_gets_dense_offsets_in_order() {
    let rig = Rig::new();
    let store = rig.open();
    let bodies_sent: Vec<_> = (0..5_000_u32).map(u32::to_be_bytes).collect();
    for chunk in bodies_sent.chunks(32) {
        let drafts: Vec<_> = chunk
            .iter()
            .map(|b| draft("orders", u32::from(b[3]) % 4, b, "TAGS\u{1}a\u{2}"))
            .collect();
        let placed = send(&store, &drafts);
        for pair in placed.windows(2) {
            assert!(pair[0].physical_offset < pair[1].physical_offset);
            assert_eq!(pair[0].store_timestamp, pair[1].store_timestamp);
        }
    }
    let mut total = 0;
    for queue in 0..4 {
        let got = bodies(&store, "orders", queue, 0);
        assert!(got.is_sorted(), "log order is sending order");
        total += got.len();
    }
    assert_eq!(total, 5_000);
    assert_eq!(store.stats().queues, 4);
    assert_eq!(store.stats().confirmed, store.stats().log_end);
}

#[test]
fn the_log_is_contiguous_over_files_with_fillers() {
    let rig = Rig::new();
    let store = rig.open();
    for n in 0..200_u32 {
        send(&store, &[draft("t", 0, &vec![7; 50 + n as usize * 3], "")]);
    }
    let stats = store.stats();
    assert!(stats.segments > 4);
    let mut at = 0;
    let mut count = 0;
    while at < stats.log_end.0 {
        let base = at / rig.config.segment_size * rig.config.segment_size;
        let file = rig.bytes(&format!("commitlog/{base:020}"));
        assert_eq!(file.len() as u64, rig.config.segment_size);
        let rest = &file[usize::try_from(at - base).unwrap()..];
        match check(rest).unwrap() {
            Checked::Filler => {
                assert_eq!(rest[..4], u32::try_from(rest.len()).unwrap().to_be_bytes());
                at = base + rig.config.segment_size;
            }
            Checked::Message(view) => {
                assert_eq!(view.physical_offset, PhysicalOffset(at));
                assert_eq!(view.queue_offset, QueueOffset(count));
                at += view.bytes.len() as u64;
                count += 1;
            }
        }
    }
    assert_eq!(count, 200);
}

#[test]
fn concurrent_senders_share_the_log() {
    for flush in [Flush::Async, Flush::Sync] {
        let rig = Rig::with(Config { flush, ..config() });
        let store = Arc::new(rig.open());
        let threads: Vec<_> = (0..4_u32)
            .map(|sender| {
                let store = Arc::clone(&store);
                std::thread::spawn(move || {
                    for n in 0..250_u32 {
                        let body = [sender.to_be_bytes(), n.to_be_bytes()].concat();
                        let burst = [draft("t", n % 2, &body, ""), draft("u", 0, &body, "")];
                        send(&store, &burst);
                        // What was acknowledged is visible.
                        assert!(store.max_offset("u", QueueId(0)).0 > u64::from(n));
                    }
                })
            })
            .collect();
        // Flushes take the write lock too, and must not leave anyone's records behind.
        while threads.iter().any(|thread| !thread.is_finished()) {
            store.flush().unwrap();
        }
        for thread in threads {
            thread.join().unwrap();
        }
        let all: usize = (0..2).map(|queue| bodies(&store, "t", queue, 0).len()).sum();
        assert_eq!((all, bodies(&store, "u", 0, 0).len()), (1_000, 1_000));
        let stats = store.stats();
        assert_eq!((stats.written, stats.confirmed), (stats.log_end, stats.log_end));
    }
}

#[test]
fn listeners_hear_of_each_message_once_it_can_be_read() {
    struct Reader(parking_lot::Mutex<Option<std::sync::Weak<blockhouse_store::Store>>>, Recorder);
    impl blockhouse_store::QueueListener for Reader {
        fn advanced(
            &self,
            topic: &blockhouse_model::Topic,
            queue: QueueId,
            max: QueueOffset,
            tags_code: i64,
        ) {
            let store = self.0.lock().as_ref().unwrap().upgrade().unwrap();
            let outcome = read(&store, topic, queue.0, max.0 - 1, 1);
            assert_eq!(views(&outcome)[0].queue_offset.0, max.0 - 1);
            self.1.advanced(topic, queue, max, tags_code);
        }
    }
    let reader = Arc::new(Reader(parking_lot::Mutex::new(None), Recorder::default()));
    let mut rig = Rig::new();
    rig.listener = Arc::<Reader>::clone(&reader);
    let store = Arc::new(rig.open());
    *reader.0.lock() = Some(Arc::downgrade(&store));
    let burst: Vec<_> = (0..50).map(|n| draft("t", n % 3, b"x", "TAGS\u{1}TagA\u{2}")).collect();
    send(&store, &burst);
    let told: Vec<_> = reader.1.0.lock().iter().map(|t| (t.1, t.2, t.3)).collect();
    let expected: Vec<_> = (0..50).map(|n| (n % 3, u64::from(n / 3) + 1, 2_598_919)).collect();
    assert_eq!(told, expected);
}

#[test]
fn sync_flush_syncs_before_it_answers_and_only_for_those_who_wait() {
    let rig = Rig::with(Config { flush: Flush::Sync, ..config() });
    let store = rig.open();
    let before = rig.disk.syncs();
    let placed = send(&store, &[draft("t", 0, b"x", "")]);
    assert!(rig.disk.syncs() > before);
    let end = placed[0].physical_offset.plus(u64::from(placed[0].size));
    assert_eq!(store.stats().flushed, end);

    rig.disk.fail_syncs(true);
    let mut no_wait = draft("t", 0, b"y", "WAIT\u{1}false\u{2}");
    no_wait.wait = false;
    let mut placed = Vec::new();
    let ticket = store.append(&[no_wait], &mut placed).unwrap();
    assert_eq!(ticket.wait(), Settled::PutOk, "in the page cache, which is all it asked for");
    // The flush thread finds out, and that is the end.
    let refused = loop {
        if let Err(e) = store.append(&[draft("t", 0, b"z", "")], &mut placed) {
            break e;
        }
        std::thread::yield_now();
    };
    assert_eq!(refused, AppendError::Poisoned);
}

#[test]
fn all_who_send_while_a_sync_runs_share_the_next() {
    const SENDERS: u64 = 24;
    // One file, so that no other is made meanwhile.
    let rig = Rig::with(Config { flush: Flush::Sync, segment_size: 1 << 20, ..config() });
    let store = Arc::new(rig.open());
    let sender = |n: u64| {
        let store = Arc::clone(&store);
        std::thread::spawn(move || send(&store, &[draft("t", 0, &n.to_be_bytes(), "")]))
    };
    let told = Arc::new(Told::default());
    let size = u64::from(sender(0).join().unwrap()[0].size);
    assert!(store.watch_flushes(Arc::clone(&told) as _));
    let (syncs, before) = (rig.disk.syncs(), store.stats());
    rig.disk.hold_syncs(true);
    let mut senders = vec![sender(1)];
    while rig.disk.syncs() == syncs {
        std::thread::yield_now();
    }
    // That sync is of the first alone; it is under way until it is let go.
    senders.extend((2..=SENDERS).map(sender));
    while store.stats().log_end < before.log_end.plus(SENDERS * size) {
        std::thread::yield_now();
    }
    assert!(senders.iter().all(|sender| !sender.is_finished()), "answered without a sync");
    assert_eq!(store.stats().flushed, before.flushed);
    rig.disk.hold_syncs(false);
    for sender in senders {
        sender.join().unwrap();
    }
    assert_eq!(rig.disk.syncs() - syncs, 2, "one for the first, one for all others");
    assert_eq!(store.stats().flushes - before.flushes, 2);
    assert_eq!(bodies(&store, "t", 0, 0).len() as u64, 1 + SENDERS);
    let at = |records: u64| before.log_end.0 + records * size;
    let told = std::mem::take(&mut *told.0.lock());
    assert_eq!(told, [(at(0), at(1), 1, false), (at(1), at(SENDERS), SENDERS - 1, false)]);
}

/// What was told of syncs: from, to, messages, whether it failed.
#[derive(Default)]
struct Told(parking_lot::Mutex<Vec<(u64, u64, u64, bool)>>);

impl FlushWatcher for Told {
    fn flushed(&self, flushed: &Flushed) {
        let Flushed { from, to, messages, has_failed, .. } = *flushed;
        self.0.lock().push((from.0, to.0, messages, has_failed));
    }
}

#[test]
fn who_watches_syncs_is_told_before_those_who_wait_and_only_where_somebody_does() {
    let rig = Rig::with(Config { flush: Flush::Sync, ..config() });
    let store = rig.open();
    let told = Arc::new(Told::default());
    assert!(store.watch_flushes(Arc::clone(&told) as _));
    assert!(!store.watch_flushes(Arc::new(Told::default())), "there is one");
    let placed = send(&store, &[draft("t", 0, b"1", ""), draft("t", 0, b"2", "")]);
    let end = placed[1].physical_offset.0 + u64::from(placed[1].size);
    assert_eq!(*told.0.lock(), [(0, end, 2, false)]);
    rig.disk.fail_syncs(true);
    let mut placed = Vec::new();
    let ticket = store.append(&[draft("t", 0, b"bad", "")], &mut placed).unwrap();
    assert_eq!(ticket.wait(), Settled::Failed);
    let bad = end + u64::from(placed[0].size);
    assert_eq!(told.0.lock()[1..], [(end, bad, 1, true)]);

    let store = Rig::new().open();
    let told = Arc::new(Told::default());
    assert!(!store.watch_flushes(Arc::clone(&told) as _), "nobody waits for a sync");
    send(&store, &[draft("t", 0, b"1", "")]);
    store.flush().unwrap();
    assert!(told.0.lock().is_empty());
}

#[test]
fn a_failed_sync_fails_those_who_wait() {
    let rig = Rig::with(Config { flush: Flush::Sync, ..config() });
    let store = rig.open();
    send(&store, &[draft("t", 0, b"good", "")]);
    rig.disk.fail_syncs(true);
    let mut placed = Vec::new();
    let ticket = store.append(&[draft("t", 0, b"bad", "")], &mut placed).unwrap();
    assert_eq!(ticket.wait(), Settled::Failed);
    rig.disk.fail_syncs(false);
    let refused = store.append(&[draft("t", 0, b"later", "")], &mut placed).err();
    assert_eq!(refused, Some(AppendError::Poisoned));
    assert!(store.stats().poisoned);
    assert_eq!(bodies(&store, "t", 0, 0), [b"good"], "reads go on, unconfirmed is unseen");
    assert!(store.close().is_err() && rig.has("abort"), "the stop is not clean");
}

#[test]
fn a_failed_write_poisons() {
    let rig = Rig::new();
    let store = rig.open();
    send(&store, &[draft("t", 0, b"good", "")]);
    rig.disk.fail_writes(true);
    let mut placed = Vec::new();
    let ticket = store.append(&[draft("t", 0, b"bad", "")], &mut placed).unwrap();
    assert_eq!(ticket.try_settled(), Some(Settled::Failed));
    rig.disk.fail_writes(false);
    let refused = store.append(&[draft("t", 0, b"later", "")], &mut placed).err();
    assert_eq!(refused, Some(AppendError::Poisoned));
    assert_eq!(bodies(&store, "t", 0, 0), [b"good"]);
}

#[test]
fn a_full_disk_is_refused_before_anything_is_placed() {
    let rig = Rig::new();
    let store = rig.open();
    let body = [1; 4_000];
    let burst = [draft("t", 0, &body, ""); 3];
    send(&store, &burst);
    rig.disk.fail_allocations(true);
    let before = store.stats();
    let refused = try_send(&store, &burst).err();
    let trouble = Trouble { part: Part::CommitLog, cause: Cause::Full };
    assert_eq!(refused, Some(AppendError::Disk(trouble)));
    assert_eq!((store.stats().log_end, store.stats().poisoned), (before.log_end, false));
    rig.disk.fail_allocations(false);
    send(&store, &burst);

    rig.disk.set_space(Space { total: 100, free: 9 });
    rig.clock.advance(Duration::from_secs(10));
    store.tick();
    assert_eq!(try_send(&store, &burst).err(), Some(AppendError::DiskFull));
    rig.disk.set_space(Space { total: 100, free: 40 });
    rig.clock.advance(Duration::from_secs(10));
    store.tick();
    send(&store, &burst);
    // That full, the oldest files go as well.
    let min = store.min_offset("t", QueueId(0)).0;
    assert!(min > 0);
    assert_eq!(min + bodies(&store, "t", 0, min).len() as u64, 9);
}

#[test]
fn a_burst_larger_than_the_buffers_is_placed_in_parts() {
    let rig = Rig::new();
    let store = rig.open();
    let body = [3; 8_000];
    let burst = [draft("t", 0, &body, ""); 100];
    assert!(burst.len() * body.len() > 3 * rig.config.write_buffer_size);
    let placed = send(&store, &burst);
    let offsets: Vec<_> = placed.iter().map(|p| p.queue_offset.0).collect();
    assert_eq!(offsets, (0..100).collect::<Vec<_>>());
    assert_eq!(bodies(&store, "t", 0, 0).len(), 100);
}

#[test]
fn what_cannot_be_stored_is_refused_whole() {
    let rig = Rig::new();
    let store = rig.open();
    let big = vec![0; rig.config.max_message_size + 1];
    let mut placed = vec![];
    let mut refused = |drafts: &[_]| store.append(drafts, &mut placed).err();
    let good = draft("t", 0, b"x", "");
    let error = refused(&[good, draft("t", 0, &big, "")]);
    assert!(matches!(error, Some(AppendError::TooLarge { index: 1, .. })), "{error:?}");
    let long = "p".repeat(40_000);
    let error = refused(&[good, good, draft("t", 0, b"", &long)]);
    assert!(matches!(error, Some(AppendError::Illegal { index: 2, .. })), "{error:?}");
    let endless = "t".repeat(256);
    for topic in ["..", "a/b", endless.as_str()] {
        let error = refused(&[draft(topic, 0, b"x", "")]);
        assert!(matches!(error, Some(AppendError::Illegal { index: 0, .. })), "{error:?}");
    }
    assert!(refused(&[]).is_none());
    assert_eq!(store.stats().log_end, PhysicalOffset(0));
    store.close().unwrap();
    assert_eq!(try_send(&store, &[good]).err(), Some(AppendError::Closed));
}

#[test]
fn times_never_go_back() {
    let rig = Rig::new();
    let store = rig.open();
    rig.clock.advance(Duration::from_secs(100));
    let first = send(&store, &[draft("t", 0, b"x", "")])[0].store_timestamp;
    store.close().unwrap();
    let mut earlier = rig.killed();
    earlier.clock = Arc::new(blockhouse_model::ManualClock::at(START));
    let store = earlier.open();
    assert_eq!(send(&store, &[draft("t", 0, b"y", "")])[0].store_timestamp, first);
}

#[test]
fn topics_longer_than_127_bytes_work() {
    let rig = Rig::new();
    let store = rig.open();
    let topic = format!("%RETRY%{}", "g".repeat(200));
    send(&store, &[draft(&topic, 0, b"x", ""); 10]);
    assert_eq!(bodies(&store, &topic, 0, 0).len(), 10);
    store.close().unwrap();
    let store = rig.killed().open();
    assert_eq!(bodies(&store, &topic, 0, 0).len(), 10);
}

#[test]
fn half_messages_are_in_the_log_but_in_no_queue() {
    let rig = Rig::new();
    let store = rig.open();
    let mut half = draft("t", 0, b"half", "UNIQ_KEY\u{1}u1\u{2}");
    half.sys_flag = SysFlag(SysFlag::TRANSACTION_PREPARED);
    let mut commit = draft("t", 0, b"commit", "");
    commit.sys_flag = SysFlag(SysFlag::TRANSACTION_COMMIT);
    let placed = send(&store, &[half, commit]);
    assert_eq!(bodies(&store, "t", 0, 0), [b"commit"]);
    assert_eq!(placed[1].queue_offset, QueueOffset(0));
    let found = store.query("t", "u1", 9, Timestamp(0), Timestamp(i64::MAX));
    assert_eq!(found.records.len(), 1);
}

#[test]
fn delayed_messages_carry_their_due_time() {
    let rig = Rig::new();
    let store = rig.open();
    let text = "TAGS\u{1}TagA\u{2}DELAY\u{1}4\u{2}";
    send(&store, &[draft(names::SCHEDULE_TOPIC, 3, b"x", text)]);
    let mut seen = Vec::new();
    let request = crate::rig::request(names::SCHEDULE_TOPIC, 3, 0, 1);
    store.read(&request, &mut |code: i64| {
        seen.push(code);
        true
    });
    assert_eq!(seen, [rig.clock.now().0 + 30_000]);
}

#[test]
fn a_directory_is_used_by_one_store_at_a_time() {
    let rig = Rig::new();
    let store = rig.open();
    let second = rig.open_on(Arc::new(rig.disk.clone())).err().unwrap();
    assert!(matches!(second, blockhouse_store::Error::InUse(_)));
    drop(store);
    drop(rig.open());
    assert!(rig.disk.exists(Path::new("/data/lock")) || rig.has("abort"));
}
