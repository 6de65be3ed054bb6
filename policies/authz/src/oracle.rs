//! casbin as the judge of the index.
//!
//! It gets the same lines, with what `docs/policies.md` calls implied written out, the functions of the model
//! in a second, plain form, and of a large set those rules that can matter to who asks.

mod functions;

use std::collections::{BTreeSet, HashMap, HashSet};

use blockhouse_model::Action;
use casbin::{CoreApi as _, DefaultModel, Enforcer, Model as _, NullAdapter};
use futures_util::FutureExt as _;

use crate::condition::{Circumstances, Message, is_of_message};
use crate::config::Mode;
use crate::parse::{ALL_SUBJECTS, Grant, HOMELESS, Parsed, Pattern, Rule};
use crate::words::{Actions, Ask, Kind, Who};

/// Most rules that casbin is given at a time.
pub(crate) const SLICE_MAX: usize = 2_000;

/// The lines of a set, by subject.
pub(crate) struct Lines<'a> {
    parsed: &'a Parsed<'a>,
    mode: Mode,
    grants: HashMap<u32, Vec<&'a Grant>>,
    rules: HashMap<u32, Vec<&'a Rule<'a>>>,
    homes: HashMap<u32, u32>,
}

impl<'a> Lines<'a> {
    pub(crate) fn of(parsed: &'a Parsed<'a>, mode: Mode) -> Self {
        let mut grants: HashMap<u32, Vec<&Grant>> = HashMap::new();
        for grant in &parsed.grants {
            grants.entry(grant.subject).or_default().push(grant);
        }
        let mut rules: HashMap<u32, Vec<&Rule<'_>>> = HashMap::new();
        for rule in &parsed.rules {
            rules.entry(rule.subject).or_default().push(rule);
        }
        Self { parsed, mode, grants, rules, homes: parsed.homes_of() }
    }

    /// The subject and all that it has through roles, whatever the tenant: casbin sorts that out.
    fn near(&self, subject: Option<u32>) -> BTreeSet<u32> {
        let mut near = BTreeSet::from([ALL_SUBJECTS]);
        let mut open: Vec<u32> = subject.into_iter().collect();
        while let Some(next) = open.pop() {
            if near.insert(next) {
                open.extend(self.grants.get(&next).into_iter().flatten().map(|grant| grant.role));
            }
        }
        near
    }
}

/// casbin, with the rules for one subject.
pub(crate) struct Oracle {
    enforcer: Enforcer,
    subject: String,
    tenant: String,
    pub(crate) rules: usize,
}

impl Oracle {
    /// For requests of `who`, or only for `ask` if he has too many rules. `None` if too many speak of that.
    ///
    /// # Errors
    /// What casbin says of the set.
    pub(crate) fn new(
        lines: &Lines<'_>,
        who: Who<'_>,
        ask: Option<&Ask<'_>>,
    ) -> Result<Option<Self>, String> {
        let (parsed, subject) = (lines.parsed, who.to_string());
        let number = parsed.subjects.find(&subject);
        let near = lines.near(number);
        let resource = ask.map(Ask::resource);
        let speaks = |rule: &Rule<'_>| {
            resource.as_ref().is_none_or(|resource| {
                rule.kinds().any(|kind| functions::covers(resource, &resource_of(rule, kind)))
            })
        };
        let of_near = near.iter().filter_map(|subject| lines.rules.get(subject)).flatten();
        let mut rules: Vec<&Rule<'_>> =
            of_near.copied().filter(|rule| speaks(rule)).take(SLICE_MAX + 1).collect();
        if rules.len() > SLICE_MAX {
            return Ok(None);
        }
        if lines.mode == Mode::Acl2 {
            // casbin takes the first that matches.
            rules.sort_by_key(|rule| order(rule));
        }
        let mut model = now(DefaultModel::from_str(lines.mode.model()))?;
        let mut seen = HashSet::new();
        for rule in &rules {
            for kind in rule.kinds() {
                for line in lines_of(parsed, rule, kind) {
                    // casbin would put a line that it has already behind all others, and the first one decides.
                    if seen.insert(line.clone()) {
                        model.add_policy("p", "p", line);
                    }
                }
            }
        }
        for grant in near.iter().filter_map(|subject| lines.grants.get(subject)).flatten() {
            let names = [grant.subject, grant.role].map(|n| parsed.subjects.name(n).to_owned());
            let tenant = parsed.tenants.name(grant.tenant).to_owned();
            model.add_policy("g", "g", names.into_iter().chain([tenant]).collect());
        }
        let mut enforcer = now(Enforcer::new_raw(model, NullAdapter))?;
        functions::add(&mut enforcer);
        enforcer.build_role_links().map_err(|e| e.to_string())?;
        let home = number.and_then(|number| lines.homes.get(&number)).copied();
        let tenant = parsed.tenants.name(home.unwrap_or(HOMELESS)).to_owned();
        Ok(Some(Self { enforcer, subject, tenant, rules: rules.len() }))
    }

    /// Whether casbin allows it.
    ///
    /// # Errors
    /// What casbin says.
    pub(crate) fn allows(
        &self,
        ask: &Ask<'_>,
        at: &Circumstances,
        message: &Message<'_>,
    ) -> Result<bool, String> {
        let Circumstances { ip, .. } = at;
        let request = (
            self.subject.as_str(),
            self.tenant.as_str(),
            ask.resource(),
            ask.action.name(),
            ip.to_string(),
            at.day_name(),
            at.time(),
            at.channel.name(),
            format!("{}|{}|{}", message.mtype.name(), message.size, message.tag),
        );
        self.enforcer.enforce(request).map_err(|e| e.to_string())
    }
}

