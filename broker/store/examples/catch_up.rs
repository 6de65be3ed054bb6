//! What a reader at full speed that finds nothing in memory does to a sender's latency.
//!
//! `cargo run --release -p blockhouse-store --example catch_up`: 3 GiB of log are written (`TMPDIR`
//! says where), then one thread sends 5,000 messages per second, in turn alone and beside a thread that reads the
//! log from its beginning and lets the kernel forget each file that it is through with.
#![expect(clippy::print_stdout, reason = "a program that prints figures")]
#![expect(clippy::disallowed_methods, reason = "it measures real time")]
#![expect(clippy::expect_used, reason = "a measurement that cannot be made has nothing to say")]

#[path = "../benches/store/rig.rs"]
#[expect(dead_code, reason = "the benches use more of it")]
mod rig;

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use blockhouse_store::Store;
use rustix::fs::{Advice, fadvise};

use rig::{Messages, RECORD_LEN, Reader};

const FILLED: usize = 3 << 30;
const INTERVAL: Duration = Duration::from_micros(200);
const TURN: Duration = Duration::from_secs(3);
const TURNS: usize = 5;

/// Lets the kernel forget what it holds of the log.
fn forget(dir: &Path) {
    for entry in std::fs::read_dir(dir.join("commitlog")).expect("there is a log") {
        let file = std::fs::File::open(entry.expect("listed").path()).expect("opens");
        fadvise(&file, 0, None, Advice::DontNeed).expect("the kernel takes the advice");
    }
}

/// Sends for a turn; how long each message took, in nanoseconds.
fn send(store: &Store, took: &mut Vec<u64>) {
    let one = Messages::new(1);
    let begun = Instant::now();
    let mut next = Duration::ZERO;
    while next < TURN {
        std::thread::sleep(next.saturating_sub(begun.elapsed()));
        let sent = Instant::now();
        one.append(store);
        took.push(u64::try_from(sent.elapsed().as_nanos()).unwrap_or(u64::MAX));
        next += INTERVAL;
    }
}

/// Reads until told to stop; counts messages.
fn read(store: &Store, dir: &Path, stop: &AtomicBool, count: &AtomicU64) {
    const PULL: usize = 32;
    const PASS: usize = FILLED / RECORD_LEN / PULL / 2;
    while !stop.load(Ordering::Relaxed) {
        forget(dir);
        let mut reader = Reader::default();
        for _ in 0..PASS {
            reader.pull(store, PULL);
            count.fetch_add(PULL as u64, Ordering::Relaxed);
            if stop.load(Ordering::Relaxed) {
                break;
            }
        }
    }
}

/// Bytes that this process made the device read.
fn from_device() -> u64 {
    let io = std::fs::read_to_string("/proc/self/io").unwrap_or_default();
    let line = io.lines().find_map(|line| line.strip_prefix("read_bytes: "));
    line.and_then(|n| n.parse().ok()).unwrap_or(0)
}

fn report(what: &str, mut took: Vec<u64>) -> u64 {
    took.sort_unstable();
    let at = |part: usize| took.get(took.len() * part / 1_000).map_or(0, |ns| ns / 1_000);
    println!("{what:<8} p50 {} us, p99 {} us, p99.9 {} us", at(500), at(990), at(999));
    at(990)
}

fn main() {
    let scratch = rig::Scratch::new();
    let store = rig::open_with(&scratch, |config| config.hot_bytes = 64 << 20);
    let burst = Messages::new(32);
    (0..FILLED / RECORD_LEN / 32).for_each(|_| burst.append(&store));
    store.flush().expect("flushes");
    let data = scratch.path().join("data");
    let (mut alone, mut beside) = (Vec::new(), Vec::new());
    let (count, before) = (AtomicU64::new(0), from_device());
    for _ in 0..TURNS {
        send(&store, &mut alone);
        let stop = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| read(&store, &data, &stop, &count));
            send(&store, &mut beside);
            stop.store(true, Ordering::Relaxed);
        });
    }
    let seconds = TURN.as_secs() * TURNS as u64;
    let rate = count.load(Ordering::Relaxed) / seconds;
    let device = ((from_device() - before) / seconds) >> 20;
    println!(
        "reader   {rate} messages/s, {} MiB/s, {device} MiB/s of it from the device",
        (rate * RECORD_LEN as u64) >> 20
    );
    let ratio = [report("alone", alone), report("beside", beside)];
    println!("p99 beside the reader / alone: {:.2}", ratio[1] as f64 / ratio[0].max(1) as f64);
    store.close().expect("closes");
}
