//! The plugins of a running node, as it tells over its ops listener.

use super::node::{NodeArg, Plugins, short};
use crate::cluster::Table;

pub(super) const EXAMPLES: &str = "\
Examples:
  blockhouse plugin list
  blockhouse plugin list --ops 10.0.0.5:5557 --json

The address is that of the node's option ops.listen. There is one row for each hook of each plugin; \
`objections` are answers other than \"go on\", which have no effect in shadow mode. `from` is where the binding \
comes from: the node's configuration, or a deploy, which wins.";

/// Which node to ask.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    node: NodeArg,
}

/// Asks and tells.
pub(super) fn run(args: &Args, as_json: bool) -> anyhow::Result<()> {
    let (json, plugins) = args.node.node()?.plugins()?;
    super::print(as_json, &text(&plugins), &json)
}

fn text(answer: &Plugins) -> String {
    if answer.plugins.is_empty() {
        return "no plugins\n".to_owned();
    }
    let mut table = Table::new(&[
        "plugin",
        "version",
        "digest",
        "from",
        "state",
        "mode",
        "instances",
        "hook",
        "calls",
        "messages",
        "ns/message",
        "objections",
        "failures",
    ]);
    for plugin in &answer.plugins {
        let version = plugin.version.as_deref().unwrap_or("-");
        let digest = short(&plugin.digest);
        let head = [&plugin.name, version, &digest, &plugin.source, plugin.state(), &plugin.mode];
        let head = head.map(str::to_owned);
        if plugin.hooks.is_empty() {
            table.row(head.iter().cloned().chain([plugin.instances.to_string(), "-".to_owned()]));
        }
        for hook in &plugin.hooks {
            let each = hook.nanoseconds.checked_div(hook.messages).unwrap_or(0);
            let counts = [hook.calls, hook.messages, each, hook.objections];
            let failures: u64 = hook.failures.values().sum();
            let middle = [plugin.instances.to_string(), hook.hook.clone()];
            let tail = counts.into_iter().chain([failures]).map(|count| count.to_string());
            table.row(head.iter().cloned().chain(middle).chain(tail));
        }
    }
    let grants = answer.plugins.iter().map(|plugin| (&*plugin.name, &*plugin.grants));
    format!("generation {}\n{table}{}", answer.generation, granted(grants))
}

/// What plugins are granted, as a table below another one; empty where there is nothing.
pub(super) fn granted<'a>(plugins: impl Iterator<Item = (&'a str, &'a [String])>) -> String {
    let mut table = Table::new(&["plugin", "is granted"]);
    let mut is_empty = true;
    for (name, grants) in plugins.filter(|(_, grants)| !grants.is_empty()) {
        table.row([name.to_owned(), grants.join(", ")]);
        is_empty = false;
    }
    if is_empty { String::new() } else { format!("\n{table}") }
}
