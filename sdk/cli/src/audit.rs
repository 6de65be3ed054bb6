//! `blockhouse audit`: looking at an audit log, also of a running node.

mod print;
mod select;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use blockhouse_audit::{DIR, Follow, PublicKey, Request};
use blockhouse_disk::{Disk, RealDisk, whole};
use clap::Subcommand;
use serde_json::json;

use crate::{given, out, wrong_use};
use print::{Csv, Form, Lines, Otlp, Printer, Rows};
use select::Select;

const EXAMPLES: &str = "\
Examples:
  blockhouse audit verify /var/lib/blockhouse
  blockhouse audit verify /var/lib/blockhouse --public-key log.pub \\
      --checkpoint kept-elsewhere
  blockhouse audit query /var/lib/blockhouse --since 2h --outcome refused
  blockhouse audit tail /var/lib/blockhouse --follow

DIR is a data directory or the audit directory in it, also of a running node: nothing is locked and nothing is \
changed. docs/audit.md has the format, and what is found against whom.";

/// Between two looks of `tail --follow`.
const PAUSE: Duration = Duration::from_millis(500);

/// Check an audit log, and look into it
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Print JSON
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Check that every record is as it was signed
    ///
    /// Exit codes: 0 all is as it was signed; 1 something does not fit, and each place is named; 2 could
    /// not look.
    Verify(VerifyArgs),
    /// Print records that fit
    Query {
        /// A data directory or an audit directory
        dir: PathBuf,
        #[command(flatten)]
        select: Select,
        /// Print at most so many
        #[arg(long, value_name = "N", default_value_t = 1_000)]
        limit: usize,
    },
    /// Print the last records
    Tail(TailArgs),
    /// Print all records that fit, for other tools
    Export {
        /// A data directory or an audit directory
        dir: PathBuf,
        #[command(flatten)]
        select: Select,
        /// How records are written
        #[arg(long, value_enum, default_value = "ocsf-jsonl")]
        format: Form,
    },
    /// Print the last checkpoint, to be kept elsewhere
    Checkpoint {
        /// A data directory or an audit directory
        dir: PathBuf,
        #[command(flatten)]
        key: KeyArg,
    },
}

#[derive(Debug, clap::Args)]
struct TailArgs {
    /// A data directory or an audit directory
    dir: PathBuf,
    /// How many
    #[arg(long, short = 'l', value_name = "N", default_value_t = 20,
          value_parser = clap::value_parser!(u32).range(..=100_000))]
    lines: u32,
    /// Go on until ctrl-C
    #[arg(long, short)]
    follow: bool,
}

#[derive(Debug, clap::Args)]
struct VerifyArgs {
    /// A data directory or an audit directory
    dir: PathBuf,
    #[command(flatten)]
    key: KeyArg,
    /// A checkpoint that was kept elsewhere: finds a log that was rolled back, or written anew
    #[arg(long, value_name = "FILE")]
    checkpoint: Option<PathBuf>,
}

#[derive(Debug, clap::Args)]
struct KeyArg {
    /// Whose signatures count: the key, or a file with it. Without, the key that lies beside the log,
    /// which whoever may write there can replace as well
    #[arg(long, value_name = "KEY|FILE")]
    public_key: Option<String>,
}

impl KeyArg {
    fn key(&self, dir: &Path) -> anyhow::Result<PublicKey> {
        let Some(given) = &self.public_key else {
            return Ok(blockhouse_audit::public_key(&RealDisk, dir)?);
        };
        let text =
            if RealDisk.exists(Path::new(given)) { read(Path::new(given))? } else { given.clone() };
        text.trim().parse().map_err(|error| {
            let path = if given.contains('/') { "; nor is there such a file" } else { "" };
            wrong_use(format!("--public-key: {error}{path}"))
        })
    }
}

/// Does it.
pub(crate) fn run(args: &Args) -> ExitCode {
    look(&args.what, args.json).unwrap_or_else(|error| {
        out::note(&format!("blockhouse: {}", crate::sentence(&error)));
        ExitCode::from(2)
    })
}

