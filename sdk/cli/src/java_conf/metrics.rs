//! Where RocketMQ's metrics go, and which there are.

use std::ops::RangeInclusive;

use anyhow::{Context as _, ensure};
use blockhouse_telemetry::otlp::Endpoint;

use super::properties::Entry;
use super::table::{
    Half,
    Meaning::{self, Address, Collector, Exporter, Moot},
};

const TYPE: &str = "metricsExporterType";
const TARGET: &str = "metricsGrpcExporterTarget";
const HOST: &str = "metricsPromExporterHost";

const MILLIS: &str = "a number of milliseconds";
const PAIRS: &str = "name:value pairs with commas between them";
const TRUTH: &str = "true or false";

const LOGGED: &str = "metrics are not written into the log: scrape /metrics of ops.listen, or have them \
                      sent to a collector (telemetry.metrics.endpoint)";
const LABELS: &str = "metrics have no labels of the operator's own: give them where Prometheus scrapes \
                      (`labels` of its targets) or in the collector";
const DELTA: &str = "counts are since the start of the broker; a collector can make differences of them \
                     (its processor cumulativetodelta)";
const SERIES: &str = "how many series there can be is fixed, and in docs/metrics.md";
const GROUPS: &str = "all metrics are always there: drop those that you do not want where you scrape \
                      (`metric_relabel_configs`)";
const SERVED: &str =
    "/metrics is always served at ops.listen; with ops.listen = \"off\" nothing is";
const LOOPBACK: &str = "/metrics is served on loopback only, until metricsPromExporterHost names another \
                        address (which needs TLS: docs/operations.md)";
const NO_COLLECTOR: &str = "metrics go to a collector only with metricsExporterType=OTLP_GRPC";

/// What each key is here.
pub(super) const TABLE: &[(&str, Meaning)] = &[
    (TYPE, Exporter),
    (
        TARGET,
        Collector(
            "telemetry.metrics.endpoint",
            target,
            "https://HOST:PORT, http://HOST:PORT or HOST:PORT",
        ),
    ),
    ("metricsGrpcExporterHeader", Collector("telemetry.otlp.headers", headers, PAIRS)),
    (
        "metricGrpcExporterTimeOutInMills",
        Collector(
            "telemetry.otlp.timeout_ms",
            timeout,
            "a number of milliseconds from 1 to 600000",
        ),
    ),
    (
        "metricGrpcExporterIntervalInMills",
        Collector(
            "telemetry.metrics.interval_ms",
            interval,
            "a number of milliseconds from 100 to 3600000",
        ),
    ),
    ("metricLoggingExporterIntervalInMills", Moot(is_number, MILLIS, &[], LOGGED)),
    ("metricsPromExporterPort", Address("ops.listen", Half::Port)),
    (HOST, Address("ops.listen", Half::Host)),
    ("metricsLabel", Moot(is_pairs, PAIRS, &[""], LABELS)),
    ("metricsInDelta", Moot(is_truth, TRUTH, &["false"], DELTA)),
    ("metricsOtelCardinalityLimit", Moot(is_number, "a number", &["50000"], SERIES)),
    ("enableRemotingMetrics", Moot(is_truth, TRUTH, &["true"], GROUPS)),
    ("enableMessageStoreMetrics", Moot(is_truth, TRUTH, &["true"], GROUPS)),
    ("enablePopMetrics", Moot(is_truth, TRUTH, &["true"], GROUPS)),
    ("enableConnectionMetrics", Moot(is_truth, TRUTH, &["true"], GROUPS)),
    ("enableTransactionMetrics", Moot(is_truth, TRUTH, &["true"], GROUPS)),
    ("enableStatsMetrics", Moot(is_truth, TRUTH, &["true"], GROUPS)),
    ("enableRequestMetrics", Moot(is_truth, TRUTH, &["true"], GROUPS)),
    ("enableLagAndDlqMetrics", Moot(is_truth, TRUTH, &["true"], GROUPS)),
];

/// Which way metrics go. RocketMQ also takes the number of it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    Nowhere,
    Collector,
    Scrape,
    Log,
}

