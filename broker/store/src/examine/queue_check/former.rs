//! Queues that went with their topic, which was deleted and may have been made again.

use super::QueueCheck;

impl QueueCheck<'_> {
    /// Whether all records of the queue are from before its topic was deleted and made again.
    pub(in crate::examine) fn is_former(&self, topic: &str, id: u32) -> bool {
        let Some(queues) = self.states.get(topic) else { return false };
        let began = queues.values().map(|state| state.began_at).filter(|at| *at > 0).min();
        let last = queues.get(&id).filter(|s| s.began_at == 0).map_or(u64::MAX, |s| s.last_at);
        began.is_some_and(|began| last < began) || self.is_gone(topic, id)
    }

    /// Whether the queue went with its topic, of which other queues may have been made since: it has no
    /// files, the last checkpoint did not know it though all of its records lie before that, and
    /// no other queue of the topic has anything from its time. (A queue that the checkpoint knew, or
    /// that was written to between others that are there, has lost its files.)
    fn is_gone(&self, topic: &str, id: u32) -> bool {
        let (Some((known, applied)), Some(queues)) = (&self.table, self.states.get(topic)) else {
            return false;
        };
        let Some(state) = queues.get(&id).filter(|state| state.first.is_some()) else {
            return false;
        };
        let is_known = known.get(topic).is_some_and(|ids| ids.contains(&id));
        let mut others = queues.iter().filter(|(other, of)| {
            of.first.is_some() && !self.dirs.files(topic, **other).is_empty()
        });
        // A damaged name would be a topic like that.
        let is_topic = self.site.options.topics.is_some() || self.dirs.has_topic(topic);
        is_topic
            && !is_known
            && state.last_at < *applied
            && self.dirs.files(topic, id).is_empty()
            && others.all(|(_, other)| other.first_at > state.last_at)
    }
}
