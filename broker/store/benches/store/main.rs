//! What the store costs, beside bare loops that write, sync or read the same bytes.
//!
//! `cargo bench -p blockhouse-store` runs everything; a word after `--` picks (`-- sync`). `TMPDIR`
//! says on which filesystem. The two sides of a comparison take turns, each timed while the other is
//! not. Whether memory was touched before decides the first comparison: docs/benchmarks.md has both.
#![expect(clippy::expect_used, reason = "a measurement that cannot be made has nothing to say")]
#![expect(clippy::disallowed_methods, reason = "it measures real time")]

mod bare;
mod rig;

use std::time::{Duration, Instant};

use blockhouse_store::{Flush, Store};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};

use bare::Bare;
use rig::{Messages, RECORD_LEN, Reader, Scratch, open};

/// Messages of one burst.
const BURST: usize = 32;
/// Times `measured`, and between its parts lets `other` do as much untimed, so that both sides of a
/// comparison find the disk and the page cache in the same state.
fn in_turn(
    count: u64,
    part: u64,
    measured: &mut dyn FnMut(u64),
    other: &mut dyn FnMut(u64),
) -> Duration {
    let mut took = Duration::ZERO;
    let mut left = count;
    while left > 0 {
        let now = part.min(left);
        other(now);
        let begun = Instant::now();
        measured(now);
        took += begun.elapsed();
        left -= now;
    }
    took
}

/// Async flush: bursts of 32 from one thread, and the same bytes in writes of 64 KiB.
fn append(c: &mut Criterion) {
    /// Bursts before it is the other's turn.
    const PART: u64 = 1_000;
    let scratch = Scratch::new();
    let (store, messages) = (open(&scratch, Flush::Async), Messages::new(BURST));
    let mut bare = Bare::new(&scratch);
    let bytes = vec![7; 64 << 10];
    let mut owed = 0;
    let mut by_store = |bursts: u64| (0..bursts).for_each(|_| messages.append(&store));
    let mut by_bare = |bursts: u64| {
        for _ in 0..bursts {
            owed += BURST * RECORD_LEN;
            while owed >= bytes.len() {
                bare.write(&bytes);
                owed -= bytes.len();
            }
        }
    };
    let mut group = c.benchmark_group("append");
    group.throughput(Throughput::Elements(BURST as u64));
    group.measurement_time(Duration::from_secs(5)).sample_size(20);
    group.bench_function("store, 32 x 1 KiB", |b| {
        b.iter_custom(|count| in_turn(count, PART, &mut by_store, &mut by_bare));
    });
    group.bench_function("bare, 64 KiB writes of as many bytes", |b| {
        b.iter_custom(|count| in_turn(count, PART, &mut by_bare, &mut by_store));
    });
    group.finish();
    store.close().expect("closes");
}

/// Sync flush: 256 messages in flight from 8 threads with windows of 32, and the bare loop with the
/// mean batch that this forms.
fn sync(c: &mut Criterion) {
    const THREADS: u64 = 8;
    /// Messages of one burst of each thread.
    const ROUND: u64 = THREADS * BURST as u64;
    let scratch = Scratch::new();
    let store = open(&scratch, Flush::Sync);
    let mut by_store = |rounds: u64| {
        std::thread::scope(|scope| {
            for _ in 0..THREADS {
                scope.spawn(|| send(&store, rounds));
            }
        });
    };
    let before = store.stats().flushes;
    let rounds = 500;
    by_store(rounds);
    let batch = rounds * ROUND / (store.stats().flushes - before).max(1);
    let mut bare = Bare::new(&scratch);
    let bytes = vec![7; usize::try_from(batch).unwrap_or(1) * RECORD_LEN];
    let mut owed = 0;
    let mut by_bare = |rounds: u64| {
        owed += rounds * ROUND;
        while owed >= batch {
            bare.write(&bytes);
            bare.file.sync_data().expect("syncs");
            owed -= batch;
        }
    };
    let mut group = c.benchmark_group("sync");
    group.throughput(Throughput::Elements(ROUND));
    group.measurement_time(Duration::from_secs(6)).sample_size(20);
    group.bench_function("store, 8 x 32 in flight", |b| {
        b.iter_custom(|count| in_turn(count, 100, &mut by_store, &mut by_bare));
    });
    group.bench_function(format!("bare, write and fdatasync of {batch}"), |b| {
        b.iter_custom(|count| in_turn(count, 100, &mut by_bare, &mut by_store));
    });
    group.finish();
    store.close().expect("closes");
}

fn send(store: &Store, bursts: u64) {
    let messages = Messages::new(BURST);
    for _ in 0..bursts {
        messages.append(store);
    }
}

/// Reading what is in memory: 32 messages of one of four queues whose records lie mixed in the log.
fn pull(c: &mut Criterion) {
    const STORED: usize = 200_000;
    let mut group = c.benchmark_group("pull");
    group.throughput(Throughput::Bytes((BURST * RECORD_LEN) as u64));
    for (name, hot_bytes) in [("mapped", 1 << 30), ("copied from the page cache", 0)] {
        let scratch = Scratch::new();
        let store = rig::open_with(&scratch, |config| config.hot_bytes = hot_bytes);
        let messages = Messages::new(BURST);
        (0..STORED / BURST).for_each(|_| messages.append(&store));
        let mut reader = Reader::default();
        group.bench_function(name, |b| b.iter(|| reader.pull(&store, BURST)));
        store.close().expect("closes");
    }
    group.finish();
}

criterion_group!(benches, append, sync, pull);
criterion_main!(benches);
