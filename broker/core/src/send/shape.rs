//! What exactly is stored: hooks have their say, limits are checked, retries that went on too long
//! and delayed messages are turned aside.

use std::borrow::Cow;
use std::net::SocketAddr;
use std::ops::Range;
use std::sync::Arc;

use blockhouse_hook::{Decision, Draft as HookDraft, Point, Verdict};
use blockhouse_meter::Spans;
use blockhouse_model::MessageType;
use blockhouse_model::names::{self, SCHEDULE_TOPIC};
use blockhouse_model::{QueueId, SysFlag, Timestamp, TopicConfig, TraceParent, properties as name};
use blockhouse_record::Draft;

use super::marks::Texts;
use super::properties::push_pair;
use super::traced::{self, Burst};
use super::{Accepted, Content, Marks, Send};
use crate::refusal::{Refusal, RefusalKind};
use crate::topics::refused_change;
use crate::{Broker, Caller};

/// Stands for the span of a message whose sender records nothing: nobody asks which it is.
const UNSAMPLED: TraceParent = TraceParent { trace_id: 0, span_id: 0, sampled: false };

/// One message, ready to be stored but for its offsets.
pub(super) struct Planned<'a> {
    topic: Arc<TopicConfig>,
    pub(super) queue: QueueId,
    pub(super) body: Cow<'a, [u8]>,
    text: Range<usize>,
    flag: i32,
    sys_flag: SysFlag,
    born_timestamp: i64,
    reconsume_times: i32,
    wait: bool,
    pub(super) kind: MessageType,
}

impl Planned<'_> {
    pub(super) fn topic(&self) -> &str {
        &self.topic.name
    }

    pub(super) fn properties<'t>(&self, texts: &'t str) -> &'t str {
        texts.get(self.text.clone()).unwrap_or_default()
    }

    pub(super) fn draft<'t>(
        &'t self,
        texts: &'t str,
        born_host: SocketAddr,
        store_host: SocketAddr,
    ) -> Draft<'t> {
        Draft {
            topic: self.topic(),
            queue: self.queue,
            flag: self.flag,
            sys_flag: self.sys_flag,
            born_timestamp: Timestamp(self.born_timestamp),
            born_host,
            store_host,
            reconsume_times: self.reconsume_times,
            prepared_offset: 0,
            body: &self.body,
            properties: self.properties(texts),
            wait: self.wait,
        }
    }
}

/// The messages of a burst that are to be stored, and what is known of each request so far.
pub(super) struct Plan<'a> {
    pub(super) messages: Vec<Planned<'a>>,
    /// The property texts of all messages, one after another.
    pub(super) texts: String,
    pub(super) outcomes: Vec<Result<Accepted<'a>, Refusal>>,
    /// Which requests are recorded, if any may be.
    pub(super) burst: Option<Burst>,
}

impl Plan<'_> {
    /// Nothing was stored after all.
    pub(super) fn refuse_admitted(&mut self, refusal: &Refusal) {
        for outcome in self.outcomes.iter_mut().filter(|o| o.is_ok()) {
            *outcome = Err(refusal.clone());
        }
        self.messages.clear();
    }
}

/// What is known of a request's messages together.
#[derive(Default)]
struct First<'a> {
    /// The first one's.
    unique_key: Option<Cow<'a, str>>,
    /// The first one's that is sampled, else the first one's.
    parent: Option<TraceParent>,
}

/// A message as hooks leave it.
struct Edited<'a> {
    topic: Arc<TopicConfig>,
    flag: i32,
    body: Cow<'a, [u8]>,
    properties: Cow<'a, str>,
}

