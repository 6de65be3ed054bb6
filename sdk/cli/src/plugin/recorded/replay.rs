//! Gives recorded messages to a plugin, in batches as a busy node does, and tells what it decides.

use std::borrow::Cow;
use std::collections::BTreeMap;

use blockhouse_hook::{Decision, Delivery, Draft, Outbound, Point, Verdict};
use blockhouse_model::{QueueId, QueueOffset};
use serde::{Deserialize, Serialize};

use super::message::Recorded;
use crate::plugin::engine::{PULL, Running, SEND, request};

/// Messages of one call.
const BATCH: usize = 32;
/// Messages that are named of those on which two runs differ.
const NAMED: usize = 5;

/// What became of each message, in words, by hook.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Decisions {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    before_send: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    before_deliver: Vec<String>,
}

impl Decisions {
    fn hooks(&self) -> [(&'static str, &[String]); 2] {
        [("before-send", &self.before_send), ("before-deliver", &self.before_deliver)]
    }

    /// How often what was decided, for each hook that was asked.
    pub(super) fn counted(&self) -> Vec<(&'static str, String)> {
        let asked = self.hooks().into_iter().filter(|(_, decisions)| !decisions.is_empty());
        asked
            .map(|(hook, decisions)| {
                let mut counts = BTreeMap::<&str, usize>::new();
                decisions.iter().for_each(|decision| *counts.entry(decision).or_default() += 1);
                let mut counts: Vec<_> = counts.into_iter().collect();
                counts.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
                let words = counts.iter().map(|(decision, count)| format!("{count} {decision}"));
                (hook, words.collect::<Vec<_>>().join(", "))
            })
            .collect()
    }

    /// On which messages another run decided otherwise.
    pub(super) fn differences(&self, accepted: &Self) -> Vec<String> {
        let mut found = Vec::new();
        for ((hook, now), (_, before)) in self.hooks().into_iter().zip(accepted.hooks()) {
            if now.len() != before.len() {
                let (now, before) = (now.len(), before.len());
                found.push(format!("{hook}: {now} messages, {before} were accepted: --accept"));
                continue;
            }
            let other =
                now.iter().zip(before).enumerate().filter(|(_, (now, before))| now != before);
            let count = other.clone().count();
            found.extend(other.take(NAMED).map(|(index, (now, before))| {
                format!("{hook}: message {}: {now}, accepted was: {before}", index + 1)
            }));
            if count > NAMED {
                found.push(format!("{hook}: and {} more", count - NAMED));
            }
        }
        found
    }
}

/// What the plugin decides on all of them, and how a call failed if one did.
pub(super) fn run(messages: &[Recorded], running: &Running) -> (Decisions, Option<String>) {
    let mut told = once(messages, running);
    // A replay is not about time, and a busy machine may have held a call up.
    if told.1.as_ref().is_some_and(|failure| failure.ends_with("deadline")) {
        told = once(messages, running);
    }
    told
}

fn once(messages: &[Recorded], running: &Running) -> (Decisions, Option<String>) {
    let before = running.failures();
    let mut decisions = Decisions::default();
    let batches = || {
        let same = messages.chunk_by(|a, b| a.topic == b.topic);
        same.flat_map(|messages| messages.chunks(BATCH))
    };
    if running.chain.has(Point::BeforeSend) {
        decisions.before_send = batches().flat_map(|batch| send(batch, running)).collect();
    }
    if running.chain.has(Point::BeforeDeliver) {
        decisions.before_deliver = batches().flat_map(|batch| deliver(batch, running)).collect();
    }
    let failure = running.failures().into_iter().find(|failure| !before.contains(failure));
    (decisions, failure.map(|(kind, count)| format!("{count} calls failed, {kind}")))
}

fn send(batch: &[Recorded], running: &Running) -> Vec<String> {
    let mut drafts: Vec<Draft<'_>> = batch.iter().map(draft).collect();
    running.chain.before_send(&request("", SEND), &mut drafts);
    let word = |(draft, message): (&Draft<'_>, &Recorded)| match &draft.decision {
        Decision::Admit if *draft.body != message.body => "admitted with another body".to_owned(),
        Decision::Admit if draft.properties != message.properties.as_str() => {
            "admitted with other properties".to_owned()
        }
        Decision::Admit => "admitted".to_owned(),
        Decision::Drop => "dropped".to_owned(),
        Decision::Reject(why) => format!("refused: {}", why.reason),
        Decision::Reroute(topic) => format!("rerouted to {topic}"),
    };
    drafts.iter().zip(batch).map(word).collect()
}

fn draft(message: &Recorded) -> Draft<'_> {
    Draft {
        topic: &message.topic,
        producer_group: "recorded",
        queue: None,
        body: Cow::Borrowed(&message.body),
        properties: Cow::Borrowed(&message.properties),
        decision: Decision::Admit,
    }
}

fn deliver(batch: &[Recorded], running: &Running) -> Vec<String> {
    let Some(first) = batch.first() else { return Vec::new() };
    let delivery = Delivery { group: "recorded", topic: &first.topic, queue: QueueId(0) };
    let mut messages: Vec<Outbound<'_>> = batch.iter().zip(0..).map(outbound).collect();
    if let Verdict::Reject(why) =
        running.chain.before_deliver(&request("", PULL), &delivery, &mut messages)
    {
        return vec![format!("refused: {}", why.reason); batch.len()];
    }
    let word = |message: &Outbound<'_>| {
        let word = match &message.body {
            _ if !message.keep => "hidden",
            Some(body) if **body != *message.stored_body => "delivered with another body",
            _ => "delivered",
        };
        word.to_owned()
    };
    messages.iter().map(word).collect()
}

fn outbound((message, offset): (&Recorded, u64)) -> Outbound<'_> {
    Outbound {
        queue_offset: QueueOffset(offset),
        properties: &message.properties,
        stored_body: &message.body,
        body: None,
        keep: true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decisions(send: &[&str]) -> Decisions {
        let before_send = send.iter().map(|word| (*word).to_owned()).collect();
        Decisions { before_send, before_deliver: Vec::new() }
    }

    #[test]
    fn decisions_are_counted_the_most_frequent_first() {
        let counted = decisions(&["dropped", "admitted", "admitted"]).counted();
        assert_eq!(counted, [("before-send", "2 admitted, 1 dropped".to_owned())]);
    }

    #[test]
    fn what_was_decided_otherwise_is_named() {
        let now = decisions(&["admitted", "dropped"]);
        assert_eq!(now.differences(&now), [""; 0]);
        let found = now.differences(&decisions(&["admitted", "admitted"]));
        assert_eq!(found, ["before-send: message 2: dropped, accepted was: admitted"]);
        let fewer = now.differences(&decisions(&["admitted"]));
        assert!(fewer[0].contains("2 messages, 1 were accepted"), "{fewer:?}");
        let many = decisions(&["admitted"; 8]).differences(&decisions(&["dropped"; 8]));
        assert_eq!((many.len(), many[5].as_str()), (6, "before-send: and 3 more"));
    }
}
