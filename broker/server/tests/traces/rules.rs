//! What is recorded because of how it went, and what hooks add to it.

use std::sync::Arc;
use std::time::Duration;

use blockhouse_client::{Outgoing, Producer, Pull};
use blockhouse_hook::{Decision, Draft, Hook, Point, Points, Rejection};
use blockhouse_meter::spans::{DropReason, Rules, Tuned};
use blockhouse_model::{Clock as _, RequestContext};
use blockhouse_service::SystemClock;
use blockhouse_telemetry::traces::{Config, Rule};
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;

use crate::rig::Rig;
use crate::sink::{Sink, attribute};
use crate::{SPAN, TRACE, hex, traced, traces};

const SLOW: Duration = Duration::from_millis(60);

/// Is slow with some messages and refuses others.
struct Moody(SystemClock);

impl Hook for Moody {
    fn name(&self) -> &'static str {
        "moody"
    }

    fn points(&self) -> Points {
        Points::NONE.with(Point::BeforeSend)
    }

    fn before_send(&self, _: &RequestContext, messages: &mut [Draft<'_>]) {
        for message in messages {
            match message.topic {
                "slow" => {
                    let until = self.0.monotonic() + SLOW;
                    while self.0.monotonic() < until {
                        std::hint::spin_loop();
                    }
                }
                "refused" => message.decision = Decision::Reject(Rejection::new("not today")),
                _ => {}
            }
        }
    }
}

