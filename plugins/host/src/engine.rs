//! The engine, and the ticks at which deadlines are looked at.

use std::sync::Arc;
use std::thread::JoinHandle;

use crate::Error;
use crate::binding::Config;
use crate::code_source::CodeSource;
use crate::host::Parts;
use crate::pace::Pace;

/// One per process. Its thread ends with it.
pub(crate) struct Engine {
    pub(crate) wasm: wasmtime::Engine,
    pub(crate) code: CodeSource,
    pub(crate) pace: Arc<Pace>,
    ticker: Option<JoinHandle<()>>,
}

impl Engine {
    pub(crate) fn start(options: &Config, parts: &Parts) -> Result<Self, Error> {
        let failed = |e: &dyn std::fmt::Display| Error::Engine(e.to_string());
        let wasm = wasmtime::Engine::new(&config()).map_err(|e| failed(&e))?;
        let pace = Arc::new(Pace::default());
        let (ticked, paced) = (wasm.clone(), Arc::clone(&pace));
        let ticker = std::thread::Builder::new()
            .name("plugin-tick".to_owned())
            .spawn(move || paced.run(|| ticked.increment_epoch()))
            .map_err(|e| failed(&e))?;
        let code = CodeSource::new(options, parts);
        Ok(Self { wasm, code, pace, ticker: Some(ticker) })
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.pace.stop();
        if let Some(ticker) = self.ticker.take() {
            // It only ticks: it cannot have panicked.
            drop(ticker.join());
        }
    }
}

/// Guests get the component model and what compilers need for it, nothing else.
pub(crate) fn config() -> wasmtime::Config {
    let mut config = wasmtime::Config::new();
    config
        .wasm_component_model(true)
        .epoch_interruption(true)
        .max_wasm_stack(512 << 10)
        .gc_support(false)
        .wasm_memory64(false)
        .wasm_multi_memory(false)
        .wasm_tail_call(false)
        .wasm_relaxed_simd(false)
        .wasm_wide_arithmetic(false)
        // What tells where in the component's bytes a trap was, and what other unwinders than the engine's own
        // need: nobody here asks for either, and a third of the code that is kept and loaded was that.
        .generate_address_map(false)
        .native_unwind_info(false)
        .memory_init_cow(true);
    config
}
