//! Requests become spans when they are answered: those that were picked, and those that it turns out were slow or
//! failed. Nothing is put together before that, but for requests that wait for the disk.

use std::net::SocketAddr;
use std::time::Duration;

use blockhouse_hook::{Calls, HookChain, PluginCall};
use blockhouse_meter::spans::{
    CallRecord, Operation, Picked, Record, Role, StageRecord, Ticks, Undecided,
};
use blockhouse_meter::{Meter, Spans};
use blockhouse_model::trace::TRACE_PARENT;
use blockhouse_model::{Clock, Principal, TraceParent};
use blockhouse_protocol::RemotingCommand;
use blockhouse_protocol::codes::{request_code, response_code};
use blockhouse_requests::Asked;

use crate::reply::Outcome;
use crate::{Error, status};

/// A request that may become a span.
pub(crate) struct Traced<'a> {
    spans: &'a Spans,
    turn: u64,
    calls: Option<Calls>,
}

/// The same of one whose answer has to wait.
pub(crate) struct Waiting {
    about: About<Box<str>>,
    turn: u64,
    principal: Principal,
    calls: Vec<PluginCall>,
}

/// What a request says of itself.
#[derive(Clone, Copy)]
struct About<T> {
    code: i32,
    parent: Option<TraceParent>,
    topic: T,
    broker: T,
}

/// How a request went.
pub(crate) struct Ended {
    began: Duration,
    now: Duration,
    peer: SocketAddr,
    code: i32,
    /// It counts as an error.
    has_failed: bool,
    /// What was asked for is not there, which is no error: clients ask for it every few seconds.
    is_absent: bool,
    /// Who sent it may be nobody's user: there is a limit whatever its `traceparent` says.
    is_denied: bool,
    /// It has its span already, or none.
    is_unknown: bool,
}

impl Ended {
    /// Now.
    pub(crate) fn at(asked: Asked, clock: &dyn Clock, outcome: &Outcome) -> Self {
        let error = outcome.as_ref().err();
        let is_absent =
            matches!(error, Some(Error::NoRoute(_) | Error::NoKey { .. } | Error::NoNamespace(_)));
        Self {
            began: asked.began(),
            now: clock.monotonic(),
            peer: asked.peer(),
            code: error.map_or(response_code::SUCCESS, status::response_code),
            has_failed: error.is_some() && !is_absent,
            is_absent,
            is_denied: matches!(
                error,
                Some(Error::Refused(_) | Error::NotAuthenticated(_) | Error::BodyTooLong { .. })
            ),
            is_unknown: matches!(error, Some(Error::UnknownCode(_))),
        }
    }
}

impl<'a> About<&'a str> {
    fn of(spans: &Spans, command: &'a RemotingCommand) -> Self {
        let field = |name| command.ext.get(name).unwrap_or_default();
        let parent = command.ext.get(TRACE_PARENT).and_then(|text| parent(spans, text));
        Self { code: command.code, parent, topic: field("topic"), broker: field("brokerName") }
    }
}

/// The span that a request says it belongs to. What it says and is none is counted.
fn parent(spans: &Spans, text: &str) -> Option<TraceParent> {
    let parent = TraceParent::parse(text);
    if parent.is_none() && !TraceParent::is_unsampled(text) {
        spans.counts.invalid.add(1);
    }
    parent
}

impl<'a> Traced<'a> {
    /// Begins, if anything is recorded.
    pub(crate) fn begin(meter: &'a Meter, hooks: &HookChain) -> Option<Self> {
        let spans = &**meter.spans()?;
        let calls = (!hooks.is_empty()).then(Calls::begin);
        Some(Self { spans, turn: spans.turns(1), calls })
    }

    /// Its answer has to wait.
    pub(crate) fn later(self, command: &RemotingCommand, principal: Principal) -> Waiting {
        let About { code, parent, topic, broker } = About::of(self.spans, command);
        let about = About { code, parent, topic: topic.into(), broker: broker.into() };
        let calls = self.calls.map(|calls| calls.read(<[PluginCall]>::to_vec)).unwrap_or_default();
        Waiting { about, turn: self.turn, principal, calls }
    }

    /// It is answered now: its span, if it becomes one.
    pub(crate) fn end(
        self,
        command: &RemotingCommand,
        principal: &Principal,
        ended: &Ended,
    ) -> Option<TraceParent> {
        let record = |calls: &[PluginCall]| {
            let about = About::of(self.spans, command);
            record(self.spans, (about, self.turn, principal), calls, ended)
        };
        match &self.calls {
            Some(calls) => calls.read(record),
            None => record(&[]),
        }
    }
}

impl Waiting {
    /// It is answered now: its span, if it becomes one.
    pub(crate) fn end(&self, spans: &Spans, ended: &Ended) -> Option<TraceParent> {
        let About { code, parent, topic, broker } = &self.about;
        let about = About { code: *code, parent: *parent, topic: &**topic, broker: &**broker };
        record(spans, (about, self.turn, &self.principal), &self.calls, ended)
    }
}

fn record(
    spans: &Spans,
    (about, turn, principal): (About<&str>, u64, &Principal),
    calls: &[PluginCall],
    ended: &Ended,
) -> Option<TraceParent> {
    let has_failed_call = calls.iter().any(|call| call.failure.is_some());
    let picked = pick(spans, (about, turn), has_failed_call, ended)?;
    push_calls(spans, picked, calls);
    let operation = Operation::Request(spans.name(request_code::name(about.code)));
    let topic = spans.name(about.topic);
    let is_kept = spans.push(Record::Stages(StageRecord {
        role: Role::NameServer,
        total: Ticks::of(ended.now.saturating_sub(ended.began)),
        principal: spans.principal(principal),
        broker: (!about.broker.is_empty()).then(|| spans.name(about.broker)),
        code: ended.code,
        is_absent: ended.is_absent,
        ..StageRecord::new(picked, operation, ended.began, ended.peer, topic)
    }));
    is_kept.then_some(picked.own)
}

fn pick(
    spans: &Spans,
    (about, turn): (About<&str>, u64),
    has_failed_call: bool,
    ended: &Ended,
) -> Option<Picked> {
    // Whoever counts it records it as well.
    if ended.is_unknown {
        return None;
    }
    let undecided = Undecided { turn, at: ended.now, topic: about.topic, group: "" };
    let picked = if ended.is_denied { None } else { spans.pick(about.parent, &undecided) };
    picked.or_else(|| {
        let total = ended.now.saturating_sub(ended.began);
        let plugin = has_failed_call.then(|| spans.reconsider_failed_call()).flatten();
        let reason = plugin.or_else(|| spans.reconsider(total, ended.has_failed))?;
        spans.picked_within(about.parent, reason, ended.now)
    })
}

/// What plugins were asked, as children of the request's span.
fn push_calls(spans: &Spans, picked: Picked, calls: &[PluginCall]) {
    for call in calls {
        spans.push(Record::Call(CallRecord {
            role: Role::NameServer,
            own: spans.below(picked.own),
            parent: picked.own.span_id,
            plugin: spans.name(call.plugin()),
            hook: call.hook,
            verdict: call.verdict,
            failure: call.failure,
            is_shadow: call.is_shadow,
            messages: u32::try_from(call.messages).unwrap_or(u32::MAX),
            began: call.began,
            took: Ticks::of(call.took),
        }));
    }
}
