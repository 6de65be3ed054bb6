use super::*;
use crate::render::Families;
use blockhouse_meter::{
    HistogramSample, Latencies, Metric as Described, RpcKind, Sample, catalogue as c,
};
use blockhouse_model::TraceParent;

const LABELS: [&str; 5] = ["remoting", "pull_message", "success", "false", "success"];

fn families(counts: &[u64]) -> Vec<proto::MetricFamily> {
    let mut families = Families::default();
    let labels: &[&str] = &["orders", "normal", "false"];
    families.add(&Sample { metric: &c::MESSAGES_IN, labels, value: 3.0 });
    families.add(&Sample { metric: &c::UPTIME, labels: &[], value: 2.5 });
    let times = HistogramSample { metric: &c::RPC_LATENCY, labels: &LABELS, counts, sum: 17.5 };
    families.add_histogram(&times);
    families.into_vec()
}

fn decoded(families: &[proto::MetricFamily], requests: &Requests) -> Vec<MetricFamily> {
    let bytes = encode(families, requests);
    let (mut rest, mut found) = (&bytes[..], Vec::new());
    while !rest.is_empty() {
        found.push(MetricFamily::decode_length_delimited(&mut rest).unwrap());
    }
    found
}

fn requests(fine: FineCounts, row: Row) -> Requests {
    let key = || LABELS.map(str::to_owned).to_vec();
    let Described { name, labels, .. } = c::RPC_LATENCY;
    Requests::new((name, labels), 1_000.0, vec![(key(), row)], vec![(key(), fine)])
}

fn fine(times: &[(u64, u64)]) -> FineCounts {
    let latencies = Latencies::default();
    let kind = RpcKind { request: 11, response: 0, is_held: false, is_one_way: false };
    for (micros, requests) in times {
        latencies.add(Some(kind), *micros, *requests);
    }
    latencies.read_fine().remove(&Some(kind)).unwrap()
}

#[test]
fn families_come_one_after_the_other_each_with_its_length() {
    let found = decoded(&families(&[1, 0, 0, 0, 0, 0, 0, 0, 0, 2]), &Requests::default());
    let [messages, uptime, times] = &found[..] else { panic!("{found:?}") };
    assert_eq!((&*messages.name, messages.kind()), (c::MESSAGES_IN.name, Type::Counter));
    assert_eq!(messages.help, c::MESSAGES_IN.help);
    assert_eq!(messages.metric[0].label[0], label("topic", "orders"));
    assert_eq!(messages.metric[0].counter, Some(Value { value: 3.0 }));
    assert_eq!((uptime.kind(), uptime.metric[0].gauge), (Type::Gauge, Some(Value { value: 2.5 })));
    let histogram = times.metric[0].histogram.as_ref().unwrap();
    assert_eq!((times.kind(), histogram.sample_count), (Type::Histogram, 3));
    assert_eq!((histogram.bucket.len(), histogram.bucket[8].cumulative_count), (9, 1));
    assert_eq!(histogram.positive_span, [], "nothing fine is known of it");
}

#[test]
fn fine_buckets_are_spans_and_differences() {
    // Half a millisecond, 1 s, the bucket after it, and 4 s.
    let times = [(0, 2), (500, 5), (1_000_000, 7), (1_050_000, 4), (4_000_000, 1)];
    let requests = requests(fine(&times), Row::default());
    let found = decoded(&families(&[7, 0, 0, 0, 0, 0, 7, 4, 0, 1]), &requests);
    let histogram = found[2].metric[0].histogram.as_ref().unwrap();
    assert_eq!((histogram.sample_count, histogram.zero_count), (19, 2));
    assert_eq!((histogram.schema, histogram.zero_threshold), (3, ZERO_THRESHOLD));
    let spans: Vec<_> = histogram.positive_span.iter().map(|s| (s.offset, s.length)).collect();
    // log2(0.0005) is -10.97: times 8, rounded up, -87.
    assert_eq!(spans, [(-87, 1), (86, 2), (14, 1)]);
    assert_eq!(histogram.positive_delta, [5, 2, -3, -3]);
}

#[test]
fn what_was_counted_between_the_two_looks_is_in_neither() {
    let requests = requests(fine(&[(500, 5)]), Row::default());
    let found = decoded(&families(&[6, 1, 0, 0, 0, 0, 0, 0, 0, 0]), &requests);
    let histogram = found[2].metric[0].histogram.as_ref().unwrap();
    assert_eq!(histogram.sample_count, 5);
    assert!(histogram.bucket.iter().all(|bucket| bucket.cumulative_count == 5));
}

#[test]
fn buckets_have_exemplars_also_the_last() {
    let span = TraceParent { trace_id: 0xabc, span_id: 0xdef, sampled: true };
    let at = blockhouse_model::Timestamp(1_700_000_000_125);
    let exemplar = |micros| Some(blockhouse_meter::Exemplar { span, micros, at });
    let mut row = Row::default();
    (row[0], row[9]) = (exemplar(250), exemplar(9_000_000));
    let requests = requests(fine(&[(250, 1), (9_000_000, 1)]), row);
    let found = decoded(&families(&[1, 0, 0, 0, 0, 0, 0, 0, 0, 1]), &requests);
    let buckets = &found[2].metric[0].histogram.as_ref().unwrap().bucket;
    let first = buckets[0].exemplar.as_ref().unwrap();
    assert_eq!(first.label[0], label("trace_id", "00000000000000000000000000000abc"));
    assert_eq!(first.label[1], label("span_id", "0000000000000def"));
    assert!((first.value - 0.25).abs() < 1e-12);
    let at = Timestamp { seconds: 1_700_000_000, nanos: 125_000_000 };
    assert_eq!(first.timestamp, Some(at));
    assert_eq!((buckets.len(), buckets[9].cumulative_count), (10, 2));
    assert!(buckets[9].exemplar.is_some() && buckets[9].upper_bound.is_infinite());
    assert_eq!(buckets.iter().filter(|bucket| bucket.exemplar.is_some()).count(), 2);
}
