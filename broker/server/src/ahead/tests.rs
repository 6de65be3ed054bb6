use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use blockhouse_core::{Broker, HeldPulls, Identity, NoAnnouncer};
use blockhouse_disk::{CrashDisk, Crashes, Disk, MemDisk};
use blockhouse_hook::{HookChain, Hooks};
use blockhouse_meta::{GroupSettings, Home, LogEnd, TopicSettings};
use blockhouse_model::names::SCHEDULE_TOPIC;
use blockhouse_model::{Clock, ManualClock, QueueId, QueueOffset, Timestamp};
use blockhouse_store::{ColdRead, NoListener, Parts as StoreParts, Purpose, ReadRequest};

use super::*;
use crate::stored;
use crate::upkeep;

const TOPIC: &str = "t";
const QUEUE: QueueId = QueueId(0);
/// What a sender puts into a message that is to wait for a second.
const DELAYED: &str = "DELAY\u{1}1\u{2}REAL_TOPIC\u{1}t\u{2}REAL_QID\u{1}0\u{2}";
/// Its level.
const LEVEL: u32 = 1;

/// A data directory in use; nothing is written but by who asks for it.
struct Node {
    store: Arc<Store>,
    meta: Meta,
    core: Broker,
    clock: Arc<ManualClock>,
}

impl Node {
    /// As a start does it, up to what is tested here.
    fn recovered(disk: Arc<dyn Disk>, clock: &Arc<ManualClock>) -> Self {
        let (dir, held) = (PathBuf::from("/d"), Arc::new(HeldPulls::default()));
        let (manual, clock) = (Arc::clone(clock), Arc::clone(clock) as Arc<dyn Clock>);
        let config = blockhouse_store::Config {
            dir: dir.clone(),
            segment_size: 16 << 10,
            queue_file_entries: 100,
            index: false,
            max_message_size: 8 << 10,
            write_buffer_size: 256 << 10,
            flush_interval_ms: 3_600_000,
            checkpoint_interval_ms: 3_600_000,
            file_reserved_hours: 1,
            delay_levels: blockhouse_core::Config::default().message_delay_level,
            ..blockhouse_store::Config::default()
        };
        let listener = Arc::new(NoListener);
        let parts = StoreParts { disk: Arc::clone(&disk), clock: Arc::clone(&clock), listener };
        let store = Arc::new(Store::open(config, parts).unwrap());
        let home = Home { disk, dir, clock: Arc::clone(&clock) };
        let settings = (TopicSettings::default(), GroupSettings::default());
        let log = Arc::clone(&store);
        let log_end: LogEnd = Arc::new(move || log.confirmed().0);
        let meta = Meta::open_with(&home, settings, Some(log_end)).unwrap();
        let parts = blockhouse_core::Parts {
            identity: Identity {
                cluster: "c".to_owned(),
                name: "b".to_owned(),
                id: 0,
                store_host: ([127, 0, 0, 1], 10_911).into(),
            },
            store: Arc::clone(&store),
            topics: Arc::clone(&meta.topics),
            groups: Arc::clone(&meta.groups),
            offsets: Arc::clone(&meta.offsets),
            delay_offsets: Arc::clone(&meta.delay_offsets),
            held,
            hooks: Arc::new(Hooks::new(HookChain::new(&[]))),
            announcer: Arc::new(NoAnnouncer),
            clock,
        };
        let core = Broker::new(blockhouse_core::Config::default(), parts, 1).unwrap();
        Self { store, meta, core, clock: manual }
    }

    fn start(disk: Arc<dyn Disk>, clock: &Arc<ManualClock>) -> Self {
        let node = Self::recovered(disk, clock);
        set_back(&node.store, &node.meta).unwrap();
        node
    }

    fn send(&self, topic: &str, body: &str, properties: &str) {
        stored::put(&self.store, topic, body, properties);
    }

    fn end(&self, topic: &str) -> u64 {
        self.store.max_offset(topic, QUEUE).0
    }

    fn commit(&self, offset: u64) {
        self.meta.offsets.commit("g", TOPIC, QUEUE, QueueOffset(offset));
    }