impl Way {
    fn parse(value: &str) -> Option<Self> {
        match value {
            "DISABLE" | "0" => Some(Self::Nowhere),
            "OTLP_GRPC" | "1" => Some(Self::Collector),
            "PROM" | "2" => Some(Self::Scrape),
            "LOG" | "3" => Some(Self::Log),
            _ => None,
        }
    }
}

/// The last value of a key: that one counts.
fn value<'a>(entries: &'a [Entry], key: &str) -> &'a str {
    entries.iter().rev().find(|entry| entry.key == key).map_or("", |entry| &entry.value)
}

/// What is missed of the way that metrics would go in RocketMQ.
pub(super) fn missed(way: &str, entries: &[Entry]) -> anyhow::Result<Option<&'static str>> {
    let way = Way::parse(way).context("must be DISABLE, OTLP_GRPC, PROM or LOG")?;
    let has = |key| !value(entries, key).is_empty();
    Ok(match way {
        Way::Nowhere => Some(SERVED),
        Way::Log => Some(LOGGED),
        Way::Scrape => (!has(HOST)).then_some(LOOPBACK),
        Way::Collector => {
            ensure!(has(TARGET), "needs {TARGET}, which says where the collector is");
            None
        }
    })
}

/// Why a key about collectors has no effect.
pub(super) fn no_collector(entries: &[Entry]) -> Option<&'static str> {
    let way = Way::parse(value(entries, TYPE));
    (way != Some(Way::Collector)).then_some(NO_COLLECTOR)
}

/// RocketMQ takes a target without a scheme for one of TLS.
fn target(value: &str) -> Option<String> {
    let url = match value {
        "" => return Some(String::new()),
        url if url.starts_with("http") => url.to_owned(),
        bare => format!("https://{bare}"),
    };
    Endpoint::parse(&url).map(|_| url)
}

fn pairs(value: &str) -> impl Iterator<Item = Option<(&str, &str)>> {
    let pairs = value.split(',').filter(|pair| !pair.is_empty());
    pairs.map(|pair| {
        pair.split_once(':').filter(|(name, value)| !name.is_empty() && !value.contains(':'))
    })
}

fn is_pairs(value: &str) -> bool {
    pairs(value).all(|pair| pair.is_some())
}

fn headers(value: &str) -> Option<String> {
    let pairs: Option<Vec<_>> = pairs(value).collect();
    // Our list would be divided there.
    let pairs = pairs.filter(|_| !value.contains(';'))?;
    let ours: Vec<_> = pairs.iter().map(|(name, value)| format!("{name}={value}")).collect();
    Some(ours.join(","))
}

fn within(value: &str, range: &RangeInclusive<u64>) -> Option<String> {
    value.parse().ok().filter(|millis| range.contains(millis)).map(|millis: u64| millis.to_string())
}

fn timeout(value: &str) -> Option<String> {
    within(value, &(1..=600_000))
}

fn interval(value: &str) -> Option<String> {
    within(value, &(100..=3_600_000))
}

fn is_number(value: &str) -> bool {
    value.parse::<u64>().is_ok()
}

