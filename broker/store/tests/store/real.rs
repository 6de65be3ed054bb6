//! The same store on the operating system's files.

use std::sync::Arc;

use blockhouse_disk::{Disk, RealDisk};
use blockhouse_model::{QueueId, Timestamp};
use blockhouse_store::{
    Boundary, ColdRead, Config, Error, Flush, Purpose, ReadRequest, ReadStatus,
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

/// A page that the kernel took back and that the disk does not give again is as deadly to look at
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
