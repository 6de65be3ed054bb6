//! What is recorded because of how it went, and what hooks add to it.

use std::sync::Arc;
use std::time::Duration;

use blockhouse_client::{Outgoing, Producer};
use blockhouse_hook::{Decision, Draft, Hook, Point, Points, Rejection};
use blockhouse_model::{Clock as _, RequestContext};
use blockhouse_service::SystemClock;
use blockhouse_telemetry::traces::Config;
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
