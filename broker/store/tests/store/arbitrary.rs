//! Whatever a disk says: a store opens or refuses to, and one that opens answers everything and
//! takes new messages.

use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, LazyLock, Once};

use crate::rig::{Rig, START, bodies, draft, request, send};
use blockhouse_disk::{Disk as _, MemDisk, whole};
use blockhouse_model::{PhysicalOffset, Timestamp};
use blockhouse_record::records;
use blockhouse_store::{Boundary, ColdRead, Error, Store};
use proptest::prelude::*;
use proptest::sample::Index;

/// Panics of threads that are not the test's: the store's own.
static PANICS: AtomicU32 = AtomicU32::new(0);

fn count_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            let thread = std::thread::current();
            if thread.name().is_none_or(|name| !name.contains("::")) {
                PANICS.fetch_add(1, Ordering::SeqCst);
            }
            before(info);
        }));
    });
}

/// Two topics over several files of every kind, with what a kill leaves behind it.
fn used(is_killed: bool) -> MemDisk {
    let rig = Rig::new();
    let store = rig.open();
    for n in 0..300_u32 {
        let text = format!("KEYS\u{1}k{n} all\u{2}UNIQ_KEY\u{1}u{n}\u{2}TAGS\u{1}a\u{2}");
        let body = [7; 40];
        send(&store, &[draft("t", n % 2, &body, &text), draft("u", 0, &body, "")]);
        if n == 200 {
            store.flush().unwrap();
            store.tick();
        }
    }
    if !is_killed {
        store.close().unwrap();
    }
    rig.killed().disk
}

static KILLED: LazyLock<MemDisk> = LazyLock::new(|| used(true));
static CLOSED: LazyLock<MemDisk> = LazyLock::new(|| used(false));

fn files(disk: &MemDisk, part: &str) -> Vec<PathBuf> {
    let is_part = |path: &PathBuf| path.to_string_lossy().contains(part);
    let found: Vec<_> = disk.paths().into_iter().filter(is_part).collect();
    assert!(!found.is_empty(), "{part}");
    found
}

fn write(disk: &MemDisk, path: &Path, bytes: &[u8]) {
    let file = disk.create(path).unwrap();
    file.set_len(0).unwrap();
    file.write_at(bytes, 0).unwrap();
}

/// Asks everything that can be asked; what is answered need only be safe to look at.
fn ask_everything(store: &Store) {
    for bounds in store.queues(None) {
        let (topic, queue) = (bounds.topic.as_str(), bounds.queue);
        let mut next = store.min_offset(topic, queue).0;
        for _ in 0..50 {
            let outcome = store.read(&request(topic, queue.0, next, 32), &mut |_: i64| true);
            for slice in &outcome.slices {
                black_box(records(slice).count());
            }
            if outcome.next.0 <= next {
                break;
            }
            next = outcome.next.0;
        }
        for boundary in [Boundary::Lower, Boundary::Upper] {
            let found = store.offset_by_time(topic, queue, START, boundary);
            assert!(found <= bounds.max, "{found:?}");
        }
        black_box(store.earliest_store_time(topic, queue));
        black_box(store.store_time_of(topic, queue, bounds.max));
    }
    for key in ["all", "k7", "u299", "none"] {
        let found = store.query("t", key, 64, Timestamp(0), Timestamp(i64::MAX));
        for record in &found.records {
            let view = blockhouse_record::View::parse(record).unwrap();
            assert_eq!(view.topic, "t", "the index only finds what it was asked for");
        }
    }
    black_box(store.earliest_message_time());
    for at in [0, 1, 4_096, 1 << 40, u64::MAX] {
        store.message_at(PhysicalOffset(at), ColdRead::Allow).ok();
    }
    store.tick();
    store.delete_expired().ok();
    store.clean_expired_queues().ok();
}

/// Opens, asks, sends, and does the same once more after a kill. The new messages are found by key
/// unless it is the index that was damaged.
fn opens_or_refuses(disk: MemDisk, is_index_damaged: bool) -> Result<(), Error> {
    count_panics();
    let rig = Rig { disk, ..Rig::new() };
    for round in 0..2 {
        let store = rig.open_on(Arc::new(rig.disk.clone()))?;
        ask_everything(&store);
        // Topics of their own, so that what is damaged is not in the way.
        let topic = format!("new{round}");
        send(&store, &[draft(&topic, 0, b"new", "KEYS\u{1}new\u{2}")]);
        assert_eq!(bodies(&store, &topic, 0, 0), [b"new"]);
        let found = store.query(&topic, "new", 9, Timestamp(0), Timestamp(i64::MAX));
        assert!(is_index_damaged || found.records.len() == 1);
        drop(store);
    }
    assert_eq!(PANICS.load(Ordering::SeqCst), 0, "a thread of the store panicked");
    Ok(())
}

