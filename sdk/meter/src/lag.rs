//! How far consumer groups are behind, at one moment.

use std::sync::Arc;

use blockhouse_model::names;

use crate::catalogue as c;
use crate::meter::{REST, truth};
use crate::{Metric, Sample};

/// Pairs of topic and group that have series of their own. Those that are behind come first; the sums
/// of all others are in one more.
pub const LAG_PAIRS_MAX: usize = 10_000;

/// Where a group is in a topic, over all queues that it committed in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupLag {
    /// The topic.
    pub topic: Arc<str>,
    /// The consumer group.
    pub group: Arc<str>,
    /// Messages that it has not committed.
    pub messages: u64,
    /// Of these, messages that it has not pulled.
    pub ready: u64,
    /// Age of the oldest message that it has not committed, in milliseconds; 0 if there is none.
    pub behind_ms: u64,
    /// Age of the oldest message that it has not pulled, in milliseconds; 0 if there is none.
    pub queueing_ms: u64,
    /// Members of the group that are connected now.
    pub members: usize,
    /// For how long it has been behind with members connected and has committed nothing, in seconds.
    pub stuck_seconds: u64,
}

impl GroupLag {
    /// Pulled, and not committed.
    const fn inflight(&self) -> u64 {
        self.messages.saturating_sub(self.ready)
    }

    /// Sums, and the largest of ages.
    fn join(&mut self, other: &Self) {
        self.messages += other.messages;
        self.ready += other.ready;
        self.behind_ms = self.behind_ms.max(other.behind_ms);
        self.queueing_ms = self.queueing_ms.max(other.queueing_ms);
        self.members += other.members;
        self.stuck_seconds = self.stuck_seconds.max(other.stuck_seconds);
    }
}

/// Tells how far all groups with progress are, members or not.
pub type LagSource = Box<dyn Fn() -> Vec<GroupLag> + Send + Sync>;

/// A metric and its value of a group.
type Figure = (&'static Metric, fn(&GroupLag) -> u64);

const FIGURES: [Figure; 5] = [
    (&c::LAG_MESSAGES, |lag| lag.messages),
    (&c::LAG_LATENCY, |lag| lag.behind_ms),
    (&c::LAG_INFLIGHT, GroupLag::inflight),
    (&c::LAG_READY, |lag| lag.ready),
    (&c::LAG_QUEUEING, |lag| lag.queueing_ms),
];

/// How many have no series of their own.
pub(crate) const fn left_out(lags: &[GroupLag]) -> usize {
    lags.len().saturating_sub(LAG_PAIRS_MAX)
}

pub(crate) fn read(lags: Vec<GroupLag>, visit: &mut dyn FnMut(&Sample<'_>)) {
    let lags = within(lags, LAG_PAIRS_MAX);
    for (metric, figure) in FIGURES {
        for lag in &lags {
            let (topic, group): (&str, &str) = (&lag.topic, &lag.group);
            let retry = truth(names::is_retry(topic));
            let labels: &[&str] = &[group, topic, retry, truth(names::is_system(topic, group))];
            visit(&Sample { metric, labels, value: figure(lag) as f64 });
        }
    }
    for lag in &lags {
        let (metric, labels) = (&c::LAG_MEMBERS, &[&*lag.group, &*lag.topic]);
        visit(&Sample { metric, labels, value: lag.members as f64 });
    }
    // Of those that can be stuck alone: most groups are not behind, and need no further series.
    for lag in lags.iter().filter(|lag| lag.messages > 0 && lag.members > 0) {
        let (metric, labels) = (&c::LAG_STUCK, &[&*lag.group, &*lag.topic]);
        visit(&Sample { metric, labels, value: lag.stuck_seconds as f64 });
    }
}

/// At most `pairs` of them, and the rest as one.
fn within(mut lags: Vec<GroupLag>, pairs: usize) -> Vec<GroupLag> {
    if lags.len() > pairs {
        lags.sort_unstable_by(|a, b| {
            b.messages
                .cmp(&a.messages)
                .then_with(|| (&a.topic, &a.group).cmp(&(&b.topic, &b.group)))
        });
        let rest = sum(lags.split_off(pairs).iter());
        lags.push(rest);
    }
    lags
}

/// All of these as one.
pub(crate) fn sum<'a>(lags: impl Iterator<Item = &'a GroupLag>) -> GroupLag {
    let mut sum = GroupLag {
        topic: REST.into(),
        group: REST.into(),
        messages: 0,
        ready: 0,
        behind_ms: 0,
        queueing_ms: 0,
        members: 0,
        stuck_seconds: 0,
    };
    lags.for_each(|lag| sum.join(lag));
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lag(group: &str, messages: u64) -> GroupLag {
        GroupLag {
            topic: "orders".into(),
            group: group.into(),
            messages,
            ready: messages / 2,
            behind_ms: messages * 10,
            queueing_ms: messages,
            members: 1,
            stuck_seconds: messages * 7,
        }
    }

    #[test]
    fn beyond_the_budget_those_that_are_behind_have_series_and_sums_are_exact() {
        let lags = within(vec![lag("idle", 0), lag("far", 9), lag("near", 3), lag("tiny", 2)], 2);
        let groups: Vec<_> = lags.iter().map(|lag| (&*lag.group, lag.messages)).collect();
        assert_eq!(groups, [("far", 9), ("near", 3), (REST, 2)]);
        let rest = lags.last().unwrap();
        assert_eq!((rest.ready, rest.behind_ms, rest.queueing_ms, rest.members), (1, 20, 2, 2));
        assert_eq!(rest.stuck_seconds, 14);
        assert_eq!(within(vec![lag("a", 1), lag("b", 0)], 2).len(), 2, "nothing is summed");
    }

    #[test]
    fn a_group_has_all_of_rocketmq_s_figures() {
        let mut lines = Vec::new();
        let (idle, alone) = (lag("idle", 0), GroupLag { members: 0, ..lag("alone", 1) });
        read(vec![lag("g", 5), idle, alone], &mut |s| {
            if s.labels[0] != "g" {
                assert_ne!(s.metric, &c::LAG_STUCK, "it cannot be stuck");
                return;
            }
            assert_eq!(s.labels.len(), s.metric.labels.len());
            lines.push(format!("{} {} {}", s.metric.name, s.labels.join(","), s.value));
        });
        assert_eq!(
            lines,
            [
                "rocketmq_consumer_lag_messages g,orders,false,false 5",
                "rocketmq_consumer_lag_latency_milliseconds g,orders,false,false 50",
                "rocketmq_consumer_inflight_messages g,orders,false,false 3",
                "rocketmq_consumer_ready_messages g,orders,false,false 2",
                "rocketmq_consumer_queueing_latency_milliseconds g,orders,false,false 5",
                "blockhouse_consumer_online_members g,orders 1",
                "blockhouse_consumer_stuck_seconds g,orders 35",
            ]
        );
    }
}
