//! What a store does before it crashes, from a seed.

use std::time::Duration;

use blockhouse_disk::CrashDisk;
use blockhouse_record::Draft;
use blockhouse_store::{ColdRead, Config, Flush, Placed, Settled, Store};

use super::model::Model;
use super::{is_possible, open};
use crate::rig::{Rig, config, draft};

/// What is tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Async,
    Sync,
    Removal,
    Small,
}

impl Kind {
    pub(crate) const ALL: [Self; 4] = [Self::Async, Self::Sync, Self::Removal, Self::Small];
}

/// Numbers from a seed (xorshift).
struct Dice(u64);

impl Dice {
    fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % end
    }
}

/// A store that has worked, and its history.
pub(crate) struct Workload {
    pub(crate) rig: Rig,
    pub(crate) disk: CrashDisk,
    pub(crate) model: Model,
}

struct Worker<'a> {
    kind: Kind,
    dice: Dice,
    rig: &'a Rig,
    disk: &'a CrashDisk,
    model: &'a mut Model,
    sent: u64,
}

pub(crate) const INDEX_SLOTS: u32 = 2_000;
pub(super) const TOPICS: [&str; 3] = ["alpha", "beta", "gamma"];

struct Message {
    topic: &'static str,
    queue: u32,
    body: Vec<u8>,
    text: String,
    wait: bool,
}

impl Workload {
    pub(crate) fn run(kind: Kind, seed: u64) -> Self {
        let mut dice = Dice::new(seed * 4 + kind as u64);
        let rig = Rig::with(Config {
            flush: if kind == Kind::Sync { Flush::Sync } else { Flush::Async },
            queue_file_entries: [7, 40, 300][usize::try_from(dice.below(3)).unwrap()],
            checkpoint_interval_ms: [0, u64::MAX][usize::try_from(dice.below(2)).unwrap()],
            index_entries: 60,
            index_slots: INDEX_SLOTS,
            file_reserved_hours: 3,
            delete_when: String::from(
                "0;1;2;3;4;5;6;7;8;9;10;11;12;13;14;15;16;17;18;19;20;21;22;23",
            ),
            ..config()
        });
        let disk = CrashDisk::new();
        let mut model = Model::default();
        let steps = if kind == Kind::Small { 25 } else { 40 };
        let mut worker = Worker { kind, dice, rig: &rig, disk: &disk, model: &mut model, sent: 0 };
        let mut store = open(&rig, &disk);
        for _ in 0..steps {
            store = worker.step(store);
        }
        drop(store);
        Self { rig, disk, model }
    }
}

/// After a recovery: sends, and a flush or a clean stop.
pub(crate) fn go_on(store: &Store, rig: &Rig, disk: &CrashDisk, model: &mut Model, seed: u64) {
    let dice = Dice::new(seed);
    // Numbers that the first workload did not use.
    let sent = 1_000_000;
    let mut worker = Worker { kind: Kind::Async, dice, rig, disk, model, sent };
    for _ in 0..3 {
        worker.send(store);
    }
    let started = disk.events();
    match worker.dice.below(4) {
        0 => store.flush().unwrap(),
        1 => store.tick(),
        2 => store.close().unwrap(),
        _ => {}
    }
    worker.note(store, started);
}

