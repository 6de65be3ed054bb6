//! Delayed messages wait in the schedule topic, one queue per level; here they are set free.

use std::time::Duration;

use blockhouse_model::names::SCHEDULE_TOPIC;
use blockhouse_model::{
    MessageType, QueueId, QueueOffset, Timestamp, TraceParent, properties as name,
};
use blockhouse_record::{Draft, View, records};
use blockhouse_store::{ColdRead, Placed, Purpose, ReadRequest, Settled};
use bytes::Bytes;
use tracing::{error, warn};

use crate::{Broker, blocking};

/// Messages set free in one step of one level, so that no level starves the others.
const STEP: usize = 64;
const STEP_BYTES: usize = 1024 * 1024;
/// How long to rest when nothing is due soon. A new message ends the rest.
const REST_MAX: Duration = Duration::from_secs(1);
/// How long to wait after the store refused.
const RETRY_AFTER: Duration = Duration::from_millis(500);

/// What one look at a level's queue found.
struct Due {
    records: Vec<Bytes>,
    count: u64,
    /// When the first message that is not due will be.
    next_at: Option<Timestamp>,
}

impl Broker {
    /// Sets free all messages whose time has come, and says how long nothing more is due.
    pub async fn deliver_delayed(&self) -> Duration {
        let mut rest = REST_MAX;
        for level in 1..=self.delay_levels().count() {
            rest = rest.min(self.deliver_level(level).await);
        }
        rest
    }

    async fn deliver_level(&self, level: u32) -> Duration {
        let queue = QueueId(level - 1);
        let from = self.level_offset(level, queue);
        if self.store().max_offset(SCHEDULE_TOPIC, queue) <= from {
            return REST_MAX;
        }
        let now = self.clock().now();
        let latest = now.plus(self.delay_levels().delay(level));
        let store = self.shared_store();
        // The messages have been waiting: they may have left memory, so this is not for a worker.
        let Ok(due) = blocking(move || read_due(&store, queue, from, now, latest)).await else {
            return REST_MAX;
        };
        if due.count == 0 {
            return due.next_at.map_or(REST_MAX, |at| at.since(now).min(REST_MAX));
        }
        if self.set_free(&due).await {
            self.delay_offsets().set(level, from.plus(due.count));
            Duration::ZERO
        } else {
            RETRY_AFTER
        }
    }

    /// Where the level goes on; never before the queue's beginning (old segments go).
    fn level_offset(&self, level: u32, queue: QueueId) -> QueueOffset {
        let known = self.delay_offsets().find(level).unwrap_or_default();
        known.max(self.store().min_offset(SCHEDULE_TOPIC, queue))
    }

    /// Stores the messages where they belong. All or nothing: `false` leaves all for later.
    async fn set_free(&self, due: &Due) -> bool {
        let views = due.records.iter().flat_map(|slice| records(slice).map_while(Result::ok));
        let due = views.filter_map(|view| Some((view, self.freed_draft(&view)?)));
        let (views, drafts): (Vec<View<'_>>, Vec<Draft<'_>>) = due.unzip();
        if drafts.is_empty() {
            return true;
        }
        let traced = self.recorded(&views);
        let began = traced.first().map(|_| self.clock().monotonic());
        let mut placed = Vec::with_capacity(drafts.len());
        match self.store().place(&drafts, &mut placed) {
            Ok(placement) => {
                for (at, span) in &traced {
                    if let (Some(draft), Some(place)) = (drafts.get(*at), placed.get(*at)) {
                        self.carry_span(*span, draft, place);
                    }
                }
                let ticket = self.store().settle(placement);
                let stored = ticket.settled().await != Settled::Failed;
                if stored {
                    self.count_freed(&drafts, &placed);
                }
                if let Some(began) = began.filter(|_| stored) {
                    self.record_released(began, &traced, (&views, &drafts, &placed));
                }
                stored && placed.len() == drafts.len()
            }
            Err(refused) => {
                warn!(error = %refused, "delayed messages wait on: the store refuses them");
                false
            }
        }
    }

    fn count_freed(&self, drafts: &[Draft<'_>], placed: &[Placed]) {
        // Its topic may be gone meanwhile, and so are its counts.
        let known = drafts.iter().zip(placed).filter(|(d, _)| self.topics().contains(d.topic));
        self.stats().set_free(known.map(|(d, at)| (d.topic, MessageType::Delay, at.size)));
    }

    /// Those that are recorded, by their numbers, and the spans that they belong to.
    fn recorded(&self, views: &[View<'_>]) -> Vec<(usize, TraceParent)> {
        let spans = views.iter().map(|view| self.span_of(view).filter(|span| span.sampled));
        spans.enumerate().filter_map(|(at, span)| Some((at, span?))).collect()
    }

    /// The message as its consumers get it. All its properties stay: RocketMQ's consumers see
    /// DELAY, too.
    fn freed_draft<'a>(&self, view: &View<'a>) -> Option<Draft<'a>> {
        let Some((topic, queue)) = destination(view.properties) else {
            error!(offset = %view.physical_offset, "a delayed message does not say its topic; dropped");
            return None;
        };
        Some(Draft {
            topic,
            queue,
            flag: view.flag,
            sys_flag: view.sys_flag,
            born_timestamp: view.born_timestamp,
            born_host: view.born_host,
            store_host: self.identity().store_host,
            reconsume_times: view.reconsume_times,
            prepared_offset: 0,
            body: view.body,
            properties: view.properties,
            wait: true,
        })
    }
}

fn read_due(
    store: &blockhouse_store::Store,
    queue: QueueId,
    from: QueueOffset,
    now: Timestamp,
    latest: Timestamp,
) -> Due {
    let mut count = 0;
    let mut next_at = None;
    // For this topic the tags code is the time of delivery. A time past `latest` comes from a
    // longer level table than today's: such a message is due now.
    let mut accept = |deliver_at: i64| {
        let at = Timestamp(deliver_at);
        let due = next_at.is_none() && (at <= now || at > latest);
        if due {
            count += 1;
        } else {
            next_at.get_or_insert(at);
        }
        due
    };
    let request = ReadRequest {
        topic: SCHEDULE_TOPIC,
        queue,
        from,
        max_messages: STEP,
        max_bytes: STEP_BYTES,
        cold: ColdRead::Allow,
        purpose: Purpose::Look,
    };
    let read = store.read(&request, &mut accept);
    let given = read.count as u64;
    // What was accepted but did not fit stays for the next step.
    Due { records: read.slices, count: given.min(count), next_at }
}

fn destination(properties: &str) -> Option<(&str, QueueId)> {
    let topic = name::find(properties, name::REAL_TOPIC)?;
    blockhouse_model::names::check_topic(topic).ok()?;
    let queue = name::find(properties, name::REAL_QUEUE_ID)?.parse().ok()?;
    Some((topic, QueueId::from_i32(queue)?))
}
