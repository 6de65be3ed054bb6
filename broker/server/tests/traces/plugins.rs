//! Plugins' calls as spans. What stands in for a plugin here is a hook that notes its calls as plugins
//! do; that they do is tested where they are hosted.

use std::sync::Arc;
use std::time::Duration;

use blockhouse_client::{Outgoing, Producer, Pull};
use blockhouse_hook::{
    Decision, Delivery, Draft, Hook, Outbound, PluginCall, Point, Points, Rejection, Verdict, calls,
};
use blockhouse_model::{Access, Clock, RequestContext};
use blockhouse_telemetry::traces::Config;
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;

use crate::rig::Rig;
use crate::sink::{Sink, attribute};
use crate::{SPAN, TRACE, hex, traced, traces};

/// Does as topics say: `slow`, `trap`, `refuse`.
struct Masker(Arc<dyn Clock>);

impl Masker {
    fn note(&self, call: PluginCall, time: Duration) {
        let began = self.0.monotonic();
        while self.0.monotonic() < began + time {
            std::hint::spin_loop();
        }
        calls::note(|| PluginCall { began, took: self.0.monotonic() - began, ..call });
    }
}

impl Hook for Masker {
    fn name(&self) -> &'static str {
        "masker"
    }

    fn points(&self) -> Points {
        Points::NONE.with(Point::Authorize).with(Point::BeforeSend).with(Point::BeforeDeliver)
    }

    fn authorize(&self, _: &RequestContext, _: &[Access<'_>]) -> Verdict {
        self.note(PluginCall::new("masker", "authorize"), Duration::from_micros(20));
        Verdict::Continue
    }

    fn before_send(&self, _: &RequestContext, messages: &mut [Draft<'_>]) {
        let call = PluginCall {
            messages: messages.len(),
            is_shadow: true,
            ..PluginCall::new("masker", "before-send")
        };
        match messages[0].topic {
            "slow" => self.note(call, SLOW),
            "trap" => {
                let call = PluginCall { verdict: "fail", failure: Some("trap"), ..call };
                self.note(call, Duration::from_micros(20));
            }
            "refuse" => {
                let call = PluginCall { verdict: "refuse", ..call };
                self.note(call, Duration::from_micros(20));
                messages[0].decision = Decision::Reject(Rejection::new("not today"));
            }
            _ => self.note(call, Duration::from_micros(20)),
        }
    }

    fn before_deliver(
        &self,
        _: &RequestContext,
        delivery: &Delivery<'_>,
        _: &mut [Outbound<'_>],
    ) -> Verdict {
        let call = PluginCall::new("masker", "before-deliver");
        if delivery.group == "strangers" {
            let call = PluginCall { verdict: "fail", failure: Some("deadline"), ..call };
            self.note(call, Duration::from_micros(20));
            return Verdict::Reject(Rejection::new("not now"));
        }
        self.note(PluginCall { verdict: "change", ..call }, Duration::from_micros(20));
        Verdict::Continue
    }
}

const SLOW: Duration = Duration::from_millis(60);

async fn rig(traces: &Config) -> Rig {
    Rig::start_at(traces, |clock| vec![Arc::new(Masker(clock)) as Arc<dyn Hook>]).await
}

fn assert_within(call: &Span, outer: &Span) {
    assert_eq!((&call.trace_id, &call.parent_span_id), (&outer.trace_id, &outer.span_id));
    assert!(call.start_time_unix_nano >= outer.start_time_unix_nano, "{call:?} {outer:?}");
    assert!(call.end_time_unix_nano <= outer.end_time_unix_nano, "{call:?} {outer:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_plugin_calls_of_a_send_are_spans_below_its_hooks() {
    let mut sink = Sink::start().await;
    let rig = rig(&traces(&sink)).await;
    let producer = Producer::new(&rig.client, "producers");
    producer.send(&Outgoing::new("orders", "body")).await.unwrap();
    producer.send(&traced("orders", "00")).await.unwrap();
    producer.send(&traced("orders", "01")).await.unwrap();

    let names = ["hooks", "authorize masker", "before-send masker"];
    let [hooks, authorize, before_send] = sink.take(names).await;
    assert_within(&authorize, &hooks);
    assert_within(&before_send, &hooks);
    assert_ne!(authorize.span_id, before_send.span_id);
    assert!(before_send.end_time_unix_nano - before_send.start_time_unix_nano >= 20_000 - 100);
    for (key, value) in [
        ("blockhouse.plugin.name", "masker"),
        ("blockhouse.plugin.hook", "before-send"),
        ("blockhouse.plugin.verdict", "continue"),
        ("blockhouse.plugin.mode", "shadow"),
    ] {
        assert_eq!(attribute(&before_send, key).as_deref(), Some(value), "{key}");
    }
    assert_eq!(attribute(&authorize, "blockhouse.plugin.mode").as_deref(), Some("enforce"));
    assert_eq!(before_send.status.unwrap().code, StatusCode::Unset as i32);
    assert!(!sink.left().iter().any(|span| span.name.ends_with("masker")), "of one send only");
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_send_that_a_plugin_made_slow_or_refused_shows_its_call() {
    let mut sink = Sink::start().await;
    let slow_ms = u64::try_from(SLOW.as_millis()).unwrap() - 10;
    let config = Config { slow_ms, errors: true, ..traces(&sink) };
    let rig = rig(&config).await;
    let producer = Producer::new(&rig.client, "producers");
    producer.send(&Outgoing::new("slow", "body")).await.unwrap();
    let [send, hooks, call] = sink.take(["send slow", "hooks", "before-send masker"]).await;
    assert_eq!(attribute(&send, "blockhouse.sampling.reason").as_deref(), Some("slow"));
    assert_within(&call, &hooks);

    producer.send(&Outgoing::new("refuse", "body")).await.unwrap_err();
    let [send, call] = sink.take(["send refuse", "before-send masker"]).await;
    assert_eq!(attribute(&call, "blockhouse.plugin.verdict").as_deref(), Some("refuse"));
    assert_eq!(call.trace_id, send.trace_id);
    assert_eq!(call.status.unwrap().code, StatusCode::Unset as i32, "it did what it is for");
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_send_at_which_a_plugin_failed_is_recorded_though_it_was_stored() {
    let mut sink = Sink::start().await;
    let rig = rig(&Config { errors: true, ..traces(&sink) }).await;
    let producer = Producer::new(&rig.client, "producers");
    producer.send(&Outgoing::new("orders", "body")).await.unwrap();
    producer.send(&traced("trap", "00")).await.unwrap();

    let [send, call] = sink.take(["send trap", "before-send masker"]).await;
    assert_eq!((hex(&send.trace_id), hex(&send.parent_span_id)), (TRACE.into(), SPAN.into()));
    assert_eq!(attribute(&send, "blockhouse.sampling.reason").as_deref(), Some("plugin"));
    assert_eq!(attribute(&send, "blockhouse.queue.offset").as_deref(), Some("0"));
    assert_eq!(send.status.unwrap().code, StatusCode::Unset as i32);
    assert_eq!(attribute(&call, "blockhouse.plugin.verdict").as_deref(), Some("fail"));
    assert_eq!(attribute(&call, "error.type").as_deref(), Some("trap"));
    assert_eq!(call.status.unwrap().code, StatusCode::Error as i32);
    assert!(sink.left().iter().all(|span| span.name != "send orders"));
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_plugin_calls_of_a_delivery_are_spans_below_it() {
    let mut sink = Sink::start().await;
    let rig = rig(&traces(&sink)).await;
    let producer = Producer::new(&rig.client, "producers");
    let queue = producer.send(&Outgoing::new("orders", "body")).await.unwrap().queue;
    producer.send(&traced("orders", "01")).await.unwrap();
    let pull =
        |group, offset| Pull { group, queue: &queue, offset, max: 1, filter: "*", hold: None };
    assert_eq!(rig.client.pull(&pull("consumers", 0)).await.unwrap().messages.len(), 1);
    assert_eq!(rig.client.pull(&pull("consumers", 1)).await.unwrap().messages.len(), 1);
    let [deliver, call] = sink.take(["deliver orders", "before-deliver masker"]).await;
    assert_within(&call, &deliver);
    assert_eq!(attribute(&call, "blockhouse.plugin.verdict").as_deref(), Some("change"));

    rig.client.pull(&pull("strangers", 1)).await.unwrap_err();
    let [deliver, call] = sink.take(["deliver orders", "before-deliver masker"]).await;
    assert_within(&call, &deliver);
    assert_eq!(hex(&deliver.trace_id), TRACE);
    assert_eq!(attribute(&deliver, "error.type").as_deref(), Some("NO_PERMISSION"));
    assert_eq!(deliver.status.unwrap().code, StatusCode::Error as i32);
    assert_eq!(attribute(&call, "error.type").as_deref(), Some("deadline"));
    assert!(!sink.left().iter().any(|span| span.name == "deliver orders"), "no others");
    rig.stop().await;
}