/// casbin's functions are async only for adapters that wait; ours has nothing to wait for.
fn now<T>(future: impl Future<Output = casbin::Result<T>>) -> Result<T, String> {
    match future.now_or_never() {
        Some(result) => result.map_err(|e| e.to_string()),
        None => Err("casbin waits for something".to_owned()),
    }
}

/// Defaults last; literal before prefix, longer before shorter, what names things before what names their namespace, a
/// type before everything; deny before allow.
fn order(rule: &Rule<'_>) -> (bool, u8, usize, bool) {
    let of_namespace = rule.kind == Some(Kind::Namespace);
    let (rank, shorter) = match rule.pattern {
        Pattern::Literal(_) if of_namespace => (2, 0),
        Pattern::Prefix(prefix) if of_namespace => (3, usize::MAX - prefix.len()),
        Pattern::Any if of_namespace => (4, 0),
        Pattern::Literal(_) => (0, 0),
        Pattern::Prefix(prefix) => (1, usize::MAX - prefix.len()),
        Pattern::Any if rule.kind.is_some() => (5, 0),
        Pattern::Any => (6, 0),
    };
    (rule.is_default, rank, shorter, !rule.deny)
}

fn resource_of(rule: &Rule<'_>, kind: Kind) -> String {
    let (name, star) = match rule.pattern {
        Pattern::Literal(name) => (name, ""),
        Pattern::Prefix(name) => (name, "*"),
        Pattern::Any => ("", "*"),
    };
    format!("{}:{name}{star}", kind.name())
}

/// What comes with a rule about messages, but without a message, is a line of its own.
fn lines_of(parsed: &Parsed<'_>, rule: &Rule<'_>, kind: Kind) -> Vec<Vec<String>> {
    let condition = parsed.conditions.get(rule.condition as usize).map_or("-", |(text, _)| text);
    let rest: Vec<&str> = condition.split(';').filter(|part| !is_of_message(part)).collect();
    let (rest, implied) = (rest.join(";"), rule.actions_on(kind));
    if rest == condition || implied == rule.actions {
        return vec![line(parsed, rule, kind, (implied, condition))];
    }
    let rest = if rest.is_empty() { "-" } else { &rest };
    let get = Actions::default().with(Action::Get);
    vec![line(parsed, rule, kind, (rule.actions, condition)), line(parsed, rule, kind, (get, rest))]
}

fn line(
    parsed: &Parsed<'_>,
    rule: &Rule<'_>,
    kind: Kind,
    (actions, condition): (Actions, &str),
) -> Vec<String> {
    vec![
        parsed.subjects.name(rule.subject).to_owned(),
        parsed.tenants.name(rule.tenant).to_owned(),
        resource_of(rule, kind),
        actions.text(),
        condition.to_owned(),
        if rule.deny { "deny" } else { "allow" }.to_owned(),
    ]
}
