//! From a component's bytes to what can be instantiated: out of the cache, or compiled.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use blockhouse_model::Clock;
use wasmtime::component::Component;

use crate::binding::{Binding, Config};
use crate::cache::Cache;
use crate::compiler::{Compiler, Limits};
use crate::host::Parts;
use crate::precompiled::{self, Code};

/// How components came to be code, to be shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CodeCounts {
    /// Taken out of the cache.
    pub cached: u64,
    /// Compiled.
    pub compiled: u64,
    /// Files of the cache that were not taken: damaged, not this node's, or open to others.
    pub refused: u64,
}

/// Of one process.
pub(crate) struct CodeSource {
    compiler: Compiler,
    limits: Limits,
    cache: Cache,
    clock: Arc<dyn Clock>,
    cached: AtomicU64,
    compiled: AtomicU64,
}

impl CodeSource {
    pub(crate) fn new(config: &Config, parts: &Parts) -> Self {
        Self {
            compiler: parts.compiler.clone(),
            limits: config.compilation(),
            cache: Cache::open(&parts.disk, &parts.dir, &parts.clock),
            clock: Arc::clone(&parts.clock),
            cached: AtomicU64::new(0),
            compiled: AtomicU64::new(0),
        }
    }

    /// The component of `bytes`, whose digest is the binding's.
    ///
    /// # Errors
    /// One sentence, without the plugin's name.
    pub(crate) fn component(
        &self,
        engine: &wasmtime::Engine,
        binding: &Binding,
        bytes: &[u8],
    ) -> Result<Component, String> {
        let name = Cache::name(engine, &binding.digest);
        let begun = self.clock.monotonic();
        if let Some(code) = self.cache.load(name) {
            match precompiled::load(engine, &code) {
                Ok(component) => {
                    self.cached.fetch_add(1, Ordering::Relaxed);
                    let took = self.clock.monotonic().saturating_sub(begun).as_micros();
                    tracing::info!(
                        "plugin {}: compiled code from the cache in {took} us",
                        binding.name
                    );
                    return Ok(component);
                }
                Err(e) => self.cache.refuse_named(name, &format!("{e:#}")),
            }
        }
        let begun = self.clock.monotonic();
        let code = self.compiler.compile(engine, bytes, self.limits)?;
        let code = Code::made_here(code.into());
        let component = precompiled::load(engine, &code)
            .map_err(|e| format!("its compiled code cannot be loaded: {e:#}"))?;
        self.compiled.fetch_add(1, Ordering::Relaxed);
        let took = self.clock.monotonic().saturating_sub(begun);
        tracing::info!("plugin {}: compiled in {} ms", binding.name, took.as_millis());
        self.cache.store(name, &code);
        Ok(component)
    }

    pub(crate) fn counts(&self) -> CodeCounts {
        CodeCounts {
            cached: self.cached.load(Ordering::Relaxed),
            compiled: self.compiled.load(Ordering::Relaxed),
            refused: self.cache.refused(),
        }
    }
}
