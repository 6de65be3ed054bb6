//! Disks that are full or fail.

use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Wake, Waker};
use std::time::Duration;

use blockhouse_disk::MemDisk;
use blockhouse_hook::Outcome;
use blockhouse_meter::AuditCounts;
use parking_lot::Mutex;
use tokio::sync::oneshot;

use super::{Bench, admin, done, plugin, targets};
use crate::Config;

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn an_admin_command_is_refused_while_nothing_can_be_written() {
    for fail in [MemDisk::fail_writes, MemDisk::fail_syncs] {
        let disk = MemDisk::new();
        let mut bench = Bench::open(Arc::new(disk.clone()), &Config::default()).unwrap();
        assert!(bench.admin("before"));
        fail(&disk, true);
        assert!(!bench.admin("refused"));
        assert_eq!((bench.counts.writable.read(), bench.counts.failures.read()), (0, 1));
        assert!(bench.status.lock().trouble.is_some());
        // A race: it passed the gate before the failure was known.
        assert!(!bench.admin("late"));
        assert_eq!(bench.counts.failures.read(), 1, "it is not tried again at once");
        bench.put(plugin("other"));
        bench.pass(SECOND);
        assert_eq!(bench.counts.failures.read(), 2);

        fail(&disk, false);
        bench.pass(SECOND);
        assert_eq!(bench.counts.writable.read(), 1);
        assert!(bench.admin("after"));
        let records = bench.records();
        assert_eq!(targets(&records), ["before", "refused", "late", "plugin:other", "after"]);
        let outcomes: Vec<_> = records[1..].iter().map(|r| &*r.unmapped.outcome).collect();
        assert_eq!(outcomes, ["allowed", "failed", "failed", "allowed", "allowed"]);
        assert_eq!(bench.verify().findings, []);
    }
}

/// Notes what is said of the log at the moment at which somebody is answered.
struct AtAnswer(Arc<AuditCounts>, Mutex<Option<i64>>);

impl Wake for AtAnswer {
    fn wake(self: Arc<Self>) {
        *self.1.lock() = Some(self.0.writable.read());
    }
}

