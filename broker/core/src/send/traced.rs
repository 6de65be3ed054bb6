//! Sends that are recorded as spans: decided while they are planned, filled in once they are placed.

use std::net::SocketAddr;
use std::time::Duration;

use blockhouse_hook::{Calls, PluginCall};
use blockhouse_meter::Spans;
use blockhouse_meter::spans::{
    Key, Link, NameId, Operation, Picked, Record, Role, StageRecord, Stages, Ticks, Undecided,
};
use blockhouse_model::{Principal, TraceParent};
use blockhouse_store::Placed;

use super::shape::{Plan, Planned};
use super::{Content, Send, Times};
use crate::traced::{Asked, LINKS_MAX, push_calls};
use crate::{Broker, Caller};

/// A burst whose sends may be recorded.
pub(super) struct Burst {
    began: Duration,
    /// The turn of its first request.
    turn: u64,
    picks: Vec<Pick>,
}

/// A request that is recorded.
struct Pick {
    request: usize,
    picked: Picked,
}

/// What is known of a burst's spans when it has its places.
pub struct Traced {
    /// When the burst began, on the monotonic clock.
    pub began: Duration,
    /// When its messages had their places.
    pub placed: Duration,
    /// What the time went to until then.
    pub stages: Stages,
    /// From where it came.
    pub peer: SocketAddr,
    /// Who sent it.
    pub principal: Principal,
    /// What plugins were asked, if anything is or will be recorded.
    calls: Vec<PluginCall>,
    /// Further spans that messages of batches belong to, with the numbers of their requests, in order.
    links: Vec<(usize, Link)>,
    /// The requests that are recorded, by their numbers, in order. What comes after the places is still
    /// to be filled in.
    pub records: Vec<(usize, StageRecord)>,
}

impl Traced {
    /// Of sends that are refused before the core sees them.
    #[must_use]
    pub const fn unseen(began: Duration, peer: SocketAddr) -> Self {
        Self {
            began,
            placed: began,
            stages: Stages {
                admit: Ticks::from_number(0),
                hooked: false,
                append: Ticks::from_number(0),
                flush: Ticks::from_number(0),
            },
            peer,
            principal: Principal::Anonymous,
            calls: Vec::new(),
            links: Vec::new(),
            records: Vec::new(),
        }
    }

    /// Whether a plugin failed at this request.
    #[must_use]
    pub fn has_failed_call(&self, request: usize) -> bool {
        self.calls.iter().any(|call| call.failure.is_some() && call.is_of(request))
    }

    /// Records what plugins were asked for this request, whose span is `picked`.
    pub fn push_calls(&self, spans: &Spans, request: usize, picked: Picked) {
        let calls = self.calls.iter().filter(|call| call.is_of(request));
        push_calls(spans, (picked, Asked::InHooks), calls);
    }

    /// Links the span of this request with those that messages of its batch belong to.
    pub fn push_links(&self, spans: &Spans, request: usize) {
        let first = self.links.partition_point(|(of, _)| *of < request);
        let links = self.links.get(first..).unwrap_or_default();
        for (_, link) in links.iter().take_while(|(of, _)| *of == request) {
            spans.push(Record::Link(*link));
        }
    }
}

impl Burst {
    /// Decides on the next request, whose first message with a span names this one.
    pub(super) fn decide(
        &mut self,
        spans: &Spans,
        (request, send): (usize, &Send<'_>),
        parent: Option<TraceParent>,
    ) {
        let turn = self.turn.wrapping_add(request as u64);
        let (topic, group) = (send.topic, send.producer_group);
        let undecided = Undecided { turn, at: self.began, topic, group };
        if let Some(picked) = spans.pick(parent, &undecided) {
            self.picks.push(Pick { request, picked });
        }
    }
}

/// What plugins were asked, where something is recorded that shows it; `is_seen`: whatever they said.
fn kept_calls(spans: &Spans, calls: &Calls, is_seen: bool) -> Vec<PluginCall> {
    let is_kept = is_seen || (calls.has_failure() && spans.reconsider_failed_call().is_some());
    if is_kept { calls.read(<[PluginCall]>::to_vec) } else { Vec::new() }
}

/// The span that a request belongs to: of a batch its envelope's, if that is sampled, or its first message's that is.
/// `inner` is the latter, or what the first one says.
pub(super) fn of_batch(
    spans: &Spans,
    send: &Send<'_>,
    inner: Option<TraceParent>,
) -> Option<TraceParent> {
    match send.content {
        Content::One(_) => inner,
        Content::Batch(_) => match spans.parent(send.properties) {
            Some(envelope) if envelope.sampled => Some(envelope),
            envelope => inner.filter(|inner| inner.sampled).or(envelope).or(inner),
        },
    }
}

/// What the messages of a request belong to from now on.
struct Inherited {
    /// Those that say nothing.
    whole: TraceParent,
    /// Whether each may say something of its own.
    is_batch: bool,
}

impl Inherited {
    fn of(spans: &Spans, send: &Send<'_>, picked: &Picked) -> Self {
        let is_batch = matches!(send.content, Content::Batch(_));
        let is_envelopes = |parent: TraceParent| parent.span_id == picked.parent;
        // The span of one message in a batch is no other's.
        let is_told = !is_batch || spans.parent(send.properties).is_some_and(is_envelopes);
        Self { whole: if is_told { picked.context() } else { picked.own }, is_batch }
    }

