//! Counts of messages and bytes, by topic and by group, with what the last minute, hour and day
//! brought: what `mqadmin statsAll`, `brokerStatus` and dashboards ask for.

use std::cell::RefCell;
use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use blockhouse_meter::{MessageSizes, SizeCounts, TopicSizes};
use blockhouse_model::{MessageType, Timestamp};
use parking_lot::{Mutex, RwLock};

/// Most keys of a kind that are counted one by one; what is new past it is counted together.
const KEYS_MAX: usize = 50_000;
/// Delayed messages on their way out.
const SCHEDULED: &str = "SCHEDULE_TOPIC_XXXX@SCHEDULE_CONSUMER";
/// How often samples are taken.
const SAMPLE_MS: i64 = 10_000;
/// Samples kept: one per ten minutes for a day, and one per ten seconds for ten minutes.
const FINE_FOR: Duration = Duration::from_secs(600);
const COARSE_FOR: Duration = Duration::from_secs(24 * 3_600);
const COARSE_EVERY: Duration = Duration::from_secs(600);
const DAY_MS: i64 = 86_400_000;

/// Some messages and their bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Volume {
    /// Messages.
    pub messages: u64,
    /// Bytes.
    pub bytes: u64,
}

impl Volume {
    /// Counts more.
    pub fn add(&mut self, messages: u64, bytes: u64) {
        self.messages += messages;
        self.bytes += bytes;
    }

    const fn since(self, earlier: Self) -> Self {
        Self {
            messages: self.messages.saturating_sub(earlier.messages),
            bytes: self.bytes.saturating_sub(earlier.bytes),
        }
    }
}

/// Volumes of each [`MessageType`].
pub type Volumes = [Volume; MessageType::ALL.len()];

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Messages stored, by topic.
    TopicPut,
    /// Messages delivered, by `topic@group`.
    GroupGet,
    /// Messages sent back by consumers, by `topic@group`.
    SendBack,
    /// Messages given up, by group.
    DeadLetter,
    /// The same, by `topic@group` of the topic that they came from.
    GivenUp,
}

const KINDS: usize = 5;

#[derive(Default)]
struct Counter {
    /// By type of message, where that is known; else all are of the first.
    amounts: [Amount; MessageType::ALL.len()],
    /// Of topics: how large their messages are.
    sizes: OnceLock<Arc<TopicSizes>>,
    samples: Mutex<Samples>,
}

/// A volume that grows.
#[derive(Default)]
struct Amount {
    messages: AtomicU64,
    bytes: AtomicU64,
}

impl Amount {
    fn add(&self, volume: Volume) {
        if volume.messages > 0 {
            self.messages.fetch_add(volume.messages, Ordering::Relaxed);
            self.bytes.fetch_add(volume.bytes, Ordering::Relaxed);
        }
    }

    fn read(&self) -> Volume {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        Volume { messages: read(&self.messages), bytes: read(&self.bytes) }
    }
}

type Sample = (Timestamp, Volume);

/// Samples. Of those that are alike in a row, the first and the last: most topics and groups that clients make up are
/// counted once.
#[derive(Default)]
struct Samples {
    fine: VecDeque<Sample>,
    coarse: VecDeque<Sample>,
    /// The beginning of `coarse` is not known any more.
    is_old: bool,
}

impl Counter {
    fn volumes(&self) -> Volumes {
        self.amounts.each_ref().map(Amount::read)
    }

    fn total(&self) -> Volume {
        sum(&self.volumes())
    }

    fn add(&self, volumes: &Volumes) {
        self.amounts.iter().zip(volumes).for_each(|(amount, volume)| amount.add(*volume));
    }
}

impl Samples {
    fn take(&mut self, now: Timestamp, total: Volume) {
        push(&mut self.fine, (now, total), FINE_FOR);
        if self.coarse.back().is_none_or(|(at, _)| now.since(*at) >= COARSE_EVERY) {
            self.is_old |= push(&mut self.coarse, (now, total), COARSE_FOR);
        }
    }

    /// What was counted `span` ago, and when exactly that was. A key that is younger than the span
    /// had nothing then.
    fn before(&self, now: Timestamp, span: Duration) -> Option<Sample> {
        let first = self.coarse.front();
        // It came to be before its first sample, and after all others had one.
        let begin = |at: Timestamp| Timestamp(at.0.saturating_sub(SAMPLE_MS));
        let unknown =
            first.map(
                |(at, total)| {
                    if self.is_old { (*at, *total) } else { (begin(*at), Volume::default()) }
                },
            );
        let old = |samples| last_before(samples, now, span);
        old(&self.fine).or_else(|| old(&self.coarse)).or(unknown)
    }
}

