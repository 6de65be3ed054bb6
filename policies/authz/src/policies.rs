//! A set of policies: read, compiled, judged by casbin, tried out.

use crate::acl::AclLines;
use crate::cases::{Case, CaseResult};
use crate::condition::{Circumstances, Message};
use crate::config::Mode;
use crate::files::Files;
use crate::index::Index;
use crate::oracle::{Lines, Oracle};
use crate::parse::Parsed;
use crate::probe::{self, Dice, Probe};
use crate::problem::{Problem, Refused, TOLD_MAX};
use crate::words::{Ask, Who};
use crate::{lint, model};

/// Subjects that random requests are made of.
const PEOPLE_MAX: usize = 24;
/// Random requests of each.
const PROBES: usize = 16;
/// Rules that casbin looks at in all: once for the tests, once for random requests.
const WORK_MAX: usize = 200_000;

/// A set that may come into force.
pub struct Policies {
    index: Index,
    mode: Mode,
    digest: String,
    results: Vec<CaseResult>,
    warnings: Vec<Problem>,
    rules: usize,
    acl_entries: usize,
    people: Vec<String>,
    compared: usize,
}

impl Policies {
    /// Reads and compiles a set, and asks casbin whether it means the same.
    ///
    /// # Errors
    /// Everything that cannot be meant, and a decision that casbin sees otherwise.
    pub fn check(files: &Files, mode: Mode) -> Result<Self, Refused> {
        Self::check_with(files, &AclLines::default(), mode)
    }

    /// As [`Policies::check`], with the ACLs of a node.
    ///
    /// # Errors
    /// As [`Policies::check`].
    pub fn check_with(files: &Files, acls: &AclLines, mode: Mode) -> Result<Self, Refused> {
        model::check(files.model(), mode)?;
        let parsed = Parsed::new(files, acls)?;
        let cases = Case::read(files)?;
        let index = Index::compile(&parsed, mode)?;
        let hash = files.hash();
        let compared = compare(&parsed, &index, mode, &cases, hash.seed())?;
        Ok(Self {
            mode,
            digest: hash.digest(),
            results: cases.iter().map(|case| case.run(&index)).collect(),
            warnings: lint::warnings(&parsed, &index, mode),
            rules: parsed.rules.len().saturating_sub(acls.origins.len()),
            acl_entries: acls.origins.len(),
            people: people(&parsed),
            compared,
            index,
        })
    }

    /// As [`Policies::check`], for a set that is to come into force.
    ///
    /// # Errors
    /// Its tests do not come out, too.
    pub fn load(files: &Files, mode: Mode) -> Result<Self, Refused> {
        Self::load_with(files, &AclLines::default(), mode)
    }

    /// As [`Policies::load`], with the ACLs of a node.
    ///
    /// # Errors
    /// As [`Policies::load`].
    pub fn load_with(files: &Files, acls: &AclLines, mode: Mode) -> Result<Self, Refused> {
        let set = Self::check_with(files, acls, mode)?;
        let failed = set.results.iter().filter_map(|result| {
            let failure = result.failure.as_ref()?;
            Some(Problem::new(format!("{} ({})", result.file, result.name), failure.clone()))
        });
        Refused::unless_empty(failed.take(TOLD_MAX).collect()).map(|()| set)
    }

    /// What decides.
    #[must_use]
    pub const fn index(&self) -> &Index {
        &self.index
    }

    /// What counts if several rules match.
    #[must_use]
    pub const fn mode(&self) -> Mode {
        self.mode
    }

    /// What tells the set from others.
    #[must_use]
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// What became of its tests.
    #[must_use]
    pub fn results(&self) -> &[CaseResult] {
        &self.results
    }

    /// What looks like a mistake.
    #[must_use]
    pub fn warnings(&self) -> &[Problem] {
        &self.warnings
    }

    /// Lines of `p`.
    #[must_use]
    pub const fn rules(&self) -> usize {
        self.rules
    }

    /// Entries of ACLs.
    #[must_use]
    pub const fn acl_entries(&self) -> usize {
        self.acl_entries
    }

    /// Decisions that casbin was asked for.
    #[must_use]
    pub const fn compared(&self) -> usize {
        self.compared
    }

