use std::path::PathBuf;
use std::sync::Arc;

use blockhouse_disk::{MemDisk, whole};
use blockhouse_meta::{GroupSettings, Home, TopicSettings};
use blockhouse_model::{Clock, ManualClock, QueueId, Timestamp, Topic};
use blockhouse_store::{NoListener, Parts};

use super::*;
use crate::stored;

const REVIVE_TOPIC: &str = "rmq_sys_REVIVE_LOG_C";

struct Rig {
    disk: MemDisk,
    store: Store,
    meta: Meta,
}

impl Rig {
    fn new() -> Self {
        let disk = MemDisk::new();
        let clock: Arc<dyn Clock> = Arc::new(ManualClock::at(Timestamp(1_700_000_000_000)));
        let dir = PathBuf::from("/d");
        let config = blockhouse_store::Config {
            dir: dir.clone(),
            segment_size: 1 << 20,
            queue_file_entries: 1_000,
            index: false,
            max_message_size: 8 << 10,
            filter_scan_entries: 16,
            ..blockhouse_store::Config::default()
        };
        let parts = Parts {
            disk: Arc::new(disk.clone()),
            clock: Arc::clone(&clock),
            listener: Arc::new(NoListener),
        };
        let store = Store::open(config, parts).unwrap();
        let home = Home { disk: Arc::new(disk.clone()), dir, clock };
        let meta = Meta::open(&home, TopicSettings::default(), GroupSettings::default());
        Self { disk, store, meta: meta.unwrap() }
    }

    fn put(&self, topic: &str, body: &str, properties: &str) {
        stored::put(&self.store, topic, body, properties);
    }

    fn done(&self, group: &str, topic: &str, offset: u64) {
        self.meta.offsets.commit(group, topic, QueueId(0), QueueOffset(offset));
    }

    fn write(&self, file: &str, bytes: &[u8]) {
        whole::replace(&self.disk, &Path::new("/d").join(file), bytes).unwrap();
    }

    fn count(&self) -> Inert {
        count(&self.store, &self.meta, &self.disk).unwrap()
    }

    fn refusal(&self) -> String {
        let checked = check(&self.store, &self.meta, &self.disk, false);
        checked.map_or_else(|e| e.to_string(), |()| String::new())
    }
}

#[test]
fn a_directory_without_them_is_served() {
    let rig = Rig::new();
    rig.put("t", "x", "");
    assert_eq!(rig.count(), Inert::default());
    assert_eq!(rig.refusal(), "");
}

#[test]
fn half_messages_count_until_a_note_ends_them() {
    let rig = Rig::new();
    for _ in 0..100 {
        rig.put(names::TRANS_HALF_TOPIC, "half", "");
    }
    assert_eq!(rig.count().halves, 100);
    // One note for one, as RocketMQ 4 writes them; one for several, as 5 does; one twice.
    for note in ["7", "8,9,", "8", "99", "250", "no number"] {
        rig.put(names::TRANS_OP_HALF_TOPIC, note, "TAGS\u{1}d\u{2}");
    }
    assert_eq!(rig.count().halves, 96);
    // The check is through with the first ninety, and with the notes of that time.
    rig.done(TRANS_GROUP, names::TRANS_HALF_TOPIC, 90);
    assert_eq!(rig.count().halves, 9, "90 to 98");
    rig.done(TRANS_GROUP, names::TRANS_OP_HALF_TOPIC, 3);
    assert_eq!(rig.count().halves, 9);
    assert!(rig.refusal().contains("does not serve: 9 half messages"), "{}", rig.refusal());
    assert!(check(&rig.store, &rig.meta, &rig.disk, true).is_ok());
    rig.done(TRANS_GROUP, names::TRANS_HALF_TOPIC, 100);
    assert_eq!(rig.refusal(), "");
}

#[test]
fn pop_checkpoints_count_behind_the_last_one_done_with() {
    let rig = Rig::new();
    for n in 0..200 {
        let tag = if n % 2 == 0 { "ck" } else { "ack" };
        rig.put(REVIVE_TOPIC, "{}", &format!("TAGS\u{1}{tag}\u{2}"));
    }
    assert_eq!(rig.count().pops, 100);
    rig.done(REVIVE_GROUP, REVIVE_TOPIC, 190);
    assert_eq!(rig.count().pops, 4, "192, 194, 196, 198");
    rig.done(REVIVE_GROUP, REVIVE_TOPIC, 198);
    assert_eq!(rig.refusal(), "", "what follows are acknowledgements");
    rig.write("kvStore/CURRENT", b"MANIFEST-000005\n");
    assert!(rig.refusal().contains("POP deliveries in kvStore"), "{}", rig.refusal());
}

#[test]
fn timer_messages_count_in_the_wheel_and_before_it() {
    let rig = Rig::new();
    let slot = |time: i64, count: i32| {
        let mut slot = [0; SLOT_LEN];
        slot[..8].copy_from_slice(&time.to_be_bytes());
        slot[24..28].copy_from_slice(&count.to_be_bytes());
        slot
    };
    let seconds = 1_700_000_000;
    let mut wheel = vec![[0; SLOT_LEN]; (WHEEL_CHUNK / SLOT_LEN) * 2 + 3];
    wheel[0] = slot(seconds - 1, 50);
    wheel[1] = slot(seconds, 2);
    *wheel.last_mut().unwrap() = slot(seconds + 900, 3);
    rig.write("timerwheel", wheel.as_flattened());
    assert_eq!(rig.count().timers, 0, "RocketMQ makes a wheel in any case");
    for _ in 0..10 {
        rig.put(names::TIMER_TOPIC, "later", "");
    }
    let check = |read_until: i64, taken: i64| {
        let times = [read_until, 0, taken, 0, 0, 0, 0];
        let bytes: Vec<u8> = times.iter().flat_map(|t| t.to_be_bytes()).collect();
        rig.write("config/timercheck", &bytes);
        rig.count().timers
    };
    assert_eq!(check(seconds * 1_000, 6), 4 + 5);
    assert_eq!(check(seconds * 1_000, 10), 5);
    assert_eq!(check((seconds + 1_000) * 1_000, 10), 0);
    assert_eq!(rig.refusal(), "");
    // A wheel of finer slots.
    wheel[1] = slot(seconds * 10 + 5, 2);
    *wheel.last_mut().unwrap() = slot(0, 0);
    rig.write("timerwheel", wheel.as_flattened());
    assert_eq!(check(seconds * 1_000 + 400, 10), 2);
    assert_eq!(check(seconds * 1_000 + 600, 10), 0);
}

#[test]
fn topics_that_are_kept_in_another_way_are_refused_even_so() {
    let rig = Rig::new();
    let attributes = [("queue.type".to_owned(), "BatchCQ".to_owned())].into();
    let topic = TopicConfig { attributes, ..TopicConfig::new(Topic::trusted("batches"), 1) };
    rig.meta.topics.put_as_is(topic, None);
    let refused = check(&rig.store, &rig.meta, &rig.disk, true).unwrap_err().to_string();
    assert!(refused.starts_with("topic batches has queue.type=BatchCQ"), "{refused}");
}