impl Broker {
    pub(super) fn shape<'a>(
        &self,
        caller: Caller<'_>,
        sends: &[Send<'a>],
        topics: Vec<Result<Arc<TopicConfig>, Refusal>>,
        burst: Option<Burst>,
    ) -> Plan<'a> {
        let mut plan = Plan {
            messages: Vec::with_capacity(sends.len()),
            texts: String::with_capacity(sends.iter().map(|s| s.properties.len() + 128).sum()),
            outcomes: Vec::with_capacity(sends.len()),
            burst,
        };
        let hooked = caller.hooks.has(Point::BeforeSend);
        let mut asked = if hooked { ask_hooks(caller, sends, &topics) } else { Vec::new() };
        let mut rest = asked.as_mut_slice();
        for (send, topic) in sends.iter().zip(topics) {
            let outcome = topic.and_then(|topic| {
                if !hooked {
                    return self.plan_one(send, &topic, unedited(send, &topic), &mut plan);
                }
                let own = rest.split_off_mut(..send.count()).unwrap_or_default();
                let decided = send.messages().zip(own).filter_map(|(message, draft)| {
                    self.carry_out(caller, send, &topic, (message.flag, draft))
                });
                self.plan_one(send, &topic, decided, &mut plan)
            });
            plan.outcomes.push(outcome);
        }
        plan
    }

    /// Carries out what the hooks decided on one message; `None` if it is dropped.
    fn carry_out<'a>(
        &self,
        caller: Caller<'_>,
        send: &Send<'a>,
        topic: &Arc<TopicConfig>,
        (flag, draft): (i32, &mut HookDraft<'a>),
    ) -> Option<Result<Edited<'a>, Refusal>> {
        let topic = match std::mem::take(&mut draft.decision) {
            Decision::Admit => Ok(Arc::clone(topic)),
            Decision::Drop => return None,
            Decision::Reject(rejection) => Err(rejection.into()),
            Decision::Reroute(to) => Self::authorize_send(caller, &to)
                .and_then(|()| ask_of_rerouted(caller, &to, draft))
                .and_then(|()| {
                    self.topic_for_send(caller, &to, &Send { queue: None, ..send.clone() })
                }),
        };
        let body = std::mem::take(&mut draft.body);
        let properties = std::mem::take(&mut draft.properties);
        Some(topic.map(|topic| Edited { topic, flag, body, properties }))
    }

    /// Plans one request, whole or not at all: RocketMQ's batch answer has room for one code.
    fn plan_one<'a>(
        &self,
        send: &Send<'a>,
        topic: &Arc<TopicConfig>,
        edited: impl Iterator<Item = Result<Edited<'a>, Refusal>>,
        plan: &mut Plan<'a>,
    ) -> Result<Accepted<'a>, Refusal> {
        let batch = matches!(send.content, Content::Batch(_));
        if batch && names::is_retry(send.topic) {
            let reason = format!("batch request does not support retry group {}", send.topic);
            return Err(Refusal::new(RefusalKind::MessageIllegal, reason));
        }
        let queue = send.queue.unwrap_or_else(|| self.pick_queue(topic.write_queues));
        let (messages, texts) = (plan.messages.len(), plan.texts.len());
        let planned = self.plan_messages(send, (topic, queue), edited, plan);
        if planned.is_err() {
            plan.messages.truncate(messages);
            plan.texts.truncate(texts);
        }
        let First { unique_key, parent } = planned?;
        if let (Some(burst), Some(spans)) = (&mut plan.burst, self.spans()) {
            let request = (plan.outcomes.len(), send);
            burst.decide(spans, request, traced::of_batch(spans, send, parent));
        }
        let unique_key = unique_key.unwrap_or_default();
        Ok(Accepted { queue, placed: messages..plan.messages.len(), unique_key })
    }

    /// Plans the messages of one request.
    fn plan_messages<'a>(
        &self,
        send: &Send<'a>,
        (topic, queue): (&Arc<TopicConfig>, QueueId),
        edited: impl Iterator<Item = Result<Edited<'a>, Refusal>>,
        plan: &mut Plan<'a>,
    ) -> Result<First<'a>, Refusal> {
        let batch = matches!(send.content, Content::Batch(_));
        let mut first = First::default();
        let mut bytes = 0;
        for edited in edited {
            let edited = edited?;
            if batch {
                bytes += edited.body.len() + edited.properties.len();
                self.check_batch(bytes)?;
            }
            // A message that a hook rerouted goes to a queue that its new topic has.
            let queue = if Arc::ptr_eq(&edited.topic, topic) {
                queue
            } else {
                self.pick_queue(edited.topic.write_queues)
            };
            let (message, key, parent) =
                self.plan_message(send, queue, edited, batch, &mut plan.texts)?;
            plan.messages.push(message);
            first.unique_key.get_or_insert(key);
            first.parent = first.parent.filter(|first| first.sampled).or(parent).or(first.parent);
        }
        Ok(first)
    }

    fn plan_message<'a>(
        &self,
        send: &Send<'a>,
        queue: QueueId,
        edited: Edited<'a>,
        batch: bool,
        texts: &mut String,
    ) -> Result<(Planned<'a>, Cow<'a, str>, Option<TraceParent>), Refusal> {
        self.check_body(&edited.body)?;
        let (marks, key, parent) =
            read_properties(&edited.properties, self.spans().map(|spans| &**spans));
        check_offered(marks, batch)?;
        let start = texts.len();
        let unique_key = if batch {
            // As they came, as RocketMQ 5.4.0 does; 5.3.3 adds the properties of the request to each.
            texts.push_str(&edited.properties);
            Cow::Borrowed("")
        } else {
            self.stamp().apply(texts, &edited.properties, marks.rewrite);
            key.unwrap_or_else(|| {
                let key = self.make_unique_key();
                push_pair(texts, name::UNIQUE_KEY, &key);
                Cow::Owned(key)
            })
        };
        let mut message = Planned {
            topic: edited.topic,
            queue,
            body: edited.body,
            text: 0..0,
            flag: edited.flag,
            sys_flag: send.sys_flag,
            born_timestamp: send.born_timestamp,
            reconsume_times: send.reconsume_times,
            wait: marks.wait && wait_of_batch(send, batch),
            kind: marks.kind(),
        };
        let dead = !batch && self.redirect_dead_letter(send, &mut message)?;
        if dead {
            // RocketMQ's mark of a message that was given up on the way in.
            let mut text = texts.split_off(start);
            name::set(&mut text, name::DELAY, "-1");
            texts.push_str(&text);
        } else if marks.delay_level > 0 {
            self.delay(&mut message, marks.delay_level, texts);
        }
        if texts.len() - start > name::LEN_MAX {
            return Err(Refusal::new(
                RefusalKind::MessageIllegal,
                format!(
                    "the message is illegal: properties are longer than {} bytes",
                    name::LEN_MAX
                ),
            ));
        }
        message.text = start..texts.len();
        Ok((message, unique_key, parent))
    }

    /// A batch is one request and stored as one run: together it must fit the limit of one message.
    fn check_batch(&self, bytes: usize) -> Result<(), Refusal> {
        let limit = self.config().max_message_size;
        if bytes <= usize::try_from(limit).unwrap_or(usize::MAX) {
            return Ok(());
        }
        let reason = format!(
            "the message is illegal: the batch is longer than maxMessageSize, {limit} bytes"
        );
        Err(Refusal::new(RefusalKind::MessageIllegal, reason))
    }

    fn check_body(&self, body: &[u8]) -> Result<(), Refusal> {
        let limit = self.config().max_message_size;
        let problem = if body.is_empty() {
            "the message is illegal: body is empty".to_owned()
        } else if body.len() > usize::try_from(limit).unwrap_or(usize::MAX) {
            format!("the message is illegal: body is longer than maxMessageSize, {limit} bytes")
        } else {
            return Ok(());
        };
        Err(Refusal::new(RefusalKind::MessageIllegal, problem))
    }

    /// A consumer that cannot send back by offset sends its failed message to the retry topic as a
    /// new one; past its limit, or while the group holds queue locks, that goes to the dead-letter
    /// topic instead. Returns whether it does.
    fn redirect_dead_letter(
        &self,
        send: &Send<'_>,
        message: &mut Planned<'_>,
    ) -> Result<bool, Refusal> {
        let Some(group) = send.topic.strip_prefix(names::RETRY_PREFIX) else { return Ok(false) };
        let config = self.group_for_use(group)?;
        let times_max = send.max_reconsume_times.unwrap_or(config.retry_max_times);
        let locked = self.queue_locks().any_live(group);
        if send.reconsume_times <= times_max && !locked {
            return Ok(false);
        }
        let dead = self.topics().create_for_send_back(&names::dlq_topic(group), 1, 0);
        message.topic = dead.map_err(|error| refused_change(&error))?;
        message.queue = QueueId(0);
        self.stats().sent_to_dlq(send.topic, group, 1);
        Ok(true)
    }

    /// Sets a message aside until its level's time is over.
    fn delay(&self, message: &mut Planned<'_>, level: i32, texts: &mut String) {
        let level = self.delay_levels().clamp(level);
        push_pair(texts, name::REAL_TOPIC, message.topic());
        push_pair(texts, name::REAL_QUEUE_ID, &message.queue.to_string());
        message.topic = Arc::clone(self.schedule_topic());
        debug_assert_eq!(message.topic(), SCHEDULE_TOPIC);
        message.queue = QueueId(level - 1);
    }
}

