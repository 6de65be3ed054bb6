//! Generated pages are what would be generated now, and links lead somewhere.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use blockhouse_meter::native::NATIVE;
use blockhouse_meter::rocketmq::{self, DIFFERENCES};
use blockhouse_meter::sidecar::families::{MISSING, SERVED};
use blockhouse_meter::{
    CATALOGUE, CODE_PAIRS_MAX, CONSUMER_SERIES_MAX, Kind, LABEL_SETS_MAX, LAG_PAIRS_MAX,
    PRODUCER_SERIES_MAX, RPC_KINDS_MAX, SIZE_TOPICS_MAX, Stability,
};
use blockhouse_namesrv_remoting::table::{Needs, ROWS};
use blockhouse_protocol::codes::request_code;
use blockhouse_remoting::{Entry, Shown};
use blockhouse_tidy::links::{anchor, is_broken};
use blockhouse_tidy::{files, read, updating, write};

fn check(path: &str, fresh: &str) {
    if updating() {
        let written = write(path, fresh);
        assert!(written.is_ok(), "{written:?}");
        return;
    }
    let kept = read(path).unwrap_or_default();
    let first = kept.lines().zip(fresh.lines()).position(|(a, b)| a != b);
    assert!(
        kept == fresh,
        "{path} is out of date from line {}: run `UPDATE=1 cargo test -p blockhouse-tidy`",
        first.unwrap_or_else(|| kept.lines().count().min(fresh.lines().count())) + 1
    );
}

#[test]
fn the_configuration_page_is_fresh() {
    check("docs/config.md", &blockhouse_cli::reference().unwrap());
}

#[test]
fn the_metrics_page_is_fresh() {
    let mut page = String::from(
        "# Metrics\n\nServed by the ops listener, in these ways:\n\n\
         | path | what | formats |\n|---|---|---|\n\
         | `/metrics` | the table below | Prometheus' text, OpenMetrics |\n\
         | `/metrics/native` | the same by [our own names](#metricsnative), in seconds and bytes | Prometheus' text, OpenMetrics, protobuf |\n\
         | `/metrics/exporter` | [what rocketmq-exporter shows](#metricsexporter) | Prometheus' text |\n\n\
         OpenMetrics (1.0.0) is for whoever's `Accept` wants it, as Prometheus' does. It says the same, and of each bucket of\n\
         `rocketmq_rpc_latency_milliseconds` the last request that [became a span](tracing.md), with its trace. Prometheus keeps these with\n\
         `--enable-feature=exemplar-storage`. Bounds are written `1.0` there and `1` in Prometheus' text.\n\n\
         ## `/metrics`\n\nNames that start with `rocketmq_` are those of RocketMQ 5's own exporter. Every \
         metric also has the labels `cluster`,\n`node_type` and `node_id`.\n\nThis page is written by a \
         test in `docs/tidy` from the catalogues in `sdk/meter`.\n\n\
         Stable metrics keep name, kind, unit and labels: if one has to change, old and new are served side by side for a\n\
         release, and the changelog says so. Experimental ones may change with any release. Our dashboards and alerts\n\
         are about stable ones alone.\n\n\
         What belongs to a part that is off (audit log, policies, users, plugins, TLS, collectors) is not there, nor are series of what has not\n\
         happened yet: alerts on these need `absent()` only if the part has to be on.\n\n\
         | metric | kind | unit | labels | stability | meaning |\n|---|---|---|---|---|---|\n",
    );
    for metric in CATALOGUE {
        let kind = match metric.kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        };
        let labels = metric.labels.join(", ");
        let stability = stability(metric.stability);
        writeln!(
            page,
            "| `{}` | {kind} | {} | {labels} | {stability} | {} |",
            metric.name, metric.unit, metric.help
        )
        .unwrap();
    }
    page.push_str(
        "\nPlugins with the grant `metrics` make metrics of their own, at most 64 each: \
         `blockhouse_plugin_custom_NAME` with\nthe label `plugin`. A histogram's bounds go from 0.001 \
         to 1,000,000. Where two plugins have a name for different kinds of\nmetric, that of the first \
         in their order is shown.\n",
    );
    page.push_str(&of_rocketmq());
    page.push_str(&budgets());
    page.push_str(&of_native());
    page.push_str(&of_sidecar());
    check("docs/metrics.md", &page);
}

const fn stability(stability: Stability) -> &'static str {
    match stability {
        Stability::Experimental => "experimental",
        Stability::Stable => "stable",
    }
}

