//! What the broker does about groups before their members count.

use std::sync::Arc;

use blockhouse_model::{Access, Action, Group, Resource};

use crate::clients::{Admission, ClientChannel, ConsumerHeartbeat, Heartbeat, HeartbeatOutcome};
use crate::queue_locks::LockedQueue;
use crate::refusal::{Refusal, RefusalKind};
use crate::{Broker, Caller};

impl Broker {
    /// Takes a heartbeat in: authorizes every group and topic it names, creates the groups' retry
    /// topics, and registers the client.
    ///
    /// # Errors
    /// A group or topic is not allowed, or the heartbeat is beyond its limits.
    pub fn heartbeat(
        &self,
        caller: Caller<'_>,
        channel: &Arc<dyn ClientChannel>,
        heartbeat: Heartbeat,
    ) -> Result<HeartbeatOutcome, Refusal> {
        let accesses: Vec<Access<'_>> = heartbeat.consumers.iter().flat_map(wanted).collect();
        caller.authorize(&accesses)?;
        self.clients()
            .heartbeat(channel, heartbeat, |consumer| self.admit_member(consumer))
            .map_err(|error| Refusal::new(RefusalKind::SystemError, error.to_string()))
    }

    fn admit_member(&self, consumer: &ConsumerHeartbeat) -> Option<Admission> {
        let full = |error| {
            tracing::warn!(group = %consumer.group, %error, "a member of a group was passed over");
        };
        let group = self.groups().find_or_create(&consumer.group).map_err(full).ok()??;
        let order = consumer
            .subscriptions
            .iter()
            .any(|s| self.topics().find(&s.topic).is_some_and(|topic| topic.order));
        let sys_flag = if consumer.unit_mode { 2 } else { 0 };
        let retry =
            self.topics().create_retry(&consumer.group, group.retry_queues, sys_flag, order);
        // Without one the group consumes all the same; what it sends back is refused.
        if let Err(error) = retry {
            tracing::warn!(group = %consumer.group, %error, "a group has no retry topic");
        }
        let notify = self.config().notify_consumer_ids_changed;
        Some(Admission { notify: notify && group.notify_consumer_ids_changed_enable })
    }

    /// Locks queues for a member of an ordered group; returns those it has now.
    ///
    /// # Errors
    /// The group is not allowed.
    pub fn lock_queues(
        &self,
        caller: Caller<'_>,
        group: &Group,
        client_id: &str,
        queues: Vec<LockedQueue>,
    ) -> Result<Vec<LockedQueue>, Refusal> {
        let resource = Resource::Group(group);
        caller.authorize(&[Access { action: Action::Sub, resource }])?;
        Ok(self.queue_locks().lock(group, client_id, queues))
    }

    /// Gives locked queues free.
    ///
    /// # Errors
    /// The group is not allowed.
    pub fn unlock_queues(
        &self,
        caller: Caller<'_>,
        group: &Group,
        client_id: &str,
        queues: &[LockedQueue],
    ) -> Result<(), Refusal> {
        let resource = Resource::Group(group);
        caller.authorize(&[Access { action: Action::Sub, resource }])?;
        self.queue_locks().unlock(group, client_id, queues);
        Ok(())
    }
}

fn wanted(consumer: &ConsumerHeartbeat) -> impl Iterator<Item = Access<'_>> {
    let group = Access { action: Action::Sub, resource: Resource::Group(&consumer.group) };
    let topics = consumer
        .subscriptions
        .iter()
        .map(|s| Access { action: Action::Sub, resource: Resource::Topic(&s.topic) });
    std::iter::once(group).chain(topics)
}
