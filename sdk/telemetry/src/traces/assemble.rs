//! From a record to its spans.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt::Write as _;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use blockhouse_meter::Spans;
use blockhouse_meter::spans::{
    CallRecord, FlushRecord, Link as LinkRecord, NameId, Operation, Record, Role, StageRecord,
};
use blockhouse_model::TraceParent;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;

use super::enrich::{Added, Ended};
use crate::otlp::{Attributes, Batch, Head, Scope};

/// Links of spans whose record has not come yet: it follows at once, or was dropped.
const LINKS_WAITING_MAX: usize = 4_096;

/// Makes spans of records.
pub(super) struct Assembler {
    code_name: fn(i32) -> &'static str,
    links: HashMap<u64, Vec<TraceParent>>,
    texts: Texts,
}

/// What was said last in words: most say the same.
struct Texts {
    name: Option<(NameId, Arc<str>)>,
    address: IpAddr,
    address_text: String,
    queue: String,
}

impl Texts {
    fn name(&mut self, spans: &Spans, id: NameId) -> Arc<str> {
        match &self.name {
            Some((known, text)) if *known == id => Arc::clone(text),
            _ => Arc::clone(&self.name.insert((id, spans.text(id))).1),
        }
    }

    fn address(&mut self, address: IpAddr) -> &str {
        if self.address != address {
            self.address = address;
            self.address_text = address.to_string();
        }
        &self.address_text
    }

    fn queue(&mut self, queue: u32) -> &str {
        self.queue.clear();
        // Text takes all that is written.
        let _taken = write!(self.queue, "{queue}");
        &self.queue
    }
}

impl Assembler {
    pub(super) fn new(code_name: fn(i32) -> &'static str) -> Self {
        let address = IpAddr::from([0, 0, 0, 0]);
        let texts =
            Texts { name: None, address, address_text: address.to_string(), queue: String::new() };
        Self { code_name, links: HashMap::new(), texts }
    }

    /// Adds the spans of `record` to `out`, with what others add to it; `epoch` is when the monotonic clock began, in
    /// nanoseconds since 1970-01-01 UTC.
    pub(super) fn take(
        &mut self,
        spans: &Spans,
        (record, added): (&Record, &Added),
        epoch: u64,
        out: &mut Batch,
    ) {
        match record {
            Record::Link(LinkRecord { of, to }) => {
                if self.links.len() >= LINKS_WAITING_MAX {
                    self.links.clear();
                }
                self.links.entry(*of).or_default().push(*to);
            }
            Record::Call(record) => call(spans, record, epoch, out),
            Record::Flush(record) => self.flush(record, epoch, out),
            Record::Stages(record) => {
                self.whole(spans, (record, added), epoch, out);
                stages(record, epoch, out);
            }
        }
    }

    /// What is told of a span to those who add to it.
    pub(super) fn ended(&mut self, spans: &Spans, record: &StageRecord, epoch: u64) -> Ended {
        let topic = self.texts.name(spans, record.topic);
        let name = format!("{} {topic}", operation(spans, record.operation).0);
        let mut attributes = Vec::new();
        self.attributes(spans, record, &topic, &mut attributes);
        Ended {
            record: *record,
            name: name.trim_end().to_owned(),
            start_ns: since(epoch, record.began),
            attributes,
            added: Vec::new(),
        }
    }

    fn whole(
        &mut self,
        spans: &Spans,
        (record, added): (&StageRecord, &Added),
        epoch: u64,
        out: &mut Batch,
    ) {
        let topic = self.texts.name(spans, record.topic);
        let own = record.picked.own;
        // Most have none.
        let links = if self.links.is_empty() { None } else { self.links.remove(&own.span_id) };
        let name = operation(spans, record.operation).0;
        let head = Head {
            parent: record.picked.parent,
            is_parent_remote: record.picked.parent != 0,
            about: &topic,
            kind: kind(record.operation),
            links: links.as_deref().unwrap_or_default(),
            error: record.has_failed().then(|| (self.code_name)(record.code)),
            ..Head::new(own, &name, times(epoch, record.began, record.total.time()))
        };
        out.push(scope(record.role), &head, |to| {
            self.attributes(spans, record, &topic, to);
            for (name, value) in added {
                to.text(name, value);
            }
        });
    }

