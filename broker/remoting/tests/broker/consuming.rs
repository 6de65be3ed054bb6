//! Messages out, and what goes with it.

use std::sync::Arc;
use std::time::Duration;

use blockhouse_core::stats::Kind;
use blockhouse_model::names::{dlq_topic, retry_topic};
use blockhouse_model::{MessageId, properties as name};
use blockhouse_protocol::codes::{request_code, response_code as code};
use blockhouse_protocol::header::pull::sys_flag;
use blockhouse_protocol::{RequestHead, encode, frame};
use blockhouse_remoting::Remoting;
use blockhouse_transport::{Connection, Replies, Service as _};
use bytes::BytesMut;

use super::support::{Client, NoNode, World, bodies, pull_header};

#[tokio::test]
async fn a_held_pull_is_woken_by_a_matching_message_only() {
    let world = World::new(&[]).await;
    let (consumer, producer) = (world.client().await, world.client().await);
    producer.send("t", "TAGS\u{1}a\u{2}", b"first").await;
    let mut header = pull_header("t", 1, "a");
    header.sys_flag |= sys_flag::SUSPEND;
    header.suspend_timeout_millis = 60_000;
    let pulling = consumer.call(request_code::PULL_MESSAGE, |out| header.write(out), b"");
    let sending = async {
        while world.broker.held().count() == 0 {
            tokio::task::yield_now().await;
        }
        producer.send("t", "TAGS\u{1}b\u{2}", b"other").await;
        assert_eq!(world.broker.held().count(), 1, "another tag does not wake it");
        producer.send("t", "TAGS\u{1}a\u{2}", b"second").await;
    };
    let (pulled, ()) = tokio::join!(pulling, sending);
    assert_eq!(bodies(&pulled), ["second"]);
    assert_eq!(world.broker.held().count(), 0);
    world.server.shutdown().await;
}

#[tokio::test]
async fn pulls_that_wait_when_the_broker_stops_are_told_and_none_waits_from_then_on() {
    let world = World::new(&[]).await;
    let (consumer, producer) = (world.client().await, world.client().await);
    producer.send("t", "", b"first").await;
    let held = async |offset| {
        let mut header = pull_header("t", offset, "*");
        header.sys_flag |= sys_flag::SUSPEND;
        header.suspend_timeout_millis = 60_000;
        consumer.call(request_code::PULL_MESSAGE, |out| header.write(out), b"").await
    };
    let stopping = async {
        while world.broker.held().count() == 0 {
            tokio::task::yield_now().await;
        }
        world.broker.held().end();
    };
    let (told, ()) = tokio::join!(held(1), stopping);
    assert_eq!(told.code, code::SYSTEM_BUSY);
    assert_eq!(held(1).await.code, code::SYSTEM_BUSY, "and does not wait");
    assert_eq!(bodies(&held(0).await), ["first"], "what is there is still given out");
    assert_eq!(world.broker.held().count(), 0);
    world.server.shutdown().await;
}

#[tokio::test]
async fn pulls_of_one_burst_wait_for_room_for_their_answers() {
    let world = World::new(&[]).await;
    world.client().await.send("t", "", &[b'm'; 10_000]).await;
    let (broker, meter) = (Arc::clone(&world.broker), Arc::default());
    let remoting = Remoting::new(broker, Arc::new(NoNode), meter);
    let at = |port| ([127, 0, 0, 1], port).into();
    let connection = Connection::detached(at(5), at(6));
    let mut frames = BytesMut::new();
    for opaque in 1..=5 {
        let head = RequestHead::new(request_code::PULL_MESSAGE, opaque);
        encode::request(&mut frames, &head, |out| pull_header("t", 0, "*").write(out), b"");
    }
    let mut burst: Vec<_> =
        std::iter::from_fn(|| frame::split(&mut frames, 1 << 20).unwrap()).collect();
    let mut answered = Vec::new();
    while !burst.is_empty() {
        let mut replies = Replies::up_to(15_000);
        remoting.burst(&connection, &mut burst, &mut replies);
        let mut bytes = BytesMut::from(&*replies.settled().await);
        let of_room = std::iter::from_fn(|| frame::split(&mut bytes, 1 << 20).unwrap());
        answered.push(of_room.map(|answer| answer.opaque).collect::<Vec<_>>());
    }
    assert_eq!(answered, [vec![1, 2], vec![3, 4], vec![5]]);
    world.server.shutdown().await;
}

#[tokio::test]
async fn a_held_pull_goes_with_its_connection() {
    let world = World::new(&[]).await;
    let (consumer, producer) = (world.client().await, world.client().await);
    producer.send("t", "", b"first").await;
    let mut header = pull_header("t", 1, "*");
    header.sys_flag |= sys_flag::SUSPEND;
    header.suspend_timeout_millis = 60_000;
    let pulling = consumer.call(request_code::PULL_MESSAGE, |out| header.write(out), b"");
    tokio::select! {
        answer = pulling => panic!("answered {}", answer.code),
        () = async { while world.broker.held().count() == 0 { tokio::task::yield_now().await } } => {}
    }
    consumer.0.close();
    while world.broker.held().count() > 0 {
        tokio::task::yield_now().await;
    }
    world.server.shutdown().await;
}

