//! Layers into one configuration.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::layer::{Assignment, Given, inline};
use super::nearest::nearest;
use super::shape::{Kind, OptionShape, Shape};
use super::{Layer, Loaded, Options, Source};
use crate::Error;

impl<T: Options> Loaded<T> {
    /// Puts `layers` over the defaults, first the weakest.
    ///
    /// # Errors
    /// If a layer has an unknown key or a value of the wrong type; the text names path and place.
    pub fn from_layers(layers: &[Layer]) -> Result<Self, Error> {
        let shape = Shape::of::<T>()?;
        let mut values: BTreeMap<String, Value> =
            shape.options.iter().map(|(path, o)| (path.clone(), o.default.clone())).collect();
        let mut origins = BTreeMap::new();
        let mut all = Vec::new();
        layers.iter().for_each(|layer| options(&shape, &layer.values, &mut all));
        for given in all {
            values.insert(given.path.clone(), typed(&shape, given)?);
            origins.insert(given.path.clone(), given.source.clone());
        }
        match build(&values) {
            Ok(config) => Ok(Self { config, values, origins }),
            Err(problem) => Err(blame::<T>(&shape, &values, &origins, problem)),
        }
    }
}

/// What `given` says of single options: a table is a section, unless there is an option of its name,
/// whose value it is then.
fn options<'a>(shape: &Shape, given: &'a [Assignment], out: &mut Vec<&'a Assignment>) {
    for one in given {
        match &one.value {
            Given::Table { inner, .. } if !shape.options.contains_key(&one.path) => {
                options(shape, inner, out);
            }
            _ => out.push(one),
        }
    }
}

/// Finds the value that the type itself refuses, by trying each alone.
fn blame<T: Options>(
    shape: &Shape,
    values: &BTreeMap<String, Value>,
    origins: &BTreeMap<String, Source>,
    problem: String,
) -> Error {
    for (path, origin) in origins {
        let mut alone: BTreeMap<String, Value> =
            shape.options.iter().map(|(path, o)| (path.clone(), o.default.clone())).collect();
        let value = values.get(path).cloned().unwrap_or_default();
        alone.insert(path.clone(), value.clone());
        if let Err(problem) = build::<T>(&alone) {
            // The standard library's words do not say what an address looks like.
            let problem = problem.replace("invalid socket address syntax", "it must be IP:PORT");
            let (path, origin, found) = (origin.called(path), origin.clone(), value.to_string());
            return Error::Refused { path, found, origin, problem };
        }
    }
    Error::Defaults(problem)
}

fn build<T: Options>(values: &BTreeMap<String, Value>) -> Result<T, String> {
    let mut root = Value::Object(Map::new());
    for (path, value) in values {
        let mut at = &mut root;
        for name in path.split('.') {
            // Paths come from the schema, where a section is never an option as well.
            if !at.is_object() {
                *at = Value::Object(Map::new());
            }
            at = &mut at[name];
        }
        *at = value.clone();
    }
    serde_json::from_value(root).map_err(|e| e.to_string())
}

fn typed(shape: &Shape, given: &Assignment) -> Result<Value, Error> {
    let Some(option) = shape.options.get(&given.path) else {
        let section = shape.sections.contains_key(&given.path);
        let nearest = nearest(&given.path, shape.options.keys().map(String::as_str));
        return Err(Error::UnknownKey {
            path: given.path.clone(),
            origin: given.source.clone(),
            nearest: nearest.filter(|_| !section).map(str::to_owned),
        });
    };
    let value = match &given.value {
        Given::Typed(value) | Given::Table { whole: value, .. } => {
            from_typed(&given.path, option, value)
        }
        Given::Text(text) => from_text(&given.path, option, text),
    };
    value.ok_or_else(|| Error::WrongType {
        path: given.source.called(&given.path),
        expected: expected(&given.path, option),
        found: match &given.value {
            Given::Typed(value) | Given::Table { whole: value, .. } => value.to_string(),
            Given::Text(text) => format!("`{text}`"),
        },
        origin: given.source.clone(),
    })
}

/// What an option that may be without a value is set to for that. TOML has no word of its own.
pub(super) const NOTHING: &str = "off";

fn is_nothing(option: &OptionShape, text: &str) -> bool {
    option.optional && (text.is_empty() || text == NOTHING)
}

