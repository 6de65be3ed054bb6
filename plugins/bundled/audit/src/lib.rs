//! Tells decisions to the log, to a collector over HTTP and to a topic, as one JSON text each.
//!
//! What must not leave the node is taken out first. Whose decisions it is told is the binding's
//! scope, which the host evaluates.

mod forward;
mod line;
mod redact;

use blockhouse_plugin::{AuditSink, Event, Node, Outcome, Plugin};

use crate::forward::{Collector, Topic};
use crate::redact::Redact;

/// The binding's configuration.
#[derive(Default, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Whether each decision is a line in the log.
    log: bool,
    http: Option<Collector>,
    publish: Option<Topic>,
    /// Decisions with one of these outcomes; all if there are none.
    outcomes: Vec<String>,
    redact: Redact,
}

/// The plugin.
pub struct Audit {
    config: Config,
    node: String,
}

impl Plugin for Audit {
    type Config = Config;

    fn init(node: &Node, config: Config) -> Result<Self, String> {
        if !config.log && config.http.is_none() && config.publish.is_none() {
            return Err("it tells nobody: set log = true, http or publish".to_owned());
        }
        if let Some(unknown) =
            config.outcomes.iter().find(|name| !line::OUTCOMES.contains(&name.as_str()))
        {
            return Err(format!("outcomes: {unknown} is none of {}", line::OUTCOMES.join(", ")));
        }
        config.http.as_ref().map_or(Ok(()), Collector::check)?;
        config.publish.as_ref().map_or(Ok(()), Topic::check)?;
        config.redact.check()?;
        Ok(Self { config, node: node.name.clone() })
    }
}

impl Audit {
    fn wants(&self, outcome: Outcome) -> bool {
        let wanted = &self.config.outcomes;
        wanted.is_empty() || wanted.iter().any(|name| name == line::outcome(outcome))
    }
}

impl AuditSink for Audit {
    /// The log comes last: it cannot refuse, and a line must not be there twice for each attempt.
    fn audit(&mut self, events: &[Event]) -> Result<(), String> {
        let wanted = events.iter().filter(|event| self.wants(event.outcome));
        let lines: Vec<String> =
            wanted.map(|event| line::of(event, &self.node, &self.config.redact)).collect();
        if lines.is_empty() {
            return Ok(());
        }
        if let Some(collector) = &self.config.http {
            collector.post(&lines)?;
        }
        if let Some(topic) = &self.config.publish {
            topic.send(&lines)?;
        }
        if self.config.log {
            lines.iter().for_each(|line| blockhouse_plugin::log::info(line));
        }
        Ok(())
    }
}

blockhouse_plugin::export!(Audit: audit_sink);

#[cfg(test)]
mod tests;