/// What RocketMQ's own exporter has otherwise.
fn of_rocketmq() -> String {
    let mut page = String::from(
        "\n### What RocketMQ has otherwise\n\nOf what a broker of RocketMQ 5.3.3 exports, families named `rocketmq_` here have the same \
         names, types, labels and buckets.\nThese are different:\n\n\
         | family | difference |\n|---|---|\n",
    );
    page.extend(DIFFERENCES.iter().map(|(family, what)| format!("| {family} | {what} |\n")));
    page.push_str("\nAnd these are not there:\n\n| family | labels | why |\n|---|---|---|\n");
    page.extend(rocketmq::MISSING.iter().map(|family| {
        format!("| `{}` | {} | {} |\n", family.name, family.labels.join(", "), family.why)
    }));
    page.push_str(
        "| `rocketmq_tiered_store_*` | | messages are on the broker's own disk |\n\
         | those of RocketMQ's proxy and controller | | these are other processes |\n",
    );
    page
}

/// How many series there can be.
fn budgets() -> String {
    let mut page = String::from(
        "\n### How many series there can be\n\nClients choose the names of topics and groups. So many label sets \
         have series of their own; the sum of all others is in one\nmore, with `(other)` for each label, which is \
         no name that a topic, group or version can have, so that sums over all series stay exact.\n\
         `blockhouse_metric_overflow_total{family}` says which have too many. What a broker keeps of such names at \
         all has [bounds of its own](operations.md#names-that-clients-make-up).\n\n\
         | metrics | label sets | which of them |\n|---|---|---|\n",
    );
    let first = "the first to come";
    let rows = [
        ("messages and bytes in, each", LABEL_SETS_MAX, first),
        ("messages and bytes out, dead letters, each", LABEL_SETS_MAX, first),
        ("`rocketmq_message_size`, topics", SIZE_TOPICS_MAX, first),
        ("lag, pairs of group and topic", LAG_PAIRS_MAX, "those that are behind most"),
        ("`rocketmq_consumer_connections`", CONSUMER_SERIES_MAX, "the largest"),
        ("`rocketmq_producer_connections`", PRODUCER_SERIES_MAX, "the largest"),
        ("`blockhouse_requests_total`, for each processor (up to 8)", CODE_PAIRS_MAX, first),
        (
            "`rocketmq_rpc_latency_milliseconds`, for each processor (up to 8)",
            RPC_KINDS_MAX,
            "the first to come of codes that there are",
        ),
    ];
    let row = |(metrics, sets, which): &(&str, usize, &str)| {
        format!("| {metrics} | {sets} | {which} |\n")
    };
    page.extend(rows.iter().map(row));
    page
}

fn of_native() -> String {
    let mut page = String::from(
        "\n## `/metrics/native`\n\nEverything of `/metrics` by our own names, in base units; what is not listed here is called \
         the same in both. In protobuf\n(`application/vnd.google.protobuf`, which Prometheus asks for with \
         `--enable-feature=native-histograms`), times of requests are native\nhistograms: quantiles of them are \
         right to 5 %, from 1 µs to 17 minutes.\n\n\
         | here | in `/metrics` |\n|---|---|\n",
    );
    page.extend(NATIVE.iter().map(|n| format!("| `{}` | `{}` |\n", n.name, n.metric.name)));
    page
}

fn of_sidecar() -> String {
    let mut page = String::from(
        "\n## `/metrics/exporter`\n\nThe families of [rocketmq-exporter](https://github.com/apache/rocketmq-exporter), with its \
         names, labels and values, for dashboards and\nalerts that were made for it; that process is not \
         needed. Everything is a gauge, and stable. Values are of the moment of the scrape, and\na group that nobody \
         of is connected is there. At most 10,000 topics, producer groups, and pairs of group and topic \
         have series of\ntheir own; the sum of all others is in `(other)`. Addresses and ids of members are told up to 4 MiB of \
         them.\n\nThe families `rocketmq_client_` are what members of consumer groups say when they are asked how they are \
         (`GET_CONSUMER_RUNNING_INFO`,\nwithout stacks, as rocketmq-exporter does it). They are asked while this page is scraped, each 15 s at most: the first \
         scrape has none of\nthem. At most 1,000 members are asked, and 10,000 pairs of member and topic are told, up to 4 MiB of \
         names. Members that do not answer\nwithin 2 s, or whose client has no such answer, have none.\n\n\
         | family | unit | labels | meaning |\n|---|---|---|---|\n",
    );
    page.extend(SERVED.iter().map(|metric| {
        let labels = metric.labels.join(", ");
        format!("| `{}` | {} | {labels} | {} |\n", metric.name, metric.unit, metric.help)
    }));
    page.push_str("\nNot served:\n\n| family | labels | why |\n|---|---|---|\n");
    page.extend(MISSING.iter().map(|family| {
        format!("| `{}` | {} | {} |\n", family.name, family.labels.join(", "), family.why)
    }));
    page
}

