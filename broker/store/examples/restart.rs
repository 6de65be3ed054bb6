//! What many queues and a long log cost: memory, checkpoints, stops and starts.
//!
//! `cargo run --release -p blockhouse-store --example restart DIR WHAT [COUNT]` where WHAT is
//!
//! | | |
//! |---|---|
//! | `fill` | COUNT queues (100,000), ten to a topic, three messages each; a clean stop |
//! | `log` | COUNT GiB (10) of 1 KiB messages in 16 queues; ends as if it had been killed |
//! | `open` | start, first send, clean stop |
//! | `kill` | start, a message to each of 100 queues and a checkpoint, 100 more; ends as if it had been killed |
//! | `retain` | start, retention that removes the oldest file |
#![expect(clippy::print_stdout, reason = "a program that prints figures")]
#![expect(clippy::disallowed_methods, reason = "it measures real time, and reads /proc")]
#![expect(clippy::expect_used, reason = "a measurement that cannot be made has nothing to say")]

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use blockhouse_disk::RealDisk;
use blockhouse_model::{Clock, QueueId, SysFlag, Timestamp};
use blockhouse_record::Draft;
use blockhouse_store::{Config, NoListener, Parts, Store};

const PER_TOPIC: usize = 10;

#[derive(Debug)]
struct RealClock {
    started: Instant,
    ahead: Duration,
}

impl Clock for RealClock {
    fn now(&self) -> Timestamp {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Timestamp(i64::try_from((since + self.ahead).as_millis()).unwrap_or(0))
    }

    fn monotonic(&self) -> Duration {
        self.started.elapsed()
    }
}

/// Memory of this process in KiB: what is not backed by files.
fn memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("RssAnon")).unwrap_or("");
    line.split_whitespace().nth(1).and_then(|n| n.parse().ok()).unwrap_or(0)
}

fn measure<T>(what: &str, work: impl FnOnce() -> T) -> T {
    let started = Instant::now();
    let result = work();
    println!("{what:<44} {:>8} ms  {:>8} KiB", started.elapsed().as_millis(), memory());
    result
}

fn open(dir: &Path, ahead: Duration) -> Store {
    let config = Config { dir: dir.to_owned(), ..Config::default() };
    let clock: Arc<dyn Clock> = Arc::new(RealClock { started: Instant::now(), ahead });
    let parts = Parts { disk: Arc::new(RealDisk), clock, listener: Arc::new(NoListener) };
    measure("open", || Store::open(config, parts).expect("it is a data directory"))
}

fn send(store: &Store, to: &[(String, u32)], body: &[u8], number: usize) {
    let texts: Vec<_> =
        (0..to.len()).map(|n| format!("UNIQ_KEY\u{1}{:032X}\u{2}", number + n)).collect();
    let host = std::net::SocketAddr::from(([127, 0, 0, 1], 10_911));
    let drafts: Vec<_> = to
        .iter()
        .zip(&texts)
        .map(|((topic, queue), properties)| Draft {
            topic,
            queue: QueueId(*queue),
            flag: 0,
            sys_flag: SysFlag(0),
            born_timestamp: Timestamp(1),
            born_host: host,
            store_host: host,
            reconsume_times: 0,
            prepared_offset: 0,
            body,
            properties,
            wait: true,
        })
        .collect();
    let mut placed = Vec::new();
    let mut rest = &drafts[..];
    while !rest.is_empty() {
        // Refused while both buffers are full.
        if let Ok(ticket) = store.append(rest, &mut placed) {
            let _settled = ticket.wait();
            rest = rest.get(placed.len()..).unwrap_or(&[]);
        }
    }
}

fn queues(from: usize, count: usize) -> Vec<(String, u32)> {
    let queue = |n| u32::try_from(n % PER_TOPIC).unwrap_or(0);
    (from..from + count).map(|n| (format!("topic-{:06}", n / PER_TOPIC), queue(n))).collect()
}

fn fill(store: &Store, count: usize) {
    measure("three messages to each queue", || {
        for round in 0..3 {
            for from in (0..count).step_by(100) {
                send(store, &queues(from, 100), b"some text", round * count + from);
            }
        }
    });
    measure("first checkpoint", || store.flush().expect("writes"));
    for what in ["second checkpoint, after one message", "third checkpoint, after one message"] {
        send(store, &queues(0, 1), b"some text", 0);
        measure(what, || store.flush().expect("writes"));
    }
    measure("checkpoint without messages", || store.flush().expect("writes"));
}

fn write_log(store: &Store, gib: usize) {
    let to: Vec<_> = (0..64).map(|n| ("big".to_owned(), n % 16)).collect();
    let body = vec![b'x'; 1_024];
    measure("writing the log", || {
        let mut number = 0;
        while store.stats().log_end.0 < (gib as u64) << 30 {
            send(store, &to, &body, number);
            number += to.len();
        }
    });
}

fn main() {
    let mut arguments = std::env::args().skip(1);
    let dir = arguments.next().expect("a directory");
    let what = arguments.next().unwrap_or_default();
    let count = arguments.next().and_then(|n| n.parse().ok());
    let started = Instant::now();
    println!("{:<44} {:>8}     {:>8} KiB", "start", "", memory());
    let ahead = if what == "retain" { Duration::from_hours(2_000) } else { Duration::ZERO };
    let store = open(Path::new(&dir), ahead);
    println!("{} queues, {} records read again", store.stats().queues, store.stats().replayed);
    match what.as_str() {
        "fill" => fill(&store, count.unwrap_or(100_000)),
        "log" => write_log(&store, count.unwrap_or(10)),
        "retain" => {
            measure("first retention", || store.delete_expired().expect("removes"));
            measure("queues without a change", || store.clean_expired_queues().expect("looks"));
        }
        "kill" => {
            measure("100 messages", || send(&store, &queues(500, 100), b"more", 0));
            measure("checkpoint", || store.flush().expect("writes"));
            measure("100 messages", || send(&store, &queues(550, 100), b"more", 0));
            store.tick();
        }
        _ => {
            send(&store, &queues(0, 1), b"first", 0);
            println!("{:<44} {:>8} ms", "from start to first send", started.elapsed().as_millis());
        }
    }
    if !matches!(what.as_str(), "kill" | "log") {
        measure("close", || store.close().expect("closes"));
        drop(store);
    }
    // No destructor runs: what a kill leaves.
    std::process::abort();
}
