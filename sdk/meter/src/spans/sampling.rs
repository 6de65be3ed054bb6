//! What is recorded of what carries no decision of its own. It can be changed for a while as the broker
//! runs: the data path reads it with relaxed loads, and takes no lock.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;

/// What becomes a span.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rules {
    /// How much of what carries no decision of its own is recorded: from 0 to 1.
    pub head: f64,
    /// What takes at least so long is recorded after all.
    pub slow: Option<Duration>,
    /// What fails is recorded after all.
    pub errors: bool,
}

/// A ratio of their own for some topics and producer groups.
#[derive(Debug)]
pub struct RatioRule {
    topic: Pattern,
    group: Pattern,
    head: u64,
    /// Each rule takes turns among those it is for: others in between must not spread it unevenly.
    turns: AtomicU64,
}

impl RatioRule {
    /// A rule for names as `topic` and `group` say: all of it, or its beginning and `*`.
    #[must_use]
    pub fn new(topic: &str, group: &str, ratio: f64) -> Self {
        let (topic, group) = (Pattern::new(topic), Pattern::new(group));
        Self { topic, group, head: head(ratio), turns: AtomicU64::new(0) }
    }

    fn is_for(&self, topic: &str, group: &str) -> bool {
        self.topic.fits(topic) && self.group.fits(group)
    }
}

#[derive(Debug)]
enum Pattern {
    Name(Box<str>),
    Beginning(Box<str>),
}

impl Pattern {
    fn new(text: &str) -> Self {
        match text.strip_suffix('*') {
            Some(beginning) => Self::Beginning(beginning.into()),
            None => Self::Name(text.into()),
        }
    }

    fn fits(&self, name: &str) -> bool {
        match self {
            Self::Name(all) => **all == *name,
            Self::Beginning(beginning) => name.starts_with(&**beginning),
        }
    }
}

/// A request that carries no decision.
#[derive(Clone, Copy, Debug, Default)]
pub struct Undecided<'a> {
    /// Its turn among all.
    pub turn: u64,
    /// When it came, on the monotonic clock.
    pub at: Duration,
    /// Its topic.
    pub topic: &'a str,
    /// Its producer's group.
    pub group: &'a str,
}

/// Rules that end by themselves.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tuned {
    /// What is in force until then.
    pub rules: Rules,
    /// When the configured ones are in force again, on the monotonic clock.
    pub until: Duration,
}

#[derive(Debug)]
pub(super) struct Sampling {
    configured: Rules,
    head: AtomicU64,
    /// [`NEVER`] if nothing is slow.
    slow_ns: AtomicU64,
    errors: AtomicBool,
    tuned: Mutex<Option<Tuned>>,
    ratios: Vec<RatioRule>,
    bucket: Bucket,
}

const NEVER: u64 = u64::MAX;

impl Sampling {
    pub(super) fn new(configured: Rules) -> Self {
        let sampling = Self {
            configured,
            head: AtomicU64::new(0),
            slow_ns: AtomicU64::new(NEVER),
            errors: AtomicBool::new(false),
            tuned: Mutex::default(),
            ratios: Vec::new(),
            bucket: Bucket::default(),
        };
        sampling.put_in_force(configured);
        sampling
    }

    pub(super) fn with(self, ratios: Vec<RatioRule>, per_second: u32) -> Self {
        Self { ratios, bucket: Bucket::new(per_second), ..self }
    }

    fn put_in_force(&self, rules: Rules) {
        self.head.store(head(rules.head), Ordering::Relaxed);
        self.slow_ns.store(rules.slow.map_or(NEVER, nanos), Ordering::Relaxed);
        self.errors.store(rules.errors, Ordering::Relaxed);
    }

    pub(super) fn tune(&self, tuned: Option<Tuned>) {
        let mut now = self.tuned.lock();
        self.put_in_force(tuned.map_or(self.configured, |tuned| tuned.rules));
        *now = tuned;
    }

    /// Ends what has had its time; whether something has.
    pub(super) fn expire(&self, now: Duration) -> bool {
        let mut tuned = self.tuned.lock();
        let is_over = tuned.is_some_and(|tuned| now >= tuned.until);
        if is_over {
            self.put_in_force(self.configured);
            *tuned = None;
        }
        is_over
    }

    pub(super) fn tuned(&self) -> Option<Tuned> {
        *self.tuned.lock()
    }

    pub(super) const fn configured(&self) -> Rules {
        self.configured
    }

    /// Whether turns are counted at all.
    pub(super) fn has_head(&self) -> bool {
        self.head.load(Ordering::Relaxed) > 0
    }

    /// Whether it is its turn.
    pub(super) fn is_turn(&self, request: &Undecided<'_>) -> bool {
        match self.ratios.iter().find(|rule| rule.is_for(request.topic, request.group)) {
            Some(rule) => is_turn(rule.head, rule.turns.fetch_add(1, Ordering::Relaxed)),
            None => is_turn(self.head.load(Ordering::Relaxed), request.turn),
        }
    }

