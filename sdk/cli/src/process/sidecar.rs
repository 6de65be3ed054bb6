//! The broker as rocketmq-exporter would see it by asking for what the admin protocol tells.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use blockhouse_broker::Running;
use blockhouse_core::Broker;
use blockhouse_core::lag::{Lag, LagTimes};
use blockhouse_core::stats::{Kind, Rate};
use blockhouse_disk::Space;
use blockhouse_meter::sidecar::{ADDRESSES_MAX, families as f};
use blockhouse_meter::{
    ClientView, DeadLetters, GroupView, MembersView, Meter, Metric, SidecarView, TopicView,
};
use blockhouse_model::{Group, QueueId, Timestamp, Topic, TopicConfig, names};
use blockhouse_protocol::codes::version;

use super::metrics::told;

/// What rocketmq-exporter asks for rates of.
const MINUTE: Duration = Duration::from_secs(60);

/// What is known of a broker without waiting for its disk.
pub(super) struct Node {
    core: Arc<Broker>,
    started: Timestamp,
    space: Option<Space>,
}

impl Node {
    pub(super) fn of(running: &Running) -> Self {
        let (started, space) = (running.started(), running.space());
        Self { core: Arc::clone(running.core()), started, space }
    }

    /// Looks at everything. Reads the log where a group is behind. `clients` is what members said last.
    pub(super) fn look(
        &self,
        meter: &Meter,
        times: &mut LagTimes,
        clients: Vec<ClientView>,
    ) -> SidecarView {
        let (core, identity) = (&self.core, self.core.identity());
        let now = core.clock().now();
        let lags = core.lags(times);
        let dead = dead_lags(&lags);
        let of = |kind| core.stats().total_rate(kind, now, MINUTE).messages_per_second();
        SidecarView {
            cluster: identity.cluster.clone(),
            broker: identity.name.clone(),
            address: identity.store_host.to_string(),
            version: version::CURRENT_NAME,
            version_number: version::CURRENT,
            started_ms: self.started.0,
            rates: [of(Kind::TopicPut), of(Kind::GroupGet)],
            topics: core
                .topics()
                .all()
                .iter()
                .map(|topic| topic_of(core, now, topic, &dead))
                .collect(),
            groups: lags.iter().map(|lag| group_of(core, now, lag)).collect(),
            members: members(core, &lags),
            producers: core
                .clients()
                .producers()
                .iter()
                .map(|(group, members)| (group.as_str().into(), members.len()))
                .collect(),
            clients,
            values: self.values(meter, now),
        }
    }

    fn values(&self, meter: &Meter, now: Timestamp) -> Vec<(&'static Metric, f64)> {
        let mut values = rates(&self.core, now);
        values.extend(totals(&self.core));
        values.extend(store(&self.core));
        values.extend(times(&self.core, meter));
        if let Some(space) = self.space {
            values.push((&f::DISK_TOTAL, space.total as f64));
            values.push((&f::DISK_FREE, space.free as f64));
        }
        let nothing = [
            &f::SEND_START,
            &f::SEND_QUEUE,
            &f::PULL_QUEUE,
            &f::QUERY_QUEUE,
            &f::SEND_WAIT,
            &f::PULL_WAIT,
            &f::QUERY_WAIT,
        ];
        values.extend(nothing.map(|metric| (metric, 0.0)));
        let endless = [&f::BUFFERS, &f::SEND_CAPACITY, &f::PULL_CAPACITY, &f::QUERY_CAPACITY];
        values.extend(endless.map(|metric| (metric, f64::from(i32::MAX))));
        let misses = [&f::MISS_TPS_10, &f::MISS_TPS_60, &f::MISS_TPS_600];
        values.extend(misses.into_iter().zip(meter.pull_misses.per_second()));
        values
    }
}

