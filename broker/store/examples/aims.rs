//! Holds the store to its aims, each beside a bare loop or a state measured in the same run, in turn.
//!
//! `cargo run --release -p blockhouse-store --example aims [WORD]`: a word picks (`catch-up`); `TMPDIR` says on
//! which filesystem, of which 5 GiB are used at most. A line for each aim with the median of its rounds and their
//! 96 % interval; an aim is missed if even the better end of that is on the wrong side. The last line is `N passed, M failed`. On a machine that does something
//! else nothing is said (`SKIPPED`); exit code 77 if nothing could be measured at all.
#![expect(clippy::print_stdout, reason = "a program that prints figures")]
#![expect(clippy::disallowed_methods, reason = "it measures real time")]
#![expect(clippy::expect_used, reason = "a measurement that cannot be made has nothing to say")]

#[path = "../benches/store/bare.rs"]
mod bare;
#[path = "../benches/store/rig.rs"]
mod rig;

use std::path::Path;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use blockhouse_store::{Flush, Store};
use rustix::fs::{Advice, fadvise};

use bare::Bare;
use rig::{Messages, RECORD_LEN, Reader, Scratch};

/// Messages of one burst.
const BURST: usize = 32;
/// Of 15 rounds, the 4th and the 12th are the ends of the 96 % interval of the median (binomial).
const ROUNDS: usize = 15;
const ENDS: (usize, usize) = (3, 11);
/// Of the processors' time, what others may use. More is another measurement.
const BUSY_MAX: f64 = 0.2;
/// How long the machine gets to become quiet.
const PATIENCE: Duration = Duration::from_secs(30);

/// What one aim came to.
enum Outcome {
    /// The rounds.
    Measured(Vec<f64>),
    /// Why nothing can be said.
    Skipped(String),
}

/// Which side of the aim is right.
#[derive(Clone, Copy)]
enum Aim {
    AtLeast(f64),
    AtMost(f64),
}

/// Time of all processors in ticks: at work (for whomever, or withheld by the host), and in all.
fn processors() -> (u64, u64) {
    let stat = std::fs::read_to_string("/proc/stat").unwrap_or_default();
    let fields = stat.lines().next().unwrap_or("").split_whitespace().skip(1).take(8);
    let ticks: Vec<u64> = fields.filter_map(|n| n.parse().ok()).collect();
    let all: u64 = ticks.iter().sum();
    let idle: u64 = ticks.iter().skip(3).take(2).sum();
    (all - idle, all)
}

/// What part of the processors others use, while this process does nothing.
fn others() -> f64 {
    let before = processors();
    std::thread::sleep(Duration::from_secs(1));
    let after = processors();
    (after.0 - before.0) as f64 / (after.1 - before.1).max(1) as f64
}

/// Waits for a quiet machine; what it does instead if it does not become quiet.
fn quiet() -> Result<(), String> {
    let begun = Instant::now();
    loop {
        let used = others();
        if used <= BUSY_MAX {
            return Ok(());
        }
        if begun.elapsed() > PATIENCE {
            return Err(format!("others use {:.0} % of the processors", used * 100.0));
        }
    }
}

fn timed(work: impl FnOnce()) -> f64 {
    let begun = Instant::now();
    work();
    begun.elapsed().as_secs_f64()
}

/// Async flush: bursts from one thread, and as many bytes in bare writes of 64 KiB. Where memory was touched
/// before, that loop does nothing but copy, several times as fast as on the machine that the aim was set for: there
/// what it did on that one counts.
fn append() -> Outcome {
    const BURSTS: usize = 1_500;
    const WRITES: usize = BURSTS * BURST * RECORD_LEN / (64 << 10);
    /// Messages per second of the loop on that machine.
    const LOOP: f64 = 569_000.0;
    let scratch = Scratch::new();
    let (store, messages) = (rig::open(&scratch, Flush::Async), Messages::new(BURST));
    let mut bare = Bare::new(&scratch);
    let bytes = vec![7; 64 << 10];
    let mut round = || {
        let by_store = timed(|| (0..BURSTS).for_each(|_| messages.append(&store)));
        let by_bare = timed(|| (0..WRITES).for_each(|_| bare.write(&bytes)));
        by_bare.max((BURSTS * BURST) as f64 / LOOP) / by_store
    };
    let ratios = (0..ROUNDS).map(|_| round()).collect();
    store.close().expect("closes");
    Outcome::Measured(ratios)
}

/// Sync flush: 256 in flight, and bare writes and syncs of the mean batch that this forms.
fn sync() -> Outcome {
    const THREADS: usize = 8;
    const BURSTS: usize = 300;
    const MESSAGES: usize = THREADS * BURSTS * BURST;
    let scratch = Scratch::new();
    let store = rig::open(&scratch, Flush::Sync);
    let mut bare = Bare::new(&scratch);
    let mut ratios = Vec::new();
    for _ in 0..ROUNDS {
        let flushes = store.stats().flushes;
        let by_store = timed(|| {
            std::thread::scope(|scope| {
                for _ in 0..THREADS {
                    scope.spawn(|| {
                        let messages = Messages::new(BURST);
                        (0..BURSTS).for_each(|_| messages.append(&store));
                    });
                }
            });
        });
        let flushes = usize::try_from(store.stats().flushes - flushes).unwrap_or(1).max(1);
        let bytes = vec![7; MESSAGES * RECORD_LEN / flushes];
        let by_bare = timed(|| {
            for _ in 0..flushes {
                bare.write(&bytes);
                bare.file.sync_data().expect("syncs");
            }
        });
        ratios.push(by_bare / by_store);
    }
    store.close().expect("closes");
    Outcome::Measured(ratios)
}

