//! What plugins do right now, again and again.

use std::time::Duration;

use serde_json::json;

use super::node::{Hook, NodeArg, Plugins};
use crate::cluster::Table;
use crate::looks::Looks;

pub(super) const EXAMPLES: &str = "\
Examples:
  blockhouse plugin top
  blockhouse plugin top --once --json

Rates are of the time between two looks; with --once, between two looks a second apart.";

/// Which node, and how often.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    looks: Looks,
    #[command(flatten)]
    node: NodeArg,
}

/// What a hook did between two looks.
struct Rate {
    plugin: String,
    state: &'static str,
    hook: String,
    calls: f64,
    messages: f64,
    each_us: f64,
    objections: f64,
    failures: f64,
}

/// Looks and tells until ctrl-C, or until nobody reads.
pub(super) fn run(args: &Args, as_json: bool) -> anyhow::Result<()> {
    let node = args.node.node()?;
    let look = || anyhow::Ok(node.plugins()?.1);
    args.looks.each(as_json, look, |before, now, time| {
        let rates = rates(before, now, time);
        if as_json { as_line(&rates, now.generation) } else { Ok(table(&rates, now)) }
    })
}

fn rates(before: &Plugins, now: &Plugins, time: Duration) -> Vec<Rate> {
    let seconds = time.as_secs_f64().max(1e-3);
    let mut rates = Vec::new();
    for plugin in &now.plugins {
        let old = before.plugins.iter().find(|old| old.name == plugin.name);
        // Another version counts anew.
        let old = old.filter(|old| old.digest == plugin.digest);
        for hook in &plugin.hooks {
            let old = old.and_then(|old| old.hooks.iter().find(|old| old.hook == hook.hook));
            let diff = |count: fn(&Hook) -> u64| count(hook).saturating_sub(old.map_or(0, count));
            let per_second = |count: fn(&Hook) -> u64| diff(count) as f64 / seconds;
            let messages = diff(|hook| hook.messages).max(1) as f64;
            rates.push(Rate {
                plugin: plugin.name.clone(),
                state: plugin.state(),
                hook: hook.hook.clone(),
                calls: per_second(|hook| hook.calls),
                messages: per_second(|hook| hook.messages),
                each_us: diff(|hook| hook.nanoseconds) as f64 / 1e3 / messages,
                objections: per_second(|hook| hook.objections),
                failures: per_second(|hook| hook.failures.values().sum()),
            });
        }
    }
    rates
}

fn table(rates: &[Rate], now: &Plugins) -> String {
    let columns = [
        "plugin",
        "state",
        "hook",
        "calls/s",
        "messages/s",
        "us/message",
        "objections/s",
        "failures/s",
    ];
    let mut table = Table::new(&columns);
    for rate in rates {
        let counts = [rate.calls, rate.messages, rate.each_us, rate.objections, rate.failures];
        let head = [rate.plugin.clone(), rate.state.to_owned(), rate.hook.clone()];
        table.row(head.into_iter().chain(counts.map(|count| format!("{count:.1}"))));
    }
    format!("generation {}\n{table}", now.generation)
}

fn as_line(rates: &[Rate], generation: u64) -> anyhow::Result<String> {
    let one = |rate: &Rate| {
        json!({
            "plugin": rate.plugin,
            "state": rate.state,
            "hook": rate.hook,
            "callsPerSecond": rate.calls,
            "messagesPerSecond": rate.messages,
            "microsecondsPerMessage": rate.each_us,
            "objectionsPerSecond": rate.objections,
            "failuresPerSecond": rate.failures,
        })
    };
    let hooks: Vec<_> = rates.iter().map(one).collect();
    Ok(serde_json::to_string(&json!({ "generation": generation, "hooks": hooks }))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plugins(digest: &str, calls: u64) -> Plugins {
        serde_json::from_value(json!({
            "generation": 2,
            "plugins": [{
                "name": "a", "digest": digest, "version": "1.0.0", "source": "deployed",
                "disabled": false, "watched": false, "loaded": true, "mode": "enforce",
                "breakerOpen": false, "instances": 1, "binding": {}, "history": [],
                "hooks": [{
                    "hook": "pull", "calls": calls, "messages": calls, "nanoseconds": calls * 2_000,
                    "objections": 0, "failures": { "trap": calls / 10 },
                }],
            }],
        }))
        .unwrap()
    }

    #[test]
    fn rates_are_of_the_time_between() {
        let of = |old: &Plugins, new: &Plugins| {
            let rate = rates(old, new, Duration::from_secs(2)).remove(0);
            (rate.calls, rate.each_us, rate.failures)
        };
        assert_eq!(of(&plugins("x", 100), &plugins("x", 200)), (50.0, 2.0, 5.0));
        assert_eq!(of(&plugins("x", 100), &plugins("y", 20)), (10.0, 2.0, 1.0));
        let text = table(
            &rates(&plugins("x", 0), &plugins("x", 20), Duration::from_secs(1)),
            &plugins("x", 20),
        );
        assert!(text.contains("generation 2") && text.contains("20.0"), "{text}");
    }
}
