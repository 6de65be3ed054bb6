//! From a record to its spans.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use blockhouse_meter::Spans;
use blockhouse_meter::spans::{
    CallRecord, FlushRecord, Link as LinkRecord, Operation, Record, Role, StageRecord,
};
use blockhouse_model::TraceParent;
use opentelemetry::trace::{
    Link, SpanContext, SpanId, SpanKind, Status, TraceFlags, TraceId, TraceState,
};
use opentelemetry::{InstrumentationScope, KeyValue};
use opentelemetry_sdk::trace::{SpanData, SpanEvents, SpanLinks};

/// Links of spans whose record has not come yet: it follows at once, or was dropped.
const LINKS_WAITING_MAX: usize = 4_096;

/// The version of the conventions that names follow.
pub(super) const SCHEMA: &str = "https://opentelemetry.io/schemas/1.44.0";

/// Makes spans of records.
pub(super) struct Assembler {
    broker: InstrumentationScope,
    name_server: InstrumentationScope,
    code_name: fn(i32) -> &'static str,
    links: HashMap<u64, Vec<Link>>,
}

impl Assembler {
    pub(super) fn new(version: &str, code_name: fn(i32) -> &'static str) -> Self {
        let scope = |name| {
            let scope = InstrumentationScope::builder(name).with_version(version.to_owned());
            scope.with_schema_url(SCHEMA).build()
        };
        let [broker, name_server] = ["blockhouse.broker", "blockhouse.namesrv"].map(scope);
        Self { broker, name_server, code_name, links: HashMap::new() }
    }

    /// Adds the spans of `record` to `out`; `epoch` is when the monotonic clock began.
    pub(super) fn take(
        &mut self,
        spans: &Spans,
        record: Record,
        epoch: SystemTime,
        out: &mut Vec<SpanData>,
    ) {
        match record {
            Record::Link(LinkRecord { of, to }) => {
                if self.links.len() >= LINKS_WAITING_MAX {
                    self.links.clear();
                }
                self.links.entry(of).or_default().push(Link::with_context(context(to, true)));
            }
            Record::Call(record) => out.push(self.call(spans, &record, epoch)),
            Record::Flush(record) => out.push(self.flush(&record, epoch)),
            Record::Stages(record) => {
                let whole = self.whole(spans, &record, epoch);
                let parent = whole.span_context.clone();
                out.push(whole);
                self.stages(&record, &parent, epoch, out);
            }
        }
    }

    fn whole(&mut self, spans: &Spans, record: &StageRecord, epoch: SystemTime) -> SpanData {
        let topic = spans.text(record.topic);
        let began = epoch + record.began;
        let mut attributes = attributes(spans, record);
        let mut status = Status::Unset;
        if record.has_failed() {
            let name = (self.code_name)(record.code);
            attributes.push(KeyValue::new("error.type", name));
            status = Status::error(name);
        } else if record.is_absent {
            let name = (self.code_name)(record.code);
            attributes.push(KeyValue::new("blockhouse.response.code", name));
        }
        let mut links = SpanLinks::default();
        links.links = self.links.remove(&record.picked.own.span_id).unwrap_or_default();
        let own = record.picked.own;
        SpanData {
            name: format!("{} {topic}", operation(spans, record.operation).0)
                .trim_end()
                .to_owned()
                .into(),
            span_kind: kind(record.operation),
            parent_span_id: SpanId::from_bytes(record.picked.parent.to_be_bytes()),
            parent_span_is_remote: record.picked.parent != 0,
            attributes,
            links,
            status,
            ..self.plain((record.role, own), (began, began + record.total.time()))
        }
    }

