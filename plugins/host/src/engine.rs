//! The compiler, and the ticks that deadlines count.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::Error;

/// How long a tick is. A call is stopped at the first tick after its deadline.
const TICK: Duration = Duration::from_millis(1);

/// One per process. Its thread ends with it.
pub(crate) struct Engine {
    pub(crate) wasm: wasmtime::Engine,
    stop: Arc<AtomicBool>,
    ticker: Option<JoinHandle<()>>,
}

impl Engine {
    pub(crate) fn start() -> Result<Self, Error> {
        let failed = |e: &dyn std::fmt::Display| Error::Engine(e.to_string());
        let wasm = wasmtime::Engine::new(&config()).map_err(|e| failed(&e))?;
        let stop = Arc::new(AtomicBool::new(false));
        let (ticked, stopped) = (wasm.clone(), Arc::clone(&stop));
        let ticker = std::thread::Builder::new()
            .name("plugin-tick".to_owned())
            .spawn(move || {
                while !stopped.load(Ordering::Relaxed) {
                    std::thread::park_timeout(TICK);
                    ticked.increment_epoch();
                }
            })
            .map_err(|e| failed(&e))?;
        Ok(Self { wasm, stop, ticker: Some(ticker) })
    }

    /// How many ticks a call of `ms` milliseconds has. The tick that is under way counts as none.
    pub(crate) const fn ticks(ms: u32) -> u64 {
        ms as u64 + 1
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(ticker) = self.ticker.take() {
            ticker.thread().unpark();
            // It only ticks: it cannot have panicked.
            drop(ticker.join());
        }
    }
}

/// Guests get the component model and what compilers need for it, nothing else.
fn config() -> wasmtime::Config {
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
        .memory_init_cow(true);
    config
}
