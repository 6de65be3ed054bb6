//! Who is in groups, by what clients they are, at one moment.

use std::borrow::Cow;
use std::sync::Arc;

use blockhouse_model::names;

use crate::Sample;
use crate::catalogue as c;
use crate::meter::{REST, truth};
use crate::overflow::Overflows;

/// Series of consumers: a client chooses its group's name. The largest come first; the sum of all
/// others is in one more.
pub const CONSUMER_SERIES_MAX: usize = 10_000;
/// The same of producers: a client chooses the number of its version.
pub const PRODUCER_SERIES_MAX: usize = 1_000;

/// The protocol of those who send heartbeats.
const REMOTING: &str = "remoting";

/// Members of groups that are alike.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct MemberCount {
    /// Their consumer group, and `pull`, `push` or `pop`; `None` for producers.
    pub consumes: Option<(Arc<str>, &'static str)>,
    /// Their language, in lower case.
    pub language: Cow<'static, str>,
    /// Their version, in lower case.
    pub version: Cow<'static, str>,
    /// How many they are.
    pub members: usize,
}

impl MemberCount {
    fn protocol(&self) -> &'static str {
        if self.language == REST { REST } else { REMOTING }
    }
}

/// Tells who is in groups. No two of them are alike.
pub type MemberSource = Box<dyn Fn() -> Vec<MemberCount> + Send + Sync>;

pub(crate) fn read(
    members: Vec<MemberCount>,
    overflows: &Overflows,
    visit: &mut dyn FnMut(&Sample<'_>),
) {
    let (consumers, producers): (Vec<_>, Vec<_>) =
        members.into_iter().partition(|kind| kind.consumes.is_some());
    overflows.consumers.note(consumers.len().saturating_sub(CONSUMER_SERIES_MAX));
    overflows.producers.note(producers.len().saturating_sub(PRODUCER_SERIES_MAX));
    for kind in within(producers, PRODUCER_SERIES_MAX) {
        let (metric, labels) =
            (&c::PRODUCER_CONNECTIONS, &[&*kind.language, &*kind.version, kind.protocol()]);
        visit(&Sample { metric, labels, value: kind.members as f64 });
    }
    for kind in within(consumers, CONSUMER_SERIES_MAX) {
        let (group, mode) = kind.consumes.as_ref().map_or((REST, REST), |(g, mode)| (g, mode));
        let (language, version) = (&*kind.language, &*kind.version);
        let is_system = truth(names::is_system_group(group));
        let labels: &[&str] = &[group, language, version, mode, kind.protocol(), is_system];
        let metric = &c::CONSUMER_CONNECTIONS;
        visit(&Sample { metric, labels, value: kind.members as f64 });
    }
}

/// At most `series` of them, and the rest as one.
fn within(mut kinds: Vec<MemberCount>, series: usize) -> Vec<MemberCount> {
    if kinds.len() <= series {
        kinds.sort_unstable();
        return kinds;
    }
    kinds.sort_unstable_by(|a, b| b.members.cmp(&a.members).then_with(|| a.cmp(b)));
    let members = kinds.split_off(series).iter().map(|kind| kind.members).sum();
    let rest = || Cow::Borrowed(REST);
    kinds.push(MemberCount { consumes: None, language: rest(), version: rest(), members });
    kinds
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(group: Option<&str>, version: &str, members: usize) -> MemberCount {
        MemberCount {
            consumes: group.map(|group| (group.into(), "push")),
            language: "java".into(),
            version: version.to_owned().into(),
            members,
        }
    }

    fn lines(members: Vec<MemberCount>) -> Vec<String> {
        let mut lines = Vec::new();
        read(members, &Overflows::default(), &mut |s| {
            assert_eq!(s.labels.len(), s.metric.labels.len());
            lines.push(format!("{} {} {}", s.metric.name, s.labels.join(","), s.value));
        });
        lines
    }

    #[test]
    fn members_have_rocketmq_s_labels() {
        let system = kind(Some("cid_RMQ_SYS_x"), "v5_3_3", 1);
        let members = vec![system, kind(None, "v4_9_7", 3), kind(Some("billing"), "v5_3_3", 2)];
        assert_eq!(
            lines(members),
            [
                "rocketmq_producer_connections java,v4_9_7,remoting 3",
                "rocketmq_consumer_connections billing,java,v5_3_3,push,remoting,false 2",
                "rocketmq_consumer_connections cid_RMQ_SYS_x,java,v5_3_3,push,remoting,true 1",
            ]
        );
    }

    #[test]
    fn beyond_the_budget_the_largest_have_series_and_the_sum_is_exact() {
        let many = (1..=PRODUCER_SERIES_MAX + 2).map(|at| kind(None, &format!("v{at:05}"), at));
        let all: usize = (1..=PRODUCER_SERIES_MAX + 2).sum();
        let lines = lines(many.collect());
        assert_eq!(lines.len(), PRODUCER_SERIES_MAX + 1);
        assert_eq!(
            lines.last().unwrap(),
            "rocketmq_producer_connections (other),(other),(other) 3"
        );
        let value = |line: &String| line.rsplit(' ').next().unwrap().parse::<usize>().unwrap();
        assert_eq!(lines.iter().map(value).sum::<usize>(), all);
    }
}
