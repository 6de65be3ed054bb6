//! How many events a second a log takes, written by its one thread.
//!
//! `cargo bench -p blockhouse-audit` runs everything; a word after `--` picks (`-- memory`). In memory it
//! is what a core does: copy, text, hashes, signatures. On a disk, the disk's syncs come with it: the
//! directory is below `TMPDIR`.
#![expect(clippy::expect_used, reason = "a measurement that cannot be made has nothing to say")]

use std::path::Path;
use std::sync::Arc;

use blockhouse_audit::{AuditLog, Config, Parts};
use blockhouse_disk::{Disk, MemDisk, RealDisk};
use blockhouse_hook::{AuditEvent, AuditKind, Awaited, Hook as _, Outcome};
use blockhouse_meter::AuditCounts;
use blockhouse_model::{ManualClock, Principal, Timestamp};
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};

/// Events that are waited for together; the queue has room for more.
const BATCH: usize = 16_384;

fn event(n: usize) -> AuditEvent {
    AuditEvent {
        sequence: n as u64,
        time: Timestamp(1_700_000_000_000),
        kind: AuditKind::AdminCommand,
        outcome: Outcome::Allowed,
        principal: Principal::User("release-robot".into()),
        peer: ([10, 0, 3, 17], 40_000).into(),
        connection: 4_711,
        code: 17,
        action: "UPDATE_AND_CREATE_TOPIC".to_owned(),
        resource: format!("orders-{}", n % 1_000),
        decided_by: String::new(),
        shadow: false,
        reason: String::new(),
        announced: true,
    }
}

fn log(disk: Arc<dyn Disk>, dir: &Path) -> AuditLog {
    let parts = Parts {
        disk,
        dir: dir.to_owned(),
        node: "broker-a".to_owned(),
        clock: Arc::new(ManualClock::at(Timestamp(1_700_000_000_000))),
        counts: Arc::new(AuditCounts::default()),
    };
    // Old segments go: a run makes gigabytes.
    let config = Config {
        retention_segments: 2,
        retention_days_min: 0,
        retention_days: 0,
        ..Config::default()
    };
    AuditLog::start(&config, parts).expect("a log")
}

fn measure(c: &mut Criterion, name: &str, log: &AuditLog) {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let events: Vec<AuditEvent> = (0..BATCH).map(event).collect();
    let mut group = c.benchmark_group("audit");
    group.throughput(Throughput::Elements(BATCH as u64)).sample_size(20);
    group.bench_function(name, |b| {
        b.iter_batched(
            || (),
            |()| {
                events.iter().for_each(|event| log.audit(std::slice::from_ref(event)));
                if let Some(settled) = log.audit_settled(Awaited::Control) {
                    runtime.block_on(settled).expect("it is durable");
                }
            },
            BatchSize::PerIteration,
        );
    });
    group.finish();
}

/// Told, written, hashed, signed; nothing waits for a disk.
fn memory(c: &mut Criterion) {
    let log = log(Arc::new(MemDisk::new()), Path::new("/audit"));
    measure(c, "memory", &log);
    log.close();
}

/// The same, synced to a disk after each batch.
fn disk(c: &mut Criterion) {
    let home = tempfile::tempdir().expect("a directory");
    let log = log(Arc::new(RealDisk), &home.path().join("audit"));
    measure(c, "disk", &log);
    log.close();
}

criterion_group!(benches, memory, disk);
criterion_main!(benches);