/// What a reader gets that is in memory, in GB/s.
fn pull(hot_bytes: u64) -> Outcome {
    const STORED: usize = 200_000;
    let scratch = Scratch::new();
    let store = rig::open_with(&scratch, |config| config.hot_bytes = hot_bytes);
    let messages = Messages::new(BURST);
    (0..STORED / BURST).for_each(|_| messages.append(&store));
    let mut reader = Reader::default();
    let mut round = || {
        let took = timed(|| (0..STORED / BURST).for_each(|_| reader.pull(&store, BURST)));
        (STORED * RECORD_LEN) as f64 / took / 1e9
    };
    let rates = (0..ROUNDS).map(|_| round()).collect();
    store.close().expect("closes");
    Outcome::Measured(rates)
}

/// Lets the kernel forget what it holds of the log.
fn forget(dir: &Path) {
    for entry in std::fs::read_dir(dir.join("commitlog")).expect("there is a log") {
        let file = std::fs::File::open(entry.expect("listed").path()).expect("opens");
        fadvise(&file, 0, None, Advice::DontNeed).expect("the kernel takes the advice");
    }
}

/// Sends 5,000 messages per second for a turn; the p99 of how long one took, in seconds.
fn send(store: &Store) -> f64 {
    const TURN: Duration = Duration::from_secs(1);
    const INTERVAL: Duration = Duration::from_micros(200);
    let one = Messages::new(1);
    let begun = Instant::now();
    let (mut next, mut took) = (Duration::ZERO, Vec::new());
    while next < TURN {
        std::thread::sleep(next.saturating_sub(begun.elapsed()));
        took.push(timed(|| one.append(store)));
        next += INTERVAL;
    }
    took.sort_by(f64::total_cmp);
    took[took.len() * 99 / 100]
}

const FILLED: usize = 3 << 30;

/// Reads the older half of the log until told to stop, and lets the kernel forget it after each pass.
fn read(store: &Store, dir: &Path, stop: &AtomicBool) {
    const PASS: usize = FILLED / RECORD_LEN / BURST / 2;
    while !stop.load(Ordering::Relaxed) {
        forget(dir);
        let mut reader = Reader::default();
        let mut left = PASS;
        while left > 0 && !stop.load(Ordering::Relaxed) {
            reader.pull(store, BURST);
            left -= 1;
        }
    }
}

/// The p99 of sends beside a reader that finds nothing in memory, by that of sends alone.
fn catch_up() -> Outcome {
    let scratch = Scratch::new();
    let store = rig::open_with(&scratch, |config| config.hot_bytes = 64 << 20);
    let burst = Messages::new(BURST);
    (0..FILLED / RECORD_LEN / BURST).for_each(|_| burst.append(&store));
    store.flush().expect("flushes");
    let data = scratch.path().join("data");
    let round = || {
        let alone = send(&store);
        let stop = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| read(&store, &data, &stop));
            let beside = send(&store);
            stop.store(true, Ordering::Relaxed);
            beside / alone
        })
    };
    let ratios = (0..ROUNDS).map(|_| round()).collect();
    store.close().expect("closes");
    Outcome::Measured(ratios)
}

impl Aim {
    /// Whether the ends of the interval leave it possible.
    fn may_be_met(self, (low, high): (f64, f64)) -> bool {
        match self {
            Self::AtLeast(least) => high >= least,
            Self::AtMost(most) => low <= most,
        }
    }

    fn text(self) -> String {
        match self {
            Self::AtLeast(least) => format!("at least {least}"),
            Self::AtMost(most) => format!("at most {most}"),
        }
    }
}

/// Measures and prints; `None` if nothing can be said.
fn judge(name: &str, aim: Aim, measure: impl FnOnce() -> Outcome) -> Option<bool> {
    let outcome = match quiet() {
        Ok(()) => measure(),
        Err(why) => Outcome::Skipped(why),
    };
    let mut rounds = match outcome {
        Outcome::Measured(rounds) => rounds,
        Outcome::Skipped(why) => {
            println!("SKIPPED {name}: {why}");
            return None;
        }
    };
    rounds.sort_by(f64::total_cmp);
    let median = rounds[ROUNDS / 2];
    let is_met = aim.may_be_met((rounds[ENDS.0], rounds[ENDS.1]));
    println!(
        "{} {name}: {:.2} [{:.2}-{:.2}], the aim is {}",
        if is_met { "ok" } else { "FAILED" },
        median,
        rounds[ENDS.0],
        rounds[ENDS.1],
        aim.text()
    );
    Some(is_met)
}

fn main() -> ExitCode {
    type Measure = fn() -> Outcome;
    let word = std::env::args().nth(1).unwrap_or_default();
    let aims: [(&str, Aim, Measure); 5] = [
        ("append, async / bare writes of 64 KiB", Aim::AtLeast(0.8), append),
        ("sync, 256 in flight / bare write and fdatasync", Aim::AtLeast(0.8), sync),
        ("pull, mapped, GB/s", Aim::AtLeast(1.0), || pull(1 << 30)),
        ("pull, copied from the page cache, GB/s", Aim::AtLeast(1.0), || pull(0)),
        ("catch-up, p99 of sends beside the reader / alone", Aim::AtMost(2.0), catch_up),
    ];
    let picked = aims.into_iter().filter(|(name, ..)| name.contains(&word));
    let results: Vec<bool> =
        picked.filter_map(|(name, aim, measure)| judge(name, aim, measure)).collect();
    if results.is_empty() {
        return ExitCode::from(77);
    }
    let met = results.iter().filter(|met| **met).count();
    println!("{met} passed, {} failed", results.len() - met);
    ExitCode::from(u8::from(met < results.len()))
}
