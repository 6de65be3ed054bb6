//! What the store costs, beside bare loops that write, sync or read the same bytes.
//!
//! `cargo bench -p blockhouse-store` runs everything; a word after `--` picks (`-- sync`). `TMPDIR`
//! says on which filesystem. The two sides of a comparison run after each other, so give the words
//! of both on a machine that others use, several times, and compare medians. Warm the page cache
//! first: memory that was never touched costs more than a message.
#![expect(clippy::expect_used, reason = "a measurement that cannot be made has nothing to say")]
#![expect(clippy::disallowed_methods, reason = "it measures real time")]

mod rig;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use blockhouse_disk::{Disk, DiskFile, RealDisk};
use blockhouse_store::{Flush, Store};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};

use rig::{Messages, RECORD_LEN, Reader, Scratch, open};

/// Messages of one burst.
const BURST: usize = 32;
/// Where the bare loops begin again.
const FILE_LEN: u64 = 1 << 30;

/// A file of its own, prepared as the store prepares its own, and where the next write goes.
struct Bare {
    file: Arc<dyn DiskFile>,
    at: u64,
}

impl Bare {
    fn new(scratch: &Scratch) -> Self {
        let file = RealDisk.create(&scratch.path().join("bare")).expect("creates");
        file.allocate(FILE_LEN).expect("there is room");
        Self { file, at: 0 }
    }

    fn write(&mut self, bytes: &[u8]) {
        if self.at + bytes.len() as u64 > FILE_LEN {
            self.at = 0;
        }
        self.file.write_at(bytes, self.at).expect("writes");
        self.at += bytes.len() as u64;
    }
}

/// Async flush: bursts of 32 from one thread, and the same bytes in writes of 64 KiB.
fn append(c: &mut Criterion) {
    let mut group = c.benchmark_group("append");
    group.throughput(Throughput::Elements(BURST as u64));
    group.measurement_time(Duration::from_secs(4)).sample_size(30);
    {
        let scratch = Scratch::new();
        let (store, messages) = (open(&scratch, Flush::Async), Messages::new(BURST));
        group.bench_function("store, 32 x 1 KiB", |b| b.iter(|| messages.append(&store)));
        store.close().expect("closes");
    }
    {
        let scratch = Scratch::new();
        let mut bare = Bare::new(&scratch);
        let bytes = vec![7; 64 << 10];
        let per_burst = BURST * RECORD_LEN;
        let mut owed = 0;
        group.bench_function("bare, 64 KiB writes of as many bytes", |b| {
            b.iter(|| {
                owed += per_burst;
                while owed >= bytes.len() {
                    bare.write(&bytes);
                    owed -= bytes.len();
                }
            });
        });
    }
    group.finish();
}

/// Sync flush: 256 messages in flight from 8 threads with windows of 32; then the bare loop with the
/// mean batch that this formed.
fn sync(c: &mut Criterion) {
    const THREADS: u64 = 8;
    let mut group = c.benchmark_group("sync");
    group.throughput(Throughput::Elements(1));
    group.measurement_time(Duration::from_secs(6)).warm_up_time(Duration::from_secs(2));
    group.sample_size(10);
    let (messages, syncs) = (AtomicU64::new(0), AtomicU64::new(0));
    {
        let scratch = Scratch::new();
        let store = open(&scratch, Flush::Sync);
        group.bench_function("store, 8 x 32 in flight", |b| {
            b.iter_custom(|count| {
                let (bursts, before) = (count.div_ceil(THREADS * BURST as u64), store.stats());
                let begun = Instant::now();
                std::thread::scope(|scope| {
                    for _ in 0..THREADS {
                        scope.spawn(|| send(&store, bursts));
                    }
                });
                let took = begun.elapsed();
                let sent = bursts * THREADS * BURST as u64;
                messages.fetch_add(sent, Ordering::Relaxed);
                syncs.fetch_add(store.stats().flushes - before.flushes, Ordering::Relaxed);
                // What was asked for may be less than whole bursts.
                took.mul_f64(ratio(count, sent))
            });
        });
        store.close().expect("closes");
    }
    let batch = messages.into_inner() / syncs.into_inner().max(1);
    {
        let scratch = Scratch::new();
        let mut bare = Bare::new(&scratch);
        let batch = batch.max(1);
        let bytes = vec![7; usize::try_from(batch).unwrap_or(1) * RECORD_LEN];
        group.bench_function(format!("bare, write and fdatasync of {batch}"), |b| {
            b.iter_custom(|count| {
                let rounds = count.div_ceil(batch);
                let begun = Instant::now();
                for _ in 0..rounds {
                    bare.write(&bytes);
                    bare.file.sync_data().expect("syncs");
                }
                begun.elapsed().mul_f64(ratio(count, rounds * batch))
            });
        });
    }
    group.finish();
}

#[expect(clippy::cast_precision_loss, reason = "a share of a measured time")]
fn ratio(a: u64, b: u64) -> f64 {
    a as f64 / b as f64
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