impl Worker<'_> {
    fn step(&mut self, store: Store) -> Store {
        let started = self.disk.events();
        match self.dice.below(20) {
            0 | 1 => store.tick(),
            2 => store.flush().unwrap(),
            3 if self.may_restart(!store.queues(None).is_empty()) => {
                // Stopped in order.
                store.close().unwrap();
                self.note(&store, started);
                drop(store);
                return open(self.rig, self.disk);
            }
            4 if self.may_restart(false) => {
                // Killed: what was written is in the page cache.
                drop(store);
                return open(self.rig, self.disk);
            }
            5 if self.kind == Kind::Removal => self.delete(&store),
            6..=8 if self.kind == Kind::Removal => self.expire(&store),
            9 => self.rig.clock.advance(Duration::from_millis(self.dice.below(5_000))),
            _ => self.send(&store),
        }
        self.note(&store, started);
        store
    }

    /// Whether what a restart finds could be on a real disk, unless files of queues `come`.
    fn may_restart(&self, come: bool) -> bool {
        come || is_possible(self.disk, self.model, self.disk.events())
    }

    /// What is flushed by now is durable; what was expired since the event `started` may be gone.
    fn note(&mut self, store: &Store, started: usize) {
        let min = store.stats().log_min.0;
        self.model.may_go(started, |physical, _| physical < min);
        self.model.durable(store.stats().flushed.0, self.disk.events());
    }

    fn message(&mut self) -> Message {
        self.sent += 1;
        let small = self.kind == Kind::Small;
        let size = match self.dice.below(10) {
            0 => 0,
            1..=6 => self.dice.below(60),
            7 | 8 if !small => self.dice.below(1_500),
            9 if !small => self.dice.below(7_000),
            _ => 10,
        };
        // Zeros are what lost bytes look like.
        let fill = if self.dice.below(4) == 0 { 0 } else { 7 };
        let body: Vec<u8> = (0..size)
            .map(|n| if fill == 0 { 0 } else { u8::try_from((n + self.sent) % 251).unwrap_or(0) })
            .collect();
        let mut text = format!("UNIQ_KEY\u{1}u{}\u{2}", self.sent);
        if self.dice.below(3) == 0 {
            text.push_str("KEYS\u{1}one two\u{2}TAGS\u{1}tag\u{2}");
        }
        if !small && self.dice.below(8) == 0 {
            let long = usize::try_from(self.dice.below(2_000)).unwrap();
            let filling = if self.dice.below(2) == 0 { "é" } else { "x" };
            text.push_str(&format!("long\u{1}{}\u{2}", filling.repeat(long)));
        }
        let topic = TOPICS[usize::try_from(self.dice.below(if small { 1 } else { 3 })).unwrap()];
        let queue = if small { 0 } else { u32::try_from(self.dice.below(2)).unwrap() };
        Message { topic, queue, body, text, wait: self.dice.below(4) != 0 }
    }

    fn send(&mut self, store: &Store) {
        let most = if self.kind == Kind::Small { 40 } else { 4 };
        let count = self.dice.below(most) + 1;
        let messages: Vec<_> = (0..count).map(|_| self.message()).collect();
        for message in &messages {
            self.model.strike(self.disk.events(), message.topic, false);
        }
        let drafts: Vec<Draft<'_>> = messages
            .iter()
            .map(|m| Draft { wait: m.wait, ..draft(m.topic, m.queue, &m.body, &m.text) })
            .collect();
        let mut placed = Vec::new();
        let mut all: Vec<Placed> = Vec::new();
        // Sometimes the first of them wait for the others with their write.
        let (first, rest) = if self.dice.below(3) == 0 {
            drafts.split_at(drafts.len() / 2)
        } else {
            drafts.split_at(0)
        };
        if !first.is_empty() {
            let _left_to_the_next = store.place(first, &mut placed).unwrap();
            all.extend(&placed);
        }
        let ticket = store.append(rest, &mut placed).unwrap();
        all.extend(&placed);
        assert_eq!(ticket.wait(), Settled::PutOk);
        self.settle(store);
        for (message, placed) in messages.iter().zip(all) {
            let record = store.message_at(placed.physical_offset, ColdRead::Allow).unwrap();
            self.model.add(
                placed.physical_offset.0,
                (message.topic, message.queue),
                placed.queue_offset.0,
                record.unwrap(),
            );
        }
        if rest.iter().any(|draft| draft.wait) && self.rig.config.flush == Flush::Sync {
            // Acknowledged.
            let end = store.stats().log_end.0;
            assert!(store.stats().flushed.0 >= end);
        }
    }

    /// Under sync flush the flush thread is at it; it must be done before the next step, or the
    /// history would not be the same the next time.
    fn settle(&self, store: &Store) {
        let end = store.stats().log_end;
        while self.rig.config.flush == Flush::Sync && store.stats().flushed < end {
            std::thread::yield_now();
        }
    }

    fn delete(&mut self, store: &Store) {
        let topic = TOPICS[usize::try_from(self.dice.below(3)).unwrap()];
        let is_of = |_: u64, sent: &super::model::Sent| sent.topic == topic;
        self.model.may_go(self.disk.events(), is_of);
        self.model.strike(self.disk.events(), topic, true);
        store.delete_topic(topic).unwrap();
        self.model.gone(self.disk.events(), is_of);
    }

    fn expire(&mut self, store: &Store) {
        self.rig.clock.advance(Duration::from_hours(1));
        if self.dice.below(2) == 0 {
            store.delete_expired().unwrap();
        } else {
            store.clean_expired_queues().unwrap();
        }
    }
}
