//! May this message come in, and which topic does it go to?

use std::sync::Arc;

use blockhouse_hook::Calls;
use blockhouse_model::names::{self, check_topic};
use blockhouse_model::{Access, Action, Resource, TopicConfig};

use super::Send;
use crate::refusal::{Forbidden, Refusal};
use crate::topics::{refused_change, refused_topic};
use crate::{Broker, Caller};

impl Broker {
    /// Admits all requests of a burst. What plugins are asked is noted for each.
    pub(super) fn admit_all(
        &self,
        caller: Caller<'_>,
        sends: &[Send<'_>],
        calls: Option<&Calls>,
    ) -> Vec<Result<Arc<TopicConfig>, Refusal>> {
        let admit = |(at, send): (usize, &Send<'_>)| {
            if let Some(calls) = calls {
                calls.are_of(Some(at));
            }
            self.admit(caller, send)
        };
        let topics = sends.iter().enumerate().map(admit).collect();
        if let Some(calls) = calls {
            calls.are_of(None);
        }
        topics
    }

    /// Authorizes one request and finds its topic, creating it where that is allowed.
    pub(super) fn admit(
        &self,
        caller: Caller<'_>,
        send: &Send<'_>,
    ) -> Result<Arc<TopicConfig>, Refusal> {
        Self::authorize_send(caller, send.topic)?;
        let config = self.topic_for_send(caller, send.topic, send)?;
        // As in RocketMQ: a broker that lost its write permission is left out of new routes, but
        // goes on taking from clients that hold old ones. Only ordered topics must not wait.
        if config.order && !self.permission().writeable() {
            let reason =
                format!("the broker[{}] sending message is forbidden", self.identity().name);
            return Err(Refusal::forbidden(Forbidden::Broker, reason));
        }
        Ok(config)
    }

    /// Asks the hooks whether messages may go to `topic`; asked again when a hook reroutes.
    pub(super) fn authorize_send(caller: Caller<'_>, topic: &str) -> Result<(), Refusal> {
        let resource =
            topic.strip_prefix(names::RETRY_PREFIX).map_or(Resource::Topic(topic), Resource::Group);
        let action = if matches!(resource, Resource::Group(_)) { Action::Sub } else { Action::Pub };
        caller.authorize(&[Access { action, resource }])
    }

    /// Finds `topic`, or creates it after the client's template.
    pub(super) fn topic_for_send(
        &self,
        caller: Caller<'_>,
        topic: &str,
        send: &Send<'_>,
    ) -> Result<Arc<TopicConfig>, Refusal> {
        if names::is_no_send_topic(topic) {
            let reason = format!("Sending message to topic[{topic}] is forbidden.");
            return Err(Refusal::forbidden(Forbidden::Topic, reason));
        }
        let config = match self.topics().find(topic) {
            Some(config) => config,
            None => self.create_topic_for_send(caller, topic, send)?,
        };
        let queues = config.write_queues.max(config.read_queues);
        match send.queue {
            Some(queue) if queue.0 >= queues => Err(Refusal::invalid(format!(
                "request queueId[{queue}] is illegal, topic[{topic}] has {queues} queues"
            ))),
            _ => Ok(config),
        }
    }

    fn create_topic_for_send(
        &self,
        caller: Caller<'_>,
        topic: &str,
        send: &Send<'_>,
    ) -> Result<Arc<TopicConfig>, Refusal> {
        check_topic(topic)?;
        let retry = names::is_retry(topic);
        let sys_flag = match (send.unit_mode, retry) {
            (false, _) => 0,
            (true, false) => 1,
            (true, true) => 2,
        };
        let from_template = self.topics().create_on_send(
            topic,
            send.default_topic,
            (send.default_topic_queues, sys_flag),
            caller.owner().as_deref(),
        );
        let refused = |error| refused_topic(caller, topic, &error);
        if let Some(config) = from_template.map_err(refused)? {
            return Ok(config);
        }
        if retry {
            let made = self.topics().create_for_send_back(topic, 1, sys_flag);
            return made.map_err(|error| refused_change(&error));
        }
        Err(Refusal::no_topic(topic))
    }
}
