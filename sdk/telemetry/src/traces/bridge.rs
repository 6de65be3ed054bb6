//! RocketMQ's own traces: what clients that are told to trace write into a topic, as spans.
//!
//! A message's trace and the span of its send follow from its id, so that what producers and consumers tell,
//! to whichever broker, meets without being kept.

use std::collections::HashMap;

use blockhouse_model::TraceParent;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use sha2::{Digest as _, Sha256};

use crate::otlp::{Attributes as _, Batch, Head, Scope, Written};

/// Begun consumptions that wait for their end, and messages whose topic is known.
const WAITING_MAX: usize = 4_096;
/// Records of one message; clients put in 20.
const RECORDS_MAX: usize = 256;
/// Longest time that a client may say something took: a day.
const TOOK_MAX_MS: u64 = 86_400_000;

const FIELD: char = '\u{1}';
const RECORD: char = '\u{2}';

/// What a client told.
#[derive(Debug, PartialEq, Eq)]
enum Told<'a> {
    /// It sent a message.
    Sent { at: u64, topic: &'a str, id: &'a str, kind: &'a str, size: &'a str, took: u64, ok: bool },
    /// It began to consume one.
    Begun { at: u64, group: &'a str, request: &'a str, id: &'a str, retries: u32 },
    /// It has consumed one.
    Ended { request: &'a str, id: &'a str, took: u64, ok: bool },
    /// It decided on one that is part of a transaction; `is_asked` if the broker asked.
    Decided { at: u64, topic: &'a str, id: &'a str, state: &'static str, is_asked: bool },
    /// It took one back that was to come later.
    Recalled { at: u64, topic: &'a str, id: &'a str, ok: bool },
}

fn parse(record: &str) -> Option<Told<'_>> {
    let took = |text: &str| text.parse().ok().map(|took: u64| took.min(TOOK_MAX_MS));
    let fields: Vec<&str> = record.splitn(24, FIELD).collect();
    match *fields.as_slice() {
        ["Pub", at, _, _, topic, id, _, _, _, size, cost, kind, ref rest @ ..] => {
            // Before the outcome newer clients say where the message lies.
            let ok = match rest {
                [_, ok, ..] | [ok] => *ok == "true",
                [] => true,
            };
            Some(Told::Sent { at: at.parse().ok()?, topic, id, kind, size, took: took(cost)?, ok })
        }
        ["SubBefore", at, _, group, request, id, retries, ..] => {
            let (at, retries) = (at.parse().ok()?, retries.parse().unwrap_or(0));
            Some(Told::Begun { at, group, request, id, retries })
        }
        ["SubAfter", request, id, cost, ok, ..] => {
            Some(Told::Ended { request, id, took: took(cost)?, ok: ok == "true" })
        }
        ["EndTransaction", at, _, _, topic, id, _, _, _, _, _, state, asked, ..] => {
            let (at, state) = (at.parse().ok()?, state_of(state)?);
            Some(Told::Decided { at, topic, id, state, is_asked: asked == "true" })
        }
        ["Recall", at, _, _, topic, id, ok, ..] => {
            Some(Told::Recalled { at: at.parse().ok()?, topic, id, ok: ok == "true" })
        }
        _ => None,
    }
}

/// Names of `LocalTransactionState`, one of which is misspelt.
fn state_of(name: &str) -> Option<&'static str> {
    match name {
        "COMMIT_MESSAGE" => Some("commit"),
        "ROLLBACK_MESSAGE" => Some("rollback"),
        "UNKNOW" => Some("unknown"),
        _ => None,
    }
}

struct Begun {
    at: u64,
    group: String,
    retries: u32,
}

/// Makes spans of what clients told.
#[derive(Default)]
pub(super) struct Bridge {
    begun: HashMap<(u128, u64), Begun>,
    topics: HashMap<u128, String>,
}

impl Bridge {
    /// Adds the spans of a message of the topic to `out`. What is not understood makes none.
    pub(super) fn take(&mut self, body: &str, out: &mut Batch) {
        for told in body.split(RECORD).take(RECORDS_MAX).filter_map(parse) {
            match told {
                Told::Begun { at, group, request, id, retries } => {
                    let begun = Begun { at, group: group.to_owned(), retries };
                    bounded(&mut self.begun);
                    self.begun.insert((trace(id).trace_id, process(request, id)), begun);
                }
                Told::Ended { request, id, took, ok } => {
                    let span_id = process(request, id);
                    let begun = self.begun.remove(&(trace(id).trace_id, span_id));
                    if let Some(begun) = begun {
                        self.processed((id, span_id), &begun, (took, ok), out);
                    }
                }
                Told::Decided { at, topic, id, state, is_asked } => {
                    let told = afterwards(("end_transaction", topic), id, at, true);
                    told.push(out, |to| {
                        let asked = if is_asked { "true" } else { "false" };
                        to.text("blockhouse.transaction.state", state);
                        to.text("blockhouse.transaction.checked", asked);
                    });
                }
                Told::Recalled { at, topic, id, ok } => {
                    afterwards(("recall", topic), id, at, ok).push(out, |_| {});
                }
                Told::Sent { at, topic, id, kind, size, took, ok } => {
                    bounded(&mut self.topics);
                    self.topics.insert(trace(id).trace_id, topic.to_owned());
                    let mut told = Span::new(("send", topic), (id, trace(id)), (at, took), ok);
                    told.head.kind = SpanKind::Producer;
                    told.push(out, |to| {
                        to.text("messaging.operation.type", "send");
                        if let Ok(size) = size.parse() {
                            to.number("messaging.message.body.size", size);
                        }
                        to.text("messaging.rocketmq.message.type", kind_of(kind));
                    });
                }
            }
        }
    }

