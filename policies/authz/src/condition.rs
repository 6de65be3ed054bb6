//! Under which circumstances a rule holds.

mod message;

use std::net::{IpAddr, Ipv4Addr};

use blockhouse_model::Timestamp;

pub use blockhouse_model::MessageType;
pub use message::Message;
use message::MessageCondition;
pub(crate) use message::{Sight, is_of_message};

const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
const ALL_DAYS: u8 = 0x7f;
const ALL_CHANNELS: u8 = 0x07;
const MINUTES_OF_DAY: u16 = 24 * 60;
/// Longest condition.
const LEN_MAX: usize = 512;

/// What a connection is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Channel {
    /// Not encrypted.
    #[default]
    Plain,
    /// Encrypted.
    Tls,
    /// Encrypted, and the client has shown a certificate that stands for a user.
    Mtls,
}

impl Channel {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Plain, Self::Tls, Self::Mtls];

    /// The word.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Tls => "tls",
            Self::Mtls => "mtls",
        }
    }

    /// The channel of this name.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|channel| channel.name() == text)
    }
}

/// The circumstances of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Circumstances {
    /// The client's address.
    pub ip: IpAddr,
    /// The day of the week in UTC, 0 is Monday.
    pub day: u8,
    /// The minute of the day in UTC.
    pub minute: u16,
    /// What the connection is.
    pub channel: Channel,
}

impl Circumstances {
    /// Those of a moment.
    #[must_use]
    pub fn at(now: Timestamp, ip: IpAddr, channel: Channel) -> Self {
        let minutes = now.0.div_euclid(60_000);
        let of_day = i64::from(MINUTES_OF_DAY);
        // The first of January 1970 was a Thursday.
        let day = (minutes.div_euclid(of_day) + 3).rem_euclid(7);
        Self {
            ip: ip.to_canonical(),
            day: u8::try_from(day).unwrap_or(0),
            minute: u16::try_from(minutes.rem_euclid(of_day)).unwrap_or(0),
            channel,
        }
    }

    /// A moment as `mon 22:30`, for tools and tests.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn set_moment(&mut self, text: &str) -> Result<(), String> {
        let wrong =
            || format!("{text:?} is no moment: write a day and a time in UTC, as in \"mon 22:30\"");
        let (name, time) = text.split_once(' ').ok_or_else(wrong)?;
        self.day = day(name).ok_or_else(wrong)?;
        self.minute =
            minute(time.trim_start()).filter(|&m| m < MINUTES_OF_DAY).ok_or_else(wrong)?;
        Ok(())
    }

    /// The day's name.
    #[must_use]
    pub fn day_name(&self) -> &'static str {
        DAYS.get(usize::from(self.day)).copied().unwrap_or("mon")
    }

    /// The time as `22:30`.
    #[must_use]
    pub fn time(&self) -> String {
        format!("{:02}:{:02}", self.minute / 60, self.minute % 60)
    }
}

impl Default for Circumstances {
    /// From this host, on a Monday at noon, not encrypted.
    fn default() -> Self {
        let ip = IpAddr::V4(Ipv4Addr::LOCALHOST);
        Self { ip, day: 0, minute: MINUTES_OF_DAY / 2, channel: Channel::Plain }
    }
}

/// A network of one family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Network {
    v6: bool,
    /// In the low bits, for IPv4 too.
    first: u128,
    mask: u128,
}

/// All of it must hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Condition {
    /// Empty: from anywhere.
    networks: Vec<Network>,
    /// From, included, to, not included. Empty: at any time.
    times: Vec<(u16, u16)>,
    days: u8,
    /// A bit for each.
    channels: u8,
    message: Option<Box<MessageCondition>>,
}

/// Values at the edges of a condition, which requests that try it out are made of.
pub(crate) struct Edges<'a> {
    pub(crate) addresses: Vec<IpAddr>,
    pub(crate) minutes: Vec<u16>,
    pub(crate) sizes: Vec<u64>,
    pub(crate) tags: Vec<&'a str>,
}

impl Condition {
    /// The one that always holds.
    pub(crate) const fn none() -> Self {
        Self {
            networks: Vec::new(),
            times: Vec::new(),
            days: ALL_DAYS,
            channels: ALL_CHANNELS,
            message: None,
        }
    }

    pub(crate) fn holds(&self, at: &Circumstances) -> bool {
        self.of_channel(at) && self.at_time(at) && self.from(at.ip)
    }