#[test]
fn nobody_is_refused_before_the_log_is_known_to_fail() {
    let disk = MemDisk::new();
    let mut bench = Bench::open(Arc::new(disk.clone()), &Config::default()).unwrap();
    disk.fail_writes(true);
    bench.put(admin("refused", Outcome::Allowed));
    let (tell, told) = oneshot::channel();
    bench.queue.wait(tell);
    let seen = Arc::new(AtAnswer(Arc::clone(&bench.counts), Mutex::new(None)));
    let waker = Waker::from(Arc::clone(&seen));
    let mut told = pin!(told);
    assert!(told.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
    bench.turn();
    assert_eq!(*seen.1.lock(), Some(0));
}

#[test]
fn what_was_done_before_it_was_told_stays_done() {
    for fail in [MemDisk::fail_writes, MemDisk::fail_syncs] {
        let disk = MemDisk::new();
        let mut bench = Bench::open(Arc::new(disk.clone()), &Config::default()).unwrap();
        fail(&disk, true);
        // Beside a command that is not carried out: the disk fails, and between two attempts.
        for n in ["1", "2"] {
            bench.put(done("policies", &format!("generation {n}")));
            assert!(!bench.admin("refused"));
        }
        fail(&disk, false);
        bench.pass(SECOND);
        assert!(bench.admin("after"));
        let records = bench.records();
        let told: Vec<_> = records[1..]
            .iter()
            .map(|r| (r.resource(), &*r.unmapped.outcome, &*r.status_detail))
            .collect();
        let failed = ("refused", "failed", "the audit log could not be written");
        let expected = [
            ("policies", "allowed", "generation 1"),
            failed,
            ("policies", "allowed", "generation 2"),
            failed,
            ("after", "allowed", "no\nrights"),
        ];
        assert_eq!(told, expected);
        assert_eq!(bench.verify().findings, []);
    }
}

#[test]
fn what_a_failed_sync_takes_along_is_told() {
    let disk = MemDisk::new();
    let mut bench = Bench::open(Arc::new(disk.clone()), &Config::default()).unwrap();
    bench.pass(SECOND);
    bench.put(plugin("signed"));
    bench.turn();
    for n in 0..5 {
        bench.put(plugin(&n.to_string()));
    }
    bench.turn();
    disk.fail_syncs(true);
    bench.pass(SECOND);
    assert_eq!(bench.counts.lost.read(), 5);
    disk.fail_syncs(false);
    bench.pass(SECOND);
    assert!(bench.admin("after"));
    let records = bench.records();
    let gap = &records[2];
    assert_eq!((&*gap.activity_name, gap.count), ("Audit events lost", Some(5)));
    assert!(gap.severity_id == 4 && !gap.status_detail.is_empty(), "{gap:?}");
    assert_eq!(targets(&records), ["plugin:signed", "after"]);
    assert_eq!(bench.verify().findings, []);
}

#[test]
fn a_full_queue_keeps_room_for_what_matters_and_counts_the_rest() {
    let disk = MemDisk::new();
    let mut bench = Bench::open(Arc::new(disk.clone()), &Config::default()).unwrap();
    let mut open = plugin("");
    open.kind = blockhouse_hook::AuditKind::Connection;
    for _ in 0..100_000 {
        bench.put(open.clone());
    }
    let lost = bench.counts.lost.read();
    assert!(lost > 0);
    bench.put(admin("refused", Outcome::Refused));
    assert!(bench.admin("allowed"));
    assert_eq!(bench.counts.lost.read(), lost);
    let records = bench.records();
    assert_eq!(records[1].count, Some(lost));
    assert_eq!(records.len() as u64, 2 + (100_000 - lost) + 2);
    assert_eq!(bench.verify().findings, []);
}

#[test]
fn commands_are_refused_before_their_records_find_no_room() {
    let disk = MemDisk::new();
    let mut bench = Bench::open(Arc::new(disk), &Config::default()).unwrap();
    let mut commands = 0;
    while bench.takes_commands() {
        bench.put(admin("waits", Outcome::Allowed));
        commands += 1;
    }
    assert_eq!((commands, bench.counts.lost.read()), (65_536 / 16 * 15, 0));
    // Those that passed at the same moment.
    for _ in 0..65_536 / 16 {
        bench.put(admin("passed", Outcome::Allowed));
    }
    assert_eq!(bench.counts.lost.read(), 0);
    assert!(bench.settle() && bench.takes_commands());
}

#[test]
fn what_waits_for_a_full_disk_has_an_end() {
    const EACH: usize = 20_000;
    // What was in the queue at the first attempt, and the half that such events may fill.
    const KEPT: usize = EACH + 65_536 / 2;
    let disk = MemDisk::new();
    let mut bench = Bench::open(Arc::new(disk.clone()), &Config::default()).unwrap();
    disk.fail_writes(true);
    let mut open = plugin("waits");
    open.kind = blockhouse_hook::AuditKind::Connection;
    for _ in 0..5 {
        for _ in 0..EACH {
            bench.put(open.clone());
        }
        bench.pass(SECOND);
    }
    assert_eq!(bench.counts.lost.read(), (5 * EACH - KEPT) as u64);

    disk.fail_writes(false);
    // First what was taken out of the queue: nothing of theirs who wait is written with it.
    bench.clock.advance(SECOND);
    assert!(!bench.admin("early"));
    assert!(bench.admin("after"));
    let records = bench.records();
    let early = records.iter().find(|record| record.resource() == "early").unwrap();
    assert_eq!(&*early.unmapped.outcome, "failed");
    let told = targets(&records);
    assert_eq!(told.iter().filter(|target| *target == "plugin:waits").count(), KEPT);
    assert_eq!(told.last().unwrap(), "after");
    let gaps = records.iter().filter(|record| record.activity_name == "Audit events lost");
    let gaps: u64 = gaps.filter_map(|record| record.count).sum();
    assert_eq!(gaps, bench.counts.lost.read());
    assert_eq!(bench.verify().findings, []);
}

#[test]
fn a_failed_rotation_is_tried_again() {
    let disk = MemDisk::new();
    let config = Config { segment_bytes: 1 << 16, ..Config::default() };
    let mut bench = Bench::open(Arc::new(disk.clone()), &config).unwrap();
    let mut n = 0;
    while bench.disk.open(&bench.dir.join("00000000000000000000.jsonl")).unwrap().len().unwrap()
        < 1 << 16
    {
        assert!(bench.admin(&n.to_string()));
        n += 1;
    }
    disk.fail_writes(true);
    assert!(!bench.admin("no"));
    bench.pass(SECOND);
    disk.fail_writes(false);
    bench.pass(SECOND);
    assert!(bench.admin("yes"));
    assert_eq!(crate::segment::list(&disk, &bench.dir).unwrap().len(), 2);
    assert_eq!(bench.verify().findings, []);
}
