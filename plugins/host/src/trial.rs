//! A plugin on trial: instances that no request sees.

use std::sync::Arc;

use blockhouse_hook::{Hook, HookChain};
use serde_json::{Map, Value};

use crate::Error;
use crate::binding::{Binding, Mode};
use crate::hook::PluginHook;
use crate::lasting::Lasting;
use crate::load::Loader;
use crate::plugin::Plugin;
use crate::status::{self, HookStatus};

/// Milliseconds for a call: trials are not about time, and the machine is busy with other things.
const DEADLINE_MS: u32 = 50;

/// Makes trials of one plugin.
pub struct Trials<'a> {
    pub(crate) loader: &'a Loader,
    pub(crate) binding: &'a Binding,
    pub(crate) plugin: &'a Plugin,
}

/// Instances of their own, bound as the plugin is, but for shadow mode and deadlines.
pub struct Trial {
    plugin: Arc<Plugin>,
    chain: HookChain,
}

impl Trials<'_> {
    /// A trial with this `config`, or with the binding's.
    ///
    /// # Errors
    /// The plugin does not start with it.
    pub fn with(&self, config: Option<&Map<String, Value>>) -> Result<Trial, Error> {
        let mut binding = self.binding.clone();
        binding.mode = Mode::Enforce;
        binding.deadline_ms = Some(DEADLINE_MS.max(binding.deadline_ms.unwrap_or(0)));
        if let Some(config) = config {
            binding.config = config.clone();
        }
        let Some(loaded) = &self.plugin.loaded else {
            return Ok(Trial::of(self.loader.missing(&binding, None).plugin));
        };
        let shared = self.loader.resources(&binding, Lasting::default(), (None, None));
        let blueprint = loaded.blueprint.with(&binding.config_json(), shared);
        Ok(Trial::of(Arc::new(self.loader.start(&binding, blueprint, 1)?)))
    }
}

impl Trial {
    fn of(plugin: Arc<Plugin>) -> Self {
        let hook: Arc<dyn Hook> = PluginHook::of(&plugin);
        Self { plugin, chain: HookChain::new(&[hook]) }
    }

    /// The plugin alone.
    #[must_use]
    pub const fn chain(&self) -> &HookChain {
        &self.chain
    }

    /// What was counted so far.
    #[must_use]
    pub fn hooks(&self) -> Vec<HookStatus> {
        let hooks = self.plugin.hooks().into_iter();
        hooks.map(|hook| status::counted(&self.plugin, hook)).collect()
    }
}

impl Drop for Trial {
    fn drop(&mut self) {
        self.plugin.let_go();
    }
}
