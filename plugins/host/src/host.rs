//! All plugins of a process.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use blockhouse_disk::Disk;
use blockhouse_hook::{Hook, Hooks};
use blockhouse_model::Clock;
use bytes::Bytes;

use crate::Error;
use crate::binding::Config;
use crate::code_source::CodeCounts;
use crate::compiler::Compiler;
use crate::imports::Publisher;
use crate::keeper::Threads;
use crate::load::{Loader, Member};
use crate::record::Record;
use crate::ring::LogLine;
use crate::set::Set;
use crate::status::{self, Status};
use crate::trace::{TraceRequest, Traced};

/// How long plugins, all together, are told that the process stops.
const LAST_WORDS: Duration = Duration::from_secs(1);

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
    /// The chain in force: the plugins are swapped in there.
    pub hooks: Arc<Hooks>,
    /// Native hooks, which stand before all plugins.
    pub native: Vec<Arc<dyn Hook>>,
    /// Stores what plugins send; `None` where nothing is stored.
    pub publisher: Option<Arc<dyn Publisher>>,
}

/// All plugins of a process. Close it before the process ends.
pub struct Host {
    pub(crate) set: Arc<Set>,
    threads: Arc<Threads>,
}

/// What became of changes so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// The number of changes that the node has seen, over restarts.
    pub generation: u64,
    /// Made.
    pub done: u64,
    /// Refused; nothing changed.
    pub refused: u64,
    /// Taken back by the node itself.
    pub reverted: u64,
}

/// Where the component of this digest is kept in `dir`.
#[must_use]
pub fn component_path(dir: &Path, digest: &str) -> PathBuf {
    dir.join(format!("{}.wasm", digest.replace(':', "-")))
}

impl Host {
    /// Loads all bindings and puts them in force; `None` if plugins are switched off.
    ///
    /// # Errors
    /// The first binding that is required and cannot be loaded, and what was deployed if it cannot be
    /// read.
    pub fn start(config: &Config, parts: Parts) -> Result<Option<Self>, Error> {
        if !config.enabled {
            return Ok(None);
        }
        let record = Record::read(parts.disk.as_ref(), &parts.dir, parts.node.role)?;
        let threads = Arc::new(Threads::start(parts.hooks.auditor().cloned())?);
        let loader = Loader::new(config, parts, Arc::clone(&threads));
        let set = Set::new(config.clone(), loader, record);
        set.bring_up()?;
        Ok(Some(Self { set, threads }))
    }

    /// The plugins as hooks, in their order.
    #[must_use]
    pub fn hooks(&self) -> Vec<Arc<dyn Hook>> {
        self.set.state.lock().hooks()
    }

    /// The process serves requests: all plugins are told so within a second, and those that come later as
    /// well. Where a plugin does not come to an end, or the second is over, instances are made anew beside.
    pub fn process_started(&self) {
        self.set.process_started();
    }

    /// As [`crate::Changing::put_component`], by the node itself.
    ///
    /// # Errors
    /// As there.
    pub fn put_component(&self, bytes: Bytes, digest: &str) -> Result<(), Error> {
        self.change_for(None).put_component(bytes, digest)
    }

    /// Compares new versions with those before, asks plugins how they are, and lets go of old
    /// instances. A thread of the host does that by itself from time to time.
    pub fn look(&self) {
        self.set.look_at_health();
        if let Ok(_change) = self.set.begin() {
            self.set.look_now();
        }
    }

    /// What became of changes so far.
    #[must_use]
    pub fn changes(&self) -> Changes {
        let outcomes = &self.set.outcomes;
        Changes {
            generation: self.set.state.lock().record.generation,
            done: outcomes.done.load(Ordering::Relaxed),
            refused: outcomes.refused.load(Ordering::Relaxed),
            reverted: outcomes.reverted.load(Ordering::Relaxed),
        }
    }

    /// The lines of a plugin with greater numbers than `number`, the oldest first; `None` if there
    /// is no such plugin.
    #[must_use]
    pub fn lines(&self, name: &str, number: u64, max: usize) -> Option<Vec<LogLine>> {
        let state = self.set.state.lock();
        state.record.binding(&self.set.config.binding, name)?;
        Some(state.lines_of(name).map(|ring| ring.after(number, max)).unwrap_or_default())
    }

