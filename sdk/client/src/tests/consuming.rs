//! Pulls, offsets, groups.

use std::sync::Arc;

use blockhouse_protocol::MessageQueue;
use blockhouse_protocol::codes::{request_code, response_code};

use super::fake::{Answer, Cluster, alone, cluster, record};
use crate::group::StartAt;
use crate::{GroupConsumer, Pull};

fn queue(queue_id: i32) -> MessageQueue {
    MessageQueue { broker_name: "b".to_owned(), queue_id, topic: "t".to_owned() }
}

fn pulled(code: i32, next: i64) -> Answer {
    Answer::code(code)
        .with("suggestWhichBrokerId", 0)
        .with("nextBeginOffset", next)
        .with("minOffset", 0)
        .with("maxOffset", 3)
}

/// Each queue holds three messages; odd ones have tag `odd`.
fn three_messages_each(cluster: &Cluster) {
    cluster.fake.on(request_code::PULL_MESSAGE, |ext, _| {
        let number = |name: &str| ext.get(name).unwrap().parse::<u64>().unwrap();
        let (queue, from) = (u32::try_from(number("queueId")).unwrap(), number("queueOffset"));
        if from >= 3 {
            return pulled(response_code::PULL_NOT_FOUND, 3);
        }
        let record = |at: u64| {
            let tag = if at % 2 == 1 { "odd" } else { "even" };
            record(queue, at, &format!("{queue}:{at}"), tag)
        };
        let body: Vec<u8> = (from..3).flat_map(record).collect();
        Answer { body: body.into(), ..pulled(0, 3) }
    });
}

#[tokio::test]
async fn a_pull_brings_messages_or_says_where_to_go_on() {
    let cluster = cluster(1).await;
    three_messages_each(&cluster);
    let queue = queue(0);
    let pull =
        |offset| Pull { group: "g", queue: &queue, offset, max: 32, filter: "*", hold: None };
    let got = cluster.client.pull(&pull(1)).await.unwrap();
    let offsets: Vec<_> = got.messages.iter().map(|m| m.queue_offset).collect();
    assert_eq!((offsets, got.next, got.max), (vec![1, 2], 3, 3));
    assert_eq!(got.messages[0].body, "0:1");
    assert_eq!(got.messages[0].queue, queue);
    assert!(cluster.client.pull(&pull(3)).await.unwrap().messages.is_empty());

    cluster.fake.on(request_code::PULL_MESSAGE, |_, _| pulled(response_code::PULL_OFFSET_MOVED, 2));
    assert_eq!(cluster.client.pull(&pull(99)).await.unwrap().next, 2);
    cluster.fake.on(request_code::PULL_MESSAGE, |_, _| Answer::code(response_code::NO_PERMISSION));
    let error = cluster.client.pull(&pull(0)).await.unwrap_err();
    assert_eq!(error.code(), Some(response_code::NO_PERMISSION));
}

#[tokio::test]
async fn a_group_without_offset_is_told_from_one_at_0() {
    let cluster = cluster(1).await;
    let none = |_: &_, _: &_| Answer::code(response_code::QUERY_NOT_FOUND);
    cluster.fake.on(request_code::QUERY_CONSUMER_OFFSET, none);
    assert_eq!(cluster.client.committed("g", &queue(0)).await.unwrap(), None);
    cluster
        .fake
        .on(request_code::QUERY_CONSUMER_OFFSET, |_, _| Answer::default().with("offset", 0));
    assert_eq!(cluster.client.committed("g", &queue(0)).await.unwrap(), Some(0));
}

#[tokio::test]
async fn a_lone_member_gets_everything_and_commits_what_it_consumed() {
    let cluster = cluster(2).await;
    alone(&cluster);
    three_messages_each(&cluster);
    // Queue 1 was consumed up to 2 before.
    cluster.fake.on(request_code::QUERY_CONSUMER_OFFSET, |ext, _| match ext.get("queueId") {
        Some("1") => Answer::default().with("offset", 2),
        _ => Answer::code(response_code::QUERY_NOT_FOUND),
    });
    let client = Arc::clone(&cluster.client);
    let mut consumer =
        GroupConsumer::join(client, "g", "t", "*", (StartAt::First, false)).await.unwrap();
    let mut got = Vec::new();
    while let Some(message) = consumer.next().await.unwrap() {
        got.push(String::from_utf8(message.body.to_vec()).unwrap());
    }
    got.sort_unstable();
    assert_eq!(got, ["0:0", "0:1", "0:2", "1:2"]);
    consumer.leave().await.unwrap();
    let commits = cluster.fake.heard(request_code::UPDATE_CONSUMER_OFFSET);
    let mut commits: Vec<_> = commits
        .iter()
        .map(|c| {
            (
                c.ext.get("queueId").unwrap().to_owned(),
                c.ext.get("commitOffset").unwrap().to_owned(),
            )
        })
        .collect();
    commits.sort_unstable();
    let both = [("0".to_owned(), "3".to_owned()), ("1".to_owned(), "3".to_owned())];
    assert_eq!(commits, both);
    assert_eq!(cluster.fake.heard(request_code::UNREGISTER_CLIENT).len(), 1);
}