    /// Whether it holds at some times only.
    pub(crate) const fn asks_for_time(&self) -> bool {
        !self.times.is_empty() || self.days != ALL_DAYS
    }

    /// Whether it is about messages.
    pub(crate) const fn asks_for_message(&self) -> bool {
        self.message.is_some()
    }

    /// Whether what is seen of the message is as it is to be. Of what is not seen, a rule that allows is taken to
    /// hold where the message is asked for later, and one that denies where it never is.
    pub(crate) fn fits(&self, sight: Sight<'_>, deny: bool) -> bool {
        let Some(condition) = &self.message else { return true };
        match sight {
            Sight::Seen(message) => condition.fits(message),
            Sight::Later => !deny,
            Sight::Never => deny,
        }
    }

    const fn of_channel(&self, at: &Circumstances) -> bool {
        self.channels & 1 << at.channel as u8 != 0
    }

    fn at_time(&self, at: &Circumstances) -> bool {
        let inside = |&(from, to): &(u16, u16)| {
            if from < to {
                (from..to).contains(&at.minute)
            } else {
                at.minute >= from || at.minute < to
            }
        };
        self.days & 1 << at.day != 0 && (self.times.is_empty() || self.times.iter().any(inside))
    }

    fn from(&self, ip: IpAddr) -> bool {
        let (v6, bits) = bits(ip);
        let inside = |network: &Network| network.v6 == v6 && bits & network.mask == network.first;
        self.networks.is_empty() || self.networks.iter().any(inside)
    }

    /// `ip=10.0.0.0/8|::1;time=22:00-05:00`, or `-`.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let mut condition = Self::none();
        if text == "-" {
            return Ok(condition);
        }
        if text.is_empty() {
            return Err("the condition is missing; `-` is none".to_owned());
        }
        if text.len() > LEN_MAX {
            return Err(format!("the condition has more than {LEN_MAX} bytes"));
        }
        let mut seen = Vec::new();
        for part in text.split(';') {
            if let Some(bound) = part.strip_prefix("size") {
                let key = part.get(..part.len().min(5)).unwrap_or(part);
                if seen.contains(&key) {
                    return Err(format!("{key} is there twice"));
                }
                seen.push(key);
                condition.of_message().set_size(bound)?;
                continue;
            }
            let (key, values) =
                part.split_once('=').ok_or_else(|| format!("{part:?} is no KEY=VALUE"))?;
            if seen.contains(&key) {
                return Err(format!("{key} is there twice; join values with `|`"));
            }
            seen.push(key);
            condition.set(key, values)?;
        }
        Ok(condition)
    }

    fn of_message(&mut self) -> &mut MessageCondition {
        self.message.get_or_insert_with(|| Box::new(MessageCondition::ANY))
    }

    fn set(&mut self, key: &str, text: &str) -> Result<(), String> {
        let values = text.split('|');
        match key {
            "ip" => self.networks = values.map(network).collect::<Result<_, _>>()?,
            "time" => self.times = values.map(span).collect::<Result<_, _>>()?,
            "day" => self.days = values.map(days).try_fold(0, |all, d| d.map(|d| all | d))?,
            "chan" => {
                self.channels = values.map(channel).try_fold(0, |all, c| c.map(|c| all | c))?;
            }
            "mtype" => self.of_message().set_types(text)?,
            "tag" => self.of_message().set_tags(text)?,
            _ => {
                let known = "ip, time, day, chan, mtype, size, tag";
                return Err(format!("unknown condition {key:?}; there are {known}"));
            }
        }
        Ok(())
    }

    pub(crate) fn edges(&self) -> Edges<'_> {
        let address = |network: &Network| {
            let first = network.first;
            let last = network.first | !network.mask & width(network.v6);
            [
                first,
                last,
                last.wrapping_add(1) & width(network.v6),
                first.wrapping_sub(1) & width(network.v6),
            ]
            .map(|bits| unbits(network.v6, bits))
        };
        let time = |&(from, to): &(u16, u16)| {
            let before = |m: u16| (m + MINUTES_OF_DAY - 1) % MINUTES_OF_DAY;
            [from, before(from), to % MINUTES_OF_DAY, before(to % MINUTES_OF_DAY)]
        };
        let message = self.message.as_ref();
        Edges {
            addresses: self.networks.iter().flat_map(address).collect(),
            minutes: self.times.iter().flat_map(time).collect(),
            sizes: message.map(|message| message.sizes()).unwrap_or_default(),
            tags: message.map(|message| message.tags()).unwrap_or_default(),
        }
    }
}

