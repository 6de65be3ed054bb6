//! What broker and name server do, as spans for a collector.

mod rows;

use std::sync::Arc;

use anyhow::Context as _;
use blockhouse_hook::{Attribute, Hooks, Point, SpanRecord};
use blockhouse_meter::Spans;
use blockhouse_model::{PhysicalOffset, Principal};
use blockhouse_protocol::codes::response_code;
use blockhouse_record::View;
use blockhouse_store::ColdRead;
use blockhouse_telemetry::Identity;
use blockhouse_telemetry::otlp::Transport;
use blockhouse_telemetry::traces::{Ended, Enrich, Parts, TraceExporter};

use super::publisher::ToBroker;
use super::{Role, Shared, bridge};
use crate::options::Config;
pub(super) use rows::rows;
pub(crate) use rows::{Knobs, Sampling, TuneRequest};

/// Starts to export, if there is a collector. Before the broker starts.
pub(super) fn start(
    config: &Config,
    role: Role,
    identity: Identity,
    shared: &Shared,
    transport: &Transport,
) -> anyhow::Result<()> {
    let traces = &config.telemetry.traces;
    if !traces.is_on() {
        return Ok(());
    }
    let (spans, records) = Spans::new(traces.rules(), traces.queue_max);
    let spans = spans.sampling(traces.ratios(), traces.per_second_max);
    let spans = Arc::new(spans.reading_older(traces.older_contexts));
    shared.meter.record_spans(Arc::clone(&spans));
    let clock = Arc::clone(&shared.clock);
    let adding = Adding {
        hooks: Arc::clone(&shared.hooks),
        publisher: Arc::clone(&shared.publisher),
        spans: Arc::clone(&spans),
    };
    let enrich = Some(Arc::new(adding) as Arc<dyn Enrich>);
    let code_name = response_code::name;
    let bridged = (traces.bridge && role.has_broker()).then(|| bridge::start(shared));
    let parts = Parts { identity, spans, records, bridged, clock, code_name, enrich };
    let exporter = TraceExporter::new(traces, transport, parts);
    let exporter = exporter.context("telemetry.traces.endpoint")?;
    let tasks = shared.tasks.child("traces");
    let mut stop = tasks.shutdown();
    tasks.spawn("traces", exporter.run(async move { stop.requested().await }));
    Ok(())
}

/// Bytes of messages that one batch of spans may bring along.
const MESSAGES_MAX: usize = 8 << 20;

/// The hooks at enrich span, and what they want to see: the message, read back from the log.
struct Adding {
    hooks: Arc<Hooks>,
    publisher: Arc<ToBroker>,
    spans: Arc<Spans>,
}

impl Enrich for Adding {
    fn is_wanted(&self) -> bool {
        self.hooks.load().has(Point::EnrichSpan)
    }

    fn enrich(&self, spans: &mut [Ended]) {
        let mut room = MESSAGES_MAX;
        let mut seen: Vec<SpanRecord> = spans.iter().map(|s| self.seen(s, &mut room)).collect();
        self.hooks.load().enrich_span(&mut seen);
        for (span, seen) in spans.iter_mut().zip(seen) {
            let added = seen.attributes().iter().skip(span.attributes.len());
            span.added.extend(added.map(|a| (a.name.clone(), a.value.clone())));
        }
    }
}

impl Adding {
    fn seen(&self, span: &Ended, room: &mut usize) -> SpanRecord {
        let record = &span.record;
        let own = span.attributes.iter().cloned();
        let own = own.map(|(name, value)| Attribute { name, value }).collect();
        let mut seen = SpanRecord::new(span.name.clone(), record.picked.own, record.peer, own);
        seen.parent_span_id = record.picked.parent;
        seen.start_ns = span.start_ns;
        seen.duration_ns = u64::try_from(record.total.time().as_nanos()).unwrap_or(u64::MAX);
        seen.failed = record.has_failed();
        seen.principal = match record.principal.map(|id| self.spans.text(id)) {
            None => Principal::Anonymous,
            Some(name) if name.starts_with(Principal::PLUGIN_PREFIX) => Principal::Plugin(name),
            Some(name) => Principal::User(name),
        };
        self.bring(span, &mut seen, room);
        seen
    }

    /// The message of a span, if it is one that was stored, and there is room for it.
    fn bring(&self, span: &Ended, seen: &mut SpanRecord, room: &mut usize) {
        let record = &span.record;
        let Some((_, Some(offset))) = record.place.filter(|_| record.messages == 1) else { return };
        let Ok(left) = usize::try_from(record.bytes).map(|bytes| room.checked_sub(bytes)) else {
            return;
        };
        let (Some(left), Some(broker)) = (left, self.publisher.broker()) else { return };
        let stored = broker.store().message_at(PhysicalOffset(offset), ColdRead::Allow);
        let Ok(Some(stored)) = stored else { return };
        let Ok(view) = View::parse(&stored) else { return };
        *room = left;
        seen.properties = view.properties.to_owned();
        seen.body = stored.slice_ref(view.body);
    }
}
