//! What one source says: paths and values, each with its place.

use serde_json::Value;
use toml::de::{DeTable, DeValue};

use super::Source;
use super::shape::join;
use crate::Error;

/// The values of one source. Later layers win over earlier ones.
#[derive(Clone, Debug, Default)]
pub struct Layer {
    pub(super) values: Vec<Assignment>,
}

#[derive(Clone, Debug)]
pub(super) struct Assignment {
    pub(super) path: String,
    pub(super) value: Given,
    pub(super) source: Source,
}

/// A value as it was given.
#[derive(Clone, Debug)]
pub(super) enum Given {
    /// With a type: from a TOML file.
    Typed(Value),
    /// As text, to be read as whatever the option takes: from flags and `broker.conf`.
    Text(String),
    /// A table of a TOML file: a section, or the value of an option that takes one. Only who knows
    /// the options can tell.
    Table {
        /// All of it, as a value.
        whole: Value,
        /// What is in it, as options.
        inner: Vec<Assignment>,
    },
}

impl Layer {
    /// Reads a TOML file's text; `name` is what messages call the file.
    ///
    /// # Errors
    /// If it is not TOML.
    pub fn from_toml(name: &str, text: &str) -> Result<Self, Error> {
        let table = DeTable::parse(text).map_err(|e| Error::NotToml {
            source_name: name.to_owned(),
            problem: e.to_string().trim_end().to_owned(),
        })?;
        let reader = TomlReader { name, text };
        Ok(Self { values: reader.table("", table.get_ref()) })
    }

    /// Adds `path = text` from a flag or another place that has no types of its own.
    pub fn set(&mut self, path: impl Into<String>, text: impl Into<String>, source: Source) {
        let value = Given::Text(text.into());
        self.values.push(Assignment { path: path.into(), value, source });
    }

    /// Adds one `--set section.key=value`.
    ///
    /// # Errors
    /// If it has no `=`.
    pub fn assign(&mut self, assignment: &str) -> Result<(), Error> {
        let (path, value) = assignment
            .split_once('=')
            .ok_or_else(|| Error::NotAnAssignment(assignment.to_owned()))?;
        let path = path.trim();
        self.set(path, value.trim(), Source::Flag(format!("--set {path}")));
        Ok(())
    }
}

struct TomlReader<'a> {
    name: &'a str,
    text: &'a str,
}

impl TomlReader<'_> {
    fn table(&self, path: &str, table: &DeTable<'_>) -> Vec<Assignment> {
        let mut found = Vec::with_capacity(table.len());
        for (key, value) in table {
            let path = join(path, key.get_ref());
            let whole = json(value.get_ref());
            let (given, start) = match value.get_ref() {
                DeValue::Table(inner) => {
                    (Given::Table { whole, inner: self.table(&path, inner) }, key.span().start)
                }
                _ => (Given::Typed(whole), value.span().start),
            };
            found.push(Assignment { path, value: given, source: self.source(start) });
        }
        found
    }

    fn source(&self, start: usize) -> Source {
        let before = self.text.as_bytes().get(..start).unwrap_or_default();
        let line = 1 + before.iter().filter(|b| **b == b'\n').count();
        Source::File { name: self.name.to_owned(), line }
    }
}

/// What text says that is a value in TOML's notation, as after `key =`.
pub(super) fn inline(text: &str) -> Option<Value> {
    let line = format!("value = {text}");
    let table = DeTable::parse(&line).ok()?;
    // A second line would be a second key.
    let only = table.get_ref().iter().next().filter(|_| table.get_ref().len() == 1);
    only.map(|(_, value)| json(value.get_ref()))
}

fn json(value: &DeValue<'_>) -> Value {
    match value {
        DeValue::String(text) => Value::from(text.as_ref()),
        DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix())
            .map(Value::from)
            .or_else(|_| u64::from_str_radix(number.as_str(), number.radix()).map(Value::from))
            .unwrap_or_else(|_| Value::from(number.as_str())),
        DeValue::Float(number) => number.as_str().parse::<f64>().map_or(Value::Null, Value::from),
        DeValue::Boolean(truth) => Value::from(*truth),
        DeValue::Datetime(time) => Value::from(time.to_string()),
        DeValue::Array(items) => items.iter().map(|item| json(item.get_ref())).collect(),
        DeValue::Table(table) => {
            table.iter().map(|(k, v)| (k.get_ref().to_string(), json(v.get_ref()))).collect()
        }
    }
}
