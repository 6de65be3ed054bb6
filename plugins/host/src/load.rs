//! From a binding to a plugin that can be put in force.

use std::path::PathBuf;
use std::sync::Arc;

use blockhouse_disk::whole;
use blockhouse_hook::Hook;
use blockhouse_package::{Hashed, Manifest};
use bytes::Bytes;
use parking_lot::Mutex;

use crate::Error;
use crate::binding::{Binding, Config};
use crate::blueprint::{Blueprint, COMPONENT_MAX};
use crate::code_source::CodeCounts;
use crate::engine::Engine;
use crate::hook::PluginHook;
use crate::host::{Node, Parts, component_path};
use crate::imports::{Lines, Metrics};
use crate::interface::Interface;
use crate::keeper::{Keeper, Threads};
use crate::lasting::Lasting;
use crate::outside::{self, Outside, Reach};
use crate::plugin::Plugin;
use crate::state::Resources;

/// A bound plugin in a set, or on its way into one.
pub(crate) struct Member {
    /// How it is bound, with the `config` in force.
    pub(crate) binding: Binding,
    /// What it says of itself, if that is known.
    pub(crate) manifest: Option<Manifest>,
    pub(crate) plugin: Arc<Plugin>,
    pub(crate) hook: Arc<dyn Hook>,
    /// Why it is not there, if it is not.
    pub(crate) problem: Option<String>,
}

impl Member {
    pub(crate) fn new(binding: Binding, manifest: Option<Manifest>, plugin: Plugin) -> Self {
        let plugin = Arc::new(plugin);
        let hook: Arc<dyn Hook> = PluginHook::of(&plugin);
        Self { binding, manifest, plugin, hook, problem: None }
    }

    /// The same plugin with another `config`.
    pub(crate) fn with(&self, binding: Binding) -> Self {
        Self {
            binding,
            manifest: self.manifest.clone(),
            plugin: Arc::clone(&self.plugin),
            hook: Arc::clone(&self.hook),
            problem: self.problem.clone(),
        }
    }

    pub(crate) fn version(&self) -> Option<String> {
        self.manifest.as_ref().map(|manifest| manifest.version.to_string())
    }
}

/// Makes plugins.
pub(crate) struct Loader {
    pub(crate) parts: Parts,
    pub(crate) keeper: Keeper,
    pub(crate) outside: Outside,
    config: Config,
    threads: Arc<Threads>,
    node: Arc<Node>,
    /// Started with the first plugin: its thread ticks.
    engine: Mutex<Option<Arc<Engine>>>,
}

impl Loader {
    pub(crate) fn new(config: &Config, parts: Parts, threads: Arc<Threads>) -> Self {
        Self {
            node: Arc::new(parts.node.clone()),
            keeper: threads.keeper(),
            outside: Outside::new(config, &parts),
            config: config.clone(),
            threads,
            engine: Mutex::default(),
            parts,
        }
    }

    /// How components came to be code.
    pub(crate) fn code(&self) -> CodeCounts {
        self.engine.lock().as_ref().map(|engine| engine.code.counts()).unwrap_or_default()
    }

    fn engine(&self) -> Result<Arc<Engine>, Error> {
        let mut engine = self.engine.lock();
        if let Some(engine) = &*engine {
            return Ok(Arc::clone(engine));
        }
        let started = Arc::new(Engine::start(&self.config, &self.parts)?);
        *engine = Some(Arc::clone(&started));
        Ok(started)
    }

    pub(crate) fn path(&self, digest: &str) -> PathBuf {
        component_path(&self.parts.dir, digest)
    }

    /// The component's bytes, which are those that the binding names.
    pub(crate) fn read(&self, binding: &Binding) -> Result<Hashed, Error> {
        let name = binding.name.clone();
        let path = self.path(&binding.digest);
        let disk = self.parts.disk.as_ref();
        let len = disk.open_read(&path).and_then(|file| file.len()).unwrap_or(0);
        if len > COMPONENT_MAX {
            let problem = format!("its component is larger than {} MiB", COMPONENT_MAX >> 20);
            return Err(Error::Component { name, problem });
        }
        // What cannot be opened is told by the read.
        let bytes = match whole::read(disk, &path) {
            Ok(Some(bytes)) => bytes,
            Ok(None) => return Err(Error::Missing { name, path }),
            Err(source) => return Err(Error::Read { name, path, source }),
        };
        let hashed = Hashed::from(Bytes::from(bytes));
        let found = hashed.digest().to_string();
        if found != binding.digest {
            let expected = binding.digest.clone();
            return Err(Error::Digest { name, expected, found });
        }
        Ok(hashed)
    }

    /// Compiles it and brings up its first instance. Nobody has asked who vouches for it.
    pub(crate) fn make(
        &self,
        binding: &Binding,
        bytes: &[u8],
        lasting: Lasting,
    ) -> Result<Plugin, Error> {
        let reach = self.outside.of(binding, bytes)?;
        let shared = self.resources(binding, lasting, reach);
        let blueprint = Blueprint::new(&self.engine()?, binding, bytes, shared, &self.node)?;
        check_scopes(binding, &blueprint.indices.hooks())?;
        outside::check_hooks(binding, &blueprint.indices.hooks())?;
        self.start(binding, blueprint, self.parts.cores)
    }

    pub(crate) fn start(
        &self,
        binding: &Binding,
        blueprint: Blueprint,
        cores: usize,
    ) -> Result<Plugin, Error> {
        let clock = Arc::clone(&self.parts.clock);
        let keeper = self.threads.keeper_of(binding, &blueprint.indices.hooks())?;
        Plugin::start(binding, blueprint, cores, keeper, clock)
    }

    /// What the instances of one plugin share.
    pub(crate) fn resources(
        &self,
        binding: &Binding,
        lasting: Lasting,
        (http, publish): Reach,
    ) -> Arc<Resources> {
        Arc::new(Resources {
            name: binding.name.as_str().into(),
            grants: binding.grants.clone(),
            clock: Arc::clone(&self.parts.clock),
            memory: Arc::default(),
            lines: Lines::kept_in(lasting.ring),
            kv: lasting.kv,
            metrics: Metrics::default(),
            http,
            publish,
        })
    }

    /// One that is not there: its hooks fail.
    pub(crate) fn missing(&self, binding: &Binding, problem: Option<String>) -> Member {
        let clock = Arc::clone(&self.parts.clock);
        // Without a thread for it what it is not told is lost, as it would be anyway.
        let keeper = self.threads.keeper_of(binding, &binding.hooks);
        let keeper = keeper.unwrap_or_else(|_| self.keeper.clone());
        let plugin = Plugin::missing(binding, keeper, clock);
        Member { problem, ..Member::new(binding.clone(), None, plugin) }
    }
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
