//! All cells of a process, and how they are read out.

use std::borrow::Cow;
use std::sync::{Arc, OnceLock};

use parking_lot::Mutex;

use crate::audit::AuditCounts;
use crate::catalogue as c;
use crate::channels::{Channels, Shed};
use crate::codes::CodeCounts;
use crate::creations::Creations;
use crate::exemplars::{self, Exemplars};
use crate::exports::{LogCounts, MetricCounts};
use crate::fine::FineCounts;
use crate::flight::{CopyCounts, LoggedRequests, Recorder};
use crate::histogram::HistogramSample;
use crate::inventory::{self, MemberSource};
use crate::lag::{self, LagSource};
use crate::latencies::{Latencies, RpcKind};
use crate::messages::{InLabels, OutLabels};
use crate::misses::PullMisses;
use crate::overflow::Overflows;
use crate::plugins::{self, CODE_SOURCES, ChangeSource, CustomFamily, PluginSource};
use crate::policies::{self, PolicySource};
use crate::quotas::QuotaRefusals;
use crate::refusals::Refusals;
use crate::sends::SendTimes;
use crate::sidecar::{SidecarSource, SidecarView};
use crate::sizes::MessageSizes;
use crate::spans::Spans;
use crate::stages::StageTimes;
use crate::store::{StoreHealth, StoreOffsets};
use crate::watermarks::Watermarks;
use crate::{Cells, Copies, Counter, Gauge, Metric};

/// All that one process counts. Parts share it in an `Arc`.
#[derive(Default)]
pub struct Meter {
    /// Messages and bytes stored, by topic and type.
    pub stored: Copies<InLabels, 2>,
    /// Messages and bytes handed out, by topic and consumer group.
    pub delivered: Copies<OutLabels, 2>,
    /// Messages that ended in a dead-letter topic, by the topic that they came from and consumer group.
    pub dead_lettered: Copies<OutLabels, 1>,
    /// Pulls that wait for messages.
    pub held_pulls: Gauge,
    /// For how long the threads that serve have stood still, in seconds.
    pub stalled: Gauge,
    /// All other requests that wait.
    pub watermarks: Watermarks,
    /// Requests by code and result.
    pub requests: CodeCounts,
    /// Times of requests.
    pub latencies: Latencies,
    /// Of these, requests that became spans.
    pub exemplars: Exemplars,
    /// Times of sends and pulls of late.
    pub sends: SendTimes,
    /// Pulls of late that were answered without a message.
    pub pull_misses: PullMisses,
    /// Times of commands that create topics and groups.
    pub creations: Creations,
    /// What the time of sends went to.
    pub stages: StageTimes,
    /// The last requests that were refused.
    pub refusals: Refusals,
    /// What quotas kept back.
    pub quota_refusals: QuotaRefusals,
    /// What happens to connections.
    pub connections: Arc<Connections>,
    /// Where the log stands.
    pub store: StoreOffsets,
    /// How the store gets on with its disk.
    pub store_health: StoreHealth,
    /// 1 for each of [`METADATA_FILES`] that cannot be written now.
    pub metadata_unsaved: [Gauge; METADATA_FILES.len()],
    /// Age of the oldest message, in milliseconds.
    pub reserve_ms: Gauge,
    /// What clients may do at the broker.
    pub permission: Gauge,
    /// Topics of the broker.
    pub topics: Gauge,
    /// Consumer groups of the broker.
    pub consumer_groups: Gauge,
    /// What clients wanted and found no room for, by [`NAME_TABLES`].
    pub names_refused: [Counter; NAME_TABLES.len()],
    /// Plugins that were loaded, by [`CODE_SOURCES`].
    pub plugin_code: [Gauge; CODE_SOURCES.len()],
    /// Copies of the flight recorder.
    pub flight_copies: CopyCounts,
    /// What the audit log did.
    pub audit: Arc<AuditCounts>,
    plugins: OnceLock<PluginSource>,
    plugin_changes: OnceLock<ChangeSource>,
    authentications: OnceLock<AuthenticationSource>,
    policies: OnceLock<PolicySource>,
    lags: OnceLock<LagSource>,
    members: OnceLock<MemberSource>,
    sidecar: OnceLock<SidecarSource>,
    sizes: OnceLock<Arc<MessageSizes>>,
    spans: OnceLock<Arc<Spans>>,
    flight: OnceLock<Arc<dyn Recorder>>,
    logged: OnceLock<LoggedRequests>,
    metric_exports: OnceLock<Arc<MetricCounts>>,
    log_exports: OnceLock<Arc<LogCounts>>,
    before_read: Mutex<Vec<Refresh>>,
    pub(crate) overflows: Overflows,
    names: OnceLock<CodeNames>,
}

