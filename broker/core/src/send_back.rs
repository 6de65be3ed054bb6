//! A consumer could not cope with a message: it is to come again later, or to be given up.

use blockhouse_model::names::{self, dlq_topic, retry_topic};
use blockhouse_model::{
    Access, Action, MessageId, PhysicalOffset, QueueId, Resource, properties as name,
};
use blockhouse_record::{Draft, View};
use blockhouse_store::{ColdRead, Settled};
use bytes::Bytes;

mod traced;

use crate::refusal::{Forbidden, Refusal, RefusalKind};
use crate::send::refused_append;
use crate::topics::refused_change;
use crate::{Broker, Caller, blocking};
use traced::Noted;

/// Without a level of its own, a message's first redelivery waits as long as this level.
const FIRST_LEVEL: i32 = 3;

/// A consumer's request to redeliver a message.
#[derive(Clone, Copy, Debug)]
pub struct SendBack<'a> {
    /// The consumer group.
    pub group: &'a str,
    /// Where the message is stored.
    pub offset: PhysicalOffset,
    /// The delay level asked for; 0 lets the broker choose, negative gives the message up.
    pub delay_level: i32,
    /// How often the message may be delivered, if the client has its own idea.
    pub max_reconsume_times: Option<i32>,
    /// RocketMQ's unit mode.
    pub unit_mode: bool,
}

/// Where a message that was sent back goes.
struct Destination {
    topic: String,
    queue: QueueId,
    /// 0: at once, as for the dead-letter topic.
    delay_level: i32,
}

impl Broker {
    /// Stores the message anew, for the group's retry topic or its dead-letter topic.
    ///
    /// # Errors
    /// Why it is not taken back; the client then sends it again as a new message.
    pub async fn send_back(&self, caller: Caller<'_>, back: SendBack<'_>) -> Result<(), Refusal> {
        let began = self.spans().map(|_| self.clock().monotonic());
        let mut noted = Noted::default();
        let outcome = self.take_back(caller, &back, &mut noted).await;
        if let Some(began) = began {
            let code = outcome.as_ref().map_or_else(|refusal| self.code_of(refusal), |()| 0);
            self.record_back(caller, &back, (began, noted, code));
        }
        outcome
    }

    async fn take_back(
        &self,
        caller: Caller<'_>,
        back: &SendBack<'_>,
        noted: &mut Noted,
    ) -> Result<(), Refusal> {
        let resource = Resource::Group(back.group);
        caller.authorize(&[Access { action: Action::Sub, resource }])?;
        let group = self.group_for_use(back.group)?;
        if !self.permission().writeable() {
            let reason =
                format!("the broker[{}] sending message is forbidden", self.identity().name);
            return Err(Refusal::forbidden(Forbidden::Broker, reason));
        }
        if group.retry_queues == 0 {
            return Ok(());
        }
        let stored = self.stored_message(back.offset).await?;
        let view = View::parse(&stored).map_err(|error| {
            Refusal::new(
                RefusalKind::SystemError,
                format!("look message by offset failed: {error}"),
            )
        })?;
        noted.span = self.span_of(&view);
        caller.authorize_stored(view.topic)?;
        let times_max = back.max_reconsume_times.unwrap_or(group.retry_max_times);
        let to = self.destination(back, view.reconsume_times, times_max, group.retry_queues)?;
        noted.to = Some((to.topic.clone(), to.queue));
        let given_up = names::is_dlq(&to.topic);
        self.store_back(&view, to, noted).await?;
        let first = name::find(view.properties, name::RETRY_TOPIC).unwrap_or(view.topic);
        self.stats().sent_back(first, back.group);
        if given_up {
            self.stats().sent_to_dlq(first, back.group, 1);
        }
        Ok(())
    }