type Values = Vec<(&'static Metric, f64)>;

fn rates(core: &Broker, now: Timestamp) -> Values {
    let spans = [10, 60, 600].map(Duration::from_secs);
    let got = |metrics| (Kind::GroupGet, metrics);
    let families = [
        (Kind::TopicPut, [&f::PUT_TPS_10, &f::PUT_TPS_60, &f::PUT_TPS_600]),
        got([&f::FOUND_TPS_10, &f::FOUND_TPS_60, &f::FOUND_TPS_600]),
        got([&f::TOTAL_TPS_10, &f::TOTAL_TPS_60, &f::TOTAL_TPS_600]),
        got([&f::TRANSFERRED_TPS_10, &f::TRANSFERRED_TPS_60, &f::TRANSFERRED_TPS_600]),
    ];
    let of = |kind, span| core.stats().total_rate(kind, now, span).messages_per_second();
    let pairs = families.into_iter().flat_map(|(kind, metrics)| {
        metrics.into_iter().zip(spans).map(move |(metric, span)| (metric, of(kind, span)))
    });
    pairs.collect()
}

fn totals(core: &Broker) -> Values {
    let stats = core.stats();
    let (stored, delivered) = (stats.total(Kind::TopicPut), stats.total(Kind::GroupGet));
    let (put, got) = (stats.mornings(Kind::TopicPut), stats.mornings(Kind::GroupGet));
    let average = stored.bytes.checked_div(stored.messages).unwrap_or(0);
    [
        (&f::PUT_TODAY, stored.messages),
        (&f::GET_TODAY, delivered.messages),
        (&f::PUT_THIS_MORNING, put.today.messages),
        (&f::GET_THIS_MORNING, got.today.messages),
        (&f::PUT_YESTERDAY, put.yesterday.messages),
        (&f::GET_YESTERDAY, got.yesterday.messages),
        (&f::PUT_TIMES, stored.messages),
        (&f::PUT_SIZE, stored.bytes),
        (&f::PUT_AVERAGE, average),
    ]
    .map(|(metric, count)| (metric, count as f64))
    .into()
}

fn store(core: &Broker) -> Values {
    let stats = core.store().stats();
    let earliest = core.store().earliest_message_time().map_or(-1, |time| time.0);
    let used = stats.disk_used_percent as f64 / 100.0;
    let [write, _sync] = stats.waits;
    vec![
        (&f::LOCK_TIME, write.as_millis() as f64),
        (&f::DISPATCH_BEHIND, stats.confirmed.until(stats.written) as f64),
        (&f::DISPATCH_BUFFER, stats.index_backlog as f64),
        (&f::UNFLUSHED, stats.flushed.until(stats.written) as f64),
        (&f::EARLIEST, earliest as f64),
        (&f::LOG_MIN, stats.log_min.0 as f64),
        (&f::LOG_MAX, stats.log_end.0 as f64),
        (&f::LOG_DISK, used),
        (&f::QUEUE_DISK, used),
    ]
}

fn times(core: &Broker, meter: &Meter) -> Values {
    let minute = meter.sends.last_minute(core.clock().monotonic());
    let bands = [
        &f::PMDT_0,
        &f::PMDT_10,
        &f::PMDT_50,
        &f::PMDT_100,
        &f::PMDT_200,
        &f::PMDT_500,
        &f::PMDT_1S,
        &f::PMDT_2S,
        &f::PMDT_3S,
        &f::PMDT_4S,
        &f::PMDT_5S,
        &f::PMDT_10S,
        &f::PMDT_MORE,
    ];
    let [send, pull] = meter.sends.longest_ms();
    let [p99, p999] = minute.quantiles;
    let mut values: Values =
        bands.into_iter().zip(minute.bands).map(|(metric, sends)| (metric, sends as f64)).collect();
    values.extend([
        (&f::PUT_99, p99),
        (&f::PUT_999, p999),
        (&f::PUT_TIME_MAX, send as f64),
        (&f::GET_TIME_MAX, pull as f64),
    ]);
    values
}

fn topic_of(
    core: &Broker,
    now: Timestamp,
    topic: &TopicConfig,
    dead: &HashMap<&Topic, u64>,
) -> TopicView {
    let queues = || (0..topic.read_queues.max(topic.write_queues)).map(QueueId);
    let end = queues().map(|queue| core.store().max_offset(&topic.name, queue).0).sum();
    let rates = core.stats().rate(Kind::TopicPut, &topic.name, now, MINUTE).map(|r| both(&r));
    let dead = topic.name.strip_prefix(names::DLQ_PREFIX).map(|group| {
        let begin = || queues().map(|queue| core.store().min_offset(&topic.name, queue).0).sum();
        let left = dead.get(&topic.name).copied();
        DeadLetters {
            left: left.unwrap_or_else(|| u64::saturating_sub(end, begin())),
            members: core.clients().members(group).len(),
        }
    });
    TopicView { topic: topic.name.as_str().into(), end, rates, dead }
}

/// How far groups are behind in their own dead-letter topics, of those that consume them.
fn dead_lags(lags: &[Lag]) -> HashMap<&Topic, u64> {
    let is_own = |lag: &&Lag| lag.topic.strip_prefix(names::DLQ_PREFIX) == Some(lag.group.as_str());
    lags.iter().filter(is_own).map(|lag| (&lag.topic, lag.messages)).collect()
}

fn group_of(core: &Broker, now: Timestamp, lag: &Lag) -> GroupView {
    let key = format!("{}@{}", lag.topic, lag.group);
    let rate = |kind| core.stats().rate(kind, &key, now, MINUTE);
    GroupView {
        lag: told(lag),
        committed: lag.committed,
        is_broadcasting: core.clients().is_broadcasting(&lag.group) == Some(true),
        // It asks for none of these of retry topics.
        rates: rate(Kind::GroupGet).filter(|_| !is_retry(lag)).map(|rate| both(&rate)),
        sent_back: rate(Kind::SendBack).filter(|_| !is_retry(lag)).map(|rate| rate.volume.messages),
    }
}

fn is_retry(lag: &Lag) -> bool {
    names::is_retry(&lag.topic)
}

fn both(rate: &Rate) -> [f64; 2] {
    [rate.messages_per_second(), rate.bytes_per_second()]
}

/// Who is in the groups that have progress, once each.
fn members(core: &Broker, lags: &[Lag]) -> Vec<MembersView> {
    let mut groups: Vec<&Group> = lags.iter().map(|lag| &lag.group).collect();
    groups.sort_unstable();
    groups.dedup();
    let view = |group: &Group| {
        let consumer = core.clients().consumer(group);
        let connections = consumer.map(|consumer| consumer.connections).unwrap_or_default();
        let member = connections.iter().take(ADDRESSES_MAX);
        MembersView {
            group: group.as_str().into(),
            members: member.map(|one| (one.peer.to_string(), Arc::clone(&one.client_id))).collect(),
            count: connections.len(),
        }
    };
    groups.into_iter().map(view).collect()
}