fn is_truth(value: &str) -> bool {
    value.parse::<bool>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::super::tests::load;
    use super::*;

    #[test]
    fn metrics_go_to_the_collector_that_the_file_names() {
        let text = "metricsExporterType=OTLP_GRPC\n\
                    metricsGrpcExporterTarget=collector.example:4317\n\
                    metricsGrpcExporterHeader=X-Scope-OrgID:a,tenant:b\n\
                    metricGrpcExporterTimeOutInMills=3000\n\
                    metricGrpcExporterIntervalInMills=15000\n";
        let (loaded, unhonoured) = load(text).unwrap();
        assert_eq!(unhonoured, Vec::<String>::new());
        let telemetry = &loaded.config.telemetry;
        assert_eq!(telemetry.metrics.endpoint, "https://collector.example:4317");
        assert_eq!(telemetry.metrics.interval_ms, 15_000);
        assert_eq!(telemetry.otlp.timeout_ms, 3_000);
        assert_eq!(telemetry.otlp.headers, ["X-Scope-OrgID=a", "tenant=b"]);
        let plain = text.replace("collector.example", "http://127.0.0.1");
        let endpoint = load(&plain).unwrap().0.config.telemetry.metrics.endpoint;
        assert_eq!(endpoint, "http://127.0.0.1:4317");
        // It goes there because of the type alone.
        let (loaded, unhonoured) = load(&text.replace("OTLP_GRPC", "PROM")).unwrap();
        assert_eq!(loaded.config.telemetry, blockhouse_telemetry::Config::default());
        let told = unhonoured.iter().filter(|line| line.ends_with(NO_COLLECTOR)).count();
        assert_eq!((unhonoured.len(), told), (5, 4), "{unhonoured:#?}");
    }

    #[test]
    fn what_is_missed_is_told_with_what_helps() {
        let told = |text: &str| load(text).unwrap().1;
        for (text, line) in [
            ("metricsExporterType=DISABLE", SERVED),
            ("metricsExporterType=0", SERVED),
            ("metricsExporterType=LOG", LOGGED),
            ("metricsExporterType=PROM", LOOPBACK),
            ("metricLoggingExporterIntervalInMills=10000", LOGGED),
            ("metricsLabel=zone:a,rack:7", LABELS),
            ("metricsInDelta=true", DELTA),
            ("metricsOtelCardinalityLimit=2000", SERIES),
            ("enablePopMetrics=false", GROUPS),
        ] {
            let key = text.split('=').next().unwrap();
            assert_eq!(told(text), [format!("broker.conf:1: {key} is not honoured: {line}")]);
        }
        let text = "metricsExporterType=PROM\nmetricsPromExporterHost=127.0.0.1\n\
                    metricsPromExporterPort=5558\nmetricsLabel=\nmetricsInDelta=false\n\
                    metricsOtelCardinalityLimit=50000\nmetricsGrpcExporterTarget=\n\
                    metricsGrpcExporterHeader=\nenableStatsMetrics=true\n";
        assert_eq!(told(text), Vec::<String>::new(), "all of it is so");
    }

    #[test]
    fn values_that_cannot_be_used_are_refused_with_key_and_reason() {
        let refused = |text: &str| load(text).map(|_| ()).unwrap_err().to_string();
        for (key, value, allowed) in [
            (
                "metricsGrpcExporterTarget",
                "here",
                "https://HOST:PORT, http://HOST:PORT or HOST:PORT",
            ),
            (
                "metricsGrpcExporterTarget",
                "httpx://a:1",
                "https://HOST:PORT, http://HOST:PORT or HOST:PORT",
            ),
            ("metricsGrpcExporterHeader", "a", PAIRS),
            ("metricsGrpcExporterHeader", "a:b:c", PAIRS),
            ("metricsGrpcExporterHeader", "a:b;c:d", PAIRS),
            ("metricGrpcExporterTimeOutInMills", "0", "a number of milliseconds from 1 to 600000"),
            (
                "metricGrpcExporterIntervalInMills",
                "soon",
                "a number of milliseconds from 100 to 3600000",
            ),
            ("metricLoggingExporterIntervalInMills", "-1", MILLIS),
            ("metricsLabel", "zone", PAIRS),
            ("metricsInDelta", "yes", TRUTH),
            ("metricsOtelCardinalityLimit", "many", "a number"),
            ("enableStatsMetrics", "on", TRUTH),
        ] {
            let shown = if key.ends_with("Header") { "..." } else { value };
            assert_eq!(
                refused(&format!("\n{key}={value}\n")),
                format!("`{key}` must be {allowed}, not `{shown}` (broker.conf:2)")
            );
        }
        let ways = "metricsExporterType=prom cannot be honoured (broker.conf:1): must be DISABLE, OTLP_GRPC, PROM or LOG";
        assert_eq!(refused("metricsExporterType=prom\n"), ways);
        assert_eq!(
            refused("metricsExporterType=OTLP_GRPC\n"),
            "metricsExporterType=OTLP_GRPC cannot be honoured (broker.conf:1): needs \
             metricsGrpcExporterTarget, which says where the collector is"
        );
    }
}
