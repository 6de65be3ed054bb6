//! Sends that are recorded as spans: decided while they are planned, filled in once they are placed.

use std::net::SocketAddr;
use std::time::Duration;

use blockhouse_hook::{Calls, PluginCall};
use blockhouse_meter::Spans;
use blockhouse_meter::spans::{Key, Operation, Picked, StageRecord, Stages, Ticks, Undecided};
use blockhouse_model::{Principal, TraceParent};
use blockhouse_store::Placed;

use super::shape::Plan;
use super::{Content, Send, Times};
use crate::traced::{Asked, push_calls};
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

/// The span that a batch's messages belong to: its envelope's, or the first that is sampled.
pub(super) fn of_batch(
    spans: &Spans,
    send: &Send<'_>,
    inner: Option<TraceParent>,
) -> Option<TraceParent> {
    match send.content {
        Content::One(_) => inner,
        Content::Batch(_) => spans.parent(send.properties).or(inner),
    }
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
        let mut records = Vec::with_capacity(picks.len());
        for Pick { request, picked } in picks {
            let (Some(Ok(accepted)), Some(send)) = (plan.outcomes.get(request), sends.get(request))
            else {
                continue;
            };
            let messages = plan.messages.get(accepted.placed.clone()).unwrap_or_default();
            let places = placed.get(accepted.placed.clone()).unwrap_or_default();
            for (message, place) in messages.iter().zip(places) {
                let (topic, queue) = (message.topic(), message.queue.0);
                let at = (place.queue_offset.0, place.physical_offset.0);
                spans.remember(topic, queue, at, picked.context());
            }
            let record = StageRecord {
                picked,
                operation: Operation::Send,
                began,
                total: Ticks::default(),
                stages,
                peer: caller.cx.peer,
                principal: spans.principal(&caller.cx.principal),
                code: 0,
                topic: spans.name(send.topic),
                group: None,
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
        Some(Traced { began, placed: at, stages, peer, principal, calls, records })
    }
}
