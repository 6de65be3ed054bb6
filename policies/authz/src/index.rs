//! Rules as they are asked: one look for the name, one for each length of prefix.
//!
//! Immutable. What a request meets is a literal name's rules, those of the prefixes it begins with, those of
//! its namespace if it has one, those of all things of its type and those of everything; in each, those of the
//! few subjects that the caller is.

mod build;

use blockhouse_model::Action;
use rustc_hash::FxHashMap;

use crate::condition::{Circumstances, Condition, Message, Sight};
use crate::config::Mode;
use crate::parse::{EVERY_TENANT, Place};
use crate::roles::Subject;
use crate::words::{Actions, Ask, Kind, Who, namespace_of};

/// A rule at one place of the index.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Entry {
    pub(crate) grantee: u32,
    pub(crate) tenant: u32,
    pub(crate) deny: bool,
    pub(crate) actions: Actions,
    pub(crate) condition: u32,
    /// Whether it counts, in the order of ACL 2.0, only if nothing else speaks of it.
    pub(crate) is_default: bool,
    pub(crate) at: Place,
}

/// Where the entries of one pattern are, sorted by grantee.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Span {
    first: u32,
    len: u32,
}

#[derive(Default)]
struct OfKind {
    literals: FxHashMap<Box<[u8]>, Span>,
    prefixes: FxHashMap<Box<[u8]>, Span>,
    /// Lengths that there are prefixes of, longest first.
    lengths: Box<[usize]>,
    /// `TYPE:*`
    any: Span,
    /// `*`
    everything: Span,
    /// Whether there is one but for everything.
    has_some: bool,
}

impl OfKind {
    /// Rules of a name, and of the prefixes it begins with; the longest first.
    fn named<'a>(&'a self, name: &'a [u8], depth: Depth) -> impl Iterator<Item = Span> + 'a {
        let literal = if depth == Depth::Literal { self.literals.get(name) } else { None };
        let lengths: &[usize] = if depth <= Depth::Prefix { &self.lengths } else { &[] };
        let prefix = |len: &usize| self.prefixes.get(name.get(..*len)?);
        literal.into_iter().chain(lengths.iter().filter_map(prefix)).copied()
    }
}

/// What was decided, and by which rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// Whether it may be done.
    pub allowed: bool,
    /// The rule, as `file:line` or with its ACL's name; `None` if none speaks of it.
    pub rule: Option<Rule>,
}

/// A rule's place: a line of a file, or an ACL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    pub(crate) file: std::sync::Arc<str>,
    /// Counted from 1; 0 for an ACL, whose name is all there is.
    pub(crate) line: u32,
}

impl std::fmt::Display for Rule {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.line {
            0 => f.write_str(&self.file),
            line => write!(f, "{}:{line}", self.file),
        }
    }
}

/// A set of rules, compiled.
pub struct Index {
    mode: Mode,
    users: FxHashMap<Box<str>, Subject>,
    plugins: FxHashMap<Box<str>, Subject>,
    anonymous: Subject,
    stranger: Subject,
    kinds: [OfKind; Kind::ALL.len()],
    entries: Vec<Entry>,
    conditions: Vec<Condition>,
    files: Vec<std::sync::Arc<str>>,
    /// Of lines that are of no file.
    acls: Vec<std::sync::Arc<str>>,
    /// Whether there are rules that count only if nothing else speaks of it.
    has_defaults: bool,
}

impl Index {
    /// What the rules say of `who`.
    pub(crate) fn subject(&self, who: Who<'_>) -> &Subject {
        match who {
            Who::Anonymous => &self.anonymous,
            Who::User(name) => self.users.get(name).unwrap_or(&self.stranger),
            Who::Plugin(name) => self.plugins.get(name).unwrap_or(&self.stranger),
        }
    }

    /// Whether `who` may do it; where it is to send, a message of [`Message::default`].
    #[must_use]
    pub fn decide(&self, who: Who<'_>, ask: &Ask<'_>, at: &Circumstances) -> Decision {
        self.decide_on(who, ask, at, &Message::default())
    }

    /// Whether `who` may do it; where it is to send, this message.
    #[must_use]
    pub fn decide_on(
        &self,
        who: Who<'_>,
        ask: &Ask<'_>,
        at: &Circumstances,
        message: &Message<'_>,
    ) -> Decision {
        let decided = self.deciding(self.subject(who), ask, (at, Sight::Seen(message)));
        Decision {
            allowed: decided.is_some_and(|entry| !entry.deny),
            rule: decided.map(|entry| self.rule(entry.at)),
        }
    }

    /// Whether a rule asks for messages.
    #[must_use]
    pub fn asks_for_messages(&self) -> bool {
        self.conditions.iter().any(Condition::asks_for_message)
    }

    /// Whether a rule asks for the time of day, or the day.
    pub(crate) fn asks_for_time(&self) -> bool {
        self.conditions.iter().any(Condition::asks_for_time)
    }

    pub(crate) fn rule(&self, at: Place) -> Rule {
        if usize::from(at.file) == self.files.len() {
            let acl = at.line.checked_sub(1).and_then(|line| self.acls.get(line as usize));
            return Rule { file: acl.cloned().unwrap_or_default(), line: 0 };
        }
        let file = self.files.get(usize::from(at.file)).cloned().unwrap_or_default();
        Rule { file, line: at.line }
    }

