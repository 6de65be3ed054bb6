//! No request code gets past the hooks at authorize.

use std::sync::Arc;

use blockhouse_hook::{Hook, Point, Points, Rejection, Verdict};
use blockhouse_model::{Access, Action, MessageId, RequestContext, Resource};
use blockhouse_protocol::codes::{request_code, response_code as code};
use blockhouse_protocol::header::pull::PullMessage;
use blockhouse_protocol::header::send::SendMessage;
use blockhouse_remoting::table::TABLE;

use super::support::{Client, World, pull_header, send_header};

/// What needs no right, and why nobody gets anything by it.
const FREE: [i32; 2] = [
    // It takes back what its own connection has said of itself.
    request_code::UNREGISTER_CLIENT,
    // It parses an expression that comes with it.
    request_code::CHECK_CLIENT_CONFIG,
];

/// Refuses what it is told to.
struct Guard(fn(&Access<'_>) -> bool);

impl Hook for Guard {
    fn name(&self) -> &'static str {
        "guard"
    }

    fn points(&self) -> Points {
        Points::NONE.with(Point::Authorize)
    }

    fn authorize(&self, _: &RequestContext, accesses: &[Access<'_>]) -> Verdict {
        if accesses.iter().any(self.0) {
            return Verdict::Reject(Rejection::new("not you"));
        }
        Verdict::Continue
    }
}

async fn guarded(refuses: fn(&Access<'_>) -> bool) -> World {
    World::new(&[Arc::new(Guard(refuses)) as Arc<dyn Hook>]).await
}

const FIELDS: [(&str, &str); 22] = [
    ("topic", "t"),
    ("consumerGroup", "consumers"),
    ("groupName", "consumers"),
    ("group", "consumers"),
    ("srcGroup", "consumers"),
    ("destGroup", "others"),
    ("queueId", "0"),
    ("offset", "0"),
    ("commitOffset", "0"),
    ("timestamp", "0"),
    ("key", "k"),
    ("maxNum", "1"),
    ("beginTimestamp", "0"),
    ("endTimestamp", "1"),
    ("clientID", "c"),
    ("clientId", "c"),
    ("delayLevel", "1"),
    ("isOrder", "false"),
    ("msgId", "7F00000100002A9F0000000000000000"),
    ("queueOffset", "0"),
    ("index", "0"),
    ("count", "1"),
];

async fn asked(client: &Client, request: i32) -> i32 {
    let heartbeat = br#"{"clientID":"c","consumerDataSet":[{"groupName":"consumers","consumeType":"CONSUME_PASSIVELY","messageModel":"CLUSTERING","consumeFromWhere":"CONSUME_FROM_LAST_OFFSET","subscriptionDataSet":[],"unitMode":false}],"producerDataSet":[]}"#;
    let queues = br#"{"consumerGroup":"consumers","clientId":"c","mqSet":[]}"#;
    let answer = match request {
        request_code::SEND_MESSAGE => {
            let fields = [
                ("producerGroup", "p"),
                ("topic", "t"),
                ("defaultTopic", "TBW102"),
                ("defaultTopicQueueNums", "1"),
                ("queueId", "0"),
                ("sysFlag", "0"),
                ("bornTimestamp", "1"),
                ("flag", "0"),
            ];
            client.ask(request, &fields, b"x").await
        }
        request_code::SEND_MESSAGE_V2 => client.send("t", "", b"x").await,
        request_code::SEND_BATCH_MESSAGE => {
            // Length, magic, CRC, flag, length of the body, body, length of the properties.
            let batch = [&[0, 0, 0, 23][..], &[0; 12], &[0, 0, 0, 1], b"x", &[0, 0]].concat();
            let header = SendMessage { batch: true, ..send_header("t", "") };
            client.call(request, |out| header.write(out), &batch).await
        }
        request_code::PULL_MESSAGE | request_code::LITE_PULL_MESSAGE => {
            client.call(request, |out| pull_header("t", 0, "*").write(out), b"").await
        }
        request_code::HEART_BEAT => client.ask(request, &[], heartbeat).await,
        request_code::LOCK_BATCH_MQ | request_code::UNLOCK_BATCH_MQ => {
            client.ask(request, &[], queues).await
        }
        _ => client.ask(request, &FIELDS, b"").await,
    };
    answer.code
}

#[tokio::test]
async fn who_has_no_right_passes_no_row() {
    let world = guarded(|_| true).await;
    let client = world.client().await;
    for row in TABLE {
        let expected = if FREE.contains(&row.code) { code::SUCCESS } else { code::NO_PERMISSION };
        assert_eq!(asked(&client, row.code).await, expected, "request code {}", row.code);
    }
}

#[tokio::test]
async fn codes_without_a_row_are_not_supported() {
    let world = World::new(&[]).await;
    let client = world.client().await;
    let known = |request: i32| TABLE.iter().any(|row| row.code == request);
    let all = (0..1_200).chain(3_000..3_020).chain(200_000..200_200);
    for request in all.filter(|request| !known(*request)) {
        let answer = client.ask(request, &FIELDS, b"").await;
        assert_eq!(answer.code, code::REQUEST_CODE_NOT_SUPPORTED, "request code {request}");
    }
}

#[tokio::test]
async fn moving_a_group_shows_only_topics_that_may_be_looked_at() {
    let world = guarded(|access| {
        *access == Access { action: Action::Get, resource: Resource::Topic("secret") }
    })
    .await;
    let client = world.client().await;
    for (topic, expected) in [("secret", code::NO_PERMISSION), ("t", code::SUCCESS)] {
        client.send(topic, "", b"x").await;
        client.pull(topic, 0, "*").await;
        let fields =
            [("topic", topic), ("group", "consumers"), ("timestamp", "0"), ("isForce", "true")];
        let moved = client.ask(request_code::INVOKE_BROKER_TO_RESET_OFFSET, &fields, b"").await;
        assert_eq!(moved.code, expected, "{topic}: {:?}", moved.remark());
    }
}

/// Where queues end and where groups are: what is told beside what the request's own right is for.
#[tokio::test]
async fn progress_is_shown_of_topics_and_groups_that_may_be_looked_at() {
    let world = guarded(|access| {
        let secret = |resource| Access { action: Action::Get, resource };
        [secret(Resource::Topic("secret")), secret(Resource::Group("others"))].contains(access)
    })
    .await;
    let client = world.client().await;
    client.send("t", "", b"x").await;
    client.pull("t", 0, "*").await;
    let stats = request_code::GET_CONSUME_STATS;
    let of_group = |more| vec![("consumerGroup", "consumers"), more];
    let of_topic = |more| vec![("topic", "t"), more];
    let span = request_code::QUERY_CONSUME_TIME_SPAN;
    let correction = request_code::QUERY_CORRECTION_OFFSET;
    let entries = request_code::QUERY_CONSUME_QUEUE;
    let compared = |others| vec![("topic", "t"), ("compareGroup", "consumers"), others];
    for (request, fields, is_shown) in [
        (stats, of_group(("topic", "")), true),
        (stats, of_group(("topic", "t")), true),
        (stats, of_group(("topicList", "t;;t")), true),
        (stats, of_group(("topic", "secret")), false),
        (stats, of_group(("topicList", "t;secret")), false),
        (span, of_topic(("group", "consumers")), true),
        (span, of_topic(("group", "others")), false),
        (correction, compared(("filterGroups", "consumers,third")), true),
        (correction, compared(("filterGroups", "third,others")), false),
        (correction, of_topic(("compareGroup", "others")), false),
        (entries, of_topic(("count", "1")), true),
        (entries, of_topic(("consumerGroup", "consumers")), true),
        (entries, of_topic(("consumerGroup", "others")), false),
    ] {
        let answer = client.ask(request, &fields, b"").await;
        let expected = if is_shown { code::SUCCESS } else { code::NO_PERMISSION };
        assert_eq!(answer.code, expected, "{request} {fields:?}: {:?}", answer.remark());
    }
}

#[tokio::test]
async fn a_message_named_by_its_place_is_guarded_by_its_topic() {
    let world = guarded(|access| {
        *access == Access { action: Action::Sub, resource: Resource::Topic("secret") }
    })
    .await;
    let client = world.client().await;
    client.pull("t", 0, "*").await;
    let mut places = Vec::new();
    for topic in ["secret", "t"] {
        let sent = client.send(topic, "", b"x").await;
        places.push(sent.ext.get("msgId").unwrap().to_owned());
    }
    let offset = |id: &str| MessageId::parse(id).unwrap().offset.to_string();
    for (id, expected) in places.iter().zip([code::NO_PERMISSION, code::SUCCESS]) {
        let offset = offset(id);
        let fields = [("offset", offset.as_str()), ("group", "consumers"), ("delayLevel", "1")];
        let back = client.ask(request_code::CONSUMER_SEND_MSG_BACK, &fields, b"").await;
        assert_eq!(back.code, expected);
    }
    for (id, is_refused) in places.iter().zip([true, false]) {
        let fields = [("consumerGroup", "consumers"), ("clientId", "c"), ("msgId", id.as_str())];
        let direct = client.ask(request_code::CONSUME_MESSAGE_DIRECTLY, &fields, b"").await;
        // The other one fails later: nobody is connected.
        assert_eq!(direct.code == code::NO_PERMISSION, is_refused);
    }
}

#[tokio::test]
async fn what_waits_for_its_time_is_not_for_whoever_may_read_the_topic_where_it_waits() {
    let schedule = "SCHEDULE_TOPIC_XXXX";
    let nobody: fn(&Access<'_>) -> bool = |access| {
        let look = Access { action: Action::Get, resource: Resource::Cluster };
        let read = Access { action: Action::Sub, resource: Resource::Topic("secret") };
        [look, read].contains(access)
    };
    let operator: fn(&Access<'_>) -> bool = |_| false;
    for (refuses, expected) in [(nobody, code::NO_PERMISSION), (operator, code::SUCCESS)] {
        let world = guarded(refuses).await;
        let client = world.client().await;
        let sent = client.send("secret", "DELAY\u{1}18\u{2}KEYS\u{1}k\u{2}", b"x").await;
        assert_eq!(sent.code, code::SUCCESS, "{:?}", sent.remark());
        let header = PullMessage { queue_id: 17, ..pull_header(schedule, 0, "*") };
        let pulled = client.call(request_code::PULL_MESSAGE, |out| header.write(out), b"").await;
        assert_eq!(pulled.code, expected, "{:?}", pulled.remark());
        let place = MessageId::parse(sent.ext.get("msgId").unwrap()).unwrap().offset.to_string();
        let fields = [("offset", place.as_str()), ("group", "consumers"), ("delayLevel", "1")];
        let back = client.ask(request_code::CONSUMER_SEND_MSG_BACK, &fields, b"").await;
        assert_eq!(back.code, expected, "{:?}", back.remark());
        let fields = [
            ("topic", schedule),
            ("key", "k"),
            ("maxNum", "1"),
            ("beginTimestamp", "0"),
            ("endTimestamp", "9999999999999"),
        ];
        let found = client.ask(request_code::QUERY_MESSAGE, &fields, b"").await;
        assert_eq!(
            found.code == code::NO_PERMISSION,
            pulled.code != code::SUCCESS,
            "{:?}",
            found.remark()
        );
    }
}
