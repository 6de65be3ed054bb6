//! The files of a stopped broker: what is there, what is wrong, mending, printing records.

mod bar;
mod check;
mod dump;
mod findings;
mod repair;
mod stat;
mod stopped;

use std::path::PathBuf;
use std::process::ExitCode;

use crate::out;
use stopped::Stopped;

pub(super) const AFTER_HELP: &str = "\
No broker may run on the directory. All but `repair --yes` only read.

Examples:
  blockhouse admin store stat --data /var/lib/blockhouse
  blockhouse admin store check --data /var/lib/blockhouse --json
  blockhouse admin store repair --data /var/lib/blockhouse --yes
  blockhouse admin store dump --topic orders --limit 10 --body \\
      --data /var/lib/blockhouse

Exit codes: 0 nothing wrong; 1 something is wrong; 2 could not look.";

/// What the command line can say.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Tell what is in a data directory
    Stat(SiteArgs),
    /// Tell what is wrong with a data directory, and what mends it
    Check(SiteArgs),
    /// Tell what a repair would do; with --yes, do it
    ///
    /// Everything that is overwritten or removed is saved to blockhouse/repair-<time>/ first.
    Repair(repair::RepairArgs),
    /// Print records
    Dump(dump::DumpArgs),
}

/// Where the files are, and what they do not tell.
#[derive(Debug, clap::Args)]
pub(super) struct SiteArgs {
    /// The data directory (RocketMQ: storePathRootDir)
    #[arg(long, value_name = "DIR", default_value = "blockhouse-data")]
    data: PathBuf,
    /// Where the CommitLog is, if not in the data directory (RocketMQ: storePathCommitLog)
    #[arg(long, value_name = "DIR")]
    commit_log_dir: Option<PathBuf>,
    /// Bytes per CommitLog file, where the files leave doubt
    #[arg(long, value_name = "BYTES", value_parser = clap::value_parser!(u64).range(1_024..=1 << 32))]
    segment_size: Option<u64>,
    /// Entries per ConsumeQueue file, where the files leave doubt
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=1 << 26))]
    queue_file_entries: Option<u64>,
    /// Hash slots per IndexFile, where the files leave doubt
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1 << 28))]
    index_slots: Option<u32>,
    /// Messages are not indexed here
    #[arg(long)]
    no_index: bool,
    /// The waiting times of the delay levels (RocketMQ: messageDelayLevel)
    #[arg(long, value_name = "TIMES", default_value = blockhouse_model::delay::DEFAULT_LEVELS)]
    delay_levels: String,
}

/// How it went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    /// Nothing is wrong.
    Whole,
    /// Something is.
    Damaged,
}

/// Does it.
pub(super) fn run(command: &Command, as_json: bool) -> ExitCode {
    let done = match command {
        Command::Stat(args) => stat::run(args, as_json),
        Command::Check(args) => check::run(args, as_json),
        Command::Repair(args) => repair::run(args, as_json),
        Command::Dump(args) => dump::run(args, as_json),
    };
    match done {
        Ok(Verdict::Whole) => ExitCode::SUCCESS,
        Ok(Verdict::Damaged) => ExitCode::from(crate::FAILED),
        Err(error) => crate::fail(&error, crate::WRONG_USE),
    }
}

/// Prints JSON.
fn print_json(value: &impl serde::Serialize) -> anyhow::Result<()> {
    out::line(&serde_json::to_string_pretty(value)?);
    Ok(())
}
