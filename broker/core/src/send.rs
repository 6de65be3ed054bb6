//! Messages in: admit, shape, append; the ticket that comes back settles.
//!
//! Works on bursts: everything here runs once for all messages that one read of a connection
//! brought, so hooks see batches and the append lock is taken once.

mod admit;
mod marks;
mod properties;
mod shape;
mod traced;

use std::borrow::Cow;
use std::time::Duration;

use blockhouse_hook::{Appended, Calls, Point};
use blockhouse_model::{MessageId, QueueId, RequestContext, SysFlag};
use blockhouse_record::Draft;
use blockhouse_store::{AppendError, Placed, Placement};

pub(crate) use marks::Marks;
pub(crate) use properties::Stamp;
pub use traced::Traced;

use crate::refusal::{Refusal, RefusalKind};
use crate::{Broker, Caller};
use shape::Planned;

/// One request to store messages.
#[derive(Clone, Debug)]
pub struct Send<'a> {
    /// The producer's group.
    pub producer_group: &'a str,
    /// The topic.
    pub topic: &'a str,
    /// The topic whose settings a new topic takes (usually `TBW102`).
    pub default_topic: &'a str,
    /// How many queues the client wants a new topic to have.
    pub default_topic_queues: u32,
    /// The queue; `None` lets the broker pick.
    pub queue: Option<QueueId>,
    /// System flags as the client set them.
    pub sys_flag: SysFlag,
    /// The user's flag.
    pub flag: i32,
    /// The client's time of sending.
    pub born_timestamp: i64,
    /// The property text.
    pub properties: &'a str,
    /// How often the message was delivered before (clients that send back by themselves).
    pub reconsume_times: i32,
    /// How often it may be, if the client has its own idea.
    pub max_reconsume_times: Option<i32>,
    /// RocketMQ's unit mode.
    pub unit_mode: bool,
    /// The message, or several of one queue.
    pub content: Content<'a>,
}

impl<'a> Send<'a> {
    /// How many messages the request brings.
    #[must_use]
    pub fn count(&self) -> usize {
        match &self.content {
            Content::One(_) => 1,
            Content::Batch(items) => items.len(),
        }
    }

    /// The messages that the request brings.
    pub(super) fn messages(&self) -> impl Iterator<Item = BatchItem<'a>> {
        let (one, several) = match &self.content {
            Content::One(body) => {
                let (flag, properties) = (self.flag, self.properties);
                (Some(BatchItem { flag, body, properties }), [].as_slice())
            }
            Content::Batch(items) => (None, items.as_slice()),
        };
        one.into_iter().chain(several.iter().copied())
    }
}

/// What is to be stored.
#[derive(Clone, Debug)]
pub enum Content<'a> {
    /// One message's body.
    One(&'a [u8]),
    /// Several messages, stored as one run of one queue.
    Batch(Vec<BatchItem<'a>>),
}

/// One message of a batch.
#[derive(Clone, Copy, Debug)]
pub struct BatchItem<'a> {
    /// The user's flag.
    pub flag: i32,
    /// The body.
    pub body: &'a [u8],
    /// The property text.
    pub properties: &'a str,
}

/// A request that was carried out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Accepted<'a> {
    /// The queue the client is told.
    pub queue: QueueId,
    /// Where the messages are in [`Sent::placed`]; empty if a hook dropped them.
    pub placed: std::ops::Range<usize>,
    /// The (first) message's unique key.
    pub unique_key: Cow<'a, str>,
}

/// When a burst got on, on the monotonic clock.
#[derive(Clone, Copy, Debug)]
pub struct Times {
    /// Its messages were ready to be placed.
    pub shaped: Duration,
    /// They had their places.
    pub placed: Duration,
}

/// What became of a burst of requests.
pub struct Sent<'a> {
    /// One outcome per request, in order.
    pub outcomes: Vec<Result<Accepted<'a>, Refusal>>,
    /// The places of all stored messages.
    pub placed: Vec<Placed>,
    /// To be settled by whoever answers ([`blockhouse_store::Store::settle`]); `None` if nothing is
    /// to be stored.
    pub placement: Option<Placement>,
    /// A message went to a topic that is not on disk yet: whoever answers waits for
    /// [`Broker::keep_new_topics`] first.
    pub new_topic: bool,
    /// When it got on; `None` where nobody wants to know.
    pub times: Option<Times>,
    /// What is recorded of it; `None` where nothing is.
    pub traced: Option<Traced>,
}