    fn processed(
        &self,
        (id, span_id): (&str, u64),
        begun: &Begun,
        (took, ok): (u64, bool),
        out: &mut Batch,
    ) {
        let sent = trace(id);
        let topic = self.topics.get(&sent.trace_id).map_or("", String::as_str);
        let own = TraceParent { span_id, ..sent };
        let mut told = Span::new(("process", topic), (id, own), (begun.at, took), ok);
        told.head.kind = SpanKind::Consumer;
        told.head.parent = sent.span_id;
        told.push(out, |to| {
            to.text("messaging.operation.type", "process");
            to.text("messaging.consumer.group.name", &begun.group);
            if begun.retries > 0 {
                to.number("blockhouse.retries", i64::from(begun.retries));
            }
        });
    }
}

/// What a producer did to a message that it had sent: when, but not for how long. The conventions have
/// no type for it.
fn afterwards<'a>(
    (operation, topic): (&'static str, &'a str),
    id: &'a str,
    at: u64,
    ok: bool,
) -> Span<'a> {
    let sent = trace(id);
    let own = TraceParent { span_id: process(&format!("{operation}{FIELD}{at}"), id), ..sent };
    let mut told = Span::new((operation, topic), (id, own), (at, 0), ok);
    told.head.kind = SpanKind::Client;
    told.head.parent = sent.span_id;
    told
}

/// A span that a client told of.
struct Span<'a> {
    head: Head<'a>,
    id: &'a str,
}

