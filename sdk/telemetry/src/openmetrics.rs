//! `OpenMetrics`' text, version 1.0.0: the same families, with exemplars.

use std::fmt::Write as _;

use blockhouse_meter::exemplars::Row;
use prometheus::proto::{Histogram, Metric, MetricFamily, MetricType};

use crate::requests::{self, Requests};

/// The format, as `Content-Type` has it.
pub(crate) const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// All families as text.
pub(crate) fn encode(families: &[MetricFamily], requests: &Requests) -> String {
    let mut out = String::new();
    for family in families {
        // Writing to a string does not fail.
        let _always_ok = write_family(&mut out, family, requests);
    }
    out.push_str("# EOF\n");
    out
}

fn write_family(out: &mut String, family: &MetricFamily, requests: &Requests) -> std::fmt::Result {
    let name = family.name();
    let (base, kind) = match family.get_field_type() {
        MetricType::COUNTER => match name.strip_suffix("_total") {
            Some(base) => (base, "counter"),
            // A plugin's: it is to have the same name in every format, and counters need this end.
            None => (name, "unknown"),
        },
        MetricType::GAUGE => (name, "gauge"),
        MetricType::HISTOGRAM => (name, "histogram"),
        // There are none.
        _ => (name, "unknown"),
    };
    writeln!(out, "# TYPE {base} {kind}")?;
    write!(out, "# HELP {base} ")?;
    escape(out, family.help());
    out.push('\n');
    for metric in family.get_metric() {
        match family.get_field_type() {
            MetricType::COUNTER => {
                write_sample(out, (name, ""), metric, None)?;
                writeln!(out, " {}", Number(metric.get_counter().get_value()))?;
            }
            MetricType::HISTOGRAM => {
                let key = requests.key(name, metric.get_label());
                let row = key.and_then(|key| requests.exemplars(&key)).map(|row| (row, requests));
                write_histogram(out, name, metric, row)?;
            }
            _ => {
                write_sample(out, (name, ""), metric, None)?;
                writeln!(out, " {}", Number(metric.get_gauge().get_value()))?;
            }
        }
    }
    Ok(())
}

fn write_histogram(
    out: &mut String,
    name: &str,
    metric: &Metric,
    exemplars: Option<(&Row, &Requests)>,
) -> std::fmt::Result {
    let histogram: &Histogram = metric.get_histogram();
    let (count, sum) = (histogram.get_sample_count(), histogram.get_sample_sum());
    let bounded = histogram.get_bucket().iter().map(|b| (b.upper_bound(), b.cumulative_count()));
    // Whoever made the buckets may have written this one.
    let bounded = bounded.filter(|(bound, _)| bound.is_finite());
    for (at, (bound, count)) in bounded.chain([(f64::INFINITY, count)]).enumerate() {
        write_sample(out, (name, "_bucket"), metric, Some(bound))?;
        write!(out, " {count}")?;
        if let Some((row, requests)) = exemplars
            && let Some(Some(exemplar)) = row.get(at)
        {
            let [value, seconds] =
                [requests.value(exemplar), exemplar.at.0 as f64 / 1e3].map(Number);
            let [trace, span] = requests::ids(exemplar);
            write!(out, " # {{trace_id=\"{trace}\",span_id=\"{span}\"}} {value} {seconds}")?;
        }
        out.push('\n');
    }
    write_sample(out, (name, "_sum"), metric, None)?;
    writeln!(out, " {}", Number(sum))?;
    write_sample(out, (name, "_count"), metric, None)?;
    writeln!(out, " {count}")
}

fn write_sample(
    out: &mut String,
    (name, suffix): (&str, &str),
    metric: &Metric,
    bound: Option<f64>,
) -> std::fmt::Result {
    write!(out, "{name}{suffix}")?;
    let mut open = '{';
    for pair in metric.get_label() {
        write!(out, "{open}{}=\"", pair.name())?;
        escape(out, pair.value());
        out.push('"');
        open = ',';
    }
    if let Some(bound) = bound {
        write!(out, "{open}le=\"{}\"", Bound(bound))?;
        open = ',';
    }
    if open == ',' {
        out.push('}');
    }
    Ok(())
}

fn escape(out: &mut String, text: &str) {
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '"' => out.push_str("\\\""),
            '\n' => out.push_str("\\n"),
            c => out.push(c),
        }
    }
}

/// A number as `OpenMetrics` wants it: one that is whole has a point all the same.
struct Number(f64);

impl std::fmt::Display for Number {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.0.is_nan() {
            f.write_str("NaN")
        } else if self.0.is_infinite() {
            f.write_str(if self.0 > 0.0 { "+Inf" } else { "-Inf" })
        } else {
            write!(f, "{:?}", self.0)
        }
    }
}

/// A bound as all writers of `OpenMetrics` have to write it: it is part of a series' identity.
struct Bound(f64);

