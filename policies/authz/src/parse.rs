//! From lines to rules.

use std::collections::HashMap;

use rustc_hash::FxHashMap;

use crate::acl::{AclLines, Origin};
use crate::condition::Condition;
use crate::files::Files;
use crate::problem::{Problem, Refused, TOLD_MAX};
use crate::words::{
    ALL_TENANTS, ANONYMOUS, Actions, DEFAULT_TENANT, EVERYBODY, Kind, NAME_LEN_MAX, ROLE_PREFIX,
    Who, unknown_kind,
};

/// Bytes of a line.
pub(crate) const LINE_LEN_MAX: usize = 1_024;
/// Lines of `p`.
const RULES_MAX: usize = 2_000_000;
/// Lines of `g` and of `g2` together.
const GRANTS_MAX: usize = 1_000_000;

/// A line of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    pub(crate) file: u16,
    pub(crate) line: u32,
}

/// Which things of a kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Pattern<'a> {
    Literal(&'a str),
    Prefix(&'a str),
    Any,
}

/// A line of `p`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rule<'a> {
    pub(crate) at: Place,
    pub(crate) subject: u32,
    pub(crate) tenant: u32,
    /// `None`: of every kind.
    pub(crate) kind: Option<Kind>,
    pub(crate) pattern: Pattern<'a>,
    /// As written.
    pub(crate) actions: Actions,
    pub(crate) condition: u32,
    pub(crate) deny: bool,
    /// Whether it counts, in the order of ACL 2.0, only if nothing else speaks of it.
    pub(crate) is_default: bool,
}

impl Rule<'_> {
    /// What it says of things of `kind`: who may send to a topic or receive from it may look at it.
    pub(crate) const fn actions_on(&self, kind: Kind) -> Actions {
        use blockhouse_model::Action::{Get, Pub, Sub};
        let moves = self.actions.has(Pub) || self.actions.has(Sub);
        if !self.deny && moves && kind.implies_get() {
            self.actions.with(Get)
        } else {
            self.actions
        }
    }

    /// The kinds that it is about.
    pub(crate) fn kinds(&self) -> impl Iterator<Item = Kind> {
        let only = self.kind;
        Kind::ALL.into_iter().filter(move |kind| only.is_none_or(|only| only == *kind))
    }
}

/// A line of `g`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Grant {
    pub(crate) at: Place,
    pub(crate) subject: u32,
    pub(crate) role: u32,
    pub(crate) tenant: u32,
}

/// A line of `g2`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Home {
    pub(crate) subject: u32,
    pub(crate) tenant: u32,
}

/// Names, by number.
#[derive(Debug, Default)]
pub(crate) struct Names<'a> {
    numbers: FxHashMap<&'a str, u32>,
    names: Vec<&'a str>,
}

impl<'a> Names<'a> {
    pub(crate) fn number(&mut self, name: &'a str) -> u32 {
        *self.numbers.entry(name).or_insert_with(|| {
            self.names.push(name);
            u32::try_from(self.names.len() - 1).unwrap_or(u32::MAX)
        })
    }

    pub(crate) fn find(&self, name: &str) -> Option<u32> {
        self.numbers.get(name).copied()
    }

    pub(crate) fn name(&self, number: u32) -> &'a str {
        self.names.get(number as usize).copied().unwrap_or_default()
    }

    pub(crate) fn len(&self) -> usize {
        self.names.len()
    }
}

/// The number of the tenant `*`.
pub(crate) const EVERY_TENANT: u32 = 0;
/// The number of the tenant `default`.
pub(crate) const HOMELESS: u32 = 1;
/// The number of the subject `*`.
pub(crate) const ALL_SUBJECTS: u32 = 0;

/// All lines of a set.
pub(crate) struct Parsed<'a> {
    pub(crate) files: Vec<&'a str>,
    pub(crate) subjects: Names<'a>,
    pub(crate) tenants: Names<'a>,
    pub(crate) conditions: Vec<(&'a str, Condition)>,
    pub(crate) rules: Vec<Rule<'a>>,
    pub(crate) grants: Vec<Grant>,
    pub(crate) homes: Vec<Home>,
    /// Where those lines come from that are of no file: of the one after the last.
    pub(crate) acls: &'a [Origin],
}