    /// A sync of the log: a trace of its own, linked with the sends that it made durable.
    fn flush(&mut self, record: &FlushRecord, epoch: u64, out: &mut Batch) {
        let FlushRecord { own, flush, sends } = *record;
        let links = self.links.remove(&own.span_id).unwrap_or_default();
        let linked = u32::try_from(links.len()).unwrap_or(u32::MAX);
        let head = Head {
            links: &links,
            links_dropped: sends.saturating_sub(linked),
            error: flush.has_failed.then_some("the disk refused it"),
            ..Head::new(own, "flush commitlog", times(epoch, flush.began, flush.took))
        };
        out.push(Scope::Broker, &head, |to| {
            to.text("blockhouse.role", Role::Broker.name());
            to.number("blockhouse.log.offset", whole(flush.from));
            to.number("blockhouse.flush.bytes", whole(flush.to.saturating_sub(flush.from)));
            to.number("blockhouse.flush.messages", whole(flush.messages));
            to.number("blockhouse.flush.sends", i64::from(sends));
            if flush.has_failed {
                to.text("error.type", "sync");
            }
        });
    }

    fn attributes(
        &mut self,
        spans: &Spans,
        record: &StageRecord,
        topic: &str,
        to: &mut impl Attributes,
    ) {
        let (name, kind) = operation(spans, record.operation);
        to.text("messaging.system", "rocketmq");
        to.text("messaging.operation.name", &name);
        to.text("blockhouse.sampling.reason", record.picked.reason.name());
        to.text("blockhouse.role", record.role.name());
        // Not all requests are about one.
        if !topic.is_empty() {
            to.text("messaging.destination.name", topic);
        }
        if let Some(kind) = kind {
            to.text("messaging.operation.type", kind);
        }
        if record.operation != Operation::Release {
            to.text("network.peer.address", self.texts.address(record.peer.ip()));
            to.number("network.peer.port", i64::from(record.peer.port()));
        }
        if let Some(queue) = record.queue {
            to.text("messaging.destination.partition.id", self.texts.queue(queue));
        }
        if let Some(group) = record.group {
            to.text("messaging.consumer.group.name", &spans.text(group));
        }
        if let Some(broker) = record.broker {
            to.text("blockhouse.broker.name", &spans.text(broker));
        }
        if record.messages > 1 {
            to.number("messaging.batch.message_count", i64::from(record.messages));
        } else if !record.key.text().is_empty() {
            to.text("messaging.message.id", record.key.text());
        }
        if record.bytes > 0 {
            to.number("messaging.message.envelope.size", whole(record.bytes));
        }
        if let Some((queue_offset, physical)) = record.place {
            to.number("blockhouse.queue.offset", whole(queue_offset));
            if let Some(physical) = physical {
                to.number("blockhouse.log.offset", whole(physical));
            }
        }
        if record.delay_level > 0 {
            let level = i64::from(record.delay_level);
            to.number("messaging.rocketmq.message.delay_time_level", level);
        }
        if record.has_failed() {
            to.text("error.type", (self.code_name)(record.code));
        } else if record.is_absent {
            to.text("blockhouse.response.code", (self.code_name)(record.code));
        }
    }
}

/// The stages that there were, one after the other.
fn stages(record: &StageRecord, epoch: u64, out: &mut Batch) {
    let stages = record.stages;
    let mut at = record.began;
    for (number, name, time, is_shown) in [
        (1, "hooks", stages.admit, stages.hooked),
        (2, "append", stages.append, true),
        (3, "flush", stages.flush, true),
    ] {
        if is_shown && !time.is_zero() {
            let own = TraceParent { span_id: record.picked.stage(number), ..record.picked.own };
            let head = Head {
                parent: record.picked.own.span_id,
                ..Head::new(own, name, times(epoch, at, time.time()))
            };
            out.push(scope(record.role), &head, |_| {});
        }
        at += time.time();
    }
}

/// A plugin's call.
fn call(spans: &Spans, record: &CallRecord, epoch: u64, out: &mut Batch) {
    let plugin = spans.text(record.plugin);
    let head = Head {
        parent: record.parent,
        about: &plugin,
        error: record.failure,
        ..Head::new(record.own, record.hook, times(epoch, record.began, record.took.time()))
    };
    out.push(scope(record.role), &head, |to| {
        to.text("blockhouse.plugin.name", &plugin);
        to.text("blockhouse.plugin.hook", record.hook);
        to.text("blockhouse.plugin.verdict", record.verdict);
        to.text("blockhouse.plugin.mode", if record.is_shadow { "shadow" } else { "enforce" });
        if record.messages > 1 {
            to.number("messaging.batch.message_count", i64::from(record.messages));
        }
        if let Some(failure) = record.failure {
            to.text("error.type", failure);
        }
    });
}

