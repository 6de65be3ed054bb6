//! The plugins of the process: loaded before its listeners open, let go after they are closed.

mod rows;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use blockhouse_disk::RealDisk;
use blockhouse_hook::{Outcome, PluginEvent};
use blockhouse_host::{
    Changes, CustomKind, CustomMetric, HookStatus, Host, Node, Parts, Publisher, Status,
};
use blockhouse_meter::{CustomCounts, CustomValue, PluginChanges, PluginCounts, PluginHookCounts};

use super::{Role, Shared};
use crate::options::Config;
pub(super) use rows::rows;
pub(crate) use rows::{CaseFile, DeployRequest, Named, Wanted};

/// Where a node keeps its components, each named by its digest.
pub(crate) fn dir(data: &Path) -> PathBuf {
    data.join("blockhouse").join("plugins")
}

/// What a process is to its plugins.
pub(crate) const fn role(role: Role) -> blockhouse_host::Role {
    if role.has_broker() {
        blockhouse_host::Role::Broker
    } else {
        blockhouse_host::Role::NameServer
    }
}

/// Loads what the configuration binds, and puts it in force.
pub(super) fn start(
    config: &Config,
    role: Role,
    shared: &Shared,
) -> anyhow::Result<Option<Arc<Host>>> {
    let node = &config.node;
    let is_broker = role.has_broker();
    let advertised = || match node.advertise {
        Some(ip) => format!("{ip}:{}", node.broker_listen.port()),
        None => node.broker_listen.to_string(),
    };
    let parts = Parts {
        disk: Arc::new(RealDisk),
        dir: dir(&node.data),
        compiler: crate::plugin::compiler(),
        clock: Arc::clone(&shared.clock),
        cores: std::thread::available_parallelism().map_or(1, usize::from),
        node: Node {
            role: self::role(role),
            // A name server has none; its address tells it from others, as in metrics.
            name: super::node_name(config, role).to_owned(),
            cluster: if is_broker { node.cluster.clone() } else { String::new() },
            address: if is_broker { advertised() } else { String::new() },
            version: env!("CARGO_PKG_VERSION").to_owned(),
        },
        publisher: is_broker.then(|| Arc::clone(&shared.publisher) as Arc<dyn Publisher>),
        hooks: Arc::clone(&shared.hooks),
        native: shared.hooks.load().hooks().to_vec(),
    };
    let Some(host) = Host::start(&config.plugins, parts)? else { return Ok(None) };
    for plugin in host.status().iter().filter(|plugin| !plugin.disabled) {
        let hooks: Vec<&str> = plugin.hooks.iter().map(|hook| hook.hook.name()).collect();
        tracing::info!("plugin {} ({}) at {}", plugin.name, plugin.digest, hooks.join(", "));
        shared.auditor.plugin(&PluginEvent {
            name: &plugin.name,
            action: "load",
            outcome: if plugin.loaded { Outcome::Allowed } else { Outcome::Failed },
            reason: plugin.problem.as_ref().unwrap_or(&plugin.digest),
            caller: None,
        });
    }
    let host = Arc::new(host);
    let counted = Arc::clone(&host);
    shared.meter.before_read(Box::new(move |meter| {
        let code = counted.code();
        for (gauge, count) in
            meter.plugin_code.iter().zip([code.cached, code.compiled, code.refused])
        {
            gauge.set(i64::try_from(count).unwrap_or(i64::MAX));
        }
    }));
    let counted = Arc::clone(&host);
    shared
        .meter
        .watch_plugins(Box::new(move || counted.status().into_iter().map(counts).collect()));
    let changed = Arc::clone(&host);
    shared.meter.watch_plugin_changes(Box::new(move || {
        let Changes { generation, done, refused, reverted } = changed.changes();
        PluginChanges { generation, done, refused, reverted }
    }));
    let noted = Arc::clone(&host);
    shared.readiness.watch_plugins(Box::new(move || notes(&noted.status())));
    Ok(Some(host))
}

/// What is not as the configuration says though the node is ready.
fn notes(status: &[Status]) -> Vec<String> {
    let disabled = status.iter().filter(|plugin| plugin.disabled);
    let required =
        |plugin: &Status| if plugin.binding.required { ", which is required," } else { "" };
    let note = |plugin: &Status| {
        let (name, required) = (&plugin.name, required(plugin));
        format!(
            "plugins: {name}{required} is disabled; `blockhouse plugin enable {name}` brings it back"
        )
    };
    disabled.map(note).collect()
}

fn counts(status: Status) -> PluginCounts {
    let hook = |hook: HookStatus| PluginHookCounts {
        hook: hook.hook.name(),
        calls: hook.calls,
        messages: hook.messages,
        nanoseconds: hook.nanoseconds,
        objections: hook.objections,
        verdicts: hook.verdicts.into_iter().collect(),
        disagreements: hook.disagreements,
        lost: hook.lost,
        failures: hook.failures.into_iter().collect(),
    };
    PluginCounts {
        plugin: status.name,
        loaded: status.loaded,
        breaker_open: status.breaker_open,
        instances: status.instances,
        memory_bytes: status.memory_bytes,
        unhealthy: status.unhealthy,
        hooks: status.hooks.into_iter().map(hook).collect(),
        custom: status.metrics.into_iter().map(custom).collect(),
    }
}

fn custom(metric: CustomMetric) -> CustomCounts {
    let value = match metric.kind {
        CustomKind::Counter => CustomValue::Counter(metric.count),
        CustomKind::Gauge => CustomValue::Gauge(metric.value),
        CustomKind::Histogram => CustomValue::Histogram {
            count: metric.count,
            sum: metric.value,
            buckets: metric.buckets,
        },
    };
    CustomCounts { name: metric.name, help: metric.help, value }
}

/// Lets the plugins go, once no request can reach them.
pub(super) async fn stop(plugins: Option<Arc<Host>>) {
    let Some(host) = plugins else { return };
    if tokio::task::spawn_blocking(move || host.close()).await.is_err() {
        tracing::error!("the plugins did not stop cleanly");
    }
}
