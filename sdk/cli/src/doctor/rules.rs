//! What a node's own numbers say.

use super::table::{
    ALONE, ASKED, AUDIT_WRITABLE, BUSY, CERTIFICATE, PERMISSION, PLUGIN_LOADED, RULES, Rule,
    SAME_VERSION,
};
use super::{Finding, State};
use crate::samples::{Sample, Samples};

const DAY: f64 = 86_400.0;
/// As metrics name the code.
const SYSTEM_BUSY: &str = "system_busy";

/// What became of asking a node for something.
pub(super) fn asked(path: &str, place: &str, answer: anyhow::Result<String>) -> Finding {
    match answer {
        Ok(_) => Finding::new(ASKED, State::Ok, place, format!("/{path} is well")),
        Err(error) => Finding::new(
            ASKED,
            State::Failure,
            place,
            format!("/{path}: {}", crate::sentence(&error)),
        ),
    }
}

/// All that the metrics of a node say; `now` is in seconds since 1970.
pub(super) fn judge(samples: &Samples, place: &str, now: f64) -> Vec<Finding> {
    let mut findings: Vec<Finding> = Vec::new();
    for rule in RULES {
        findings.extend(rule.judge(samples, place));
    }
    let flag = |check, metric: &str, is_well: fn(f64) -> bool, found: &str| {
        judged(samples, metric, |sample| {
            let state = if is_well(sample.value) { State::Ok } else { State::Failure };
            Some(Finding::new(
                check,
                state,
                place,
                format!("{}{found} {}", shown(sample), sample.value),
            ))
        })
    };
    findings.extend(flag(
        PLUGIN_LOADED,
        "blockhouse_plugin_loaded",
        |loaded| loaded == 1.0,
        "loaded:",
    ));
    findings.extend(flag(
        AUDIT_WRITABLE,
        "blockhouse_audit_writable",
        |writable| writable == 1.0,
        "writable:",
    ));
    // A name server alone has the metric too, and no permission.
    if samples.label("rocketmq_broker_permission", "node_type").as_deref() != Some("namesrv") {
        findings.extend(flag(
            PERMISSION,
            "rocketmq_broker_permission",
            |bits| bits == 6.0,
            "permission",
        ));
    }
    findings.extend(judged(samples, "blockhouse_tls_certificate_expiry_seconds", |sample| {
        // 0: there is none.
        (sample.value > 0.0).then(|| certificate(place, (sample.value - now) / DAY))
    }));
    findings.extend(alone(samples, place));
    findings.extend(busy(samples, place));
    findings
}

fn judged(
    samples: &Samples,
    metric: &str,
    judge: impl Fn(&Sample) -> Option<Finding>,
) -> Vec<Finding> {
    samples.of(metric).filter_map(judge).collect()
}

impl Rule {
    /// A finding for each series that is not well; one that says so if all are.
    fn judge(&self, samples: &Samples, place: &str) -> Vec<Finding> {
        let [warning, failure] = self.limits;
        let mut series = samples.of(self.metric).filter(|sample| (self.keep)(sample)).peekable();
        if series.peek().is_none() {
            return Vec::new();
        }
        let told = |sample: &Sample| {
            let state = match sample.value {
                v if v >= failure => State::Failure,
                v if v >= warning => State::Warning,
                _ => return None,
            };
            let found = format!("{}{} {}", shown(sample), sample.value, self.unit);
            Some(Finding::new(self.check, state, place, found))
        };
        let mut findings: Vec<Finding> = series.filter_map(told).collect();
        if findings.is_empty() {
            let most = samples.of(self.metric).filter(|s| (self.keep)(s)).map(|s| s.value);
            let most = most.fold(0.0, f64::max);
            findings.push(Finding::new(
                self.check,
                State::Ok,
                place,
                format!("{most} {}", self.unit),
            ));
        }
        findings
    }
}

/// What tells a series from its sisters; what all of a node have in common does not.
fn shown(sample: &Sample) -> String {
    let common = [
        "cluster",
        "node_type",
        "node_id",
        "storage_type",
        "storage_medium",
        "is_system",
        "is_retry",
    ];
    let labels = sample
        .labels
        .iter()
        .filter(|(name, value)| !common.contains(&name.as_str()) && !value.is_empty());
    let labels: Vec<&str> = labels.map(|(_, value)| value.as_str()).collect();
    if labels.is_empty() { String::new() } else { format!("{}: ", labels.join(" ")) }
}

fn certificate(place: &str, days: f64) -> Finding {
    let state = match days {
        d if d < 7.0 => State::Failure,
        d if d < 30.0 => State::Warning,
        _ => State::Ok,
    };
    let found =
        if days < 0.0 { "it has ended".to_owned() } else { format!("it ends in {days:.0} days") };
    Finding::new(CERTIFICATE, state, place, found)
}

