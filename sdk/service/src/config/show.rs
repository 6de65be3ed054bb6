//! A configuration as people and tools read it.

use std::fmt::Write as _;

use serde_json::{Map, Value, json};

use super::Loaded;
use super::merge::NOTHING;

impl<T> Loaded<T> {
    /// Lines of path, value and source, in columns.
    #[must_use]
    pub fn to_table(&self) -> String {
        let rows: Vec<[String; 3]> = self
            .entries()
            .map(|(path, value, source)| [path.to_owned(), plain(value), source.to_string()])
            .collect();
        let width = |at: usize| rows.iter().map(|row| row[at].chars().count()).max().unwrap_or(0);
        let (paths, values) = (width(0), width(1).min(48));
        let mut out = String::new();
        for [path, value, source] in &rows {
            let _infallible = writeln!(out, "{path:paths$}  {value:values$}  {source}");
        }
        out
    }

    /// An object of path to value and source.
    #[must_use]
    pub fn to_json(&self) -> String {
        let all: Map<String, Value> = self
            .entries()
            .map(|(path, value, source)| {
                (path.to_owned(), json!({ "value": value, "source": source.to_string() }))
            })
            .collect();
        format!("{:#}\n", Value::Object(all))
    }

    /// A file for `--config` that sets every option to what it is now.
    #[must_use]
    pub fn to_toml(&self) -> String {
        let mut out = String::new();
        let mut open = "";
        let entry = |(path, value, source)| {
            let (section, name) = str::rsplit_once(path, '.').unwrap_or(("", path));
            (section, name, value, source)
        };
        let mut entries: Vec<_> = self.entries().map(entry).collect();
        // By path, a section within would come between its section's own options.
        entries.sort_by_key(|(section, ..)| *section);
        for (section, name, value, source) in entries {
            if section != open {
                let gap = if out.is_empty() { "" } else { "\n" };
                let _infallible = writeln!(out, "{gap}[{section}]");
                open = section;
            }
            let text = toml_value(value);
            let _infallible = writeln!(out, "{name} = {text}  # {source}");
        }
        out
    }
}

/// Text without quotes, nothing as a dash.
pub(super) fn plain(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::String(text) if text.is_empty() => "\"\"".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// No value is a word here: TOML cannot say it otherwise.
pub(super) fn toml_value(value: &Value) -> String {
    toml::Value::try_from(value).map_or_else(|_| format!("\"{NOTHING}\""), |v| v.to_string())
}
