//! What is recorded of one request: of a fixed size, without anything that has to be freed.

use std::net::SocketAddr;
use std::time::Duration;

use blockhouse_model::TraceParent;

use super::{Flush, NameId, Picked};

/// What waits to be exported.
#[derive(Clone, Copy, Debug)]
pub enum Record {
    /// A span, with its stages.
    Stages(StageRecord),
    /// A link of a span whose record follows.
    Link(Link),
    /// A plugin's call, as a span below that of its request.
    Call(CallRecord),
    /// A sync of the log that recorded sends waited for; its links come before it.
    Flush(FlushRecord),
}

/// A span belongs to several traces.
#[derive(Clone, Copy, Debug)]
pub struct Link {
    /// The span that has the link.
    pub of: u64,
    /// Where it goes.
    pub to: TraceParent,
}

/// What a plugin was asked while a request went through the hooks.
#[derive(Clone, Copy, Debug)]
pub struct CallRecord {
    /// Who asked it.
    pub role: Role,
    /// Its own span.
    pub own: TraceParent,
    /// The span that it is a child of.
    pub parent: u64,
    /// The plugin.
    pub plugin: NameId,
    /// The hook.
    pub hook: &'static str,
    /// What the plugin said.
    pub verdict: &'static str,
    /// How it failed, if it did.
    pub failure: Option<&'static str>,
    /// Whether nothing comes of what it said.
    pub is_shadow: bool,
    /// How many messages it was shown.
    pub messages: u32,
    /// When it began, on the monotonic clock.
    pub began: Duration,
    /// How long it took.
    pub took: Ticks,
}

/// A sync of the log, as a span of its own.
#[derive(Clone, Copy, Debug)]
pub struct FlushRecord {
    /// Its own span.
    pub own: TraceParent,
    /// What was synced.
    pub flush: Flush,
    /// How many recorded sends it made durable, linked or not.
    pub sends: u32,
}

/// What was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Messages came in.
    Send,
    /// Messages went out.
    Deliver,
    /// A group's progress passed messages.
    Commit,
    /// A message was sent back, to come again.
    Retry,
    /// A message was sent back and given up.
    DeadLetter,
    /// A message's delay is over.
    Release,
    /// Something else was asked for, by this name: of a name server, or of a broker that refused it before anything
    /// was done.
    Request(NameId),
}

/// Which server of the process did it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Role {
    /// The broker.
    #[default]
    Broker,
    /// The name server.
    NameServer,
}

impl Role {
    /// As the attribute says it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Broker => "broker",
            Self::NameServer => "namesrv",
        }
    }
}

/// Why something is recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// Whoever sent it records it.
    Parent,
    /// It was its turn.
    Head,
    /// It took long.
    Slow,
    /// It failed.
    Error,
    /// A plugin failed at it.
    Plugin,
}

impl Reason {
    /// As the attribute says it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Parent => "parent",
            Self::Head => "head",
            Self::Slow => "slow",
            Self::Error => "error",
            Self::Plugin => "plugin",
        }
    }
}

/// A length of time in 100 ns, up to 7 minutes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ticks(u32);

impl Ticks {
    /// As close as it gets.
    #[must_use]
    pub fn of(time: Duration) -> Self {
        let seconds = time.as_secs().saturating_mul(10_000_000);
        let ticks = seconds.saturating_add(u64::from(time.subsec_nanos() / 100));
        Self(u32::try_from(ticks).unwrap_or(u32::MAX))
    }

    /// As a duration.
    #[must_use]
    pub const fn time(self) -> Duration {
        Duration::from_nanos(self.0 as u64 * 100)
    }

    /// As a number.
    #[must_use]
    pub const fn number(self) -> u32 {
        self.0
    }

    /// That number again.
    #[must_use]
    pub const fn from_number(number: u32) -> Self {
        Self(number)
    }

    /// Whether it is no time at all.
    #[must_use]
    pub const fn is_zero(self) -> bool {
        self.0 == 0
    }
}

/// What the time went to, one stage after the other; 0 for those that there were not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stages {
    /// Authorization, topic, hooks that see the message before it is stored.
    pub admit: Ticks,
    /// Whether there were hooks.
    pub hooked: bool,
    /// Encoding and placing.
    pub append: Ticks,
    /// Waiting until it was as durable as configured.
    pub flush: Ticks,
}

