//! How long requests took, and how large messages are, as the meter tells it.

use std::time::Duration;

use blockhouse_core::stats::{Kind, Volumes};
use blockhouse_meter::{Processor, RpcKind};
use blockhouse_model::MessageType;
use blockhouse_protocol::RemotingCommand;
use blockhouse_protocol::codes::{request_code, response_code as code};
use blockhouse_protocol::header::pull::sys_flag;

use crate::support::{Client, World, pull_header};

/// All series of a histogram: labels, counts and sum.
fn series(world: &World, metric: &str) -> Vec<(String, Vec<u64>, f64)> {
    let mut found = Vec::new();
    world.meter.read_histograms(&mut |sample| {
        if sample.metric.name == metric {
            found.push((sample.labels.join(","), sample.counts.to_vec(), sample.sum));
        }
    });
    found
}

/// Counts and sum in milliseconds of the requests of a kind.
fn latency(world: &World, kind: RpcKind) -> Option<(u64, f64)> {
    let read = world.meter.latencies.read();
    let times = read.get(&Some(kind))?;
    Some((times.count(), times.sum() as f64 / 1e3))
}

async fn create_topic(client: &Client, topic: &str) -> RemotingCommand {
    let fields = [
        ("topic", topic),
        ("defaultTopic", "TBW102"),
        ("readQueueNums", "1"),
        ("writeQueueNums", "1"),
        ("perm", "6"),
        ("topicFilterType", "SINGLE_TAG"),
        ("order", "false"),
    ];
    client.ask(request_code::UPDATE_AND_CREATE_TOPIC, &fields, b"").await
}

#[tokio::test]
async fn a_pull_that_waited_took_as_long_as_it_waited_and_others_are_told_apart() {
    let world = World::new(&[]).await;
    let client = world.client().await;
    for body in [b"1", b"2"] {
        assert_eq!(client.send("t", "", body).await.code, code::SUCCESS);
    }
    assert_eq!(client.pull("t", 0, "*").await.code, code::SUCCESS);
    let mut header = pull_header("t", 2, "*");
    header.sys_flag |= sys_flag::SUSPEND;
    header.suspend_timeout_millis = 15_000;
    let sender = world.client().await;
    let pulling = client.call(request_code::PULL_MESSAGE, |out| header.write(out), b"");
    let sending = async {
        while world.broker.held().count() == 0 {
            tokio::task::yield_now().await;
        }
        assert_eq!(world.meter.watermarks.waiting(Processor::Pull), 0, "it waits for messages");
        world.clock.advance(Duration::from_millis(40));
        sender.send("t", "", b"3").await;
    };
    let (pulled, ()) = tokio::join!(pulling, sending);
    assert_eq!(pulled.code, code::SUCCESS);

    let kind = |request| RpcKind { request, response: 0, is_held: false, is_one_way: false };
    assert_eq!(latency(&world, kind(request_code::SEND_MESSAGE_V2)), Some((3, 0.0)));
    let pull = kind(request_code::PULL_MESSAGE);
    assert_eq!(latency(&world, pull), Some((1, 0.0)));
    assert_eq!(latency(&world, RpcKind { is_held: true, ..pull }), Some((1, 40.0)));
    // Each is counted as a request, too.
    assert_eq!(world.meter.requests.read()[&Some((request_code::PULL_MESSAGE, 0))], 2);
    world.server.shutdown().await;
}

#[tokio::test]
async fn codes_that_clients_make_up_share_one_series_and_one_way_requests_are_marked() {
    let world = World::new(&[]).await;
    let client = world.client().await;
    for made_up in 20_000..20_010 {
        assert_eq!(client.ask(made_up, &[], b"").await.code, code::REQUEST_CODE_NOT_SUPPORTED);
    }
    let place = [("consumerGroup", "g"), ("topic", "t"), ("queueId", "0"), ("commitOffset", "0")];
    let write = |out: &mut blockhouse_protocol::ExtWriter<'_>| {
        place.iter().for_each(|(name, value)| out.text(name, value));
    };
    assert!(client.0.push_request(request_code::UPDATE_CONSUMER_OFFSET, write, b""));
    let find = || {
        let read = world.meter.latencies.read();
        let mut kinds = read.keys().flatten().copied();
        kinds.find(|kind| kind.request == request_code::UPDATE_CONSUMER_OFFSET)
    };
    let kind = loop {
        match find() {
            Some(kind) => break kind,
            None => tokio::task::yield_now().await,
        }
    };
    assert!(kind.is_one_way && !kind.is_held);
    let read = world.meter.latencies.read();
    assert_eq!((read[&None].count(), read.len()), (10, 2), "{read:?}");
    world.server.shutdown().await;
}

