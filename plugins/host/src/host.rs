//! All plugins of a process.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use blockhouse_disk::{Disk, whole};
use blockhouse_hook::{Auditor, Hook};
use blockhouse_model::Clock;
use blockhouse_package::Digest;
use serde::Serialize;

use crate::binding::{Binding, Config, Mode};
use crate::blueprint::{Blueprint, COMPONENT_MAX};
use crate::compiler::Compiler;
use crate::contract::imported::metrics::Kind;
use crate::engine::Engine;
use crate::hook::PluginHook;
use crate::imports::{Kv, Lines, Metrics, Publisher};
use crate::interface::Interface;
use crate::keeper::Threads;
use crate::loader::CodeCounts;
use crate::outside::{self, Outside};
use crate::plugin::{Loaded, Plugin};
use crate::state::Resources;
use crate::{Error, Failure};

/// What kind of process runs the plugins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// It stores messages; `standalone` is one too.
    Broker,
    /// It answers route queries.
    NameServer,
}

/// What plugins are told of the process.
#[derive(Clone, Debug)]
pub struct Node {
    /// What kind of process this is.
    pub role: Role,
    /// The node's name.
    pub name: String,
    /// The cluster it belongs to; empty on a name server.
    pub cluster: String,
    /// The address that stored messages carry; empty on a name server.
    pub address: String,
    /// The version of Blockhouse.
    pub version: String,
}

/// What a host is made of.
pub struct Parts {
    /// Where components are read from.
    pub disk: Arc<dyn Disk>,
    /// The directory with the components, each named by its digest.
    pub dir: PathBuf,
    /// Where they are compiled. What comes of it is kept in `dir`.
    pub compiler: Compiler,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Cores that serve connections.
    pub cores: usize,
    /// What plugins are told.
    pub node: Node,
    /// Whom decisions are told; that of the chain in which the plugins will stand.
    pub auditor: Arc<Auditor>,
    /// Stores what plugins send; `None` where nothing is stored.
    pub publisher: Option<Arc<dyn Publisher>>,
}

/// All plugins of a process. Close it before the process ends.
pub struct Host {
    plugins: Vec<Arc<Plugin>>,
    engine: Arc<Engine>,
    threads: Threads,
    outside: Outside,
}

/// How a plugin does, to be shown.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    /// The binding.
    pub name: String,
    /// The component.
    pub digest: String,
    /// Whether it could be loaded.
    pub loaded: bool,
    /// Whether its answers take effect.
    pub mode: Mode,
    /// Whether it is left alone because it failed too often.
    pub breaker_open: bool,
    /// Instances, ready and at work.
    pub instances: u64,
    /// What was counted, by hook.
    pub hooks: Vec<HookStatus>,
    /// Metrics that the plugin made itself.
    pub metrics: Vec<CustomMetric>,
    /// What its binding lets it import.
    pub grants: Vec<String>,
}

/// A metric that a plugin made itself.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CustomMetric {
    /// Its name.
    pub name: String,
    /// What it is about.
    pub help: String,
    /// A counter's count, or how many values a histogram saw.
    pub count: u64,
    /// A gauge's value, or the sum of what a histogram saw.
    pub value: f64,
    /// What it does.
    pub kind: CustomKind,
    /// A histogram's bounds, and how many values are at most as large.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub buckets: Vec<(f64, u64)>,
}

/// What a metric that a plugin made itself does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum CustomKind {
    /// It only goes up.
    Counter,
    /// It goes up and down.
    Gauge,
    /// It counts values by size.
    Histogram,
}

/// What was counted of one hook.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct HookStatus {
    /// The hook.
    pub hook: Interface,
    /// Calls, those that failed included.
    pub calls: u64,
    /// Messages, or requests where there are none.
    pub messages: u64,
    /// Time in the plugin, in nanoseconds.
    pub nanoseconds: u64,
    /// Answers that were not "go on"; in shadow mode they had no effect.
    pub objections: u64,
    /// Calls that failed, by kind; a kind that did not happen is not there.
    pub failures: BTreeMap<&'static str, u64>,
    /// Events for which the queue had no room.
    pub lost: u64,
}

/// Where the component of this digest is kept in `dir`.
#[must_use]
pub fn component_path(dir: &Path, digest: &str) -> PathBuf {
    dir.join(format!("{}.wasm", digest.replace(':', "-")))
}

impl Host {
    /// Loads all bindings; `None` if there is nothing to load.
    ///
    /// # Errors
    /// The first binding that is required and cannot be loaded.
    pub fn start(config: &Config, parts: &Parts) -> Result<Option<Self>, Error> {
        if !config.enabled || config.binding.is_empty() {
            return Ok(None);
        }
        let engine = Arc::new(Engine::start(config, parts)?);
        let node = Arc::new(parts.node.clone());
        let threads = Threads::start(Arc::clone(&parts.auditor))?;
        let outside = Outside::new(config, parts);
        let mut bindings: Vec<&Binding> = config.binding.iter().collect();
        bindings.sort_by(|a, b| (a.order, &a.name).cmp(&(b.order, &b.name)));
        let mut plugins = Vec::with_capacity(bindings.len());
        for binding in bindings {
            let plugin = match load(binding, &engine, &node, parts, &threads, &outside) {
                Ok(plugin) => plugin,
                Err(e) if binding.required => return Err(e),
                Err(e) => {
                    tracing::error!("{e}. Its hooks fail as the binding says");
                    Plugin::missing(binding, threads.keeper(), Arc::clone(&parts.clock))
                }
            };
            let plugin = Arc::new(plugin);
            threads.keeper().refill(&plugin);
            plugins.push(plugin);
        }
        Ok(Some(Self { plugins, engine, threads, outside }))
    }

