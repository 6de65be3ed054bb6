//! The process in which a node compiles a component.

use std::path::PathBuf;
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
}

/// This program, as a compiler.
pub(crate) fn compiler() -> Compiler {
    Compiler::Child {
        // Not its path: there may be a newer program by now.
        program: PathBuf::from("/proc/self/exe"),
        args: vec!["plugin".to_owned(), "compile-component".to_owned()],
    }
}

/// Compiles.
pub(super) fn run(args: &Args) -> anyhow::Result<()> {
    let time = Duration::from_millis(args.timeout_ms.into());
    compile_stdin(Limits { memory_mib: args.memory_mib, time }).context("the compilation")
}
