//! One plugin of a running node, with how it is bound and what it was before.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use anyhow::Context as _;
use serde_json::Value;

use super::node::{self, NodeArg, Plugin};

pub(super) const EXAMPLES: &str = "\
Examples:
  blockhouse plugin describe orders-guard
  blockhouse plugin describe orders-guard --ops 10.0.0.5:5557 --json";

/// Which plugin of which node.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The binding's name
    name: String,
    #[command(flatten)]
    node: NodeArg,
}

/// Asks and tells.
pub(super) fn run(args: &Args, as_json: bool) -> anyhow::Result<()> {
    let name = node::name(&args.name)?;
    let asked = args.node.node()?;
    let (json, plugins) = asked.plugin(name)?;
    let unknown = || {
        format!(
            "there is no plugin {name} on {}; `blockhouse plugin list` shows those that are",
            asked.authority
        )
    };
    let at = plugins.plugins.iter().position(|plugin| plugin.name == name).with_context(unknown)?;
    let text = text(&plugins.plugins[at], plugins.generation);
    super::print(as_json, &text, &json["plugins"][at])
}

fn text(plugin: &Plugin, generation: u64) -> String {
    let mut text = String::new();
    let mut row = |name: &str, value: &str| {
        // Writing to a String cannot fail.
        let _infallible = writeln!(text, "{name:<12}{}", crate::out::foreign(value));
    };
    row("plugin", &plugin.name);
    row("version", plugin.version.as_deref().unwrap_or("not known"));
    row("digest", &plugin.digest);
    row("from", &plugin.source);
    row("state", plugin.state());
    if let Some(problem) = &plugin.problem {
        row("problem", problem);
    }
    row("generation", &generation.to_string());
    row("instances", &plugin.instances.to_string());
    row("memory", &format!("{} KiB", plugin.memory_bytes >> 10));
    for (key, value) in plugin.binding.as_object().into_iter().flatten() {
        if !matches!(key.as_str(), "name" | "digest") && !is_nothing(value) {
            row(key, &shown(value));
        }
    }
    for hook in &plugin.hooks {
        let each = hook.nanoseconds.checked_div(hook.messages).unwrap_or(0);
        let (failures, verdicts) = (counts(&hook.failures), counts(&hook.verdicts));
        row(
            &hook.hook,
            &format!(
                "{} calls, {} messages of {each} ns, objections: {verdicts}, failures: {failures}",
                hook.calls, hook.messages
            ),
        );
    }
    for past in &plugin.history {
        let version = past.version.as_deref().unwrap_or("?");
        let why = past.reason.as_ref().map(|why| format!(": {why}")).unwrap_or_default();
        row(&past.state, &format!("{version} {}{why}", past.digest));
    }
    text
}

fn counts(by_word: &BTreeMap<String, u64>) -> String {
    let counts: Vec<String> = by_word.iter().map(|(word, n)| format!("{n} {word}")).collect();
    if counts.is_empty() { "none".to_owned() } else { counts.join(", ") }
}

fn is_nothing(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(list) => list.is_empty(),
        Value::Object(map) => map.values().all(|value| *value == Value::Bool(false)),
        _ => false,
    }
}

fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(list) => list.iter().map(shown).collect::<Vec<_>>().join(", "),
        Value::Object(map) => {
            let given = map.iter().filter(|(_, value)| **value != Value::Bool(false));
            let one = |(key, value): (&String, &Value)| match value {
                Value::Bool(true) => key.clone(),
                other => format!("{key} = {}", shown(other)),
            };
            given.map(one).collect::<Vec<_>>().join(", ")
        }
        other => other.to_string(),
    }
}
