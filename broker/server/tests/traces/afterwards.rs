//! What happens to a message after it was sent: it is delayed, settled, sent back and given up.

use std::time::Duration;

use blockhouse_client::{Outgoing, Producer, Pull, Received};
use blockhouse_model::{names, properties};
use blockhouse_protocol::MessageQueue;
use blockhouse_protocol::codes::request_code;
use blockhouse_protocol::header::send::ConsumerSendMsgBack;
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;

use blockhouse_telemetry::traces::Config;

use crate::rig::Rig;
use crate::sink::{Sink, attribute};
use crate::{SPAN, TRACE, hex, parent, traced, traces};

pub(crate) const GROUP: &str = "consumers";

/// The first message of a queue from `offset` on, however long its topic is not there yet.
pub(crate) async fn first(rig: &Rig, queue: &MessageQueue, offset: i64) -> Received {
    first_of(rig, GROUP, queue, offset).await
}

async fn first_of(rig: &Rig, group: &str, queue: &MessageQueue, offset: i64) -> Received {
    let hold = Some(Duration::from_secs(10));
    let pull = Pull { group, queue, offset, max: 1, filter: "*", hold };
    loop {
        match rig.client.pull(&pull).await {
            Ok(mut pulled) if !pulled.messages.is_empty() => return pulled.messages.remove(0),
            _ => rig.client.forget_route(&queue.topic),
        }
    }
}

/// Sends a message back as official clients do; gives the code of the answer.
pub(crate) async fn send_back(rig: &Rig, offset: i64, delay_level: i32) -> i32 {
    let header = ConsumerSendMsgBack {
        offset,
        group: GROUP,
        delay_level,
        origin_msg_id: None,
        origin_topic: None,
        unit_mode: false,
        max_reconsume_times: None,
    };
    let addr = rig.broker_addr().to_string();
    let code = request_code::CONSUMER_SEND_MSG_BACK;
    let patience = rig.client.timeout();
    let asked = rig.client.ask(&addr, code, |ext| header.write(ext), b"", patience);
    asked.await.unwrap().code
}

pub(crate) fn offset_of(message: &Received) -> i64 {
    message.offset_id.offset.to_i64()
}

