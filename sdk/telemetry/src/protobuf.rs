//! Prometheus' protobuf format: the one that has native histograms. The messages are those of
//! `io.prometheus.client`, as far as they are used here.

use blockhouse_meter::exemplars::Row;
use blockhouse_meter::fine::{FineCounts, SCHEMA, ZERO_THRESHOLD};
use prometheus::proto::{self, MetricType};
use prost::Message;

use crate::requests::{self, Requests};

/// The format, as `Content-Type` has it.
pub(crate) const CONTENT_TYPE: &str = "application/vnd.google.protobuf; \
                                       proto=io.prometheus.client.MetricFamily; encoding=delimited";

#[derive(Clone, PartialEq, Message)]
pub(crate) struct MetricFamily {
    #[prost(string, tag = "1")]
    pub(crate) name: String,
    #[prost(string, tag = "2")]
    pub(crate) help: String,
    #[prost(enumeration = "Type", tag = "3")]
    pub(crate) kind: i32,
    #[prost(message, repeated, tag = "4")]
    pub(crate) metric: Vec<Metric>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, prost::Enumeration)]
#[repr(i32)]
pub(crate) enum Type {
    Counter = 0,
    Gauge = 1,
    Untyped = 3,
    Histogram = 4,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Metric {
    #[prost(message, repeated, tag = "1")]
    pub(crate) label: Vec<LabelPair>,
    #[prost(message, optional, tag = "2")]
    pub(crate) gauge: Option<Value>,
    #[prost(message, optional, tag = "3")]
    pub(crate) counter: Option<Value>,
    #[prost(message, optional, tag = "5")]
    pub(crate) untyped: Option<Value>,
    #[prost(message, optional, tag = "7")]
    pub(crate) histogram: Option<Histogram>,
}

#[derive(Clone, PartialEq, Eq, Message)]
pub(crate) struct LabelPair {
    #[prost(string, tag = "1")]
    pub(crate) name: String,
    #[prost(string, tag = "2")]
    pub(crate) value: String,
}

/// A gauge or a counter.
#[derive(Clone, Copy, PartialEq, Message)]
pub(crate) struct Value {
    #[prost(double, tag = "1")]
    pub(crate) value: f64,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Histogram {
    #[prost(uint64, tag = "1")]
    pub(crate) sample_count: u64,
    #[prost(double, tag = "2")]
    pub(crate) sample_sum: f64,
    #[prost(message, repeated, tag = "3")]
    pub(crate) bucket: Vec<Bucket>,
    #[prost(sint32, tag = "5")]
    pub(crate) schema: i32,
    #[prost(double, tag = "6")]
    pub(crate) zero_threshold: f64,
    #[prost(uint64, tag = "7")]
    pub(crate) zero_count: u64,
    #[prost(message, repeated, tag = "12")]
    pub(crate) positive_span: Vec<BucketSpan>,
    #[prost(sint64, repeated, tag = "13")]
    pub(crate) positive_delta: Vec<i64>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Bucket {
    #[prost(uint64, tag = "1")]
    pub(crate) cumulative_count: u64,
    #[prost(double, tag = "2")]
    pub(crate) upper_bound: f64,
    #[prost(message, optional, tag = "3")]
    pub(crate) exemplar: Option<Exemplar>,
}

/// Buckets without a gap, and how far the first is from the one before.
#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub(crate) struct BucketSpan {
    #[prost(sint32, tag = "1")]
    pub(crate) offset: i32,
    #[prost(uint32, tag = "2")]
    pub(crate) length: u32,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Exemplar {
    #[prost(message, repeated, tag = "1")]
    pub(crate) label: Vec<LabelPair>,
    #[prost(double, tag = "2")]
    pub(crate) value: f64,
    #[prost(message, optional, tag = "3")]
    pub(crate) timestamp: Option<Timestamp>,
}

#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub(crate) struct Timestamp {
    #[prost(int64, tag = "1")]
    pub(crate) seconds: i64,
    #[prost(int32, tag = "2")]
    pub(crate) nanos: i32,
}

/// All families, each with its length before it.
pub(crate) fn encode(families: &[proto::MetricFamily], requests: &Requests) -> Vec<u8> {
    let mut out = Vec::new();
    for family in families {
        out.extend(message(family, requests).encode_length_delimited_to_vec());
    }
    out
}

fn message(family: &proto::MetricFamily, requests: &Requests) -> MetricFamily {
    let name = family.name();
    let kind = match family.get_field_type() {
        MetricType::COUNTER => Type::Counter,
        MetricType::GAUGE => Type::Gauge,
        MetricType::HISTOGRAM => Type::Histogram,
        _ => Type::Untyped,
    };
    let metric = |metric: &proto::Metric| {
        let mut message = Metric { label: labels(metric), ..Metric::default() };
        match kind {
            Type::Counter => {
                message.counter = Some(Value { value: metric.get_counter().get_value() });
            }
            Type::Gauge => message.gauge = Some(Value { value: metric.get_gauge().get_value() }),
            Type::Untyped => {
                message.untyped = Some(Value { value: metric.get_gauge().get_value() });
            }
            Type::Histogram => {
                let key = requests.key(name, metric.get_label());
                let fine = key.as_ref().and_then(|key| requests.fine(key));
                let mut histogram = histogram(metric.get_histogram(), fine);
                if let Some(row) = key.as_ref().and_then(|key| requests.exemplars(key)) {
                    add_exemplars(&mut histogram, row, requests);
                }
                message.histogram = Some(histogram);
            }
        }
        message
    };
    MetricFamily {
        name: name.to_owned(),
        help: family.help().to_owned(),
        kind: kind.into(),
        metric: family.get_metric().iter().map(metric).collect(),
    }
}

fn labels(metric: &proto::Metric) -> Vec<LabelPair> {
    let pair = |pair: &proto::LabelPair| label(pair.name(), pair.value());
    metric.get_label().iter().map(pair).collect()
}

fn label(name: &str, value: &str) -> LabelPair {
    LabelPair { name: name.to_owned(), value: value.to_owned() }
}

fn histogram(histogram: &proto::Histogram, fine: Option<&FineCounts>) -> Histogram {
    let bucket = |bucket: &proto::Bucket| Bucket {
        cumulative_count: bucket.cumulative_count(),
        upper_bound: bucket.upper_bound(),
        exemplar: None,
    };
    let mut message = Histogram {
        sample_count: histogram.get_sample_count(),
        sample_sum: histogram.get_sample_sum(),
        bucket: histogram.get_bucket().iter().map(bucket).collect(),
        ..Histogram::default()
    };
    let Some(fine) = fine else { return message };
    // Both were counted one after the other: what is told must be as many as the buckets say.
    message.sample_count = fine.count();
    for bucket in &mut message.bucket {
        bucket.cumulative_count = bucket.cumulative_count.min(message.sample_count);
    }
    (message.schema, message.zero_threshold) = (SCHEMA, ZERO_THRESHOLD);
    message.zero_count = fine.zeros();
    let (mut next, mut before) = (0, 0);
    for (key, count) in fine.buckets() {
        match message.positive_span.last_mut() {
            Some(span) if key == next => span.length += 1,
            // The first is counted from bucket 0, every other from the end of the one before.
            _ => message.positive_span.push(BucketSpan { offset: key - next, length: 1 }),
        }
        let count = i64::try_from(count).unwrap_or(i64::MAX);
        message.positive_delta.push(count - before);
        (next, before) = (key + 1, count);
    }
    message
}

fn add_exemplars(histogram: &mut Histogram, row: &Row, requests: &Requests) {
    let message = |exemplar: &blockhouse_meter::Exemplar| {
        let [trace, span] = requests::ids(exemplar);
        let at = exemplar.at.0;
        let nanos = i32::try_from(at.rem_euclid(1_000) * 1_000_000).unwrap_or(0);
        Exemplar {
            label: vec![label("trace_id", &trace), label("span_id", &span)],
            value: requests.value(exemplar),
            timestamp: Some(Timestamp { seconds: at.div_euclid(1_000), nanos }),
        }
    };
    // The last bucket has no bound, and is only written where it has something to say.
    if row.last().is_some_and(Option::is_some) {
        let (cumulative_count, upper_bound) = (histogram.sample_count, f64::INFINITY);
        histogram.bucket.push(Bucket { cumulative_count, upper_bound, exemplar: None });
    }
    for (bucket, exemplar) in histogram.bucket.iter_mut().zip(row) {
        bucket.exemplar = exemplar.as_ref().map(message);
    }
}

#[cfg(test)]
mod tests;
