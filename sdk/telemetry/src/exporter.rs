//! The meter as a collector of a Prometheus registry.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use blockhouse_meter::native::NATIVE;
use blockhouse_meter::{CATALOGUE, Meter, Metric, Sample, catalogue};
use blockhouse_model::Clock;
use opentelemetry::KeyValue;
use opentelemetry_sdk::Resource;
use prometheus::Registry;
use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;

use crate::accept::{self, Format};
use crate::native::translated;
use crate::render::{Families, custom, describe};
use crate::requests::Requests;
use crate::{Error, Exposition};

/// Who the metrics are of. These become labels of every metric, as RocketMQ's own exporter has
/// them.
#[derive(Clone, Debug)]
pub struct Identity {
    /// The cluster's name.
    pub cluster: String,
    /// `broker`, `namesrv`, ...
    pub node_type: String,
    /// The node's name.
    pub node_id: String,
    /// The version that runs.
    pub version: String,
}

const MICROS_PER_MILLISECOND: f64 = 1e3;
const MICROS_PER_SECOND: f64 = 1e6;

impl Identity {
    /// The same, where it is said once for all that is exported.
    pub(crate) fn resource(&self) -> Resource {
        let attributes = [
            ("service.name", "blockhouse"),
            ("service.namespace", &self.cluster),
            ("service.instance.id", &self.node_id),
            ("service.version", &self.version),
        ];
        let attributes = attributes.map(|(name, value)| KeyValue::new(name, value.to_owned()));
        Resource::builder_empty().with_attributes(attributes).build()
    }
}

/// Makes text of a [`Meter`].
pub struct Exporter {
    registry: Registry,
    meter: Arc<Meter>,
    clock: Arc<dyn Clock>,
    start: Duration,
}

impl Exporter {
    /// An exporter of `meter`; the uptime counts from now.
    ///
    /// # Errors
    /// If a metric breaks a rule of Prometheus.
    pub fn new(
        identity: Identity,
        meter: Arc<Meter>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, Error> {
        let labels = HashMap::from([
            ("cluster".to_owned(), identity.cluster),
            ("node_type".to_owned(), identity.node_type),
            ("node_id".to_owned(), identity.node_id),
        ]);
        let registry = Registry::new_custom(None, Some(labels)).map_err(Error::Register)?;
        let start = clock.monotonic();
        let descriptions: Result<Vec<_>, _> = CATALOGUE.iter().map(|m| describe(m)).collect();
        let collector = MeterCollector {
            meter: Arc::clone(&meter),
            clock: Arc::clone(&clock),
            start,
            version: identity.version,
            descriptions: descriptions.map_err(Error::Register)?,
        };
        registry.register(Box::new(collector)).map_err(Error::Register)?;
        Ok(Self { registry, meter, clock, start })
    }

    /// All metrics, in the format that `accept`, the header of a request, asks for: `OpenMetrics`' text, or
    /// Prometheus' own. It may wait for the disk.
    ///
    /// # Errors
    /// If two samples of a metric have the same labels.
    pub fn show(&self, accept: &str) -> Result<Exposition, Error> {
        let Metric { name, labels, .. } = catalogue::RPC_LATENCY;
        let format = accept::format(accept, &[Format::Text, Format::OpenMetrics]);
        let requests = || {
            let exemplars = self.meter.rpc_exemplars();
            Requests::new((name, labels), MICROS_PER_MILLISECOND, exemplars, Vec::new())
        };
        Exposition::of(format, &self.families(), requests)
    }

    /// All metrics by our own names, in base units: also in Prometheus' protobuf format, which has the
    /// times of requests as native histograms.
    ///
    /// # Errors
    /// If two samples of a metric have the same labels.
    pub fn show_native(&self, accept: &str) -> Result<Exposition, Error> {
        let Metric { name, labels, .. } = catalogue::RPC_LATENCY;
        let native = NATIVE.iter().find(|native| native.metric.name == name);
        let name = native.map_or(name, |native| native.name);
        let format = accept::format(accept, &[Format::Text, Format::OpenMetrics, Format::Protobuf]);
        let requests = || {
            let (exemplars, fine) = (self.meter.rpc_exemplars(), self.meter.rpc_fine());
            Requests::new((name, labels), MICROS_PER_SECOND, exemplars, fine)
        };
        Exposition::of(format, &translated(self.families()), requests)
    }

    /// All metrics.
    pub(crate) fn families(&self) -> Vec<MetricFamily> {
        self.registry.gather()
    }

    /// How long it has counted.
    pub(crate) fn up(&self) -> Duration {
        self.clock.monotonic().saturating_sub(self.start)
    }
}

impl std::fmt::Debug for Exporter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Exporter").finish_non_exhaustive()
    }
}

