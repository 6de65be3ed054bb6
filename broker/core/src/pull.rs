//! Messages out: admit, read, deliver; or wait until there is something to read.

mod admit;
pub(crate) mod deliver;
mod traced;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use blockhouse_filter::Subscription;
use blockhouse_hook::{Ack, Calls, HookChain, Point, Verdict};
use blockhouse_model::{
    Access, Action, QueueId, QueueOffset, RequestContext, Resource, SubscriptionGroup, TopicConfig,
    TraceParent,
};
use blockhouse_store::{ColdRead, Purpose, ReadOutcome, ReadRequest, ReadStatus};
use bytes::Bytes;
use tokio::time::Instant;

use crate::held::{Held, Woken};
use crate::refusal::Refusal;
use crate::traced::Progress;
use crate::{Broker, Caller, stats, stopping};

/// The longest time a pull may wait, whatever the client asks for.
const SUSPEND_MAX: Duration = Duration::from_secs(120);

/// A consumer's request for messages.
#[derive(Clone, Copy, Debug)]
pub struct Pull<'a> {
    /// The consumer group.
    pub group: &'a str,
    /// The topic.
    pub topic: &'a str,
    /// The queue as the client sent it.
    pub queue: i32,
    /// From where.
    pub offset: i64,
    /// At most so many messages.
    pub messages_max: usize,
    /// At most so many bytes, if the client says.
    pub bytes_max: Option<usize>,
    /// Progress that is committed along the way.
    pub commit: Option<QueueOffset>,
    /// How long to wait for a message; `None` answers at once.
    pub suspend: Option<Duration>,
    /// The filter, if the request carries one; else the group's own is used.
    pub filter: Option<Filter<'a>>,
    /// The version of the subscription that the client has.
    pub sub_version: i64,
}

/// A filter expression as it travels.
#[derive(Clone, Copy, Debug)]
pub struct Filter<'a> {
    /// The expression.
    pub expression: &'a str,
    /// `TAG`, `SQL92`, or nothing for `TAG`.
    pub kind: Option<&'a str>,
}

/// How a pull ended; the names are RocketMQ's, which travel as the reply's remark.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PullStatus {
    /// As the store says.
    Read(ReadStatus),
    /// An operator has set the group's progress anew.
    OffsetReset,
}

/// What a consumer gets.
#[derive(Clone, Debug)]
pub struct PullOutcome {
    /// How it ended.
    pub status: PullStatus,
    /// Whether the request was for the queue's very beginning.
    pub from_zero: bool,
    /// Where to go on.
    pub next: QueueOffset,
    /// The queue's first offset.
    pub min: QueueOffset,
    /// The queue's end.
    pub max: QueueOffset,
    /// The records, as stored, in slices of the log.
    pub slices: Vec<Bytes>,
    /// The broker id to ask next time.
    pub suggested_broker: u64,
    /// The topic's system flag.
    pub topic_sys_flag: u32,
    /// The group's system flag.
    pub group_sys_flag: i32,
    /// The span that it became.
    pub span: Option<TraceParent>,
}

/// A pull's answer, or the promise of one.
pub enum Pulled {
    /// Here it is.
    Now(Result<PullOutcome, Refusal>),
    /// It waits for the disk. Dropping the future gives the pull up.
    Later(PullAnswer),
    /// It waits for messages; the same.
    Held(PullAnswer),
}

/// The answer to a pull that waits.
pub type PullAnswer = Pin<Box<dyn Future<Output = Result<PullOutcome, Refusal>> + Send>>;

/// What was read, and what was noted of it for spans.
type Read = (ReadOutcome, Option<traced::Reading>);

/// An admitted pull.
#[derive(Clone)]
struct Plan {
    cx: RequestContext,
    topic: Arc<TopicConfig>,
    group: Arc<SubscriptionGroup>,
    queue: QueueId,
    offset: QueueOffset,
    /// The client asked for an offset below 0.
    negative: bool,
    messages_max: usize,
    bytes_max: usize,
    suspend: Option<Duration>,
    subscription: Arc<Subscription>,
    /// How often waiting pulls had been questioned when this one was allowed.
    questions: usize,
}