impl Broker {
    /// Gives the messages of a burst their places in the log.
    #[must_use]
    pub fn send<'a>(&self, caller: Caller<'_>, sends: &[Send<'a>]) -> Sent<'a> {
        let Caller { cx, hooks } = caller;
        let burst = self.begin_burst(sends.len());
        let calls = burst.as_ref().filter(|_| !hooks.is_empty()).map(|_| Calls::begin());
        let topics = self.admit_all(caller, sends, calls.as_ref());
        let mut plan = self.shape(caller, sends, topics, burst);
        let burst = plan.burst.take();
        let is_timed = burst.is_some() || self.times_sends();
        let shaped = is_timed.then(|| self.clock().monotonic());

        let mut placed = Vec::with_capacity(plan.messages.len());
        let placement = match self.append(cx, &plan.messages, &plan.texts, &mut placed) {
            Ok(placement) => placement,
            Err(refusal) => {
                plan.refuse_admitted(&refusal);
                None
            }
        };
        let times = shaped.map(|shaped| Times { shaped, placed: self.clock().monotonic() });
        let traced = burst.zip(times).and_then(|(burst, times)| {
            let burst = (burst, calls.as_ref(), times);
            self.record_placed(caller, burst, (sends, &plan, &placed))
        });
        if hooks.has(Point::AfterAppend) && !placed.is_empty() {
            self.tell_appended(caller, &plan.messages, &plan.texts, &placed);
        }
        let stored = plan.messages.iter().zip(&placed);
        self.stats().put(stored.map(|(message, at)| (message.topic(), message.kind, at.size)));
        // A delayed message is stored in another topic than the one it made.
        let mut asked = sends.iter().map(|send| send.topic);
        let new_topic = plan.messages.iter().any(|m| self.topics().is_unsaved(m.topic()))
            || asked.any(|topic| self.topics().is_unsaved(topic));
        Sent { outcomes: plan.outcomes, placed, placement, new_topic, times, traced }
    }

    fn append(
        &self,
        cx: &RequestContext,
        messages: &[Planned<'_>],
        texts: &str,
        placed: &mut Vec<Placed>,
    ) -> Result<Option<Placement>, Refusal> {
        if messages.is_empty() {
            return Ok(None);
        }
        let drafts: Vec<Draft<'_>> =
            messages.iter().map(|m| m.draft(texts, cx.peer, self.identity().store_host)).collect();
        self.store().place(&drafts, placed).map(Some).map_err(|error| refused_append(&error))
    }

    fn tell_appended(
        &self,
        caller: Caller<'_>,
        messages: &[Planned<'_>],
        texts: &str,
        placed: &[Placed],
    ) {
        let appended: Vec<Appended<'_>> = messages
            .iter()
            .zip(placed)
            .map(|(message, placed)| Appended {
                topic: message.topic(),
                queue: message.queue,
                queue_offset: placed.queue_offset,
                id: MessageId { host: self.identity().store_host, offset: placed.physical_offset },
                body_len: message.body.len(),
                properties: message.properties(texts),
            })
            .collect();
        caller.hooks.after_append(caller.cx, &appended);
    }
}

/// What a producer is told when the store takes nothing. The kinds decide whether clients try
/// another broker: they do for `ServiceNotAvailable`, `SystemBusy` and `SystemError`.
pub(crate) fn refused_append(error: &AppendError) -> Refusal {
    let kind = match error {
        AppendError::Busy => RefusalKind::SystemBusy,
        AppendError::DiskFull
        | AppendError::Disk(_)
        | AppendError::Closed
        | AppendError::Poisoned => RefusalKind::ServiceNotAvailable,
        AppendError::Illegal { .. } | AppendError::TooLarge { .. } => RefusalKind::MessageIllegal,
        _ => RefusalKind::SystemError,
    };
    Refusal::new(kind, error.to_string())
}