struct MeterCollector {
    meter: Arc<Meter>,
    clock: Arc<dyn Clock>,
    start: Duration,
    version: String,
    descriptions: Vec<Desc>,
}

impl Collector for MeterCollector {
    fn desc(&self) -> Vec<&Desc> {
        self.descriptions.iter().collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let mut families = Families::default();
        self.meter.read(&mut |sample| families.add(sample));
        let up = self.clock.monotonic().saturating_sub(self.start).as_secs_f64();
        families.add(&Sample { metric: &catalogue::UPTIME, labels: &[], value: up });
        let version: &[&str] = &[&self.version];
        families.add(&Sample { metric: &catalogue::BUILD_INFO, labels: version, value: 1.0 });
        self.meter.read_histograms(&mut |sample| families.add_histogram(sample));
        let own = self.meter.custom().into_iter().map(custom);
        families.into_vec().into_iter().chain(own).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use blockhouse_meter::{CustomCounts, CustomValue, InLabels, PluginCounts, RpcKind};
    use blockhouse_model::{ManualClock, MessageType, Timestamp};

    fn identity() -> Identity {
        Identity {
            cluster: "c".into(),
            node_type: "broker".into(),
            node_id: "b-0".into(),
            version: "1.2.3".into(),
        }
    }

    #[test]
    fn the_text_has_types_labels_and_values() {
        let meter = Arc::new(Meter::default());
        let clock = Arc::new(ManualClock::at(Timestamp(5)));
        let exporter = Exporter::new(identity(), Arc::clone(&meter), clock.clone()).unwrap();
        let orders = InLabels { topic: "orders".into(), kind: MessageType::Normal };
        meter.stored.take([(orders, [3, 300])], ([0; 2], 0));
        clock.advance(Duration::from_millis(2_500));
        let text = exporter.show("").unwrap().into_text();
        for line in [
            "# TYPE rocketmq_messages_in_total counter",
            "rocketmq_messages_in_total{topic=\"orders\",message_type=\"normal\",\
             is_system=\"false\",cluster=\"c\",node_id=\"b-0\",node_type=\"broker\"} 3",
            "# TYPE blockhouse_connections gauge",
            "blockhouse_uptime_seconds{cluster=\"c\",node_id=\"b-0\",node_type=\"broker\"} 2.5",
            "blockhouse_build_info{version=\"1.2.3\",cluster=\"c\",node_id=\"b-0\",\
             node_type=\"broker\"} 1",
        ] {
            let sorted = |line: &str| {
                let mut chars: Vec<char> = line.chars().collect();
                chars.sort_unstable();
                chars
            };
            // The order of the process-wide labels is that of a hash map.
            assert!(text.lines().any(|l| sorted(l) == sorted(line)), "{line} is not in\n{text}");
        }
    }

    #[test]
    fn buckets_hold_what_those_below_them_hold() {
        let meter = Arc::new(Meter::default());
        let kind = RpcKind { request: 11, response: 0, is_held: false, is_one_way: false };
        for (micros, requests) in [(1_000, 5), (6_000, 2), (9_000_000, 1)] {
            meter.latencies.add(Some(kind), micros, requests);
        }
        let clock = Arc::new(ManualClock::at(Timestamp(5)));
        let text = Exporter::new(identity(), meter, clock).unwrap().show("").unwrap().into_text();
        let labels = "protocol_type=\"remoting\",request_code=\"11\",response_code=\"0\",\
                      is_long_polling=\"false\",result=\"success\"";
        for (name, end) in [
            ("bucket", "le=\"1\"} 5"),
            ("bucket", "le=\"5\"} 5"),
            ("bucket", "le=\"7\"} 7"),
            ("bucket", "le=\"3000\"} 7"),
            ("bucket", "le=\"+Inf\"} 8"),
            ("sum", " 9017"),
            ("count", " 8"),
        ] {
            let begin = format!("rocketmq_rpc_latency_milliseconds_{name}{{{labels}");
            let found = text.lines().any(|line| line.starts_with(&begin) && line.ends_with(end));
            assert!(found, "{begin} {end} is not in\n{text}");
        }
        assert!(text.contains("# TYPE rocketmq_rpc_latency_milliseconds histogram\n"));
    }

    #[test]
    fn native_names_have_base_units_and_protobuf_is_there_for_them_only() {
        let meter = Arc::new(Meter::default());
        let kind = RpcKind { request: 11, response: 0, is_held: false, is_one_way: false };
        meter.latencies.add(Some(kind), 6_000, 2);
        meter.reserve_ms.set(1_500);
        meter.store_health.disk_used.set(42);
        let clock = Arc::new(ManualClock::at(Timestamp(5)));
        let exporter = Exporter::new(identity(), meter, clock).unwrap();
        let text = exporter.show_native("").unwrap().into_text();
        for (begin, end) in [
            ("# TYPE blockhouse_rpc_duration_seconds histogram", ""),
            ("blockhouse_rpc_duration_seconds_bucket{", "le=\"0.005\"} 0"),
            ("blockhouse_rpc_duration_seconds_bucket{", "le=\"0.007\"} 2"),
            ("blockhouse_rpc_duration_seconds_sum{", " 0.012"),
            ("blockhouse_store_oldest_message_age_seconds{", " 1.5"),
            ("blockhouse_store_disk_used_ratio{", " 0.42"),
        ] {
            let found = text.lines().any(|line| line.starts_with(begin) && line.ends_with(end));
            assert!(found, "{begin} {end} is not in\n{text}");
        }
        assert!(!text.contains("rocketmq_"), "{text}");
        let accept = "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited";
        let shown = exporter.show_native(accept).unwrap();
        assert!(shown.content_type.starts_with("application/vnd.google.protobuf;"));
        assert!(exporter.show(accept).unwrap().content_type.starts_with("text/plain;"));
    }

    #[test]
    fn what_plugins_count_themselves_is_there() {
        let meter = Arc::new(Meter::default());
        let custom = |name: &str, value| CustomCounts {
            name: name.to_owned(),
            help: "One\nor two".to_owned(),
            value,
        };
        let buckets = vec![(0.5, 1), (1.0, 2)];
        let plugin = PluginCounts {
            plugin: "acl".to_owned(),
            custom: vec![
                custom("hits", CustomValue::Counter(3)),
                custom("level", CustomValue::Gauge(-1.5)),
                custom("took", CustomValue::Histogram { count: 3, sum: 9.25, buckets }),
            ],
            ..PluginCounts::default()
        };
        meter.watch_plugins(Box::new(move || vec![plugin.clone()]));
        let clock = Arc::new(ManualClock::at(Timestamp(5)));
        let text = Exporter::new(identity(), meter, clock).unwrap().show("").unwrap().into_text();
        let labels = r#"plugin="acl""#;
        for (begin, end) in [
            ("# HELP blockhouse_plugin_custom_hits One\\nor two".to_owned(), ""),
            ("# TYPE blockhouse_plugin_custom_hits counter".to_owned(), ""),
            ("# TYPE blockhouse_plugin_custom_level gauge".to_owned(), ""),
            ("# TYPE blockhouse_plugin_custom_took histogram".to_owned(), ""),
            (format!("blockhouse_plugin_custom_hits{{{labels}"), " 3"),
            (format!("blockhouse_plugin_custom_level{{{labels}"), " -1.5"),
            (format!("blockhouse_plugin_custom_took_bucket{{{labels}"), r#"le="0.5"} 1"#),
            (format!("blockhouse_plugin_custom_took_bucket{{{labels}"), r#"le="+Inf"} 3"#),
            (format!("blockhouse_plugin_custom_took_sum{{{labels}"), " 9.25"),
            (format!("blockhouse_plugin_custom_took_count{{{labels}"), " 3"),
        ] {
            let found = text.lines().any(|line| line.starts_with(&begin) && line.ends_with(end));
            assert!(found, "{begin} {end} is not in\n{text}");
        }
    }
}
