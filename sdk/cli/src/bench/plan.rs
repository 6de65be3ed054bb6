//! From a load and a cluster to connections: topics, addresses, what each connection does.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use blockhouse_client::admin::Scope;
use blockhouse_client::{Client, Route};
use blockhouse_protocol::MessageQueue;
use blockhouse_protocol::body::topic::TopicConfig;

use super::frames::Queue;
use super::load::{Kind, LoadArgs};
use super::pulling::{Pulling, Source};
use super::sending::Sending;

/// The group that pulls.
const GROUP: &str = "blockhouse-bench";
/// How often to look whether new topics are at the name server.
const ROUTE_TRIES: u32 = 100;
const ROUTE_PAUSE: Duration = Duration::from_millis(100);
/// Queues that one following connection pulls.
const FOLLOWED_MAX: usize = 16;

/// A connection to be made.
pub(crate) enum Planned {
    /// One that sends, to this address.
    Sending(String, Sending),
    /// One that pulls.
    Pulling(String, Pulling),
}

/// A broker, and the queues that it has.
struct Broker {
    addr: String,
    queues: Vec<MessageQueue>,
}

/// Creates the topics of `load` as far as they are missing; returns their queues by broker.
async fn brokers(client: &Client, load: &LoadArgs) -> anyhow::Result<Vec<Broker>> {
    let mut brokers: Vec<Broker> = Vec::new();
    for topic in load.topic_names() {
        let route = topic_route(client, load, &topic).await?;
        for queue in &route.writeable {
            let Some(addr) = route.address(queue) else { continue };
            match brokers.iter_mut().find(|b| b.addr == addr) {
                Some(broker) => broker.queues.push(queue.clone()),
                None => {
                    brokers.push(Broker { addr: addr.to_owned(), queues: vec![queue.clone()] });
                }
            }
        }
    }
    if brokers.is_empty() {
        bail!("the topics have no queue that may be written");
    }
    Ok(brokers)
}

async fn topic_route(client: &Client, load: &LoadArgs, topic: &str) -> anyhow::Result<Arc<Route>> {
    let queues = i32::try_from(load.queues)?;
    if let Ok(route) = client.route(topic).await
        && route.writeable.len() >= load.queues as usize
    {
        return Ok(route);
    }
    let config = TopicConfig {
        topic_name: topic.to_owned(),
        read_queue_nums: queues,
        write_queue_nums: queues,
        ..TopicConfig::default()
    };
    let created = client.create_topic(&Scope::All, &config).await;
    created.with_context(|| format!("cannot create topic {topic}"))?;
    for _ in 0..ROUTE_TRIES {
        client.forget_route(topic);
        if let Ok(route) = client.route(topic).await
            && route.writeable.len() >= load.queues as usize
        {
            return Ok(route);
        }
        tokio::time::sleep(ROUTE_PAUSE).await;
    }
    bail!("topic {topic} was created but does not appear at the name server")
}

/// The connections of a load.
pub(crate) async fn connections(
    client: &Client,
    kind: Kind,
    load: &LoadArgs,
) -> anyhow::Result<Vec<Planned>> {
    let brokers = brokers(client, load).await?;
    let mut planned = Vec::new();
    if kind == Kind::EndToEnd {
        planned.extend(following(client, load, &brokers).await?);
    }
    for index in 0..load.connections {
        let broker = &brokers[index % brokers.len()];
        planned.push(if kind == Kind::Consume {
            let sources = sources(client, load, broker, index).await?;
            Planned::Pulling(broker.addr.clone(), Pulling::new(sources, GROUP, load.pull, false))
        } else {
            let queues: Vec<Queue> = broker.queues.iter().map(queue).collect();
            Planned::Sending(broker.addr.clone(), Sending::new(index, load, kind, &queues))
        });
    }
    Ok(planned)
}

/// Messages that the load's topics hold.
pub(crate) async fn stored(client: &Client, load: &LoadArgs) -> anyhow::Result<u64> {
    let mut all = 0;
    for broker in brokers(client, load).await? {
        for queue in &broker.queues {
            let (min, max) = (client.min_offset(queue).await?, client.max_offset(queue).await?);
            all += u64::try_from(max.saturating_sub(min)).unwrap_or(0);
        }
    }
    Ok(all)
}

fn queue(queue: &MessageQueue) -> Queue {
    let queue_id = u32::try_from(queue.queue_id).unwrap_or(0);
    Queue { topic: queue.topic.clone(), queue_id }
}

/// Where the slots of a pulling connection begin: spread over the queues that hold something.
async fn sources(
    client: &Client,
    load: &LoadArgs,
    broker: &Broker,
    index: usize,
) -> anyhow::Result<Vec<Source>> {
    let mut ranges = Vec::new();
    for of in &broker.queues {
        let min = u64::try_from(client.min_offset(of).await?).unwrap_or(0);
        let max = u64::try_from(client.max_offset(of).await?).unwrap_or(0);
        if max > min {
            ranges.push((queue(of), min, max));
        }
    }
    if ranges.is_empty() {
        bail!("the topics hold no messages");
    }
    let source = |slot: usize| {
        let number = index * load.in_flight + slot;
        let (queue, min, max) = &ranges[number % ranges.len()];
        // Slots on the same queue begin at different places.
        let turn = u64::try_from(number / ranges.len()).unwrap_or(0);
        let offset = min + turn * 1_000 % (max - min);
        Source { queue: queue.clone(), offset, min: *min }
    };
    Ok((0..load.in_flight).map(source).collect())
}

/// Connections that wait for messages at the end of all queues.
async fn following(
    client: &Client,
    load: &LoadArgs,
    brokers: &[Broker],
) -> anyhow::Result<Vec<Planned>> {
    let mut planned = Vec::new();
    for broker in brokers {
        for queues in broker.queues.chunks(FOLLOWED_MAX) {
            let mut sources = Vec::new();
            for of in queues {
                let offset = u64::try_from(client.max_offset(of).await?).unwrap_or(0);
                sources.push(Source { queue: queue(of), offset, min: offset });
            }
            let script = Pulling::new(sources, GROUP, load.pull, true);
            planned.push(Planned::Pulling(broker.addr.clone(), script));
        }
    }
    Ok(planned)
}