/// Groups of which nobody is connected while messages wait.
fn alone(samples: &Samples, place: &str) -> Vec<Finding> {
    let labels = ["consumer_group", "topic"];
    let members = samples.by("blockhouse_consumer_online_members", labels);
    let behind = samples.by("rocketmq_consumer_lag_messages", labels);
    let judge = |(key, behind): (&[String; 2], &f64)| {
        let ([group, topic], members) = (key, *members.get(key)?);
        if *behind == 0.0 {
            return None;
        }
        let (state, found) = if members == 0.0 {
            (State::Warning, format!("{behind} messages wait, nobody is connected"))
        } else {
            (State::Ok, format!("{members} connected"))
        };
        Some(Finding::new(ALONE, state, place, format!("{group} {topic}: {found}")))
    };
    behind.iter().filter_map(judge).collect()
}

/// Answers of `SYSTEM_BUSY`, as a part of all.
fn busy(samples: &Samples, place: &str) -> Option<Finding> {
    let metric = "blockhouse_requests_total";
    let all = samples.sum(metric, |_| true).filter(|all| *all > 0.0)?;
    let busy = samples.sum(metric, |sample| sample.label("response_code") == SYSTEM_BUSY)?;
    let percent = busy / all * 100.0;
    let state = match percent {
        p if p >= 1.0 => State::Failure,
        p if p > 0.0 => State::Warning,
        _ => State::Ok,
    };
    Some(Finding::new(
        BUSY,
        state,
        place,
        format!("{busy} of {all} requests ({percent:.2} %) refused as too many"),
    ))
}

/// Whether all nodes run the same version; `versions` are of place and version.
pub(super) fn same_version(versions: &[(String, String)]) -> Option<Finding> {
    let ((place, first), others) = versions.split_first()?;
    if others.is_empty() {
        return None;
    }
    match others.iter().find(|(_, version)| version != first) {
        None => Some(Finding::new(SAME_VERSION, State::Ok, place, format!("all run {first}"))),
        Some((other, version)) => Some(Finding::new(
            SAME_VERSION,
            State::Warning,
            place,
            format!("{first}, but {other} runs {version}"),
        )),
    }
}

#[cfg(test)]
mod tests {
    use blockhouse_disk::{RealDisk, whole};
    use blockhouse_protocol::codes::response_code;

    use crate::doctor::Check;
    use crate::doctor::table::{ANY, FLUSH_DISK_TIMEOUT};

    use super::*;

    fn bad(metrics: &str) -> Vec<(State, &'static str, String)> {
        let all = judge(&Samples::parse(metrics), "n:1", 1_000.0 * DAY);
        let bad = all.into_iter().filter(|finding| finding.state > State::Ok);
        bad.map(|finding| (finding.state, finding.check.name, finding.found)).collect()
    }

    #[test]
    fn a_node_that_is_well_is_said_to_be() {
        let text = "blockhouse_store_disk_used_percent{node_id=\"a\"} 40\nblockhouse_audit_writable 1\n\
                    rocketmq_broker_permission 6\nblockhouse_tls_certificate_expiry_seconds 0\n\
                    blockhouse_requests_total{response_code=\"success\"} 5\n";
        assert_eq!(bad(text), []);
        let all = judge(&Samples::parse(text), "n:1", 0.0);
        let names: Vec<_> = all.iter().map(|finding| finding.check.name).collect();
        assert_eq!(names, ["disk-use", "audit-writable", "broker-permission", "busy"]);
    }

    #[test]
    fn a_name_server_alone_is_not_asked_for_a_permission() {
        let of = |node| format!("rocketmq_broker_permission{{node_type=\"{node}\"}} 0\n");
        assert_eq!(bad(&of("namesrv")), []);
        let found = (State::Failure, "broker-permission", "permission 0".to_owned());
        assert_eq!(bad(&of("broker")), [found]);
    }

    #[test]
    fn each_series_over_its_limit_is_told_with_what_tells_it_apart() {
        use State::{Failure, Warning};
        let text = "blockhouse_store_disk_used_percent{node_id=\"a\"} 91\n\
                    blockhouse_store_fault{fault=\"poisoned\",node_id=\"a\"} 1\n\
                    blockhouse_store_fault{fault=\"log\",node_id=\"a\"} 0\n\
                    blockhouse_plugin_failures_total{plugin=\"acl\",hook=\"pull\",kind=\"trap\"} 3\n\
                    blockhouse_authentications_total{outcome=\"ok\"} 9\n\
                    blockhouse_authentications_total{outcome=\"bad_signature\"} 2\n\
                    blockhouse_spans_dropped_total{reason=\"failed\"} 5\n\
                    blockhouse_spans_dropped_total{reason=\"limit\"} 9\n";
        let expected = [
            (Failure, "disk-use", "91 % of the log's filesystem is used"),
            (Failure, "store-fault", "poisoned: 1 fault of the store"),
            (Warning, "credentials", "bad_signature: 2 requests with wrong credentials"),
            (Warning, "plugin-failures", "acl pull trap: 3 calls failed"),
            (Warning, "spans-dropped", "failed: 5 spans that no collector got"),
        ];
        assert_eq!(bad(text), expected.map(|(s, n, f)| (s, n, f.to_owned())));
    }

