//! What two looks at a node's metrics say of the time between them.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use blockhouse_model::names::SCHEDULE_TOPIC;
use serde::Serialize;

use crate::cluster::Table;
use crate::process::clients::Clients;
use crate::samples::Samples;

/// A node, as it was between two looks; all rates are per second.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct View {
    version: String,
    uptime_seconds: f64,
    messages_in: f64,
    messages_out: f64,
    bytes_in: f64,
    bytes_out: f64,
    connections: f64,
    held_pulls: f64,
    /// Use of the log's filesystem, in percent.
    disk_percent: f64,
    topics: Vec<Topic>,
    groups: Vec<Group>,
    clients: Vec<Client>,
    /// How many more clients there are.
    clients_left_out: usize,
    requests: Vec<Request>,
    stages: Vec<Stage>,
    plugins: Vec<Plugin>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Topic {
    topic: String,
    r#in: f64,
    out: f64,
    bytes_in: f64,
    /// Bytes stored since the node was started.
    stored: f64,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Group {
    group: String,
    topic: String,
    lag: f64,
    /// Of these, messages that were pulled.
    at_work: f64,
    late_ms: f64,
    members: f64,
    out: f64,
    state: State,
}

/// How a group gets on, as far as two looks tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
enum State {
    /// Nothing waits, or it moves.
    Moves,
    /// Messages wait, and nobody is connected.
    Nobody,
    /// Members have pulled messages, and the oldest of all that wait is the same as before.
    Stuck,
    /// There are members, and the oldest message that waits is one that they do not pull.
    NotPulling,
}

impl State {
    const fn words(self) -> &'static str {
        match self {
            Self::Moves => "-",
            Self::Nobody => "nobody is connected",
            Self::Stuck => "stuck",
            Self::NotPulling => "does not pull",
        }
    }
}

/// What topics are sorted by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Order {
    /// Messages in and out, now
    #[default]
    Messages,
    /// Bytes in, now
    Bytes,
    /// Bytes stored since the node was started
    Stored,
}

/// A client on one connection.
#[derive(Debug, Serialize)]
struct Client {
    client: String,
    address: String,
    language: String,
    version: String,
    /// Groups in which it produces.
    produces: String,
    /// Groups in which it consumes.
    consumes: String,
}

/// What the time of sends goes to.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Stage {
    stage: String,
    /// Of what one connection sent at once.
    us_per_burst: f64,
    /// Of the time of sends.
    percent: f64,
}

#[derive(Debug, Serialize)]
struct Request {
    request: String,
    all: f64,
    /// Not answered with success.
    failed: f64,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Plugin {
    plugin: String,
    hook: String,
    calls: f64,
    messages: f64,
    us_per_message: f64,
}

const OUT: &str = "rocketmq_messages_out_total";
const RETRIES_OUT: &str = "blockhouse_retry_messages_out_total";

/// A number for each combination of labels.
type By<const N: usize> = BTreeMap<[String; N], f64>;

/// The two looks, and the time between.
struct Looks<'a> {
    before: &'a Samples,
    now: &'a Samples,
    seconds: f64,
}

impl Looks<'_> {
    /// What a counter grew by in a second, by labels. One that is smaller than before began anew.
    fn rates<const N: usize>(&self, name: &str, labels: [&str; N]) -> By<N> {
        let before = self.before.by(name, labels);
        let grown = |(key, now): ([String; N], f64)| {
            let then = before.get(&key).copied().filter(|then| *then <= now).unwrap_or(0.0);
            (key, (now - then) / self.seconds)
        };
        self.now.by(name, labels).into_iter().map(grown).collect()
    }

    /// What was handed out in a second. RocketMQ's count leaves out retry and dead-letter topics.
    fn out<const N: usize>(&self, labels: [&str; N]) -> By<N> {
        let mut out = self.rates(OUT, labels);
        out.extend(self.rates(RETRIES_OUT, labels));
        out
    }

    /// A rate over all topics but the one in which delayed messages wait: they are counted in their own.
    fn messages(&self, name: &str) -> f64 {
        let topics = self.rates(name, ["topic"]).into_iter();
        topics
            .filter(|([topic], _)| topic != SCHEDULE_TOPIC)
            .map(|(_, rate)| rate)
            .fold(0.0, |sum, rate| sum + rate)
    }

    fn gauge(&self, name: &str) -> f64 {
        self.now.sum(name, |_| true).unwrap_or(0.0)
    }
}