    /// The stages that there were, one after the other.
    fn stages(
        &self,
        record: &StageRecord,
        parent: &SpanContext,
        epoch: SystemTime,
        out: &mut Vec<SpanData>,
    ) {
        let stages = record.stages;
        let mut at = epoch + record.began;
        for (number, name, time, is_shown) in [
            (1, "hooks", stages.admit, stages.hooked),
            (2, "append", stages.append, true),
            (3, "flush", stages.flush, true),
        ] {
            let end = at + time.time();
            let span_id = record.picked.stage(number);
            let own = TraceParent { span_id, ..record.picked.own };
            if is_shown && !time.is_zero() {
                let mut span = self.plain((record.role, own), (at, end));
                span.name = Cow::Borrowed(name);
                span.parent_span_id = parent.span_id();
                out.push(span);
            }
            at = end;
        }
    }

    /// A plugin's call.
    fn call(&self, spans: &Spans, record: &CallRecord, epoch: SystemTime) -> SpanData {
        let plugin = spans.text(record.plugin);
        let began = epoch + record.began;
        let mut attributes = vec![
            KeyValue::new("blockhouse.plugin.name", Arc::clone(&plugin)),
            KeyValue::new("blockhouse.plugin.hook", record.hook),
            KeyValue::new("blockhouse.plugin.verdict", record.verdict),
            KeyValue::new(
                "blockhouse.plugin.mode",
                if record.is_shadow { "shadow" } else { "enforce" },
            ),
        ];
        if record.messages > 1 {
            let messages = i64::from(record.messages);
            attributes.push(KeyValue::new("messaging.batch.message_count", messages));
        }
        let mut status = Status::Unset;
        if let Some(failure) = record.failure {
            attributes.push(KeyValue::new("error.type", failure));
            status = Status::error(failure);
        }
        SpanData {
            name: format!("{} {plugin}", record.hook).into(),
            parent_span_id: SpanId::from_bytes(record.parent.to_be_bytes()),
            attributes,
            status,
            ..self.plain((record.role, record.own), (began, began + record.took.time()))
        }
    }

    /// A sync of the log: a trace of its own, linked with the sends that it made durable.
    fn flush(&mut self, record: &FlushRecord, epoch: SystemTime) -> SpanData {
        let FlushRecord { own, flush, sends } = *record;
        let began = epoch + flush.began;
        let whole = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
        let mut attributes = vec![
            KeyValue::new("blockhouse.role", Role::Broker.name()),
            KeyValue::new("blockhouse.log.offset", whole(flush.from)),
            KeyValue::new("blockhouse.flush.bytes", whole(flush.to.saturating_sub(flush.from))),
            KeyValue::new("blockhouse.flush.messages", whole(flush.messages)),
            KeyValue::new("blockhouse.flush.sends", i64::from(sends)),
        ];
        let mut status = Status::Unset;
        if flush.has_failed {
            attributes.push(KeyValue::new("error.type", "sync"));
            status = Status::error("the disk refused it");
        }
        let mut links = SpanLinks::default();
        links.links = self.links.remove(&own.span_id).unwrap_or_default();
        let linked = u32::try_from(links.links.len()).unwrap_or(u32::MAX);
        links.dropped_count = sends.saturating_sub(linked);
        SpanData {
            name: Cow::Borrowed("flush commitlog"),
            attributes,
            links,
            status,
            ..self.plain((Role::Broker, own), (began, began + flush.took))
        }
    }

    fn plain(&self, (role, own): (Role, TraceParent), times: (SystemTime, SystemTime)) -> SpanData {
        let scope = match role {
            Role::Broker => &self.broker,
            Role::NameServer => &self.name_server,
        };
        plain(scope, own, times)
    }
}

