//! One configuration out of layers: what is built in, what files say, what the command line says.
//!
//! An option is declared once, as a field with a doc comment in its crate's `Config` and a value in
//! that type's `Default`. Everything here - which keys exist, what they take, what they mean - comes
//! from the type's JSON schema.

mod layer;
mod merge;
mod nearest;
mod page;
mod shape;
mod show;

use std::collections::BTreeMap;
use std::fmt;

use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::Error;

pub use layer::Layer;
pub use shape::{Kind, OptionShape, Shape};

/// What a configuration is made of: plain data with defaults and a schema.
pub trait Options: Serialize + DeserializeOwned + JsonSchema + Default {}

impl<T: Serialize + DeserializeOwned + JsonSchema + Default> Options for T {}

/// Where a value comes from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Source {
    /// Built in.
    #[default]
    Default,
    /// A line of a file.
    File {
        /// The file's name as it was given.
        name: String,
        /// The line, from 1.
        line: usize,
    },
    /// A line of a file that has a name of its own for the option.
    Key {
        /// The file's name as it was given.
        name: String,
        /// The line, from 1.
        line: usize,
        /// What the file calls the option.
        key: Box<str>,
    },
    /// A flag of the command, for example `--data`.
    Flag(String),
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File { name, line } | Self::Key { name, line, .. } => write!(f, "{name}:{line}"),
            Self::Flag(flag) => f.write_str(flag),
        }
    }
}

impl Source {
    /// What the option `path` is called there.
    #[must_use]
    pub fn called(&self, path: &str) -> String {
        match self {
            Self::Key { key, .. } => key.to_string(),
            _ => path.to_owned(),
        }
    }
}

/// A configuration, and where each of its values comes from.
#[derive(Clone, Debug)]
pub struct Loaded<T> {
    /// The configuration.
    pub config: T,
    values: BTreeMap<String, Value>,
    origins: BTreeMap<String, Source>,
}

impl<T> Loaded<T> {
    /// Where the value of `path` comes from.
    #[must_use]
    pub fn source(&self, path: &str) -> Source {
        self.origins.get(path).cloned().unwrap_or_default()
    }

    /// Whether somebody set `path`, be it to its default.
    #[must_use]
    pub fn is_set(&self, path: &str) -> bool {
        self.origins.contains_key(path)
    }

    /// What is wrong with the value of `path`; `rule` goes on after the option's name ("must be
    /// at least 1"). A path may go on within an option's value (`plugins.binding[0].digest`).
    #[must_use]
    pub fn broken_rule(&self, path: &str, rule: &str) -> Error {
        let (option, within) = path.split_at(path.find('[').unwrap_or(path.len()));
        let value = self.values.get(option).and_then(|value| part(value, within));
        let found = value.map_or_else(|| "nothing".to_owned(), Value::to_string);
        let origin = self.source(option);
        Error::BrokenRule { path: origin.called(path), rule: rule.to_owned(), found, origin }
    }

    /// All options, sorted by path: path, value, source.
    pub fn entries(&self) -> impl Iterator<Item = (&str, &Value, Source)> {
        self.values.iter().map(|(path, value)| (path.as_str(), value, self.source(path)))
    }
}

/// The part of `value` that `within` leads to: `[0].digest`, `[1].principals[0]`.
fn part<'a>(value: &'a Value, within: &str) -> Option<&'a Value> {
    let mut steps = within.split(['.', '[']).filter(|step| !step.is_empty());
    steps.try_fold(value, |at, step| match step.strip_suffix(']') {
        Some(index) => at.get(index.parse::<usize>().ok()?),
        None => at.get(step),
    })
}
