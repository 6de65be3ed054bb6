//! What waits for its record, through the hook and its thread.

use std::path::Path;
use std::sync::Arc;
use std::task::{Context, Waker};

use blockhouse_disk::{Disk, MemDisk};
use blockhouse_hook::{Awaited, Hook, HookChain, Outcome, Point, Settled};
use blockhouse_meter::AuditCounts;
use blockhouse_model::{ManualClock, Timestamp};

use super::{admin, all, plugin, targets};
use crate::{AuditLog, Config, OnFailure, Parts};

const DIR: &str = "/data/blockhouse/audit";

fn start(disk: &MemDisk, config: &Config) -> AuditLog {
    let parts = Parts {
        disk: Arc::new(disk.clone()),
        dir: DIR.into(),
        node: "broker-a".to_owned(),
        clock: Arc::new(ManualClock::at(Timestamp(1_000_000))),
        counts: Arc::new(AuditCounts::default()),
    };
    AuditLog::start(config, parts).unwrap()
}

fn wait(settled: Option<Settled>) -> Option<bool> {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    settled.map(|settled| runtime.block_on(settled).is_ok())
}

#[test]
fn who_waits_is_answered_when_all_that_was_told_is_on_disk() {
    let disk = MemDisk::new();
    let log = start(&disk, &Config::default());
    assert!(log.audit_settled(Awaited::Control).is_none(), "there is nothing to wait for");
    let before = disk.writes();
    disk.hold_syncs(true);
    log.audit(&[plugin("first"), admin("orders", Outcome::Allowed)]);
    let mut settled = log.audit_settled(Awaited::Control).unwrap();
    while disk.writes() == before {
        std::thread::yield_now();
    }
    // It is written, and the disk holds the sync back.
    assert!(settled.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    assert_eq!(log.status().pending, 2);
    disk.hold_syncs(false);
    assert_eq!(wait(Some(settled)), Some(true));
    let disk: Arc<dyn Disk> = Arc::new(disk);
    assert_eq!(targets(&all(&disk, Path::new(DIR))), ["plugin:first", "orders"]);
}

#[test]
fn a_log_that_keeps_requests_back_is_no_policy() {
    let config = Config { on_failure: OnFailure::Reject, ..Config::default() };
    let chain = HookChain::new(&[Arc::new(start(&MemDisk::new(), &config)) as Arc<dyn Hook>]);
    assert!(chain.has(Point::Authorize) && !chain.decides_who_may());
}

#[test]
fn a_refusal_that_is_counted_with_others_waits_for_nothing_more() {
    let log = start(&MemDisk::new(), &Config::default());
    log.audit(&[admin("orders", Outcome::Refused)]);
    assert_eq!(wait(log.audit_settled(Awaited::Control)), Some(true));
    // Answered, and noted a moment later.
    while log.status().pending > 0 {
        std::thread::yield_now();
    }
    log.audit(&[admin("orders", Outcome::Refused)]);
    assert!(log.audit_settled(Awaited::Control).is_none());
}

#[test]
fn refused_credentials_wait_where_the_configuration_says_so() {
    for sync_logins in [false, true] {
        let log = start(&MemDisk::new(), &Config { sync_logins, ..Config::default() });
        log.audit(&[admin("orders", Outcome::Refused)]);
        assert_eq!(wait(log.audit_settled(Awaited::Login)), sync_logins.then_some(true));
    }
}

#[test]
fn brokers_are_known_without_a_record_unless_everything_is_refused_without() {
    for (on_failure, may) in [(OnFailure::Permit, true), (OnFailure::Reject, false)] {
        let disk = MemDisk::new();
        let log = start(&disk, &Config { on_failure, ..Config::default() });
        disk.fail_writes(true);
        log.audit(&[admin("orders", Outcome::Allowed)]);
        assert_eq!(wait(log.audit_settled(Awaited::Control)), Some(false));
        assert_eq!(wait(log.audit_settled(Awaited::Registration)), Some(may), "{on_failure:?}");
        assert_eq!(wait(log.audit_settled(Awaited::Control)), Some(false));
        let status = log.status();
        assert!(
            status.pending > 0 && status.failures > 0 && status.trouble.is_some(),
            "{status:?}"
        );
    }
}

#[test]
fn the_last_records_can_be_asked_for() {
    let log = start(&MemDisk::new(), &Config::default());
    for n in 0..3 {
        log.audit(&[plugin(&n.to_string())]);
    }
    log.audit(&[admin("orders", Outcome::Allowed)]);
    assert_eq!(wait(log.audit_settled(Awaited::Control)), Some(true));
    let mut found = Vec::new();
    log.recent(&mut |line| {
        let record: crate::Record = serde_json::from_slice(line).unwrap();
        found.push(record.metadata.sequence);
        found.len() < 3
    });
    assert_eq!(found, [4, 3, 2]);
}
