//! The one spelling of a manifest.
//!
//! Changing a byte of it makes every signature ever made worthless: there is a test with fixed
//! bytes.

use std::fmt::Write as _;

use super::Manifest;

/// The whole manifest, a key a line, in a fixed order.
pub(super) fn render(manifest: &Manifest) -> String {
    let mut out = String::new();
    text(&mut out, "name", manifest.name.as_str());
    text(&mut out, "version", &manifest.version.to_string());
    text(&mut out, "abi", &manifest.abi.to_string());
    if !manifest.description.is_empty() {
        text(&mut out, "description", &manifest.description);
    }
    list(&mut out, "hooks", manifest.hooks.iter().map(|hook| hook.name().to_owned()));
    if !manifest.asks.is_empty() {
        list(&mut out, "asks", manifest.asks.iter().map(ToString::to_string));
    }
    table(&mut out, "limits", |out| {
        number(out, "memory", manifest.limits.memory);
        number(out, "component_size", manifest.limits.component_size);
    });
    table(&mut out, "limits.deadline_ms", |out| {
        for (interface, ms) in &manifest.limits.deadline_ms {
            number(out, interface.name(), Some(u64::from(*ms)));
        }
    });
    table(&mut out, "sdk", |out| {
        for (key, value) in
            [("language", &manifest.sdk.language), ("version", &manifest.sdk.version)]
        {
            if !value.is_empty() {
                text(out, key, value);
            }
        }
    });
    out
}

/// A table's heading and keys; nothing if it has none.
fn table(out: &mut String, name: &str, keys: impl FnOnce(&mut String)) {
    let mut inside = String::new();
    keys(&mut inside);
    if !inside.is_empty() {
        line(out, format_args!("[{name}]"));
        out.push_str(&inside);
    }
}

fn text(out: &mut String, key: &str, value: &str) {
    line(out, format_args!("{key} = {}", quoted(value)));
}

fn number(out: &mut String, key: &str, value: Option<u64>) {
    if let Some(value) = value {
        line(out, format_args!("{key} = {value}"));
    }
}

fn list(out: &mut String, key: &str, items: impl Iterator<Item = String>) {
    let items: Vec<_> = items.map(|item| quoted(&item)).collect();
    line(out, format_args!("{key} = [{}]", items.join(", ")));
}

fn line(out: &mut String, text: std::fmt::Arguments<'_>) {
    // Writing to a String does not fail.
    let _infallible = writeln!(out, "{text}");
}

/// Control characters need no escape: no text of a manifest has any.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}