/// Shows all messages of a burst, of the requests that were admitted, to the hooks at once.
fn ask_hooks<'a>(
    caller: Caller<'_>,
    sends: &[Send<'a>],
    topics: &[Result<Arc<TopicConfig>, Refusal>],
) -> Vec<HookDraft<'a>> {
    let mut drafts = Vec::with_capacity(sends.len());
    for (send, topic) in sends.iter().zip(topics) {
        if topic.is_err() {
            continue;
        }
        drafts.extend(send.messages().map(|message| HookDraft {
            topic: send.topic,
            producer_group: send.producer_group,
            queue: send.queue,
            body: Cow::Borrowed(message.body),
            properties: Cow::Borrowed(message.properties),
            decision: Decision::Admit,
        }));
    }
    if !drafts.is_empty() {
        caller.hooks.before_send(caller.cx, &mut drafts);
    }
    drafts
}

/// What depends on the message is asked of its new topic as well.
fn ask_of_rerouted(caller: Caller<'_>, to: &str, draft: &HookDraft<'_>) -> Result<(), Refusal> {
    let rerouted = HookDraft {
        topic: to,
        producer_group: draft.producer_group,
        queue: None,
        body: Cow::Borrowed(&draft.body),
        properties: Cow::Borrowed(&draft.properties),
        decision: Decision::Admit,
    };
    match caller.hooks.rerouted(caller.cx, &rerouted) {
        Verdict::Continue => Ok(()),
        Verdict::Reject(rejection) => Err(rejection.into()),
    }
}

