//! A store on a disk in memory, with time that stands still and no background work of its own.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use blockhouse_disk::{Disk, MemDisk};
use blockhouse_model::{Clock, ManualClock, QueueId, QueueOffset, SysFlag, Timestamp, Topic};
use blockhouse_record::{Draft, View, records};
use blockhouse_store::{
    AppendError, ColdRead, Config, NoListener, Parts, Placed, Purpose, QueueListener, ReadOutcome,
    ReadRequest, Settled, Store,
};
use parking_lot::Mutex;

pub(crate) const START: Timestamp = Timestamp(1_700_000_000_000);
pub(crate) const DIR: &str = "/data";

/// Small files; threads that never wake by themselves.
pub(crate) fn config() -> Config {
    Config {
        dir: PathBuf::from(DIR),
        segment_size: 16 << 10,
        queue_file_entries: 100,
        index_slots: 50,
        index_entries: 200,
        max_message_size: 8 << 10,
        write_buffer_size: 256 << 10,
        flush_interval_ms: 3_600_000,
        checkpoint_interval_ms: 0,
        ..Config::default()
    }
}

pub(crate) struct Rig {
    pub(crate) disk: MemDisk,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) config: Config,
    pub(crate) listener: Arc<dyn QueueListener>,
}

impl Rig {
    pub(crate) fn new() -> Self {
        Self::with(config())
    }

    pub(crate) fn with(config: Config) -> Self {
        let clock = Arc::new(ManualClock::at(START));
        Self { disk: MemDisk::new(), clock, config, listener: Arc::new(NoListener) }
    }

    pub(crate) fn open(&self) -> Store {
        self.open_on(Arc::new(self.disk.clone())).unwrap()
    }

    pub(crate) fn open_on(&self, disk: Arc<dyn Disk>) -> Result<Store, blockhouse_store::Error> {
        let clock: Arc<dyn Clock> = Arc::<ManualClock>::clone(&self.clock);
        let listener = Arc::clone(&self.listener);
        Store::open(self.config.clone(), Parts { disk, clock, listener })
    }

    /// What a killed process leaves: everything written, whatever was synced.
    pub(crate) fn killed(&self) -> Self {
        Self {
            disk: self.disk.snapshot(),
            clock: Arc::clone(&self.clock),
            config: self.config.clone(),
            listener: Arc::clone(&self.listener),
        }
    }

    pub(crate) fn has(&self, path: &str) -> bool {
        self.disk.exists(&Path::new(DIR).join(path))
    }

    pub(crate) fn bytes(&self, path: &str) -> Vec<u8> {
        let path = Path::new(DIR).join(path);
        blockhouse_disk::whole::read(&self.disk, &path).unwrap().unwrap()
    }
}

pub(crate) fn draft<'a>(
    topic: &'a str,
    queue: u32,
    body: &'a [u8],
    properties: &'a str,
) -> Draft<'a> {
    Draft {
        topic,
        queue: QueueId(queue),
        flag: 0,
        sys_flag: SysFlag(0),
        born_timestamp: START,
        born_host: "127.0.0.1:50000".parse().unwrap(),
        store_host: "127.0.0.1:10911".parse().unwrap(),
        reconsume_times: 0,
        prepared_offset: 0,
        body,
        properties,
        wait: true,
    }
}

pub(crate) fn try_send(store: &Store, drafts: &[Draft<'_>]) -> Result<Vec<Placed>, AppendError> {
    let mut placed = Vec::new();
    let ticket = store.append(drafts, &mut placed)?;
    assert_eq!(ticket.wait(), Settled::PutOk);
    Ok(placed)
}

pub(crate) fn send(store: &Store, drafts: &[Draft<'_>]) -> Vec<Placed> {
    let placed = try_send(store, drafts).unwrap();
    assert_eq!(placed.len(), drafts.len());
    placed
}

pub(crate) fn request(topic: &str, queue: u32, from: u64, max_messages: usize) -> ReadRequest<'_> {
    ReadRequest {
        topic,
        queue: QueueId(queue),
        from: QueueOffset(from),
        max_messages,
        max_bytes: 1 << 20,
        cold: ColdRead::Allow,
        purpose: Purpose::Send,
    }
}

pub(crate) fn read(store: &Store, topic: &str, queue: u32, from: u64, max: usize) -> ReadOutcome {
    store.read(&request(topic, queue, from, max), &mut |_: i64| true)
}

pub(crate) fn views(outcome: &ReadOutcome) -> Vec<View<'_>> {
    outcome.slices.iter().flat_map(|slice| records(slice)).map(Result::unwrap).collect()
}

/// All bodies of a queue, checking that offsets are dense from `from` on.
pub(crate) fn bodies(store: &Store, topic: &str, queue: u32, from: u64) -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    let mut next = from;
    while next < store.max_offset(topic, QueueId(queue)).0 {
        let outcome = read(store, topic, queue, next, 32);
        for view in views(&outcome) {
            assert!(view.is_intact());
            assert_eq!((view.topic, view.queue.0), (topic, queue));
            assert_eq!(view.queue_offset.0, from + all.len() as u64);
            all.push(view.body.to_vec());
        }
        assert!(outcome.next.0 > next, "{outcome:?}");
        next = outcome.next.0;
    }
    all
}

/// What a listener was told: topic, queue, end, tags code.
pub(crate) type Told = (Topic, u32, u64, i64);

#[derive(Default)]
pub(crate) struct Recorder(pub(crate) Mutex<Vec<Told>>);

impl QueueListener for Recorder {
    fn advanced(&self, topic: &Topic, queue: QueueId, max: QueueOffset, tags_code: i64) {
        self.0.lock().push((topic.clone(), queue.0, max.0, tags_code));
    }
}
