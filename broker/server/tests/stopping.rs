//! A stop says what it waits for.

use std::sync::Arc;
use std::time::Duration;

use blockhouse_broker::{Broker, Parts, QuotaConfig, Running, Settings};
use blockhouse_disk::MemDisk;
use blockhouse_hook::Hooks;
use blockhouse_service::{SystemClock, Tasks};

/// Only a test that is going to fail waits this long.
const PATIENCE: Duration = Duration::from_secs(60);

async fn start(disk: &MemDisk, tasks: &Tasks) -> anyhow::Result<Running> {
    let settings = Settings {
        cluster: "c".to_owned(),
        name: "broker-a".to_owned(),
        broker_id: 0,
        data: "/data".into(),
        listen: ([127, 0, 0, 1], 0).into(),
        vip_port: false,
        advertise: None,
        name_servers: Vec::new(),
        core: blockhouse_core::Config::default(),
        store: blockhouse_store::Config {
            segment_size: 1 << 20,
            index_slots: 1_000,
            index_entries: 4_000,
            ..blockhouse_store::Config::default()
        },
        limits: blockhouse_transport::Limits::default(),
        quota: QuotaConfig::default(),
        registrar: blockhouse_registrar::Config::default(),
        properties: String::new(),
    };
    let parts = Parts {
        clock: Arc::new(SystemClock::new()),
        hooks: Arc::new(Hooks::none()),
        disk: Arc::new(disk.clone()),
        meter: Arc::default(),
        tasks: tasks.clone(),
        budget: None,
        tls: blockhouse_broker::Tls::default(),
        users: None,
        acls: None,
        signer: None,
    };
    Broker::start(settings, parts).await
}

#[tokio::test]
async fn a_disk_that_does_not_sync_is_named_and_the_stop_ends_with_it() {
    let (disk, tasks, watching) = (MemDisk::new(), Tasks::new("test"), Tasks::new("watching"));
    let running = start(&disk, &tasks).await.unwrap();
    let mut stage = running.stage();
    disk.hold_syncs(true);
    let stop = watching.spawn("stop", running.stop());
    let at_disk = stage.wait_for(|stage| stage.doing().starts_with("it waits for the disk: "));
    tokio::time::timeout(PATIENCE, at_disk).await.unwrap().unwrap();
    // Each stop syncs, so this one cannot be over.
    assert!(!stop.is_finished());
    disk.hold_syncs(false);
    stop.await.unwrap().unwrap();
    let last = stage.borrow().doing();
    assert_eq!(last, "it waits for the disk: its whole filesystem is synced");
}
