//! The policies of the process: in force before its listeners open, changed over the ops listener and by SIGHUP.

mod acls;
mod rows;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::anyhow;
use blockhouse_authz::{Counts, Keeper, Parts, Refused, Report};
use blockhouse_disk::RealDisk;
use blockhouse_hook::{AdminCommand, Auditor, Decided, Hook, Outcome, Subject};
use blockhouse_meter::PolicyCounts;
use blockhouse_model::RequestContext;
use blockhouse_service::{Hangups, Tasks};

use super::Shared;
use crate::options::Config;
pub(super) use rows::rows;
pub(crate) use rows::{ApplyRequest, BODY_MAX};

/// Where a node keeps what was applied while it ran.
fn record(data: &Path) -> PathBuf {
    data.join("blockhouse").join("security").join("policies.json")
}

/// The policies, and who is told of their changes.
pub(super) struct Policies {
    keeper: Keeper,
    auditor: Arc<Auditor>,
    /// Whether others than this host may change them.
    remote_changes: bool,
}

/// Loads the policies.
pub(super) fn start(config: &Config, shared: &Shared) -> anyhow::Result<Option<Arc<Policies>>> {
    if !config.authz.enabled {
        return Ok(None);
    }
    let parts = Parts {
        disk: Arc::new(RealDisk),
        record: record(&config.node.data),
        clock: Arc::clone(&shared.clock),
        is_super: shared.authenticated.super_users(),
        is_known: shared.authenticated.known_users(),
        cluster: config.node.cluster.clone(),
    };
    let keeper = Keeper::start(&config.authz, parts).map_err(|refused| {
        anyhow!("the policies cannot be loaded, so the node does not start:\n{refused}")
    })?;
    keeper.hook().stand_in(&shared.hooks);
    keeper.hook().when_changed(shared.ask_again());
    let report = keeper.report();
    told(&report, "in force");
    let policies = Arc::new(Policies {
        keeper,
        auditor: Arc::clone(&shared.auditor),
        remote_changes: config.authz.remote_changes,
    });
    let counted = Arc::clone(&policies);
    shared.meter.watch_policies(Box::new(move || counts(counted.keeper.counts())));
    reload_on_hangup(&policies, &shared.tasks.child("policies"))?;
    Ok(Some(policies))
}

fn counts(counts: Counts) -> PolicyCounts {
    let Counts { generation, rules, done, refused, decisions } = counts;
    PolicyCounts { decisions, rules, generation, done, refused }
}

fn told(report: &Report, what: &str) {
    let Report { generation, digest, rules, acl_entries, mode, .. } = report;
    tracing::info!(
        "policies {what}: generation {generation}, {rules} rules, {acl_entries} entries of ACLs, {mode}, {digest}"
    );
    for warning in &report.warnings {
        tracing::warn!("policies: {warning}");
    }
}

impl Policies {
    /// What asks them.
    pub(super) fn hook(&self) -> Arc<dyn Hook> {
        Arc::clone(self.keeper.hook()) as Arc<dyn Hook>
    }

    /// Makes a change of the files, and says what came of it.
    fn change(
        &self,
        name: &str,
        caller: Option<&RequestContext>,
        make: impl FnOnce(&Keeper) -> Result<Report, Refused>,
    ) -> Result<Report, Refused> {
        // Who may do it was asked, and told, before; this is what came of it.
        let node = RequestContext::new(([0, 0, 0, 0], 0).into(), 0, 0);
        let cx = caller.unwrap_or(&node);
        let made = self.change_for(cx, AdminCommand { name, target: "policies" }, make);
        if let Err(refused) = &made {
            tracing::error!("policies: {name} refused, the old set stays in force:\n{refused}");
        }
        made
    }

    /// Makes a change for who asked for it, and says what came of it.
    fn change_for<E: std::fmt::Display>(
        &self,
        cx: &RequestContext,
        command: AdminCommand<'_>,
        make: impl FnOnce(&Keeper) -> Result<Report, E>,
    ) -> Result<Report, E> {
        let made = make(&self.keeper);
        self.came_of(cx, &command, made.as_ref());
        made
    }

    /// Says what came of a change.
    fn came_of<E: std::fmt::Display>(
        &self,
        cx: &RequestContext,
        command: &AdminCommand<'_>,
        made: Result<&Report, &E>,
    ) {
        let name = command.name;
        let (outcome, reason) = match made {
            Ok(report) => {
                told(report, name);
                let Report { generation, digest, .. } = report;
                (Outcome::Allowed, format!("generation {generation}, {digest}"))
            }
            Err(refused) => (Outcome::Refused, refused.to_string()),
        };
        let decided = Decided { outcome, by: "authz", shadow: false, reason: &reason };
        self.auditor.tell(Subject::Admin(cx, command), decided);
    }
}

fn reload_on_hangup(policies: &Arc<Policies>, tasks: &Tasks) -> anyhow::Result<()> {
    let mut hangups = Hangups::listen()?;
    let (policies, mut shutdown, blocking) =
        (Arc::clone(policies), tasks.shutdown(), tasks.clone());
    tasks.spawn("reload", async move {
        loop {
            tokio::select! {
                () = hangups.next() => {
                    let policies = Arc::clone(&policies);
                    let reload = move || policies.change("policy-reload", None, Keeper::reload).is_ok();
                    // What came of it is in the log.
                    let _done = blocking.spawn_blocking("reload", reload).await;
                }
                () = shutdown.requested() => return,
            }
        }
    });
    Ok(())
}