#[tokio::test]
async fn a_message_in_hand_when_leaving_counts_as_consumed_and_later_ones_do_not() {
    let cluster = cluster(1).await;
    alone(&cluster);
    three_messages_each(&cluster);
    let none = |_: &_, _: &_| Answer::code(response_code::QUERY_NOT_FOUND);
    cluster.fake.on(request_code::QUERY_CONSUMER_OFFSET, none);
    let client = Arc::clone(&cluster.client);
    let mut consumer =
        GroupConsumer::join(client, "g", "t", "*", (StartAt::First, false)).await.unwrap();
    assert_eq!(consumer.next().await.unwrap().unwrap().queue_offset, 0);
    assert_eq!(consumer.next().await.unwrap().unwrap().queue_offset, 1);
    consumer.leave().await.unwrap();
    let commits = cluster.fake.heard(request_code::UPDATE_CONSUMER_OFFSET);
    assert_eq!(commits[0].ext.get("commitOffset"), Some("2"));
}

#[tokio::test]
async fn tags_that_only_share_a_hash_are_not_delivered() {
    let cluster = cluster(1).await;
    alone(&cluster);
    three_messages_each(&cluster);
    let none = |_: &_, _: &_| Answer::code(response_code::QUERY_NOT_FOUND);
    cluster.fake.on(request_code::QUERY_CONSUMER_OFFSET, none);
    let client = Arc::clone(&cluster.client);
    let mut consumer =
        GroupConsumer::join(client, "g", "t", "odd", (StartAt::First, false)).await.unwrap();
    // The scripted broker filters nothing.
    assert_eq!(consumer.next().await.unwrap().unwrap().queue_offset, 1);
    assert!(consumer.next().await.unwrap().is_none());
    consumer.leave().await.unwrap();
    let commits = cluster.fake.heard(request_code::UPDATE_CONSUMER_OFFSET);
    assert_eq!(commits.last().unwrap().ext.get("commitOffset"), Some("3"));
}

#[tokio::test]
async fn a_member_that_others_left_nothing_for_ends_at_once() {
    let cluster = cluster(1).await;
    alone(&cluster);
    cluster.fake.on(request_code::GET_CONSUMER_LIST_BY_GROUP, |_, _| {
        Answer::body(&b"{\"consumerIdList\":[\"0-another\"]}"[..])
    });
    let client = Arc::clone(&cluster.client);
    let mut consumer =
        GroupConsumer::join(client, "g", "t", "*", (StartAt::First, false)).await.unwrap();
    assert_eq!(consumer.queues().count(), 0);
    assert!(consumer.next().await.unwrap().is_none());
}

#[tokio::test]
async fn a_pull_that_is_refused_for_good_ends_it_and_what_may_pass_does_not() {
    let none = |_: &_, _: &_| Answer::code(response_code::QUERY_NOT_FOUND);
    for (code, is_final) in [
        (response_code::NO_PERMISSION, true),
        (response_code::SUBSCRIPTION_PARSE_FAILED, true),
        (response_code::SUBSCRIPTION_GROUP_NOT_EXIST, true),
        (response_code::SYSTEM_BUSY, false),
        (response_code::SUBSCRIPTION_NOT_LATEST, false),
    ] {
        let cluster = cluster(1).await;
        alone(&cluster);
        cluster.fake.on(request_code::QUERY_CONSUMER_OFFSET, none);
        let mut asked = 0;
        cluster.fake.on(request_code::PULL_MESSAGE, move |_, _| {
            asked += 1;
            if asked == 1 { Answer::code(code) } else { pulled(response_code::PULL_NOT_FOUND, 3) }
        });
        let client = Arc::clone(&cluster.client);
        let mut consumer =
            GroupConsumer::join(client, "g", "t", "*", (StartAt::First, false)).await.unwrap();
        let ended = consumer.next().await;
        if is_final {
            assert_eq!(ended.unwrap_err().code(), Some(code));
            assert_eq!(cluster.fake.heard(request_code::PULL_MESSAGE).len(), 1, "{code}");
        } else {
            assert!(ended.unwrap().is_none(), "{code}");
        }
        consumer.leave().await.unwrap();
        assert_eq!(cluster.fake.heard(request_code::UNREGISTER_CLIENT).len(), 1, "{code}");
    }
}
