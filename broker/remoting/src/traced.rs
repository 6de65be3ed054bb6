//! Sends become spans when they are answered: those that were picked, and those that it turns out were
//! slow or failed.

use std::time::Duration;

use blockhouse_core::Broker;
use blockhouse_core::send::Traced;
use blockhouse_meter::Spans;
use blockhouse_meter::spans::{Key, Operation, Reason, Role, StageRecord, Stages, Ticks};
use blockhouse_model::{QueueId, TraceParent, properties};
use blockhouse_protocol::codes::{request_code, response_code};
use blockhouse_protocol::header::send::SendMessage;
use blockhouse_protocol::{RemotingCommand, batch};
use blockhouse_store::Placed;

/// The end of a burst.
pub(crate) struct Finish<'a> {
    spans: &'a Spans,
    traced: &'a Traced,
    /// The records of requests that are not answered yet.
    picked: &'a [(usize, StageRecord)],
    /// The next request that the core has seen.
    request: usize,
    total: Duration,
    flush: Ticks,
    /// Why all of them are recorded, if they are.
    slow: Option<Reason>,
}

impl<'a> Finish<'a> {
    /// Looks at the clock, if anything may be recorded. `waited` for the disk or not.
    pub(crate) fn begin(
        broker: &'a Broker,
        traced: Option<&'a Traced>,
        waited: bool,
    ) -> Option<Self> {
        let (spans, traced) = (broker.spans()?, traced?);
        let now = broker.clock().monotonic();
        let total = now.saturating_sub(traced.began);
        let flush = now.saturating_sub(traced.placed);
        Some(Self {
            spans,
            traced,
            picked: &traced.records,
            request: 0,
            total,
            flush: if waited { Ticks::of(flush) } else { Ticks::default() },
            slow: spans.reconsider(total, false),
        })
    }

    /// The next request that the core has seen is answered with `code`: its span, if it becomes one.
    pub(crate) fn answered(
        &mut self,
        command: &RemotingCommand,
        code: i32,
        placed: &[Placed],
    ) -> Option<TraceParent> {
        let request = self.request;
        self.request += 1;
        match self.picked.split_first() {
            Some(((number, record), rest)) if *number == request => {
                self.picked = rest;
                self.push(request, *record, (code, placed))
            }
            _ if code != response_code::SUCCESS
                || self.slow.is_some()
                || self.traced.has_failed_call(request) =>
            {
                self.late(request, command, (code, placed))
            }
            _ => None,
        }
    }

    /// The span, unless there is no room for it: what is told of it would lead nowhere.
    fn push(
        &self,
        request: usize,
        record: StageRecord,
        (code, placed): (i32, &[Placed]),
    ) -> Option<TraceParent> {
        self.traced.push_calls(self.spans, request, record.picked);
        self.traced.push_links(self.spans, request);
        let stages = Stages { flush: self.flush, ..record.stages };
        let record = StageRecord { code, stages, total: Ticks::of(self.total), ..record };
        let end = placed.last().map(|last| last.end().0);
        self.spans.push_stored(record, end).then_some(record.picked.own)
    }

    /// The span that the request belongs to, as the core would say.
    fn parent(&self, command: &RemotingCommand, header: &SendMessage<'_>) -> Option<TraceParent> {
        let envelope = self.spans.parent(header.properties);
        let is_batch = command.code == request_code::SEND_BATCH_MESSAGE || header.batch;
        if !is_batch || envelope.is_some_and(|envelope| envelope.sampled) {
            return envelope;
        }
        let inner = batch::messages(&command.body).map_while(Result::ok);
        let mut inner = inner.filter_map(|message| self.spans.parent(message.properties));
        inner.find(|span| span.sampled).or(envelope)
    }

    /// What nobody has looked at so far: it failed before its turn, or was slow, or a plugin failed.
    fn late(
        &self,
        request: usize,
        command: &RemotingCommand,
        (code, placed): (i32, &[Placed]),
    ) -> Option<TraceParent> {
        let header = SendMessage::parse(&command.ext).ok()?;
        let failed = code != response_code::SUCCESS;
        let parent = self.parent(command, &header);
        let is_wanted = parent.is_some_and(|parent| parent.sampled);
        let picked = if is_wanted {
            Some(self.spans.picked(parent, Reason::Parent))
        } else {
            let plugin = self.traced.has_failed_call(request);
            let plugin = plugin.then(|| self.spans.reconsider_failed_call()).flatten();
            let reason = plugin.or_else(|| self.spans.reconsider(self.total, failed));
            let at = self.traced.began + self.total;
            reason.and_then(|reason| self.spans.picked_within(parent, reason, at))
        };
        let picked = picked?;
        let mut stages = self.traced.stages;
        if placed.is_empty() {
            stages.append = Ticks::default();
        }
        let key = properties::find(header.properties, properties::UNIQUE_KEY);
        let record = StageRecord {
            picked,
            operation: Operation::Send,
            began: self.traced.began,
            total: Ticks::default(),
            stages,
            peer: self.traced.peer,
            principal: self.spans.principal(&self.traced.principal),
            code,
            is_absent: false,
            topic: self.spans.name(header.topic),
            group: None,
            broker: None,
            role: Role::Broker,
            queue: QueueId::from_i32(header.queue_id).map(|queue| queue.0),
            key: Key::of(key.unwrap_or_default()),
            messages: u32::try_from(placed.len()).unwrap_or(u32::MAX).max(1),
            bytes: placed.iter().map(|place| u64::from(place.size)).sum(),
            place: placed.first().map(|p| (p.queue_offset.0, Some(p.physical_offset.0))),
            delay_level: 0,
        };
        self.push(request, record, (code, placed))
    }
}