const fn scope(role: Role) -> Scope {
    match role {
        Role::Broker => Scope::Broker,
        Role::NameServer => Scope::NameServer,
    }
}

fn whole(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// From the monotonic clock to nanoseconds since 1970-01-01 UTC.
fn since(epoch: u64, at: Duration) -> u64 {
    epoch.saturating_add(nanos(at))
}

fn times(epoch: u64, began: Duration, took: Duration) -> (u64, u64) {
    let began = since(epoch, began);
    (began, began.saturating_add(nanos(took)))
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// The name and the type of an operation; the conventions have none for setting free, nor for what is about no
/// message.
fn operation(spans: &Spans, operation: Operation) -> (Cow<'static, str>, Option<&'static str>) {
    let (name, kind) = match operation {
        Operation::Send => ("send", Some("send")),
        Operation::Deliver => ("deliver", Some("receive")),
        Operation::Commit => ("commit", Some("settle")),
        Operation::Retry => ("retry", Some("settle")),
        Operation::DeadLetter => ("dead_letter", Some("settle")),
        Operation::Release => ("release", None),
        Operation::Request(name) => return (spans.text(name).to_string().into(), None),
    };
    (name.into(), kind)
}

/// Nobody asks for a message to be set free: its time is over.
const fn kind(operation: Operation) -> SpanKind {
    match operation {
        Operation::Release => SpanKind::Internal,
        _ => SpanKind::Server,
    }
}

/// Where wall-clock time and the monotonic clock meet. It follows steps of the wall clock, but not its
/// grain of a millisecond: spans of one trace must not jump.
pub(super) struct Epoch(SystemTime);

impl Epoch {
    const GRAIN: Duration = Duration::from_millis(3);

    pub(super) const fn new() -> Self {
        Self(SystemTime::UNIX_EPOCH)
    }

    /// When the monotonic clock began, of which it says `monotonic` while the other says `now_ms`: in nanoseconds
    /// since 1970-01-01 UTC.
    pub(super) fn at(&mut self, now_ms: i64, monotonic: Duration) -> u64 {
        let now = Duration::from_millis(u64::try_from(now_ms).unwrap_or(0));
        let began = SystemTime::UNIX_EPOCH + now.saturating_sub(monotonic);
        let apart = began.duration_since(self.0).or_else(|_| self.0.duration_since(began));
        if apart.is_ok_and(|apart| apart > Self::GRAIN) {
            self.0 = began;
        }
        self.0.duration_since(SystemTime::UNIX_EPOCH).map_or(0, nanos)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use blockhouse_meter::spans::{Picked, Reason, Rules, Stages, Ticks};
    use opentelemetry_proto::tonic::common::v1::any_value::Value;
    use opentelemetry_proto::tonic::trace::v1::{Span, Status};

    #[test]
    fn the_epoch_follows_steps_and_not_the_grain() {
        let (mut epoch, millis) = (Epoch::new(), Duration::from_millis);
        let first = epoch.at(1_700_000_000_000, millis(500));
        assert_eq!(first, 1_000_000 * (1_700_000_000_000 - 500));
        assert_eq!(epoch.at(1_700_000_001_000, millis(1_499)), first, "within the grain");
        assert_eq!(epoch.at(1_700_000_002_000, millis(1_000)), first + 1_500_000_000, "a step");
    }

    fn silent() -> Spans {
        Spans::new(Rules { head: 0.0, slow: None, errors: false }, 1).0
    }

    fn error(message: &str) -> Status {
        Status { message: message.to_owned(), code: 2 }
    }

    #[test]
    fn links_wait_for_their_span_and_are_bounded() {
        let spans = silent();
        let mut assembler = Assembler::new(|_| "SYSTEM_BUSY");
        let to = TraceParent { trace_id: 1, span_id: 2, sampled: true };
        let (mut out, none) = (Batch::default(), Vec::new());
        for of in 0..=LINKS_WAITING_MAX as u64 {
            let link = Record::Link(LinkRecord { of, to });
            assembler.take(&spans, (&link, &none), 0, &mut out);
        }
        assert_eq!((assembler.links.len(), out.count()), (1, 0));
        let own = TraceParent { span_id: LINKS_WAITING_MAX as u64, ..to };
        let picked = Picked { own, parent: 0, reason: Reason::Head };
        let (peer, topic) = (([127, 0, 0, 1], 9).into(), spans.name("a\"b"));
        let record = StageRecord {
            total: Ticks::of(Duration::from_millis(3)),
            stages: Stages { append: Ticks::of(Duration::from_millis(1)), ..Stages::default() },
            code: 2,
            ..StageRecord::new(picked, Operation::Send, Duration::ZERO, peer, topic)
        };
        assembler.take(&spans, (&Record::Stages(record), &none), 0, &mut out);
        let [whole, append] = &out.read()[..] else { unreachable!() };
        assert_eq!((whole.links.len(), assembler.links.len()), (1, 0));
        assert_eq!((&*whole.name, &whole.status), ("send a\"b", &Some(error("SYSTEM_BUSY"))));
        assert_eq!((&*append.name, &append.parent_span_id), ("append", &whole.span_id));
        assert_eq!(append.end_time_unix_nano, 1_000_000);
    }

    fn made(record: StageRecord) -> Span {
        let mut out = Batch::default();
        let mut assembler = Assembler::new(|_| "TOPIC_NOT_EXIST");
        let added = vec![("more".to_owned(), "said".to_owned())];
        assembler.take(&silent(), (&Record::Stages(record), &added), 0, &mut out);
        out.read().swap_remove(0)
    }

    fn has(span: &Span, key: &str) -> Option<String> {
        let found = span.attributes.iter().find(|a| a.key == key)?;
        match found.value.clone()?.value? {
            Value::StringValue(text) => Some(text),
            Value::IntValue(number) => Some(number.to_string()),
            _ => None,
        }
    }

    #[test]
    fn what_is_not_there_is_told_and_is_no_error() {
        let spans = silent();
        let picked = spans.picked(None, Reason::Head);
        let (peer, name) = (([127, 0, 0, 1], 9).into(), spans.name("x"));
        let asked = StageRecord::new(picked, Operation::Request(name), Duration::ZERO, peer, name);
        let absent = made(StageRecord { code: 17, is_absent: true, ..asked });
        let unset = Some(Status::default());
        assert_eq!((&absent.status, has(&absent, "error.type")), (&unset, None));
        let told = has(&absent, "blockhouse.response.code");
        assert_eq!(told.as_deref(), Some("TOPIC_NOT_EXIST"));
        let failed = made(StageRecord { code: 17, ..asked });
        assert_eq!(failed.status, Some(error("TOPIC_NOT_EXIST")));
        assert_eq!(has(&failed, "error.type").as_deref(), Some("TOPIC_NOT_EXIST"));
        assert_eq!(has(&failed, "blockhouse.response.code"), None);
        assert_eq!(has(&made(asked), "blockhouse.response.code"), None);
    }

    #[test]
    fn those_who_add_to_a_span_are_told_what_is_written() {
        let spans = silent();
        let mut assembler = Assembler::new(|_| "TOPIC_NOT_EXIST");
        for (topic, peer, queue) in [("a", [127, 0, 0, 1], 3), ("b", [10, 0, 0, 1], 12)] {
            let (peer, topic) = ((peer, 9).into(), spans.name(topic));
            let picked = spans.picked(None, Reason::Slow);
            let record = StageRecord {
                queue: Some(queue),
                group: Some(spans.name("shop")),
                bytes: 300,
                place: Some((17, Some(4_000))),
                ..StageRecord::new(picked, Operation::Deliver, Duration::ZERO, peer, topic)
            };
            let told = assembler.ended(&spans, &record, 5);
            let mut out = Batch::default();
            let added = vec![("more".to_owned(), "said".to_owned())];
            assembler.take(&spans, (&Record::Stages(record), &added), 5, &mut out);
            let span = out.read().swap_remove(0);
            let written = span.attributes.iter().map(|a| (a.key.clone(), has(&span, &a.key)));
            let wanted = told.attributes.iter().chain(&added);
            let wanted: Vec<_> = wanted.map(|(k, v)| (k.clone(), Some(v.clone()))).collect();
            assert_eq!(written.collect::<Vec<_>>(), wanted);
            assert_eq!((told.name, told.start_ns), (span.name.clone(), span.start_time_unix_nano));
            let address = Some(peer.ip().to_string());
            assert_eq!(has(&span, "network.peer.address"), address);
            let of = has(&span, "messaging.destination.partition.id");
            assert_eq!(of, Some(queue.to_string()));
        }
    }
}