#[tokio::test]
async fn messages_are_counted_by_size_topic_and_type_until_their_topic_goes() {
    let world = World::new(&[]).await;
    let client = world.client().await;
    client.send("t", "", b"1").await;
    client.send("t", "", &[b'x'; 4_097]).await;
    client.send("t", "__SHARDINGKEY\u{1}k\u{2}", b"2").await;
    client.send("u", "DELAY\u{1}3\u{2}", b"3").await;
    let found = series(&world, "rocketmq_message_size");
    let counts: Vec<_> = found.iter().map(|(l, counts, _)| (l.as_str(), &counts[..3])).collect();
    let expected: [(&str, &[u64]); 3] = [
        ("SCHEDULE_TOPIC_XXXX,delay,true", &[1, 0, 0]),
        ("t,normal,false", &[1, 0, 1]),
        ("t,fifo,false", &[1, 0, 0]),
    ];
    assert_eq!(counts, expected);
    // Sizes are those of the stored messages, so they add up to the bytes that are counted.
    let sums: f64 = found.iter().map(|(_, _, sum)| sum).sum();
    let volume = world.broker.stats().total(Kind::TopicPut);
    assert!((sums - volume.bytes as f64).abs() < 0.5 && volume.messages == 4, "{sums} {volume:?}");
    world.broker.delete_topic("t").await.unwrap();
    assert_eq!(series(&world, "rocketmq_message_size").len(), 1);
    world.server.shutdown().await;
}

#[tokio::test]
async fn a_delayed_message_counts_for_its_topic_when_it_comes_there_while_that_is_there() {
    let world = World::new(&[]).await;
    let client = world.client().await;
    for topic in ["t", "gone"] {
        client.send(topic, "DELAY\u{1}1\u{2}", b"1").await;
    }
    let counted = || {
        let mut counted = world.broker.stats().by_type();
        counted.sort();
        let delayed = MessageType::Delay as usize;
        let messages = |(topic, by_type): (Box<str>, Volumes)| (topic, by_type[delayed].messages);
        counted.into_iter().map(messages).collect::<Vec<_>>()
    };
    assert_eq!(counted(), [("SCHEDULE_TOPIC_XXXX".into(), 2)]);
    world.broker.delete_topic("gone").await.unwrap();
    world.clock.advance(Duration::from_secs(2));
    world.broker.deliver_delayed().await;
    assert_eq!(counted(), [("SCHEDULE_TOPIC_XXXX".into(), 2), ("t".into(), 1)]);
    let out = world.broker.stats().by_key(Kind::GroupGet);
    let [(key, volume)] = &out[..] else { panic!("{out:?}") };
    assert_eq!((&**key, volume.messages), ("SCHEDULE_TOPIC_XXXX@SCHEDULE_CONSUMER", 1));
    world.server.shutdown().await;
}

#[tokio::test]
async fn creating_topics_and_groups_is_timed_whether_it_can_be_done_or_not() {
    let world = World::new(&[]).await;
    let client = world.client().await;
    assert_eq!(create_topic(&client, "orders").await.code, code::SUCCESS);
    assert_ne!(create_topic(&client, "a/b").await.code, code::SUCCESS);
    let group = br#"{"groupName":"billing","consumeEnable":true}"#;
    let create = request_code::UPDATE_AND_CREATE_SUBSCRIPTIONGROUP;
    assert_eq!(client.ask(create, &[], group).await.code, code::SUCCESS);
    let labels = |metric: &str| -> Vec<String> {
        series(&world, metric)
            .into_iter()
            .map(|(labels, counts, _)| format!("{labels} {}", counts.iter().sum::<u64>()))
            .collect()
    };
    let topics = labels("rocketmq_topic_create_execution_time_milliseconds");
    assert_eq!(topics, ["success,false 1", "failure,false 1"]);
    let groups = labels("rocketmq_consumer_group_create_execution_time_milliseconds");
    assert_eq!(groups, ["success 1"]);
    world.server.shutdown().await;
}

#[tokio::test]
async fn the_state_of_the_broker_tells_how_long_sends_took_of_late() {
    let world = World::new(&[]).await;
    let client = world.client().await;
    for _ in 0..3 {
        assert_eq!(client.send("t", "", b"1").await.code, code::SUCCESS);
    }
    world.meter.sends.sent(12_000, 1);
    let answer = client.ask(request_code::GET_BROKER_RUNTIME_INFO, &[], b"").await;
    let text = String::from_utf8(answer.body.to_vec()).unwrap();
    for part in [
        r#""putMessageDistributeTime":"[<=0ms]:3 [0~10ms]:0 [10~50ms]:1 [50~100ms]:0 [100~200ms]:0 "#,
        r#"[3~4s]:0 [4~5s]:0 [5~10s]:0 [10s~]:0""#,
        r#""putMessageEntireTimeMax":"12""#,
        r#""getMessageEntireTimeMax":"0""#,
        r#""putLatency99":"19.60""#,
        r#""brokerVersion":"493""#,
    ] {
        assert!(text.contains(part), "{part} is not in {text}");
    }
}
