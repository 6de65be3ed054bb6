//! What a broker does for messages, as a collector gets to know it.
#![expect(clippy::unwrap_used, reason = "a step that fails ends the test")]

mod afterwards;
mod collector;
mod flushes;
mod plugins;
mod rig;
mod rules;
mod sink;

use blockhouse_client::{Outgoing, Producer, Pull};
use blockhouse_model::properties;
use blockhouse_protocol::codes::request_code;
use blockhouse_telemetry::traces::Config;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;

use rig::Rig;
use sink::{Sink, attribute};

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const SPAN: &str = "b7ad6b7169203331";

fn traces(sink: &Sink) -> Config {
    let endpoint = format!("http://{}", sink.addr);
    Config { endpoint, head_ratio: 0.0, slow_ms: 0, errors: false, ..Config::default() }
}

fn parent(flags: &str) -> String {
    format!("00-{TRACE}-{SPAN}-{flags}")
}

fn hex(id: &[u8]) -> String {
    id.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A message with this span.
fn traced(topic: &str, flags: &str) -> Outgoing {
    Outgoing::new(topic, "body").property("traceparent", &parent(flags))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_send_is_a_child_of_its_producers_span() {
    let mut sink = Sink::start().await;
    let rig = Rig::start(&traces(&sink), &[]).await;
    let producer = Producer::new(&rig.client, "producers");
    producer.send(&traced("orders", "00")).await.unwrap();
    producer.send(&Outgoing::new("orders", "body")).await.unwrap();
    producer.send(&Outgoing::new("orders", "body").property("traceparent", "x")).await.unwrap();
    let sent = producer.send(&traced("orders", "01")).await.unwrap();

    let [send, append, flush] = sink.take(["send orders", "append", "flush"]).await;
    assert_eq!((hex(&send.trace_id), hex(&send.parent_span_id)), (TRACE.into(), SPAN.into()));
    assert_eq!(send.kind, SpanKind::Server as i32);
    assert_eq!((&append.trace_id, &append.parent_span_id), (&send.trace_id, &send.span_id));
    assert_eq!((&flush.trace_id, &flush.parent_span_id), (&send.trace_id, &send.span_id));
    assert_ne!(append.span_id, send.span_id);
    assert_ne!(append.span_id, flush.span_id);
    assert!(send.start_time_unix_nano <= append.start_time_unix_nano);
    assert_eq!(append.end_time_unix_nano, flush.start_time_unix_nano);
    assert!(flush.end_time_unix_nano <= send.end_time_unix_nano);
    for (key, value) in [
        ("messaging.system", "rocketmq"),
        ("messaging.operation.name", "send"),
        ("messaging.operation.type", "send"),
        ("messaging.destination.name", "orders"),
        ("messaging.destination.partition.id", "0"),
        ("messaging.message.id", &sent.message_id),
        ("network.peer.address", "127.0.0.1"),
        ("test.name", "send orders"),
        ("blockhouse.queue.offset", "3"),
        ("blockhouse.sampling.reason", "parent"),
    ] {
        assert_eq!(attribute(&send, key).as_deref(), Some(value), "{key}");
    }
    assert_eq!(attribute(&append, "test.name"), None, "a stage is no span of its own to others");
    // Nothing else was recorded.
    assert_eq!(sink.left(), []);
    assert_eq!(rig.dropped(), [0; 4]);
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_has_no_span_is_recorded_by_the_head_ratio() {
    let mut sink = Sink::start().await;
    let rig = Rig::start(&Config { head_ratio: 0.25, ..traces(&sink) }, &[]).await;
    let producer = Producer::new(&rig.client, "producers");
    for _ in 0..8 {
        producer.send(&traced("orders", "00")).await.unwrap();
    }
    for _ in 0..8 {
        producer.send(&Outgoing::new("bills", "body")).await.unwrap();
    }
    producer.send(&traced("last", "01")).await.unwrap();
    let names = ["send bills", "send bills", "send last"];
    let [first, second, _last] = sink.take(names).await;
    for span in [&first, &second] {
        assert_eq!(span.parent_span_id, b"");
        assert_eq!(attribute(span, "blockhouse.sampling.reason").as_deref(), Some("head"));
    }
    assert_ne!(first.trace_id, second.trace_id);
    assert!(!sink.left().iter().any(|span| span.name.starts_with("send")), "no others");
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_that_became_spans_are_the_exemplars_of_how_long_they_took() {
    let sink = Sink::start().await;
    let rig = Rig::start(&traces(&sink), &[]).await;
    let producer = Producer::new(&rig.client, "producers");
    producer.send(&Outgoing::new("orders", "body")).await.unwrap();
    producer.send(&traced("orders", "00")).await.unwrap();
    assert!(rig.meter.exemplars.read().is_empty(), "neither of them was recorded");
    let sent = producer.send(&traced("orders", "01")).await.unwrap();
    let (queue, filter) = (&sent.queue, "*");
    let pull = Pull { group: "consumers", queue, offset: 2, max: 1, filter, hold: None };
    assert_eq!(rig.client.pull(&pull).await.unwrap().messages.len(), 1);
    let kept: Vec<_> = rig.meter.exemplars.read().into_iter().collect();
    let [(pulled, of_pulls), (send, of_sends)] = &kept[..] else { panic!("{kept:?}") };
    assert_eq!((pulled.request, pulled.response), (request_code::PULL_MESSAGE, 0));
    assert_eq!((send.request, send.response), (request_code::SEND_MESSAGE_V2, 0));
    for row in [of_pulls, of_sends] {
        let exemplars: Vec<_> = row.iter().flatten().collect();
        let [one] = exemplars[..] else { panic!("{row:?}") };
        assert_eq!(format!("{:032x}", one.span.trace_id), TRACE);
        assert_ne!(format!("{:016x}", one.span.span_id), SPAN, "it is the broker's own span");
        assert!(one.at.0 > 1_700_000_000_000);
    }
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_delivery_goes_on_with_the_trace_of_its_message() {
    let mut sink = Sink::start().await;
    let rig = Rig::start(&traces(&sink), &[]).await;
    let producer = Producer::new(&rig.client, "producers");
    producer.send(&Outgoing::new("orders", "body").tag("a")).await.unwrap();
    let sent = producer.send(&traced("orders", "01").tag("a")).await.unwrap();
    producer.send(&Outgoing::new("orders", "body").tag("b")).await.unwrap();

    let pull = |filter, max| Pull {
        group: "consumers",
        queue: &sent.queue,
        offset: 0,
        max,
        filter,
        hold: None,
    };
    assert_eq!(rig.client.pull(&pull("a", 1)).await.unwrap().messages.len(), 1);
    assert_eq!(rig.client.pull(&pull("b", 32)).await.unwrap().messages.len(), 1);
    let pulled = rig.client.pull(&pull("*", 32)).await.unwrap().messages;
    assert_eq!(pulled.len(), 3);
    assert_eq!(pulled[1].property("traceparent"), Some(&*parent("01")), "as it was sent");

    let [_send, deliver] = sink.take(["send orders", "deliver orders"]).await;
    assert_eq!((hex(&deliver.trace_id), hex(&deliver.parent_span_id)), (TRACE.into(), SPAN.into()));
    assert!(deliver.links.is_empty());
    for (key, value) in [
        ("messaging.system", "rocketmq"),
        ("messaging.operation.type", "receive"),
        ("messaging.destination.name", "orders"),
        ("messaging.consumer.group.name", "consumers"),
        ("messaging.batch.message_count", "3"),
    ] {
        assert_eq!(attribute(&deliver, key).as_deref(), Some(value), "{key}");
    }
    let mut left = sink.left().iter();
    assert!(!left.any(|span| span.name == "deliver orders"), "the others were not recorded");
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_delivery_of_several_recorded_messages_is_linked_with_all_of_them() {
    let mut sink = Sink::start().await;
    let rig = Rig::start(&Config { head_ratio: 1.0, ..traces(&sink) }, &[]).await;
    let producer = Producer::new(&rig.client, "producers");
    producer.send(&traced("orders", "01")).await.unwrap();
    let sent = producer.send(&Outgoing::new("orders", "body")).await.unwrap();
    let queue = &sent.queue;
    let (group, filter) = ("consumers", "*");
    let pull = Pull { group, queue, offset: 0, max: 32, filter, hold: None };
    assert_eq!(rig.client.pull(&pull).await.unwrap().messages.len(), 2);

    let names = ["send orders", "send orders", "deliver orders"];
    let [first, second, deliver] = sink.take(names).await;
    let links: Vec<_> = deliver.links.iter().map(|l| (&l.trace_id, hex(&l.span_id))).collect();
    assert_eq!(links[0], (&first.trace_id, SPAN.to_owned()));
    assert_eq!(links[1], (&second.trace_id, hex(&second.span_id)), "it came without a span");
    assert_eq!((links.len(), deliver.parent_span_id), (2, Vec::new()));
    assert!(![&first.trace_id, &second.trace_id].contains(&&deliver.trace_id));
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_delayed_message_is_delivered_in_its_trace() {
    let mut sink = Sink::start().await;
    let rig = Rig::start(&traces(&sink), &[]).await;
    let producer = Producer::new(&rig.client, "producers");
    let queue = producer.send(&Outgoing::new("orders", "makes the topic")).await.unwrap().queue;
    let delayed = traced("orders", "01").property(properties::DELAY, "1");
    producer.send(&delayed).await.unwrap();
    let hold = Some(std::time::Duration::from_secs(10));
    let pull = Pull { group: "consumers", queue: &queue, offset: 1, max: 1, filter: "*", hold };
    while rig.client.pull(&pull).await.unwrap().messages.is_empty() {}

    let [send, deliver] = sink.take(["send orders", "deliver orders"]).await;
    assert_eq!((hex(&deliver.trace_id), hex(&deliver.parent_span_id)), (TRACE.into(), SPAN.into()));
    assert!(deliver.start_time_unix_nano >= send.start_time_unix_nano + 900_000_000);
    assert!(
        deliver.end_time_unix_nano < deliver.start_time_unix_nano + 900_000_000,
        "without the wait"
    );
    rig.stop().await;
}
