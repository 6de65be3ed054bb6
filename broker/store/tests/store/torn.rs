//! Damage in the log is refused, a torn tail is cut.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use blockhouse_disk::{Disk, whole};
use blockhouse_model::{PhysicalOffset, QueueId};
use blockhouse_store::{ColdRead, Config, Error, Flush, Placed, Store};

use crate::rig::{DIR, Rig, bodies, config, draft, read, send};

/// A store under sync flush that makes no checkpoint by itself: `blockhouse/flushed` is ahead.
fn rig() -> Rig {
    Rig::with(Config { flush: Flush::Sync, checkpoint_interval_ms: u64::MAX, ..config() })
}

fn fill(rig: &Rig, store: &Store, count: u32) -> Vec<Placed> {
    let mut all = Vec::new();
    for n in 0..count {
        rig.clock.advance(Duration::from_secs(1));
        all.extend(send(store, &[draft("t", n % 2, &[7; 100], "")]));
    }
    all
}

fn log_file(rig: &Rig, at: u64) -> (PathBuf, u64) {
    let base = at - at % rig.config.segment_size;
    (Path::new(DIR).join(format!("commitlog/{base:020}")), at - base)
}

fn damage(rig: &Rig, placed: &Placed) {
    let (path, inside) = log_file(rig, placed.physical_offset.0);
    rig.disk.open(&path).unwrap().write_at(&[0xEE; 3], inside + 95).unwrap();
}

fn files(rig: &Rig) -> BTreeMap<PathBuf, Vec<u8>> {
    let read = |path: &PathBuf| whole::read(&rig.disk, path).unwrap().unwrap();
    rig.disk.paths().into_iter().map(|path| (path.clone(), read(&path))).collect()
}

/// The start is refused for damage at `at`, with `behind` whole records behind it.
fn assert_refused(rig: &Rig, at: u64, behind: usize) {
    let before = files(rig);
    let refused = rig.open_on(Arc::new(rig.disk.clone())).err();
    let (expected, inside) = log_file(rig, at);
    let text = refused.as_ref().map(ToString::to_string).unwrap_or_default();
    let Some(Error::Damaged { path, offset, position, records, .. }) = refused else {
        assert_eq!(text, "damage", "the start is refused");
        return;
    };
    assert_eq!((path, offset, position), (expected, inside, at), "{text}");
    assert_eq!(records, behind as u64, "{text}");
    assert!(text.contains("admin store repair") && text.contains(&format!("{behind} whole")));
    assert!(files(rig) == before, "nothing was changed");
}

#[test]
fn damage_before_what_was_flushed_is_refused() {
    let rig = rig();
    let store = rig.open();
    fill(&rig, &store, 30);
    store.flush().unwrap();
    let placed = fill(&rig, &store, 150);
    store.tick();
    let killed = rig.killed();
    for n in [0, 40, 149] {
        let rig = killed.killed();
        damage(&rig, &placed[n]);
        assert_refused(&rig, placed[n].physical_offset.0, 149 - n);
    }
    // Unharmed, it opens.
    assert_eq!(bodies(&killed.open(), "t", 0, 0).len(), 90);
}

#[test]
fn a_tail_that_was_not_known_to_be_flushed_is_cut() {
    let rig = rig();
    let store = rig.open();
    fill(&rig, &store, 30);
    store.tick();
    let placed = fill(&rig, &store, 20);
    let rig = rig.killed();
    damage(&rig, &placed[4]);
    let store = rig.open();
    assert_eq!(store.stats().log_end, placed[4].physical_offset);
    assert_eq!(bodies(&store, "t", 0, 0).len(), 17);
    assert_eq!(store.message_at(placed[5].physical_offset, ColdRead::Allow).unwrap(), None);
    store.close().unwrap();
}

#[test]
fn a_checkpoint_whose_last_record_is_damaged_is_no_beginning() {
    let rig = rig();
    let store = rig.open();
    let placed = fill(&rig, &store, 60);
    store.close().unwrap();
    let rig = rig.killed();
    damage(&rig, &placed[59]);
    assert_refused(&rig, placed[59].physical_offset.0, 0);
}

#[test]
fn a_log_that_is_shorter_than_it_was_is_refused() {
    let rig = rig();
    let store = rig.open();
    let placed = fill(&rig, &store, 200);
    store.close().unwrap();
    let rig = rig.killed();
    let first_lost = placed.iter().position(|p| p.physical_offset.0 >= rig.config.segment_size);
    let last = &placed[first_lost.unwrap() - 1];
    for path in rig.disk.paths() {
        if path.starts_with("/data/commitlog") && !path.ends_with("00000000000000000000") {
            rig.disk.remove(&path).unwrap();
        }
    }
    assert_refused(&rig, last.physical_offset.0 + u64::from(last.size), 0);
}

/// Its end may not be given back to it first: what is refused stays as it was found.
#[test]
fn a_last_file_that_was_cut_is_refused_and_stays_short() {
    let rig = rig();
    let store = rig.open();
    let placed = fill(&rig, &store, 200);
    store.close().unwrap();
    let rig = rig.killed();
    let cut = &placed[197];
    let (path, inside) = log_file(&rig, cut.physical_offset.0);
    rig.disk.open(&path).unwrap().set_len(inside + 30).unwrap();
    assert_refused(&rig, cut.physical_offset.0, 0);
}

