//! From a record to its spans.

use std::borrow::Cow;
use std::collections::HashMap;
use std::time::{Duration, SystemTime};

use blockhouse_meter::Spans;
use blockhouse_meter::spans::{Link as LinkRecord, Operation, Record, StageRecord};
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
    scope: InstrumentationScope,
    code_name: fn(i32) -> &'static str,
    links: HashMap<u64, Vec<Link>>,
}

impl Assembler {
    pub(super) fn new(version: String, code_name: fn(i32) -> &'static str) -> Self {
        let scope = InstrumentationScope::builder("blockhouse.broker")
            .with_version(version)
            .with_schema_url(SCHEMA)
            .build();
        Self { scope, code_name, links: HashMap::new() }
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
        let failed = record.code != 0 && record.operation == Operation::Send;
        let mut attributes = attributes(spans, record);
        let mut status = Status::Unset;
        if failed {
            let name = (self.code_name)(record.code);
            attributes.push(KeyValue::new("error.type", name));
            status = Status::error(name);
        }
        let mut links = SpanLinks::default();
        links.links = self.links.remove(&record.picked.own.span_id).unwrap_or_default();
        let own = record.picked.own;
        SpanData {
            name: format!("{} {topic}", operation(record.operation).0).into(),
            span_kind: SpanKind::Server,
            parent_span_id: SpanId::from_bytes(record.picked.parent.to_be_bytes()),
            parent_span_is_remote: record.picked.parent != 0,
            attributes,
            links,
            status,
            ..self.plain(own, (began, began + record.total.time()))
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
        let mut own = record.picked.own;
        for (name, time, is_shown) in [
            ("hooks", stages.admit, stages.hooked),
            ("append", stages.append, true),
            ("flush", stages.flush, true),
        ] {
            let end = at + time.time();
            // Ids of stages are made of the span's: a step of an odd number meets no other soon.
            own.span_id = own.span_id.wrapping_add(0x9e37_79b9_7f4a_7c15).max(1);
            if is_shown && !time.is_zero() {
                let mut span = self.plain(own, (at, end));
                span.name = Cow::Borrowed(name);
                span.parent_span_id = parent.span_id();
                out.push(span);
            }
            at = end;
        }
    }

    fn plain(&self, own: TraceParent, times: (SystemTime, SystemTime)) -> SpanData {
        plain(&self.scope, own, times)
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

/// The name and the type of an operation.
const fn operation(operation: Operation) -> (&'static str, &'static str) {
    match operation {
        Operation::Send => ("send", "send"),
        Operation::Deliver => ("deliver", "receive"),
    }
}

fn context(of: TraceParent, is_remote: bool) -> SpanContext {
    let trace = TraceId::from_bytes(of.trace_id.to_be_bytes());
    let span = SpanId::from_bytes(of.span_id.to_be_bytes());
    SpanContext::new(trace, span, TraceFlags::SAMPLED, is_remote, TraceState::NONE)
}

fn attributes(spans: &Spans, record: &StageRecord) -> Vec<KeyValue> {
    let whole = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
    let (name, kind) = operation(record.operation);
    let mut all = vec![
        KeyValue::new("messaging.system", "rocketmq"),
        KeyValue::new("messaging.operation.name", name),
        KeyValue::new("messaging.operation.type", kind),
        KeyValue::new("messaging.destination.name", spans.text(record.topic)),
        KeyValue::new("network.peer.address", record.peer.ip().to_string()),
        KeyValue::new("network.peer.port", i64::from(record.peer.port())),
        KeyValue::new("blockhouse.sampling.reason", record.picked.reason.name()),
    ];
    if let Some(queue) = record.queue {
        all.push(KeyValue::new("messaging.destination.partition.id", queue.to_string()));
    }
    if let Some(group) = record.group {
        all.push(KeyValue::new("messaging.consumer.group.name", spans.text(group)));
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
        all.push(KeyValue::new("blockhouse.log.offset", whole(physical)));
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
    use blockhouse_meter::spans::{Key, Picked, Reason, Rules, Stages, Ticks};

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
        let mut assembler = Assembler::new("1".to_owned(), |_| "SYSTEM_BUSY");
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
        let record = StageRecord {
            picked: Picked { own, parent: 0, reason: Reason::Head },
            operation: Operation::Send,
            began: Duration::ZERO,
            total: Ticks::of(Duration::from_millis(3)),
            stages: Stages { append: Ticks::of(Duration::from_millis(1)), ..Stages::default() },
            peer: ([127, 0, 0, 1], 9).into(),
            principal: None,
            code: 2,
            topic: spans.name("a\"b"),
            group: None,
            queue: None,
            key: Key::default(),
            messages: 1,
            bytes: 0,
            place: None,
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
}