    fn committed(&self) -> u64 {
        self.meta.offsets.query("g", TOPIC, QUEUE).map_or(0, |offset| offset.0)
    }

    fn level(&self) -> u64 {
        self.meta.delay_offsets.find(LEVEL).map_or(0, |offset| offset.0)
    }

    /// Sets everything free that is due.
    async fn deliver(&self) {
        self.clock.advance(Duration::from_secs(2));
        while self.core.deliver_delayed().await == Duration::ZERO {}
    }

    /// The bodies from an offset on.
    fn bodies(&self, topic: &str, from: u64) -> Vec<String> {
        let request = ReadRequest {
            topic,
            queue: QUEUE,
            from: QueueOffset(from),
            max_messages: 100,
            max_bytes: 1 << 20,
            cold: ColdRead::Allow,
            purpose: Purpose::Look,
        };
        let outcome = self.store.read(&request, &mut |_: i64| true);
        let views = outcome.slices.iter().flat_map(|slice| blockhouse_record::records(slice));
        views.map(|view| String::from_utf8(view.unwrap().body.to_vec()).unwrap()).collect()
    }
}

fn clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::at(Timestamp(1_700_000_000_000)))
}

fn shared(disk: &CrashDisk) -> Arc<dyn Disk> {
    Arc::new(disk.clone())
}

/// The history of a disk, at its end.
fn at_end(disk: &CrashDisk) -> Crashes {
    let mut crashes = disk.crashes();
    while crashes.step() {}
    crashes
}

#[tokio::test]
async fn messages_after_a_power_cut_are_not_taken_for_done() {
    let (clock, disk) = (clock(), CrashDisk::new());
    let node = Node::start(shared(&disk), &clock);
    let send = |n: u32| {
        node.send(TOPIC, &format!("old {n}"), "");
        node.send(SCHEDULE_TOPIC, &format!("late {n}"), DELAYED);
    };
    (0..5).for_each(send);
    node.store.sync_log().unwrap();
    (5..10).for_each(send);
    // Saved with no regard to the log, as RocketMQ does it.
    node.commit(10);
    node.meta.delay_offsets.set(LEVEL, QueueOffset(10));
    node.meta.persist(&|| true).unwrap();
    drop(node);

    let (crashes, mut ahead) = (at_end(&disk), [0, 0]);
    for seed in 0..150 {
        let disk = crashes.image(seed);
        let node = Node::start(shared(&disk), &clock);
        let ends = [node.end(TOPIC), node.end(SCHEDULE_TOPIC)];
        assert!(ends.iter().all(|end| (5..=10).contains(end)), "{seed}: {ends:?}");
        for (ahead, end) in ahead.iter_mut().zip(ends) {
            *ahead += usize::from(end < 10);
        }
        assert_eq!([node.committed(), node.level()], ends, "{seed}");

        // Before the first message it is on disk, whatever becomes of the journal.
        let again = at_end(&disk).image(seed);
        let again = Node::recovered(shared(&again), &clock);
        assert_eq!([again.end(TOPIC), again.end(SCHEDULE_TOPIC)], ends, "{seed}");
        assert_eq!([again.committed(), again.level()], ends, "{seed}");
        drop(again);

        let news: Vec<_> = (0..12).map(|n| format!("new {n}")).collect();
        for text in &news {
            node.send(TOPIC, text, "");
        }
        assert_eq!(node.bodies(TOPIC, node.committed()), news, "{seed}");
        node.send(SCHEDULE_TOPIC, "set free", DELAYED);
        node.deliver().await;
        assert_eq!(node.bodies(TOPIC, node.end(TOPIC) - 1), ["set free"], "{seed}");
    }
    assert!(ahead.iter().all(|ahead| (10..150).contains(ahead)), "{ahead:?} of 150 were ahead");
}

