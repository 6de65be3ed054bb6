//! The `blockhouse` command; all of it is in the library beside.

/// A request allocates a few small pieces and a broker has thousands of connections that do so in
/// turn; the system's allocator took 7 % of the CPU there.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    blockhouse_cli::run(std::env::args_os())
}
