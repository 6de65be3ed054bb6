//! Pure parts of group consumption: who gets which queues, which tags are wanted.

use std::collections::BTreeSet;

use blockhouse_model::java_hash;
use blockhouse_protocol::MessageQueue;
use blockhouse_protocol::body::heartbeat::SubscriptionData;

/// RocketMQ's `AllocateMessageQueueAveragely`: members in the order of their ids get consecutive
/// queues, the first ones one more if they do not divide evenly. All members must compute the same.
pub(super) fn average(
    queues: &[MessageQueue],
    members: &BTreeSet<String>,
    me: &str,
) -> BTreeSet<MessageQueue> {
    let Some(index) = members.iter().position(|m| m == me) else { return BTreeSet::new() };
    let mut sorted = queues.to_vec();
    // Java compares topic, broker name, then queue id.
    sorted.sort_unstable_by(|a, b| {
        (&a.topic, &a.broker_name, a.queue_id).cmp(&(&b.topic, &b.broker_name, b.queue_id))
    });
    let (each, more) = (sorted.len() / members.len(), sorted.len() % members.len());
    let start = index * each + index.min(more);
    let count = each + usize::from(index < more);
    sorted.into_iter().skip(start).take(count).collect()
}

fn tags(filter: &str) -> Option<Vec<&str>> {
    let filter = filter.trim();
    if filter.is_empty() || filter == "*" {
        return None;
    }
    Some(filter.split("||").map(str::trim).filter(|t| !t.is_empty()).collect())
}

/// Whether `filter` takes a message with this tag.
pub(super) fn takes(filter: &str, tag: Option<&str>) -> bool {
    tags(filter).is_none_or(|wanted| tag.is_some_and(|tag| wanted.contains(&tag)))
}

/// What a heartbeat says of a filter.
pub(super) fn subscription(topic: &str, filter: &str) -> SubscriptionData {
    let wanted = tags(filter);
    let sub_string = if wanted.is_some() { filter.to_owned() } else { "*".to_owned() };
    let wanted = wanted.unwrap_or_default();
    SubscriptionData {
        topic: topic.to_owned(),
        sub_string,
        code_set: wanted.iter().map(|tag| java_hash(tag)).collect(),
        tags_set: wanted.iter().map(|tag| (*tag).to_owned()).collect(),
        ..SubscriptionData::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn queues(n: i32) -> Vec<MessageQueue> {
        let queue = |queue_id| MessageQueue { queue_id, ..MessageQueue::default() };
        (0..n).map(queue).collect()
    }

    #[test]
    fn every_queue_has_exactly_one_owner() {
        for (count, members) in [(4, 1), (8, 3), (2, 5), (0, 2), (16, 16)] {
            let names: BTreeSet<String> = (0..members).map(|i| format!("c{i:02}")).collect();
            let parts: Vec<_> =
                names.iter().map(|me| average(&queues(count), &names, me)).collect();
            let mut all: Vec<_> = parts.iter().flatten().cloned().collect();
            all.sort_unstable();
            assert_eq!(all, queues(count), "{count} queues, {members} members");
            let sizes: Vec<_> = parts.iter().map(BTreeSet::len).collect();
            assert!(sizes.iter().max().unwrap() - sizes.iter().min().unwrap() <= 1);
        }
    }

    #[test]
    fn a_member_that_is_not_listed_gets_nothing() {
        assert!(average(&queues(4), &["other".to_owned()].into(), "me").is_empty());
    }

    #[test]
    fn tags_are_compared_as_texts() {
        assert!(takes("*", None) && takes("", Some("x")) && takes("A || B", Some("B")));
        assert!(!takes("A||B", None) && !takes("A||B", Some("C")));
        let subscription = subscription("t", "TagA || x");
        assert_eq!(subscription.code_set, [2_598_919, 120]);
        assert_eq!(subscription.tags_set, ["TagA", "x"]);
    }
}
