//! What is wrong with a set of policies, and where.

use std::fmt;

/// Problems that are told at a time.
pub(crate) const TOLD_MAX: usize = 100;

/// One thing, and where it is.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Problem {
    /// `file:line`, or a file.
    pub place: String,
    /// What is wrong there.
    pub reason: String,
}

impl Problem {
    pub(crate) fn new(place: impl Into<String>, reason: impl Into<String>) -> Self {
        Self { place: place.into(), reason: reason.into() }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.reason)
    }
}

/// A set of policies that is not taken, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// At least one, at most a hundred.
    pub problems: Vec<Problem>,
}

impl Refused {
    pub(crate) fn one(place: impl Into<String>, reason: impl Into<String>) -> Self {
        Self { problems: vec![Problem::new(place, reason)] }
    }

    pub(crate) fn unless_empty(problems: Vec<Problem>) -> Result<(), Self> {
        if problems.is_empty() { Ok(()) } else { Err(Self { problems }) }
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all: Vec<String> = self.problems.iter().map(Problem::to_string).collect();
        f.write_str(&all.join("\n"))
    }
}

impl std::error::Error for Refused {}