impl<'a> Parsed<'a> {
    pub(crate) fn new(files: &'a Files, acls: &'a AclLines) -> Result<Self, Refused> {
        let mut reader = Reader::new();
        for (number, file) in (0..).zip(files.rules()) {
            reader.parsed.files.push(&file.name);
            reader.file(number, &file.text);
        }
        let is_needed = !(acls.alone && files.all().is_empty());
        if reader.problems.is_empty() && is_needed {
            reader.problems.extend(reader.parsed.pointless());
        }
        reader.acls(acls);
        let Reader { parsed, problems, .. } = reader;
        Refused::unless_empty(problems).map(|()| parsed)
    }

    /// `file:line`.
    pub(crate) fn shown(&self, at: Place) -> String {
        if let Some(origin) = self.origin(at) {
            return origin.shown.as_ref().to_owned();
        }
        let file = self.files.get(usize::from(at.file)).copied().unwrap_or_default();
        format!("{file}:{}", at.line)
    }

    /// Where a line comes from that is of no file.
    pub(crate) fn origin(&self, at: Place) -> Option<&'a Origin> {
        let is_acl = usize::from(at.file) == self.files.len();
        self.acls.get(at.line.checked_sub(1)? as usize).filter(|_| is_acl)
    }

    fn pointless(&self) -> Option<Problem> {
        if self.rules.is_empty() {
            let reason = "no rule at all: nobody may do anything; a set needs a line of `p`";
            // Of several, none is the one that is wrong.
            let [only] = *self.files else { return Some(Problem::new("the set", reason)) };
            return Some(Problem::new(only, reason));
        }
        let denies = self.rules.iter().all(|rule| rule.deny);
        denies.then(|| {
            let reason = "all rules deny: nobody may do anything; a set needs one that allows";
            let first = self.rules.first().map(|rule| self.shown(rule.at));
            Problem::new(first.unwrap_or_default(), reason)
        })
    }

    /// Where a subject belongs.
    pub(crate) fn homes_of(&self) -> HashMap<u32, u32> {
        self.homes.iter().map(|home| (home.subject, home.tenant)).collect()
    }
}

struct Reader<'a> {
    parsed: Parsed<'a>,
    conditions: HashMap<&'a str, u32>,
    homes: HashMap<u32, Place>,
    problems: Vec<Problem>,
}

impl<'a> Reader<'a> {
    fn new() -> Self {
        let (mut subjects, mut tenants) = (Names::default(), Names::default());
        subjects.number(EVERYBODY);
        tenants.number(ALL_TENANTS);
        tenants.number(DEFAULT_TENANT);
        let parsed = Parsed {
            files: Vec::new(),
            subjects,
            tenants,
            conditions: vec![("-", Condition::none())],
            rules: Vec::new(),
            grants: Vec::new(),
            homes: Vec::new(),
            acls: &[],
        };
        Self {
            parsed,
            conditions: HashMap::from([("-", 0)]),
            homes: HashMap::new(),
            problems: Vec::new(),
        }
    }

    fn file(&mut self, file: u16, text: &'a str) {
        for (line, text) in (1..).zip(text.lines()) {
            if self.problems.len() >= TOLD_MAX {
                return;
            }
            let at = Place { file, line };
            if let Err(reason) = self.line(at, text) {
                self.problems.push(Problem::new(self.parsed.shown(at), reason));
            }
        }
        if !text.is_empty() && !text.ends_with('\n') {
            let line = u32::try_from(text.lines().count()).unwrap_or(u32::MAX);
            let reason = "the file does not end with a line break: it may be cut off";
            let place = self.parsed.shown(Place { file, line });
            self.problems.push(Problem::new(place, reason));
        }
    }