impl<'a> Span<'a> {
    fn new(
        (operation, topic): (&'static str, &'a str),
        (id, own): (&'a str, TraceParent),
        (at, took): (u64, u64),
        ok: bool,
    ) -> Self {
        let nanos = |ms: u64| ms.min(u64::MAX >> 22).saturating_mul(1_000_000);
        let times = (nanos(at), nanos(at).saturating_add(nanos(took)));
        // Clients do not say why.
        let error = (!ok).then_some("");
        let head = Head { about: topic, error, ..Head::new(own, operation, times) };
        Self { head, id }
    }

    /// Adds it to `out`, with what is told beside what all have.
    fn push(self, out: &mut Batch, tell: impl FnOnce(&mut Written<'_>)) {
        let head = Head { is_parent_remote: self.head.parent != 0, ..self.head };
        out.push(Scope::TraceTopic, &head, |to| {
            to.text("messaging.system", "rocketmq");
            to.text("messaging.operation.name", head.name);
            to.text("messaging.message.id", self.id);
            if !head.about.is_empty() {
                to.text("messaging.destination.name", head.about);
            }
            if head.error.is_some() {
                to.text("error.type", "_OTHER");
            }
            tell(to);
        });
    }
}

/// What is forgotten is forgotten together: clients make ids up.
fn bounded<K, V>(map: &mut HashMap<K, V>) {
    if map.len() >= WAITING_MAX {
        map.clear();
    }
}

const fn kind_of(ordinal: &str) -> &'static str {
    match ordinal.as_bytes() {
        b"1" | b"2" => "transaction",
        b"3" => "delay",
        _ => "normal",
    }
}

/// The trace of a message, and the span of its send.
fn trace(id: &str) -> TraceParent {
    let [high, low, span, _] = numbers(id.as_bytes());
    let trace_id = (u128::from(high) << 64 | u128::from(low)).max(1);
    TraceParent { trace_id, span_id: span.max(1), sampled: true }
}

/// The span of a consumption, which clients number, or of what else was done.
fn process(request: &str, id: &str) -> u64 {
    let [span, ..] = numbers(format!("{request}{FIELD}{id}").as_bytes());
    span.max(1)
}

fn numbers(text: &[u8]) -> [u64; 4] {
    let digest: [u8; 32] = Sha256::digest(text).into();
    let mut parts = digest.chunks_exact(8);
    std::array::from_fn(|_| {
        let part = parts.next().and_then(|part| part.try_into().ok());
        part.map_or(0, u64::from_be_bytes)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use opentelemetry_proto::tonic::common::v1::any_value::Value;
    use opentelemetry_proto::tonic::trace::v1::{Span, Status};

    const ID: &str = "7F00000100002A139A55000000000001";

    fn spans(bridge: &mut Bridge, records: &[&[&str]]) -> Vec<Span> {
        let records: Vec<String> = records.iter().map(|fields| fields.join("\u{1}")).collect();
        let mut out = Batch::default();
        bridge.take(&records.join("\u{2}"), &mut out);
        out.read()
    }

    #[test]
    fn a_send_and_its_consumption_are_one_trace() {
        let mut bridge = Bridge::default();
        let sent =
            ["Pub", "1700000000000", "r", "g", "orders", ID, "t", "k", "h:1", "12", "7", "3"];
        let older = [&sent[..], &["true"]].concat();
        let newer = [&sent[..], &["offset-id", "false", "client"]].concat();
        let before = ["SubBefore", "1700000000100", "r", "shop", "req-1", ID, "2", "k"];
        let after = ["SubAfter", "req-1", ID, "30", "true", "k", "0"];
        let out = spans(&mut bridge, &[&older, &before, &after, &newer, &[""]]);
        let [send, process, failed] = &out[..] else { unreachable!("{out:?}") };
        assert_eq!((&*send.name, send.kind()), ("send orders", SpanKind::Producer));
        assert_eq!((&*process.name, process.kind()), ("process orders", SpanKind::Consumer));
        assert_eq!(process.trace_id, send.trace_id);
        assert_eq!(process.parent_span_id, send.span_id);
        assert_ne!(process.span_id, send.span_id);
        let took = |span: &Span| span.end_time_unix_nano - span.start_time_unix_nano;
        assert_eq!((took(send), took(process)), (7_000_000, 30_000_000));
        let error = Status { code: 2, ..Status::default() };
        assert_eq!((&send.status, &failed.status), (&Some(Status::default()), &Some(error)));
        assert!(bridge.begun.is_empty());
    }

    #[test]
    fn what_a_producer_does_afterwards_is_in_the_trace_of_the_send() {
        let mut bridge = Bridge::default();
        let decided = |at, state, asked| {
            ["EndTransaction", at, "r", "g", "orders", ID, "t", "k", "h:1", "2", "T1", state, asked]
        };
        let commit = decided("1700000000200", "COMMIT_MESSAGE", "false");
        let unknown = decided("1700000000100", "UNKNOW", "true");
        let recall = ["Recall", "1700000000300", "r", "g", "orders", ID, "true"];
        let failed = ["Recall", "1700000000400", "r", "g", "orders", ID, "false"];
        let strange = decided("1700000000200", "PERHAPS", "false");
        let out = spans(&mut bridge, &[&unknown, &commit, &strange, &recall, &failed]);
        let told: Vec<_> = out
            .iter()
            .map(|span| {
                let of = |name: &str| {
                    let found = span.attributes.iter().find(|a| a.key == name);
                    match found.and_then(|a| a.value.clone()?.value) {
                        Some(Value::StringValue(text)) => text,
                        _ => String::new(),
                    }
                };
                let name = span.name.clone();
                let [state, asked] =
                    ["state", "checked"].map(|n| of(&format!("blockhouse.transaction.{n}")));
                (name, state, asked, span.status == Some(Status::default()))
            })
            .collect();
        let row = |name: &str, state: &str, asked: &str, ok| {
            (format!("{name} orders"), state.to_owned(), asked.to_owned(), ok)
        };
        assert_eq!(
            told,
            [
                row("end_transaction", "unknown", "true", true),
                row("end_transaction", "commit", "false", true),
                row("recall", "", "", true),
                row("recall", "", "", false),
            ]
        );
        let sent = trace(ID);
        let mut ids: Vec<_> = out.iter().map(|span| span.span_id.clone()).collect();
        for span in &out {
            assert_eq!(span.trace_id, sent.trace_id.to_be_bytes());
            assert_eq!(span.parent_span_id, sent.span_id.to_be_bytes());
            assert_eq!(span.kind(), SpanKind::Client);
            assert_eq!(span.start_time_unix_nano, span.end_time_unix_nano);
        }
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), 4);
    }

    #[test]
    fn whatever_is_in_the_topic_does_no_harm() {
        let mut bridge = Bridge::default();
        let sent = |at, cost| ["Pub", at, "", "", "", "", "", "", "", "size", cost, "x"];
        let out = spans(
            &mut bridge,
            &[
                &["Pub"],
                &["SubAfter", "nobody", "began", "1", "true"],
                &["Recall", "1"],
                &sent("no time", "1"),
                &sent("1", "-1"),
                &sent("18446744073709551615", "18446744073709551615"),
            ],
        );
        assert_eq!(out.len(), 1, "{out:?}");
        let many: Vec<String> = (0..=WAITING_MAX + 1).map(|n| n.to_string()).collect();
        for id in &many {
            spans(&mut bridge, &[&["SubBefore", "1", "r", "g", "q", id, "0"]]);
        }
        assert!(bridge.begun.len() <= WAITING_MAX);
    }
}
