//! How far groups are behind, members or not.

use std::time::Duration;

use blockhouse_core::lag::{Lag, LagTimes};
use blockhouse_protocol::codes::{request_code, response_code as code};
use blockhouse_protocol::header::pull::PullMessage;

use crate::support::{Client, World, pull_header};

async fn commit(client: &Client, offset: &str) {
    commit_of(client, "consumers", offset).await;
}

async fn commit_of(client: &Client, group: &str, offset: &str) {
    let place = [("consumerGroup", group), ("topic", "t"), ("queueId", "0")];
    let commit = [&place[..], &[("commitOffset", offset)]].concat();
    let answer = client.ask(request_code::UPDATE_CONSUMER_OFFSET, &commit, b"").await;
    assert_eq!(answer.code, code::SUCCESS);
}

fn only(world: &World, times: &mut LagTimes) -> Lag {
    let mut lags = world.broker.lags(times);
    assert_eq!(lags.len(), 1, "{lags:?}");
    lags.remove(0)
}

#[tokio::test]
async fn every_group_is_there_at_once_and_an_hour_after_its_last_member_went() {
    let world = World::new(&[]).await;
    let client = world.client().await;
    let times = &mut LagTimes::default();
    for body in 0_u32..40 {
        client.send("t", "", &body.to_be_bytes()).await;
        world.clock.advance(Duration::from_millis(250));
    }
    let name = |number: u32| format!("g{number:02}");
    for number in 0..30 {
        // It is created, and then it has progress.
        let header = PullMessage { consumer_group: &name(number), ..pull_header("t", 0, "*") };
        client.call(request_code::PULL_MESSAGE, |out| header.write(out), b"").await;
        commit_of(&client, &name(number), &number.to_string()).await;
        let lags = world.broker.lags(times);
        assert_eq!(
            lags.len(),
            usize::try_from(number).unwrap() + 1,
            "the first look after its commit"
        );
        assert!(lags.iter().any(|lag| *lag.group == *name(number)));
    }
    let member = world.client().await;
    let heartbeat = format!(
        r#"{{"clientID":"member@1","consumerDataSet":[{{"groupName":"{}","consumeType":"CONSUME_PASSIVELY",
        "messageModel":"CLUSTERING","consumeFromWhere":"CONSUME_FROM_FIRST_OFFSET","subscriptionDataSet":[]}}]}}"#,
        name(7)
    );
    let answer = member.ask(request_code::HEART_BEAT, &[], heartbeat.as_bytes()).await;
    assert_eq!(answer.code, code::SUCCESS);
    let members = |times: &mut LagTimes| {
        world.broker.lags(times).iter().find(|lag| *lag.group == *name(7)).map(|lag| lag.members)
    };
    assert_eq!(members(times), Some(1));
    // It says nothing more.
    world.clock.advance(Duration::from_secs(3_600));
    world.broker.clients().expire();
    let lags = world.broker.lags(times);
    assert_eq!(lags.len(), 30);
    for (number, lag) in (0_u32..).zip(&lags) {
        assert_eq!((&*lag.group, lag.members), (name(number).as_str(), 0));
        assert_eq!(lag.messages, u64::from(40 - number));
        // Message n was stored n quarters of a second after the first.
        let age = Duration::from_secs(3_600) + Duration::from_millis(250) * (40 - number);
        assert_eq!(lag.behind, age, "{lag:?}");
    }
    for number in 0..30 {
        commit_of(&client, &name(number), "40").await;
    }
    let caught_up = |lag: &Lag| (lag.messages, lag.ready, lag.behind) == (0, 0, Duration::ZERO);
    assert!(world.broker.lags(times).iter().all(caught_up));
    world.server.shutdown().await;
}