    fn acls(&mut self, acls: &'a AclLines) {
        self.parsed.acls = &acls.origins;
        let file = u16::try_from(self.parsed.files.len()).unwrap_or(u16::MAX);
        self.file(file, &acls.text);
        for rule in &mut self.parsed.rules {
            if rule.at.file == file {
                let origin = acls.origins.get(rule.at.line.saturating_sub(1) as usize);
                rule.is_default = origin.is_some_and(|origin| origin.is_default);
            }
        }
    }

    fn line(&mut self, at: Place, text: &'a str) -> Result<(), String> {
        if text.len() > LINE_LEN_MAX {
            return Err(format!("more than {LINE_LEN_MAX} bytes"));
        }
        let text = text.trim();
        if text.is_empty() || text.starts_with('#') {
            return Ok(());
        }
        if let Some(bad) = text.chars().find(|c| c.is_control() && *c != '\t' || *c == '"') {
            return Err(format!("{bad:?} does not belong here"));
        }
        let mut fields = [""; 8];
        let mut count = 0;
        for field in text.split(',') {
            *fields.get_mut(count).ok_or("too many fields")? = field.trim();
            count += 1;
        }
        match (fields[0], count) {
            ("p", 7) => {
                let [_, subject, tenant, resource, actions, condition, effect, _] = fields;
                self.rule(at, [subject, tenant, resource, actions, condition, effect])
            }
            ("g", 4) => self.grant(at, fields[1], fields[2], fields[3]),
            ("g2", 3) => self.home(at, fields[1], fields[2]),
            ("p", n) => Err(format!(
                "{n} fields, not 7: p, SUBJECT, TENANT, RESOURCE, ACTIONS, CONDITION, allow|deny"
            )),
            ("g", n) => Err(format!("{n} fields, not 4: g, SUBJECT, role:NAME, TENANT")),
            ("g2", n) => Err(format!("{n} fields, not 3: g2, SUBJECT, TENANT")),
            (other, _) => Err(format!("unknown kind of line {other:?}: p, g or g2")),
        }
    }

