//! From what was counted to the types of the `prometheus` crate.

use std::collections::HashMap;

use blockhouse_meter::{CustomFamily, CustomValue, HistogramSample, Kind, Metric, Sample};
use prometheus::core::Desc;
use prometheus::proto::{self, LabelPair, MetricFamily, MetricType};

/// Families, in the order in which their samples come.
#[derive(Default)]
pub(crate) struct Families(Vec<(&'static str, MetricFamily)>);

impl Families {
    pub(crate) fn add(&mut self, sample: &Sample<'_>) {
        self.push(sample.metric, metric(sample));
    }

    pub(crate) fn add_histogram(&mut self, sample: &HistogramSample<'_>) {
        self.push(sample.metric, by_size(sample));
    }

    /// Samples of a metric come one after the other.
    fn push(&mut self, of: &'static Metric, sample: proto::Metric) {
        if self.0.last().is_none_or(|(last, _)| *last != of.name) {
            self.0.push((of.name, family(of)));
        }
        if let Some((_, family)) = self.0.last_mut() {
            family.mut_metric().push(sample);
        }
    }

    pub(crate) fn into_vec(self) -> Vec<MetricFamily> {
        self.0.into_iter().map(|(_, family)| family).collect()
    }
}

/// What plugins counted themselves. These are not in the catalogue, and nobody else has their prefix.
pub(crate) fn custom(metrics: CustomFamily) -> MetricFamily {
    let mut family = MetricFamily::default();
    family.set_name(metrics.name);
    family.set_help(metrics.help);
    for (plugin, value) in metrics.values {
        let mut metric = proto::Metric::default();
        let mut label = LabelPair::default();
        label.set_name("plugin".to_owned());
        label.set_value(plugin);
        metric.set_label(vec![label]);
        let kind = match value {
            CustomValue::Counter(count) => {
                let mut counter = proto::Counter::default();
                counter.set_value(count as f64);
                metric.set_counter(counter);
                MetricType::COUNTER
            }
            CustomValue::Gauge(value) => {
                let mut gauge = proto::Gauge::default();
                gauge.set_value(value);
                metric.set_gauge(gauge);
                MetricType::GAUGE
            }
            CustomValue::Histogram { count, sum, buckets } => {
                metric.set_histogram(histogram(count, sum, buckets));
                MetricType::HISTOGRAM
            }
        };
        family.set_field_type(kind);
        family.mut_metric().push(metric);
    }
    family
}

fn histogram(count: u64, sum: f64, buckets: Vec<(f64, u64)>) -> proto::Histogram {
    let mut histogram = proto::Histogram::default();
    histogram.set_sample_count(count);
    histogram.set_sample_sum(sum);
    let bucket = |(bound, count)| {
        let mut bucket = proto::Bucket::default();
        bucket.set_upper_bound(bound);
        bucket.set_cumulative_count(count);
        bucket
    };
    histogram.set_bucket(buckets.into_iter().map(bucket).collect());
    histogram
}

pub(crate) fn describe(metric: &Metric) -> Result<Desc, prometheus::Error> {
    let labels = metric.labels.iter().map(|&l| l.to_owned()).collect();
    Desc::new(metric.name.to_owned(), metric.help.to_owned(), labels, HashMap::new())
}

fn family(metric: &Metric) -> MetricFamily {
    let mut family = MetricFamily::default();
    family.set_name(metric.name.to_owned());
    family.set_help(metric.help.to_owned());
    family.set_field_type(match metric.kind {
        Kind::Counter => MetricType::COUNTER,
        Kind::Gauge => MetricType::GAUGE,
        Kind::Histogram => MetricType::HISTOGRAM,
    });
    family
}

fn pairs(metric: &Metric, values: &[&str]) -> Vec<LabelPair> {
    let pair = |(name, value): (&&str, &&str)| {
        let mut pair = LabelPair::default();
        pair.set_name((*name).to_owned());
        pair.set_value((*value).to_owned());
        pair
    };
    metric.labels.iter().zip(values).map(pair).collect()
}

/// A histogram: Prometheus wants to know how many are up to each bound, those of lower ones included.
fn by_size(sample: &HistogramSample<'_>) -> proto::Metric {
    let mut below = 0;
    let buckets = sample.metric.bounds.iter().zip(sample.counts).map(|(bound, count)| {
        below += count;
        (*bound as f64, below)
    });
    let buckets = buckets.collect();
    let mut metric = proto::Metric::default();
    metric.set_label(pairs(sample.metric, sample.labels));
    metric.set_histogram(histogram(sample.counts.iter().sum(), sample.sum, buckets));
    metric
}

fn metric(sample: &Sample<'_>) -> proto::Metric {
    let mut metric = proto::Metric::default();
    metric.set_label(pairs(sample.metric, sample.labels));
    match sample.metric.kind {
        Kind::Counter => {
            let mut counter = proto::Counter::default();
            counter.set_value(sample.value);
            metric.set_counter(counter);
        }
        Kind::Gauge | Kind::Histogram => {
            let mut gauge = proto::Gauge::default();
            gauge.set_value(sample.value);
            metric.set_gauge(gauge);
        }
    }
    metric
}
