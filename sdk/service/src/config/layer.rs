//! What one source says: paths and values, each with its place.

use serde_json::Value;
use toml::Spanned;
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
        let mut reader = TomlReader { name, text, layer: Self::default() };
        reader.table("", table.get_ref());
        Ok(reader.layer)
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
    layer: Layer,
}

impl TomlReader<'_> {
    fn table(&mut self, path: &str, table: &DeTable<'_>) {
        for (key, value) in table {
            let path = join(path, key.get_ref());
            match value.get_ref() {
                DeValue::Table(inner) => self.table(&path, inner),
                value_ref => {
                    let source = self.source(value);
                    let value = Given::Typed(json(value_ref));
                    self.layer.values.push(Assignment { path, value, source });
                }
            }
        }
    }

    fn source(&self, value: &Spanned<DeValue<'_>>) -> Source {
        let before = self.text.as_bytes().get(..value.span().start).unwrap_or_default();
        let line = 1 + before.iter().filter(|b| **b == b'\n').count();
        Source::File { name: self.name.to_owned(), line }
    }
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