    /// Begins to record the calls of single requests, in place of what was recorded before. Gives what
    /// [`Host::traced`] asks with.
    ///
    /// # Errors
    /// There is no such plugin.
    pub fn trace(&self, wanted: TraceRequest) -> Result<u64, Error> {
        if let Some(name) = &wanted.plugin {
            let state = self.set.state.lock();
            let known = state.record.binding(&self.set.config.binding, name).is_some();
            if !known {
                return Err(Error::Unknown { name: name.clone() });
            }
        }
        let loader = &self.set.loader;
        Ok(loader.keeper.trace().begin(wanted, loader.parts.clock.monotonic()))
    }

    /// What was recorded after `cursor`; `None` if another trace has begun since.
    #[must_use]
    pub fn traced(&self, trace: u64, cursor: u64) -> Option<Traced> {
        let loader = &self.set.loader;
        loader.keeper.trace().read(trace, cursor, loader.parts.clock.monotonic())
    }

    /// How each plugin does; those that are disabled come last.
    #[must_use]
    pub fn status(&self) -> Vec<Status> {
        let state = self.set.state.lock();
        let base = &self.set.config.binding;
        let members = state.ordered().into_iter().map(|m| (m.binding.clone(), Some(Arc::clone(m))));
        let out = state.record.bindings(base).into_iter().cloned();
        let out = out.filter(|binding| !state.members.contains_key(&binding.name));
        let all = members.chain(out.map(|binding| (binding, None)));
        all.map(|(mut binding, member)| {
            let entry = state.record.plugins.get(&binding.name);
            let deployed = entry.and_then(|entry| entry.current.as_ref());
            binding.config.clear();
            let mut status = Status {
                name: binding.name.clone(),
                digest: binding.digest.clone(),
                version: deployed.and_then(|kept| kept.version.clone()),
                source: state.record.source(&binding.name),
                disabled: state.record.is_disabled(&binding.name),
                watched: state.is_watched(&binding.name),
                loaded: false,
                problem: None,
                mode: binding.mode,
                breaker_open: false,
                instances: 0,
                memory_bytes: 0,
                unhealthy: 0,
                hooks: Vec::new(),
                metrics: Vec::new(),
                grants: binding.grants.spelled(),
                history: status::past(entry),
                binding,
            };
            if let Some(member) = member {
                fill(&mut status, &member);
            }
            status
        })
        .collect()
    }

    /// How components came to be code.
    #[must_use]
    pub fn code(&self) -> CodeCounts {
        self.set.loader.code()
    }

    /// Tells the plugins that the process stops, and ends the threads. Calls that come later fail
    /// or find no instance ready.
    pub fn close(&self) {
        self.set.stop();
        let members: Vec<_> = self.set.state.lock().members.values().cloned().collect();
        let until = self.set.loader.parts.clock.monotonic().saturating_add(LAST_WORDS);
        for member in members {
            member.plugin.process_stopping(until);
        }
        self.threads.stop(|| self.set.loader.outside.close());
    }
}

impl Drop for Host {
    /// One of the threads may hold the set at this moment: it must not be the one that ends them.
    fn drop(&mut self) {
        self.threads.stop(|| self.set.loader.outside.close());
    }
}

fn fill(status: &mut Status, member: &Member) {
    let plugin = &member.plugin;
    status.version = member.version().or(status.version.take());
    status.loaded = plugin.loaded.is_some();
    status.breaker_open = plugin.breaker.is_open();
    status.problem.clone_from(&member.problem);
    status.instances = plugin.live();
    status.memory_bytes = plugin.memory();
    status.unhealthy = plugin.unhealthy.load(Ordering::Relaxed);
    status.hooks = plugin.hooks().into_iter().map(|hook| status::counted(plugin, hook)).collect();
    status.metrics = plugin.loaded.as_ref().map(status::custom).unwrap_or_default();
}

impl Set {
    /// Loads what the configuration binds and what was deployed.
    fn bring_up(&self) -> Result<(), Error> {
        let record = self.state.lock().record.clone();
        let bindings = record.in_force(&self.config.binding);
        let judge = self.judge()?;
        if judge.demands_nothing() && !bindings.is_empty() {
            tracing::warn!(
                "plugins load without signatures: set plugins.trust.require to load only those of people you trust"
            );
        }
        for binding in bindings {
            let member = match self.load(&judge, binding) {
                Ok(member) => member,
                Err(e) if binding.required => return Err(e),
                Err(e) => {
                    tracing::error!("{e}. Its hooks fail as the binding says");
                    Arc::new(self.loader.missing(binding, Some(e.to_string())))
                }
            };
            self.loader.keeper.refill(&member.plugin);
            self.state.lock().members.insert(binding.name.clone(), member);
        }
        self.swap(&self.state.lock());
        self.ask_to_look();
        Ok(())
    }
}