const fn width(v6: bool) -> u128 {
    if v6 { u128::MAX } else { u32::MAX as u128 }
}

fn bits(ip: IpAddr) -> (bool, u128) {
    match ip.to_canonical() {
        IpAddr::V4(v4) => (false, u32::from(v4).into()),
        IpAddr::V6(v6) => (true, v6.into()),
    }
}

fn unbits(v6: bool, bits: u128) -> IpAddr {
    match u32::try_from(bits) {
        Ok(bits) if !v6 => IpAddr::V4(bits.into()),
        _ => IpAddr::V6(bits.into()),
    }
}

fn network(text: &str) -> Result<Network, String> {
    let wrong = || format!("{text:?} is no address and no network");
    let (address, len) = match text.split_once('/') {
        Some((address, len)) => (address, Some(len)),
        None => (text, None),
    };
    let ip: IpAddr = address.parse().map_err(|_| wrong())?;
    if ip.to_canonical() != ip {
        return Err(format!("write {text:?} as IPv4"));
    }
    let (v6, first) = bits(ip);
    let all: u32 = if v6 { 128 } else { 32 };
    let len = match len {
        Some(len) => len.parse::<u32>().ok().filter(|&len| len <= all).ok_or_else(wrong)?,
        None => all,
    };
    let mask = u128::MAX.checked_shl(all - len).unwrap_or(0) & width(v6);
    if first & !mask != 0 {
        let network = unbits(v6, first & mask);
        return Err(format!("{text:?} has bits beyond its mask; did you mean {network}/{len}?"));
    }
    Ok(Network { v6, first, mask })
}

fn span(text: &str) -> Result<(u16, u16), String> {
    let wrong = || format!("{text:?} is no span of time, as in 22:00-05:00");
    let (from, to) = text.split_once('-').ok_or_else(wrong)?;
    let (from, to) = (minute(from).ok_or_else(wrong)?, minute(to).ok_or_else(wrong)?);
    if from == to || from == MINUTES_OF_DAY || to == 0 {
        return Err(format!("{text:?} holds never or always"));
    }
    Ok((from, to))
}

/// `00:00` to `24:00`.
fn minute(text: &str) -> Option<u16> {
    let (hour, minute) = text.split_once(':')?;
    let digits = |t: &str| t.len() == 2 && t.bytes().all(|b| b.is_ascii_digit());
    if !digits(hour) || !digits(minute) {
        return None;
    }
    let (hour, minute): (u16, u16) = (hour.parse().ok()?, minute.parse().ok()?);
    let all = hour * 60 + minute;
    (minute < 60 && all <= MINUTES_OF_DAY).then_some(all)
}

fn channel(text: &str) -> Result<u8, String> {
    let channel = Channel::parse(text);
    channel
        .map(|c| 1 << c as u8)
        .ok_or_else(|| format!("unknown channel {text:?}: plain, tls, mtls"))
}

fn day(text: &str) -> Option<u8> {
    DAYS.iter().zip(0..).find(|(name, _)| **name == text).map(|(_, day)| day)
}

