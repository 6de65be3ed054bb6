//! The process that compiles one component.

use std::io::{self, Read, Write};

use super::{IS_CODE, IS_REASON, Limits, compile};
use crate::blueprint::COMPONENT_MAX;
use crate::engine;

/// Compiles the component on standard input to standard output. This process takes its limits
/// before it reads anything, and opens no file from then on.
///
/// # Errors
/// If the limits cannot be taken, or nobody takes the answer.
pub fn compile_stdin(limits: Limits) -> io::Result<()> {
    // The one that started it measures real time; the processor's is for a case where it cannot.
    blockhouse_disk::confine(u64::from(limits.memory_mib) << 20, limits.time.as_secs() + 2)?;
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