/// Few by default, since each opens two stores; `PROPTEST_CASES` says how many else.
fn cases() -> ProptestConfig {
    let all = ProptestConfig::default();
    let is_asked = std::env::var_os("PROPTEST_CASES").is_some();
    ProptestConfig {
        cases: if is_asked { all.cases } else { 40 },
        failure_persistence: None,
        ..all
    }
}

/// The files of a kind, by a part of their path.
const KINDS: [&str; 4] = ["/commitlog/", "/consumequeue/", "/index/", "checkpoint"];

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn a_store_with_damaged_files_opens_or_refuses(
        is_killed: bool,
        kind in 0..KINDS.len(),
        which: Index,
        damage in prop::collection::vec((any::<Index>(), any::<u64>(), 1..9_usize), 1..12),
        is_at_start: bool,
    ) {
        let disk = if is_killed { KILLED.snapshot() } else { CLOSED.snapshot() };
        let files = files(&disk, KINDS[kind]);
        let path = which.get(&files);
        let mut bytes = whole::read(&disk, path).unwrap().unwrap();
        // Heads of files, and the numbers in them, are what everything else hangs on.
        let reach = if is_at_start { bytes.len().min(200) } else { bytes.len() };
        for (at, value, len) in damage {
            let at = at.index(reach.max(1));
            for (byte, value) in bytes.iter_mut().skip(at).take(len).zip(value.to_be_bytes()) {
                *byte = value;
            }
        }
        write(&disk, path, &bytes);
        opens_or_refuses(disk, KINDS[kind] == "/index/").ok();
    }

    #[test]
    fn a_store_with_any_bytes_in_a_file_opens_or_refuses(
        is_killed: bool,
        kind in 0..KINDS.len(),
        which: Index,
        bytes in prop::collection::vec(any::<u8>(), 0..5_000),
    ) {
        let disk = if is_killed { KILLED.snapshot() } else { CLOSED.snapshot() };
        let files = files(&disk, KINDS[kind]);
        write(&disk, which.get::<PathBuf>(&files), &bytes);
        opens_or_refuses(disk, KINDS[kind] == "/index/").ok();
    }

    #[test]
    fn a_store_with_cut_or_missing_files_opens_or_refuses(
        is_killed: bool,
        changes in prop::collection::vec((any::<Index>(), prop::option::of(any::<Index>())), 1..4),
    ) {
        let disk = if is_killed { KILLED.snapshot() } else { CLOSED.snapshot() };
        for (which, cut) in changes {
            let paths = disk.paths();
            let path = which.get(&paths);
            match cut {
                None => disk.remove(path).unwrap(),
                Some(cut) => {
                    let file = disk.open(path).unwrap();
                    let len = usize::try_from(file.len().unwrap()).unwrap();
                    file.set_len(cut.index(len.max(1)) as u64).unwrap();
                }
            }
        }
        opens_or_refuses(disk, true).ok();
    }
}

#[test]
fn an_undamaged_store_opens() {
    opens_or_refuses(KILLED.snapshot(), false).unwrap();
    opens_or_refuses(CLOSED.snapshot(), false).unwrap();
}

/// The store time of a record, behind the born host, is under no checksum.
#[test]
fn a_damaged_time_hides_no_other_message_from_the_index() {
    for time in [i64::MIN, -1, 0, i64::MAX] {
        let disk = KILLED.snapshot();
        for path in files(&disk, KINDS[0]) {
            let mut bytes = whole::read(&disk, &path).unwrap().unwrap();
            let mut at = 0;
            while let Some(size) = bytes.get(at..at + 4).and_then(|b| b.first_chunk()).copied() {
                let len = usize::try_from(u32::from_be_bytes(size)).unwrap();
                let Some(record) = bytes.get_mut(at..at + len).filter(|r| r.len() > 64) else {
                    break;
                };
                record[56..64].copy_from_slice(&time.to_be_bytes());
                at += len;
            }
            write(&disk, &path, &bytes);
        }
        opens_or_refuses(disk, false).unwrap();
    }
}