fn from_typed(path: &str, option: &OptionShape, value: &Value) -> Option<Value> {
    if value.as_str().is_some_and(|text| is_nothing(option, text)) {
        return Some(Value::Null);
    }
    let fits = match (&option.kind, value) {
        (Kind::Integer { .. }, Value::String(text)) if is_size(path) => {
            return from_text(path, option, text);
        }
        (Kind::Integer { min, max }, Value::Number(_)) => {
            let number = value.as_i64().map(i128::from).or(value.as_u64().map(i128::from))?;
            (*min..=*max).contains(&number)
        }
        (Kind::Choice(words), Value::String(text)) => words.contains(text),
        (Kind::List, Value::Array(items)) => items.iter().all(Value::is_string),
        (Kind::Bool, Value::Bool(_))
        | (Kind::Number, Value::Number(_))
        | (Kind::Text, Value::String(_))
        | (Kind::Other, _) => true,
        _ => false,
    };
    fits.then(|| value.clone())
}

fn from_text(path: &str, option: &OptionShape, text: &str) -> Option<Value> {
    if is_nothing(option, text) {
        return Some(Value::Null);
    }
    match &option.kind {
        Kind::Bool => text.parse::<bool>().ok().map(Value::from),
        Kind::Integer { min, max } => {
            let number = if is_size(path) { size(text) } else { text.parse::<i128>().ok() }?;
            let number = Some(number).filter(|n| (*min..=*max).contains(n))?;
            let signed = i64::try_from(number).map(Value::from);
            signed.or_else(|_| u64::try_from(number).map(Value::from)).ok()
        }
        Kind::Number => text.parse::<f64>().ok().map(Value::from),
        Kind::Text => Some(Value::from(text)),
        Kind::Choice(words) => words.iter().any(|w| w == text).then(|| Value::from(text)),
        Kind::List => {
            let items = text.split([';', ',']).map(str::trim).filter(|item| !item.is_empty());
            Some(items.map(Value::from).collect())
        }
        Kind::Other => {
            serde_json::from_str(text).ok().or_else(|| inline(text)).or_else(|| word(text))
        }
    }
}

/// A word without quotes, which a shell would take away.
fn word(text: &str) -> Option<Value> {
    let is_word = !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    is_word.then(|| Value::from(text))
}

/// Whether an option counts bytes, so that `64MiB` makes sense.
pub(super) fn is_size(path: &str) -> bool {
    let name = path.rsplit('.').next().unwrap_or(path);
    name.split('_').any(|word| matches!(word, "bytes" | "size" | "len"))
}

/// A number of bytes: plain, or with a binary unit.
fn size(text: &str) -> Option<i128> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic() || c == ' ');
    let unit = match text.strip_prefix(digits)?.trim() {
        "" | "B" => 1,
        "KiB" | "K" | "k" => 1 << 10,
        "MiB" | "M" => 1 << 20,
        "GiB" | "G" => 1 << 30,
        "TiB" | "T" => 1_i128 << 40,
        _ => return None,
    };
    digits.replace('_', "").parse::<i64>().ok().map(|number| i128::from(number) * unit)
}

pub(super) fn expected(path: &str, option: &OptionShape) -> String {
    let expected = match &option.kind {
        Kind::Bool => "true or false".to_owned(),
        Kind::Integer { min, max } => {
            let what = if is_size(path) { "a number of bytes" } else { "a whole number" };
            let example = if is_size(path) { " (65536, \"64MiB\")" } else { "" };
            match (*min, *max) {
                (min, max) if max >= i128::from(i64::MAX) && min < 0 => format!("{what}{example}"),
                (min, max) if max >= i128::from(i64::MAX) => {
                    format!("{what} of at least {min}{example}")
                }
                (min, max) => format!("{what} from {min} to {max}{example}"),
            }
        }
        Kind::Number => "a number".to_owned(),
        Kind::Text => "text".to_owned(),
        Kind::Choice(words) => format!("one of {}", words.join(", ")),
        Kind::List => "a list of texts".to_owned(),
        Kind::Other => "a value of its own form".to_owned(),
    };
    if option.optional { format!("{expected}, or \"{NOTHING}\"") } else { expected }
}