/// Names of request codes and of response codes, `UNKNOWN` for those without.
pub type CodeNames = [fn(i32) -> &'static str; 2];

/// Called before metrics are read, to set gauges that nobody keeps up to date.
pub type Refresh = Box<dyn Fn(&Meter) + Send + Sync>;

/// Says how many requests had credentials of each outcome.
pub type AuthenticationSource = Box<dyn Fn() -> Vec<(&'static str, u64)> + Send + Sync>;

/// What happens to connections.
#[derive(Debug, Default)]
pub struct Connections {
    /// Open now.
    pub open: Gauge,
    /// Accepted.
    pub opened: Counter,
    /// Closed at once.
    pub refused: Counter,
    /// Closed because of bytes that are no request.
    pub bad_frames: Counter,
    /// Closed before a request was let in, by [`Shed`].
    pub shed: [Counter; Shed::ALL.len()],
    /// Bytes read and bytes written.
    pub bytes: Cells<2>,
    /// How they are protected.
    pub channels: Channels,
}

/// What a broker keeps besides messages, in the order of [`Meter::metadata_unsaved`].
pub const METADATA_FILES: [&str; 5] =
    ["topics", "groups", "offsets", "delay_offsets", "offsets_journal"];

/// Tables of names that clients make up, in the order of [`Meter::names_refused`].
pub const NAME_TABLES: [&str; 5] = ["topics", "groups", "offsets", "members", "locks"];

/// One value with its labels.
#[derive(Debug)]
pub struct Sample<'a> {
    /// Which metric it is of.
    pub metric: &'static Metric,
    /// The labels' values, in the order of the metric's label names.
    pub labels: &'a [&'a str],
    /// The value. Counts above 2^53 lose their last digits, as everywhere in Prometheus.
    pub value: f64,
}

/// The label value for what is not told apart any more.
pub(crate) const REST: &str = "(other)";

impl std::fmt::Debug for Meter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Meter").finish_non_exhaustive()
    }
}

impl Meter {
    /// Has `refresh` called before each read.
    pub fn before_read(&self, refresh: Refresh) {
        self.before_read.lock().push(refresh);
    }

    /// Has what `changes` says of plugins read as well.
    pub fn watch_plugin_changes(&self, changes: ChangeSource) {
        self.plugin_changes.get_or_init(|| changes);
    }

    /// Has what `authentications` says read as well.
    pub fn watch_authentications(&self, authentications: AuthenticationSource) {
        self.authentications.get_or_init(|| authentications);
    }

    /// Has what `policies` says read as well.
    pub fn watch_policies(&self, policies: PolicySource) {
        self.policies.get_or_init(|| policies);
    }

    /// Has what `lags` says read as well. It may read the disk.
    pub fn watch_lags(&self, lags: LagSource) {
        self.lags.get_or_init(|| lags);
    }

    /// Has what `members` says read as well.
    pub fn watch_members(&self, members: MemberSource) {
        self.members.get_or_init(|| members);
    }

    /// Has `sidecar` look at the broker as rocketmq-exporter does.
    pub fn watch_sidecar(&self, sidecar: SidecarSource) {
        self.sidecar.get_or_init(|| sidecar);
    }

    /// The broker as rocketmq-exporter shows it, if there is a broker. It may read the disk.
    #[must_use]
    pub fn sidecar(&self) -> Option<SidecarView> {
        let view = self.sidecar.get().and_then(|source| source())?;
        self.overflows.note_sidecar(&view);
        Some(view)
    }

