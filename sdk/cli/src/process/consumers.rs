//! Asks members of consumer groups how they get on, as rocketmq-exporter does: only they know how long it takes them
//! to consume. They are asked while somebody looks at `/metrics/exporter`, and else not.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Weak};
use std::time::Duration;

use blockhouse_core::Broker;
use blockhouse_meter::{ClientView, Consumption};
use blockhouse_model::{Clock, Group};
use blockhouse_protocol::fastjson;
use blockhouse_service::{Shutdown, Tasks};
use futures_util::{StreamExt, stream};
use parking_lot::Mutex;
use serde::Deserialize;
use tokio::sync::Notify;
use tokio::time::{Instant, timeout, timeout_at};

/// A pause between two rounds.
const EVERY: Duration = Duration::from_secs(15);
/// How long a member may take, and all of them.
const PATIENCE: Duration = Duration::from_secs(2);
const ROUND: Duration = Duration::from_secs(30);
/// What was said longer ago is not told any more.
const FRESH_FOR: Duration = Duration::from_secs(120);
/// Members that are asked in a round, those of the first groups, and how many at a time.
const MEMBERS_MAX: usize = 1_000;
const AT_A_TIME: usize = 16;
/// What is kept of answers: pairs of member and topic, and bytes of their names, which clients choose.
const ROWS_MAX: usize = 10_000;
const TEXT_MAX: usize = 4 << 20;
/// An answer that is longer is not read: a consumer of thousands of queues says less.
const ANSWER_MAX: usize = 4 << 20;

/// What members said last.
#[derive(Debug)]
pub(super) struct Consumers {
    said: Mutex<Option<(Duration, Vec<ClientView>)>>,
    wanted: Notify,
    clock: Arc<dyn Clock>,
}

impl Consumers {
    pub(super) fn new(clock: Arc<dyn Clock>) -> Self {
        Self { said: Mutex::default(), wanted: Notify::new(), clock }
    }

    /// What they said last, if that is not long ago. Has them asked again.
    pub(super) fn look(&self) -> Vec<ClientView> {
        self.wanted.notify_one();
        let now = self.clock.monotonic();
        let said = self.said.lock();
        let fresh = said.as_ref().filter(|(at, _)| now.saturating_sub(*at) < FRESH_FOR);
        fresh.map(|(_, views)| views.clone()).unwrap_or_default()
    }

    fn keep(&self, views: Vec<ClientView>) {
        *self.said.lock() = Some((self.clock.monotonic(), views));
    }
}

/// Asks the members of `broker` whenever somebody looked.
pub(super) fn start(tasks: &Tasks, consumers: Arc<Consumers>, broker: Weak<Broker>) {
    tasks.spawn("ask consumers", run(consumers, broker, tasks.shutdown()));
}

async fn run(consumers: Arc<Consumers>, broker: Weak<Broker>, shutdown: Shutdown) {
    let mut stopped = shutdown.clone();
    let rounds = async {
        loop {
            consumers.wanted.notified().await;
            let Some(broker) = broker.upgrade() else { return };
            consumers.keep(round(&broker).await);
            drop(broker);
            tokio::time::sleep(EVERY).await;
        }
    };
    tokio::select! {
        () = stopped.requested() => {}
        () = rounds => {}
    }
}

/// Asks each member once.
async fn round(broker: &Arc<Broker>) -> Vec<ClientView> {
    let deadline = Instant::now() + ROUND;
    let questions = members(broker).into_iter().map(|member| ask(Arc::clone(broker), member));
    let mut answers = stream::iter(questions).buffer_unordered(AT_A_TIME);
    let mut said = Vec::new();
    while let Ok(Some(answer)) = timeout_at(deadline, answers.next()).await {
        said.extend(answer);
    }
    said.sort_unstable_by(|a, b| key(&a.0).cmp(&key(&b.0)));
    bounded(said.into_iter().flat_map(|(member, topics)| views(&member, topics)))
}

/// A member of a group: whose answers are told by these names.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Asked {
    group: Group,
    client_id: Arc<str>,
    address: Arc<str>,
}

fn key(asked: &Asked) -> (&str, &str) {
    (&asked.group, &asked.client_id)
}

/// The first members by group and id; a member with several connections is one.
fn members(broker: &Broker) -> Vec<Asked> {
    let mut all = BTreeSet::new();
    for client in broker.clients().inventory() {
        for (group, ..) in client.consumers {
            let address = client.peer.to_string().into();
            all.insert(Asked { group, client_id: Arc::clone(&client.client_id), address });
        }
    }
    let mut members: Vec<Asked> = all.into_iter().collect();
    members.dedup_by(|a, b| key(a) == key(b));
    members.truncate(MEMBERS_MAX);
    members
}

type Topics = BTreeMap<String, Status>;

/// What it says, unless it does not answer, or cannot be asked.
async fn ask(broker: Arc<Broker>, member: Asked) -> Option<(Asked, Topics)> {
    let question = broker.running_info(&member.group, &member.client_id, false);
    let reply = timeout(PATIENCE, question).await.ok()?.ok()?;
    if reply.status != 0 || reply.body.len() > ANSWER_MAX {
        return None;
    }
    let info: RunningInfo = fastjson::read(&reply.body).ok()?;
    Some((member, info.status_table))
}