    /// The plugins as hooks, in their order.
    #[must_use]
    pub fn hooks(&self) -> Vec<Arc<dyn Hook>> {
        self.plugins.iter().map(|plugin| PluginHook::of(plugin) as Arc<dyn Hook>).collect()
    }

    /// How each plugin does.
    #[must_use]
    pub fn status(&self) -> Vec<Status> {
        self.plugins
            .iter()
            .map(|plugin| Status {
                name: plugin.binding.name.clone(),
                digest: plugin.binding.digest.clone(),
                loaded: plugin.loaded.is_some(),
                mode: plugin.binding.mode,
                breaker_open: plugin.breaker.is_open(),
                instances: plugin.live(),
                hooks: plugin.hooks().into_iter().map(|hook| counted(plugin, hook)).collect(),
                metrics: plugin.loaded.as_ref().map(custom).unwrap_or_default(),
                grants: plugin.binding.grants.spelled(),
            })
            .collect()
    }

    /// How components came to be code.
    #[must_use]
    pub fn code(&self) -> CodeCounts {
        self.engine.loader.counts()
    }

    /// Tells the plugins that the process stops, and ends the threads. Calls that come later fail
    /// or find no instance ready.
    pub fn close(&self) {
        for plugin in &self.plugins {
            plugin.process_stopping();
        }
        self.threads.stop(|| self.outside.close());
    }
}

fn load(
    binding: &Binding,
    engine: &Arc<Engine>,
    node: &Arc<Node>,
    parts: &Parts,
    threads: &Threads,
    outside: &Outside,
) -> Result<Plugin, Error> {
    let bytes = read(binding, parts)?;
    let (http, publish) = outside.of(binding, &bytes)?;
    let shared = Arc::new(Resources {
        name: binding.name.as_str().into(),
        grants: binding.grants.clone(),
        clock: Arc::clone(&parts.clock),
        lines: Lines::default(),
        kv: Kv::default(),
        metrics: Metrics::default(),
        http,
        publish,
    });
    let blueprint = Blueprint::new(engine, binding, &bytes, shared, node)?;
    check_scopes(binding, &blueprint.indices.hooks())?;
    outside::check_hooks(binding, &blueprint.indices.hooks())?;
    let keeper = threads.keeper_of(binding)?;
    Plugin::start(binding, blueprint, parts.cores, keeper, Arc::clone(&parts.clock))
}

fn read(binding: &Binding, parts: &Parts) -> Result<Vec<u8>, Error> {
    let name = binding.name.clone();
    let path = component_path(&parts.dir, &binding.digest);
    let len = parts.disk.open_read(&path).and_then(|file| file.len()).unwrap_or(0);
    if len > COMPONENT_MAX {
        let problem = format!("its component is larger than {} MiB", COMPONENT_MAX >> 20);
        return Err(Error::Component { name, problem });
    }
    // What cannot be opened is told by the read.
    let bytes = match whole::read(parts.disk.as_ref(), &path) {
        Ok(Some(bytes)) => bytes,
        Ok(None) => return Err(Error::Missing { name, path }),
        Err(source) => return Err(Error::Read { name, path, source }),
    };
    let found = Digest::of(&bytes).to_string();
    if found != binding.digest {
        let expected = binding.digest.clone();
        return Err(Error::Digest { name, expected, found });
    }
    Ok(bytes)
}

/// A scope that a hook has nothing to compare with would silently match nothing or everything.
fn check_scopes(binding: &Binding, hooks: &[Interface]) -> Result<(), Error> {
    let lacks = |what: &str, has: fn(Interface) -> bool| {
        let hook = hooks.iter().find(|hook| !has(**hook))?;
        Some(format!("{hook} knows no {what}: bind it without `{what}s`, or list other `hooks`"))
    };
    let problem =
        if binding.topics.is_empty() { None } else { lacks("topic", Interface::has_topic) };
    let problem = problem.or_else(|| {
        if binding.groups.is_empty() { None } else { lacks("group", Interface::has_group) }
    });
    match problem {
        Some(problem) => Err(Error::Binding { name: binding.name.clone(), problem }),
        None => Ok(()),
    }
}

fn custom(loaded: &Loaded) -> Vec<CustomMetric> {
    let all = loaded.blueprint.shared.metrics.all().into_iter();
    all.map(|custom| CustomMetric {
        name: custom.name.clone(),
        help: custom.help.clone(),
        count: custom.count.load(Ordering::Relaxed),
        value: f64::from_bits(custom.value.load(Ordering::Relaxed)),
        kind: match custom.kind {
            Kind::Counter => CustomKind::Counter,
            Kind::Gauge => CustomKind::Gauge,
            Kind::Histogram => CustomKind::Histogram,
        },
        buckets: custom.buckets(),
    })
    .collect()
}

fn counted(plugin: &Plugin, hook: Interface) -> HookStatus {
    let counts = plugin.counts(hook);
    let read = |cell: &std::sync::atomic::AtomicU64| cell.load(Ordering::Relaxed);
    HookStatus {
        hook,
        calls: read(&counts.calls),
        messages: read(&counts.messages),
        nanoseconds: read(&counts.nanoseconds),
        objections: read(&counts.objections),
        failures: (Failure::KINDS.into_iter().zip(&counts.failures))
            .map(|(kind, count)| (kind, read(count)))
            .filter(|(_, count)| *count > 0)
            .collect(),
        lost: read(&counts.lost),
    }
}
