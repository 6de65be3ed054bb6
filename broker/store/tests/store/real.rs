//! The same store on the operating system's files.

use std::sync::Arc;

use blockhouse_disk::{Disk, RealDisk};
use blockhouse_model::{QueueId, Timestamp};
use blockhouse_store::{
    Boundary, ColdRead, Config, Error, Flush, Purpose, ReadRequest, ReadStatus, Store,
};

use crate::rig::{Rig, bodies, config, draft, read, request, send};

#[test]
fn messages_survive_stops_of_both_kinds() {
    let dir = tempfile::tempdir().unwrap();
    for flush in [Flush::Async, Flush::Sync] {
        let dir = dir.path().join(format!("{flush:?}"));
        let rig = Rig::with(Config { dir: dir.clone(), flush, ..config() });
        let open = || rig.open_on(Arc::new(RealDisk)).unwrap();
        let mut sent: Vec<Vec<u8>> = Vec::new();
        for (round, clean) in [true, false, true, false, true].into_iter().enumerate() {
            let store = open();
            assert_eq!(bodies(&store, "t", 0, 0), sent, "round {round}");
            for n in 0..60_usize {
                let body = vec![u8::try_from(round).unwrap(); n];
                let text = format!("UNIQ_KEY\u{1}r{round}n{n}\u{2}");
                send(&store, &[draft("t", 0, &body, &text), draft("t", 1, b"x", "")]);
                sent.push(body);
            }
            let locked = rig.open_on(Arc::new(RealDisk)).err();
            assert!(matches!(locked, Some(Error::InUse(_))), "{locked:?}");
            if clean {
                store.close().unwrap();
            }
            assert_eq!(RealDisk.exists(&dir.join("abort")), !clean);
        }
        let store = open();
        assert_eq!(bodies(&store, "t", 0, 0), sent);
        assert_eq!(store.max_offset("t", QueueId(1)).0, 300);
        for key in ["r0n0", "r1n59", "r4n7"] {
            let found = store.query("t", key, 9, Timestamp(0), Timestamp(i64::MAX));
            assert_eq!(found.records.len(), 1, "{key}");
        }
        for file in RealDisk.list(&dir.join("commitlog")).unwrap() {
            assert_eq!(file.len, rig.config.segment_size);
        }
        for file in RealDisk.list(&dir.join("consumequeue/t/0")).unwrap() {
            assert_eq!(file.len, rig.config.queue_file_entries * 20);
        }
    }
}

#[test]
fn a_slice_outlives_the_file_it_was_read_from() {
    let dir = tempfile::tempdir().unwrap();
    let rig = Rig::with(Config { dir: dir.path().to_owned(), file_reserved_hours: 0, ..config() });
    let store = rig.open_on(Arc::new(RealDisk)).unwrap();
    for n in 0..100_u8 {
        send(&store, &[draft("t", 0, &[n; 1_000], "")]);
    }
    let first = read(&store, "t", 0, 0, 1);
    store.flush().unwrap();
    assert!(store.delete_expired().unwrap() > 3);
    let at = blockhouse_model::PhysicalOffset(0);
    assert_eq!(store.message_at(at, ColdRead::Allow).unwrap(), None);
    drop(store);
    let view = blockhouse_record::View::parse(&first.slices[0]).unwrap();
    assert_eq!((view.body, view.is_intact()), ([0_u8; 1_000].as_slice(), true));
}

/// A page that the kernel took back and that the disk does not give again is as bad to look at
/// through a map as one behind the end of the file, which needs no broken disk.
#[test]
fn a_page_that_the_disk_does_not_give_is_an_error_and_no_signal() {
    let dir = tempfile::tempdir().unwrap();
    let segment_size = 1 << 20;
    let rig = Rig::with(Config { dir: dir.path().to_owned(), segment_size, ..config() });
    let store = rig.open_on(Arc::new(RealDisk)).unwrap();
    for _ in 0..200 {
        send(&store, &[draft("t", 0, &[7; 1_000], "KEYS\u{1}k\u{2}")]);
    }
    store.flush().unwrap();
    // Every page is mapped and was looked at.
    assert_eq!(bodies(&store, "t", 0, 0).len(), 200);
    let path = dir.path().join("commitlog/00000000000000000000");
    RealDisk.open(&path).unwrap().set_len(0).unwrap();

    for cold in [ColdRead::Allow, ColdRead::Refuse] {
        for purpose in [Purpose::Send, Purpose::Look] {
            let gone = ReadRequest { cold, purpose, ..request("t", 0, 150, 20) };
            let gone = store.read(&gone, &mut |_: i64| true);
            assert_eq!(gone.count, 0, "{gone:?}");
            assert_ne!(gone.status, ReadStatus::Found);
        }
        let at = blockhouse_model::PhysicalOffset(180 << 10);
        assert!(!matches!(store.message_at(at, cold), Ok(Some(_))));
    }
    let found = store.query("t", "k", 64, Timestamp(0), Timestamp(i64::MAX));
    assert!(found.records.is_empty());
    let _any = store.offset_by_time("t", QueueId(0), Timestamp(1), Boundary::Lower);
}