#[tokio::test]
async fn a_group_is_behind_with_nobody_connected_and_not_when_it_has_caught_up() {
    let world = World::new(&[]).await;
    let client = world.client().await;
    let times = &mut LagTimes::default();
    assert_eq!(world.broker.lags(times), [], "nobody has committed anything");
    for body in [b"1", b"2", b"3"] {
        client.send("t", "", body).await;
        world.clock.advance(Duration::from_secs(10));
    }
    // Two of them are handed out, and one is done with.
    client.pull("t", 0, "*").await;
    commit(&client, "1").await;
    world.clock.advance(Duration::from_secs(5));
    let lag = only(&world, times);
    assert_eq!((&*lag.topic, &*lag.group, lag.members), ("t", "consumers", 0));
    assert_eq!((lag.messages, lag.ready), (2, 0), "all were pulled");
    assert_eq!((lag.behind, lag.queueing), (Duration::from_secs(25), Duration::ZERO));

    client.send("t", "", b"4").await;
    world.clock.advance(Duration::from_secs(1));
    let lag = only(&world, times);
    assert_eq!((lag.messages, lag.ready), (3, 1));
    assert_eq!((lag.behind, lag.queueing), (Duration::from_secs(26), Duration::from_secs(1)));
    // The same again, of what was remembered.
    assert_eq!(only(&world, times), lag);

    commit(&client, "4").await;
    let lag = only(&world, times);
    assert_eq!((lag.messages, lag.ready, lag.behind), (0, 0, Duration::ZERO));
    commit(&client, "9").await;
    assert_eq!(only(&world, times).messages, 0, "beyond the end is caught up");
    world.server.shutdown().await;
}

#[tokio::test]
async fn a_group_with_members_that_commits_nothing_is_stuck_until_it_does() {
    let world = World::new(&[]).await;
    let client = world.client().await;
    let times = &mut LagTimes::default();
    for body in [b"1", b"2", b"3"] {
        client.send("t", "", body).await;
    }
    client.pull("t", 0, "*").await;
    commit(&client, "1").await;
    let seconds = Duration::from_secs;
    let after = |times: &mut LagTimes, time| {
        world.clock.advance(time);
        only(&world, times).stuck
    };
    assert_eq!(
        [after(times, seconds(9)), after(times, seconds(9))],
        [Duration::ZERO; 2],
        "nobody is connected"
    );
    let heartbeat = br#"{"clientID":"member@1","consumerDataSet":[{"groupName":"consumers","consumeType":"CONSUME_PASSIVELY",
        "messageModel":"CLUSTERING","consumeFromWhere":"CONSUME_FROM_FIRST_OFFSET","subscriptionDataSet":[]}]}"#;
    let answer = client.ask(request_code::HEART_BEAT, &[], heartbeat).await;
    assert_eq!(answer.code, code::SUCCESS);
    // Counted from the first look that saw it so.
    assert_eq!(after(times, seconds(9)), Duration::ZERO);
    assert_eq!([after(times, seconds(40)), after(times, seconds(2))], [seconds(40), seconds(42)]);
    commit(&client, "2").await;
    assert_eq!(
        [after(times, seconds(5)), after(times, seconds(5))],
        [Duration::ZERO, seconds(5)],
        "it moves"
    );
    commit(&client, "3").await;
    assert_eq!(
        [after(times, seconds(5)), after(times, seconds(5))],
        [Duration::ZERO; 2],
        "it has caught up"
    );
    client.send("t", "", b"4").await;
    assert_eq!(after(times, seconds(1)), Duration::ZERO, "what came since is new");
    world.server.shutdown().await;
}

#[tokio::test]
async fn offsets_that_no_queue_has_add_up_to_the_most_there_is() {
    let world = World::new(&[]).await;
    let client = world.client().await;
    let times = &mut LagTimes::default();
    client.send("t", "", b"1").await;
    client.pull("t", 0, "*").await;
    let most = i64::MAX.to_string();
    let all = i64::MAX.unsigned_abs();
    // Three of them are more than 64 bits hold.
    for (queue, expected) in [("0", all), ("1", 2 * all), ("2", u64::MAX)] {
        let place = [("consumerGroup", "consumers"), ("topic", "t"), ("queueId", queue)];
        let commit = [&place[..], &[("commitOffset", most.as_str())]].concat();
        let answer = client.ask(request_code::UPDATE_CONSUMER_OFFSET, &commit, b"").await;
        assert_eq!(answer.code, code::SUCCESS);
        let lag = only(&world, times);
        assert_eq!((lag.committed, lag.messages), (expected, 0), "queue {queue}");
    }
    world.server.shutdown().await;
}