fn moody() -> Arc<dyn Hook> {
    Arc::new(Moody(SystemClock::new()))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_slow_is_recorded_in_the_trace_that_it_belongs_to() {
    let mut sink = Sink::start().await;
    let slow_ms = u64::try_from(SLOW.as_millis()).unwrap() - 10;
    let rig = Rig::start(&Config { slow_ms, ..traces(&sink) }, &[moody()]).await;
    let producer = Producer::new(&rig.client, "producers");
    producer.send(&traced("slow", "00")).await.unwrap();

    let [send, hooks] = sink.take(["send slow", "hooks"]).await;
    assert_eq!((hex(&send.trace_id), hex(&send.parent_span_id)), (TRACE.into(), SPAN.into()));
    assert_eq!(attribute(&send, "blockhouse.sampling.reason").as_deref(), Some("slow"));
    assert_eq!(attribute(&send, "blockhouse.queue.offset").as_deref(), Some("0"));
    assert_eq!(hooks.parent_span_id, send.span_id);
    let took = hooks.end_time_unix_nano - hooks.start_time_unix_nano;
    assert!(u128::from(took) >= SLOW.as_nanos() - 100, "{took}");
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn topics_have_ratios_of_their_own_within_the_limit_of_all() {
    let mut sink = Sink::start().await;
    let rule = |topic: &str, ratio| Rule { topic: topic.to_owned(), group: "*".to_owned(), ratio };
    let rules = vec![rule("orders-*", 1.0), rule("*", 0.0)];
    let config = Config { head_ratio: 1.0, per_second_max: 2, rules, ..traces(&sink) };
    let rig = Rig::start(&config, &[]).await;
    let producer = Producer::new(&rig.client, "producers");
    producer.send(&Outgoing::new("bills", "body")).await.unwrap();
    producer.send(&Outgoing::new("orders-eu", "body")).await.unwrap();
    let [send] = sink.take(["send orders-eu"]).await;
    assert_eq!(attribute(&send, "blockhouse.sampling.reason").as_deref(), Some("head"));
    // In a burst of one second at most: one connection, one answer after the other.
    let counts = &rig.spans.as_ref().unwrap().counts;
    while counts.dropped.read(DropReason::Limit) == 0 {
        producer.send(&Outgoing::new("orders-eu", "body")).await.unwrap();
    }
    producer.send(&traced("last", "01")).await.unwrap();
    let [_last] = sink.take(["send last"]).await;
    assert!(sink.left().iter().all(|span| span.name != "send bills"));
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn other_rules_are_in_force_until_their_time_is_over() {
    let mut sink = Sink::start().await;
    let rig = Rig::start(&traces(&sink), &[]).await;
    let producer = Producer::new(&rig.client, "producers");
    let spans = rig.spans.as_ref().unwrap();
    producer.send(&Outgoing::new("before", "body")).await.unwrap();
    let rules = Rules { head: 1.0, ..spans.configured() };
    spans.tune(Some(Tuned { rules, until: Duration::MAX }));
    producer.send(&Outgoing::new("during", "body")).await.unwrap();
    let [_during] = sink.take(["send during"]).await;
    // The exporter looks at the time.
    spans.tune(Some(Tuned { rules, until: Duration::ZERO }));
    let over = async {
        while spans.tuned().is_some() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), over).await.unwrap();
    producer.send(&Outgoing::new("after", "body")).await.unwrap();
    producer.send(&traced("last", "01")).await.unwrap();
    let [_last] = sink.take(["send last"]).await;
    let is_other = |name: &str| name.ends_with("before") || name.ends_with("after");
    assert!(!sink.left().iter().any(|span| is_other(&span.name)));
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_refused_is_recorded_with_its_code() {
    let mut sink = Sink::start().await;
    let rig = Rig::start(&Config { errors: true, ..traces(&sink) }, &[moody()]).await;
    let producer = Producer::new(&rig.client, "producers");
    producer.send(&Outgoing::new("refused", "body")).await.unwrap_err();

    let [send] = sink.take(["send refused"]).await;
    assert_eq!(attribute(&send, "blockhouse.sampling.reason").as_deref(), Some("error"));
    assert_eq!(attribute(&send, "error.type").as_deref(), Some("NO_PERMISSION"));
    assert_eq!(send.status.unwrap().code, StatusCode::Error as i32);
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refusal_is_part_of_a_trace_that_is_recorded_whatever_the_rules() {
    let mut sink = Sink::start().await;
    let rig = Rig::start(&traces(&sink), &[moody()]).await;
    let producer = Producer::new(&rig.client, "producers");
    producer.send(&Outgoing::new("refused", "body")).await.unwrap_err();
    producer.send(&traced("refused", "01")).await.unwrap_err();

    let [send] = sink.take(["send refused"]).await;
    assert_eq!((hex(&send.trace_id), hex(&send.parent_span_id)), (TRACE.into(), SPAN.into()));
    assert_eq!(attribute(&send, "error.type").as_deref(), Some("NO_PERMISSION"));
    // The client has tried again.
    for span in sink.left() {
        assert_eq!(span.trace_id, send.trace_id, "the other one has no trace");
        assert_ne!(span.name, "append");
    }
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_is_one_span_of_its_first_sampled_message() {
    let mut sink = Sink::start().await;
    let rig = Rig::start(&traces(&sink), &[]).await;
    let producer = Producer::new(&rig.client, "producers");
    let batch = [traced("orders", "00"), traced("orders", "01"), Outgoing::new("orders", "c")];
    producer.send_batch(&batch).await.unwrap();

    let [send] = sink.take(["send orders"]).await;
    assert_eq!((hex(&send.trace_id), hex(&send.parent_span_id)), (TRACE.into(), SPAN.into()));
    assert_eq!(attribute(&send, "messaging.batch.message_count").as_deref(), Some("3"));
    assert_eq!(attribute(&send, "messaging.message.id"), None);
    assert!(sink.left().iter().all(|span| span.name != "send orders"));
    rig.stop().await;
}

/// A context of its own in this trace, with these flags.
fn of_trace(number: u128, flags: &str) -> Outgoing {
    let context = format!("00-{number:032x}-{number:016x}-{flags}");
    Outgoing::new("orders", "body").property("traceparent", &context)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_of_a_batch_belong_to_their_own_spans_or_to_the_send() {
    let mut sink = Sink::start().await;
    let rig = Rig::start(&traces(&sink), &[]).await;
    let producer = Producer::new(&rig.client, "producers");
    let plain = || Outgoing::new("orders", "body");
    let batch = [plain(), of_trace(1, "01"), of_trace(2, "01"), of_trace(3, "00"), plain()];
    let queue = producer.send_batch(&batch).await.unwrap().queue;
    let [send] = sink.take(["send orders"]).await;
    let of = |number: u128| (format!("{number:032x}"), format!("{number:016x}"));
    assert_eq!((hex(&send.trace_id), hex(&send.parent_span_id)), of(1), "of the first sampled one");
    let linked = |span: &Span| -> Vec<_> {
        span.links.iter().map(|link| (hex(&link.trace_id), hex(&link.span_id))).collect()
    };
    assert_eq!(linked(&send), [of(2)], "and linked with those of the others");

    // One after the other: what each is a child of.
    let (group, filter) = ("consumers", "*");
    let own = (hex(&send.trace_id), hex(&send.span_id));
    for (offset, parent) in [(0, &own), (1, &of(1)), (2, &of(2)), (4, &own)] {
        let pull = Pull { group, queue: &queue, offset, max: 1, filter, hold: None };
        assert_eq!(rig.client.pull(&pull).await.unwrap().messages.len(), 1);
        let [deliver] = sink.take(["deliver orders"]).await;
        assert_eq!(&(hex(&deliver.trace_id), hex(&deliver.parent_span_id)), parent, "{offset}");
    }
    // All at once, and without the one whose sender does not record it.
    let pull = Pull { group, queue: &queue, offset: 0, max: 32, filter, hold: None };
    let stored = rig.client.pull(&pull).await.unwrap().messages;
    let [deliver] = sink.take(["deliver orders"]).await;
    assert_eq!(linked(&deliver), [own.clone(), of(1), of(2), own]);
    let properties: Vec<_> = stored.iter().map(|message| message.property("traceparent")).collect();
    let sent = |number: u128, flags| format!("00-{number:032x}-{number:016x}-{flags}");
    let as_sent = [None, Some(sent(1, "01")), Some(sent(2, "01")), Some(sent(3, "00")), None];
    assert_eq!(properties, as_sent.each_ref().map(Option::as_deref));
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refused_batch_is_part_of_the_trace_of_its_message() {
    let mut sink = Sink::start().await;
    let rig = Rig::start(&traces(&sink), &[moody()]).await;
    let producer = Producer::new(&rig.client, "producers");
    let batch = [Outgoing::new("refused", "body"), traced("refused", "01")];
    producer.send_batch(&batch).await.unwrap_err();
    let [send] = sink.take(["send refused"]).await;
    assert_eq!((hex(&send.trace_id), hex(&send.parent_span_id)), (TRACE.into(), SPAN.into()));
    rig.stop().await;
}
