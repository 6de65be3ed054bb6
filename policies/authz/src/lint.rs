//! What is right, and yet looks like a mistake.

use crate::config::Mode;
use crate::index::{Depth, Entry, Index};
use crate::parse::{ALL_SUBJECTS, EVERY_TENANT, Parsed, Pattern, Rule};
use crate::problem::{Problem, TOLD_MAX};
use crate::roles;
use crate::words::Kind;

/// Larger sets are not looked through for pointless rules.
const RULES_MAX: usize = 100_000;
/// Rules of one pattern that are compared with each other.
const SPAN_MAX: usize = 1_000;

pub(crate) fn warnings(parsed: &Parsed<'_>, index: &Index, mode: Mode) -> Vec<Problem> {
    let mut warnings = roles::idle(parsed);
    if parsed.rules.len() > RULES_MAX {
        let reason = format!("over {RULES_MAX} rules: not looked through for pointless ones");
        warnings.push(Problem::new("the set", reason));
    } else {
        // ACLs are for who makes them to judge.
        for rule in parsed.rules.iter().filter(|rule| parsed.origin(rule.at).is_none()) {
            if warnings.len() >= TOLD_MAX {
                break;
            }
            warnings.extend(pointless(parsed, index, mode, rule));
        }
    }
    warnings.truncate(TOLD_MAX);
    warnings
}

fn pointless(parsed: &Parsed<'_>, index: &Index, mode: Mode, rule: &Rule<'_>) -> Option<Problem> {
    let kinds: Vec<Kind> = rule.kinds().collect();
    let by = |wanted: &dyn Fn(&Entry) -> bool| {
        let found = kinds.iter().map(|kind| covering(index, mode, rule, *kind, wanted));
        found.reduce(Option::and).flatten().filter(|entry| parsed.origin(entry.at).is_none())
    };
    let place = parsed.shown(rule.at);
    if !rule.deny
        && let Some(denying) = by(&|entry: &Entry| entry.deny)
    {
        let denying = parsed.shown(denying.at);
        return Some(Problem::new(
            place,
            format!("it never allows anything: {denying} denies all of it"),
        ));
    }
    if mode == Mode::Acl2 {
        // What is less specific is asked later: the same effect twice may be meant.
        return None;
    }
    let same = by(&|entry: &Entry| entry.deny == rule.deny && entry.at != rule.at)?;
    let same = parsed.shown(same.at);
    Some(Problem::new(place, format!("it adds nothing to {same}")))
}

/// A rule of `kind` that holds whenever `rule` does.
fn covering<'a>(
    index: &'a Index,
    mode: Mode,
    rule: &Rule<'_>,
    kind: Kind,
    wanted: &dyn Fn(&Entry) -> bool,
) -> Option<&'a Entry> {
    let (name, depth) = match rule.pattern {
        Pattern::Literal(name) => (name, Depth::Literal),
        Pattern::Prefix(name) => (name, Depth::Prefix),
        Pattern::Any if rule.kind.is_some() => ("", Depth::Kind),
        Pattern::Any => ("", Depth::Everything),
    };
    let levels = if mode == Mode::Acl2 { 1 } else { usize::MAX };
    let holds = |entry: &&Entry| {
        [ALL_SUBJECTS, rule.subject].contains(&entry.grantee)
            && [EVERY_TENANT, rule.tenant].contains(&entry.tenant)
            && [0, rule.condition].contains(&entry.condition)
            && entry.actions.covers(rule.actions)
            && wanted(entry)
    };
    index
        .levels(kind, name.as_bytes(), depth)
        .take(levels)
        .filter(|span| index.entries(*span).len() <= SPAN_MAX)
        .find_map(|span| index.entries(span).iter().find(holds))
}
