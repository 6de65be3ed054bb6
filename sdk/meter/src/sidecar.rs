//! The broker as rocketmq-exporter shows it, the process that asks brokers for their state and has
//! metrics of it: for dashboards that were made for that.

pub mod clients;
pub mod families;

use std::sync::Arc;

use blockhouse_model::names;

use crate::lag;
use crate::meter::REST;
use crate::{GroupLag, LAG_PAIRS_MAX, Metric, Sample};
use clients::ClientView;
use families as f;

/// Topics that have series of their own, and producer groups: the largest. The sums of all others are
/// in one more.
pub const TOPICS_MAX: usize = 10_000;
/// Members of a group whose address and id are told.
pub const ADDRESSES_MAX: usize = 32;
/// Bytes of all addresses and ids that are told: a client decides how long its id is, and in how many groups it is.
pub const ADDRESS_BYTES_MAX: usize = 4 << 20;
/// `MessageModel.CLUSTERING`; of other groups nothing is told.
const CLUSTERING: &str = "1";

/// A broker at one moment.
#[derive(Clone, Debug, Default)]
pub struct SidecarView {
    /// The cluster.
    pub cluster: String,
    /// The broker's name.
    pub broker: String,
    /// Its address.
    pub address: String,
    /// The version that it says it has.
    pub version: &'static str,
    /// The number of that version.
    pub version_number: i32,
    /// When it started, in milliseconds since 1970.
    pub started_ms: i64,
    /// Messages stored and handed out in a second.
    pub rates: [f64; 2],
    /// Topics.
    pub topics: Vec<TopicView>,
    /// Groups with progress.
    pub groups: Vec<GroupView>,
    /// Members of consumer groups with progress.
    pub members: Vec<MembersView>,
    /// Producer groups and how many members they have.
    pub producers: Vec<(Arc<str>, usize)>,
    /// What members of consumer groups say of themselves.
    pub clients: Vec<ClientView>,
    /// Values that the broker has one of.
    pub values: Vec<(&'static Metric, f64)>,
}

/// A topic.
#[derive(Clone, Debug, PartialEq)]
pub struct TopicView {
    /// Its name.
    pub topic: Arc<str>,
    /// The ends of its queues, summed.
    pub end: u64,
    /// Messages and bytes stored in a second, if there ever were any.
    pub rates: Option<[f64; 2]>,
    /// Of a dead-letter topic: what its group has not consumed.
    pub dead: Option<DeadLetters>,
}

/// What became of messages that a group gave up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DeadLetters {
    /// Those that it has not committed in its dead-letter topic: all of them, as a rule.
    pub left: u64,
    /// Members of the group that are connected.
    pub members: usize,
}

/// A group in a topic.
#[derive(Clone, Debug, PartialEq)]
pub struct GroupView {
    /// How far it is behind.
    pub lag: GroupLag,
    /// What it committed, summed over queues.
    pub committed: u64,
    /// Each member gets every message.
    pub is_broadcasting: bool,
    /// Messages and bytes handed to it in a second, if there ever were any.
    pub rates: Option<[f64; 2]>,
    /// Messages that it sent back in the last minute, if it ever did.
    pub sent_back: Option<u64>,
}

/// Who is in a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MembersView {
    /// The group.
    pub group: Arc<str>,
    /// Addresses and ids of at most [`ADDRESSES_MAX`] members.
    pub members: Vec<(String, Arc<str>)>,
    /// How many there are.
    pub count: usize,
}

/// Looks at the broker; `None` if there is none. It may read the disk.
pub type SidecarSource = Box<dyn Fn() -> Option<SidecarView> + Send + Sync>;