/// The last sample that is at least `span` old; where it stayed so for longer, as of then.
fn last_before(samples: &VecDeque<Sample>, now: Timestamp, span: Duration) -> Option<Sample> {
    let at = samples.iter().rposition(|(at, _)| now.since(*at) >= span)?;
    let (from, total) = *samples.get(at)?;
    let stayed = samples.get(at + 1).is_some_and(|(_, next)| *next == total);
    let ago = now.0.saturating_sub(i64::try_from(span.as_millis()).unwrap_or(i64::MAX));
    Some((if stayed { Timestamp(ago) } else { from }, total))
}

/// Adds a sample, and forgets what is older than `keep`; whether it did.
fn push(samples: &mut VecDeque<Sample>, (now, total): Sample, keep: Duration) -> bool {
    let alike = samples.iter().rev().take(2).filter(|(_, known)| *known == total).count() == 2;
    match samples.back_mut().filter(|_| alike) {
        Some((at, _)) => *at = now,
        None => samples.push_back((now, total)),
    }
    let before = samples.len();
    while samples.get(1).is_some_and(|(at, _)| now.since(*at) >= keep) {
        samples.pop_front();
    }
    samples.len() < before
}

/// What a span of time brought.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Rate {
    /// In the span.
    pub volume: Volume,
    /// How long it really was, in seconds.
    pub seconds: f64,
}

impl Rate {
    /// Messages per second.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "a rate for people")]
    pub fn messages_per_second(&self) -> f64 {
        if self.seconds > 0.0 { self.volume.messages as f64 / self.seconds } else { 0.0 }
    }

    /// Bytes per second.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "a rate for people")]
    pub fn bytes_per_second(&self) -> f64 {
        if self.seconds > 0.0 { self.volume.bytes as f64 / self.seconds } else { 0.0 }
    }
}

/// What had been counted since the start at the last two midnights (UTC).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mornings {
    /// At the last.
    pub today: Volume,
    /// At the one before.
    pub yesterday: Volume,
}

/// The day of the last sample, and what had been counted when it began.
#[derive(Default)]
struct Days {
    day: Option<i64>,
    mornings: [Mornings; KINDS],
}

impl Days {
    fn begin(&mut self, now: Timestamp, totals: [Volume; KINDS]) {
        let today = now.0.div_euclid(DAY_MS);
        let day = *self.day.get_or_insert(today);
        // Nor does a day begin again when the clock is set back.
        if day >= today {
            return;
        }
        self.day = Some(today);
        for (mornings, total) in self.mornings.iter_mut().zip(totals) {
            let yesterday = if day + 1 == today { mornings.today } else { total };
            *mornings = Mornings { today: total, yesterday };
        }
    }
}

fn sum(volumes: &Volumes) -> Volume {
    let mut sum = Volume::default();
    volumes.iter().for_each(|volume| sum.add(volume.messages, volume.bytes));
    sum
}

/// A volume whose messages are of no known type.
fn untold(volume: Volume) -> Volumes {
    let mut volumes = Volumes::default();
    volumes[MessageType::Normal as usize] = volume;
    volumes
}

/// Makes the key `topic@group` in a buffer of the thread: every delivery needs one.
fn pair(topic: &str, group: &str, count: impl FnOnce(&str)) {
    thread_local!(static KEY: RefCell<String> = const { RefCell::new(String::new()) });
    KEY.with_borrow_mut(|key| {
        key.clear();
        key.extend([topic, "@", group]);
        count(key);
    });
}

/// A message that was stored: its topic, its type, and its bytes in the log.
pub type Stored<'a> = (&'a str, MessageType, u32);

type Table = RwLock<HashMap<Box<str>, Arc<Counter>>>;

/// All counts of the broker.
#[derive(Default)]
pub struct Stats {
    tables: [Table; KINDS],
    /// What keys past [`KEYS_MAX`] brought, and how often one did.
    rests: [(Counter, AtomicU64); KINDS],
    totals: [Counter; KINDS],
    days: Mutex<Days>,
    sizes: Arc<MessageSizes>,
}