impl std::fmt::Display for Bound {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let size = self.0.abs();
        if !size.is_finite() || size == 0.0 || (1e-4..1e6).contains(&size) {
            return Number(self.0).fmt(f);
        }
        let text = format!("{:e}", self.0);
        let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        let (sign, exponent) = exponent.strip_prefix('-').map_or(('+', exponent), |e| ('-', e));
        write!(f, "{digits}e{sign}{exponent:0>2}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::Families;
    use blockhouse_meter::{Exemplar, HistogramSample, Sample, catalogue as c};
    use blockhouse_model::{Timestamp, TraceParent};

    fn families() -> Vec<MetricFamily> {
        let mut families = Families::default();
        let labels: &[&str] = &["a\"b\\c\nd", "normal", "false"];
        families.add(&Sample { metric: &c::MESSAGES_IN, labels, value: 3.0 });
        families.add(&Sample { metric: &c::UPTIME, labels: &[], value: 2.5 });
        let counts = &[1, 0, 2, 0, 0, 0, 4];
        let size = HistogramSample {
            metric: &c::MESSAGE_SIZE,
            labels: &["t", "fifo", "false"],
            counts,
            sum: 7e6,
        };
        families.add_histogram(&size);
        let labels: &[&str] = &["remoting", "pull_message", "success", "false", "success"];
        let counts = &[5, 0, 0, 0, 0, 0, 0, 0, 0, 1];
        let times = HistogramSample { metric: &c::RPC_LATENCY, labels, counts, sum: 9017.25 };
        families.add_histogram(&times);
        families.into_vec()
    }

    fn exemplars() -> Requests {
        let span = TraceParent { trace_id: 0xabc, span_id: 0xdef, sampled: true };
        let exemplar = |micros| Some(Exemplar { span, micros, at: Timestamp(1_700_000_000_125) });
        let mut row = Row::default();
        (row[0], row[9]) = (exemplar(250), exemplar(9_000_000));
        let labels = ["remoting", "pull_message", "success", "false", "success"];
        let labels = labels.map(str::to_owned).to_vec();
        let blockhouse_meter::Metric { name, labels: names, .. } = c::RPC_LATENCY;
        Requests::new((name, names), 1_000.0, vec![(labels, row)], Vec::new())
    }

    #[test]
    fn the_text_is_as_openmetrics_has_it() {
        let text = encode(&families(), &exemplars());
        let mut lines = text.lines();
        let mut next = || lines.next().unwrap_or_default();
        assert_eq!(next(), "# TYPE rocketmq_messages_in counter");
        assert_eq!(next(), format!("# HELP rocketmq_messages_in {}", c::MESSAGES_IN.help));
        let sample = r#"rocketmq_messages_in_total{topic="a\"b\\c\nd",message_type="normal",is_system="false"} 3.0"#;
        assert_eq!(next(), sample);
        assert_eq!(next(), "# TYPE blockhouse_uptime_seconds gauge");
        next();
        assert_eq!(next(), "blockhouse_uptime_seconds 2.5");
        assert!(text.ends_with("\n# EOF\n"));
        let size =
            r#"rocketmq_message_size_bucket{topic="t",message_type="fifo",is_system="false","#;
        for (bound, count) in
            [("1024.0", 1), ("524288.0", 3), ("1.048576e+06", 3), ("4.194304e+06", 3), ("+Inf", 7)]
        {
            let line = format!("{size}le=\"{bound}\"}} {count}\n");
            assert!(text.contains(&line), "{line} is not in\n{text}");
        }
        assert!(text.contains("rocketmq_message_size_sum{"));
        assert!(text.contains(r#"is_system="false"} 7000000.0"#));
    }

    #[test]
    fn buckets_have_the_last_request_that_became_a_span() {
        let text = encode(&families(), &exemplars());
        let ids = r#"{trace_id="00000000000000000000000000000abc",span_id="0000000000000def"}"#;
        for end in [
            format!("le=\"1.0\"}} 5 # {ids} 0.25 1700000000.125"),
            format!("le=\"+Inf\"}} 6 # {ids} 9000.0 1700000000.125"),
            "le=\"3.0\"} 5".to_owned(),
        ] {
            assert!(text.lines().any(|line| line.ends_with(&end)), "{end} is not in\n{text}");
        }
        assert_eq!(text.matches(" # {").count(), 2);
        let none = encode(&families(), &Requests::default());
        assert!(!none.contains(" # {"));
    }

    #[test]
    fn numbers_are_canonical() {
        let bounds =
            [0.0, 0.001, 1.0, 1e6, 12_500_000.0, 1e-5, f64::INFINITY].map(|b| Bound(b).to_string());
        assert_eq!(bounds, ["0.0", "0.001", "1.0", "1e+06", "1.25e+07", "1e-05", "+Inf"]);
        let numbers = [3.0, -0.5, 1e17, f64::NAN, f64::NEG_INFINITY].map(|n| Number(n).to_string());
        assert_eq!(numbers, ["3.0", "-0.5", "1e17", "NaN", "-Inf"]);
    }

    #[test]
    fn no_two_families_of_the_catalogue_are_one_without_their_ends() {
        let mut bases: Vec<&str> = blockhouse_meter::CATALOGUE
            .iter()
            .map(|metric| metric.name.strip_suffix("_total").unwrap_or(metric.name))
            .collect();
        bases.sort_unstable();
        let all = bases.len();
        bases.dedup();
        assert_eq!(bases.len(), all);
    }
}