impl SidecarView {
    /// Hands every value to `visit`, samples of one metric one after the other.
    pub fn read(self, visit: &mut dyn FnMut(&Sample<'_>)) {
        let (cluster, broker, address) = (&*self.cluster, &*self.broker, &*self.address);
        for (metric, value) in [(&f::BROKER_TPS, self.rates[0]), (&f::BROKER_QPS, self.rates[1])] {
            visit(&Sample {
                metric,
                labels: &[cluster, address, broker],
                value: two_digits(value),
            });
        }
        let (number, started) = (self.version_number.to_string(), self.started_ms.to_string());
        // The host is one that rocketmq-exporter never knows.
        let labels: &[&str] = &[cluster, address, "", self.version, &started, &number];
        for (metric, value) in &self.values {
            visit(&Sample { metric, labels, value: *value });
        }
        let named = Named { cluster, broker };
        named.topics(self.topics, visit);
        named.producers(bounded_producers(self.producers), visit);
        named.groups(self.groups, visit);
        of_members(&self.members, visit);
        clients::read(&self.clients, visit);
    }
}

/// A metric and its value of a group, if it has one.
type Figure = (&'static Metric, fn(&GroupView) -> Option<f64>);

/// Whose values they are.
struct Named<'a> {
    cluster: &'a str,
    broker: &'a str,
}

impl Named<'_> {
    fn topics(&self, topics: Vec<TopicView>, visit: &mut dyn FnMut(&Sample<'_>)) {
        let (cluster, broker) = (self.cluster, self.broker);
        let (dead, topics): (Vec<_>, Vec<_>) =
            topics.into_iter().partition(|view| names::is_dlq(&view.topic));
        let (retry, usual): (Vec<_>, Vec<_>) =
            topics.into_iter().partition(|view| names::is_retry(&view.topic));
        let (usual, dead) = (bounded_topics(usual), bounded_topics(dead));
        for (metric, views) in [
            (&f::PRODUCER_OFFSET, &usual),
            (&f::RETRY_OFFSET, &bounded_topics(retry)),
            (&f::DLQ_OFFSET, &dead),
        ] {
            for view in views {
                // A dead-letter topic is known by its group.
                let name = view.topic.strip_prefix(names::DLQ_PREFIX).unwrap_or(&view.topic);
                visit(&Sample { metric, labels: &[cluster, broker, name], value: view.end as f64 });
            }
        }
        for view in &dead {
            let Some(DeadLetters { left, members }) = view.dead else { continue };
            let (topic, members) = (&*view.topic, members.to_string());
            let group = topic.strip_prefix(names::DLQ_PREFIX).unwrap_or(topic);
            let labels = &[group, topic, &*members, CLUSTERING];
            visit(&Sample { metric: &f::GROUP_DLQ_DIFF, labels, value: left as f64 });
        }
        for (metric, at) in [(&f::PRODUCER_TPS, 0), (&f::PRODUCER_SIZE, 1)] {
            for view in &usual {
                let Some(rates) = view.rates else { continue };
                let (labels, value) = (&[cluster, broker, &*view.topic], two_digits(rates[at]));
                visit(&Sample { metric, labels, value });
            }
        }
    }

    fn producers(&self, groups: Vec<(Arc<str>, usize)>, visit: &mut dyn FnMut(&Sample<'_>)) {
        for (group, members) in groups {
            let labels = &[self.cluster, self.broker, &*group];
            visit(&Sample { metric: &f::PRODUCER_COUNT, labels, value: members as f64 });
        }
    }

    fn groups(&self, groups: Vec<GroupView>, visit: &mut dyn FnMut(&Sample<'_>)) {
        let (retry, usual): (Vec<_>, Vec<_>) =
            groups.into_iter().partition(|view| names::is_retry(&view.lag.topic));
        let mut shown = bounded_groups(usual, REST);
        // The two sums must not be one series.
        shown.extend(bounded_groups(retry, &format!("{}{REST}", names::RETRY_PREFIX)));
        for (metric, retry) in [(&f::GROUP_DIFF, false), (&f::GROUP_RETRY_DIFF, true)] {
            for view in shown.iter().filter(|view| view.is_followed()) {
                let lag = &view.lag;
                if names::is_retry(&lag.topic) == retry {
                    let online = lag.members.to_string();
                    let labels = &[&*lag.group, &*lag.topic, &*online, CLUSTERING];
                    visit(&Sample { metric, labels, value: lag.messages as f64 });
                }
            }
        }
        let committed: fn(&GroupView) -> _ = |view| Some(view.committed as f64);
        let tps: fn(&GroupView) -> _ = |view| view.rates.map(|rates| two_digits(rates[0]));
        let figures: [Figure; 7] = [
            (&f::CONSUMER_OFFSET, committed),
            (&f::GROUP_CONSUME_TOTAL, committed),
            (&f::LATENCY, |view| view.is_followed().then_some(view.lag.behind_ms as f64)),
            (&f::CONSUMER_TPS, tps),
            (&f::GROUP_CONSUME_TPS, tps),
            (&f::CONSUMER_SIZE, |view| view.rates.map(|rates| two_digits(rates[1]))),
            (&f::SEND_BACK, |view| view.sent_back.map(|messages| messages as f64)),
        ];
        for (metric, figure) in figures {
            for view in shown.iter().filter(|view| !names::is_dlq(&view.lag.topic)) {
                let Some(value) = figure(view) else { continue };
                let (topic, group): (&str, &str) = (&view.lag.topic, &view.lag.group);
                let labels = &[self.cluster, self.broker, topic, group];
                visit(&Sample { metric, labels, value });
            }
        }
    }
}

impl GroupView {
    /// Whether it can be told how far it is behind. Nobody looks after consumers of a dead-letter topic.
    fn is_followed(&self) -> bool {
        !self.is_broadcasting && !names::is_dlq(&self.lag.topic)
    }
}

fn of_members(groups: &[MembersView], visit: &mut dyn FnMut(&Sample<'_>)) {
    let (shown, rest) = groups.split_at(groups.len().min(TOPICS_MAX));
    let mut room = ADDRESS_BYTES_MAX;
    for view in shown {
        let told = || view.members.iter().take(ADDRESSES_MAX);
        let addresses: Vec<&str> = told().map(|(address, _)| &**address).collect();
        let ids: Vec<&str> = told().map(|(_, id)| &**id).collect();
        let [mut addresses, mut ids] = [addresses.join(","), ids.join(",")];
        if let Some(left) = room.checked_sub(addresses.len() + ids.len()) {
            room = left;
        } else {
            [addresses, ids] = [REST, REST].map(str::to_owned);
        }
        let labels: &[&str] = &[&addresses, &ids, &view.group];
        visit(&Sample { metric: &f::GROUP_COUNT, labels, value: view.count as f64 });
    }
    if !rest.is_empty() {
        let value = rest.iter().map(|view| view.count).sum::<usize>() as f64;
        visit(&Sample { metric: &f::GROUP_COUNT, labels: &[REST, REST, REST], value });
    }
}

fn bounded_topics(mut topics: Vec<TopicView>) -> Vec<TopicView> {
    topics.sort_unstable_by(|a, b| a.topic.cmp(&b.topic));
    if topics.len() > TOPICS_MAX {
        topics.sort_by_key(|view| std::cmp::Reverse(view.end));
        let others = topics.split_off(TOPICS_MAX);
        let end = others.iter().map(|view| view.end).sum();
        let rates = sums(others.iter().filter_map(|view| view.rates));
        let dead = others
            .iter()
            .filter_map(|view| view.dead)
            .reduce(|a, b| DeadLetters { left: a.left + b.left, members: a.members + b.members });
        topics.push(TopicView { topic: REST.into(), end, rates, dead });
    }
    topics
}

fn bounded_producers(mut groups: Vec<(Arc<str>, usize)>) -> Vec<(Arc<str>, usize)> {
    groups.sort_unstable_by(|a, b| a.0.cmp(&b.0));
    if groups.len() > TOPICS_MAX {
        groups.sort_by_key(|(_, members)| std::cmp::Reverse(*members));
        let rest = groups.split_off(TOPICS_MAX).iter().map(|(_, members)| members).sum();
        groups.push((REST.into(), rest));
    }
    groups
}

/// At most [`LAG_PAIRS_MAX`], those that are behind first, and the rest as one with a topic called `rest`.
fn bounded_groups(mut groups: Vec<GroupView>, rest: &str) -> Vec<GroupView> {
    if groups.len() > LAG_PAIRS_MAX {
        let name = |view: &GroupView| (Arc::clone(&view.lag.topic), Arc::clone(&view.lag.group));
        groups.sort_by(|a, b| {
            b.lag.messages.cmp(&a.lag.messages).then_with(|| name(a).cmp(&name(b)))
        });
        let others = groups.split_off(LAG_PAIRS_MAX);
        let followed = others.iter().filter(|view| view.is_followed());
        let lag = lag::sum(followed.map(|view| &view.lag));
        groups.push(GroupView {
            lag: GroupLag { topic: rest.into(), ..lag },
            committed: others.iter().map(|view| view.committed).sum(),
            is_broadcasting: false,
            rates: sums(others.iter().filter_map(|view| view.rates)),
            sent_back: others.iter().filter_map(|view| view.sent_back).reduce(|a, b| a + b),
        });
    }
    groups
}

fn sums(rates: impl Iterator<Item = [f64; 2]>) -> Option<[f64; 2]> {
    rates.reduce(|[a, b], [messages, bytes]| [a + messages, b + bytes])
}

/// rocketmq-exporter cuts rates so.
fn two_digits(value: f64) -> f64 {
    (value * 100.0).round_ties_even() / 100.0
}

#[cfg(test)]
mod tests;