/// The part of RocketMQ's `ConsumerRunningInfo` that is about numbers.
#[derive(Debug, Default, Deserialize)]
struct RunningInfo {
    #[serde(default, rename = "statusTable")]
    status_table: Topics,
}

/// Its `ConsumeStatus`, of a topic. A number that is none is null in its JSON.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Status {
    consume_failed_msgs: Option<f64>,
    #[serde(rename = "consumeFailedTPS")]
    consume_failed_tps: Option<f64>,
    #[serde(rename = "consumeOKTPS")]
    consume_ok_tps: Option<f64>,
    #[serde(rename = "consumeRT")]
    consume_rt: Option<f64>,
    #[serde(rename = "pullRT")]
    pull_rt: Option<f64>,
    #[serde(rename = "pullTPS")]
    pull_tps: Option<f64>,
}

fn views(member: &Asked, topics: Topics) -> impl Iterator<Item = ClientView> + use<> {
    let group: Arc<str> = member.group.as_str().into();
    let (client_id, address) = (Arc::clone(&member.client_id), Arc::clone(&member.address));
    topics.into_iter().map(move |(topic, status)| ClientView {
        address: Arc::clone(&address),
        client_id: Arc::clone(&client_id),
        group: Arc::clone(&group),
        topic: topic.into(),
        says: Consumption {
            failed: status.consume_failed_msgs,
            failed_per_second: status.consume_failed_tps,
            consumed_per_second: status.consume_ok_tps,
            consume_ms: status.consume_rt,
            pull_ms: status.pull_rt,
            pulled_per_second: status.pull_tps,
        },
    })
}

/// The first that there is room for.
fn bounded(views: impl Iterator<Item = ClientView>) -> Vec<ClientView> {
    let mut room = TEXT_MAX;
    let fits = |view: &ClientView| {
        let names = [&view.address, &view.client_id, &view.group, &view.topic];
        let left = room.checked_sub(names.map(|name| name.len()).iter().sum());
        room = left.unwrap_or(0);
        left.is_some()
    };
    views.take(ROWS_MAX).take_while(fits).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use blockhouse_model::{ManualClock, Timestamp};

    fn member(client_id: &str) -> Asked {
        let (client_id, address) = (client_id.into(), "10.0.0.1:5".into());
        Asked { group: Group::trusted("g"), client_id, address }
    }

    #[test]
    fn numbers_are_read_out_of_what_java_s_client_says() {
        let body = br#"{"jstack":"","mqTable":{{"brokerName":"b","queueId":0,"topic":"t"}:{"cachedMsgCount":0}},
            "statusTable":{"t":{"consumeFailedMsgs":3,"consumeFailedTPS":0.5,"consumeOKTPS":2.25,"consumeRT":4.0,
            "pullRT":261.0,"pullTPS":2.5},"u":{"consumeRT":null}},"subscriptionSet":[]}"#;
        let info: RunningInfo = fastjson::read(body).unwrap();
        let views: Vec<_> = views(&member("i"), info.status_table).collect();
        let told = |view: &ClientView| (view.topic.to_string(), view.says);
        let all = Consumption {
            failed: Some(3.0),
            failed_per_second: Some(0.5),
            consumed_per_second: Some(2.25),
            consume_ms: Some(4.0),
            pull_ms: Some(261.0),
            pulled_per_second: Some(2.5),
        };
        let wanted = [("t".to_owned(), all), ("u".to_owned(), Consumption::default())];
        assert_eq!(views.iter().map(told).collect::<Vec<_>>(), wanted);
        assert!(fastjson::read::<RunningInfo>(b"{}").unwrap().status_table.is_empty());
    }

    #[test]
    fn what_clients_choose_is_kept_while_there_is_room() {
        let topics = |name: &str, number: usize| -> Topics {
            (0..number).map(|n| (format!("{name}{n:06}"), Status::default())).collect()
        };
        assert_eq!(bounded(views(&member("i"), topics("t", ROWS_MAX + 1))).len(), ROWS_MAX);
        let long = "x".repeat(1 << 20);
        let kept = bounded(views(&member("i"), topics(&long, 9)));
        assert_eq!(kept.len(), 3, "the fourth is beyond 4 MiB");
    }

    #[tokio::test]
    async fn what_was_said_long_ago_is_not_told_and_a_look_has_them_asked() {
        let clock = Arc::new(ManualClock::at(Timestamp(5)));
        let consumers = Consumers::new(clock.clone());
        assert!(consumers.look().is_empty());
        timeout(PATIENCE, consumers.wanted.notified()).await.unwrap();
        consumers
            .keep(views(&member("i"), Topics::from([("t".into(), Status::default())])).collect());
        clock.advance(FRESH_FOR - Duration::from_millis(1));
        assert_eq!(consumers.look().len(), 1);
        clock.advance(Duration::from_millis(1));
        assert!(consumers.look().is_empty());
    }
}
