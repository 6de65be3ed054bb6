//! From rules to the index.

use std::collections::HashMap;
use std::sync::Arc;

use rustc_hash::{FxBuildHasher, FxHashMap};

use super::{Depth, Entry, Index, OfKind, Span};
use crate::config::Mode;
use crate::parse::{Parsed, Pattern, Place, Rule};
use crate::problem::{Problem, Refused, TOLD_MAX};
use crate::roles::{self, Subject};
use crate::words::{Actions, Kind, Who};

/// A pattern of one kind, in the order of their numbers.
type Key<'a> = (Kind, Depth, &'a str);

impl Index {
    /// Compiles a set.
    ///
    /// # Errors
    /// Duplicates, contradictions, and roles that cannot be resolved.
    pub(crate) fn compile(parsed: &Parsed<'_>, mode: Mode) -> Result<Self, Refused> {
        let subjects = roles::resolve(parsed)?;
        check_contradictions(parsed)?;
        let mut numbers: FxHashMap<Key<'_>, u32> =
            FxHashMap::with_capacity_and_hasher(parsed.rules.len(), FxBuildHasher);
        let mut entries: Vec<(u32, Entry)> = Vec::with_capacity(parsed.rules.len());
        for rule in &parsed.rules {
            for kind in rule.kinds() {
                let next = u32::try_from(numbers.len()).unwrap_or(u32::MAX);
                let number = *numbers.entry(key(rule, kind)).or_insert(next);
                entries.push((number, entry(rule, kind, mode)));
            }
        }
        entries.sort_unstable();
        check_duplicates(parsed, &entries)?;
        let mut spans = vec![Span::default(); numbers.len()];
        for (at, (number, _)) in (0..).zip(&entries) {
            if let Some(span) = spans.get_mut(*number as usize) {
                if span.len == 0 {
                    span.first = at;
                }
                span.len += 1;
            }
        }
        let mut index = Self {
            mode,
            users: FxHashMap::default(),
            plugins: FxHashMap::default(),
            anonymous: Subject::stranger(),
            stranger: Subject::stranger(),
            kinds: Default::default(),
            entries: entries.into_iter().map(|(_, entry)| entry).collect(),
            conditions: parsed.conditions.iter().map(|(_, c)| c.clone()).collect(),
            files: parsed.files.iter().map(|name| Arc::from(*name)).collect(),
            acls: parsed.acls.iter().map(|origin| Arc::clone(&origin.shown)).collect(),
            // In the other mode those that deny are left out, and the rest is as any other rule.
            has_defaults: mode == Mode::Acl2 && parsed.rules.iter().any(|rule| rule.is_default),
        };
        index.make_room(numbers.keys());
        for ((kind, depth, name), number) in numbers {
            let span = spans.get(number as usize).copied().unwrap_or_default();
            index.kinds[kind as usize].put(depth, name, span);
        }
        index.kinds.iter_mut().for_each(OfKind::close);
        index.know(parsed, subjects);
        Ok(index)
    }

    /// Tables that grow are copied and cleared again and again.
    fn make_room<'a>(&mut self, keys: impl Iterator<Item = &'a Key<'a>>) {
        let mut counts = self.kinds.each_ref().map(|_| [0; 2]);
        for (kind, depth, _) in keys {
            let [literals, prefixes] = &mut counts[*kind as usize];
            *literals += usize::from(*depth == Depth::Literal);
            *prefixes += usize::from(*depth == Depth::Prefix);
        }
        for (of, [literals, prefixes]) in self.kinds.iter_mut().zip(counts) {
            of.literals.reserve(literals);
            of.prefixes.reserve(prefixes);
        }
    }

    fn know(&mut self, parsed: &Parsed<'_>, subjects: HashMap<u32, Subject>) {
        for (number, subject) in subjects {
            match Who::parse(parsed.subjects.name(number)) {
                Some(Who::Anonymous) => self.anonymous = subject,
                Some(Who::User(name)) => drop(self.users.insert(name.into(), subject)),
                Some(Who::Plugin(name)) => drop(self.plugins.insert(name.into(), subject)),
                None => {}
            }
        }
    }
}