/// `mon`, or `mon-fri`, over the weekend too.
fn days(text: &str) -> Result<u8, String> {
    let wrong = || format!("{text:?} is no day: mon, tue, wed, thu, fri, sat, sun, or mon-fri");
    let (from, to) = text.split_once('-').unwrap_or((text, text));
    let (from, to) = (day(from).ok_or_else(wrong)?, day(to).ok_or_else(wrong)?);
    let mut days = 1 << to;
    let mut next = from;
    while next != to {
        days |= 1 << next;
        next = (next + 1) % 7;
    }
    Ok(days)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holds(condition: &str, ip: &str, moment: &str, channel: Channel) -> bool {
        let mut at = Circumstances { ip: ip.parse().unwrap(), channel, ..Circumstances::default() };
        at.set_moment(moment).unwrap();
        Condition::parse(condition).unwrap().holds(&at)
    }

    #[test]
    fn families_never_match_each_other() {
        let from = |condition, ip| holds(condition, ip, "mon 12:00", Channel::Plain);
        assert!(from("ip=10.0.0.0/8", "10.255.0.1") && !from("ip=10.0.0.0/8", "11.0.0.0"));
        assert!(!from("ip=10.0.0.0/8", "::10.0.0.5") && !from("ip=0.0.0.0/0", "::1"));
        assert!(!from("ip=::/0", "10.0.0.5") && from("ip=::/0", "::1"));
        // One that comes in over a socket of both families is what it is.
        assert!(from("ip=10.0.0.5", "::ffff:10.0.0.5"));
        assert!(from("ip=1.2.3.4|10.0.0.5", "10.0.0.5"));
    }

    #[test]
    fn spans_go_over_midnight_and_over_the_weekend() {
        let at = |condition, moment| holds(condition, "::1", moment, Channel::Plain);
        let night = "time=22:00-05:00";
        assert!(at(night, "mon 22:00") && at(night, "mon 04:59") && !at(night, "mon 05:00"));
        assert!(at("time=09:00-24:00", "mon 23:59") && !at("time=09:00-24:00", "mon 00:00"));
        assert!(at("day=fri-mon", "sun 00:00") && !at("day=fri-mon", "tue 00:00"));
        assert!(at("day=mon|wed", "wed 00:00") && !at("day=mon|wed", "tue 00:00"));
        assert!(!at("day=mon;time=22:00-05:00", "tue 01:00"));
    }

    #[test]
    fn a_message_is_asked_for_all_of_it() {
        let condition = Condition::parse("mtype=normal|delay;size>=2;size<=4;tag=a|b").unwrap();
        let fits =
            |mtype, size, tag| condition.fits(Sight::Seen(&Message { mtype, size, tag }), false);
        assert!(fits(MessageType::Normal, 2, "a") && fits(MessageType::Delay, 4, "b"));
        assert!(!fits(MessageType::Fifo, 2, "a") && !fits(MessageType::Normal, 1, "a"));
        assert!(!fits(MessageType::Normal, 5, "a") && !fits(MessageType::Normal, 2, ""));
        assert!(condition.fits(Sight::Later, false) && !condition.fits(Sight::Later, true));
        assert!(!condition.fits(Sight::Never, false) && condition.fits(Sight::Never, true));
    }

    #[test]
    fn channels_are_told_apart() {
        for (condition, expected) in [
            ("chan=plain", [true, false, false]),
            ("chan=tls", [false, true, false]),
            ("chan=tls|mtls", [false, true, true]),
            ("-", [true; 3]),
        ] {
            let got = Channel::ALL.map(|channel| holds(condition, "::1", "mon 00:00", channel));
            assert_eq!(got, expected, "{condition}");
        }
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        for (text, why) in [
            ("", "missing"),
            ("ip", "KEY=VALUE"),
            ("ip=", "no address"),
            ("ip=10.0.0.0/33", "no address"),
            ("ip=10.0.0.1/8", "did you mean 10.0.0.0/8"),
            ("ip=::ffff:10.0.0.1", "as IPv4"),
            ("ip=10.0.0.0/8;ip=::1", "twice"),
            ("time=22:00", "no span"),
            ("time=1:00-2:00", "no span"),
            ("time=25:00-26:00", "no span"),
            ("time=05:00-05:00", "never or always"),
            ("day=monday", "no day"),
            ("chan=x", "unknown channel"),
            ("mtype=FIFO", "unknown message type"),
            ("mtype=", "unknown message type"),
            ("size=5", "is no bound"),
            ("size<=", "is no bound"),
            ("size<5", "is no bound"),
            ("size<=064", "is no bound"),
            ("size<=-1", "is no bound"),
            ("size<=4294967296", "is no bound"),
            ("size<=1|2", "is no bound"),
            ("size<=1;size<=2", "twice"),
            ("size<=1;size>=2", "no message"),
            ("tag=", "tag is missing"),
            ("tag=a|", "tag is missing"),
            ("tag=a*", "a tag as it is"),
            ("tag=a;tag=b", "twice"),
            ("color=red", "unknown condition"),
        ] {
            let refused = Condition::parse(text).unwrap_err();
            assert!(refused.contains(why), "{text}: {refused}");
        }
    }

    #[test]
    fn a_moment_is_in_utc() {
        // 2026-11-28T03:31:17Z, a Saturday.
        let at = Circumstances::at(
            Timestamp(1_795_836_677_000),
            IpAddr::V4(Ipv4Addr::LOCALHOST),
            Channel::Plain,
        );
        assert_eq!((at.day_name(), at.time().as_str()), ("sat", "03:31"));
    }
}
