//! Syncs that several sends wait for together.

use std::collections::HashSet;

use blockhouse_client::{Outgoing, Producer};
use blockhouse_model::names;
use blockhouse_protocol::MessageQueue;

use crate::afterwards::{GROUP, first, offset_of, send_back};
use crate::rig::Rig;
use crate::sink::{Sink, attribute};
use crate::{traced, traces};

/// Sends that are under way at the same time, each time.
const AT_ONCE: usize = 8;
/// Only a test that is going to fail tries so often.
const ROUNDS_MAX: usize = 100;

/// A trace and a span of it.
type Ids = (Vec<u8>, Vec<u8>);

async fn send_at_once(producer: &Producer<'_>, message: &Outgoing) {
    let send = || producer.send(message);
    let sent = tokio::join!(send(), send(), send(), send(), send(), send(), send(), send());
    let sent: [_; AT_ONCE] = sent.into();
    assert!(sent.iter().all(Result::is_ok), "{sent:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sync_is_one_span_that_is_linked_with_the_sends_it_made_durable() {
    let mut sink = Sink::start().await;
    let rig = Rig::start_synced(&traces(&sink)).await;
    let producer = Producer::new(&rig.client, "producers");
    // Whoever records nothing makes no sync a span.
    producer.send(&traced("quiet", "00")).await.unwrap();
    producer.send(&Outgoing::new("quiet", "body")).await.unwrap();
    let (mut sends, mut linked) = (HashSet::<Ids>::new(), HashSet::<Ids>::new());
    let mut most = 0;
    for _ in 0..ROUNDS_MAX {
        send_at_once(&producer, &traced("orders", "01")).await;
        for _ in 0..AT_ONCE {
            let [send, wait] = sink.take(["send orders", "flush"]).await;
            // Each send has a stage of its own all the same.
            assert_eq!(wait.trace_id, send.trace_id);
            sends.insert((send.trace_id, send.span_id));
        }
        while linked.len() < sends.len() {
            let [flush] = sink.take(["flush commitlog"]).await;
            let links = flush.links.iter().map(|l| (l.trace_id.clone(), l.span_id.clone()));
            let before = linked.len();
            linked.extend(links);
            assert_eq!(linked.len() - before, flush.links.len(), "no send waits for two");
            assert!(flush.parent_span_id.is_empty() && flush.dropped_links_count == 0);
            assert!(flush.start_time_unix_nano < flush.end_time_unix_nano);
            let number = |key| attribute(&flush, key).unwrap().parse::<usize>().unwrap();
            assert_eq!(number("blockhouse.flush.sends"), flush.links.len());
            assert_eq!(number("blockhouse.flush.messages"), flush.links.len());
            assert!(number("blockhouse.flush.bytes") > 100 * flush.links.len());
            most = most.max(flush.links.len());
        }
        assert_eq!(linked, sends);
        if most >= 2 {
            break;
        }
    }
    assert!(most >= 2, "no sync served two of {AT_ONCE} sends that were under way together");
    assert!(sink.left().iter().all(|span| span.name != "flush commitlog"), "none of its own");
    assert_eq!(rig.dropped(), [0; 4]);
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_sent_back_and_set_free_is_linked_with_its_sync_as_well() {
    let mut sink = Sink::start().await;
    let rig = Rig::start_synced(&traces(&sink)).await;
    let producer = Producer::new(&rig.client, "producers");
    let queue = producer.send(&traced("orders", "01")).await.unwrap().queue;
    let message = first(&rig, &queue, 0).await;
    assert_eq!(send_back(&rig, offset_of(&message), 1).await, 0);
    let retry = MessageQueue { topic: names::retry_topic(GROUP), ..queue };
    let again = first(&rig, &retry, 0).await;
    assert_eq!(send_back(&rig, offset_of(&again), -1).await, 0);
    let names = [
        "send orders",
        "retry %RETRY%consumers",
        "release %RETRY%consumers",
        "dead_letter %DLQ%consumers",
    ];
    let mut stored = HashSet::from(sink.take(names).await.map(|span| span.span_id));
    while !stored.is_empty() {
        let [flush] = sink.take(["flush commitlog"]).await;
        for link in &flush.links {
            assert!(stored.remove(&link.span_id), "each is made durable once");
        }
    }
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_nobody_waits_for_a_sync_there_is_no_span_of_it() {
    let mut sink = Sink::start().await;
    let rig = Rig::start(&traces(&sink), &[]).await;
    let producer = Producer::new(&rig.client, "producers");
    producer.send(&traced("orders", "01")).await.unwrap();
    let [_send] = sink.take(["send orders"]).await;
    // The store is synced once more when it closes, and all that is recorded leaves.
    rig.stop().await;
    assert!(sink.left().iter().all(|span| span.name != "flush commitlog"));
}