    /// Has the sizes of messages read as well, which whoever stores them counts.
    pub fn watch_sizes(&self, sizes: &Arc<MessageSizes>) {
        self.sizes.get_or_init(|| Arc::clone(sizes));
    }

    pub(crate) fn sizes(&self) -> Option<&MessageSizes> {
        self.sizes.get().map(|sizes| &**sizes)
    }

    /// Has messages recorded as spans, from the next start of a broker on.
    pub fn record_spans(&self, spans: Arc<Spans>) {
        self.spans.get_or_init(|| spans);
    }

    /// Who records messages as spans, if anybody does.
    #[must_use]
    pub fn spans(&self) -> Option<&Arc<Spans>> {
        self.spans.get()
    }

    /// Has requests recorded, from now on.
    pub fn record_flight(&self, recorder: Arc<dyn Recorder>) {
        self.flight.get_or_init(|| recorder);
    }

    /// Has requests logged, from now on.
    pub fn log_requests(&self, logged: LoggedRequests) {
        self.logged.get_or_init(|| logged);
    }

    /// Which requests are logged.
    #[must_use]
    pub fn logged(&self) -> LoggedRequests {
        self.logged.get().copied().unwrap_or_default()
    }

    /// Who records requests, if anybody does.
    #[must_use]
    pub fn flight(&self) -> Option<&Arc<dyn Recorder>> {
        self.flight.get()
    }

    /// Has what becomes of exported metrics read as well.
    pub fn watch_metric_exports(&self, counts: &Arc<MetricCounts>) {
        self.metric_exports.get_or_init(|| Arc::clone(counts));
    }

    /// Has what becomes of exported events of the log read as well.
    pub fn watch_log_exports(&self, counts: &Arc<LogCounts>) {
        self.log_exports.get_or_init(|| Arc::clone(counts));
    }

    /// Has what `plugins` says read as well.
    pub fn watch_plugins(&self, plugins: PluginSource) {
        self.plugins.get_or_init(|| plugins);
    }

    /// Says what request and response codes are called, once; until then they are numbers.
    pub fn name_codes(&self, names: CodeNames) {
        self.names.get_or_init(|| names);
    }
}

