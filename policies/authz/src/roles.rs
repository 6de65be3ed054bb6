//! Who has which roles, through roles of roles too.

use std::collections::{BTreeSet, HashMap};

use crate::parse::{ALL_SUBJECTS, EVERY_TENANT, Grant, HOMELESS, Parsed};
use crate::problem::{Problem, Refused, TOLD_MAX};
use crate::words::{EVERYBODY, ROLE_PREFIX};

/// Roles in a row; casbin goes no further.
const DEPTH_MAX: usize = 9;
/// Roles of one subject.
const ROLES_MAX: usize = 64;

/// A subject that is no role, and whose rules count for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Subject {
    pub(crate) tenant: u32,
    /// Itself, its roles, and everybody; sorted.
    pub(crate) grantees: Box<[u32]>,
}

impl Subject {
    /// Somebody of whom no line speaks.
    pub(crate) fn stranger() -> Self {
        Self { tenant: HOMELESS, grantees: Box::new([ALL_SUBJECTS]) }
    }

    /// Whether rules for this grantee and tenant are for the subject.
    pub(crate) fn counts(&self, grantee: u32, tenant: u32) -> bool {
        (tenant == EVERY_TENANT || tenant == self.tenant)
            && self.grantees.binary_search(&grantee).is_ok()
    }
}

type Edges = HashMap<(u32, u32), Vec<Grant>>;

/// All subjects that lines speak of, by number.
pub(crate) fn resolve(parsed: &Parsed<'_>) -> Result<HashMap<u32, Subject>, Refused> {
    let mut edges = Edges::new();
    for grant in &parsed.grants {
        edges.entry((grant.tenant, grant.subject)).or_default().push(*grant);
    }
    let mut problems = Vec::new();
    for grant in &parsed.grants {
        if problems.len() >= TOLD_MAX {
            break;
        }
        if let Err(reason) = check_chain(parsed, &edges, *grant) {
            problems.push(Problem::new(parsed.shown(grant.at), reason));
        }
    }
    Refused::unless_empty(problems)?;
    let homes = parsed.homes_of();
    let (mut subjects, mut problems) = (HashMap::new(), Vec::new());
    for number in 0..u32::try_from(parsed.subjects.len()).unwrap_or(u32::MAX) {
        let name = parsed.subjects.name(number);
        if name == EVERYBODY || name.starts_with(ROLE_PREFIX) {
            continue;
        }
        let tenant = homes.get(&number).copied().unwrap_or(HOMELESS);
        let mut all = BTreeSet::from([ALL_SUBJECTS, number]);
        collect(&edges, tenant, number, &mut all);
        if all.len() > ROLES_MAX + 2 {
            problems.push(Problem::new(name, format!("more than {ROLES_MAX} roles")));
        }
        subjects.insert(number, Subject { tenant, grantees: all.into_iter().collect() });
    }
    problems.truncate(TOLD_MAX);
    Refused::unless_empty(problems).map(|()| subjects)
}

fn collect(edges: &Edges, tenant: u32, from: u32, all: &mut BTreeSet<u32>) {
    let mut open = vec![from];
    while let Some(next) = open.pop() {
        for grant in edges.get(&(tenant, next)).into_iter().flatten() {
            if all.insert(grant.role) {
                open.push(grant.role);
            }
        }
    }
}

/// Walks up from a grant: it must neither come back nor go on for too long.
fn check_chain(parsed: &Parsed<'_>, edges: &Edges, grant: Grant) -> Result<(), String> {
    let mut level = BTreeSet::from([grant.role]);
    for _ in 0..DEPTH_MAX {
        if level.contains(&grant.subject) {
            let name = parsed.subjects.name(grant.subject);
            return Err(format!("{name} has itself through its roles"));
        }
        let above = level.iter().flat_map(|role| edges.get(&(grant.tenant, *role)));
        level = above.flatten().map(|grant| grant.role).collect();
        if level.is_empty() {
            return Ok(());
        }
    }
    Err(format!("more than {DEPTH_MAX} roles in a row"))
}

/// Roles that nobody has, and roles that may do nothing.
pub(crate) fn idle(parsed: &Parsed<'_>) -> Vec<Problem> {
    let given: BTreeSet<u32> = parsed.grants.iter().map(|grant| grant.role).collect();
    let holders: BTreeSet<u32> = parsed.grants.iter().map(|grant| grant.subject).collect();
    let ruled: BTreeSet<u32> = parsed.rules.iter().map(|rule| rule.subject).collect();
    let mut told = BTreeSet::new();
    let mut warnings = Vec::new();
    for rule in &parsed.rules {
        let name = parsed.subjects.name(rule.subject);
        if name.starts_with(ROLE_PREFIX) && !given.contains(&rule.subject) && told.insert(name) {
            warnings.push(Problem::new(parsed.shown(rule.at), format!("nobody has {name}")));
        }
    }
    for grant in &parsed.grants {
        let name = parsed.subjects.name(grant.role);
        let is_idle = !ruled.contains(&grant.role) && !holders.contains(&grant.role);
        if is_idle && told.insert(name) {
            let reason = format!("no rule speaks of {name}");
            warnings.push(Problem::new(parsed.shown(grant.at), reason));
        }
    }
    warnings
}
