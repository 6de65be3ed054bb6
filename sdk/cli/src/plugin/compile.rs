//! The process in which a node compiles a component.

use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::Context as _;
use blockhouse_host::{Compiler, Limits, compile_stdin};

/// What it may use.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// MiB of address space
    #[arg(long)]
    memory_mib: u32,
    /// How long it may take
    #[arg(long)]
    timeout_ms: u32,
    /// The limit of memory is in force
    #[arg(long)]
    confined: bool,
}

/// This program, whatever its path holds by now.
const PROGRAM: &str = "/proc/self/exe";
const WORDS: [&str; 2] = ["plugin", "compile-component"];

/// This program, as a compiler.
pub(crate) fn compiler() -> Compiler {
    Compiler::Child { program: PathBuf::from(PROGRAM), args: WORDS.map(str::to_owned).to_vec() }
}

/// Compiles. The allocator took a large piece of address space when the program started, which a
/// limit would not count: so that the program starts anew under it.
pub(super) fn run(args: &Args) -> anyhow::Result<()> {
    if !args.confined {
        blockhouse_disk::limit_memory(u64::from(args.memory_mib) << 20)?;
        let mut again = Command::new(PROGRAM);
        again.args(WORDS).arg("--confined");
        again.arg("--memory-mib").arg(args.memory_mib.to_string());
        again.arg("--timeout-ms").arg(args.timeout_ms.to_string());
        // It only comes back if that failed.
        return Err(again.exec()).context("the compilation");
    }
    let time = Duration::from_millis(args.timeout_ms.into());
    compile_stdin(Limits { memory_mib: args.memory_mib, time }).context("the compilation")
}
