//! What changes from one component to another.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::PathBuf;

use serde_json::{Value, json};

use super::facts::Facts;
use super::files;

/// What to compare.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The component that is in force
    old: PathBuf,
    /// The one that may take its place
    new: PathBuf,
}

/// Tells what differs. More asks are pointed out: they need the operator's leave.
pub(super) fn run(args: &Args, as_json: bool) -> anyhow::Result<()> {
    let (old, new) = (files::package(&args.old)?, files::package(&args.new)?);
    let wider: Vec<String> =
        new.manifest().asks.beyond(&old.manifest().asks).iter().map(ToString::to_string).collect();
    let (old, new) = (Facts::of(&old).json(), Facts::of(&new).json());
    let mut text = String::new();
    let mut changes = serde_json::Map::new();
    for (name, path) in [
        ("name", "/manifest/name"),
        ("version", "/manifest/version"),
        ("abi", "/manifest/abi"),
        ("description", "/manifest/description"),
        ("memory", "/manifest/memory"),
        ("digest", "/digest"),
        ("size", "/size"),
        ("hooks", "/manifest/hooks"),
        ("asks", "/manifest/asks"),
        ("exports", "/exports"),
        ("imports", "/imports"),
        ("signers", "/signers"),
    ] {
        let (before, after) = (old.pointer(path), new.pointer(path));
        if before == after {
            continue;
        }
        let (before, after) = (before.unwrap_or(&Value::Null), after.unwrap_or(&Value::Null));
        // Writing to a String cannot fail.
        let _infallible = writeln!(text, "{name:<12}{}", change(before, after));
        changes.insert(name.to_owned(), json!({ "old": before, "new": after }));
    }
    if text.is_empty() {
        "nothing differs\n".clone_into(&mut text);
    }
    if !wider.is_empty() {
        let _infallible = writeln!(
            text,
            "\nThe new one asks for more ({}): grant it in the binding if it should have that.",
            wider.join(", ")
        );
    }
    super::print(as_json, &text, &json!({ "changes": changes, "widerAsks": wider }))
}

/// Lists as what came and went, other values as they were and are.
fn change(before: &Value, after: &Value) -> String {
    let (Some(old), Some(new)) = (set(before), set(after)) else {
        return format!("{} -> {}", shown(before), shown(after));
    };
    let gone = old.difference(&new).map(|name| format!("-{name}"));
    gone.chain(new.difference(&old).map(|name| format!("+{name}"))).collect::<Vec<_>>().join(" ")
}

fn set(value: &Value) -> Option<BTreeSet<&str>> {
    Some(value.as_array()?.iter().filter_map(Value::as_str).collect())
}

fn shown(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