#[test]
fn a_start_that_reads_all_again_makes_no_queue_file_anew() {
    let dir = tempfile::tempdir().unwrap();
    let rig = Rig::with(Config { dir: dir.path().to_owned(), ..config() });
    let store = rig.open_on(Arc::new(RealDisk)).unwrap();
    for n in 0..60_u32 {
        send(&store, &[draft("t", n % 3, &n.to_be_bytes(), "")]);
    }
    store.flush().unwrap();
    drop(store);
    for name in ["blockhouse/queues", "blockhouse/checkpoint", "checkpoint"] {
        RealDisk.remove(&dir.path().join(name)).unwrap();
    }
    let file = dir.path().join("consumequeue/t/1/00000000000000000000");
    let number = || rustix::fs::stat(&file).unwrap().st_ino;
    let bytes = || blockhouse_disk::whole::read(&RealDisk, &file).unwrap();
    let before = (number(), bytes());
    let store = rig.open_on(Arc::new(RealDisk)).unwrap();
    assert_eq!(store.stats().replayed, 60);
    store.flush().unwrap();
    assert_eq!((number(), bytes()), before);
    for queue in 0..3 {
        assert_eq!(bodies(&store, "t", queue, 0).len(), 20);
    }
}

/// A store with `count` messages of that size in queue 0, and others between them, so that each is
/// looked at by itself; all of them in memory, in one file.
fn spaced(dir: &std::path::Path, count: usize, size: usize) -> Store {
    let rig = Rig::with(Config { dir: dir.to_owned(), segment_size: 1 << 20, ..config() });
    let store = rig.open_on(Arc::new(RealDisk)).unwrap();
    for _ in 0..count {
        send(&store, &[draft("t", 0, &vec![7; size], ""), draft("t", 1, &[8; 4_000], "")]);
    }
    store.flush().unwrap();
    store
}

/// The kernel has said of all pages that they are there: it is asked once, when the first message
/// is read. Before the tenth is looked at, they are gone.
#[test]
fn a_page_lost_between_the_question_and_the_look_is_no_signal() {
    for size in [100, 900, 3_000] {
        for cold in [ColdRead::Allow, ColdRead::Refuse] {
            let dir = tempfile::tempdir().unwrap();
            let store = spaced(dir.path(), 20, size);
            let path = dir.path().join("commitlog/00000000000000000000");
            let mut seen = 0;
            let request = ReadRequest { cold, ..request("t", 0, 0, 20) };
            let outcome = store.read(&request, &mut |_: i64| {
                seen += 1;
                if seen == 10 {
                    RealDisk.open(&path).unwrap().set_len(0).unwrap();
                }
                true
            });
            // A message is read when the next one is known.
            assert_eq!((outcome.status, outcome.count), (ReadStatus::Found, 8), "{outcome:?}");
            assert_eq!(store.stats().lost_pages, 1, "{size}");
            if size < 1_000 {
                // They were copied before the file was cut.
                let views = crate::rig::views(&outcome);
                assert_eq!(views.len(), 8);
                assert!(views.iter().all(|v| v.is_intact() && v.body == vec![7; size]));
            } else {
                // What is lent can still be sent, which fails.
                let (mut here, _there) = std::os::unix::net::UnixStream::pair().unwrap();
                let sent = std::io::Write::write_all(&mut here, &outcome.slices[0]);
                assert!(sent.is_err_and(
                    |e| e.raw_os_error() == Some(rustix::io::Errno::FAULT.raw_os_error())
                ));
            }
        }
    }
}

/// Only the last page of the file's messages is lost, and given back later.
#[test]
fn what_a_map_does_not_give_is_read_by_system_calls() {
    let dir = tempfile::tempdir().unwrap();
    let store = spaced(dir.path(), 20, 3_000);
    let path = dir.path().join("commitlog/00000000000000000000");
    let whole = blockhouse_disk::whole::read(&RealDisk, &path).unwrap().unwrap();
    let mut seen = 0;
    let outcome = store.read(&request("t", 0, 0, 20), &mut |_: i64| {
        seen += 1;
        if seen == 10 {
            RealDisk.open(&path).unwrap().set_len(0).unwrap();
        }
        true
    });
    assert_eq!(outcome.count, 8, "{outcome:?}");
    assert_eq!(store.stats().lost_pages, 1);
    RealDisk.open(&path).unwrap().write_at(&whole, 0).unwrap();
    let again = bodies(&store, "t", 0, 0);
    assert_eq!(again.len(), 20);
    assert!(again.iter().all(|body| *body == [7; 3_000]));
}