fn assert_child(span: &Span, kind: SpanKind, attributes: &[(&str, &str)]) {
    let name = &span.name;
    let ids = (hex(&span.trace_id), hex(&span.parent_span_id));
    assert_eq!(ids, (TRACE.into(), SPAN.into()), "{name}");
    assert_eq!(span.kind, kind as i32, "{name}");
    for (key, value) in attributes {
        assert_eq!(attribute(span, key).as_deref(), Some(*value), "{name}: {key}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn delay_retry_and_dead_letter_of_a_message_are_one_trace_whatever_restarts() {
    let mut sink = Sink::start().await;
    let config = traces(&sink);
    let rig = Rig::start(&config, &[]).await;
    let producer = Producer::new(&rig.client, "producers");
    let queue = producer.send(&Outgoing::new("orders", "makes the topic")).await.unwrap().queue;
    producer.send(&traced("orders", "01").property(properties::DELAY, "1")).await.unwrap();
    let rig = rig.restart(&config).await;
    let same = |message: &Received| {
        assert_eq!(message.property("traceparent"), Some(&*parent("01")), "{}", message.topic);
    };

    let delayed = first(&rig, &queue, 1).await;
    same(&delayed);
    assert_eq!(send_back(&rig, offset_of(&delayed), 1).await, 0);
    let rig = rig.restart(&config).await;
    let retry = MessageQueue { topic: names::retry_topic(GROUP), ..queue.clone() };
    let again = first(&rig, &retry, 0).await;
    same(&again);
    assert_eq!(again.reconsume_times, 1);
    let rig = rig.restart(&config).await;
    assert_eq!(send_back(&rig, offset_of(&again), -1).await, 0);
    let dead = MessageQueue { topic: names::dlq_topic(GROUP), ..queue.clone() };
    same(&first(&rig, &dead, 0).await);

    let [release, deliver] = sink.take(["release orders", "deliver orders"]).await;
    assert_child(
        &release,
        SpanKind::Internal,
        &[
            ("messaging.operation.name", "release"),
            ("messaging.destination.name", "orders"),
            ("messaging.rocketmq.message.delay_time_level", "1"),
            ("blockhouse.queue.offset", "1"),
            ("blockhouse.sampling.reason", "parent"),
        ],
    );
    assert_eq!(attribute(&release, "network.peer.address"), None, "nobody asked");
    assert_eq!(attribute(&release, "messaging.operation.type"), None);
    assert_child(&deliver, SpanKind::Server, &[("messaging.destination.name", "orders")]);
    let names = ["retry", "release", "deliver"].map(|what| format!("{what} %RETRY%consumers"));
    let [sent_back, released, delivered] = sink.take(names.each_ref().map(String::as_str)).await;
    let details = [
        ("messaging.operation.name", "retry"),
        ("messaging.operation.type", "settle"),
        ("messaging.destination.name", "%RETRY%consumers"),
        ("messaging.consumer.group.name", GROUP),
        ("messaging.rocketmq.message.delay_time_level", "1"),
        ("network.peer.address", "127.0.0.1"),
    ];
    assert_child(&sent_back, SpanKind::Server, &details);
    assert_child(&released, SpanKind::Internal, &[("blockhouse.queue.offset", "0")]);
    assert_child(&delivered, SpanKind::Server, &[]);
    assert!(sent_back.end_time_unix_nano <= released.start_time_unix_nano);
    let names = ["dead_letter %DLQ%consumers", "deliver %DLQ%consumers"];
    let [given_up, delivered] = sink.take(names).await;
    assert_child(&given_up, SpanKind::Server, &[("messaging.operation.type", "settle")]);
    assert_eq!(attribute(&given_up, "messaging.rocketmq.message.delay_time_level"), None);
    assert_child(&delivered, SpanKind::Server, &[]);
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_its_sender_does_not_record_has_no_spans_afterwards_either() {
    let mut sink = Sink::start().await;
    let rig = Rig::start(&traces(&sink), &[]).await;
    let producer = Producer::new(&rig.client, "producers");
    producer.send(&traced("orders", "00")).await.unwrap();
    let queue = producer.send(&Outgoing::new("orders", "body")).await.unwrap().queue;
    for offset in [0, 1] {
        let message = first(&rig, &queue, offset).await;
        assert_eq!(send_back(&rig, offset_of(&message), -1).await, 0);
    }
    rig.client.commit(GROUP, &queue, 2).await.unwrap();

    producer.send(&traced("last", "01")).await.unwrap();
    let [_last] = sink.take(["send last"]).await;
    let of_last = ["send last", "append", "flush"];
    let others: Vec<&str> = sink.left().iter().map(|span| span.name.as_str()).collect();
    assert!(others.iter().all(|name| of_last.contains(name)), "{others:?}");
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sending_back_what_is_not_there_is_an_error_that_is_recorded() {
    let mut sink = Sink::start().await;
    let rig = Rig::start(&Config { errors: true, ..traces(&sink) }, &[]).await;
    let producer = Producer::new(&rig.client, "producers");
    producer.send(&Outgoing::new("orders", "body")).await.unwrap();
    assert_ne!(send_back(&rig, 1 << 40, 1).await, 0);

    let [retry] = sink.take(["retry %RETRY%consumers"]).await;
    assert_eq!(retry.parent_span_id, b"");
    assert_eq!(attribute(&retry, "blockhouse.sampling.reason").as_deref(), Some("error"));
    assert_eq!(attribute(&retry, "error.type").as_deref(), Some("SYSTEM_ERROR"));
    assert_eq!(retry.status.unwrap().code, StatusCode::Error as i32);
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_is_part_of_the_trace_of_the_message_that_it_passes() {
    let mut sink = Sink::start().await;
    let rig = Rig::start(&Config { head_ratio: 1.0, ..traces(&sink) }, &[]).await;
    let producer = Producer::new(&rig.client, "producers");
    producer.send(&traced("orders", "00")).await.unwrap();
    let queue = producer.send(&traced("orders", "01")).await.unwrap().queue;
    producer.send(&traced("orders", "01")).await.unwrap();
    producer.send(&Outgoing::new("orders", "body")).await.unwrap();

    // Groups are made by their first pull.
    for group in [GROUP, "others"] {
        first_of(&rig, group, &queue, 0).await;
    }
    // Back, and to where it is already, settles nothing.
    for offset in [1, 2, 2, 1] {
        rig.client.commit(GROUP, &queue, offset).await.unwrap();
    }
    let [commit] = sink.take(["commit orders"]).await;
    let details = [
        ("messaging.operation.name", "commit"),
        ("messaging.operation.type", "settle"),
        ("messaging.consumer.group.name", GROUP),
        ("messaging.destination.partition.id", "0"),
        ("blockhouse.queue.offset", "2"),
    ];
    assert_child(&commit, SpanKind::Server, &details);
    assert!(commit.links.is_empty());
    assert_eq!(attribute(&commit, "blockhouse.log.offset"), None);

    rig.client.commit("others", &queue, 4).await.unwrap();
    let [several] = sink.take(["commit orders"]).await;
    assert_eq!((several.links.len(), &*several.parent_span_id), (3, &b""[..]));
    let linked: Vec<_> = several.links.iter().map(|link| hex(&link.trace_id)).collect();
    assert_eq!((&*linked[0], &*linked[1]), (TRACE, TRACE));
    assert_eq!(attribute(&several, "messaging.consumer.group.name").as_deref(), Some("others"));
    assert!(sink.left().iter().all(|span| span.name != "commit orders"));
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_stored_by_a_process_that_is_gone_is_found_by_its_properties() {
    let mut sink = Sink::start().await;
    let config = traces(&sink);
    let rig = Rig::start(&config, &[]).await;
    let producer = Producer::new(&rig.client, "producers");
    let queue = producer.send(&traced("orders", "01")).await.unwrap().queue;
    // Large ones are lent from the log's map, where nobody may look.
    let large = |flags: &str| {
        Outgoing::new("orders", "x".repeat(4_000)).property("traceparent", &parent(flags))
    };
    producer.send(&large("01")).await.unwrap();
    producer.send(&large("00")).await.unwrap();
    producer.send(&large("01")).await.unwrap();
    let rig = rig.restart(&config).await;
    sink.take(["send orders", "send orders", "send orders"]).await;

    first(&rig, &queue, 0).await;
    let [deliver] = sink.take(["deliver orders"]).await;
    assert_child(&deliver, SpanKind::Server, &[("blockhouse.sampling.reason", "parent")]);
    rig.client.commit(GROUP, &queue, 1).await.unwrap();
    let [commit] = sink.take(["commit orders"]).await;
    assert_child(&commit, SpanKind::Server, &[("blockhouse.queue.offset", "1")]);

    let pull =
        |offset| Pull { group: GROUP, queue: &queue, offset, max: 32, filter: "*", hold: None };
    // One that is not sampled ends the looking: as far as that the messages are whole, and in order.
    let all = rig.client.pull(&pull(0)).await.unwrap().messages;
    let bodies: Vec<_> = all.iter().map(|message| message.body.len()).collect();
    assert_eq!(bodies, [4, 4_000, 4_000, 4_000]);
    let [several] = sink.take(["deliver orders"]).await;
    assert_eq!(several.links.len(), 2);
    assert_eq!(rig.client.pull(&pull(2)).await.unwrap().messages.len(), 2);
    // What comes after the start is known without a look, sampled or not.
    let producer = Producer::new(&rig.client, "producers");
    producer.send(&large("00")).await.unwrap();
    producer.send(&traced("last", "01")).await.unwrap();
    assert_eq!(rig.client.pull(&pull(4)).await.unwrap().messages.len(), 1);
    sink.take(["send last"]).await;
    assert!(sink.left().iter().all(|span| !span.name.starts_with("deliver")), "{:?}", sink.left());
    rig.stop().await;
}