    /// The span of a message with these properties; `None` if its sender does not record it.
    fn by(&self, spans: &Spans, properties: &str) -> Option<TraceParent> {
        let own = if self.is_batch { spans.parent(properties) } else { None };
        Some(own.unwrap_or(self.whole)).filter(|span| span.sampled)
    }
}

/// Remembers the spans of a request's messages; gives those that its own span is to be linked with.
fn remember(
    spans: &Spans,
    (picked, inherited): (Picked, &Inherited),
    (messages, texts, places): (&[Planned<'_>], &str, &[Placed]),
) -> Vec<Link> {
    let mut links: Vec<Link> = Vec::new();
    for (message, place) in messages.iter().zip(places) {
        let Some(span) = inherited.by(spans, message.properties(texts)) else { continue };
        let at = (place.queue_offset.0, place.physical_offset.0);
        spans.remember(message.topic(), message.queue.0, at, span);
        let is_known =
            |other: TraceParent| (other.trace_id, other.span_id) == (span.trace_id, span.span_id);
        if links.len() < LINKS_MAX
            && !is_known(inherited.whole)
            && !is_known(picked.context())
            && !links.iter().any(|link| is_known(link.to))
        {
            links.push(Link { of: picked.own.span_id, to: span });
        }
    }
    links
}

impl Broker {
    /// Begins to record a burst, if anything is.
    pub(super) fn begin_burst(&self, requests: usize) -> Option<Burst> {
        let turn = self.spans()?.turns(requests);
        Some(Burst { began: self.clock().monotonic(), turn, picks: Vec::new() })
    }

    /// Makes records of the requests that were picked and placed.
    pub(super) fn record_placed(
        &self,
        caller: Caller<'_>,
        (burst, calls, times): (Burst, Option<&Calls>, Times),
        (sends, plan, placed): (&[Send<'_>], &Plan<'_>, &[Placed]),
    ) -> Option<Traced> {
        let (spans, Burst { began, picks, .. }) = (self.spans()?, burst);
        let Times { shaped, placed: at } = times;
        let kept = |calls| {
            let is_seen = !picks.is_empty()
                || plan.outcomes.iter().any(Result::is_err)
                || spans.reconsider(at.saturating_sub(began), false).is_some();
            kept_calls(spans, calls, is_seen)
        };
        let calls = calls.map(kept).unwrap_or_default();
        let stages = Stages {
            admit: Ticks::of(shaped.saturating_sub(began)),
            hooked: !caller.hooks.is_empty(),
            append: Ticks::of(at.saturating_sub(shaped)),
            flush: Ticks::default(),
        };
        let (mut records, mut links) = (Vec::with_capacity(picks.len()), Vec::new());
        let principal = picks.first().and_then(|_| spans.principal(&caller.cx.principal));
        // Most of a burst go to one topic.
        let mut topic: Option<(&str, NameId)> = None;
        for Pick { request, picked } in picks {
            let (Some(Ok(accepted)), Some(send)) = (plan.outcomes.get(request), sends.get(request))
            else {
                continue;
            };
            let messages = plan.messages.get(accepted.placed.clone()).unwrap_or_default();
            let places = placed.get(accepted.placed.clone()).unwrap_or_default();
            let inherited = Inherited::of(spans, send, &picked);
            let found = (messages, plan.texts.as_str(), places);
            let linked = remember(spans, (picked, &inherited), found);
            links.extend(linked.into_iter().map(|link| (request, link)));
            let topic = match topic {
                Some((name, id)) if name == send.topic => id,
                _ => topic.insert((send.topic, spans.name(send.topic))).1,
            };
            let record = StageRecord {
                picked,
                operation: Operation::Send,
                began,
                total: Ticks::default(),
                stages,
                peer: caller.cx.peer,
                principal,
                code: 0,
                is_absent: false,
                topic,
                group: None,
                broker: None,
                role: Role::Broker,
                queue: Some(accepted.queue.0),
                key: Key::of(&accepted.unique_key),
                messages: u32::try_from(send.count()).unwrap_or(u32::MAX),
                bytes: places.iter().map(|place| u64::from(place.size)).sum(),
                place: places.first().map(|p| (p.queue_offset.0, Some(p.physical_offset.0))),
                delay_level: 0,
            };
            records.push((request, record));
        }
        let (peer, principal) = (caller.cx.peer, caller.cx.principal.clone());
        Some(Traced { began, placed: at, stages, peer, principal, calls, links, records })
    }
}
