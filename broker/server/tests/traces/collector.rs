//! Collectors that fail: messages do not notice, and what is lost is counted.

use std::sync::atomic::Ordering;
use std::time::Duration;

use blockhouse_client::Producer;
use blockhouse_meter::spans::DropReason;
use blockhouse_telemetry::otlp::Config as Otlp;
use blockhouse_telemetry::traces::Config;
use tokio::net::TcpListener;

use crate::rig::Rig;
use crate::sink::Sink;
use crate::{traced, traces};

/// Only a test that is going to fail waits this long.
const PATIENCE: Duration = Duration::from_secs(30);

/// A request that is not answered is soon given up.
fn hurried() -> Otlp {
    Otlp { timeout_ms: 300, ..Otlp::default() }
}

impl Rig {
    pub(crate) fn dropped(&self) -> [u64; 4] {
        let dropped = &self.spans.as_ref().unwrap().counts.dropped;
        [DropReason::Queue, DropReason::Failed, DropReason::Limit, DropReason::Rejected]
            .map(|why| dropped.read(why))
    }

    /// Waits until drops are as `are_so` wants them.
    async fn dropped_until(&self, are_so: impl Fn([u64; 4]) -> bool) {
        let wait = async {
            while !are_so(self.dropped()) {
                tokio::task::yield_now().await;
            }
        };
        let done = tokio::time::timeout(PATIENCE, wait).await;
        assert!(done.is_ok(), "{:?}", self.dropped());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_collector_that_hangs_costs_spans_and_no_messages() {
    // Connections are made, and nobody ever answers.
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let config = Config {
        endpoint: format!("http://{}", silent.local_addr().unwrap()),
        queue_max: 8,
        ..Config::default()
    };
    let rig = Rig::start_over(&hurried(), &config, &[]).await;
    let producer = Producer::new(&rig.client, "producers");
    for n in 0..100 {
        let sent = producer.send(&traced("orders", "01")).await.unwrap();
        assert_eq!(sent.queue_offset, n);
    }
    rig.dropped_until(|[queue, failed, ..]| queue > 0 && failed > 0).await;
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_collector_that_refuses_is_asked_again() {
    let mut sink = Sink::start().await;
    let rig = Rig::start(&traces(&sink), &[]).await;
    let producer = Producer::new(&rig.client, "producers");
    sink.refuses.store(true, Ordering::SeqCst);
    producer.send(&traced("lost", "01")).await.unwrap();
    rig.dropped_until(|[_, failed, ..]| failed > 0).await;

    sink.refuses.store(false, Ordering::SeqCst);
    producer.send(&traced("orders", "01")).await.unwrap();
    let [_send] = sink.take(["send orders"]).await;
    assert!(sink.left().iter().all(|span| span.name != "send lost"));
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_collector_that_is_not_there_costs_spans_and_no_messages() {
    let gone = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", gone.local_addr().unwrap());
    drop(gone);
    let config = Config { endpoint, ..Config::default() };
    let rig = Rig::start_over(&hurried(), &config, &[]).await;
    let producer = Producer::new(&rig.client, "producers");
    producer.send(&traced("orders", "01")).await.unwrap();
    rig.dropped_until(|[_, failed, ..]| failed > 0).await;
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_collector_rejects_is_not_exported() {
    let mut sink = Sink::start().await;
    let rig = Rig::start(&traces(&sink), &[]).await;
    let producer = Producer::new(&rig.client, "producers");
    sink.rejects.store(1, Ordering::SeqCst);
    producer.send(&traced("orders", "01")).await.unwrap();
    let [_send, _append] = sink.take(["send orders", "append"]).await;
    rig.dropped_until(|[.., rejected]| rejected == 1).await;
    let counts = &rig.spans.as_ref().unwrap().counts;
    // With the stage that waits for the disk there are three, else two.
    let others = 1 + sink.left().len() as u64;
    assert_eq!((rig.dropped(), counts.exported.read()), ([0, 0, 0, 1], others));

    // More than there were is nothing but all of them.
    sink.rejects.store(i64::MAX, Ordering::SeqCst);
    producer.send(&traced("bills", "01")).await.unwrap();
    rig.dropped_until(|[.., rejected]| rejected > 1).await;
    assert_eq!(counts.exported.read(), others);
    rig.stop().await;
}