#[test]
fn rocketmqs_checkpoint_tells_damage_from_a_torn_tail() {
    let rig = rig();
    let store = rig.open();
    fill(&rig, &store, 30);
    let placed = fill(&rig, &store, 20);
    store.flush().unwrap();
    let later = fill(&rig, &store, 20);
    drop(store);
    let rig = rig.killed();
    rig.disk.remove_dir(&Path::new(DIR).join("blockhouse")).unwrap();
    let damaged = rig.killed();
    damage(&damaged, &placed[3]);
    assert_refused(&damaged, placed[3].physical_offset.0, 36);
    // What came after RocketMQ's checkpoint may be torn.
    let torn = rig.killed();
    damage(&torn, &later[3]);
    let store = torn.open();
    assert_eq!(store.stats().log_end, later[3].physical_offset);
    // Records from before a cut, which RocketMQ leaves where they are, prove nothing.
    let stale = rig.killed();
    let at = later[19].physical_offset.0 + u64::from(later[19].size);
    let (path, inside) = log_file(&stale, at);
    let mut record =
        store.message_at(PhysicalOffset(0), ColdRead::Allow).unwrap().unwrap().to_vec();
    record[28..36].copy_from_slice(&(at + 50).to_be_bytes());
    stale.disk.open(&path).unwrap().write_at(&record, inside + 50).unwrap();
    let store = stale.open();
    assert_eq!(store.stats().log_end.0, at);
}

#[test]
fn a_record_with_an_impossible_offset_gets_no_entry() {
    let rig = rig();
    let store = rig.open();
    fill(&rig, &store, 10);
    store.flush().unwrap();
    let placed = fill(&rig, &store, 10);
    let rig = rig.killed();
    // The highest byte of QUEUEOFFSET, which no checksum covers; queue 1 has it.
    let (path, inside) = log_file(&rig, placed[5].physical_offset.0);
    rig.disk.open(&path).unwrap().write_at(&[0x10], inside + 21).unwrap();
    let store = rig.open();
    assert_eq!(store.max_offset("t", QueueId(1)).0, 10);
    let outcome = read(&store, "t", 1, 0, 32);
    let got: Vec<_> = crate::rig::views(&outcome).iter().map(|v| v.queue_offset.0).collect();
    assert_eq!(got, [0, 1, 2, 3, 4, 5, 6, 8, 9]);
    assert_eq!(bodies(&store, "t", 0, 0).len(), 10);
}

#[test]
fn a_time_that_cannot_be_does_not_last() {
    let rig = rig();
    let store = rig.open();
    let placed = fill(&rig, &store, 10);
    let rig = rig.killed();
    let (path, inside) = log_file(&rig, placed[9].physical_offset.0);
    rig.disk.open(&path).unwrap().write_at(&[0x40], inside + 56).unwrap();
    let store = rig.open();
    let next = fill(&rig, &store, 1);
    assert_eq!(next[0].store_timestamp, blockhouse_model::Clock::now(&*rig.clock));
    assert_eq!(next[0].queue_offset.0, 5);
}

/// How many messages of queue 1 are read.
fn everything_of(store: &Store, count: u64) -> u64 {
    let (mut next, mut found) = (0, 0);
    while next < count {
        let outcome = read(store, "t", 1, next, 32);
        found += outcome.count as u64;
        next = outcome.next.0;
    }
    found
}

/// What lies on the way of the search for the queue's end is noticed at a start that searches: the
/// one after damage was read, see `damage.rs`, or one without a table of queues.
#[test]
fn a_damaged_queue_is_built_anew() {
    for (is_clean, has_table) in [(true, true), (true, false), (false, true), (false, false)] {
        for (at, damage) in [(20 * 140, vec![0; 20 * 30]), (20 * 150 + 2, vec![0x7F])] {
            let rig = Rig::with(Config { queue_file_entries: 300, ..config() });
            let store = rig.open();
            fill(&rig, &store, 400);
            store.flush().unwrap();
            if is_clean {
                store.close().unwrap();
            } else {
                fill(&rig, &store, 20);
            }
            drop(store);
            let rig = rig.killed();
            let path = Path::new(DIR).join("consumequeue/t/1/00000000000000000000");
            let good = files(&rig)[&path].clone();
            rig.disk.open(&path).unwrap().write_at(&damage, at).unwrap();
            let count = if is_clean { 200 } else { 210 };
            if has_table {
                // A start that need not look does not see it; whoever reads it does.
                let store = rig.open();
                assert_eq!(store.max_offset("t", QueueId(1)).0, count);
                let read = everything_of(&store, count);
                assert!((count - 30..count).contains(&read), "{read} of {count}");
                store.close().unwrap();
            } else {
                rig.disk.remove(&Path::new(DIR).join("blockhouse/queues")).unwrap();
            }
            let store = rig.open();
            assert_eq!(store.max_offset("t", QueueId(1)).0, count);
            assert_eq!(bodies(&store, "t", 1, 0).len() as u64, count);
            assert_eq!(bodies(&store, "t", 0, 0).len() as u64, count);
            store.flush().unwrap();
            assert_eq!(files(&rig)[&path][..200 * 20], good[..200 * 20]);
            store.close().unwrap();
            assert_eq!(rig.killed().open().stats().replayed, 0);
        }
    }
}
