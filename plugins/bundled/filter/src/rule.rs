//! What a message must be like.

use blockhouse_plugin::Message;
use serde_json::Value;

use crate::json::{self, Path};

/// A condition on one header or one field of the JSON body. What is not there matches nothing but
/// `exists = false`.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Rule {
    /// The name of a property; `TAGS` is the tag.
    header: Option<String>,
    /// The path of a field; one of several that it finds is enough.
    path: Option<Path>,
    /// One of these; headers are texts.
    #[serde(default)]
    one_of: Vec<Value>,
    /// At least this number.
    at_least: Option<f64>,
    /// At most this number.
    at_most: Option<f64>,
    /// There at all, or not.
    exists: Option<bool>,
}

impl Rule {
    /// Whether the rule says one thing about one place.
    pub(crate) fn check(&self) -> Result<(), String> {
        if self.header.is_some() == self.path.is_some() {
            return Err("a rule needs either `header` or `path`".to_owned());
        }
        let numbers = self.at_least.is_some() || self.at_most.is_some();
        let said = [!self.one_of.is_empty(), numbers, self.exists.is_some()];
        if said.into_iter().filter(|said| *said).count() != 1 {
            return Err(
                "a rule needs one of `one_of`, `at_least` and `at_most`, `exists`".to_owned()
            );
        }
        Ok(())
    }

    pub(crate) fn reads_body(&self) -> bool {
        self.path.is_some()
    }

    pub(crate) fn matches(&self, message: &Message<'_>, body: &[u8]) -> bool {
        let values = match (&self.header, &self.path) {
            (Some(name), _) => message
                .property(name)
                .map(|text| Value::String(text.to_owned()))
                .into_iter()
                .collect(),
            (None, Some(path)) => fields(path, body),
            (None, None) => Vec::new(),
        };
        match self.exists {
            Some(exists) => exists != values.is_empty(),
            None => values.iter().any(|value| self.accepts(value)),
        }
    }

    fn accepts(&self, value: &Value) -> bool {
        if !self.one_of.is_empty() {
            return self.one_of.contains(value);
        }
        let number = match value {
            Value::String(text) => text.parse().ok(),
            other => other.as_f64(),
        };
        number.is_some_and(|number: f64| {
            self.at_least.is_none_or(|least| number >= least)
                && self.at_most.is_none_or(|most| number <= most)
        })
    }
}

fn fields(path: &Path, body: &[u8]) -> Vec<Value> {
    let Some(text) = json::document(body) else { return Vec::new() };
    let found = path.find(text).unwrap_or_default();
    let parse = |place| serde_json::from_str(text.get(place)?).ok();
    found.into_iter().filter_map(parse).collect()
}
