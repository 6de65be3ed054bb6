//! What goes to collectors: metrics and events of the log. Spans are in `traces`.

use std::sync::Arc;
use std::sync::mpsc::Receiver;

use anyhow::Context as _;
use blockhouse_telemetry::logs::{self, LogEvent, LogExporter, LogQueue};
use blockhouse_telemetry::metrics::{self, MetricExporter};
use blockhouse_telemetry::otlp::Transport;
use blockhouse_telemetry::{Exporter, Identity};
use blockhouse_transport::tls::Connector;

use super::{Role, Shared, headers, ops, tls, traces};
use crate::options::Config;

/// Events that wait, and where they come from.
pub(super) type Events = (LogQueue, Receiver<LogEvent>);

/// Where events of the log wait until the process can send them, if there is a collector.
pub(super) fn events(config: &Config) -> Option<Events> {
    let logs = &config.telemetry.logs;
    logs.is_on().then(|| LogQueue::new(logs.queue_max))
}

/// Starts to export what has a collector, before the broker starts. Also what encrypts the way there, for
/// those who look whether its files changed.
pub(super) fn start(
    config: &Config,
    role: Role,
    shared: &Shared,
    events: Option<Events>,
) -> anyhow::Result<Option<Arc<Connector>>> {
    let identity = ops::identity(config, role);
    let (transport, connector) = tls::to_collectors(&config.telemetry, &shared.clock)?;
    let has_some = config.telemetry.endpoints().next().is_some();
    let file = has_some.then_some(&config.telemetry.otlp.headers_file);
    let transport =
        transport.with_secrets(file.map(|path| headers::load(path)).transpose()?.flatten());
    if let Some(events) = events {
        start_logs(config, &identity, shared, &transport, events)?;
    }
    if config.telemetry.metrics.is_on() {
        start_metrics(config, &identity, shared, &transport)?;
    }
    traces::start(config, role, identity, shared, &transport)?;
    Ok(connector)
}

fn start_metrics(
    config: &Config,
    identity: &Identity,
    shared: &Shared,
    transport: &Transport,
) -> anyhow::Result<()> {
    let (meter, clock) = (Arc::clone(&shared.meter), Arc::clone(&shared.clock));
    let counts = Arc::default();
    meter.watch_metric_exports(&counts);
    let exporter = Arc::new(Exporter::new(identity.clone(), meter, Arc::clone(&clock))?);
    let parts = metrics::Parts { identity: identity.clone(), exporter, counts, clock };
    let exporter = MetricExporter::new(&config.telemetry.metrics, transport, parts);
    let exporter = exporter.context("telemetry.metrics.endpoint")?;
    let tasks = shared.tasks.child("metrics");
    let mut stop = tasks.shutdown();
    tasks.spawn("metrics", exporter.run(async move { stop.requested().await }));
    Ok(())
}

fn start_logs(
    config: &Config,
    identity: &Identity,
    shared: &Shared,
    transport: &Transport,
    (queue, events): Events,
) -> anyhow::Result<()> {
    let counts = Arc::clone(queue.counts());
    shared.meter.watch_log_exports(&counts);
    let (identity, clock) = (identity.clone(), Arc::clone(&shared.clock));
    let parts = logs::Parts { identity, events, counts, clock };
    let exporter = LogExporter::new(&config.telemetry.logs, transport, parts);
    let exporter = exporter.context("telemetry.logs.endpoint")?;
    let tasks = shared.tasks.child("logs");
    let mut stop = tasks.shutdown();
    tasks.spawn("logs", exporter.run(async move { stop.requested().await }));
    Ok(())
}