    fn rule(&mut self, at: Place, fields: [&'a str; 6]) -> Result<(), String> {
        let [subject, tenant, resource, actions, condition, effect] = fields;
        if self.parsed.rules.len() >= RULES_MAX {
            return Err(format!("more than {RULES_MAX} rules"));
        }
        let deny = match effect {
            "allow" => false,
            "deny" => true,
            _ => return Err(format!("unknown effect {effect:?}: allow or deny")),
        };
        if subject != EVERYBODY {
            check_subject(subject)?;
        }
        if tenant != ALL_TENANTS {
            check_name("tenant", tenant)?;
        }
        let (kind, pattern) = resource_of(resource)?;
        let actions = Actions::parse(actions)?;
        let condition = self.condition(condition)?;
        let asks_for_message = self
            .parsed
            .conditions
            .get(condition as usize)
            .is_some_and(|(_, c)| c.asks_for_message());
        if asks_for_message {
            check_sends(kind, actions)?;
        }
        let subject = self.parsed.subjects.number(subject);
        let tenant = self.parsed.tenants.number(tenant);
        let rule = Rule {
            at,
            subject,
            tenant,
            kind,
            pattern,
            actions,
            condition,
            deny,
            is_default: false,
        };
        self.parsed.rules.push(rule);
        Ok(())
    }

    fn condition(&mut self, text: &'a str) -> Result<u32, String> {
        if let Some(number) = self.conditions.get(text) {
            return Ok(*number);
        }
        let parsed = Condition::parse(text)?;
        let number = u32::try_from(self.parsed.conditions.len()).unwrap_or(u32::MAX);
        self.parsed.conditions.push((text, parsed));
        self.conditions.insert(text, number);
        Ok(number)
    }

    fn grant(
        &mut self,
        at: Place,
        subject: &'a str,
        role: &'a str,
        tenant: &'a str,
    ) -> Result<(), String> {
        self.room()?;
        check_subject(subject)?;
        check_subject(role)?;
        if !role.starts_with(ROLE_PREFIX) {
            return Err(format!("{role:?} is no role: write role:NAME"));
        }
        if tenant == ALL_TENANTS {
            return Err("a role is given in one tenant, not in `*`".to_owned());
        }
        check_name("tenant", tenant)?;
        let subject = self.parsed.subjects.number(subject);
        let role = self.parsed.subjects.number(role);
        let tenant = self.parsed.tenants.number(tenant);
        self.parsed.grants.push(Grant { at, subject, role, tenant });
        Ok(())
    }

    fn home(&mut self, at: Place, subject: &'a str, tenant: &'a str) -> Result<(), String> {
        self.room()?;
        check_subject(subject)?;
        if subject.starts_with(ROLE_PREFIX) {
            return Err("a role belongs to no tenant; its `g` lines do".to_owned());
        }
        if tenant == ALL_TENANTS {
            return Err("a subject belongs to one tenant, not to `*`".to_owned());
        }
        check_name("tenant", tenant)?;
        let number = self.parsed.subjects.number(subject);
        if let Some(first) = self.homes.insert(number, at) {
            let first = self.parsed.shown(first);
            return Err(format!("{subject} has a tenant already, at {first}"));
        }
        let tenant = self.parsed.tenants.number(tenant);
        self.parsed.homes.push(Home { subject: number, tenant });
        Ok(())
    }

    fn room(&self) -> Result<(), String> {
        let count = self.parsed.grants.len() + self.parsed.homes.len();
        if count < GRANTS_MAX {
            return Ok(());
        }
        Err(format!("more than {GRANTS_MAX} lines of g and g2"))
    }
}

/// Messages are looked at where they come in, and nowhere else.
fn check_sends(kind: Option<Kind>, actions: Actions) -> Result<(), String> {
    use blockhouse_model::Action::{Pub, Sub};
    if actions.has(Sub) {
        return Err(
            "mtype, size and tag are asked for when a message is sent, not when it is delivered: \
                    a rule with them is for Pub alone"
                .to_owned(),
        );
    }
    if kind != Some(Kind::Topic) || actions != Actions::default().with(Pub) {
        return Err(
            "mtype, size and tag are for sending: a rule with them has the action Pub alone, and \
                    topics: Topic:NAME, Topic:PREFIX* or Topic:*"
                .to_owned(),
        );
    }
    Ok(())
}

pub(crate) fn check_name(what: &str, name: &str) -> Result<(), String> {
    if name.is_empty() {
        return Err(format!("the {what} is missing"));
    }
    if name.len() > NAME_LEN_MAX {
        return Err(format!("the {what} has more than {NAME_LEN_MAX} bytes"));
    }
    if name.contains('*') {
        return Err(format!("`*` does not belong into {what} {name:?}"));
    }
    if name.contains(char::is_whitespace) {
        return Err(format!("the {what} {name:?} has blanks in it"));
    }
    Ok(())
}

fn check_subject(text: &str) -> Result<(), String> {
    check_name("subject", text)?;
    let is_role = text.strip_prefix(ROLE_PREFIX).is_some_and(|name| !name.is_empty());
    if is_role || Who::parse(text).is_some() {
        return Ok(());
    }
    Err(format!("unknown subject {text:?}: user:NAME, plugin:NAME, role:NAME or {ANONYMOUS}"))
}

fn resource_of(text: &str) -> Result<(Option<Kind>, Pattern<'_>), String> {
    if text == "*" {
        return Ok((None, Pattern::Any));
    }
    let (word, name) =
        text.split_once(':').ok_or_else(|| format!("{text:?} is no resource: TYPE:NAME or `*`"))?;
    let kind = Kind::parse(word).ok_or_else(|| unknown_kind(word))?;
    if name == "*" {
        return Ok((Some(kind), Pattern::Any));
    }
    if !kind.is_named() {
        return Err(format!("nothing asks for {} by name: write {0}:*", kind.name()));
    }
    let stem = name.strip_suffix('*');
    check_name("resource", stem.unwrap_or(name))?;
    if kind == Kind::Namespace && name.contains('%') {
        return Err(format!(
            "a namespace ends before the first %: write Namespace:NAME, not {text:?}, or name topics and groups"
        ));
    }
    Ok((Some(kind), stem.map_or(Pattern::Literal(name), Pattern::Prefix)))
}
