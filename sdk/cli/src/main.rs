//! The `blockhouse` command; all of it is in the library beside.

fn main() -> std::process::ExitCode {
    blockhouse_cli::run(std::env::args_os())
}
