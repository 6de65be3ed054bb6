//! The same families by our own names, in base units.

use blockhouse_meter::native::NATIVE;
use prometheus::proto::{Metric, MetricFamily, MetricType};

/// Gives families their own names, and values their base units.
pub(crate) fn translated(families: Vec<MetricFamily>) -> Vec<MetricFamily> {
    let mut families: Vec<MetricFamily> = families.into_iter().map(translate).collect();
    families.sort_by(|a, b| a.name().cmp(b.name()));
    families
}

fn translate(mut family: MetricFamily) -> MetricFamily {
    let Some(native) = NATIVE.iter().find(|native| native.metric.name == family.name()) else {
        return family;
    };
    family.set_name(native.name.to_owned());
    if native.per_unit != 1 {
        let (kind, per_unit) = (family.get_field_type(), f64::from(native.per_unit));
        for metric in family.mut_metric() {
            divide(metric, kind, per_unit);
        }
    }
    family
}

fn divide(metric: &mut Metric, kind: MetricType, per_unit: f64) {
    match kind {
        MetricType::GAUGE => {
            let mut gauge = metric.get_gauge().clone();
            gauge.set_value(gauge.get_value() / per_unit);
            metric.set_gauge(gauge);
        }
        MetricType::HISTOGRAM => {
            let mut histogram = metric.get_histogram().clone();
            histogram.set_sample_sum(histogram.get_sample_sum() / per_unit);
            let mut buckets = histogram.get_bucket().to_vec();
            for bucket in &mut buckets {
                bucket.set_upper_bound(bucket.upper_bound() / per_unit);
            }
            histogram.set_bucket(buckets);
            metric.set_histogram(histogram);
        }
        // Counters count whole things, which have no smaller unit.
        _ => {}
    }
}
