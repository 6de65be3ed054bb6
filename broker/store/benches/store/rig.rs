//! A store on a real filesystem, messages for it, and a reader.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use blockhouse_disk::RealDisk;
use blockhouse_model::{Clock, QueueId, QueueOffset, SysFlag, Timestamp};
use blockhouse_record::{Draft, encode};
use blockhouse_store::{
    AppendError, ColdRead, Config, Flush, NoListener, Parts, Purpose, ReadRequest, Settled, Store,
};

/// Bytes of a stored message with the body and properties used here.
pub(crate) const RECORD_LEN: usize = 1_191;
const QUEUES: u32 = 4;

/// A directory that is removed in the end.
pub(crate) struct Scratch(tempfile::TempDir);

impl Scratch {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().expect("there is a temporary directory"))
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }
}

#[derive(Debug)]
struct RealClock(Instant);

#[expect(clippy::disallowed_methods, reason = "benches run in real time")]
impl Clock for RealClock {
    fn now(&self) -> Timestamp {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Timestamp(i64::try_from(since.as_millis()).unwrap_or(0))
    }

    fn monotonic(&self) -> Duration {
        self.0.elapsed()
    }
}

pub(crate) fn open(scratch: &Scratch, flush: Flush) -> Store {
    open_with(scratch, |config| config.flush = flush)
}

pub(crate) fn open_with(scratch: &Scratch, change: impl FnOnce(&mut Config)) -> Store {
    let mut config = Config { dir: scratch.path().join("data"), ..Config::default() };
    change(&mut config);
    #[expect(clippy::disallowed_methods, reason = "benches run in real time")]
    let clock: Arc<dyn Clock> = Arc::new(RealClock(Instant::now()));
    let parts = Parts { disk: Arc::new(RealDisk), clock, listener: Arc::new(NoListener) };
    Store::open(config, parts).expect("the directory is empty and writeable")
}

/// A burst of messages of 1 KiB, with the properties that a Java producer sends.
pub(crate) struct Messages {
    properties: Vec<String>,
    body: Vec<u8>,
}

impl Messages {
    pub(crate) fn new(count: usize) -> Self {
        let text = |n| {
            format!(
                "UNIQ_KEY\u{1}7F0000010000000000000000{n:08X}\u{2}WAIT\u{1}true\u{2}TAGS\u{1}TagA\u{2}"
            )
        };
        let messages = Self { properties: (0..count).map(text).collect(), body: vec![b'x'; 1_024] };
        let mut record = Vec::new();
        encode(&messages.draft(&messages.properties[0], 0), &mut record).expect("encodes");
        assert_eq!(record.len(), RECORD_LEN, "the bare loops write as many bytes");
        messages
    }

    fn draft<'a>(&'a self, properties: &'a str, queue: u32) -> Draft<'a> {
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
            body: &self.body,
            properties,
            wait: true,
        }
    }

    /// Stores the burst, as durably as the store is configured to. Waits while the index is so far
    /// behind that the store takes no more, so that a long run measures what can be sustained.
    pub(crate) fn append(&self, store: &Store) {
        let drafts: Vec<_> =
            self.properties.iter().zip(0..).map(|(text, n)| self.draft(text, n % QUEUES)).collect();
        let mut placed = Vec::new();
        loop {
            match store.append(&drafts, &mut placed) {
                Ok(ticket) => break assert_eq!(ticket.wait(), Settled::PutOk),
                Err(e) => {
                    assert_eq!(e, AppendError::Busy, "nothing else is refused here");
                    std::thread::yield_now();
                }
            }
        }
    }
}

/// Pulls the queues in turn, from their beginning again when it is through.
#[derive(Default)]
pub(crate) struct Reader {
    next: [u64; QUEUES as usize],
    turn: u32,
}

impl Reader {
    pub(crate) fn pull(&mut self, store: &Store, count: usize) {
        let queue = self.turn % QUEUES;
        self.turn += 1;
        let next = &mut self.next[queue as usize];
        let request = ReadRequest {
            topic: "BenchmarkTopic",
            queue: QueueId(queue),
            from: QueueOffset(*next),
            max_messages: count,
            max_bytes: 256 << 10,
            cold: ColdRead::Allow,
            purpose: Purpose::Send,
        };
        let outcome = store.read(&request, &mut |_: i64| true);
        // Touched as a socket would, though not copied.
        let sum: usize =
            outcome.slices.iter().flat_map(|s| s.iter().step_by(64)).map(|b| usize::from(*b)).sum();
        std::hint::black_box(sum);
        *next = if outcome.count < count { 0 } else { outcome.next.0 };
    }
}
