//! Requests that try a set out: at the edges of its names, networks and times.

use blockhouse_model::Action;
use std::net::IpAddr;

use crate::condition::{Channel, Circumstances, Message, MessageType};
use crate::parse::{Parsed, Pattern, Rule};
use crate::words::{ANONYMOUS, Ask, EVERYBODY, Kind, ROLE_PREFIX};

/// Somebody of whom no set speaks.
const STRANGER: &str = "user:somebody-else-9d1f";

/// Numbers that look random and are the same for the same set (xorshift64*).
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) const fn new(seed: u64) -> Self {
        Self(seed | 1)
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 16
    }

    /// Below `end`, which is not 0.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        let rest = self.next() % (end.max(1) as u64);
        usize::try_from(rest).unwrap_or(0)
    }

    fn pick<T: Copy>(&mut self, all: &[T]) -> Option<T> {
        all.get(self.below(all.len())).copied()
    }
}

/// Who is to ask: some that the set knows, nobody, and a stranger.
pub(crate) fn people<'a>(parsed: &Parsed<'a>, dice: &mut Dice, most: usize) -> Vec<&'a str> {
    let count = parsed.subjects.len();
    let mut people = vec![ANONYMOUS, STRANGER];
    let all = count <= 4 * most;
    for i in 0..count.min(4 * most) {
        let number = if all { i } else { dice.below(count) };
        let name = parsed.subjects.name(u32::try_from(number).unwrap_or(0));
        let asks = name != EVERYBODY && !name.starts_with(ROLE_PREFIX);
        if asks && people.len() < most && !people.contains(&name) {
            people.push(name);
        }
    }
    people
}

/// A request: what a rule speaks of, or almost.
pub(crate) struct Probe {
    kind: Kind,
    name: String,
    action: Action,
    pub(crate) at: Circumstances,
    mtype: MessageType,
    size: u64,
    tag: String,
}

impl Probe {
    pub(crate) fn ask(&self) -> Ask<'_> {
        Ask { action: self.action, kind: self.kind, name: &self.name }
    }

    pub(crate) fn message(&self) -> Message<'_> {
        Message { mtype: self.mtype, size: self.size, tag: &self.tag }
    }

    pub(crate) fn new(parsed: &Parsed<'_>, dice: &mut Dice) -> Option<Self> {
        let rule = parsed.rules.get(dice.below(parsed.rules.len()))?;
        let kind = match dice.below(8) {
            0 => dice.pick(&Kind::ALL)?,
            _ => rule.kind.or_else(|| dice.pick(&Kind::ALL))?,
        };
        let kind = if kind.is_asked_for() { kind } else { dice.pick(&[Kind::Topic, Kind::Group])? };
        let name = if kind.is_named() { name(rule, kind, dice) } else { String::new() };
        let own: Vec<_> = Action::ALL.into_iter().filter(|a| rule.actions.has(*a)).collect();
        let action = if dice.below(3) > 0 { dice.pick(&own) } else { dice.pick(&Action::ALL) }?;
        let at = Circumstances::default();
        let (mtype, tag) = (MessageType::Normal, String::new());
        let mut probe = Self { kind, name, action, at, mtype, size: 1, tag };
        probe.set_circumstances(parsed, rule, dice);
        Some(probe)
    }

    fn set_circumstances(&mut self, parsed: &Parsed<'_>, rule: &Rule<'_>, dice: &mut Dice) {
        let at = &mut self.at;
        at.channel = dice.pick(&Channel::ALL).unwrap_or_default();
        at.day = u8::try_from(dice.below(7)).unwrap_or(0);
        at.minute = u16::try_from(dice.below(24 * 60)).unwrap_or(0);
        let others = parsed.conditions.get(dice.below(parsed.conditions.len()));
        let own = parsed.conditions.get(rule.condition as usize);
        let Some((_, condition)) = (if dice.below(4) == 0 { others } else { own }) else { return };
        let edges = condition.edges();
        at.ip = dice.pick(&edges.addresses).map_or(at.ip, |ip: IpAddr| ip.to_canonical());
        at.minute = dice.pick(&edges.minutes).unwrap_or(at.minute);
        if condition.asks_for_message() {
            self.mtype = dice.pick(&MessageType::ALL).unwrap_or_default();
            self.size = dice.pick(&edges.sizes).unwrap_or(1);
            let tag = if dice.below(4) == 0 { None } else { dice.pick(&edges.tags) };
            self.tag = tag.unwrap_or("other").to_owned();
        }
    }
}

fn name(rule: &Rule<'_>, kind: Kind, dice: &mut Dice) -> String {
    // All plugins, whatever they are called.
    if kind == Kind::Plugin && dice.below(3) == 0 {
        return String::new();
    }
    let stem = match rule.pattern {
        Pattern::Literal(name) | Pattern::Prefix(name) => name,
        Pattern::Any => "n",
    };
    let mut name = stem.to_owned();
    match dice.below(6) {
        0 => drop(name.pop()),
        1 => name.push_str("é*x"),
        2 => name.insert(0, 'x'),
        3 | 4 if matches!(rule.pattern, Pattern::Prefix(_)) => name.push('1'),
        _ => {}
    }
    // What is in a namespace, and what only looks like it.
    if rule.kind == Some(Kind::Namespace) {
        name.push_str(dice.pick(&["%n", "%n%m", "%", ""]).unwrap_or_default());
        let before = dice.pick(&["", "", "%DLQ%", "%"]).unwrap_or_default();
        name.insert_str(0, before);
    }
    name
}