fn look(what: &What, as_json: bool) -> anyhow::Result<ExitCode> {
    match what {
        What::Verify(args) => return verify(args, as_json),
        What::Query { dir, select, limit } if as_json => print(dir, select, *limit, &mut Lines)?,
        What::Query { dir, select, limit } => print(dir, select, *limit, &mut Rows::default())?,
        What::Tail(args) => tail(args, as_json)?,
        What::Export { dir, select, format } => match format {
            Form::Csv if as_json => {
                return Err(wrong_use(
                    "--json and --format csv contradict each other: leave one out",
                ));
            }
            Form::OcsfJsonl => print(dir, select, usize::MAX, &mut Lines)?,
            Form::Csv => print(dir, select, usize::MAX, &mut Csv::default())?,
            Form::OtlpJson => print(dir, select, usize::MAX, &mut Otlp::default())?,
        },
        What::Checkpoint { dir, key } => {
            let dir = audit_dir(dir)?;
            let text = blockhouse_audit::last_checkpoint(&RealDisk, &dir, &key.key(&dir)?)?;
            if as_json {
                out::line(&serde_json::to_string_pretty(&print::checkpoint(&text))?);
            } else {
                out::text(&text);
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// The audit directory that is meant.
pub(crate) fn audit_dir(dir: &Path) -> anyhow::Result<PathBuf> {
    let below = dir.join(DIR);
    given::visible(&below.join("key"))?;
    if RealDisk.exists(&below) {
        return Ok(below);
    }
    given::directory(dir)?;
    Ok(dir.to_owned())
}

fn read(path: &Path) -> anyhow::Result<String> {
    given::file(path)?;
    let cannot = || format!("cannot read {}", path.display());
    let bytes = whole::read(&RealDisk, path).with_context(cannot)?.unwrap_or_default();
    String::from_utf8(bytes).with_context(|| format!("{} is no text", path.display()))
}

fn verify(args: &VerifyArgs, as_json: bool) -> anyhow::Result<ExitCode> {
    let dir = audit_dir(&args.dir)?;
    let checkpoint = args.checkpoint.as_deref().map(read).transpose()?;
    let request = Request { key: args.key.key(&dir)?, checkpoint };
    let report = blockhouse_audit::verify(&RealDisk, &dir, &request)?;
    let is_sound = report.findings.is_empty();
    if as_json {
        let findings: Vec<_> = report
            .findings
            .iter()
            .map(|f| json!({ "file": f.file, "record": f.record, "what": f.what }))
            .collect();
        let told = json!({
            "key": request.key.to_string(), "first": report.first, "records": report.records,
            "segments": report.segments, "checkpoints": report.checkpoints,
            "unsigned": report.unsigned, "torn": report.torn, "anchored": report.anchored,
            "findings": findings,
        });
        out::line(&serde_json::to_string_pretty(&told)?);
    } else {
        for finding in &report.findings {
            out::line(&out::foreign(&finding.to_string()));
        }
        let verdict = if is_sound { "all is as it was signed" } else { "NOT as it was signed" };
        out::line(&format!(
            "{verdict}: records {} to {} in {} files, {} checkpoints by {}; {} not signed yet",
            report.first,
            report.records,
            report.segments,
            report.checkpoints,
            request.key,
            report.unsigned
        ));
        if let Some(counted) = report.anchored {
            out::line(&format!("the checkpoint from elsewhere counts {counted} records of it"));
        }
        if args.key.public_key.is_none() {
            out::note("the key lay beside the log; --public-key takes one that was kept elsewhere");
        }
    }
    Ok(if is_sound { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn print(
    dir: &Path,
    select: &Select,
    limit: usize,
    printer: &mut dyn Printer,
) -> anyhow::Result<()> {
    let dir = audit_dir(dir)?;
    let chosen = select.chosen()?;
    let mut printed = 0;
    blockhouse_audit::records(Arc::new(RealDisk), &dir, &mut |line, record| {
        let fits = record.as_ref().is_some_and(|record| chosen.takes(record));
        if fits && printed == limit {
            out::note(&format!("there are more than {limit}: see --limit"));
            return false;
        }
        printed += usize::from(fits);
        !fits || printer.one(line, record.as_ref())
    })?;
    printer.end();
    Ok(())
}

fn tail(args: &TailArgs, as_json: bool) -> anyhow::Result<()> {
    let dir = audit_dir(&args.dir)?;
    let count = usize::try_from(args.lines).unwrap_or(usize::MAX);
    if !args.follow {
        // Who follows may be there before the log.
        blockhouse_audit::records(Arc::new(RealDisk), &dir, &mut |_, _| false)?;
    }
    let mut log = Follow::new(Arc::new(RealDisk), &dir);
    let text = |line: &[u8], record: Option<&blockhouse_audit::Record>| match record {
        Some(record) if !as_json => print::sentence(record),
        _ => String::from_utf8_lossy(line).into_owned(),
    };
    let mut last = std::collections::VecDeque::new();
    log.read(&mut |line, record| {
        last.push_back(text(line, record.as_ref()));
        if last.len() > count {
            last.pop_front();
        }
        true
    })?;
    let mut heard = last.iter().all(|line| out::try_line(line));
    while args.follow && heard {
        std::thread::park_timeout(PAUSE);
        log.read(&mut |line, record| {
            heard = out::try_line(&text(line, record.as_ref()));
            heard
        })?;
    }
    Ok(())
}