/// A message's key as its client made it; too long ones are cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key {
    len: u8,
    bytes: [u8; Self::LEN_MAX],
}

impl Default for Key {
    fn default() -> Self {
        Self { len: 0, bytes: [0; Self::LEN_MAX] }
    }
}

impl Key {
    /// RocketMQ's own have 32 bytes, and clients of version 5 make them of 34.
    pub const LEN_MAX: usize = 39;

    /// As much of `text` as fits.
    #[must_use]
    pub fn of(text: &str) -> Self {
        let text = text.split_at(text.floor_char_boundary(Self::LEN_MAX)).0;
        let mut key = Self::default();
        if let Some(to) = key.bytes.get_mut(..text.len()) {
            to.copy_from_slice(text.as_bytes());
        }
        key.len = u8::try_from(text.len()).unwrap_or(0);
        key
    }

    /// The text; empty without one.
    #[must_use]
    pub fn text(&self) -> &str {
        let text = self.bytes.get(..usize::from(self.len)).map(std::str::from_utf8);
        text.and_then(Result::ok).unwrap_or_default()
    }
}

/// One span and its stages.
#[derive(Clone, Copy, Debug)]
pub struct StageRecord {
    /// Who did it.
    pub role: Role,
    /// Its ids, and why it is recorded.
    pub picked: Picked,
    /// What was done.
    pub operation: Operation,
    /// When it began, on the monotonic clock.
    pub began: Duration,
    /// How long it took.
    pub total: Ticks,
    /// What the time went to.
    pub stages: Stages,
    /// From where.
    pub peer: SocketAddr,
    /// Who asked, if he has proved it.
    pub principal: Option<NameId>,
    /// The code of the answer.
    pub code: i32,
    /// That code says that what was asked for is not there: an answer, and no failure.
    pub is_absent: bool,
    /// The topic.
    pub topic: NameId,
    /// The consumer group.
    pub group: Option<NameId>,
    /// The broker that a request to a name server names.
    pub broker: Option<NameId>,
    /// The queue, if it is known.
    pub queue: Option<u32>,
    /// The message's key.
    pub key: Key,
    /// How many messages.
    pub messages: u32,
    /// Bytes of their records.
    pub bytes: u64,
    /// Where the first of them lies: in its queue and in the log, as far as there is a place in it.
    pub place: Option<(u64, Option<u64>)>,
    /// The level of its delay; 0 without one.
    pub delay_level: u32,
}

impl StageRecord {
    /// Whether it failed.
    #[must_use]
    pub const fn has_failed(&self) -> bool {
        self.code != 0 && !self.is_absent
    }

    /// A record of which no more is known than this.
    #[must_use]
    pub const fn new(
        picked: Picked,
        operation: Operation,
        began: Duration,
        peer: SocketAddr,
        topic: NameId,
    ) -> Self {
        Self {
            role: Role::Broker,
            picked,
            operation,
            began,
            total: Ticks(0),
            stages: Stages { admit: Ticks(0), hooked: false, append: Ticks(0), flush: Ticks(0) },
            peer,
            principal: None,
            code: 0,
            is_absent: false,
            topic,
            group: None,
            broker: None,
            queue: None,
            key: Key { len: 0, bytes: [0; Key::LEN_MAX] },
            messages: 1,
            bytes: 0,
            place: None,
            delay_level: 0,
        }
    }
}

const _: () = assert!(size_of::<Record>() <= 256, "records are copied, and wait in memory");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_cut_where_a_character_ends() {
        let key = "7F00000100002A139A55000000000001";
        assert_eq!(Key::of(key).text(), key);
        assert_eq!(Key::of("").text(), "");
        assert_eq!(Key::of(&"é".repeat(30)).text(), "é".repeat(19));
    }

    #[test]
    fn long_times_end_at_the_longest() {
        assert_eq!(Ticks::of(Duration::from_micros(1_500)).time(), Duration::from_micros(1_500));
        assert_eq!(Ticks::of(Duration::from_secs(3_600)), Ticks(u32::MAX));
        assert!(Ticks::of(Duration::from_nanos(99)).is_zero());
    }
}