#[tokio::test]
async fn offsets_are_committed_reset_and_told_once() {
    let world = World::new(&[]).await;
    let client = world.client().await;
    for body in [b"1", b"2", b"3"] {
        client.send("t", "", body).await;
    }
    client.pull("t", 0, "*").await;
    let place = [("consumerGroup", "consumers"), ("topic", "t"), ("queueId", "0")];
    let commit = [&place[..], &[("commitOffset", "3")]].concat();
    assert_eq!(client.ask(request_code::UPDATE_CONSUMER_OFFSET, &commit, b"").await.code, 0);
    let known = client.ask(request_code::QUERY_CONSUMER_OFFSET, &place, b"").await;
    assert_eq!(known.ext.get("offset"), Some("3"));

    let reset = [("group", "consumers"), ("topic", "t"), ("timestamp", "0"), ("isForce", "true")];
    let moved = client.ask(request_code::INVOKE_BROKER_TO_RESET_OFFSET, &reset, b"").await;
    assert_eq!(moved.code, code::SUCCESS, "{:?}", moved.remark());
    let ignored = client.ask(request_code::UPDATE_CONSUMER_OFFSET, &commit, b"").await;
    assert_eq!(ignored.code, code::SUCCESS, "a commit before the consumer knows does not count");
    let told = client.pull("t", 3, "*").await;
    assert_eq!((told.code, told.ext.get("nextBeginOffset")), (code::PULL_OFFSET_MOVED, Some("0")));
    assert_eq!(bodies(&client.pull("t", 0, "*").await), ["1", "2", "3"]);
    world.server.shutdown().await;
}

async fn send_back(client: &Client, offset: &str, level: &str) -> i32 {
    let fields = [
        ("group", "consumers"),
        ("offset", offset),
        ("delayLevel", level),
        ("maxReconsumeTimes", "1"),
    ];
    client.ask(request_code::CONSUMER_SEND_MSG_BACK, &fields, b"").await.code
}

async fn only_record(client: &Client, topic: &str) -> (String, String) {
    let pulled = client.pull(topic, 0, "*").await;
    let record = blockhouse_record::records(&pulled.body).next().unwrap().unwrap();
    (record.physical_offset.to_string(), record.properties.to_owned())
}

#[tokio::test]
async fn a_message_sent_back_comes_again_and_then_is_given_up() {
    let world = World::new(&[]).await;
    let client = world.client().await;
    let sent = client.send("t", "", b"bad").await;
    client.pull("t", 0, "*").await;
    let id = MessageId::parse(sent.ext.get("msgId").unwrap()).unwrap();
    assert_eq!(send_back(&client, &id.offset.to_string(), "1").await, code::SUCCESS);
    world.clock.advance(Duration::from_secs(2));
    world.broker.deliver_delayed().await;

    let (offset, properties) = only_record(&client, &retry_topic("consumers")).await;
    assert_eq!(name::find(&properties, name::RETRY_TOPIC), Some("t"));
    assert_eq!(name::find(&properties, name::ORIGIN_MESSAGE_ID), sent.ext.get("msgId"));
    assert_eq!(send_back(&client, &offset, "1").await, code::SUCCESS);
    let (_, properties) = only_record(&client, &dlq_topic("consumers")).await;
    assert_eq!(name::find(&properties, name::RETRY_TOPIC), Some("t"));
    let counted = world.broker.stats().by_key(Kind::SendBack);
    let [(key, volume)] = &counted[..] else { panic!("{counted:?}") };
    assert_eq!((&**key, volume.messages), ("t@consumers", 2), "by the topic it came from at first");
    let counted = world.broker.stats().by_key(Kind::GivenUp);
    let [(key, volume)] = &counted[..] else { panic!("{counted:?}") };
    assert_eq!((&**key, volume.messages), ("t@consumers", 1), "by that topic as well");
    world.server.shutdown().await;
}

#[tokio::test]
async fn offsets_outside_of_the_queue_are_told_apart() {
    let world = World::new(&[]).await;
    let client = world.client().await;
    client.send("t", "", b"only").await;
    let found = |offset| client.pull("t", offset, "*");
    assert_eq!(found(1).await.code, code::PULL_NOT_FOUND);
    let far = found(9).await;
    assert_eq!((far.code, far.ext.get("nextBeginOffset")), (code::PULL_OFFSET_MOVED, Some("1")));
    assert_eq!(client.pull("t", 0, "no-such-tag").await.code, code::PULL_RETRY_IMMEDIATELY);
    assert_eq!(client.pull("unknown", 0, "*").await.code, code::TOPIC_NOT_EXIST);
    world.server.shutdown().await;
}
