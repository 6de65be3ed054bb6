//! One case: a message, what is expected of it, what became of it.

use std::borrow::Cow;
use std::collections::BTreeMap;

use blockhouse_hook::{Decision, Delivery, Draft, HookChain, Outbound, Point, SpanRecord, Verdict};
use blockhouse_host::HookStatus;
use blockhouse_model::{QueueId, QueueOffset, TraceParent};
use serde::Deserialize;

use crate::plugin::engine::{PULL, SEND, failures, request};

/// A file of cases.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Suite {
    /// The binding's `config`; that of `--binding`, if there is none.
    pub(super) config: Option<serde_json::Map<String, serde_json::Value>>,
    #[serde(rename = "case")]
    pub(super) cases: Vec<Case>,
}

/// A message and what is expected of it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Case {
    pub(super) name: String,
    hook: Hook,
    topic: String,
    #[serde(default = "Case::default_group")]
    group: String,
    #[serde(default)]
    principal: String,
    #[serde(default)]
    body: String,
    #[serde(default)]
    properties: BTreeMap<String, String>,
    expect: Expected,
}

/// Hooks that cases can be run at.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Hook {
    BeforeSend,
    BeforeDeliver,
    EnrichSpan,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Expected {
    decision: String,
    /// A part of the reason of a refusal.
    reason: Option<String>,
    /// Where a message is rerouted to.
    topic: Option<String>,
    body: Option<String>,
    properties: Option<BTreeMap<String, String>>,
    /// What is added to a span.
    attributes: Option<BTreeMap<String, String>>,
}

/// A plugin that runs, alone in its chain.
pub(super) struct Subject<'a> {
    pub(super) chain: &'a HookChain,
    /// What was counted so far.
    pub(super) hooks: &'a dyn Fn() -> Vec<HookStatus>,
}

/// What became of a message.
struct Fate {
    decision: &'static str,
    reason: String,
    topic: String,
    body: Vec<u8>,
    properties: String,
    attributes: BTreeMap<String, String>,
}

impl Suite {
    pub(super) fn parse(text: &str) -> anyhow::Result<Self> {
        let suite: Self = toml::from_str(text)?;
        for case in &suite.cases {
            let known: &[&str] = match case.hook {
                Hook::BeforeSend => &["admit", "reject", "drop", "reroute"],
                Hook::BeforeDeliver => &["keep", "hide", "reject"],
                Hook::EnrichSpan => &["enrich"],
            };
            let (name, decision) = (&case.name, &case.expect.decision);
            anyhow::ensure!(
                known.contains(&decision.as_str()),
                "case {name:?}: decision {decision:?} is none of {}",
                known.join(", ")
            );
        }
        Ok(suite)
    }
}

impl Case {
    fn default_group() -> String {
        "test".to_owned()
    }

    /// Gives the message to the plugin.
    ///
    /// # Errors
    /// What came out otherwise than expected.
    pub(super) fn run(&self, on: &Subject<'_>) -> Result<(), String> {
        let (point, name) = match self.hook {
            Hook::BeforeSend => (Point::BeforeSend, "before-send"),
            Hook::BeforeDeliver => (Point::BeforeDeliver, "before-deliver"),
            Hook::EnrichSpan => (Point::EnrichSpan, "enrich-span"),
        };
        if !on.chain.has(point) {
            return Err(format!("the plugin does not export {name}"));
        }
        let (mut fate, mut failure) = self.call(on);
        // Cases are not about time, and a busy machine may have held the call up.
        if failure.as_ref().is_some_and(|failure| failure.ends_with("deadline")) {
            (fate, failure) = self.call(on);
        }
        if let Some(failure) = failure {
            return Err(format!("the call failed, {failure}"));
        }
        self.expect.check(&fate)
    }

    /// What became of the message, and how the call failed if it did.
    fn call(&self, on: &Subject<'_>) -> (Fate, Option<String>) {
        let before = failures((on.hooks)());
        let fate = match self.hook {
            Hook::BeforeSend => self.send(on),
            Hook::BeforeDeliver => self.deliver(on),
            Hook::EnrichSpan => self.enrich(on),
        };
        let after = failures((on.hooks)());
        let failure = after.into_iter().find(|failure| !before.contains(failure));
        (fate, failure.map(|(kind, _)| kind))
    }

    fn text(&self) -> String {
        self.properties.iter().map(|(name, value)| format!("{name}\u{1}{value}\u{2}")).collect()
    }

    fn send(&self, on: &Subject<'_>) -> Fate {
        let text = self.text();
        let mut drafts = [Draft {
            topic: &self.topic,
            producer_group: &self.group,
            queue: None,
            body: Cow::Borrowed(self.body.as_bytes()),
            properties: Cow::Borrowed(&text),
            decision: Decision::Admit,
        }];
        on.chain.before_send(&request(&self.principal, SEND), &mut drafts);
        let [draft] = drafts;
        let (decision, reason, topic) = match draft.decision {
            Decision::Admit => ("admit", String::new(), self.topic.clone()),
            Decision::Reject(why) => ("reject", why.reason.into_owned(), self.topic.clone()),
            Decision::Drop => ("drop", String::new(), self.topic.clone()),
            Decision::Reroute(topic) => ("reroute", String::new(), topic),
        };
        let (body, properties) = (draft.body.into_owned(), draft.properties.into_owned());
        Fate { decision, reason, topic, body, properties, attributes: BTreeMap::new() }
    }