    #[test]
    fn what_takes_more_than_one_number_is_judged_by_all() {
        use State::{Failure, Warning};
        let group = |lag: u32, members: u32| {
            format!(
                "rocketmq_consumer_lag_messages{{consumer_group=\"g\",topic=\"t\"}} {lag}\n\
                 blockhouse_consumer_online_members{{consumer_group=\"g\",topic=\"t\"}} {members}\n"
            )
        };
        assert_eq!((bad(&group(0, 0)), bad(&group(5, 1))), (vec![], vec![]));
        let alone = "g t: 5 messages wait, nobody is connected".to_owned();
        assert_eq!(bad(&group(5, 0)), [(Warning, "group-stands-still", alone)]);
        let busy = "blockhouse_requests_total{response_code=\"system_busy\"} 1\n\
                    blockhouse_requests_total{response_code=\"success\"} 9\n";
        assert_eq!(
            bad(busy),
            [(Failure, "busy", "1 of 10 requests (10.00 %) refused as too many".to_owned())]
        );
        let named = response_code::name(response_code::SYSTEM_BUSY);
        assert_eq!(named.to_ascii_lowercase(), SYSTEM_BUSY, "as the meter does it");
        let named = response_code::name(response_code::FLUSH_DISK_TIMEOUT);
        assert_eq!(named.to_ascii_lowercase(), FLUSH_DISK_TIMEOUT, "as the meter does it");
        let ends = |days: f64| {
            bad(&format!("blockhouse_tls_certificate_expiry_seconds {}\n", (1_000.0 + days) * DAY))
        };
        assert_eq!(ends(31.0), []);
        assert_eq!(ends(8.0), [(Warning, "tls-certificate", "it ends in 8 days".to_owned())]);
        assert_eq!(ends(-1.0), [(Failure, "tls-certificate", "it has ended".to_owned())]);
        let node = |name: &str, version: &str| (name.to_owned(), version.to_owned());
        assert!(same_version(&[node("a", "1")]).is_none());
        assert_eq!(
            same_version(&[node("a", "1"), node("b", "1")]).map(|f| f.state),
            Some(State::Ok)
        );
        assert_eq!(same_version(&[node("a", "1"), node("b", "2")]).map(|f| f.state), Some(Warning));
    }

    fn read(path: &str) -> String {
        let path = format!("{}/../../{path}", env!("CARGO_MANIFEST_DIR"));
        String::from_utf8(whole::read(&RealDisk, path.as_ref()).unwrap().unwrap()).unwrap()
    }

    /// The bounds of alerts that compare one metric with a number, and the metric.
    fn bounds(rules: &str) -> Vec<(&str, f64)> {
        let exprs = rules.lines().filter_map(|line| line.trim_start().strip_prefix("expr: "));
        let parts = exprs.filter_map(|expr| expr.rsplit_once(" > "));
        let found = parts.filter_map(|(metric, bound)| {
            let metric = metric.trim_start_matches("max by (consumer_group, topic) (");
            let metric = metric.trim_end_matches(')').split('{').next()?;
            let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
            let bound = bound.parse().ok().filter(|_| metric.chars().all(is_name))?;
            Some((metric, bound))
        });
        found.collect()
    }

    #[test]
    fn an_alert_fires_from_where_on_the_doctor_warns() {
        let rules = ["operations", "security"]
            .map(|name| read(&format!("dashboards/prometheus/{name}.rules.yml")));
        let bounds: Vec<_> = rules.iter().flat_map(|rules| bounds(rules)).collect();
        let mut tied = 0;
        for rule in RULES.iter().filter(|rule| rule.limits[0] != ANY) {
            let found: Vec<f64> =
                bounds.iter().filter(|(m, _)| *m == rule.metric).map(|(_, at)| *at).collect();
            assert_eq!(found, [rule.limits[0]], "{}", rule.metric);
            tied += 1;
        }
        assert!(tied > 3, "{bounds:?}");
    }

    #[test]
    fn every_metric_panel_and_page_is_there() {
        let (metrics, board) = (read("docs/metrics.md"), read("dashboards/grafana/overview.json"));
        let others = [
            ASKED,
            PLUGIN_LOADED,
            AUDIT_WRITABLE,
            PERMISSION,
            CERTIFICATE,
            ALONE,
            BUSY,
            SAME_VERSION,
        ];
        let checks = RULES.iter().map(|rule| rule.check).chain(others);
        assert!(checks.clone().count() > 25);
        for Check { name, panel, page, .. } in checks {
            let (file, section) = page.split_once('#').unwrap_or((page, ""));
            let titles = read(&format!("docs/{file}"));
            let anchor = |line: &str| {
                let title = line.trim_start_matches('#').trim().to_lowercase();
                let kept = title.chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c));
                kept.map(|c| if c == ' ' { '-' } else { c }).collect::<String>()
            };
            let has = section.is_empty()
                || titles.lines().any(|line| line.starts_with('#') && anchor(line) == section);
            assert!(has, "{name}: docs/{page} is not there");
            assert!(
                panel.is_empty() || board.contains(&format!("\"title\": \"{panel}\"")),
                "{name}: {panel}"
            );
        }
        for rule in RULES {
            assert!(metrics.contains(&format!("`{}`", rule.metric)), "{}", rule.metric);
        }
    }
}