    /// Subjects that are no roles, sorted, with `anonymous`.
    #[must_use]
    pub fn people(&self) -> &[String] {
        &self.people
    }
}

fn people(parsed: &Parsed<'_>) -> Vec<String> {
    let numbers = 0..u32::try_from(parsed.subjects.len()).unwrap_or(u32::MAX);
    let names = numbers.map(|number| parsed.subjects.name(number));
    let mut people: Vec<String> =
        names.filter(|name| Who::parse(name).is_some()).map(str::to_owned).collect();
    if !people.iter().any(|name| name == crate::words::ANONYMOUS) {
        people.push(crate::words::ANONYMOUS.to_owned());
    }
    people.sort();
    people
}

fn compare(
    parsed: &Parsed<'_>,
    index: &Index,
    mode: Mode,
    cases: &[Case],
    seed: u64,
) -> Result<usize, Refused> {
    let lines = Lines::of(parsed, mode);
    let mut dice = Dice::new(seed);
    let mut tests = Comparison::new(&lines, index);
    let mut sorted: Vec<&Case> = cases.iter().collect();
    sorted.sort_by(|a, b| a.principal().cmp(b.principal()));
    for case in sorted {
        if let Some((who, ask)) = case.ask() {
            tests.agree(who, &ask, (&case.at, &case.message()), || case.place())?;
        }
    }
    let mut random = Comparison::new(&lines, index);
    for name in probe::people(parsed, &mut dice, PEOPLE_MAX) {
        let Some(who) = Who::parse(name) else { continue };
        for _ in 0..PROBES {
            let Some(probe) = Probe::new(parsed, &mut dice) else { continue };
            random
                .agree(who, &probe.ask(), (&probe.at, &probe.message()), || "the set".to_owned())?;
        }
    }
    Ok(tests.compared + random.compared)
}

/// casbin beside the index, until its work is done.
struct Comparison<'a> {
    lines: &'a Lines<'a>,
    index: &'a Index,
    /// With all rules of the subject that asked last; `None` if there are too many for that.
    oracle: Option<(String, Option<Oracle>)>,
    work: usize,
    compared: usize,
}

impl<'a> Comparison<'a> {
    const fn new(lines: &'a Lines<'a>, index: &'a Index) -> Self {
        Self { lines, index, oracle: None, work: 0, compared: 0 }
    }

    fn agree(
        &mut self,
        who: Who<'_>,
        ask: &Ask<'_>,
        (at, message): (&Circumstances, &Message<'_>),
        place: impl Fn() -> String,
    ) -> Result<(), Refused> {
        if self.work > WORK_MAX {
            return Ok(());
        }
        let failed = |why: String| Refused::one(place(), format!("casbin does not take it: {why}"));
        let name = who.to_string();
        if self.oracle.as_ref().is_none_or(|(subject, _)| *subject != name) {
            let oracle = Oracle::new(self.lines, who, None).map_err(failed)?;
            self.oracle = Some((name.clone(), oracle));
        }
        let narrow;
        let oracle = match &self.oracle {
            Some((_, Some(oracle))) => oracle,
            _ => match Oracle::new(self.lines, who, Some(ask)).map_err(failed)? {
                Some(oracle) => {
                    narrow = oracle;
                    &narrow
                }
                None => return Ok(()),
            },
        };
        self.work += oracle.rules.max(1);
        self.compared += 1;
        let expected = oracle.allows(ask, at, message).map_err(failed)?;
        let decision = self.index.decide_on(who, ask, at, message);
        if decision.allowed == expected {
            return Ok(());
        }
        let (action, resource) = (ask.action.name(), ask.resource());
        let by = decision.rule.map_or("no rule".to_owned(), |rule| rule.to_string());
        let reason = format!(
            "casbin and the index part: {name} {action} {resource} from {} {} {} {} {message:?}: casbin {expected}, index {} ({by}); \
             this is a defect of Blockhouse",
            at.ip,
            at.day_name(),
            at.time(),
            at.channel.name(),
            decision.allowed
        );
        Err(Refused::one(place(), reason))
    }
}