    fn deliver(&self, on: &Subject<'_>) -> Fate {
        let properties = self.text();
        let delivery = Delivery { group: &self.group, topic: &self.topic, queue: QueueId(0) };
        let mut messages = [Outbound {
            queue_offset: QueueOffset(0),
            properties: &properties,
            stored_body: self.body.as_bytes(),
            body: None,
            keep: true,
        }];
        let cx = request(&self.principal, PULL);
        let verdict = on.chain.before_deliver(&cx, &delivery, &mut messages);
        let [message] = messages;
        let (decision, reason) = match verdict {
            Verdict::Reject(why) => ("reject", why.reason.into_owned()),
            Verdict::Continue if message.keep => ("keep", String::new()),
            Verdict::Continue => ("hide", String::new()),
        };
        let body = message.body.map_or_else(|| message.stored_body.to_vec(), |body| body.to_vec());
        let (topic, attributes) = (self.topic.clone(), BTreeMap::new());
        Fate { decision, reason, topic, body, properties, attributes }
    }

    /// A span about the message, without an attribute of the node's own.
    fn enrich(&self, on: &Subject<'_>) -> Fate {
        let cx = request(&self.principal, SEND);
        let id = TraceParent { trace_id: 1, span_id: 2, sampled: true };
        let name = format!("send {}", self.topic);
        let mut spans = [SpanRecord::new(name, id, cx.peer, Vec::new())];
        let [span] = &mut spans;
        span.principal = cx.principal;
        span.properties = self.text();
        span.body = self.body.clone().into();
        on.chain.enrich_span(&mut spans);
        let [span] = spans;
        let attributes = span.attributes().iter().map(|a| (a.name.clone(), a.value.clone()));
        Fate {
            decision: "enrich",
            reason: String::new(),
            topic: self.topic.clone(),
            body: span.body.to_vec(),
            attributes: attributes.collect(),
            properties: span.properties,
        }
    }
}

impl Expected {
    fn check(&self, fate: &Fate) -> Result<(), String> {
        let other = |what: &str, expected: &dyn std::fmt::Debug, found: &dyn std::fmt::Debug| {
            Err(format!("{what}: expected {expected:?}, found {found:?}"))
        };
        if self.decision != fate.decision {
            let why = if fate.reason.is_empty() { "" } else { " because: " };
            let (expected, found) = (&self.decision, fate.decision);
            return Err(format!(
                "decision: expected {expected}, found {found}{why}{}",
                fate.reason
            ));
        }
        if let Some(reason) = self.reason.as_ref().filter(|r| !fate.reason.contains(r.as_str())) {
            return other("reason", reason, &fate.reason);
        }
        if let Some(topic) = self.topic.as_ref().filter(|topic| **topic != fate.topic) {
            return other("topic", topic, &fate.topic);
        }
        if let Some(body) = self.body.as_ref().filter(|body| body.as_bytes() != fate.body) {
            return other("body", body, &String::from_utf8_lossy(&fate.body));
        }
        if let Some(attributes) = self.attributes.as_ref().filter(|a| **a != fate.attributes) {
            return other("attributes", attributes, &fate.attributes);
        }
        let found = fate.properties.split('\u{2}').filter_map(|pair| pair.split_once('\u{1}'));
        let found = found.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        match &self.properties {
            Some(properties) if *properties != found => other("properties", properties, &found),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cases_with_words_that_mean_nothing_are_refused() {
        let case = |hook: &str, decision: &str, more: &str| {
            Suite::parse(&format!(
                "[[case]]\nname = \"a\"\nhook = \"{hook}\"\ntopic = \"t\"\n{more}\
                 expect = {{ decision = \"{decision}\" }}\n"
            ))
        };
        assert!(case("before-send", "reject", "").is_ok());
        assert!(case("before-deliver", "hide", "").is_ok());
        let refusal = case("before-send", "hide", "").unwrap_err().to_string();
        assert!(refusal.contains("none of admit, reject, drop, reroute"), "{refusal}");
        assert!(case("pull", "admit", "").is_err());
        assert!(case("before-send", "admit", "tpoic = \"x\"\n").is_err());
        assert!(Suite::parse("").is_err());
    }

    #[test]
    fn what_differs_is_told() {
        let fate = || Fate {
            decision: "admit",
            reason: String::new(),
            topic: "t".to_owned(),
            body: b"out".to_vec(),
            properties: "a\u{1}1\u{2}".to_owned(),
            attributes: BTreeMap::new(),
        };
        let check = |text: &str| toml::from_str::<Expected>(text).unwrap().check(&fate());
        assert_eq!(
            check("decision = \"admit\"\nbody = \"out\"\nproperties = { a = \"1\" }"),
            Ok(())
        );
        assert!(check("decision = \"drop\"").unwrap_err().contains("expected drop, found admit"));
        assert!(check("decision = \"admit\"\nbody = \"in\"").unwrap_err().starts_with("body:"));
        assert!(check("decision = \"admit\"\nproperties = {}").unwrap_err().contains("properties"));
        let attributes = check("decision = \"admit\"\nattributes = { a = \"1\" }");
        assert!(attributes.unwrap_err().starts_with("attributes:"));
        assert!(check("decision = \"admit\"\ntopic = \"u\"").unwrap_err().starts_with("topic:"));
        assert!(check("decision = \"admit\"\nreason = \"u\"").unwrap_err().starts_with("reason:"));
    }
}
