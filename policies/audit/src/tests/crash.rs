//! Power cuts at every moment: no admin command that was answered is lost, and what is left is whole.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use blockhouse_disk::{CrashDisk, Disk};

use super::{Bench, all, check, plugin, targets};
use crate::Config;

/// What was answered, and after how many events of the disk.
type Answered = Vec<(usize, String)>;

fn config() -> Config {
    Config {
        segment_bytes: 1 << 16,
        retention_segments: 2,
        retention_days_min: 0,
        ..Config::default()
    }
}

/// Admin commands and other events over some segments.
fn history() -> (CrashDisk, Answered, std::path::PathBuf) {
    let disk = CrashDisk::new();
    let mut bench = Bench::open(Arc::new(disk.clone()), &config()).unwrap();
    let mut answered = Answered::new();
    for n in 0..110 {
        for _ in 0..n % 4 {
            bench.put(plugin("other"));
        }
        if n % 3 == 0 {
            bench.turn();
        }
        let target = format!("topic-{n}-{}", "x".repeat(900));
        assert!(bench.admin(&target));
        answered.push((disk.events(), target));
        if n % 10 == 0 {
            bench.pass(Duration::from_millis(700));
        }
    }
    let dir = bench.dir.clone();
    (disk, answered, dir)
}

fn survives(image: CrashDisk, dir: &Path, answered: &[String]) {
    let disk: Arc<dyn Disk> = Arc::new(image);
    let bench = Bench::at(Arc::clone(&disk), dir, &config(), 2_000_000);
    let mut bench = bench.unwrap_or_else(|error| panic!("{error}"));
    let report = bench.verify();
    assert_eq!(report.findings, []);
    let found = targets(&all(&disk, dir));
    // Retention takes the oldest away: those that are left are in order, and the last of them is there.
    let admin: Vec<_> = found.iter().filter(|t| t.starts_with("topic-")).collect();
    if report.first == 0 {
        assert!(answered.iter().zip(&admin).all(|(a, b)| a == *b));
        assert!(admin.len() >= answered.len());
    }
    if let Some(last) = answered.last() {
        assert!(admin.contains(&last), "{last} is gone");
    }
    assert!(bench.admin("next"), "it goes on");
    assert_eq!(check(&disk, dir, None).findings, []);
}

#[test]
fn no_power_cut_loses_an_answered_command() {
    let (disk, answered, dir) = history();
    assert!(crate::segment::list(&disk, &dir).unwrap()[0] > 0, "retention is part of it");
    let mut crashes = disk.crashes();
    let mut seed = 1;
    loop {
        let at = crashes.at();
        let told: Vec<_> =
            answered.iter().filter(|(when, _)| *when <= at).map(|(_, t)| t.clone()).collect();
        for _ in 0..1 {
            seed += 1;
            survives(crashes.image(seed), &dir, &told);
        }
        if !crashes.step() {
            return;
        }
    }
}

#[test]
fn a_kill_loses_nothing_that_was_written() {
    let (disk, answered, dir) = history();
    let told: Vec<_> = answered.into_iter().map(|(_, target)| target).collect();
    survives(disk.killed(), &dir, &told);
}
