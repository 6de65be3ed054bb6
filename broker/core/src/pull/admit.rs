//! May this group read this queue, and with which filter?

use std::sync::Arc;

use blockhouse_filter::Subscription;
use blockhouse_hook::{Point, Pull as HookPull, Verdict};
use blockhouse_model::{QueueId, QueueOffset, SubscriptionGroup, TopicConfig};

use super::{Filter, Plan, Pull, authorize};
use crate::clients::{ConsumeType, MessageModel};
use crate::refusal::{Forbidden, Refusal, RefusalKind};
use crate::{Broker, Caller};

impl Broker {
    pub(super) fn admit_pull(&self, caller: Caller<'_>, pull: &Pull<'_>) -> Result<Plan, Refusal> {
        let Caller { cx, hooks } = caller;
        let questions = self.held().questions();
        authorize(caller, pull.topic, pull.group)?;
        let (topic, group, queue) = self.readable_queue(pull)?;
        let subscription = match pull.filter {
            Some(filter) => self.subscription_of_request(pull, filter)?,
            None => self.known_subscription(pull, &group)?,
        };
        // Below 0 is below the queue's beginning, wherever that is.
        let offset = QueueOffset::from_i64(pull.offset);
        let (offset, negative) = (offset.unwrap_or_default(), offset.is_none());
        if hooks.has(Point::Pull) {
            let asked = HookPull {
                group: pull.group,
                topic: pull.topic,
                queue,
                offset,
                messages_max: pull.messages_max,
            };
            if let Verdict::Reject(rejection) = hooks.pull(cx, &asked) {
                return Err(rejection.into());
            }
        }
        let config = self.config();
        Ok(Plan {
            cx: cx.clone(),
            topic,
            group,
            queue,
            offset,
            negative,
            messages_max: pull.messages_max.min(config.pull_messages_max),
            bytes_max: pull.bytes_max.unwrap_or(usize::MAX).min(config.pull_bytes_max),
            suspend: pull.suspend,
            subscription,
            questions,
        })
    }

    fn readable_queue(
        &self,
        pull: &Pull<'_>,
    ) -> Result<(Arc<TopicConfig>, Arc<SubscriptionGroup>, QueueId), Refusal> {
        if !self.permission().readable() {
            let reason =
                format!("the broker[{}] pulling message is forbidden", self.identity().name);
            return Err(Refusal::forbidden(Forbidden::Broker, reason));
        }
        let group = self.group_for_use(pull.group)?;
        if !group.consume_enable {
            let reason = format!("subscription group no permission, {}", pull.group);
            return Err(Refusal::forbidden(Forbidden::Group, reason));
        }
        let topic = self.topics().find(pull.topic).ok_or_else(|| Refusal::no_topic(pull.topic))?;
        if !topic.perm.readable() {
            let reason = format!("the topic[{}] pulling message is forbidden", pull.topic);
            return Err(Refusal::forbidden(Forbidden::Topic, reason));
        }
        match QueueId::from_i32(pull.queue) {
            Some(queue) if queue.0 < topic.read_queues => Ok((topic, group, queue)),
            _ => Err(Refusal::invalid(format!(
                "queueId[{}] is illegal, topic:[{}] topicConfig.readQueueNums:[{}]",
                pull.queue, pull.topic, topic.read_queues
            ))),
        }
    }

    /// The subscription that the request brings. It is remembered: consumers that bring it may send
    /// no heartbeats, and operators ask what they consume.
    fn subscription_of_request(
        &self,
        pull: &Pull<'_>,
        filter: Filter<'_>,
    ) -> Result<Arc<Subscription>, Refusal> {
        let subscription = parse(pull.topic, filter)?;
        let kind = (ConsumeType::Passively, MessageModel::Clustering);
        self.clients().compensate(pull.group, kind, &subscription);
        Ok(subscription)
    }

    /// The subscription that the group's heartbeats told us.
    fn known_subscription(
        &self,
        pull: &Pull<'_>,
        group: &SubscriptionGroup,
    ) -> Result<Arc<Subscription>, Refusal> {
        let missing = |what: &str| {
            let reason = format!("the consumer's {what} not exist: group {}", pull.group);
            Refusal::new(RefusalKind::SubscriptionNotExist, reason)
        };
        let Some(broadcasting) = self.clients().is_broadcasting(pull.group) else {
            return Err(missing("group info"));
        };
        if broadcasting && !group.consume_broadcast_enable {
            let reason =
                format!("the consumer group[{}] can not consume by broadcast way", pull.group);
            return Err(Refusal::forbidden(Forbidden::Broadcasting, reason));
        }
        if self.groups().is_forbidden(pull.group, pull.topic) {
            let reason = format!(
                "the consumer group[{}] is forbidden for topic[{}]",
                pull.group, pull.topic
            );
            return Err(Refusal::forbidden(Forbidden::Subscription, reason));
        }
        let subscription = self
            .clients()
            .subscription(pull.group, pull.topic)
            .ok_or_else(|| missing("subscription"))?;
        if subscription.sub_version < pull.sub_version {
            let reason = "the consumer's subscription not latest";
            return Err(Refusal::new(RefusalKind::SubscriptionNotLatest, reason));
        }
        if let Err(error) = subscription.supported() {
            // As RocketMQ says it where property filters are switched off.
            let reason = format!("The broker does not support consumer to filter message: {error}");
            return Err(Refusal::new(RefusalKind::SystemError, reason));
        }
        Ok(subscription)
    }
}

fn parse(topic: &str, filter: Filter<'_>) -> Result<Arc<Subscription>, Refusal> {
    Subscription::parse(topic, filter.expression, filter.kind).map(Arc::new).map_err(|error| {
        let reason = format!("parse the consumer's subscription failed: {error}");
        Refusal::new(RefusalKind::SubscriptionParseFailed, reason)
    })
}
