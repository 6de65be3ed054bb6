//! The process that compiles one component.

use std::io::{self, Read, Write};
use std::sync::mpsc::sync_channel;

use super::{IS_CODE, IS_REASON, Limits, compile};
use crate::blueprint::COMPONENT_MAX;
use crate::engine;

/// Threads that compile one component: functions are compiled one by one, and a node has other work.
const THREADS_MAX: usize = 4;
/// How much less of a processor they get than others, of 19.
const NICE: i32 = 10;

/// Compiles the component on standard input to standard output. This process takes its limits
/// before it reads anything, and opens no file from then on.
///
/// # Errors
/// If the limits cannot be taken, or nobody takes the answer.
pub fn compile_stdin(limits: Limits) -> io::Result<()> {
    let threads = start_threads()?;
    // The one that started it measures real time; the processor's is for a case where it cannot.
    let seconds = (limits.time.as_secs() + 2) * threads;
    blockhouse_disk::confine(u64::from(limits.memory_mib) << 20, seconds)?;
    let (kind, answer) = match compiled() {
        Ok(code) => (IS_CODE, code),
        Err(reason) => (IS_REASON, reason.into_bytes()),
    };
    let mut out = io::stdout().lock();
    out.write_all(&[kind])?;
    out.write_all(&(answer.len() as u64).to_le_bytes())?;
    out.write_all(&answer)?;
    out.flush()
}

/// Starts the threads that wasmtime compiles with, while there may be any, and says how many. They leave the
/// processors to whoever passes messages.
fn start_threads() -> io::Result<u64> {
    rustix::process::nice(NICE)?;
    let count = std::thread::available_parallelism().map_or(1, usize::from).min(THREADS_MAX);
    let (started, all) = sync_channel(count);
    let pool = rayon_core::ThreadPoolBuilder::new().num_threads(count);
    // What this returns before they run would be an address space that changes after it was limited.
    let pool = pool.start_handler(move |_| {
        // It is waited for.
        let _heard = started.send(());
    });
    pool.build_global().map_err(io::Error::other)?;
    all.iter().take(count).for_each(drop);
    Ok(count as u64)
}

fn compiled() -> Result<Vec<u8>, String> {
    let mut component = Vec::new();
    let read = io::stdin().lock().take(COMPONENT_MAX + 1).read_to_end(&mut component);
    let read = read.map_err(|e| format!("the component cannot be read: {e}"))?;
    if read as u64 > COMPONENT_MAX {
        return Err(format!("the component is larger than {} MiB", COMPONENT_MAX >> 20));
    }
    let engine = wasmtime::Engine::new(&engine::config())
        .map_err(|e| format!("the compiler cannot be made: {e:#}"))?;
    compile(&engine, &component)
}