impl Stats {
    /// Counts messages that were stored.
    pub fn put<'a>(&self, messages: impl Iterator<Item = Stored<'a>>) {
        runs(messages, |topic, sizes| self.topic_put(topic, sizes));
    }

    /// Counts messages that were stored where they belong because their delay is over. They leave the
    /// topic in which they waited, which is not counted among what the broker hands to consumers.
    pub fn set_free<'a>(&self, messages: impl Iterator<Item = Stored<'a>>) {
        runs(messages, |topic, sizes| {
            let freed = untold(sum(&self.topic_put(topic, sizes)));
            self.count(Kind::GroupGet, SCHEDULED, &freed, |_, _| {});
        });
    }

    /// Counts stored messages of a topic, and says how many there are.
    fn topic_put(&self, topic: &str, sizes: &SizeCounts) -> Volumes {
        let mut volumes = Volumes::default();
        for (volume, [messages, bytes]) in volumes.iter_mut().zip(sizes.amounts()) {
            *volume = Volume { messages, bytes };
        }
        self.totals[Kind::TopicPut as usize].add(&volumes);
        self.count(Kind::TopicPut, topic, &volumes, |key, counter| {
            let cells = || key.map_or_else(|| self.sizes.rest(), |key| self.sizes.of(key));
            counter.sizes.get_or_init(cells).add(sizes);
        });
        volumes
    }

    /// How large stored messages are.
    #[must_use]
    pub const fn sizes(&self) -> &Arc<MessageSizes> {
        &self.sizes
    }

    /// Counts delivered messages.
    pub fn group_get(&self, topic: &str, group: &str, volume: Volume) {
        pair(topic, group, |key| self.add(Kind::GroupGet, key, volume));
    }

    /// Counts a message that a consumer sent back.
    pub fn sent_back(&self, topic: &str, group: &str) {
        let volume = Volume { messages: 1, bytes: 0 };
        pair(topic, group, |key| self.add(Kind::SendBack, key, volume));
    }

    /// Counts messages given up, which `group` had from `topic`.
    pub fn sent_to_dlq(&self, topic: &str, group: &str, messages: u64) {
        let volume = Volume { messages, bytes: 0 };
        self.add(Kind::DeadLetter, group, volume);
        pair(topic, group, |key| self.add(Kind::GivenUp, key, volume));
    }

    fn add(&self, kind: Kind, key: &str, volume: Volume) {
        let volumes = untold(volume);
        self.totals[kind as usize].add(&volumes);
        self.count(kind, key, &volumes, |_, _| {});
    }

    /// Counts more of a key, and whatever else belongs to its counter: of nobody's in particular if there are
    /// too many keys.
    fn count(
        &self,
        kind: Kind,
        key: &str,
        more: &Volumes,
        also: impl FnOnce(Option<&str>, &Counter),
    ) {
        let table = &self.tables[kind as usize];
        if let Some(counter) = table.read().get(key) {
            counter.add(more);
            return also(Some(key), counter);
        }
        let mut table = table.write();
        if table.len() >= KEYS_MAX && !table.contains_key(key) {
            drop(table);
            let (rest, times) = &self.rests[kind as usize];
            times.fetch_add(1, Ordering::Relaxed);
            rest.add(more);
            return also(None, rest);
        }
        let counter = table.entry(Box::from(key)).or_default();
        counter.add(more);
        also(Some(key), counter);
    }

    /// Everything counted since the start.
    #[must_use]
    pub fn total(&self, kind: Kind) -> Volume {
        self.totals[kind as usize].total()
    }

    /// What was counted of keys that are not told apart, and how often.
    #[must_use]
    pub fn rest(&self, kind: Kind) -> (Volume, u64) {
        let (rest, times) = &self.rests[kind as usize];
        (rest.total(), times.load(Ordering::Relaxed))
    }

    /// All keys of a kind with their counts since the start.
    #[must_use]
    pub fn by_key(&self, kind: Kind) -> Vec<(Box<str>, Volume)> {
        let table = self.tables[kind as usize].read();
        table.iter().map(|(key, counter)| (key.clone(), counter.total())).collect()
    }

    /// All topics with what was stored in them since the start, by type of message.
    #[must_use]
    pub fn by_type(&self) -> Vec<(Box<str>, Volumes)> {
        let table = self.tables[Kind::TopicPut as usize].read();
        table.iter().map(|(topic, counter)| (topic.clone(), counter.volumes())).collect()
    }

    /// What the last `span` brought for one key, `None` if the key was never counted.
    #[must_use]
    pub fn rate(&self, kind: Kind, key: &str, now: Timestamp, span: Duration) -> Option<Rate> {
        let counter = Arc::clone(self.tables[kind as usize].read().get(key)?);
        Some(rate_of(&counter, now, span))
    }

    /// What the last `span` brought altogether.
    #[must_use]
    pub fn total_rate(&self, kind: Kind, now: Timestamp, span: Duration) -> Rate {
        rate_of(&self.totals[kind as usize], now, span)
    }

    /// What had been counted at the last midnights.
    #[must_use]
    pub fn mornings(&self, kind: Kind) -> Mornings {
        self.days.lock().mornings[kind as usize]
    }

    /// Takes a sample of everything; call it every ten seconds.
    pub fn sample(&self, now: Timestamp) {
        self.days.lock().begin(now, self.totals.each_ref().map(Counter::total));
        for table in &self.tables {
            for counter in table.read().values() {
                counter.samples.lock().take(now, counter.total());
            }
        }
        for counter in &self.totals {
            counter.samples.lock().take(now, counter.total());
        }
    }

    /// Forgets the counts of a deleted topic or group.
    pub fn forget(&self, name: &str) {
        // Before the counter that holds its cells: a new one then gets new ones.
        self.sizes.forget(name);
        for table in &self.tables {
            table.write().retain(|key, _| key.split('@').all(|part| part != name));
        }
    }
}