impl Broker {
    /// Answers a pull, or promises to.
    #[must_use]
    pub fn pull(self: &Arc<Self>, caller: Caller<'_>, pull: &Pull<'_>) -> Pulled {
        let hooks = caller.hooks;
        let plan = match self.admit_pull(caller, pull) {
            Ok(plan) => plan,
            Err(refusal) => {
                self.record_denied(caller.cx, pull, &refusal);
                return Pulled::Now(Err(refusal));
            }
        };
        if let Some(offset) = pull.commit {
            self.commit_pulled(&plan, hooks, offset);
        }
        if let Some(outcome) = self.moved_by_operator(&plan) {
            return Pulled::Now(Ok(outcome));
        }
        if plan.negative {
            return Pulled::Now(Ok(self.nothing(&plan, ReadStatus::OffsetTooSmall, None)));
        }
        let (read, noted) = self.read(&plan, hooks, ColdRead::Refuse);
        if read.status == ReadStatus::WouldBlock {
            let (broker, hooks) = (Arc::clone(self), Arc::clone(hooks));
            return Pulled::Later(Box::pin(async move { broker.read_cold(plan, hooks).await }));
        }
        match plan.suspend {
            Some(time) if is_empty(&plan, read.status) => self.hold(plan, time),
            _ => Pulled::Now(self.deliver(&plan, hooks, (read, noted))),
        }
    }

    /// Reads for the hooks that are going to see it, and no others: what is lent must not be looked
    /// at.
    fn read(&self, plan: &Plan, hooks: &HookChain, cold: ColdRead) -> Read {
        let is_seen = hooks.has(Point::BeforeDeliver);
        let request = ReadRequest {
            topic: &plan.topic.name,
            queue: plan.queue,
            from: plan.offset,
            max_messages: plan.messages_max,
            max_bytes: plan.bytes_max,
            cold,
            purpose: if is_seen { Purpose::Look } else { Purpose::Send },
        };
        let mut wants = |tags_code: i64| plan.subscription.matches_code(tags_code);
        let mut noted = self.begin_reading();
        let read = match (&mut noted, self.spans()) {
            (Some(noted), Some(spans)) => {
                self.store().read(&request, &mut noted.noting(spans, plan, wants))
            }
            _ => self.store().read(&request, &mut wants),
        };
        (read, noted)
    }

    /// Reads on a thread that may wait for the disk, once it is this pull's turn.
    async fn read_cold(
        self: Arc<Self>,
        plan: Plan,
        hooks: Arc<HookChain>,
    ) -> Result<PullOutcome, Refusal> {
        let (broker, connection) = (Arc::clone(&self), plan.cx.connection);
        let read = move || {
            let read = broker.read(&plan, &hooks, ColdRead::Allow);
            // The disk may have taken its time.
            still_allowed(&plan, &hooks)?;
            broker.deliver(&plan, &hooks, read)
        };
        self.cold_reads.read(connection, read).await?
    }

    /// Parks a pull until its queue moves or its time is over.
    fn hold(self: &Arc<Self>, plan: Plan, time: Duration) -> Pulled {
        let time = if self.config().long_polling {
            time.min(SUSPEND_MAX)
        } else {
            Duration::from_millis(self.config().short_polling_ms)
        };
        let held = self.enter(&plan);
        let broker = Arc::clone(self);
        Pulled::Held(Box::pin(async move {
            broker.wait(&plan, held, Instant::now() + time).await?;
            if let Some(outcome) = broker.moved_by_operator(&plan) {
                return Ok(outcome);
            }
            // It may have waited for minutes: what goes out is for the chain in force now, and the
            // one that let it wait was not kept alive for it.
            let hooks = broker.hooks().load_full();
            let read = broker.read(&plan, &hooks, ColdRead::Refuse);
            if read.0.status == ReadStatus::WouldBlock {
                return broker.read_cold(plan, hooks).await;
            }
            still_allowed(&plan, &hooks)?;
            broker.deliver(&plan, &hooks, read)
        }))
    }

    fn enter(&self, plan: &Plan) -> Held {
        let (topic, subscription) = (plan.topic.name.clone(), Arc::clone(&plan.subscription));
        self.held().enter(topic, plan.queue, plan.offset, subscription)
    }

    /// Waits until there is something to read, or until `deadline`; not for whom it is taken back
    /// meanwhile.
    async fn wait(&self, plan: &Plan, held: Held, deadline: Instant) -> Result<(), Refusal> {
        let mut held = held;
        loop {
            // What was taken back before the entry could not question it.
            let hooks = self.hooks().load_full();
            if self.held().questions() == plan.questions {
                reaffirm(plan, &hooks)?;
            } else {
                still_allowed(plan, &hooks)?;
            }
            drop(hooks);
            // A message may have come between the read and the entry.
            if self.store().max_offset(&plan.topic.name, plan.queue) > plan.offset {
                return Ok(());
            }
            // Answered as if nothing were there, a client would ask again at once, and wait in vain
            // for what a connection that is about to end does not tell it: Java's of 4.9 for 30 s.
            if self.held().has_ended() {
                return Err(stopping());
            }
            let woken = held.wait_until(deadline).await;
            if woken != Woken::Questioned && !self.held().has_ended() {
                return Ok(());
            }
            held = self.enter(plan);
        }
    }

