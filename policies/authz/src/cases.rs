//! Expected decisions: `tests/*.toml`.

use blockhouse_model::Action;
use serde::Deserialize;

use crate::condition::{Channel, Circumstances, Message, MessageType};
use crate::files::Files;
use crate::index::Index;
use crate::problem::{Problem, Refused, TOLD_MAX};
use crate::words::{Ask, Who, parse_action, unknown_action};

/// Tests of a set.
const CASES_MAX: usize = 10_000;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    #[serde(default, rename = "case")]
    cases: Vec<Line>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    name: String,
    principal: String,
    action: String,
    resource: String,
    expect: Expect,
    /// Which rule is to decide, as `file:line`.
    rule: Option<String>,
    ip: Option<String>,
    at: Option<String>,
    channel: Option<Channel>,
    mtype: Option<MessageType>,
    size: Option<u32>,
    tag: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Expect {
    Allow,
    Deny,
}

/// An expected decision.
#[derive(Debug)]
pub(crate) struct Case {
    file: String,
    line: Line,
    pub(crate) at: Circumstances,
}

/// What became of a test.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct CaseResult {
    /// The file.
    pub file: String,
    /// The test.
    pub name: String,
    /// What is wrong; `None` if it came out.
    pub failure: Option<String>,
}

/// What a decision is asked for, in words.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// Who asks.
    pub principal: &'a str,
    /// What he wants to do.
    pub action: &'a str,
    /// To what.
    pub resource: &'a str,
}

impl<'a> Question<'a> {
    /// What the words mean.
    ///
    /// # Errors
    /// A word that means nothing.
    pub fn read(&self) -> Result<(Who<'a>, Ask<'a>), String> {
        let who = Who::parse(self.principal).ok_or_else(|| {
            let principal = self.principal;
            format!("unknown principal {principal:?}: user:NAME, plugin:NAME or anonymous")
        })?;
        let action = parse_action(self.action).ok_or_else(|| unknown_action(self.action))?;
        Ok((who, Ask::parse(action, self.resource)?))
    }
}

impl Case {
    pub(crate) fn read(files: &Files) -> Result<Vec<Self>, Refused> {
        let (mut cases, mut problems) = (Vec::new(), Vec::new());
        for file in files.tests() {
            let table: Table = match toml::from_str(&file.text) {
                Ok(table) => table,
                Err(error) => {
                    problems.push(Problem::new(&file.name, error.to_string().trim_end()));
                    continue;
                }
            };
            for line in table.cases {
                let place = format!("{} ({})", file.name, line.name);
                match Self::of(&file.name, line) {
                    Ok(case) => cases.push(case),
                    Err(reason) => problems.push(Problem::new(place, reason)),
                }
            }
            if cases.len() > CASES_MAX {
                problems.push(Problem::new(&file.name, format!("more than {CASES_MAX} tests")));
            }
        }
        problems.truncate(TOLD_MAX);
        Refused::unless_empty(problems).map(|()| cases)
    }

    fn of(file: &str, line: Line) -> Result<Self, String> {
        let mut at = Circumstances::default();
        if let Some(ip) = &line.ip {
            at.ip = ip.parse().map_err(|_| format!("{ip:?} is no address"))?;
            at.ip = at.ip.to_canonical();
        }
        if let Some(moment) = &line.at {
            at.set_moment(moment)?;
        }
        at.channel = line.channel.unwrap_or_default();
        let (_, ask) = line.question().read()?;
        let gives_message = line.mtype.is_some() || line.size.is_some() || line.tag.is_some();
        if gives_message && ask.action != Action::Pub {
            return Err(
                "mtype, size and tag are of messages that are sent: the action is Pub".into()
            );
        }
        Ok(Self { file: file.to_owned(), line, at })
    }

    /// The message, where it is to be sent.
    pub(crate) fn message(&self) -> Message<'_> {
        let other = Message::default();
        Message {
            mtype: self.line.mtype.unwrap_or(other.mtype),
            size: self.line.size.map_or(other.size, u64::from),
            tag: self.line.tag.as_deref().unwrap_or(other.tag),
        }
    }

    pub(crate) fn ask(&self) -> Option<(Who<'_>, Ask<'_>)> {
        self.line.question().read().ok()
    }

    /// Who asks, in words.
    pub(crate) fn principal(&self) -> &str {
        &self.line.principal
    }

    pub(crate) fn place(&self) -> String {
        format!("{} ({})", self.file, self.line.name)
    }

    pub(crate) fn run(&self, index: &Index) -> CaseResult {
        let failure = self.ask().and_then(|(who, ask)| self.failure(index, who, &ask));
        CaseResult { file: self.file.clone(), name: self.line.name.clone(), failure }
    }

    fn failure(&self, index: &Index, who: Who<'_>, ask: &Ask<'_>) -> Option<String> {
        let decision = index.decide_on(who, ask, &self.at, &self.message());
        let by = decision.rule.map_or("no rule".to_owned(), |rule| rule.to_string());
        let got = if decision.allowed { "allowed" } else { "denied" };
        if decision.allowed != (self.line.expect == Expect::Allow) {
            return Some(format!("it is {got} (by {by})"));
        }
        let expected = self.line.rule.as_ref().filter(|rule| **rule != by)?;
        Some(format!("it is {got} by {by}, not by {expected}"))
    }
}

impl Line {
    fn question(&self) -> Question<'_> {
        Question { principal: &self.principal, action: &self.action, resource: &self.resource }
    }
}