    async fn stored_message(&self, offset: PhysicalOffset) -> Result<Bytes, Refusal> {
        let store = self.shared_store();
        let found = match store.message_at(offset, ColdRead::Refuse) {
            Err(blockhouse_store::Error::WouldBlock) => {
                blocking(move || store.message_at(offset, ColdRead::Allow)).await?
            }
            found => found,
        };
        found.ok().flatten().ok_or_else(|| {
            let reason = format!("look message by offset failed, {offset}");
            Refusal::new(RefusalKind::SystemError, reason)
        })
    }

    fn destination(
        &self,
        back: &SendBack<'_>,
        reconsume_times: i32,
        times_max: i32,
        retry_queues: u32,
    ) -> Result<Destination, Refusal> {
        if reconsume_times >= times_max || back.delay_level < 0 {
            let topic = dlq_topic(back.group);
            self.topics().create_for_send_back(&topic, 1, 0).map_err(|e| refused_change(&e))?;
            return Ok(Destination { topic, queue: QueueId(0), delay_level: 0 });
        }
        let topic = retry_topic(back.group);
        let sys_flag = if back.unit_mode { 2 } else { 0 };
        let config = self.topics().create_for_send_back(&topic, retry_queues, sys_flag);
        let config = config.map_err(|error| refused_change(&error))?;
        if !config.perm.writeable() {
            let reason = format!("the topic[{topic}] sending message is forbidden");
            return Err(Refusal::forbidden(Forbidden::Topic, reason));
        }
        let delay_level =
            if back.delay_level == 0 { FIRST_LEVEL + reconsume_times } else { back.delay_level };
        Ok(Destination { topic, queue: self.pick_queue(retry_queues), delay_level })
    }

    async fn store_back(
        &self,
        view: &View<'_>,
        to: Destination,
        noted: &mut Noted,
    ) -> Result<(), Refusal> {
        let mut properties = self.properties_back(view);
        let (topic, queue) = if to.delay_level > 0 {
            let level = self.delay_levels().clamp(to.delay_level);
            noted.delay_level = level;
            name::set(&mut properties, name::DELAY, &level.to_string());
            name::set(&mut properties, name::REAL_TOPIC, &to.topic);
            name::set(&mut properties, name::REAL_QUEUE_ID, &to.queue.to_string());
            (names::SCHEDULE_TOPIC, QueueId(level - 1))
        } else {
            name::set(&mut properties, name::DELAY, "0");
            (to.topic.as_str(), to.queue)
        };
        let draft = Draft {
            topic,
            queue,
            flag: view.flag,
            sys_flag: view.sys_flag,
            born_timestamp: view.born_timestamp,
            born_host: view.born_host,
            store_host: self.identity().store_host,
            reconsume_times: view.reconsume_times.saturating_add(1),
            prepared_offset: 0,
            body: view.body,
            properties: &properties,
            wait: true,
        };
        let mut placed = Vec::with_capacity(1);
        let placement = self.store().place(std::slice::from_ref(&draft), &mut placed);
        let placement = placement.map_err(|error| refused_append(&error))?;
        noted.place = placed.first().copied();
        if let (Some(span), Some(place)) = (noted.span, placed.first()) {
            self.carry_span(span, &draft, place);
        }
        match self.store().settle(placement).settled().await {
            Settled::Failed => {
                Err(Refusal::new(RefusalKind::SystemError, "the message was not stored"))
            }
            _ => Ok(()),
        }
    }

    /// The properties of the message when it comes again: where it came from, and its first id.
    fn properties_back(&self, view: &View<'_>) -> String {
        let mut properties = view.properties.to_owned();
        if !name::has(&properties, name::RETRY_TOPIC) {
            name::push(&mut properties, name::RETRY_TOPIC, view.topic);
        }
        if !name::has(&properties, name::ORIGIN_MESSAGE_ID) {
            let id = MessageId { host: view.store_host, offset: view.physical_offset };
            name::push(&mut properties, name::ORIGIN_MESSAGE_ID, &id.to_string());
        }
        // RocketMQ marks redelivered messages so, and consumers see the property. Here it is only
        // a property: the consumer's message is answered for when it is stored durably.
        name::set(&mut properties, name::WAIT, "false");
        properties
    }
}
