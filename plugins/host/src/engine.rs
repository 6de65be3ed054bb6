//! The engine, and the ticks that deadlines count.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::Error;
use crate::binding::Config;
use crate::code_source::CodeSource;
use crate::host::Parts;

/// How long a tick is.
const TICK: Duration = Duration::from_millis(1);

/// One per process. Its thread ends with it.
pub(crate) struct Engine {
    pub(crate) wasm: wasmtime::Engine,
    pub(crate) code: CodeSource,
    stop: Arc<AtomicBool>,
    ticker: Option<JoinHandle<()>>,
}

impl Engine {
    pub(crate) fn start(options: &Config, parts: &Parts) -> Result<Self, Error> {
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
        let code = CodeSource::new(options, parts);
        Ok(Self { wasm, code, stop, ticker: Some(ticker) })
    }
}

/// A call that is past its deadline. Guests never wait for anything, so what is left of a call that
/// the operating system merely interrupted is done in no time: on a busy machine that must not look
/// like a loop.
#[derive(Debug, Default)]
pub(crate) struct Overtime(Option<Duration>);

impl Overtime {
    /// What a call has of the processor after its deadline before it is stopped.
    const GRANTED: Duration = Duration::from_micros(500);

    /// Told at each tick from the deadline on, with the time that the thread has had of the
    /// processor. Gives whether the call is stopped.
    pub(crate) fn is_over(&mut self, processor: Duration) -> bool {
        let begun = *self.0.get_or_insert(processor);
        processor.saturating_sub(begun) >= Self::GRANTED
    }

    /// The next call begins.
    pub(crate) const fn clear(&mut self) {
        self.0 = None;
    }
}

/// The time that this thread has had of the processor.
pub(crate) fn processor_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    Duration::new(seconds, u32::try_from(time.tv_nsec).unwrap_or(0))
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
        .memory_init_cow(true);
    config
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_system_interrupted_goes_on_and_what_runs_is_stopped() {
        let at = Duration::from_micros;
        let mut overtime = Overtime::default();
        assert!(!overtime.is_over(at(7_000)), "the first tick after the deadline");
        assert!((0..100).all(|_| !overtime.is_over(at(7_000))), "it does not run");
        assert!(!overtime.is_over(at(7_499)));
        assert!(overtime.is_over(at(7_500)));
        overtime.clear();
        assert!(!overtime.is_over(at(7_600)), "another call");
    }

    #[test]
    fn the_thread_is_charged_for_its_work() {
        let begun = processor_time();
        let mut sum = 0_u64;
        while processor_time() == begun {
            sum = std::hint::black_box(sum.wrapping_add(1));
        }
        assert!(processor_time() > begun);
    }
}
