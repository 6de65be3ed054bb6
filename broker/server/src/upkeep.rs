//! The periodic work of a broker.

use std::sync::Arc;
use std::time::Duration;

use blockhouse_core::Broker;
use blockhouse_meta::{Error, Meta};
use blockhouse_meter::Meter;
use blockhouse_protocol::codes::{request_code, response_code};
use blockhouse_service::{Shutdown, Tasks};
use blockhouse_store::Store;
use tokio::sync::Notify;
use tracing::error;

/// How often metadata is saved (RocketMQ: `flushConsumerOffsetInterval`).
const SAVE_EVERY: Duration = Duration::from_secs(5);
/// How often rates are sampled and silent clients are looked for.
const LOOK_EVERY: Duration = Duration::from_secs(10);

pub(crate) fn start(tasks: &Tasks, core: &Arc<Broker>, meta: &Meta, meter: &Arc<Meter>) {
    tasks.spawn_vital(
        "save",
        save((meta.clone(), Arc::clone(core)), tasks.clone(), tasks.shutdown()),
    );
    tasks.spawn_vital("look", look(Arc::clone(core), Arc::clone(meter), tasks.shutdown()));
    tasks.spawn_vital("delay", deliver_delayed(Arc::clone(core), tasks.shutdown()));
}

/// Writes what changed of topics, groups and progress, and the log before progress in it: a power cut
/// must not leave messages done with whose copies it took. Waits for the disk.
pub(crate) fn persist(meta: &Meta, store: &Store) -> Result<(), Error> {
    meta.persist(&|| store.sync_log().is_ok())
}

/// Saves periodically, and soon after a topic or group came or changed: a message must not outlive
/// its topic when the process is killed.
async fn save((meta, core): (Meta, Arc<Broker>), tasks: Tasks, mut shutdown: Shutdown) {
    let changed = Arc::new(Notify::new());
    let (topics, groups) = (Arc::clone(&changed), Arc::clone(&changed));
    meta.topics.on_change(move |_| topics.notify_one());
    meta.groups.on_change(move |_| groups.notify_one());
    loop {
        tokio::select! {
            goes_on = shutdown.wait(SAVE_EVERY) => if !goes_on { return },
            () = changed.notified() => {}
        }
        let (meta, core) = (meta.clone(), Arc::clone(&core));
        let saved = tasks.spawn_blocking("save", move || persist(&meta, core.store()));
        if let Ok(Err(error)) = saved.await {
            error!(%error, "topics, groups or offsets were not saved; trying again");
        }
    }
}

async fn look(core: Arc<Broker>, meter: Arc<Meter>, mut shutdown: Shutdown) {
    while shutdown.wait(LOOK_EVERY).await {
        core.stats().sample(core.clock().now());
        let now = core.clock().monotonic();
        meter.sends.sample(now);
        meter.pull_misses.sample(now, pull_misses(&meter));
        core.clients().expire();
        core.queue_locks().expire();
    }
}

/// Pulls that were answered without a message since the start.
fn pull_misses(meter: &Meter) -> u64 {
    use request_code::{LITE_PULL_MESSAGE, PULL_MESSAGE};
    use response_code::{PULL_NOT_FOUND, PULL_OFFSET_MOVED, PULL_RETRY_IMMEDIATELY};
    let of_pulls = |(code, result): (i32, i32)| {
        let is_miss = [PULL_NOT_FOUND, PULL_OFFSET_MOVED, PULL_RETRY_IMMEDIATELY].contains(&result);
        [PULL_MESSAGE, LITE_PULL_MESSAGE].contains(&code) && is_miss
    };
    let counts = meter.requests.read().into_iter();
    counts.filter(|(pair, _)| pair.is_some_and(of_pulls)).map(|(_, requests)| requests).sum()
}

async fn deliver_delayed(core: Arc<Broker>, mut shutdown: Shutdown) {
    loop {
        let rest = core.deliver_delayed().await;
        if !shutdown.wait(rest).await {
            return;
        }
    }
}
