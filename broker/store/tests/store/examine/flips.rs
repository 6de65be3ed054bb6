//! Bits that flip anywhere.

use std::path::Path;

use blockhouse_disk::Disk;
use blockhouse_store::examine::{Access, Kind, check, plan, repair};

use super::{SEGMENT, checked, clock, kinds, numbers, options, site_with, stopped};
use crate::rig::DIR;

/// Numbers that look random, the same in every run.
struct Sequence(u64);

impl Sequence {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }
}

#[test]
fn any_flipped_bit_leaves_a_store_that_can_be_mended_and_opened() {
    let rig = stopped();
    let paths = rig.disk.paths().into_iter();
    // A flipped bit can make the stamp that of a newer version, which is refused: see `stamp.rs`.
    let paths: Vec<_> = paths.filter(|p| !p.ends_with("lock") && !p.ends_with("version")).collect();
    let mut found = 0;
    for seed in (0..200).chain(2000..2050) {
        let mut sequence = Sequence(seed);
        let half = usize::try_from(sequence.below(paths.len() as u64)).unwrap();
        let hurt = rig.killed();
        // Half of them in the log, which is what counts.
        let in_log = Path::new(DIR).join(format!("commitlog/{:020}", SEGMENT * sequence.below(3)));
        let path = if seed % 2 == 0 { &in_log } else { &paths[half] };
        let file = hurt.disk.open(path).unwrap();
        let at = sequence.below(file.len().unwrap());
        let mut byte = [0];
        file.read_at(&mut byte, at).unwrap();
        byte[0] ^= 1 << sequence.below(8);
        file.write_at(&byte, at).unwrap();
        let what = format!("seed {seed}: {} at {at}", path.display());

        let site = site_with(&hurt.disk, options(), Access::Write);
        let report = check(&site, &mut |_, _| ()).unwrap();
        let steps = plan(&report, true);
        found += u32::from(report.findings.damage > 0);
        if !steps.steps.is_empty() {
            repair(&site, (&report, &steps), &[], &clock(), &mut |_, _| ()).unwrap();
        }
        drop(site);
        let left = checked(&hurt.disk);
        // What no checksum covers cannot be mended.
        let damage = kinds(&left);
        let unmended: Vec<_> = damage.iter().filter(|kind| **kind != Kind::Record).collect();
        assert!(unmended.is_empty(), "{what}: {:?}", left.findings.list);
        let store = hurt.open();
        assert!(numbers(&store, "u", 0).len() >= 118, "{what}");
        store.close().unwrap();
    }
    // Some fields mean nothing to a store: born times, flags, parts of index entries.
    assert!(found >= 150, "{found} of 250");
}