/// Counts what follows each other in one topic at once: most bursts are for one.
fn runs<'a, T>(messages: impl Iterator<Item = Stored<'a>>, count: impl Fn(&str, &SizeCounts) -> T) {
    let mut run: Option<(&str, SizeCounts)> = None;
    for (topic, kind, bytes) in messages {
        if run.as_ref().is_none_or(|(last, _)| *last != topic)
            && let Some((last, sizes)) = run.replace((topic, SizeCounts::default()))
        {
            count(last, &sizes);
        }
        if let Some((_, sizes)) = &mut run {
            sizes.add(kind, u64::from(bytes));
        }
    }
    if let Some((last, sizes)) = run {
        count(last, &sizes);
    }
}

#[expect(clippy::cast_precision_loss, reason = "a rate for people")]
fn rate_of(counter: &Counter, now: Timestamp, span: Duration) -> Rate {
    let total = counter.total();
    counter.samples.lock().before(now, span).map_or_else(Rate::default, |(at, earlier)| Rate {
        volume: total.since(earlier),
        seconds: now.since(at).as_millis() as f64 / 1_000.0,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use blockhouse_model::names;

    /// So many messages of topic `t`, of so many bytes each.
    fn messages(count: usize, bytes: u32) -> impl Iterator<Item = Stored<'static>> {
        std::iter::repeat_n(("t", MessageType::Normal, bytes), count)
    }

    #[test]
    fn the_last_minute_is_told_apart_from_the_hour() {
        let stats = Stats::default();
        let mut now = Timestamp(0);
        for _ in 0..120 {
            stats.sample(now);
            stats.put(messages(10, 10));
            now = now.plus(Duration::from_secs(10));
        }
        let minute = stats.rate(Kind::TopicPut, "t", now, Duration::from_secs(60)).unwrap();
        assert_eq!(minute.volume, Volume { messages: 60, bytes: 600 });
        assert!((minute.messages_per_second() - 1.0).abs() < 1e-9);
        let hour = stats.rate(Kind::TopicPut, "t", now, Duration::from_secs(3_600)).unwrap();
        assert_eq!(hour.volume.messages, 1_200);
        assert_eq!(stats.rate(Kind::GroupGet, "t", now, Duration::from_secs(60)), None);
        assert_eq!(stats.total(Kind::TopicPut).messages, 1_200);
    }

    #[test]
    fn what_came_just_now_is_not_a_flood() {
        let stats = Stats::default();
        stats.put(messages(100, 1));
        let first = Timestamp(70_000);
        stats.sample(first);
        for (later, expected) in [(0, 10.0), (10, 5.0), (40, 2.0)] {
            let now = first.plus(Duration::from_secs(later));
            let rate = stats.rate(Kind::TopicPut, "t", now, Duration::from_secs(60)).unwrap();
            let per_second = rate.messages_per_second();
            assert!((per_second - expected).abs() < 1e-9, "{per_second} after {later} s");
        }
    }

    #[test]
    fn what_is_counted_once_takes_the_room_of_two_samples_and_has_its_rates() {
        let stats = Stats::default();
        let put = |count| stats.put(messages(count, 1));
        let mut now = Timestamp(0);
        put(60);
        for _ in 0..100 {
            stats.sample(now);
            now = now.plus(Duration::from_secs(10));
        }
        let runs = || {
            let table = stats.tables[Kind::TopicPut as usize].read();
            let samples = table["t"].samples.lock();
            (samples.fine.len(), samples.coarse.len())
        };
        assert_eq!(runs(), (2, 2));
        put(6);
        stats.sample(now);
        let rate = |span| {
            let rate = stats.rate(Kind::TopicPut, "t", now, Duration::from_secs(span)).unwrap();
            (rate.volume.messages, rate.seconds)
        };
        assert_eq!([rate(10), rate(60), rate(900)], [(6, 10.0), (6, 60.0), (6, 900.0)]);
        assert_eq!(rate(3_600), (66, 1_010.0), "it is younger");
        assert_eq!(runs(), (3, 2));
        for _ in 0..80 {
            now = now.plus(Duration::from_secs(10));
            stats.sample(now);
        }
        assert_eq!(runs().0, 2, "ten minutes later the first is gone");
    }

    #[test]
    fn keys_past_the_bound_are_counted_together_and_nothing_is_lost() {
        let stats = Stats::default();
        let put = |topic: &str| stats.put(std::iter::once((topic, MessageType::Normal, 7)));
        for number in 0..KEYS_MAX + 3 {
            put(&format!("t{number}"));
        }
        put("t0");
        assert_eq!(stats.by_key(Kind::TopicPut).len(), KEYS_MAX);
        assert_eq!(stats.rest(Kind::TopicPut), (Volume { messages: 3, bytes: 21 }, 3));
        assert_eq!(stats.total(Kind::TopicPut).messages, KEYS_MAX as u64 + 4);
        stats.forget("t0");
        put("new");
        assert_eq!(stats.rest(Kind::TopicPut).1, 3, "there is room again");
    }

    #[test]
    fn days_begin_at_midnight() {
        let stats = Stats::default();
        let put = |count| stats.put(messages(count, 1));
        let hour = |hour: i64| Timestamp(hour * 3_600_000);
        let mornings = || {
            let Mornings { today, yesterday } = stats.mornings(Kind::TopicPut);
            (yesterday.messages, today.messages)
        };
        put(1);
        stats.sample(hour(23));
        assert_eq!(mornings(), (0, 0), "it did not run at midnight");
        put(2);
        stats.sample(hour(24));
        stats.sample(hour(25));
        assert_eq!(mornings(), (0, 3));
        stats.sample(hour(23));
        put(4);
        stats.sample(hour(48));
        assert_eq!(mornings(), (3, 7), "the clock was set back for a while");
        put(8);
        stats.sample(hour(24 * 9));
        assert_eq!(mornings(), (15, 15), "nobody looked for days");
    }

    #[test]
    fn a_deleted_name_is_forgotten_wherever_it_stands() {
        let stats = Stats::default();
        stats.put(messages(1, 1));
        stats.group_get("t", "g", Volume { messages: 1, bytes: 1 });
        stats.group_get("tt", "g", Volume { messages: 1, bytes: 1 });
        stats.sent_to_dlq("t", "g", 1);
        stats.forget("t");
        assert!(stats.by_key(Kind::TopicPut).is_empty() && stats.by_key(Kind::GivenUp).is_empty());
        assert_eq!(stats.by_key(Kind::GroupGet).len(), 1);
        stats.put(messages(2, 1));
        assert_eq!(stats.by_key(Kind::TopicPut)[0].1.messages, 2, "it begins anew");
    }

    #[test]
    fn types_are_told_apart_and_add_up() {
        use MessageType::{Delay, Fifo, Normal};
        let stats = Stats::default();
        let stored = [("t", Normal, 10), ("t", Fifo, 20), ("u", Normal, 30), ("t", Fifo, 40)];
        stats.put(stored.into_iter());
        stats.set_free([("t", Delay, 50), ("t", Delay, 60)].into_iter());
        let mut by_type = stats.by_type();
        by_type.sort();
        let volume = |messages, bytes| Volume { messages, bytes };
        let none = Volume::default();
        assert_eq!(
            by_type,
            [
                ("t".into(), [volume(1, 10), volume(2, 60), volume(2, 110), none]),
                ("u".into(), [volume(1, 30), none, none, none]),
            ]
        );
        assert_eq!(stats.total(Kind::TopicPut), volume(6, 210));
        assert_eq!(stats.by_key(Kind::TopicPut).iter().map(|(_, v)| v.bytes).sum::<u64>(), 210);
        assert_eq!(stats.by_key(Kind::GroupGet), [(SCHEDULED.into(), volume(2, 110))]);
        assert_eq!(stats.total(Kind::GroupGet), none, "no consumer got them");
        let parts: Vec<_> = SCHEDULED.split('@').collect();
        assert_eq!(parts, [names::SCHEDULE_TOPIC, names::SCHEDULE_GROUP]);
    }
}
