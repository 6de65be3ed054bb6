//! How far groups are behind, members or not.

use std::time::Duration;

use blockhouse_core::lag::{Lag, LagTimes};
use blockhouse_protocol::codes::{request_code, response_code as code};

use crate::support::{Client, World};

async fn commit(client: &Client, offset: &str) {
    let place = [("consumerGroup", "consumers"), ("topic", "t"), ("queueId", "0")];
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
