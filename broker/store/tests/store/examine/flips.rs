//! Bits that flip, pages that are zeroed, files that are cut, anywhere.

use std::path::{Path, PathBuf};

use blockhouse_disk::{Disk, MemDisk};
use blockhouse_store::examine::{Access, Kind, check, plan, repair};

use super::{
    ROUNDS, SEGMENT, checked, clock, kinds, numbers, options, records, site_with, stopped,
};
use crate::crash::seeds::variable;
use crate::rig::{DIR, Rig};

/// Numbers that look random, the same in every run.
struct Sequence(u64);

impl Sequence {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }
}

/// What is done to a file.
#[derive(Clone, Copy, Debug)]
enum Way {
    Flip,
    Zero,
    Cut,
}

/// From where to where a file is not what it was.
#[derive(Debug)]
struct Harm {
    path: PathBuf,
    from: u64,
    to: u64,
}

impl Harm {
    fn of(disk: &MemDisk, path: PathBuf, way: Way, sequence: &mut Sequence) -> Self {
        let file = disk.open(&path).unwrap();
        let len = file.len().unwrap();
        match way {
            Way::Flip => {
                let at = sequence.below(len);
                let mut byte = [0];
                file.read_at(&mut byte, at).unwrap();
                file.write_at(&[byte[0] ^ (1 << sequence.below(8))], at).unwrap();
                Self { path, from: at, to: at + 1 }
            }
            Way::Zero => {
                let from = sequence.below(len.div_ceil(4096)) * 4096;
                let to = (from + 4096).min(len);
                file.write_at(&vec![0; usize::try_from(to - from).unwrap()], from).unwrap();
                Self { path, from, to }
            }
            Way::Cut => {
                let from = sequence.below(len);
                file.set_len(from).unwrap();
                Self { path, from, to: len }
            }
        }
    }

    /// Whether it lies in a record of the log.
    fn hits(&self, (at, len, _): &(u64, u64, String)) -> bool {
        let (base, inside) = (at / SEGMENT * SEGMENT, at % SEGMENT);
        self.path.ends_with(format!("commitlog/{base:020}"))
            && inside < self.to
            && self.from < inside + len
    }
}

/// Harms a copy of the store in one way, checks, mends and opens it. Gives whether damage was found.
fn harmed(rig: &Rig, way: Way, seed: u64) -> bool {
    let mut sequence = Sequence(seed);
    let all = records(&rig.disk);
    let paths = rig.disk.paths().into_iter();
    // A flipped bit can make the stamp that of a newer version, which is refused: see `stamp.rs`.
    let paths: Vec<_> = paths.filter(|p| !p.ends_with("lock") && !p.ends_with("version")).collect();
    let some = usize::try_from(sequence.below(paths.len() as u64)).unwrap();
    let hurt = rig.killed();
    // Half of them in the log, which is what counts.
    let in_log = Path::new(DIR).join(format!("commitlog/{:020}", SEGMENT * sequence.below(3)));
    let path = if seed.is_multiple_of(2) { in_log } else { paths[some].clone() };
    let harm = Harm::of(&hurt.disk, path, way, &mut sequence);

    let site = site_with(&hurt.disk, options(), Access::Write);
    let report = check(&site, &mut |_, _| ()).unwrap();
    let steps = plan(&report, true);
    if !steps.steps.is_empty() {
        repair(&site, (&report, &steps), &[], &clock(), &mut |_, _| ()).unwrap();
    }
    drop(site);
    let left = checked(&hurt.disk);
    // What no checksum covers cannot be mended.
    let damage = kinds(&left);
    let unmended: Vec<_> = damage.iter().filter(|kind| **kind != Kind::Record).collect();
    assert!(unmended.is_empty(), "{harm:?}: {:?}", left.findings.list);
    let store = hurt.open();
    let there = numbers(&store, "u", 0);
    let is_lost = |n: &u32| !there.contains(n);
    let lost: Vec<u32> = (0..ROUNDS).filter(is_lost).collect();
    let hit = all.iter().filter(|record| record.2 == "u").enumerate();
    let hit: Vec<_> = hit.filter(|(_, record)| harm.hits(record)).map(|(n, _)| n).collect();
    let may_be = |n: &u32| hit.contains(&usize::try_from(*n).unwrap());
    assert!(lost.iter().all(may_be), "{harm:?}: {lost:?} are lost, it hit {hit:?}");
    let is_found = report.findings.damage > 0;
    assert!(lost.is_empty() || is_found, "{harm:?}: nothing tells of {lost:?}");
    store.close().unwrap();
    is_found
}

fn anywhere(way: Way, seeds: impl Iterator<Item = u64>) -> u32 {
    let only = variable("BLOCKHOUSE_FLIP_SEED").and_then(|seed| seed.parse().ok());
    let rig = stopped();
    let mut found = 0;
    for seed in seeds.filter(|seed| only.is_none_or(|only: u64| only == *seed)) {
        let tried = std::panic::AssertUnwindSafe(|| harmed(&rig, way, seed));
        let is_found = std::panic::catch_unwind(tried);
        assert!(is_found.is_ok(), "to run this again: BLOCKHOUSE_FLIP_SEED={seed} ({way:?})");
        found += u32::from(is_found.unwrap_or(false));
    }
    if only.is_some() { u32::MAX } else { found }
}

#[test]
fn any_flipped_bit_leaves_a_store_that_can_be_mended_and_opened() {
    let found = anywhere(Way::Flip, (0..200).chain(2000..2050));
    // Some fields mean nothing to a store: born times, flags, parts of index entries.
    assert!(found >= 150, "{found} of 250");
}

#[test]
fn any_zeroed_page_leaves_a_store_that_can_be_mended_and_opened() {
    let found = anywhere(Way::Zero, 0..250);
    // Pages that were zeros before, and files that the next start writes anew.
    assert!(found >= 150, "{found} of 250");
}

#[test]
fn any_cut_file_leaves_a_store_that_can_be_mended_and_opened() {
    let found = anywhere(Way::Cut, 0..250);
    assert!(found >= 150, "{found} of 250");
}
