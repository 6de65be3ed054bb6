//! Routes, failover, sends.

use std::time::Duration;

use blockhouse_model::properties;
use blockhouse_protocol::batch;
use blockhouse_protocol::codes::{request_code, response_code};

use super::fake::{Answer, cluster, cluster_behind};
use crate::{Client, Error, Options, Outgoing, Producer, SendStatus};

fn stored(code: i32) -> Answer {
    Answer::code(code).with("msgId", 5).with("queueId", 1).with("queueOffset", 7)
}

#[tokio::test]
async fn a_name_server_that_is_down_is_passed_over() {
    let cluster = cluster_behind(1, "127.0.0.1:1; ").await;
    assert_eq!(cluster.client.route("t").await.unwrap().writeable.len(), 1);
    cluster.server.shutdown().await;
    cluster.client.forget_route("t");
    let error = cluster.client.route("t").await.unwrap_err();
    assert!(matches!(error, Error::NameServers { .. }), "{error}");
}

#[tokio::test]
async fn routes_are_kept_for_30_s() {
    let cluster = cluster(1).await;
    let asked = || cluster.fake.heard(request_code::GET_ROUTEINFO_BY_TOPIC).len();
    for _ in 0..3 {
        cluster.client.route("t").await.unwrap();
    }
    assert_eq!(asked(), 1);
    cluster.clock.advance(Duration::from_secs(31));
    cluster.client.route("t").await.unwrap();
    assert_eq!(asked(), 2);
    let error = cluster.client.route("unknown").await.unwrap_err();
    assert!(matches!(error, Error::NoRoute(topic) if topic == "unknown"));
}

#[tokio::test]
async fn sends_go_to_all_queues_in_turn_with_unique_keys() {
    let cluster = cluster(3).await;
    cluster.fake.on(request_code::SEND_MESSAGE_V2, |_, _| stored(0));
    let producer = Producer::new(&cluster.client, "g");
    for _ in 0..3 {
        let sent = producer.send(&Outgoing::new("t", "body").tag("A")).await.unwrap();
        assert_eq!((sent.status, sent.queue.queue_id, sent.queue_offset), (SendStatus::Ok, 1, 7));
        assert_eq!(sent.message_id.len(), 32);
    }
    let heard = cluster.fake.heard(request_code::SEND_MESSAGE_V2);
    let mut queues: Vec<_> = heard.iter().map(|c| c.ext.get("e").unwrap().to_owned()).collect();
    queues.sort_unstable();
    assert_eq!(queues, ["0", "1", "2"]);
    let key = |i: usize| {
        let text = heard[i].ext.get("i").unwrap();
        assert_eq!(properties::find(text, properties::TAGS), Some("A"));
        properties::find(text, properties::UNIQUE_KEY).unwrap().to_owned()
    };
    assert_ne!(key(0), key(1));
}

#[tokio::test]
async fn a_busy_broker_is_tried_again_and_other_refusals_are_final() {
    let cluster = cluster(2).await;
    let mut attempt = 0;
    cluster.fake.on(request_code::SEND_MESSAGE_V2, move |_, _| {
        attempt += 1;
        stored(if attempt < 3 { response_code::SYSTEM_BUSY } else { 0 })
    });
    let producer = Producer::new(&cluster.client, "g");
    producer.send(&Outgoing::new("t", "x")).await.unwrap();
    assert_eq!(cluster.fake.heard(request_code::SEND_MESSAGE_V2).len(), 3);

    let refusal = |_: &_, _: &_| Answer::code(response_code::MESSAGE_ILLEGAL);
    cluster.fake.on(request_code::SEND_MESSAGE_V2, refusal);
    let error = producer.send(&Outgoing::new("t", "x")).await.unwrap_err();
    assert_eq!(error.code(), Some(response_code::MESSAGE_ILLEGAL));
    assert!(error.to_string().contains("MESSAGE_ILLEGAL (13): as scripted"), "{error}");
    assert_eq!(cluster.fake.heard(request_code::SEND_MESSAGE_V2).len(), 4);
}

#[tokio::test]
async fn what_was_stored_but_not_as_safely_as_asked_is_told() {
    let cluster = cluster(1).await;
    let producer = Producer::new(&cluster.client, "g");
    for (code, status) in [
        (response_code::FLUSH_DISK_TIMEOUT, SendStatus::FlushDiskTimeout),
        (response_code::SLAVE_NOT_AVAILABLE, SendStatus::SlaveNotAvailable),
        (response_code::FLUSH_SLAVE_TIMEOUT, SendStatus::FlushSlaveTimeout),
    ] {
        cluster.fake.on(request_code::SEND_MESSAGE_V2, move |_, _| stored(code));
        let sent = producer.send(&Outgoing::new("t", "x")).await.unwrap();
        assert_eq!(sent.status, status);
    }
}

#[tokio::test]
async fn a_batch_is_one_request_with_all_messages() {
    let cluster = cluster(1).await;
    cluster.fake.on(request_code::SEND_BATCH_MESSAGE, |_, _| stored(0));
    let messages = [Outgoing::new("t", "one"), Outgoing::new("t", "two").keys("k")];
    let sent = Producer::new(&cluster.client, "g").send_batch(&messages).await.unwrap();
    assert_eq!(sent.message_id.split(',').count(), 2);
    let heard = cluster.fake.heard(request_code::SEND_BATCH_MESSAGE);
    assert_eq!(heard[0].ext.get("m"), Some("true"));
    let got: Vec<_> = batch::messages(&heard[0].body).map(Result::unwrap).collect();
    assert_eq!((got[0].body, got[1].body), (&b"one"[..], &b"two"[..]));
    assert_eq!(properties::find(got[1].properties, properties::KEYS), Some("k"));
    assert!(properties::has(got[0].properties, properties::UNIQUE_KEY));
}

#[tokio::test]
async fn a_one_way_send_is_heard_and_not_answered() {
    let cluster = cluster(1).await;
    let producer = Producer::new(&cluster.client, "g");
    producer.send_one_way(&Outgoing::new("t", "x")).await.unwrap();
    // Whatever is answered next on this connection comes after it.
    let addr = cluster.server.local_addr().to_string();
    let answer =
        cluster.client.ask(&addr, 9_999, |_| {}, b"", Duration::from_secs(1)).await.unwrap();
    assert_eq!(answer.code, response_code::REQUEST_CODE_NOT_SUPPORTED);
    assert!(cluster.fake.heard(request_code::SEND_MESSAGE_V2)[0].is_one_way());
}

#[tokio::test]
async fn a_client_needs_a_name_server() {
    let clock = std::sync::Arc::new(blockhouse_model::ManualClock::default());
    assert!(matches!(Client::new(Options::new(" ; "), clock), Err(Error::NoNameServer)));
}
