//! From families of Prometheus to metrics of OTLP.

use std::mem;

use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value as Number;
use opentelemetry_proto::tonic::metrics::v1::{
    AggregationTemporality, Gauge, Histogram, HistogramDataPoint, Metric, NumberDataPoint, Sum,
};
use prometheus::proto::{self, MetricFamily, MetricType};

/// Points of one request: collectors take 4 MiB over gRPC, and a point has some hundred bytes.
pub(super) const POINTS_MAX: usize = 2_000;

/// When counting began, and when it was looked, in nanoseconds since 1970-01-01 UTC.
#[derive(Clone, Copy, Debug)]
pub(super) struct Span {
    pub(super) start: u64,
    pub(super) now: u64,
}

/// The metrics of each request.
pub(super) fn requests(families: &[MetricFamily], span: Span) -> Vec<Vec<Metric>> {
    let (mut all, mut next, mut room) = (Vec::new(), Vec::new(), POINTS_MAX);
    for family in families {
        let mut left = family.get_metric();
        while !left.is_empty() {
            let (some, rest) = left.split_at(room.min(left.len()));
            next.push(metric(family, some, span));
            (left, room) = (rest, room - some.len());
            if room == 0 {
                all.push(mem::take(&mut next));
                room = POINTS_MAX;
            }
        }
    }
    if !next.is_empty() {
        all.push(next);
    }
    all
}

fn metric(family: &MetricFamily, points: &[proto::Metric], span: Span) -> Metric {
    let since_start = i32::from(AggregationTemporality::Cumulative);
    let numbers = |value: fn(&proto::Metric) -> f64| {
        points.iter().map(|point| number(point, value(point), span)).collect()
    };
    let data = match family.get_field_type() {
        MetricType::COUNTER => Data::Sum(Sum {
            data_points: numbers(|point| point.get_counter().get_value()),
            aggregation_temporality: since_start,
            is_monotonic: true,
        }),
        MetricType::HISTOGRAM => Data::Histogram(Histogram {
            data_points: points.iter().map(|point| histogram(point, span)).collect(),
            aggregation_temporality: since_start,
        }),
        _ => Data::Gauge(Gauge { data_points: numbers(|point| point.get_gauge().get_value()) }),
    };
    Metric {
        name: family.name().to_owned(),
        description: family.help().to_owned(),
        data: Some(data),
        ..Metric::default()
    }
}

fn number(point: &proto::Metric, value: f64, span: Span) -> NumberDataPoint {
    NumberDataPoint {
        attributes: attributes(point),
        start_time_unix_nano: span.start,
        time_unix_nano: span.now,
        value: Some(Number::AsDouble(value)),
        ..NumberDataPoint::default()
    }
}

/// Prometheus says how many are up to each bound, OTLP how many are between two.
fn histogram(point: &proto::Metric, span: Span) -> HistogramDataPoint {
    let held = point.get_histogram();
    let mut below = 0;
    let mut step = |up_to: u64| up_to.saturating_sub(mem::replace(&mut below, up_to));
    let buckets = held.get_bucket();
    let mut counts: Vec<u64> = buckets.iter().map(|b| step(b.cumulative_count())).collect();
    counts.push(step(held.get_sample_count()));
    HistogramDataPoint {
        attributes: attributes(point),
        start_time_unix_nano: span.start,
        time_unix_nano: span.now,
        count: held.get_sample_count(),
        sum: Some(held.get_sample_sum()),
        explicit_bounds: buckets.iter().map(proto::Bucket::upper_bound).collect(),
        bucket_counts: counts,
        ..HistogramDataPoint::default()
    }
}

fn attributes(point: &proto::Metric) -> Vec<KeyValue> {
    let pair = |label: &proto::LabelPair| KeyValue {
        key: label.name().to_owned(),
        value: Some(AnyValue { value: Some(Value::StringValue(label.value().to_owned())) }),
        ..KeyValue::default()
    };
    point.get_label().iter().map(pair).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPAN: Span = Span { start: 1, now: 2 };

    fn family(kind: MetricType, points: Vec<proto::Metric>) -> MetricFamily {
        let mut family = MetricFamily::default();
        family.set_name("rocketmq_x".to_owned());
        family.set_field_type(kind);
        family.set_metric(points);
        family
    }

    #[test]
    fn a_histogram_says_how_many_are_between_two_bounds() {
        let bucket = |(bound, count)| {
            let mut bucket = proto::Bucket::default();
            bucket.set_upper_bound(bound);
            bucket.set_cumulative_count(count);
            bucket
        };
        let mut held = proto::Histogram::default();
        held.set_bucket([(1.0, 5), (5.0, 5), (7.0, 7)].map(bucket).to_vec());
        held.set_sample_count(8);
        held.set_sample_sum(99.5);
        let mut point = proto::Metric::default();
        point.set_histogram(held);
        let requests = requests(&[family(MetricType::HISTOGRAM, vec![point])], SPAN);
        let Some(Data::Histogram(Histogram { data_points, .. })) = &requests[0][0].data else {
            unreachable!("{requests:?}")
        };
        assert_eq!(data_points[0].bucket_counts, [5, 0, 2, 1]);
        assert_eq!(data_points[0].explicit_bounds, [1.0, 5.0, 7.0]);
        assert_eq!((data_points[0].count, data_points[0].sum), (8, Some(99.5)));
    }

    #[test]
    fn no_request_has_too_many_points_and_none_is_lost() {
        let points = |count: usize| {
            let point = |n: usize| {
                let mut label = proto::LabelPair::default();
                label.set_name("topic".to_owned());
                label.set_value(n.to_string());
                let mut counter = proto::Counter::default();
                counter.set_value(n as f64);
                let mut point = proto::Metric::from_label(vec![label]);
                point.set_counter(counter);
                point
            };
            (0..count).map(point).collect()
        };
        let families = [1_999, 1, 0, 4_500].map(|n| family(MetricType::COUNTER, points(n)));
        let sizes: Vec<Vec<usize>> = requests(&families, SPAN)
            .iter()
            .map(|metrics| {
                let len = |metric: &Metric| match &metric.data {
                    Some(Data::Sum(sum)) => sum.data_points.len(),
                    other => unreachable!("{other:?}"),
                };
                metrics.iter().map(len).collect()
            })
            .collect();
        assert_eq!(sizes, [vec![1_999, 1], vec![2_000], vec![2_000], vec![500]]);
    }
}
