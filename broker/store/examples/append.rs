//! What storing and reading cost, beside bare writes of the same bytes.
//!
//! `cargo run --release -p blockhouse-store --example append [DIR] [MESSAGES]`
//! prints, for each case, wall and CPU nanoseconds of the process per 1 KiB message. Runs take turns, the
//! first is a warm-up; compare medians.
#![expect(clippy::print_stdout, reason = "a program that prints figures")]
#![expect(clippy::disallowed_methods, reason = "it measures real time, and reads /proc")]
#![expect(clippy::expect_used, reason = "a measurement that cannot be made has nothing to say")]

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use blockhouse_disk::{Disk, RealDisk};
use blockhouse_model::{Clock, QueueId, QueueOffset, SysFlag, Timestamp};
use blockhouse_record::{Draft, encode};
use blockhouse_store::{ColdRead, Config, Flush, NoListener, Parts, ReadRequest, Store};

const BURST: usize = 32;
const ROUNDS: usize = 4;
const PROPERTIES: &str =
    "UNIQ_KEY\u{1}7F000001000000000000000000000000\u{2}WAIT\u{1}true\u{2}TAGS\u{1}TagA\u{2}";

#[derive(Debug)]
struct RealClock(Instant);

impl Clock for RealClock {
    fn now(&self) -> Timestamp {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Timestamp(i64::try_from(since.as_millis()).unwrap_or(0))
    }

    fn monotonic(&self) -> Duration {
        self.0.elapsed()
    }
}

/// CPU time of this process in user and in kernel mode, in ticks of 10 ms.
fn cpu() -> (Duration, Duration) {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<_> = stat.rsplit(')').next().unwrap_or("").split_whitespace().collect();
    let ticks = |i: usize| fields.get(i).and_then(|f| f.parse::<u64>().ok()).unwrap_or(0);
    (Duration::from_millis(ticks(11) * 10), Duration::from_millis(ticks(12) * 10))
}

fn measure(name: &str, messages: usize, work: impl FnOnce()) {
    let (wall, (user, kernel)) = (Instant::now(), cpu());
    work();
    let wall = wall.elapsed();
    let after = cpu();
    let per = |d: Duration| d.as_nanos() / messages.max(1) as u128;
    println!(
        "{name:<34} {:>8} ns wall {:>6} ns user {:>6} ns kernel",
        per(wall),
        per(after.0.saturating_sub(user)),
        per(after.1.saturating_sub(kernel))
    );
}

fn open(dir: &Path, flush: Flush) -> Store {
    let config = Config { dir: dir.to_owned(), flush, ..Config::default() };
    let clock: Arc<dyn Clock> = Arc::new(RealClock(Instant::now()));
    let parts = Parts { disk: Arc::new(RealDisk), clock, listener: Arc::new(NoListener) };
    Store::open(config, parts).expect("the directory is empty and writeable")
}

fn draft<'a>(body: &'a [u8], properties: &'a str, queue: u32) -> Draft<'a> {
    let host = std::net::SocketAddr::from(([127, 0, 0, 1], 10_911));
    Draft {
        topic: "BenchmarkTopic",
        queue: QueueId(queue),
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
    }
}

fn append(store: &Store, messages: usize, burst: usize, body: &[u8]) {
    let properties: Vec<_> = (0..burst)
        .map(|n| {
            format!(
                "UNIQ_KEY\u{1}7F0000010000000000000000{n:08X}\u{2}WAIT\u{1}true\u{2}TAGS\u{1}TagA\u{2}"
            )
        })
        .collect();
    let drafts: Vec<_> =
        properties.iter().zip(0..).map(|(text, n)| draft(body, text, n % 4)).collect();
    let mut placed = Vec::new();
    for _ in 0..messages / burst {
        match store.append(&drafts, &mut placed) {
            Ok(ticket) => drop(ticket.wait()),
            Err(e) => println!("refused: {e}"),
        }
    }
}

fn pull(store: &Store, messages: usize) {
    let mut next = [0; 4];
    let mut got = 0;
    let mut sum = 0_usize;
    while got < messages {
        for queue in 0..4_u32 {
            let from = QueueOffset(next[queue as usize]);
            let request = ReadRequest {
                topic: "BenchmarkTopic",
                queue: QueueId(queue),
                from,
                max_messages: BURST,
                max_bytes: 256 << 10,
                cold: ColdRead::Allow,
            };
            let outcome = store.read(&request, &mut |_: i64| true);
            if outcome.count == 0 {
                return;
            }
            // Touched as a socket would.
            sum += outcome.slices.iter().map(|s| usize::from(s[s.len() - 1])).sum::<usize>();
            got += outcome.count;
            next[queue as usize] = outcome.next.0;
        }
    }
    assert!(sum > 0);
}

fn bare(dir: &Path, messages: usize, bytes: &[u8]) {
    let file = RealDisk.create(&dir.join("bare")).expect("creates");
    file.allocate(1 << 30).expect("there is room");
    let mut at = 0;
    for _ in 0..messages / BURST {
        if at + bytes.len() as u64 > 1 << 30 {
            at = 0;
        }
        file.write_at(bytes, at).expect("writes");
        at += bytes.len() as u64;
    }
}

fn sync_in_flight(dir: &Path, messages: usize, body: &[u8]) {
    let store = open(dir, Flush::Sync);
    append(&store, 64, 1, body);
    measure("sync flush, 8 x 32 in flight", messages, || {
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| append(&store, messages / 8, BURST, body));
            }
        });
    });
    measure("sync flush, 1 in flight", 1_000, || append(&store, 1_000, 1, body));
    store.close().expect("closes");
}

fn main() {
    let mut arguments = std::env::args().skip(1);
    let dir = arguments.next().unwrap_or_else(|| String::from("/tmp/blockhouse-append"));
    let dir = Path::new(&dir);
    let messages = arguments.next().and_then(|n| n.parse().ok()).unwrap_or(400_000);
    let body = vec![b'x'; 1_024];
    let mut bytes = Vec::new();
    for _ in 0..BURST {
        encode(&draft(&body, PROPERTIES, 0), &mut bytes).expect("encodes");
    }
    for round in 0..ROUNDS {
        println!("-- round {round}{}", if round == 0 { " (warm-up)" } else { "" });
        let here = dir.join(round.to_string());
        measure("encode", messages, || {
            let mut out = Vec::new();
            for _ in 0..messages / BURST {
                out.clear();
                for _ in 0..BURST {
                    encode(&draft(&body, PROPERTIES, 0), &mut out).expect("encodes");
                }
                std::hint::black_box(&out);
            }
        });
        measure("bare pwrite of 32 records", messages, || bare(dir, messages, &bytes));
        let store = open(&here, Flush::Async);
        measure("append, bursts of 32", messages, || append(&store, messages, BURST, &body));
        measure("append, one by one", messages / 4, || append(&store, messages / 4, 1, &body));
        measure("pull, 4 interleaved queues, cold", messages, || pull(&store, messages));
        measure("pull, 4 interleaved queues", messages, || pull(&store, messages));
        measure("close", messages, || store.close().expect("closes"));
        drop(store);
        let store = open(&here, Flush::Async);
        measure("pull after a restart", messages, || pull(&store, messages));
        drop(store);
        sync_in_flight(&dir.join(format!("{round}s")), messages / 8, &body);
        RealDisk.remove_dir(dir).expect("removes its own directory");
    }
}