/// A span of which nothing is known but what it is, and when.
pub(super) fn plain(
    scope: &InstrumentationScope,
    own: TraceParent,
    (start, end): (SystemTime, SystemTime),
) -> SpanData {
    SpanData {
        span_context: context(own, false),
        parent_span_id: SpanId::INVALID,
        parent_span_is_remote: false,
        span_kind: SpanKind::Internal,
        name: Cow::Borrowed(""),
        start_time: start,
        end_time: end,
        attributes: Vec::new(),
        dropped_attributes_count: 0,
        events: SpanEvents::default(),
        links: SpanLinks::default(),
        status: Status::Unset,
        instrumentation_scope: scope.clone(),
    }
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

fn context(of: TraceParent, is_remote: bool) -> SpanContext {
    let trace = TraceId::from_bytes(of.trace_id.to_be_bytes());
    let span = SpanId::from_bytes(of.span_id.to_be_bytes());
    SpanContext::new(trace, span, TraceFlags::SAMPLED, is_remote, TraceState::NONE)
}

fn attributes(spans: &Spans, record: &StageRecord) -> Vec<KeyValue> {
    let whole = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
    let (name, kind) = operation(spans, record.operation);
    let mut all = vec![
        KeyValue::new("messaging.system", "rocketmq"),
        KeyValue::new("messaging.operation.name", name),
        KeyValue::new("blockhouse.sampling.reason", record.picked.reason.name()),
        KeyValue::new("blockhouse.role", record.role.name()),
    ];
    let topic = spans.text(record.topic);
    // Not all requests are about one.
    if !topic.is_empty() {
        all.push(KeyValue::new("messaging.destination.name", topic));
    }
    if let Some(kind) = kind {
        all.push(KeyValue::new("messaging.operation.type", kind));
    }
    if record.operation != Operation::Release {
        all.push(KeyValue::new("network.peer.address", record.peer.ip().to_string()));
        all.push(KeyValue::new("network.peer.port", i64::from(record.peer.port())));
    }
    if let Some(queue) = record.queue {
        all.push(KeyValue::new("messaging.destination.partition.id", queue.to_string()));
    }
    if let Some(group) = record.group {
        all.push(KeyValue::new("messaging.consumer.group.name", spans.text(group)));
    }
    if let Some(broker) = record.broker {
        all.push(KeyValue::new("blockhouse.broker.name", spans.text(broker)));
    }
    if record.messages > 1 {
        all.push(KeyValue::new("messaging.batch.message_count", i64::from(record.messages)));
    } else if !record.key.text().is_empty() {
        all.push(KeyValue::new("messaging.message.id", record.key.text().to_owned()));
    }
    if record.bytes > 0 {
        all.push(KeyValue::new("messaging.message.envelope.size", whole(record.bytes)));
    }
    if let Some((queue_offset, physical)) = record.place {
        all.push(KeyValue::new("blockhouse.queue.offset", whole(queue_offset)));
        let physical =
            physical.map(|physical| KeyValue::new("blockhouse.log.offset", whole(physical)));
        all.extend(physical);
    }
    if record.delay_level > 0 {
        let level = i64::from(record.delay_level);
        all.push(KeyValue::new("messaging.rocketmq.message.delay_time_level", level));
    }
    all
}

/// Where wall-clock time and the monotonic clock meet. It follows steps of the wall clock, but not its
/// grain of a millisecond: spans of one trace must not jump.
pub(super) struct Epoch(SystemTime);

impl Epoch {
    const GRAIN: Duration = Duration::from_millis(3);

    pub(super) const fn new() -> Self {
        Self(SystemTime::UNIX_EPOCH)
    }

    /// When the monotonic clock began, of which it says `monotonic` while the other says `now_ms`.
    pub(super) fn at(&mut self, now_ms: i64, monotonic: Duration) -> SystemTime {
        let now = Duration::from_millis(u64::try_from(now_ms).unwrap_or(0));
        let began = SystemTime::UNIX_EPOCH + now.saturating_sub(monotonic);
        let apart = began.duration_since(self.0).or_else(|_| self.0.duration_since(began));
        if apart.is_ok_and(|apart| apart > Self::GRAIN) {
            self.0 = began;
        }
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use blockhouse_meter::spans::{Picked, Reason, Rules, Stages, Ticks};

    #[test]
    fn the_epoch_follows_steps_and_not_the_grain() {
        let (mut epoch, millis) = (Epoch::new(), Duration::from_millis);
        let first = epoch.at(1_700_000_000_000, millis(500));
        assert_eq!(first, SystemTime::UNIX_EPOCH + millis(1_700_000_000_000 - 500));
        assert_eq!(epoch.at(1_700_000_001_000, millis(1_499)), first, "within the grain");
        assert_eq!(epoch.at(1_700_000_002_000, millis(1_000)), first + millis(1_500), "a step");
    }

    #[test]
    fn links_wait_for_their_span_and_are_bounded() {
        let rules = Rules { head: 0.0, slow: None, errors: false };
        let (spans, _records) = Spans::new(rules, 1);
        let mut assembler = Assembler::new("1", |_| "SYSTEM_BUSY");
        let to = TraceParent { trace_id: 1, span_id: 2, sampled: true };
        let mut out = Vec::new();
        for of in 0..=LINKS_WAITING_MAX as u64 {
            assembler.take(
                &spans,
                Record::Link(LinkRecord { of, to }),
                SystemTime::UNIX_EPOCH,
                &mut out,
            );
        }
        assert_eq!(assembler.links.len(), 1);
        let own = TraceParent { span_id: LINKS_WAITING_MAX as u64, ..to };
        let picked = Picked { own, parent: 0, reason: Reason::Head };
        let (peer, topic) = (([127, 0, 0, 1], 9).into(), spans.name("a\"b"));
        let record = StageRecord {
            total: Ticks::of(Duration::from_millis(3)),
            stages: Stages { append: Ticks::of(Duration::from_millis(1)), ..Stages::default() },
            code: 2,
            ..StageRecord::new(picked, Operation::Send, Duration::ZERO, peer, topic)
        };
        assembler.take(&spans, Record::Stages(record), SystemTime::UNIX_EPOCH, &mut out);
        let [whole, append] = &out[..] else { unreachable!("{out:?}") };
        assert_eq!((whole.links.len(), assembler.links.len()), (1, 0));
        assert_eq!(
            (&*whole.name, whole.status.clone()),
            ("send a\"b", Status::error("SYSTEM_BUSY"))
        );
        assert_eq!(
            (&*append.name, append.parent_span_id),
            ("append", whole.span_context.span_id())
        );
    }

    fn made(record: StageRecord) -> SpanData {
        let rules = Rules { head: 0.0, slow: None, errors: false };
        let (spans, _records) = Spans::new(rules, 1);
        let mut assembler = Assembler::new("1", |_| "TOPIC_NOT_EXIST");
        let mut out = Vec::new();
        assembler.take(&spans, Record::Stages(record), SystemTime::UNIX_EPOCH, &mut out);
        out.swap_remove(0)
    }

    #[test]
    fn what_is_not_there_is_told_and_is_no_error() {
        let rules = Rules { head: 0.0, slow: None, errors: false };
        let (spans, _records) = Spans::new(rules, 1);
        let picked = spans.picked(None, Reason::Head);
        let (peer, name) = (([127, 0, 0, 1], 9).into(), spans.name("x"));
        let asked = StageRecord::new(picked, Operation::Request(name), Duration::ZERO, peer, name);
        let has = |span: &SpanData, key: &str| {
            let found = span.attributes.iter().find(|a| a.key.as_str() == key);
            found.map(|a| a.value.to_string())
        };
        let absent = made(StageRecord { code: 17, is_absent: true, ..asked });
        assert_eq!((absent.status.clone(), has(&absent, "error.type")), (Status::Unset, None));
        let told = has(&absent, "blockhouse.response.code");
        assert_eq!(told.as_deref(), Some("TOPIC_NOT_EXIST"));
        let failed = made(StageRecord { code: 17, ..asked });
        assert_eq!(failed.status, Status::error("TOPIC_NOT_EXIST"));
        assert_eq!(has(&failed, "error.type").as_deref(), Some("TOPIC_NOT_EXIST"));
        assert_eq!(has(&failed, "blockhouse.response.code"), None);
        assert_eq!(has(&made(asked), "blockhouse.response.code"), None);
    }
}