/// How all of it is read.
impl Meter {
    /// Hands every value to `visit`, samples of one metric one after the other.
    pub fn read(&self, visit: &mut dyn FnMut(&Sample<'_>)) {
        self.before_read.lock().iter().for_each(|refresh| refresh(self));
        self.read_messages(visit);
        if let Some(source) = self.lags.get() {
            let lags = source();
            self.overflows.lag.note(lag::left_out(&lags));
            lag::read(lags, visit);
        }
        if let Some(source) = self.members.get() {
            inventory::read(source(), &self.overflows, visit);
        }
        self.read_store(visit);
        self.quota_refusals.read(visit);
        self.read_requests(visit);
        for (outcome, requests) in self.authentications.get().map(|read| read()).unwrap_or_default()
        {
            let (labels, value): (&[&str], _) = (&[outcome], count(requests));
            visit(&Sample { metric: &c::AUTHENTICATIONS, labels, value });
        }
        if let Some(source) = self.plugins.get() {
            plugins::read(&source(), visit);
            for (source, count) in CODE_SOURCES.iter().zip(&self.plugin_code) {
                let value = signed(count.read());
                visit(&Sample { metric: &c::PLUGIN_CODE, labels: &[source], value });
            }
        }
        if let Some(source) = self.plugin_changes.get() {
            plugins::read_changes(source(), visit);
        }
        if let Some(source) = self.policies.get() {
            policies::read(&source(), visit);
        }
        self.audit.read(visit);
        self.stages.read(visit);
        if let Some(spans) = self.spans.get() {
            spans.counts.read(visit);
        }
        if let Some(counts) = self.metric_exports.get() {
            counts.read(visit);
        }
        if let Some(counts) = self.log_exports.get() {
            counts.read(visit);
        }
        self.flight_copies.read(visit);
        let mut one = |metric, value| visit(&Sample { metric, labels: &[], value });
        one(&c::TOPIC_NUMBER, signed(self.topics.read()));
        one(&c::CONSUMER_GROUP_NUMBER, signed(self.consumer_groups.read()));
        one(&c::STALLED, signed(self.stalled.read()));
        one(&c::HELD_PULLS, signed(self.held_pulls.read()));
        let [bytes_in, bytes_out] = self.connections.bytes.read();
        one(&c::CONNECTIONS, signed(self.connections.open.read()));
        one(&c::CONNECTIONS_OPENED, count(self.connections.opened.read()));
        one(&c::CONNECTIONS_REFUSED, count(self.connections.refused.read()));
        one(&c::BAD_FRAMES, count(self.connections.bad_frames.read()));
        one(&c::NETWORK_IN, count(bytes_in));
        one(&c::NETWORK_OUT, count(bytes_out));
        self.connections.read_shed(visit);
        self.connections.channels.read(visit);
        for (table, names) in NAME_TABLES.iter().zip(&self.names_refused) {
            let value = count(names.read());
            visit(&Sample { metric: &c::NAMES_REFUSED, labels: &[table], value });
        }
        self.read_overflows(visit);
    }

    /// Hands every histogram to `visit`, those of one metric one after the other.
    pub fn read_histograms(&self, visit: &mut dyn FnMut(&HistogramSample<'_>)) {
        if let Some(sizes) = self.sizes.get() {
            sizes.read(visit);
        }
        for (kind, times) in self.latencies.read() {
            let labels = self.rpc_labels(kind);
            let labels: &[&str] = &labels.each_ref().map(|label| &**label);
            let (counts, sum) = (times.counts(), times.sum() as f64 / 1e3);
            visit(&HistogramSample { metric: &c::RPC_LATENCY, labels, counts, sum });
        }
        self.creations.read(visit);
    }

    /// Requests that became spans, by the labels of the histogram of times of requests.
    #[must_use]
    pub fn rpc_exemplars(&self) -> Vec<(Vec<String>, exemplars::Row)> {
        let rows = self.exemplars.read().into_iter();
        let labelled = |(kind, row)| {
            (self.rpc_labels(Some(kind)).into_iter().map(Cow::into_owned).collect(), row)
        };
        rows.map(labelled).collect()
    }

    /// Times of requests by exponential buckets, by the labels of their histogram.
    #[must_use]
    pub fn rpc_fine(&self) -> Vec<(Vec<String>, FineCounts)> {
        let rows = self.latencies.read_fine().into_iter();
        let labelled = |(kind, counts)| {
            (self.rpc_labels(kind).into_iter().map(Cow::into_owned).collect(), counts)
        };
        rows.map(labelled).collect()
    }

    /// In the order of the label names of `RPC_LATENCY`.
    fn rpc_labels(&self, kind: Option<RpcKind>) -> [Cow<'static, str>; 5] {
        let Some(kind) = kind else {
            return ["remoting", REST, REST, REST, REST].map(Cow::Borrowed);
        };
        [
            "remoting".into(),
            self.name(0, kind.request),
            self.name(1, kind.response),
            truth(kind.is_held).into(),
            (if kind.is_one_way { "oneway" } else { "success" }).into(),
        ]
    }

    /// The metrics that plugins made themselves.
    #[must_use]
    pub fn custom(&self) -> Vec<CustomFamily> {
        self.plugins.get().map(|source| plugins::families(source())).unwrap_or_default()
    }

    fn read_store(&self, visit: &mut dyn FnMut(&Sample<'_>)) {
        self.store.read(visit);
        let used = signed(self.store_health.disk_used_bytes.read());
        visit(&Sample { metric: &c::STORAGE_SIZE, labels: &["local", "disk"], value: used });
        let value = signed(self.reserve_ms.read());
        visit(&Sample { metric: &c::RESERVE_TIME, labels: &["local", "disk"], value });
        self.watermarks.read(visit);
        let value = signed(self.permission.read());
        visit(&Sample { metric: &c::BROKER_PERMISSION, labels: &[], value });
        self.store_health.read(visit);
        for (file, gauge) in METADATA_FILES.iter().zip(&self.metadata_unsaved) {
            let value = signed(gauge.read());
            visit(&Sample { metric: &c::METADATA_UNSAVED, labels: &[file], value });
        }
    }

    fn read_requests(&self, visit: &mut dyn FnMut(&Sample<'_>)) {
        for (pair, requests) in self.requests.read() {
            let [code, result] = pair.map_or([Cow::Borrowed(REST), Cow::Borrowed(REST)], |pair| {
                [self.name(0, pair.0), self.name(1, pair.1)]
            });
            let labels: &[&str] = &[&code, &result];
            visit(&Sample { metric: &c::REQUESTS, labels, value: count(requests) });
        }
    }

    /// RocketMQ's exporter has the names of codes in lower case.
    fn name(&self, which: usize, code: i32) -> Cow<'static, str> {
        match self.names.get().map(|names| names[which](code)) {
            Some("UNKNOWN") | None => code.to_string().into(),
            Some(name) => name.to_ascii_lowercase().into(),
        }
    }
}

pub(crate) const fn truth(value: bool) -> &'static str {
    if value { "true" } else { "false" }
}

pub(crate) const fn count(value: u64) -> f64 {
    value as f64
}

pub(crate) const fn signed(value: i64) -> f64 {
    value as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plugins::{PluginChanges, PluginCounts, PluginHookCounts};
    use crate::policies::PolicyCounts;
    use crate::{Created, Invocation, RpcKind};
    use blockhouse_model::MessageType;

    fn lines(meter: &Meter) -> Vec<String> {
        let mut lines = Vec::new();
        meter.read(&mut |s| {
            assert_eq!(s.labels.len(), s.metric.labels.len(), "{s:?}");
            lines.push(format!("{} {} {}", s.metric.name, s.labels.join(","), s.value));
        });
        lines
    }

    #[test]
    fn what_was_recorded_is_read_with_its_labels() {
        let meter = Meter::default();
        meter.store_health.disk_used_bytes.set(9_000);
        meter.requests.add(310, 0, 7);
        meter.requests.add(9_999, 0, 1);
        meter.name_codes([|c| if c == 310 { "SEND_V2" } else { "UNKNOWN" }, |_| "SUCCESS"]);
        meter.connections.bytes.add([10, 20]);
        meter.connections.channels.handshakes[2].add(6);
        meter.connections.channels.certificate_end.set(77);
        meter.before_read(Box::new(|m| m.store.written.set(4_096)));
        let failures = vec![("trap", 2)];
        let mut hooks =
            vec![PluginHookCounts { hook: "pull", calls: 5, failures, ..Default::default() }];
        let (verdicts, disagreements) = (vec![("drop", 4)], Some(6));
        let send = PluginHookCounts { hook: "before-send", verdicts, ..Default::default() };
        hooks.push(PluginHookCounts { disagreements, ..send });
        let plugin = PluginCounts {
            plugin: "acl".to_owned(),
            loaded: true,
            memory_bytes: 65_536,
            unhealthy: 2,
            hooks,
            ..Default::default()
        };
        meter.watch_plugins(Box::new(move || vec![plugin.clone()]));
        meter.before_read(Box::new(|m| m.plugin_code[1].set(3)));
        let changes = PluginChanges { generation: 9, refused: 4, ..Default::default() };
        meter.watch_plugin_changes(Box::new(move || changes));
        meter.watch_authentications(Box::new(|| vec![("ok", 8), ("missing", 2)]));
        let decisions = [5, 2, 1];
        let policies = PolicyCounts { decisions, rules: 8, generation: 3, ..Default::default() };
        meter.watch_policies(Box::new(move || policies));
        let lines = lines(&meter);
        for expected in [
            "blockhouse_policy_decisions_total denied 2",
            "blockhouse_policy_rules  8",
            "blockhouse_policy_generation  3",
            "blockhouse_policy_changes_total refused 0",
            "rocketmq_storage_size_bytes local,disk 9000",
            "blockhouse_store_size_bytes  4096",
            "rocketmq_processor_watermark pull 0",
            "blockhouse_requests_total send_v2,success 7",
            "blockhouse_authentications_total missing 2",
            "blockhouse_requests_total 9999,success 1",
            "blockhouse_network_out_bytes_total  20",
            "blockhouse_channel_connections tls 0",
            "blockhouse_tls_handshakes_total timeout 6",
            "blockhouse_tls_certificate_expiry_seconds  77",
            "blockhouse_plugin_loaded acl 1",
            "blockhouse_plugin_code_total cache 0",
            "blockhouse_plugin_code_total compiled 3",
            "blockhouse_plugin_memory_bytes acl 65536",
            "blockhouse_plugin_unhealthy_instances_total acl 2",
            "blockhouse_plugin_calls_total acl,pull 5",
            "blockhouse_plugin_verdicts_total acl,before-send,drop 4",
            "blockhouse_plugin_shadow_disagreements_total acl,before-send 6",
            "blockhouse_plugin_failures_total acl,pull,trap 2",
            "blockhouse_plugin_generation  9",
            "blockhouse_plugin_changes_total refused 4",
            "rocketmq_storage_flush_behind_bytes local,disk 4096",
        ] {
            assert!(lines.iter().any(|l| l == expected), "{expected} is not in {lines:#?}");
        }
    }

    #[test]
    fn histograms_have_rocketmq_s_labels() {
        let meter = Meter::default();
        meter.name_codes([|c| if c == 11 { "PULL_MESSAGE" } else { "UNKNOWN" }, |_| "SUCCESS"]);
        let kind = RpcKind { request: 11, response: 0, is_held: true, is_one_way: false };
        meter.latencies.add(Some(kind), 1_500, 2);
        meter.latencies.add(Some(RpcKind { is_held: false, is_one_way: true, ..kind }), 250, 1);
        meter.latencies.add(None, 250, 1);
        meter.creations.add(Created::Topic, true, Invocation::Failure, 10_001);
        meter.creations.add(Created::Group, false, Invocation::Success, 500);
        let mut lines = Vec::new();
        meter.read_histograms(&mut |s| {
            assert_eq!(s.labels.len(), s.metric.labels.len(), "{s:?}");
            assert_eq!(s.counts.len(), s.metric.bounds.len() + 1, "{s:?}");
            assert!(crate::CATALOGUE.contains(&s.metric));
            let (name, labels) = (s.metric.name, s.labels.join(","));
            lines.push(format!("{name} {labels} {:?} {}", &s.counts[..2], s.sum));
        });
        let expected = [
            "rocketmq_rpc_latency_milliseconds remoting,(other),(other),(other),(other) [1, 0] 0.25",
            "rocketmq_rpc_latency_milliseconds remoting,pull_message,success,false,oneway [1, 0] 0.25",
            "rocketmq_rpc_latency_milliseconds remoting,pull_message,success,true,success [0, 2] 3",
            "rocketmq_topic_create_execution_time_milliseconds failure,true [0, 1] 10.001",
            "rocketmq_consumer_group_create_execution_time_milliseconds success [1, 0] 0.5",
        ];
        assert_eq!(lines, expected);
    }

    #[test]
    fn samples_of_a_metric_are_together_and_all_are_in_the_catalogue() {
        let meter = Meter::default();
        let stored = |topic: &str| InLabels { topic: topic.into(), kind: MessageType::Normal };
        meter.stored.take([(stored("a"), [1, 1]), (stored("b"), [1, 1])], ([0; 2], 0));
        let out = |topic: &str| OutLabels { topic: topic.into(), group: "g".into() };
        meter.delivered.take([(out("%RETRY%g"), [1, 1]), (out("a"), [1, 1])], ([0; 2], 0));
        let mut seen: Vec<&str> = Vec::new();
        meter.read(&mut |s| {
            assert!(crate::CATALOGUE.contains(&s.metric));
            if seen.last() != Some(&s.metric.name) {
                assert!(!seen.contains(&s.metric.name), "{} comes twice", s.metric.name);
                seen.push(s.metric.name);
            }
        });
        assert!(seen.len() > 10);
    }
}
