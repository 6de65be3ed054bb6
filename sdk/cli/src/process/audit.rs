//! The audit log of the process: open before anything is decided, closed when nothing is any more.

mod rows;

use std::sync::Arc;

use anyhow::Context as _;
use blockhouse_audit::{AuditLog, DIR, Parts, Status};
use blockhouse_disk::RealDisk;

use super::{Role, Shared};
use crate::options::Config;
use crate::out;
pub(super) use rows::rows;

/// Opens the log, if there is to be one.
pub(super) fn start(
    config: &Config,
    role: Role,
    shared: &Shared,
) -> anyhow::Result<Option<Arc<AuditLog>>> {
    if !config.audit.enabled {
        return Ok(None);
    }
    let parts = Parts {
        disk: Arc::new(RealDisk),
        dir: config.node.data.join(DIR),
        node: super::node_name(config, role).to_owned(),
        clock: Arc::clone(&shared.clock),
        counts: Arc::clone(&shared.meter.audit),
    };
    let log = AuditLog::start(&config.audit, parts).context("the audit log")?;
    out::line(&format!("audit    public key {}", log.public_key()));
    let log = Arc::new(log);
    let noted = Arc::clone(&log);
    shared.readiness.watch_audit(Box::new(move || noted.status().trouble));
    let counted = Arc::clone(&log);
    shared.meter.before_read(Box::new(move |meter| {
        let Status { pending, lag, .. } = counted.status();
        meter.audit.pending.set(i64::try_from(pending).unwrap_or(i64::MAX));
        meter.audit.lag_ms.set(i64::try_from(lag.as_millis()).unwrap_or(i64::MAX));
    }));
    Ok(Some(log))
}

/// Writes and signs what is left.
pub(super) async fn stop(log: Option<Arc<AuditLog>>) {
    let Some(log) = log else { return };
    if tokio::task::spawn_blocking(move || log.close()).await.is_err() {
        tracing::error!("the audit log did not end cleanly");
    }
}