    /// The answer to the first pull after an operator set the group's progress anew.
    fn moved_by_operator(&self, plan: &Plan) -> Option<PullOutcome> {
        let next = self.offsets().take_reset(&plan.group.name, &plan.topic.name, plan.queue)?;
        let moved = self.nothing(plan, ReadStatus::NoMatch, Some(next));
        Some(PullOutcome { status: PullStatus::OffsetReset, ..moved })
    }

    /// An answer without messages, which sends the consumer to `next` or the queue's beginning.
    fn nothing(&self, plan: &Plan, status: ReadStatus, next: Option<QueueOffset>) -> PullOutcome {
        let min = self.store().min_offset(&plan.topic.name, plan.queue);
        let read = ReadOutcome {
            status,
            next: next.unwrap_or(min),
            min,
            max: self.store().max_offset(&plan.topic.name, plan.queue),
            slices: Vec::new(),
            count: 0,
            bytes: 0,
            behind: 0,
        };
        outcome_of(plan, read)
    }

    fn commit_pulled(&self, plan: &Plan, hooks: &HookChain, offset: QueueOffset) {
        let (group, topic, queue) = (&plan.group.name, &plan.topic.name, plan.queue);
        // A pull that brings progress is answered with messages, and not with what became of it.
        if !self.commit(&plan.cx, Progress { group, topic, queue, offset }) {
            return;
        }
        if hooks.has(Point::Ack) {
            let ack = Ack { group, topic, queue, offset };
            hooks.ack(&plan.cx, &ack);
        }
    }

    fn deliver(
        &self,
        plan: &Plan,
        hooks: &Arc<HookChain>,
        (read, noted): Read,
    ) -> Result<PullOutcome, Refusal> {
        let is_seen = hooks.has(Point::BeforeDeliver) && read.status == ReadStatus::Found;
        let calls = (is_seen && noted.is_some()).then(Calls::begin);
        let read = match is_seen.then(|| deliver::through_hooks(plan, hooks, &read)) {
            None => read,
            Some(Ok(left)) => left,
            Some(Err(rejection)) => {
                let refusal = Refusal::from(rejection);
                if let Some(noted) = &noted {
                    self.record_delivered(plan, noted, &read, (calls.as_ref(), Some(&refusal)));
                }
                return Err(refusal);
            }
        };
        self.offsets().pulled(&plan.group.name, &plan.topic.name, plan.queue, read.next);
        if read.count > 0 {
            let volume = stats::Volume { messages: read.count as u64, bytes: read.bytes as u64 };
            self.stats().group_get(&plan.topic.name, &plan.group.name, volume);
        }
        let span = noted
            .and_then(|noted| self.record_delivered(plan, &noted, &read, (calls.as_ref(), None)));
        Ok(PullOutcome { span, ..outcome_of(plan, read) })
    }
}

/// Asks for what a consumer must be allowed to do.
fn authorize(caller: Caller<'_>, topic: &str, group: &str) -> Result<(), Refusal> {
    let sub = |resource| Access { action: Action::Sub, resource };
    caller.authorize(&[sub(Resource::Topic(topic)), sub(Resource::Group(group))])?;
    caller.authorize_waiting(topic)
}

/// Asks anew for a pull that has waited: nothing goes out for what was taken back meanwhile.
fn still_allowed(plan: &Plan, hooks: &Arc<HookChain>) -> Result<(), Refusal> {
    reaffirm(plan, hooks)?;
    let caller = Caller { cx: &plan.cx, hooks };
    authorize(caller, &plan.topic.name, &plan.group.name)
}

fn reaffirm(plan: &Plan, hooks: &HookChain) -> Result<(), Refusal> {
    match hooks.reaffirm(&plan.cx) {
        Verdict::Continue => Ok(()),
        Verdict::Reject(rejection) => Err(rejection.into()),
    }
}

/// Whether there is nothing yet, so that waiting may help.
fn is_empty(plan: &Plan, status: ReadStatus) -> bool {
    match status {
        ReadStatus::OffsetOverflowOne | ReadStatus::OffsetFoundNull => true,
        ReadStatus::NoSuchQueue | ReadStatus::NoMessages => plan.offset == QueueOffset::ZERO,
        _ => false,
    }
}

fn outcome_of(plan: &Plan, read: ReadOutcome) -> PullOutcome {
    PullOutcome {
        status: PullStatus::Read(read.status),
        from_zero: plan.offset == QueueOffset::ZERO,
        next: read.next,
        min: read.min,
        max: read.max,
        slices: read.slices,
        suggested_broker: plan.group.broker_id,
        topic_sys_flag: plan.topic.sys_flag,
        group_sys_flag: plan.group.sys_flag,
        span: None,
    }
}
