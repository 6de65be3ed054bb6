//! Refusals that repeat.

use std::sync::Arc;
use std::time::Duration;

use blockhouse_disk::{Disk, MemDisk};
use blockhouse_hook::{ConnectionInfo, Decided, Outcome, Subject};
use blockhouse_model::RequestContext;

use super::{Bench, admin, event};
use crate::Config;

fn counts(bench: &Bench) -> Vec<(String, Option<u64>)> {
    let records = bench.records();
    let told = records.iter().filter(|record| record.unmapped.outcome == "refused");
    told.map(|record| (record.resource().to_owned(), record.count)).collect()
}

#[test]
fn equal_refusals_of_a_second_are_one_record_with_their_number() {
    let mut bench = Bench::open(Arc::new(MemDisk::new()), &Config::default()).unwrap();
    for n in 0..1_000_u16 {
        let mut event = admin("orders", Outcome::Refused);
        // Another connection of the same client.
        event.peer.set_port(n);
        event.connection = n.into();
        bench.put(event);
    }
    bench.put(admin("bills", Outcome::Refused));
    let mut other = admin("orders", Outcome::Refused);
    other.peer = ([10, 0, 0, 8], 1).into();
    bench.put(other);
    bench.turn();
    let one = |name: &str| (name.to_owned(), None);
    assert_eq!(counts(&bench), [one("orders"), one("bills"), one("orders")]);
    bench.pass(Duration::from_secs(1));
    let merged = ("orders".to_owned(), Some(999));
    assert_eq!(counts(&bench), [one("orders"), one("bills"), one("orders"), merged.clone()]);
    assert_eq!(bench.counts.merged.read(), 999);
    // The next second begins anew, and a stop loses nothing.
    bench.put(admin("orders", Outcome::Refused));
    bench.put(admin("orders", Outcome::Refused));
    let (disk, dir) = (Arc::clone(&bench.disk), bench.dir.clone());
    bench.close();
    let records = super::all(&disk, &dir);
    let sum: u64 = records
        .iter()
        .filter(|record| record.unmapped.outcome == "refused")
        .map(|record| record.count.unwrap_or(1))
        .sum();
    assert_eq!(sum, 1_004);
    assert_eq!(super::check(&disk, &dir, None).findings, []);
}

/// Whoever makes up a new code, path or broken frame each time does not fill the log with it.
#[test]
fn what_is_made_up_is_merged_whatever_it_is() {
    let mut bench = Bench::open(Arc::new(MemDisk::new()), &Config::default()).unwrap();
    for n in 0..1_000_i32 {
        let reason = &*format!("reason {n}");
        let decided = Decided { outcome: Outcome::Refused, by: "", shadow: false, reason };
        let cx = RequestContext::new(([10, 0, 0, 7], 1).into(), 1, 10_000 + n);
        let peer = ConnectionInfo { id: 1, peer: cx.peer, local: cx.peer, secure: false };
        let path = format!("GET /{n}");
        bench.put(event(|auditor| auditor.tell(Subject::Unknown(&cx, &path), decided)));
        bench.put(event(|auditor| auditor.tell(Subject::Shut(&peer, "frame"), decided)));
    }
    bench.turn();
    bench.pass(Duration::from_secs(1));
    let told: Vec<_> = counts(&bench).into_iter().map(|(_, count)| count).collect();
    assert_eq!(told, [None, None, Some(999), Some(999)]);
    let records = bench.records();
    let last = records.iter().rfind(|record| record.unmapped.outcome == "refused");
    assert_eq!(last.unwrap().status_detail, "reason 999");
    assert!(records.iter().any(|record| record.resource() == "GET /999"));
}

#[test]
fn what_was_allowed_is_never_merged() {
    let mut bench = Bench::open(Arc::new(MemDisk::new()), &Config::default()).unwrap();
    for _ in 0..3 {
        bench.put(admin("orders", Outcome::Allowed));
    }
    bench.turn();
    assert_eq!(bench.records().len(), 4);
}

/// How many refusals the records stand for.
fn sum(disk: &Arc<dyn Disk>, dir: &std::path::Path) -> u64 {
    let records = super::all(disk, dir);
    let refused = records.iter().filter(|record| record.unmapped.outcome == "refused");
    refused.map(|record| record.count.unwrap_or(1)).sum()
}

#[test]
fn counts_are_exact_over_rotations_and_restarts() {
    let disk: Arc<dyn Disk> = Arc::new(MemDisk::new());
    let config = Config { segment_bytes: 1 << 16, retention_days_min: 1, ..Config::default() };
    let dir = std::path::Path::new("/data/blockhouse/audit");
    let mut told = 0;
    for round in 0..3 {
        let now = 1_000_000 + round * 1_000_000;
        let mut bench = Bench::at(Arc::clone(&disk), dir, &config, now).unwrap();
        for second in 0..20 {
            for n in 0..7 {
                // One source that asks for the same, and others in between that fill segments.
                bench.put(admin("orders", Outcome::Refused));
                bench.put(admin(&format!("{second}-{n}-{}", "x".repeat(900)), Outcome::Refused));
                told += 2;
                if n % 3 == 0 {
                    bench.turn();
                }
            }
            bench.pass(Duration::from_millis(400));
        }
        bench.put(admin("orders", Outcome::Refused));
        told += 1;
        bench.close();
        assert_eq!(sum(&disk, dir), told, "round {round}");
    }
    assert!(crate::segment::list(disk.as_ref(), dir).unwrap().len() > 3);
    assert_eq!(super::check(&disk, dir, None).findings, []);
}

#[test]
fn counts_are_exact_over_a_disk_that_fails() {
    let disk = MemDisk::new();
    let mut bench = Bench::open(Arc::new(disk.clone()), &Config::default()).unwrap();
    let mut told = 0;
    for second in 0..9 {
        // Writes fail for some seconds, and then go on.
        disk.fail_writes((3..6).contains(&second));
        for _ in 0..11 {
            bench.put(admin("orders", Outcome::Refused));
            told += 1;
        }
        bench.pass(Duration::from_secs(1));
    }
    bench.pass(Duration::from_secs(2));
    assert_eq!(bench.counts.lost.read(), 0);
    let (disk, dir) = (Arc::clone(&bench.disk), bench.dir.clone());
    bench.close();
    assert_eq!(sum(&disk, &dir), told);
}