/// The number of one key; 0 if it is not there.
fn of<const N: usize>(numbers: &By<N>, key: &[String; N]) -> f64 {
    numbers.get(key).copied().unwrap_or(0.0)
}

impl View {
    pub(super) fn between(before: &Samples, now: &Samples, time: Duration, order: Order) -> Self {
        let looks = Looks { before, now, seconds: time.as_secs_f64().max(1e-3) };
        Self {
            version: now.label("blockhouse_build_info", "version").unwrap_or_default(),
            uptime_seconds: looks.gauge("blockhouse_uptime_seconds"),
            messages_in: looks.messages("rocketmq_messages_in_total"),
            messages_out: looks.messages(OUT) + looks.messages(RETRIES_OUT),
            bytes_in: looks.messages("rocketmq_throughput_in_total"),
            bytes_out: looks.messages("rocketmq_throughput_out_total"),
            connections: looks.gauge("blockhouse_connections"),
            held_pulls: looks.gauge("blockhouse_held_pulls"),
            disk_percent: looks.gauge("blockhouse_store_disk_used_percent"),
            topics: topics(&looks, order),
            groups: groups(&looks),
            clients: Vec::new(),
            clients_left_out: 0,
            requests: requests(&looks),
            stages: stages(&looks),
            plugins: plugins(&looks),
        }
    }

    /// The same, with who is connected.
    pub(super) fn with_clients(self, found: &Clients) -> Self {
        let clients = found.clients.iter().map(|client| {
            let consumes: Vec<&str> = client.consumes.iter().map(|c| c.group.as_str()).collect();
            Client {
                client: client.client_id.clone(),
                address: client.address.clone(),
                language: client.language.clone(),
                version: client.version.clone(),
                produces: client.produces.join(" "),
                consumes: consumes.join(" "),
            }
        });
        Self { clients: clients.collect(), clients_left_out: found.left_out, ..self }
    }