    pub(super) fn slow(&self) -> Option<Duration> {
        let slow = self.slow_ns.load(Ordering::Relaxed);
        (slow != NEVER).then(|| Duration::from_nanos(slow))
    }

    pub(super) fn errors(&self) -> bool {
        self.errors.load(Ordering::Relaxed)
    }

    /// Whether there is room for one more trace.
    pub(super) fn has_room(&self, at: Duration) -> bool {
        self.bucket.takes(at)
    }
}

/// Evenly spread: whenever the sum of the ratios passes a whole number.
const fn is_turn(head: u64, turn: u64) -> bool {
    turn.wrapping_mul(head) & 0xffff_ffff < head
}

/// A ratio in 2^32ths.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 2^32")]
fn head(ratio: f64) -> u64 {
    (ratio.clamp(0.0, 1.0) * 4_294_967_296.0) as u64
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(NEVER - 1)
}

/// So many a second; those of one second may come at once.
#[derive(Debug, Default)]
struct Bucket {
    /// How long one takes; 0 without a limit.
    each_ns: u64,
    /// When all that were taken would be through, one after the other.
    through_ns: AtomicU64,
}

impl Bucket {
    const SECOND: u64 = 1_000_000_000;

    fn new(per_second: u32) -> Self {
        let each_ns = Self::SECOND.checked_div(u64::from(per_second)).unwrap_or(0);
        Self { each_ns, through_ns: AtomicU64::new(0) }
    }

    fn takes(&self, at: Duration) -> bool {
        if self.each_ns == 0 {
            return true;
        }
        let now = nanos(at);
        let take = |through: u64| {
            let through = through.max(now).saturating_add(self.each_ns);
            (through <= now.saturating_add(Self::SECOND)).then_some(through)
        };
        self.through_ns.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUIET: Rules = Rules { head: 0.0, slow: None, errors: false };

    fn taken(sampling: &Sampling, topic: &str, group: &str, of: u64) -> u64 {
        let request = |turn| Undecided { turn, topic, group, ..Undecided::default() };
        (0..of).filter(|turn| sampling.is_turn(&request(*turn))).count() as u64
    }

    #[test]
    fn rules_for_a_while_end_by_themselves() {
        let sampling = Sampling::new(QUIET);
        let rules = Rules { head: 1.0, slow: Some(Duration::from_millis(5)), errors: true };
        let tuned = Tuned { rules, until: Duration::from_secs(60) };
        sampling.tune(Some(tuned));
        assert_eq!(taken(&sampling, "t", "g", 10), 10);
        assert_eq!((sampling.slow(), sampling.errors()), (rules.slow, true));
        assert!(!sampling.expire(Duration::from_millis(59_999)));
        assert_eq!(sampling.tuned(), Some(tuned));
        assert!(sampling.expire(Duration::from_secs(60)));
        assert_eq!(taken(&sampling, "t", "g", 10), 0);
        assert_eq!((sampling.slow(), sampling.errors(), sampling.tuned()), (None, false, None));
        assert!(!sampling.expire(Duration::from_secs(61)), "told once");
        sampling.tune(Some(tuned));
        sampling.tune(None);
        assert!(!sampling.has_head());
    }

    #[test]
    fn the_first_rule_that_fits_decides() {
        let ratios = vec![
            RatioRule::new("orders-*", "*", 1.0),
            RatioRule::new("*", "quiet", 0.0),
            RatioRule::new("bills", "*", 0.25),
        ];
        let sampling = Sampling::new(Rules { head: 0.5, ..QUIET }).with(ratios, 0);
        for (topic, group, taken_of_100) in [
            ("orders-eu", "quiet", 100),
            ("orders", "quiet", 0),
            ("bills", "g", 25),
            ("bills-eu", "g", 50),
        ] {
            assert_eq!(taken(&sampling, topic, group, 100), taken_of_100, "{topic} {group}");
        }
        // Every second request is of another topic: its rule counts its own.
        let mine = (0..100).filter(|turn| turn % 2 == 1);
        let bills = |turn| Undecided { turn, topic: "bills", group: "g", ..Undecided::default() };
        assert_eq!(mine.filter(|turn| sampling.is_turn(&bills(*turn))).count(), 13);
    }

    #[test]
    fn a_second_has_room_for_so_many() {
        let bucket = Bucket::new(200);
        let at = |ms| (0..1_000).filter(|_| bucket.takes(Duration::from_millis(ms))).count();
        assert_eq!((at(10_000), at(10_000), at(10_050), at(10_100)), (200, 0, 10, 10));
        assert_eq!(at(99_000), 200);
        assert!((0..100_000).all(|_| Bucket::new(0).takes(Duration::ZERO)));
    }
}
