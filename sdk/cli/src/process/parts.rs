//! How each part of a process is started and stopped.

use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use blockhouse_broker::{Broker, Settings};
use blockhouse_disk::RealDisk;
use blockhouse_namesrv::NameServer;
use blockhouse_service::Stage;
use blockhouse_service::config::Loaded;
use parking_lot::Mutex;
use tokio::sync::watch;

use super::consumers::{self, Consumers};
use super::{Shared, clients, metrics, sidecar};
use crate::options::Config;
use crate::{java_conf, out};

type Stop = Pin<Box<dyn Future<Output = anyhow::Result<()>> + Send>>;

/// A part that runs.
pub(super) struct Started {
    pub(super) name: &'static str,
    /// Its main listener.
    pub(super) address: SocketAddr,
    /// What to say about further listeners.
    pub(super) also: Vec<SocketAddr>,
    /// What its stop is doing.
    pub(super) stage: watch::Receiver<Stage>,
    stop: Box<dyn FnOnce(Duration) -> Stop + Send>,
}

impl Started {
    /// With one listener. `stop` is told how long clients, name servers and tasks may take.
    pub(super) fn new<F>(
        name: &'static str,
        address: SocketAddr,
        stage: watch::Receiver<Stage>,
        stop: impl FnOnce(Duration) -> F + Send + 'static,
    ) -> Self
    where
        F: Future<Output = anyhow::Result<()>> + Send + 'static,
    {
        let stop = |others| -> Stop { Box::pin(stop(others)) };
        Self { name, address, also: Vec::new(), stage, stop: Box::new(stop) }
    }

    pub(super) fn announce(&self) {
        for address in std::iter::once(&self.address).chain(&self.also) {
            out::line(&format!("{:9}listening on {address}", self.name));
        }
    }

    /// Stops it. Clients, name servers and tasks have so long, as far as the part does not know better.
    pub(super) async fn stop(self, others: Duration) -> anyhow::Result<()> {
        (self.stop)(others).await
    }
}

pub(super) async fn namesrv(config: &Config, shared: &Shared) -> anyhow::Result<Started> {
    let parts = blockhouse_namesrv::Parts {
        clock: Arc::clone(&shared.clock),
        hooks: Arc::clone(&shared.hooks),
        disk: Arc::new(RealDisk),
        data_dir: config.node.data.clone(),
        tasks: shared.tasks.clone(),
        budget: Some(Arc::clone(&shared.budget)),
        meter: Arc::clone(&shared.meter),
        tls: shared.tls.acceptor.clone(),
        users: shared.authenticated.users.clone(),
        acls: shared.acls.clone(),
    };
    let running = NameServer::start(config.namesrv.clone(), parts).await?;
    let (address, stage) = (running.local_addr(), running.stage());
    Ok(Started::new("namesrv", address, stage, |others| async move {
        running.stop_within(others).await;
        Ok(())
    }))
}

/// The broker, where metrics can look at it and the stop can take it.
type Slot = Arc<Mutex<Option<blockhouse_broker::Running>>>;

fn settings(options: &Loaded<Config>, name_servers: Vec<String>) -> Settings {
    let config = &options.config;
    let node = &config.node;
    Settings {
        cluster: node.cluster.clone(),
        name: node.name.clone(),
        broker_id: node.broker_id,
        data: node.data.clone(),
        listen: node.broker_listen,
        vip_port: node.vip_port,
        advertise: node.advertise,
        properties: java_conf::properties(options, &name_servers),
        name_servers,
        core: config.broker.clone(),
        store: config.store.clone(),
        limits: config.transport.clone(),
        quota: config.quota.clone(),
        registrar: config.registrar.clone(),
    }
}

/// Shows the broker as rocketmq-exporter would, for whom its consumers are asked how they are.
fn watch_sidecar(shared: &Shared, slot: &Slot) {
    let asked = Arc::new(Consumers::new(Arc::clone(&shared.clock)));
    if let Some(running) = slot.lock().as_ref() {
        // On a thread of the ops listener: whoever answers must not keep those waiting that are served.
        let tasks = shared.tasks.child_on("consumers", shared.aside.clone());
        consumers::start(&tasks, Arc::clone(&asked), Arc::downgrade(running.core()));
    }
    let seen = Arc::clone(slot);
    let (times, meter) = (Mutex::default(), Arc::downgrade(&shared.meter));
    shared.meter.watch_sidecar(Box::new(move || {
        // The meter is who asks.
        let meter = meter.upgrade()?;
        let node = sidecar::Node::of(seen.lock().as_ref()?);
        Some(node.look(&meter, &mut times.lock(), asked.look()))
    }));
}

pub(super) async fn broker(
    options: &Loaded<Config>,
    shared: &Shared,
    name_servers: Vec<String>,
) -> anyhow::Result<Started> {
    let settings = settings(options, name_servers);
    let parts = blockhouse_broker::Parts {
        clock: Arc::clone(&shared.clock),
        hooks: Arc::clone(&shared.hooks),
        disk: Arc::new(RealDisk),
        meter: Arc::clone(&shared.meter),
        tasks: shared.tasks.clone(),
        budget: Some(Arc::clone(&shared.budget)),
        tls: shared.tls.clone(),
        users: shared.authenticated.users.clone(),
        acls: shared.acls.clone(),
        signer: shared.authenticated.signer.clone(),
    };
    let running = Broker::start(settings, parts).await?;
    shared.publisher.open(running.core());
    shared.connected.open(running.core());
    shared.readiness.watch(Arc::clone(running.registered()));
    let (address, stage) = (running.local_addr(), running.stage());
    let also = running.vip_addr().into_iter().collect();
    let slot: Slot = Arc::new(Mutex::new(Some(running)));
    let seen = Arc::clone(&slot);
    shared.meter.before_read(Box::new(move |meter| {
        if let Some(running) = seen.lock().as_ref() {
            metrics::refresh(meter, running);
        }
    }));
    let seen = Arc::clone(&slot);
    let (times, pulse) = (Mutex::default(), Arc::clone(&shared.pulse));
    shared.meter.watch_lags(Box::new(move || {
        // Whoever looks would be kept waiting by the same disk.
        if !pulse.stalled().is_zero() {
            return Vec::new();
        }
        // The log is read, and a stop must not wait for that.
        let core = seen.lock().as_ref().map(|running| Arc::clone(running.core()));
        core.map(|core| metrics::lags(&core, &mut times.lock())).unwrap_or_default()
    }));
    let seen = Arc::clone(&slot);
    shared.meter.watch_members(Box::new(move || {
        let running = seen.lock();
        running.as_ref().map(|running| clients::members(running.core())).unwrap_or_default()
    }));
    watch_sidecar(shared, &slot);
    let seen = Arc::clone(&slot);
    shared.readiness.watch_store(Box::new(move || {
        let running = seen.lock();
        running.as_ref().map(|running| running.core().store().faults()).unwrap_or_default()
    }));
    let seen = Arc::clone(&slot);
    shared.readiness.watch_metadata(Box::new(move || {
        let running = seen.lock();
        let unsaved = running.as_ref().map(blockhouse_broker::Running::unsaved).unwrap_or_default();
        unsaved.into_iter().map(|(_, why)| why).collect()
    }));
    // It is the first to stop: all of the time for others is its own.
    let started = Started::new("broker", address, stage, |_others| async move {
        let running = slot.lock().take();
        match running {
            Some(running) => running.stop().await,
            None => Ok(()),
        }
    });
    Ok(Started { also, ..started })
}