#[tokio::test]
async fn a_power_cut_does_not_take_what_was_set_free() {
    let (clock, disk) = (clock(), CrashDisk::new());
    let node = Node::start(shared(&disk), &clock);
    for n in 0..3 {
        node.send(SCHEDULE_TOPIC, &format!("late {n}"), DELAYED);
    }
    // From here on they are promised.
    node.store.sync_log().unwrap();
    let promised = disk.events();
    for round in 0..3 {
        node.deliver().await;
        assert_eq!((node.end(TOPIC), node.level()), (3 + round, 3 + round));
        upkeep::persist(&node.meta, &node.store).unwrap();
        node.send(SCHEDULE_TOPIC, "later", DELAYED);
    }
    drop(node);

    let (mut crashes, mut kept) = (disk.crashes(), 0);
    while crashes.at() < promised {
        crashes.step();
    }
    loop {
        for seed in 0..6 {
            let case = (crashes.at(), seed);
            let node = Node::start(shared(&crashes.image(seed)), &clock);
            kept += usize::from(node.level() > 0);
            node.deliver().await;
            let bodies = node.bodies(TOPIC, 0);
            let has = |n: u32| bodies.contains(&format!("late {n}"));
            assert!((0..3).all(has), "{case:?}: only {bodies:?} of what was promised");
        }
        if !crashes.step() {
            break;
        }
    }
    assert!(kept > 20, "progress was on disk in {kept} images");
}

#[test]
fn a_power_cut_does_not_take_what_was_sent_back_and_committed() {
    let (clock, disk) = (clock(), CrashDisk::new());
    let node = Node::start(shared(&disk), &clock);
    node.send(TOPIC, "hard", "");
    node.store.sync_log().unwrap();
    let promised = disk.events();
    // A consumer that cannot process it.
    node.send("%RETRY%g", "hard", "");
    node.commit(1);
    // Before it is told that its commit is taken.
    node.meta.offsets.flush_journal().unwrap();
    upkeep::persist(&node.meta, &node.store).unwrap();
    drop(node);

    let (mut crashes, mut kept) = (disk.crashes(), 0);
    while crashes.at() < promised {
        crashes.step();
    }
    loop {
        for seed in 0..20 {
            let case = (crashes.at(), seed);
            let node = Node::start(shared(&crashes.image(seed)), &clock);
            kept += usize::from(node.committed() == 1);
            assert!(node.committed() == 0 || node.end("%RETRY%g") == 1, "{case:?}");
        }
        if !crashes.step() {
            break;
        }
    }
    assert!(kept > 20, "progress was on disk in {kept} images");
}

#[test]
fn what_is_expired_or_just_all_there_is_stays_consumed() {
    let (clock, disk) = (clock(), MemDisk::new());
    let node = Node::start(Arc::new(disk.clone()), &clock);
    for _ in 0..30 {
        node.send(TOPIC, &"x".repeat(1_000), "");
    }
    for _ in 0..2 {
        node.clock.advance(Duration::from_hours(2));
        for _ in 0..30 {
            node.send("u", &"x".repeat(1_000), "");
        }
    }
    node.store.flush().unwrap();
    assert!(node.store.delete_expired().unwrap() > 0);
    assert_eq!(node.store.min_offset(TOPIC, QUEUE).0, 30, "all of it is gone");
    // One group has consumed all, one is before the queue's beginning.
    node.commit(30);
    node.meta.offsets.commit("slow", TOPIC, QUEUE, QueueOffset(3));
    // And one in a queue that is not there.
    node.meta.offsets.commit("g", "lost", QueueId(2), QueueOffset(7));
    node.meta.persist(&|| true).unwrap();
    // With the store's table of queues and without.
    let tables = ["blockhouse/queues", "blockhouse/checkpoint", "checkpoint"];
    for without in [&tables[..0], &tables] {
        let killed = disk.snapshot();
        for file in without {
            killed.remove(&PathBuf::from("/d").join(file)).unwrap();
        }
        let node = Node::start(Arc::new(killed), &clock);
        assert_eq!((node.end(TOPIC), node.committed()), (30, 30), "{without:?}");
        let at = |group, topic, queue| node.meta.offsets.query(group, topic, queue);
        assert_eq!(at("slow", TOPIC, QUEUE), Some(QueueOffset(3)));
        assert_eq!(
            at("g", "lost", QueueId(2)),
            Some(QueueOffset(0)),
            "its next message is its first"
        );
    }
}