impl OfKind {
    fn put(&mut self, depth: Depth, name: &str, span: Span) {
        let name = || name.as_bytes().into();
        self.has_some |= depth != Depth::Everything;
        match depth {
            Depth::Literal => drop(self.literals.insert(name(), span)),
            Depth::Prefix => drop(self.prefixes.insert(name(), span)),
            Depth::Kind => self.any = span,
            Depth::Everything => self.everything = span,
        }
    }

    fn close(&mut self) {
        let mut lengths: Vec<usize> = self.prefixes.keys().map(|prefix| prefix.len()).collect();
        lengths.sort_unstable_by(|a, b| b.cmp(a));
        lengths.dedup();
        self.lengths = lengths.into();
    }
}

fn key<'a>(rule: &Rule<'a>, kind: Kind) -> Key<'a> {
    match rule.pattern {
        Pattern::Any if rule.kind.is_none() => (kind, Depth::Everything, ""),
        Pattern::Any => (kind, Depth::Kind, ""),
        Pattern::Prefix(name) => (kind, Depth::Prefix, name),
        Pattern::Literal(name) => (kind, Depth::Literal, name),
    }
}

fn entry(rule: &Rule<'_>, kind: Kind, mode: Mode) -> Entry {
    Entry {
        grantee: rule.subject,
        tenant: rule.tenant,
        deny: rule.deny,
        actions: rule.actions_on(kind),
        condition: rule.condition,
        is_default: rule.is_default && mode == Mode::Acl2,
        at: rule.at,
    }
}

/// What a rule speaks of: subject, tenant, kind, pattern, actions and condition.
type Told<'a> = (u32, u32, Option<Kind>, Pattern<'a>, Actions, u32);

fn told<'a>(rule: &Rule<'a>) -> Told<'a> {
    (rule.subject, rule.tenant, rule.kind, rule.pattern, rule.actions, rule.condition)
}

/// A line that allows and one that denies the very same: one of them was meant to be another.
fn check_contradictions(parsed: &Parsed<'_>) -> Result<(), Refused> {
    // What an ACL says is for who made it to judge.
    let rules = || parsed.rules.iter().filter(|rule| parsed.origin(rule.at).is_none());
    let denied: FxHashMap<_, _> = rules().filter(|r| r.deny).map(|r| (told(r), r.at)).collect();
    if denied.is_empty() {
        return Ok(());
    }
    let allowed = rules().filter(|rule| !rule.deny);
    let both = allowed.filter_map(|rule| Some((rule.at, *denied.get(&told(rule))?)));
    let problem = |(allowed, denied): (Place, Place)| {
        let (first, second) = (allowed.min(denied), allowed.max(denied));
        let (first, second) = (parsed.shown(first), parsed.shown(second));
        let reason = format!("it contradicts {first}: one allows and one denies the very same");
        Problem::new(second, reason)
    };
    Refused::unless_empty(both.map(problem).take(TOLD_MAX).collect())
}

fn check_duplicates(parsed: &Parsed<'_>, entries: &[(u32, Entry)]) -> Result<(), Refused> {
    let mut problems: Vec<Problem> = Vec::new();
    for ((one, first), (other, second)) in entries.iter().zip(entries.iter().skip(1)) {
        let same = Entry { at: second.at, ..*first };
        // What an ACL says may well be in a file, too.
        if one == other && same == *second && parsed.origin(second.at).is_none() {
            let (first, second) = (parsed.shown(first.at), parsed.shown(second.at));
            let problem = Problem::new(second, format!("the same as {first}"));
            // A rule of every kind is at several places.
            if !problems.contains(&problem) {
                problems.push(problem);
            }
            if problems.len() >= TOLD_MAX {
                break;
            }
        }
    }
    Refused::unless_empty(problems)
}
