//! TLS of the process: its files read before listeners open, and again when they change.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use blockhouse_broker::Tls;
use blockhouse_disk::{Disk, RealDisk};
use blockhouse_meter::Connections;
use blockhouse_model::Clock;
use blockhouse_service::{Hangups, Tasks};
use blockhouse_telemetry::otlp::Transport;
use blockhouse_transport::tls::{Acceptor, Config, Connector, Mode, Outgoing};

use crate::options;

/// Longest sleep while a client's certificate is going to end. Under a second, which is promised.
const LOOK_AT_CLOCK: Duration = Duration::from_millis(500);

/// Reads and tries all files that the section names.
pub(super) fn load(
    config: &Config,
    clock: &Arc<dyn Clock>,
    counts: &Arc<Connections>,
) -> anyhow::Result<Tls> {
    let disk: Arc<dyn Disk> = Arc::new(RealDisk);
    let acceptor = Acceptor::load(config, Arc::clone(&disk), Arc::clone(clock), Arc::clone(counts))
        .context("the listeners' TLS ([tls])")?;
    let connector = if config.outgoing.enabled {
        let loaded = Connector::load(&config.outgoing, disk, Arc::clone(clock));
        Some(Arc::new(loaded.context("TLS to name servers ([tls.outgoing])")?))
    } else {
        None
    };
    Ok(Tls { acceptor, connector })
}

/// The way to collectors, and what encrypts it, if any of them wants that.
pub(super) fn to_collectors(
    config: &blockhouse_telemetry::Config,
    clock: &Arc<dyn Clock>,
) -> anyhow::Result<(Transport, Option<Arc<Connector>>)> {
    if !config.endpoints().any(|(_, endpoint)| endpoint.is_tls) {
        return Ok((Transport::new(&config.otlp, None), None));
    }
    let blockhouse_telemetry::otlp::Config { ca, cert, key, .. } = config.otlp.clone();
    let outgoing = Outgoing { enabled: true, ca, cert, key, ..Outgoing::default() };
    let connector = Connector::load(&outgoing, Arc::new(RealDisk), Arc::clone(clock));
    let connector = Arc::new(connector.context("TLS to collectors ([telemetry.otlp])")?);
    let current = Arc::clone(&connector);
    let transport = Transport::new(&config.otlp, Some(Arc::new(move || current.client_config())));
    Ok((transport, Some(connector)))
}

/// Whether there are files that [`watch`] looks at.
pub(super) fn is_read_again(config: &options::Config) -> bool {
    config.tls.mode != Mode::Disabled
        || config.tls.outgoing.enabled
        || config.telemetry.endpoints().any(|(_, endpoint)| endpoint.is_tls)
}

/// Looks at the files every `reload_ms` and at each SIGHUP. Without TLS nothing is started.
pub(super) fn watch(
    tls: &Tls,
    collectors: Option<Arc<Connector>>,
    config: &Config,
    tasks: &Tasks,
) -> anyhow::Result<()> {
    let connectors: Vec<_> = tls.connector.iter().cloned().chain(collectors).collect();
    if tls.acceptor.is_none() && connectors.is_empty() {
        return Ok(());
    }
    if let Some(acceptor) = &tls.acceptor {
        expire(Arc::clone(acceptor), tasks);
    }
    let mut hangups = Hangups::listen()?;
    let period = Duration::from_millis(config.reload_ms);
    let (acceptor, group, mut shutdown) = (tls.acceptor.clone(), tasks.clone(), tasks.shutdown());
    tasks.spawn_vital("certificates", async move {
        loop {
            tokio::select! {
                goes_on = shutdown.wait(period) => if !goes_on { return },
                () = hangups.next() => tracing::info!("SIGHUP: looking at certificates"),
            }
            let (acceptor, connectors) = (acceptor.clone(), connectors.clone());
            let looking = group.spawn_blocking("certificates", move || {
                look(acceptor.as_deref(), &connectors);
            });
            // A panic is logged by the group; the next look is another try.
            let _panicked = looking.await;
        }
    });
    Ok(())
}

/// Closes connections when their clients' certificates end. The clock of the world can be set while one waits:
/// it is looked at twice a second.
fn expire(acceptor: Arc<Acceptor>, tasks: &Tasks) {
    let mut shutdown = tasks.shutdown();
    tasks.spawn_vital("ends of certificates", async move {
        loop {
            let Some(next) = acceptor.expire() else {
                tokio::select! {
                    () = acceptor.another() => continue,
                    () = shutdown.requested() => return,
                }
            };
            if !shutdown.wait(next.min(LOOK_AT_CLOCK)).await {
                return;
            }
        }
    });
}

fn look(acceptor: Option<&Acceptor>, connectors: &[Arc<Connector>]) {
    // What is wrong was logged where it was found.
    let _logged = acceptor.map(Acceptor::reload);
    for connector in connectors {
        let _logged = connector.reload();
    }
}