fn unedited<'a>(
    send: &Send<'a>,
    topic: &Arc<TopicConfig>,
) -> impl Iterator<Item = Result<Edited<'a>, Refusal>> {
    send.messages().map(|message| {
        Ok(Edited {
            topic: Arc::clone(topic),
            flag: message.flag,
            body: Cow::Borrowed(message.body),
            properties: Cow::Borrowed(message.properties),
        })
    })
}

/// A batch waits for the disk unless its envelope says otherwise.
fn wait_of_batch(send: &Send<'_>, batch: bool) -> bool {
    !batch || name::find(send.properties, name::WAIT).is_none_or(|v| v != "false")
}

/// The marks, the unique key, and the span if somebody wants to know.
fn read_properties<'a>(
    properties: &Cow<'a, str>,
    spans: Option<&Spans>,
) -> (Marks, Option<Cow<'a, str>>, Option<TraceParent>) {
    let span = |texts: Texts<'_>| span_of(spans?, properties, texts);
    match properties {
        Cow::Borrowed(text) => {
            let (marks, texts) = Marks::of(text);
            (marks, texts.unique_key.map(Cow::Borrowed), span(texts))
        }
        Cow::Owned(text) => {
            let (marks, texts) = Marks::of(text);
            (marks, texts.unique_key.map(|key| Cow::Owned(key.to_owned())), span(texts))
        }
    }
}

/// The span that a message says it belongs to. What it says and is none is counted.
fn span_of(spans: &Spans, properties: &str, texts: Texts<'_>) -> Option<TraceParent> {
    for text in [texts.trace_parent, texts.trace_context].into_iter().flatten() {
        if TraceParent::is_unsampled(text) {
            return Some(UNSAMPLED);
        }
        match TraceParent::parse(text) {
            None => spans.counts.invalid.add(1),
            span => return span,
        }
    }
    let older = spans.older(properties)?;
    if older.is_none() {
        spans.counts.invalid.add(1);
    }
    older
}

fn check_offered(marks: Marks, batch: bool) -> Result<(), Refusal> {
    if marks.bad_delay {
        return Err(Refusal::new(RefusalKind::SystemError, "property DELAY is not a number"));
    }
    let problem = if marks.half {
        "transaction messages are not supported by this broker yet"
    } else if marks.timer && marks.delay_level == 0 {
        "messages with their own delivery time are not supported by this broker yet: use a delay level"
    } else if batch && marks.delay_level > 0 {
        return Err(Refusal::new(
            RefusalKind::MessageIllegal,
            "the message is illegal: a batch cannot hold delayed messages",
        ));
    } else {
        return Ok(());
    };
    Err(Refusal::new(RefusalKind::NotSupported, problem))
}