    /// The entry that decides.
    pub(crate) fn deciding<'a>(
        &'a self,
        subject: &'a Subject,
        ask: &'a Ask<'_>,
        (at, sight): (&Circumstances, Sight<'_>),
    ) -> Option<&'a Entry> {
        // Who may send some messages may look at the topic: that comes without a message.
        let sight = if ask.action == Action::Pub { sight } else { Sight::Later };
        let first = self.first(subject, ask, (at, sight), false);
        if first.is_none() && self.has_defaults {
            self.first(subject, ask, (at, sight), true)
        } else {
            first
        }
    }

    /// As [`Index::deciding`], of those that are defaults or of those that are not.
    fn first<'a>(
        &'a self,
        subject: &'a Subject,
        ask: &'a Ask<'_>,
        (at, sight): (&Circumstances, Sight<'_>),
        defaults: bool,
    ) -> Option<&'a Entry> {
        let mut allowing = None;
        for span in self.levels(ask.kind, ask.name.as_bytes(), Depth::Literal) {
            for entry in self.of(span, subject) {
                let counts = entry.actions.has(ask.action) && entry.is_default == defaults;
                let condition = self.condition(entry);
                if !counts || !condition.holds(at) || !condition.fits(sight, entry.deny) {
                    continue;
                }
                if entry.deny {
                    return Some(entry);
                }
                allowing = allowing.or(Some(entry));
            }
            if allowing.is_some() && self.mode == Mode::Acl2 {
                break;
            }
        }
        allowing
    }

    /// Entries that may decide under some circumstances: those of one level together, the first level first.
    pub(crate) fn speaking(&self, subject: &Subject, ask: &Ask<'_>) -> Vec<Vec<&Entry>> {
        let levels = self.levels(ask.kind, ask.name.as_bytes(), Depth::Literal);
        let level = |span| -> Vec<&Entry> {
            let entries = self.entries(span).iter();
            let counts = |entry: &&Entry| {
                subject.counts(entry.grantee, entry.tenant) && entry.actions.has(ask.action)
            };
            entries.filter(counts).collect()
        };
        let levels: Vec<Vec<&Entry>> = levels.map(level).collect();
        match self.mode {
            Mode::Acl2 => [false, true]
                .into_iter()
                .flat_map(|defaults| levels_of(&levels, defaults))
                .collect(),
            Mode::DenyOverride => vec![levels.concat()],
        }
    }

    pub(crate) fn condition(&self, entry: &Entry) -> &Condition {
        static NONE: Condition = Condition::none();
        self.conditions.get(entry.condition as usize).unwrap_or(&NONE)
    }

    /// Patterns that match a name, or cover a pattern, from the most specific one.
    pub(crate) fn levels<'a>(
        &'a self,
        kind: Kind,
        name: &'a [u8],
        depth: Depth,
    ) -> impl Iterator<Item = Span> + 'a {
        let of_kind = &self.kinds[kind as usize];
        let any = if depth <= Depth::Kind { of_kind.any } else { Span::default() };
        of_kind
            .named(name, depth)
            .chain(self.of_namespace(kind, name, depth))
            .chain([any, of_kind.everything])
            .filter(|span| span.len > 0)
    }

    /// Rules for the namespace of a topic or group, however they name it.
    fn of_namespace<'a>(
        &'a self,
        kind: Kind,
        name: &'a [u8],
        depth: Depth,
    ) -> impl Iterator<Item = Span> + 'a {
        let spaces = &self.kinds[Kind::Namespace as usize];
        let is_looked_for = spaces.has_some && depth <= Depth::Prefix;
        let namespace = if is_looked_for { namespace_of(kind, name) } else { None };
        let of = move |name| spaces.named(name, Depth::Literal).chain([spaces.any]);
        namespace.into_iter().flat_map(of)
    }

    pub(crate) fn entries(&self, span: Span) -> &[Entry] {
        let first = span.first as usize;
        self.entries.get(first..first + span.len as usize).unwrap_or_default()
    }

    /// Those entries that count for the subject.
    fn of<'a>(&'a self, span: Span, subject: &'a Subject) -> impl Iterator<Item = &'a Entry> {
        let mut rest = self.entries(span);
        let mut grantees = subject.grantees.iter();
        let mut current: &[Entry] = &[];
        std::iter::from_fn(move || {
            loop {
                if let Some((first, others)) = current.split_first() {
                    current = others;
                    return Some(first);
                }
                let grantee = *grantees.next()?;
                // Both are sorted: what lies before is not looked at again.
                let start = rest.partition_point(|entry| entry.grantee < grantee);
                rest = rest.get(start..)?;
                let len = rest.partition_point(|entry| entry.grantee == grantee);
                (current, rest) = rest.split_at_checked(len)?;
            }
        })
        .filter(|entry| entry.tenant == EVERY_TENANT || entry.tenant == subject.tenant)
    }
}

/// Those entries of each level that are defaults, or those that are not.
fn levels_of<'a>(levels: &[Vec<&'a Entry>], defaults: bool) -> Vec<Vec<&'a Entry>> {
    let of = |level: &Vec<&'a Entry>| {
        level.iter().copied().filter(|entry| entry.is_default == defaults).collect()
    };
    levels.iter().map(of).collect()
}

/// How specific a pattern is, the most specific first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Depth {
    Literal,
    Prefix,
    Kind,
    Everything,
}