    /// The tables for people, each with its `rows` busiest.
    pub(super) fn text(&self, node: &str, rows: usize) -> String {
        let head = format!(
            "{node}  {}  up {}  in {} msg/s {}/s  out {} msg/s {}/s\nconnections {}  held pulls {}  disk {} %\n",
            self.version,
            span(self.uptime_seconds),
            short(self.messages_in),
            bytes(self.bytes_in),
            short(self.messages_out),
            bytes(self.bytes_out),
            self.connections,
            self.held_pulls,
            self.disk_percent,
        );
        let mut topics = Table::new(&["topic", "in/s", "out/s", "bytes in/s", "stored"]);
        for t in self.topics.iter().take(rows) {
            let (rates, sizes) = ([t.r#in, t.out].map(short), [t.bytes_in, t.stored].map(bytes));
            topics.row([t.topic.clone()].into_iter().chain(rates).chain(sizes));
        }
        let columns = ["group", "topic", "behind", "at work", "late", "members", "out/s", "state"];
        let mut groups = Table::new(&columns);
        for g in self.groups.iter().take(rows) {
            let late = span(g.late_ms / 1e3);
            let [lag, at_work, members] = [g.lag, g.at_work, g.members].map(|n| n.to_string());
            let (out, state) = (short(g.out), g.state.words().to_owned());
            groups.row([g.group.clone(), g.topic.clone(), lag, at_work, late, members, out, state]);
        }
        let clients = self.clients_table(rows);
        let mut requests = Table::new(&["request", "all/s", "failed/s"]);
        for r in self.requests.iter().take(rows) {
            requests.row([r.request.clone(), short(r.all), short(r.failed)]);
        }
        let mut stages = Table::new(&["stage", "us/burst", "% of sends"]);
        for s in &self.stages {
            stages.row([s.stage.clone(), short(s.us_per_burst), short(s.percent)]);
        }
        let mut plugins = Table::new(&["plugin", "hook", "calls/s", "messages/s", "us/message"]);
        for p in self.plugins.iter().take(rows) {
            let rates = [p.calls, p.messages, p.us_per_message].map(short);
            plugins.row([p.plugin.clone(), p.hook.clone()].into_iter().chain(rates));
        }
        let tables = [topics, groups, clients, requests, stages, plugins];
        let shown = tables.iter().filter(|table| !table.is_empty());
        shown.fold(head, |text, table| format!("{text}\n{table}"))
    }
}

impl View {
    fn clients_table(&self, rows: usize) -> Table {
        let columns = ["client", "address", "language", "version", "produces", "consumes"];
        let mut table = Table::new(&columns);
        let or_none = |text: &String| if text.is_empty() { "-".to_owned() } else { text.clone() };
        for c in self.clients.iter().take(rows) {
            let [produces, consumes] = [&c.produces, &c.consumes].map(or_none);
            let [id, address, language, version] =
                [&c.client, &c.address, &c.language, &c.version].map(Clone::clone);
            table.row([id, address, language, version, produces, consumes]);
        }
        table
    }
}

/// The greatest first; of equals, as they came.
fn sort<T>(mut rows: Vec<T>, by: impl Fn(&T) -> f64) -> Vec<T> {
    rows.sort_by(|a, b| by(b).total_cmp(&by(a)));
    rows
}

fn topics(looks: &Looks<'_>, order: Order) -> Vec<Topic> {
    let arrived = looks.rates("rocketmq_messages_in_total", ["topic"]);
    let left = looks.out(["topic"]);
    let bytes = looks.rates("rocketmq_throughput_in_total", ["topic"]);
    let stored = looks.now.by("rocketmq_throughput_in_total", ["topic"]);
    let names: BTreeSet<_> = arrived.keys().chain(left.keys()).collect();
    let row = |key: &[String; 1]| Topic {
        topic: key[0].clone(),
        r#in: of(&arrived, key),
        out: of(&left, key),
        bytes_in: of(&bytes, key),
        stored: of(&stored, key),
    };
    sort(names.into_iter().map(row).collect(), |topic| match order {
        Order::Messages => topic.r#in + topic.out,
        Order::Bytes => topic.bytes_in,
        Order::Stored => topic.stored,
    })
}

/// Those that are behind most come first.
fn groups(looks: &Looks<'_>) -> Vec<Group> {
    let labels = ["consumer_group", "topic"];
    let lateness = "rocketmq_consumer_lag_latency_milliseconds";
    let [before, late] = [looks.before, looks.now].map(|look| look.by(lateness, labels));
    let inflight = looks.now.by("rocketmq_consumer_inflight_messages", labels);
    let members = looks.now.by("blockhouse_consumer_online_members", labels);
    let out = looks.out(labels);
    let row = |(key, lag): ([String; 2], f64)| {
        let [late_ms, at_work, members, out] =
            [&late, &inflight, &members, &out].map(|numbers| of(numbers, &key));
        // The oldest message that waits is by so much older as time has passed: it is the same one.
        let aged_ms = late_ms - of(&before, &key);
        let is_same = lag > 0.0 && late_ms > 0.0 && aged_ms >= looks.seconds * 900.0;
        let state = match (members > 0.0, at_work > 0.0) {
            (false, _) if lag > 0.0 => State::Nobody,
            (true, true) if is_same => State::Stuck,
            (true, false) if is_same => State::NotPulling,
            _ => State::Moves,
        };
        let [group, topic] = key;
        Group { group, topic, lag, at_work, late_ms, members, out, state }
    };
    let lags = looks.now.by("rocketmq_consumer_lag_messages", labels);
    sort(sort(lags.into_iter().map(row).collect(), |group| group.out), |group| group.lag)
}

fn requests(looks: &Looks<'_>) -> Vec<Request> {
    let mut rows: Vec<Request> = Vec::new();
    for ([request, answer], rate) in
        looks.rates("blockhouse_requests_total", ["request_code", "response_code"])
    {
        let failed = if answer == "success" { 0.0 } else { rate };
        // Sorted by their first label: those of one request follow each other.
        match rows.last_mut().filter(|row| row.request == request) {
            Some(row) => (row.all, row.failed) = (row.all + rate, row.failed + failed),
            None => rows.push(Request { request, all: rate, failed }),
        }
    }
    rows.retain(|row| row.all > 0.0);
    sort(rows, |request| request.all)
}

fn stages(looks: &Looks<'_>) -> Vec<Stage> {
    let seconds = looks.rates("blockhouse_send_stage_seconds_total", ["stage"]);
    let bursts: f64 = looks.rates("blockhouse_send_bursts_total", []).values().sum();
    let all: f64 = seconds.values().sum();
    if bursts <= 0.0 || all <= 0.0 {
        return Vec::new();
    }
    let row = |([stage], spent): ([String; 1], f64)| Stage {
        stage,
        us_per_burst: spent * 1e6 / bursts,
        percent: spent * 100.0 / all,
    };
    seconds.into_iter().map(row).collect()
}

fn plugins(looks: &Looks<'_>) -> Vec<Plugin> {
    let labels = ["plugin", "hook"];
    let messages = looks.rates("blockhouse_plugin_messages_total", labels);
    let seconds = looks.rates("blockhouse_plugin_seconds_total", labels);
    let row = |(key, calls): ([String; 2], f64)| {
        let [messages, seconds] = [&messages, &seconds].map(|numbers| of(numbers, &key));
        let us_per_message = if messages > 0.0 { seconds * 1e6 / messages } else { 0.0 };
        let [plugin, hook] = key;
        Plugin { plugin, hook, calls, messages, us_per_message }
    };
    let calls = looks.rates("blockhouse_plugin_calls_total", labels);
    sort(calls.into_iter().map(row).collect(), |plugin| plugin.calls)
}

/// Few digits.
fn short(number: f64) -> String {
    match number {
        n if n >= 1e6 => format!("{:.1}M", n / 1e6),
        n if n >= 1e4 => format!("{:.1}k", n / 1e3),
        n => format!("{n:.1}"),
    }
}

fn bytes(number: f64) -> String {
    match number {
        n if n >= 1_048_576.0 => format!("{:.1} MiB", n / 1_048_576.0),
        n if n >= 1_024.0 => format!("{:.1} KiB", n / 1_024.0),
        n => format!("{n:.0} B"),
    }
}

/// A time in its largest unit.
fn span(seconds: f64) -> String {
    match seconds {
        s if s >= 172_800.0 => format!("{:.0} d", s / 86_400.0),
        s if s >= 7_200.0 => format!("{:.0} h", s / 3_600.0),
        s if s >= 120.0 => format!("{:.0} min", s / 60.0),
        s if s >= 1.0 => format!("{s:.0} s"),
        s => format!("{:.0} ms", s * 1e3),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look(stored: u32, given: u32, lag: u32) -> Samples {
        Samples::parse(&format!(
            "blockhouse_build_info{{version=\"1.2\"}} 1\nblockhouse_uptime_seconds 7300\n\
             rocketmq_messages_in_total{{topic=\"a\",message_type=\"normal\"}} {stored}\n\
             rocketmq_messages_in_total{{topic=\"a\",message_type=\"delay\"}} {stored}\n\
             rocketmq_messages_in_total{{topic=\"quiet\",message_type=\"normal\"}} 9\n\
             rocketmq_messages_in_total{{topic=\"SCHEDULE_TOPIC_XXXX\",message_type=\"delay\"}} {stored}\n\
             rocketmq_throughput_in_total{{topic=\"a\"}} {}\n\
             rocketmq_messages_out_total{{topic=\"a\",consumer_group=\"g\"}} {given}\n\
             blockhouse_retry_messages_out_total{{topic=\"%RETRY%g\",consumer_group=\"g\"}} {given}\n\
             rocketmq_consumer_lag_messages{{consumer_group=\"g\",topic=\"a\"}} {lag}\n\
             rocketmq_consumer_lag_latency_milliseconds{{consumer_group=\"g\",topic=\"a\"}} 1500\n\
             rocketmq_consumer_lag_messages{{consumer_group=\"h\",topic=\"a\"}} 0\n\
             blockhouse_requests_total{{request_code=\"send_message\",response_code=\"success\"}} {stored}\n\
             blockhouse_requests_total{{request_code=\"send_message\",response_code=\"system_busy\"}} 4\n\
             blockhouse_send_stage_seconds_total{{stage=\"admit\"}} {}\n\
             blockhouse_send_stage_seconds_total{{stage=\"flush\"}} {}\n\
             blockhouse_send_bursts_total {stored}\n\
             blockhouse_plugin_calls_total{{plugin=\"acl\",hook=\"pull\"}} {given}\n\
             blockhouse_plugin_messages_total{{plugin=\"acl\",hook=\"pull\"}} {given}\n\
             blockhouse_plugin_seconds_total{{plugin=\"acl\",hook=\"pull\"}} {}\n",
            stored * 2048,
            f64::from(stored) * 1e-6,
            f64::from(stored) * 3e-6,
            f64::from(given) * 1e-6,
        ))
    }

    #[test]
    fn rates_are_of_the_time_between_and_the_busiest_come_first() {
        let (before, now) = (look(100, 50, 0), look(200, 70, 7));
        let view = View::between(&before, &now, Duration::from_secs(2), Order::Messages);
        assert_eq!((view.messages_in, view.messages_out, view.bytes_in), (100.0, 20.0, 102_400.0));
        let topics: Vec<_> =
            view.topics.iter().map(|t| (t.topic.as_str(), t.r#in, t.out)).collect();
        assert_eq!(
            topics,
            [
                ("a", 100.0, 10.0),
                ("SCHEDULE_TOPIC_XXXX", 50.0, 0.0),
                ("%RETRY%g", 0.0, 10.0),
                ("quiet", 0.0, 0.0),
            ]
        );
        let groups: Vec<_> =
            view.groups.iter().map(|g| (g.group.as_str(), g.lag, g.late_ms, g.out)).collect();
        assert_eq!(groups, [("g", 7.0, 1_500.0, 10.0), ("h", 0.0, 0.0, 0.0)]);
        let requests: Vec<_> = view.requests.iter().map(|r| (r.all, r.failed)).collect();
        assert_eq!(requests, [(50.0, 0.0)]);
        assert!((view.plugins[0].us_per_message - 1.0).abs() < 1e-6);
        let stages: Vec<_> = view
            .stages
            .iter()
            .map(|s| format!("{} {:.1} {:.0}", s.stage, s.us_per_burst, s.percent))
            .collect();
        assert_eq!(stages, ["admit 1.0 25", "flush 3.0 75"]);
        let idle = View::between(&now, &now, Duration::from_secs(1), Order::Messages);
        assert!(idle.stages.is_empty(), "nothing was sent");
        let client = |id: &str| {
            let json = format!(
                r#"{{"client_id":"{id}","address":"10.0.0.5:1","language":"java","version":"V5_4_0","since_ms":0,
                "last_heartbeat_ms":0,"produces":[],"consumes":[{{"group":"billing","mode":"push","broadcasting":false}}]}}"#
            );
            serde_json::from_str(&json).unwrap()
        };
        let connected = Clients { clients: vec![client("a@1"), client("b@2")], left_out: 0 };
        let view = view.with_clients(&connected);
        let text = view.text("n:1", 1);
        assert!(
            text.contains("a@1     10.0.0.5:1  java      V5_4_0          -  billing"),
            "{text}"
        );
        assert!(!text.contains("b@2"), "more rows than were asked for: {text}");
        for part in ["n:1  1.2  up 2 h", "in 100.0 msg/s 100.0 KiB/s", "g      a", "2 s", "acl"] {
            assert!(text.contains(part), "{part}: {text}");
        }
        assert!(!text.contains("quiet"), "more rows than were asked for: {text}");
    }

    #[test]
    fn nothing_is_no_negative_nothing() {
        let none = Samples::default();
        let view = View::between(&none, &none, Duration::from_secs(1), Order::Messages);
        let text = view.text("n:1", 1);
        assert!(text.contains("in 0.0 msg/s 0 B/s  out 0.0 msg/s 0 B/s"), "{text}");
    }

    #[test]
    fn a_node_that_began_anew_has_no_negative_rates() {
        let (before, now) = (look(1_000, 1_000, 0), look(10, 4, 0));
        let view = View::between(&before, &now, Duration::from_secs(1), Order::Messages);
        // Topic by topic: `quiet` is where it was.
        assert_eq!((view.messages_in, view.messages_out), (20.0, 8.0));
    }

    #[test]
    fn topics_are_sorted_as_asked_and_a_group_whose_oldest_message_stays_is_told() {
        let look = |late_ms: u32, bytes: u32| {
            let group = |name: &str, late_ms: u32, members: u32, at_work: u32| {
                let labels = format!("{{consumer_group=\"{name}\",topic=\"t\"}}");
                format!(
                    "rocketmq_consumer_lag_messages{labels} 5\n\
                     rocketmq_consumer_lag_latency_milliseconds{labels} {late_ms}\n\
                     blockhouse_consumer_online_members{labels} {members}\n\
                     rocketmq_consumer_inflight_messages{labels} {at_work}\n"
                )
            };
            let groups = [
                group("stuck", late_ms, 1, 5),
                group("idle", late_ms, 1, 0),
                group("alone", late_ms, 0, 5),
                group("moves", 700, 1, 5),
            ];
            Samples::parse(&format!(
                "{}rocketmq_messages_in_total{{topic=\"many\"}} {bytes}\n\
                 rocketmq_messages_in_total{{topic=\"large\"}} 1\n\
                 rocketmq_messages_in_total{{topic=\"old\"}} 1\n\
                 rocketmq_throughput_in_total{{topic=\"many\"}} 9\n\
                 rocketmq_throughput_in_total{{topic=\"large\"}} {bytes}\n\
                 rocketmq_throughput_in_total{{topic=\"old\"}} 1000000\n",
                groups.concat()
            ))
        };
        let (before, now) = (look(1_000, 100), look(2_000, 900));
        let view = |order| View::between(&before, &now, Duration::from_secs(1), order);
        let first = |order| view(order).topics[0].topic.clone();
        let orders = [Order::Messages, Order::Bytes, Order::Stored].map(first);
        assert_eq!(orders, ["many", "large", "old"]);
        let states: Vec<_> =
            view(Order::Messages).groups.into_iter().map(|g| (g.group, g.state)).collect();
        for expected in [
            ("stuck", State::Stuck),
            ("idle", State::NotPulling),
            ("alone", State::Nobody),
            ("moves", State::Moves),
        ] {
            let (name, state) = expected;
            assert!(states.contains(&(name.to_owned(), state)), "{expected:?}: {states:?}");
        }
    }
}
