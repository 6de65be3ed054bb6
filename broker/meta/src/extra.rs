//! Fields of Java's records that mean nothing here and must not get lost.

use serde_json::{Map, Value};

use crate::Error;

/// Fields by name, with any JSON as value.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Extra(pub(crate) Map<String, Value>);

impl Extra {
    /// Longest text that [`Extra::parse`] reads.
    pub const LEN_MAX: usize = 64 * 1024;

    /// Reads a JSON object.
    ///
    /// # Errors
    /// The text is something else, or longer than [`Extra::LEN_MAX`].
    pub fn parse(json: &str) -> Result<Self, Error> {
        if json.len() > Self::LEN_MAX {
            return Err(Error::Json(format!("longer than {} bytes", Self::LEN_MAX)));
        }
        crate::json::parse(json.as_bytes()).map(Self).map_err(Error::Json)
    }

    /// A field's value as JSON.
    #[must_use]
    pub fn json(&self, field: &str) -> Option<String> {
        self.0.get(field).map(ToString::to_string)
    }

    /// A field's value if it is text.
    #[must_use]
    pub fn text(&self, field: &str) -> Option<&str> {
        self.0.get(field).and_then(Value::as_str)
    }

    /// All fields as one JSON object.
    #[must_use]
    pub fn to_json(&self) -> String {
        Value::Object(self.0.clone()).to_string()
    }

    pub(crate) fn of(field: &str, value: Value) -> Self {
        Self(Map::from_iter([(field.to_owned(), value)]))
    }
}
