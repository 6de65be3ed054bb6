//! Every plugin call of the next requests, from a running node.

use std::fmt::Write as _;
use std::time::Duration;

use blockhouse_host::TraceRequest;
use serde_json::Value;

use super::node::NodeArg;
use crate::out;

pub(super) const EXAMPLES: &str = "\
Examples:
  blockhouse plugin trace --topic orders
  blockhouse plugin trace --node 10.0.0.5:5557 --principal ann \\
      --count 5 --seconds 120 --json

A run of sends of one connection goes through the plugins together and is shown as one request. A node has one \
trace at a time: a later one takes the place of an earlier one.";

/// Between two questions.
const PAUSE: Duration = Duration::from_millis(250);

/// Which requests.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Only requests that are about this topic
    #[arg(long)]
    topic: Option<String>,
    /// Only requests that are about this consumer or producer group
    #[arg(long)]
    group: Option<String>,
    /// Only requests of this user, or of `anonymous`
    #[arg(long)]
    principal: Option<String>,
    /// Only requests that call this plugin; its calls are shown with those of the others
    #[arg(long, value_name = "NAME")]
    plugin: Option<String>,
    /// How many requests to show
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=100))]
    count: u64,
    /// How long to look for them
    #[arg(long, value_name = "S", default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=600))]
    seconds: u64,
    #[command(flatten)]
    node: NodeArg,
}

/// Prints requests as they are found; with --json each is an object of its own.
pub(super) fn run(args: &Args, as_json: bool) -> anyhow::Result<()> {
    let node = args.node.node()?;
    let wanted = TraceRequest {
        topic: args.topic.clone(),
        group: args.group.clone(),
        principal: args.principal.clone(),
        plugin: args.plugin.clone(),
        count: usize::try_from(args.count)?,
        seconds: args.seconds,
    };
    let begun: Value = node.post("/v1/plugins/trace", &wanted)?;
    let (trace, mut after, mut shown) = (&begun["trace"], 0, 0);
    loop {
        let answer: Value = node.get(&format!("/v1/plugins/trace?trace={trace}&after={after}"))?;
        for request in answer["requests"].as_array().into_iter().flatten() {
            after = request["cursor"].as_u64().unwrap_or(after);
            shown += 1;
            let text = if as_json { serde_json::to_string(request)? } else { rendered(request) };
            if !out::try_line(text.trim_end()) {
                return Ok(());
            }
        }
        if answer["ended"].as_bool().unwrap_or(true) {
            break;
        }
        std::thread::park_timeout(PAUSE);
    }
    anyhow::ensure!(shown > 0, "no such request called a plugin in {} s", args.seconds);
    Ok(())
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), |text| out::foreign(text).into_owned())
}

fn list(value: &Value) -> String {
    let items: Vec<String> = value.as_array().into_iter().flatten().map(text).collect();
    items.join(", ")
}

fn us(value: &Value) -> f64 {
    value.as_f64().unwrap_or(0.0) / 1e3
}

/// A request for people: a line of its own, and one for each call.
fn rendered(request: &Value) -> String {
    let mut lines = format!(
        "request {} code {} of {} from {} connection {}: {:.1} us in plugins\n",
        request["number"],
        request["code"],
        text(&request["principal"]),
        text(&request["peer"]),
        request["connection"],
        us(&request["nanoseconds"]),
    );
    for call in request["calls"].as_array().into_iter().flatten() {
        let shadow = if call["mode"] == "shadow" { " (shadow)" } else { "" };
        // Writing to a String does not fail.
        let _always_ok = write!(
            lines,
            "  {:<20} {:<20} {:>3} messages {:>9.1} us  {}{shadow}",
            text(&call["hook"]),
            text(&call["plugin"]),
            call["messages"],
            us(&call["nanoseconds"]),
            text(&call["decision"]),
        );
        if call["failsClosed"] == true {
            lines.push_str(", which refuses");
        }
        for (word, value) in [("topic", &call["topics"]), ("group", &call["groups"])] {
            if !value.is_null() {
                let _always_ok = write!(lines, "  {word} {}", list(value));
            }
        }
        if !call["reason"].is_null() {
            let _always_ok = write!(lines, "  {}", text(&call["reason"]));
        }
        lines.push('\n');
        for change in call["changes"].as_array().into_iter().flatten() {
            let _always_ok = writeln!(lines, "      {}", text(change));
        }
    }
    if request["callsLeftOut"] != 0 {
        let _always_ok = writeln!(lines, "  and {} further calls", request["callsLeftOut"]);
    }
    lines
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_request_is_a_line_and_one_for_each_call() {
        let text = rendered(&json!({
            "number": 7, "code": 310, "peer": "10.0.0.1:9", "connection": 3, "principal": "ann",
            "nanoseconds": 12_500, "callsLeftOut": 0,
            "calls": [
                { "hook": "authorize", "plugin": "acl", "mode": "enforce", "messages": 1,
                  "nanoseconds": 2_500, "decision": "continue", "topics": ["orders"] },
                { "hook": "before-send", "plugin": "guard", "mode": "shadow", "messages": 2,
                  "nanoseconds": 10_000, "decision": "fail", "reason": "trap",
                  "failsClosed": true, "changes": ["message 0: dropped"] },
            ],
        }));
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(
            lines[0],
            "request 7 code 310 of ann from 10.0.0.1:9 connection 3: 12.5 us in plugins"
        );
        assert!(lines[1].contains("authorize") && lines[1].ends_with("continue  topic orders"));
        assert!(lines[2].contains("fail (shadow), which refuses") && lines[2].ends_with("trap"));
        assert_eq!((lines[3].trim(), lines.len()), ("message 0: dropped", 4));
    }
}