fn of_broker(entry: Entry) -> String {
    match entry {
        Entry::Core => "depends on the names in it".to_owned(),
        Entry::Acl(action) => format!("{action:?} policy"),
        Entry::Cluster(action) | Entry::User(action) => format!("{action:?} cluster"),
        Entry::Topic(action, field) => format!("{action:?} topic (`{field}`)"),
        Entry::Group(action, field) => format!("{action:?} group (`{field}`)"),
        Entry::TopicShowing(action, field, shown) => {
            format!("{action:?} topic (`{field}`){}", beside(shown))
        }
        Entry::GroupShowing(action, field, shown) => {
            format!("{action:?} group (`{field}`){}", beside(shown))
        }
        Entry::Member(field) => format!("Sub group (`{field}`)"),
    }
}

fn beside(shown: &[Shown]) -> String {
    let of = |shown: &Shown| match shown {
        Shown::Topic(of) => format!(", Get topic (`{of}`)"),
        Shown::Topics(of) => format!(", Get each topic (`{of}`)"),
        Shown::Group(of) => format!(", Get group (`{of}`)"),
        Shown::Groups(of) => format!(", Get each group (`{of}`)"),
    };
    shown.iter().map(of).collect()
}

fn of_name_server(needs: Needs) -> String {
    match needs {
        Needs::Cluster(action) | Needs::User(action) => format!("{action:?} cluster"),
        Needs::Policy(action) => format!("{action:?} policy"),
        Needs::Topic(action, field) => format!("{action:?} topic (`{field}`)"),
    }
}

#[test]
fn the_wire_page_is_fresh() {
    let mut page = String::from(
        "# Requests\n\nThe request codes of RocketMQ's remoting protocol that are answered, and what \
         the caller must be allowed to do.\nAny other code is answered with 3 \
         (`REQUEST_CODE_NOT_SUPPORTED`) and a sentence. In brackets: the header field\nthat names \
         the topic or group.\n\nThis page is written by a test in `docs/tidy` from the tables in \
         `broker/remoting` and `namesrv/remoting`.\n\n\
         | code | name | broker | name server |\n|---|---|---|---|\n",
    );
    let mut codes: BTreeMap<i32, [String; 2]> = BTreeMap::new();
    for row in blockhouse_remoting::TABLE {
        codes.entry(row.code).or_default()[0] = of_broker(row.entry);
    }
    for row in ROWS {
        codes.entry(row.code).or_default()[1] = of_name_server(row.access);
    }
    for (code, [broker, name_server]) in codes {
        let name = request_code::name(code);
        writeln!(page, "| {code} | {name} | {broker} | {name_server} |").unwrap();
    }
    check("docs/wire.md", &page);
}

/// The targets of `[text](target)` outside of code.
fn links(page: &str) -> Vec<String> {
    let mut targets = Vec::new();
    let mut in_code = false;
    for line in page.lines() {
        if line.trim_start().starts_with("```") {
            in_code = !in_code;
        }
        if in_code {
            continue;
        }
        let outside: String = line.split('`').step_by(2).collect();
        for part in outside.split("](").skip(1) {
            targets.extend(part.split_once(')').map(|(target, _)| target.to_owned()));
        }
    }
    targets
}

#[test]
fn links_between_pages_lead_somewhere() {
    let mut broken = Vec::new();
    for page in files("md").unwrap() {
        for target in links(&read(&page).unwrap()) {
            if is_broken(&page, &target) {
                broken.push(format!("{}: {target}", page.display()));
            }
        }
    }
    assert!(broken.is_empty(), "{broken:#?}");
}

#[test]
fn links_are_found_outside_of_code() {
    let page = "[a](b.md) `[no](x)` [c](d.md#e)\n```\n[no](y)\n```\n![i](k.png)\n";
    assert_eq!(links(page), ["b.md", "d.md#e", "k.png"]);
    assert_eq!(anchor("## Who may depend on whom?"), "who-may-depend-on-whom");
    assert!(is_broken(Path::new("README.md"), "../outside.md"));
    assert!(is_broken(Path::new("ARCHITECTURE.md"), "#no-such-heading"));
    assert!(!is_broken(Path::new("docs/hooks.md"), "../LICENSE"));
}
