//! Which options exist and what they take, read from a type's JSON schema.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::Options;
use crate::Error;

/// Deeper nesting than this is a mistake in a type (one that contains itself).
const DEPTH_MAX: usize = 8;

/// All options of a configuration type.
#[derive(Clone, Debug)]
pub struct Shape {
    /// By path (`store.flush_interval_ms`).
    pub options: BTreeMap<String, OptionShape>,
    /// What the doc comments say about sections, by path.
    pub sections: BTreeMap<String, String>,
}

/// One option.
#[derive(Clone, Debug)]
pub struct OptionShape {
    /// What it takes.
    pub kind: Kind,
    /// Its doc comment.
    pub help: String,
    /// Whether it may be left without a value.
    pub optional: bool,
    /// Its built-in value.
    pub default: Value,
}

/// What an option takes.
#[derive(Clone, Debug, PartialEq)]
pub enum Kind {
    /// `true` or `false`.
    Bool,
    /// A whole number from a range.
    Integer {
        /// The smallest value.
        min: i128,
        /// The largest value.
        max: i128,
    },
    /// A number.
    Number,
    /// Text.
    Text,
    /// One of some words.
    Choice(Vec<String>),
    /// A list of texts.
    List,
    /// Something that only its own type can judge.
    Other,
}

impl Shape {
    /// The shape of `T`.
    ///
    /// # Errors
    /// If the defaults of `T` cannot be written down.
    pub fn of<T: Options>() -> Result<Self, Error> {
        let schema = schemars::schema_for!(T).to_value();
        let defaults = serde_json::to_value(T::default());
        let defaults = defaults.map_err(|e| Error::Defaults(e.to_string()))?;
        let mut shape = Self { options: BTreeMap::new(), sections: BTreeMap::new() };
        let mut walk = Walk { root: &schema, shape: &mut shape };
        walk.visit("", &schema, &defaults, 0);
        Ok(shape)
    }
}

struct Walk<'a> {
    root: &'a Value,
    shape: &'a mut Shape,
}

impl Walk<'_> {
    fn visit(&mut self, path: &str, schema: &Value, default: &Value, depth: usize) {
        let target = self.resolve(schema);
        match target.get("properties").and_then(Value::as_object) {
            Some(fields) if depth < DEPTH_MAX => {
                let help = [help(schema), help(&target)].into_iter().find(|h| !h.is_empty());
                self.shape.sections.insert(path.to_owned(), help.unwrap_or_default());
                for (name, field) in fields {
                    let path = join(path, name);
                    let default = default.get(name).unwrap_or(&Value::Null);
                    self.visit(&path, field, default, depth + 1);
                }
            }
            _ => {
                let option = OptionShape {
                    kind: kind(&target),
                    help: help(schema),
                    optional: accepts_null(schema),
                    default: default.clone(),
                };
                self.shape.options.insert(path.to_owned(), option);
            }
        }
    }

    /// The schema itself, behind a reference or behind "this or null".
    fn resolve(&self, schema: &Value) -> Value {
        let mut at = schema.clone();
        for _ in 0..DEPTH_MAX {
            let next = if let Some(name) = at.get("$ref").and_then(Value::as_str) {
                name.strip_prefix('#').and_then(|pointer| self.root.pointer(pointer)).cloned()
            } else {
                let any = at.get("anyOf").and_then(Value::as_array);
                any.and_then(|any| any.iter().find(|s| type_of(s) != Some("null")).cloned())
            };
            match next {
                Some(next) => at = next,
                None => break,
            }
        }
        at
    }
}

pub(super) fn join(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}

fn help(schema: &Value) -> String {
    schema.get("description").and_then(Value::as_str).unwrap_or_default().to_owned()
}

/// The one type that is not null.
fn type_of(schema: &Value) -> Option<&str> {
    match schema.get("type")? {
        Value::String(one) => Some(one),
        Value::Array(several) => several.iter().filter_map(Value::as_str).find(|t| *t != "null"),
        _ => None,
    }
}

fn accepts_null(schema: &Value) -> bool {
    let listed = schema.get("type").and_then(Value::as_array);
    let any = schema.get("anyOf").and_then(Value::as_array);
    listed.is_some_and(|types| types.iter().any(|t| t == "null"))
        || any.is_some_and(|any| any.iter().any(|s| type_of(s) == Some("null")))
}

fn kind(schema: &Value) -> Kind {
    if let Some(words) = words(schema) {
        return Kind::Choice(words);
    }
    match type_of(schema) {
        Some("boolean") => Kind::Bool,
        Some("integer") => integer(schema.as_object()),
        Some("number") => Kind::Number,
        Some("string") => Kind::Text,
        Some("array") if schema.get("items").and_then(type_of) == Some("string") => Kind::List,
        _ => Kind::Other,
    }
}

fn integer(schema: Option<&Map<String, Value>>) -> Kind {
    let field = |name| schema.and_then(|s| s.get(name));
    let (min, max) = match field("format").and_then(Value::as_str).unwrap_or_default() {
        "uint8" => (0, i128::from(u8::MAX)),
        "uint16" => (0, i128::from(u16::MAX)),
        "uint32" => (0, i128::from(u32::MAX)),
        "uint64" | "uint" => (0, i128::from(u64::MAX)),
        "int8" => (i128::from(i8::MIN), i128::from(i8::MAX)),
        "int16" => (i128::from(i16::MIN), i128::from(i16::MAX)),
        "int32" => (i128::from(i32::MIN), i128::from(i32::MAX)),
        _ => (i128::from(i64::MIN), i128::from(i64::MAX)),
    };
    let bound = |name| field(name).and_then(Value::as_i64).map(i128::from);
    let min = bound("minimum").map_or(min, |b| b.max(min));
    Kind::Integer { min, max: bound("maximum").map_or(max, |b| b.min(max)) }
}

/// The words of a choice: a plain `enum`, or one constant for each documented variant.
fn words(schema: &Value) -> Option<Vec<String>> {
    let texts = |v: &Value| v.as_str().map(str::to_owned);
    if let Some(plain) = schema.get("enum").and_then(Value::as_array) {
        return plain.iter().map(texts).collect();
    }
    let each = |v: &Value| -> Option<Vec<String>> {
        match v.get("const") {
            Some(one) => Some(vec![texts(one)?]),
            None => words(v),
        }
    };
    let variants: Option<Vec<_>> = schema.get("oneOf")?.as_array()?.iter().map(each).collect();
    variants.map(|v| v.concat())
}
