//! Old segments.

use std::sync::Arc;
use std::time::Duration;

use blockhouse_disk::{Disk, MemDisk};

use super::Bench;
use crate::Config;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

fn config() -> Config {
    Config {
        segment_bytes: 1 << 16,
        retention_segments: 3,
        retention_days: 30,
        retention_days_min: 2,
        ..Config::default()
    }
}

/// Fills so many segments.
fn fill(bench: &mut Bench, segments: usize) {
    let goal = crate::segment::list(bench.disk.as_ref(), &bench.dir).unwrap().last().copied();
    let mut last = goal;
    for _ in 0..segments {
        while crate::segment::list(bench.disk.as_ref(), &bench.dir).unwrap().last().copied() == last
        {
            assert!(bench.admin("orders"));
        }
        last = crate::segment::list(bench.disk.as_ref(), &bench.dir).unwrap().last().copied();
    }
}

fn count(bench: &Bench) -> usize {
    crate::segment::list(bench.disk.as_ref(), &bench.dir).unwrap().len()
}

#[test]
fn nothing_younger_than_the_least_age_goes_and_what_goes_is_announced() {
    let disk = Arc::new(MemDisk::new());
    let mut bench = Bench::open(Arc::clone(&disk) as Arc<dyn Disk>, &config()).unwrap();
    fill(&mut bench, 5);
    assert_eq!(count(&bench), 6, "all are younger than two days");
    bench.pass(3 * DAY);
    fill(&mut bench, 1);
    assert_eq!(count(&bench), 3);
    assert_eq!(bench.verify().findings, []);
    let told = bench.records().iter().filter(|r| r.activity_name.contains("removed")).count();
    assert_eq!(told, 1);
    bench.pass(31 * DAY);
    fill(&mut bench, 1);
    assert_eq!(count(&bench), 2, "what is old goes, however few there are");
    assert_eq!(bench.verify().findings, []);
    let trees = disk.list(&bench.dir).unwrap();
    assert_eq!(trees.iter().filter(|e| e.name.ends_with(".tree")).count(), 2);

    // A start lets go too.
    let dir = bench.dir.clone();
    let now = 1_000_000 + 100 * i64::try_from(DAY.as_millis()).unwrap();
    bench.close();
    let bench = Bench::at(disk, &dir, &config(), now).unwrap();
    assert_eq!(count(&bench), 1);
    assert_eq!(bench.verify().findings, []);
}
