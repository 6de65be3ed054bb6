//! Who may do something, and what a change of policies changes.

use blockhouse_model::Action;
use std::collections::BTreeSet;

use crate::acl::AclLines;
use crate::condition::Circumstances;
use crate::files::Files;
use crate::index::Rule;
use crate::parse::{Parsed, Pattern};
use crate::policies::Policies;
use crate::problem::Refused;
use crate::words::{Ask, Kind, Who};

/// Decisions that are compared at most.
const DECISIONS_MAX: usize = 4_000_000;

/// Somebody who may do it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Able {
    /// Who.
    pub principal: String,
    /// The rule that allows it.
    pub rule: Rule,
    /// Whether it depends on address, time, channel or message.
    pub conditional: bool,
}

/// A decision that two sets do not share.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// Who asks.
    pub principal: String,
    /// What he wants to do.
    pub action: &'static str,
    /// To what.
    pub resource: String,
    /// Whether the first set allows it.
    pub before: bool,
    /// Whether the second one does.
    pub after: bool,
    /// The rule of the second set; `None` if none speaks of it.
    pub rule: Option<Rule>,
}

/// Names that rules of a set speak of.
#[derive(Debug, Default)]
struct Names {
    people: BTreeSet<String>,
    resources: BTreeSet<(Kind, String)>,
}

impl Policies {
    /// Who may do it, now or under other circumstances, of all whom the set knows.
    #[must_use]
    pub fn who_can(&self, ask: &Ask<'_>) -> Vec<Able> {
        let able = |name: &String| {
            let subject = self.index().subject(Who::parse(name)?);
            let mut doubtful = false;
            for level in self.index().speaking(subject, ask) {
                if level.iter().any(|entry| entry.deny && entry.condition == 0) {
                    return None;
                }
                doubtful |= level.iter().any(|entry| entry.deny);
                let allowing = level.iter().filter(|entry| !entry.deny);
                if let Some(entry) = allowing.min_by_key(|entry| entry.condition != 0) {
                    let (rule, conditional) = (self.index().rule(entry.at), entry.condition != 0);
                    let principal = name.clone();
                    return Some(Able { principal, rule, conditional: conditional || doubtful });
                }
            }
            None
        };
        self.people().iter().filter_map(able).collect()
    }

    /// What `after` decides otherwise, of all that rules of either set speak of, from this host at noon; at most
    /// `most` of it.
    ///
    /// # Errors
    /// One of the sets cannot be read, or there is too much to compare.
    pub fn differences(
        (before, files_before): (&Self, &Files),
        (after, files_after): (&Self, &Files),
        most: usize,
    ) -> Result<Vec<Difference>, Refused> {
        let mut names = Names::default();
        names.add(before, files_before)?;
        names.add(after, files_after)?;
        let count = names.people.len() * names.resources.len() * Action::ALL.len();
        if count > DECISIONS_MAX {
            let reason = format!("{count} decisions to compare, over {DECISIONS_MAX}");
            return Err(Refused::one("the sets", reason));
        }
        Ok(names.differences(before, after).take(most).collect())
    }
}

impl Names {
    fn add(&mut self, set: &Policies, files: &Files) -> Result<(), Refused> {
        self.people.extend(set.people().iter().cloned());
        for rule in &Parsed::new(files, &AclLines::default())?.rules {
            for kind in rule.kinds() {
                let name = match rule.pattern {
                    Pattern::Literal(name) => name.to_owned(),
                    Pattern::Prefix(name) => format!("{name}*"),
                    Pattern::Any if kind == Kind::Plugin => String::new(),
                    Pattern::Any => "*".to_owned(),
                };
                self.add_resource(kind, name);
            }
        }
        Ok(())
    }

    fn add_resource(&mut self, kind: Kind, name: String) {
        if kind == Kind::Namespace {
            for kind in [Kind::Topic, Kind::Group] {
                self.resources.insert((kind, format!("{name}%*")));
            }
        } else {
            self.resources.insert((kind, if kind.is_named() { name } else { String::new() }));
        }
    }

    fn differences<'a>(
        &'a self,
        before: &'a Policies,
        after: &'a Policies,
    ) -> impl Iterator<Item = Difference> + 'a {
        let at = Circumstances::default();
        let asks = self.resources.iter().flat_map(|(kind, name)| {
            Action::ALL.into_iter().map(move |action| Ask { action, kind: *kind, name })
        });
        asks.flat_map(move |ask| {
            self.people.iter().filter_map(move |name| {
                let who = Who::parse(name)?;
                let was = before.index().decide(who, &ask, &at).allowed;
                let is = after.index().decide(who, &ask, &at);
                (was != is.allowed).then(|| Difference {
                    principal: name.clone(),
                    action: ask.action.name(),
                    resource: ask.resource(),
                    before: was,
                    after: is.allowed,
                    rule: is.rule,
                })
            })
        })
    }
}
