//! The `blockhouse` command: the only crate that parses arguments, reads configuration files and
//! prints.
//!
//! It is a library so that `docs/tidy` can ask it for the configuration reference.
//!
//! | module | holds |
//! |---|---|
//! | `args` | what the command line can say |
//! | [`options`] | [`Config`], all sections, and how flags and files become one |
//! | `java_conf` | RocketMQ's `broker.conf` |
//! | `address`, `given` | addresses, files and directories that the command line names |
//! | `guard` | which addresses may be listened on |
//! | `process` | running a name server, a broker or both |
//! | `out` | stdout |
//! | `cluster` | what the tools share: reaching a cluster, advice on errors, tables |
//! | `admin`, `plugin`, `policy`, `audit`, `flight`, `doctor`, `top`, `produce`, `consume`, `bench` | the tools |

#![forbid(unsafe_code)]

mod address;
mod admin;
mod args;
mod audit;
mod bench;
mod cluster;
mod consume;
mod doctor;
mod flight;
mod given;
mod guard;
mod java_conf;
mod looks;
pub mod options;
mod out;
mod plugin;
mod policy;
mod printed;
mod process;
mod produce;
mod samples;
mod told;
mod top;
mod utc;

use std::ffi::OsString;
use std::fmt;
use std::process::ExitCode;

use blockhouse_service::config::Shape;
use clap::{CommandFactory as _, Parser as _};

use args::{Cli, Command, ConfigCommand, NodeArgs, ShowArgs};
pub use options::Config;
use process::Role;

const FAILED: u8 = 1;
const WRONG_USE: u8 = 2;

/// Runs the command with `args`, the first of which is the program's name.
pub fn run(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let cli = match Cli::try_parse_from(args) {
        Ok(cli) => cli,
        Err(text) => {
            // Help and version are "errors" too, and go to stdout.
            let code =
                if text.use_stderr() { ExitCode::from(WRONG_USE) } else { ExitCode::SUCCESS };
            let _closed = text.print();
            return code;
        }
    };
    match cli.command {
        Command::Standalone(node) => serve(&node, Role::Standalone),
        Command::Namesrv(node) => serve(&node.into(), Role::Namesrv),
        Command::Broker(node) => serve(&node.into(), Role::Broker),
        Command::Admin(args) => admin::run(args),
        Command::Plugin(args) => plugin::run(&args),
        Command::Policy(args) => policy::run(&args),
        Command::Audit(args) => audit::run(&args),
        Command::Flight(args) => report(flight::run(&args)),
        Command::Doctor(args) => doctor::run(&args),
        Command::Top(args) => report(top::run(&args)),
        Command::Produce(args) => report(produce::run(args)),
        Command::Consume(args) => report(consume::run(args)),
        Command::Bench(args) => report(bench::run(args)),
        Command::Config(ConfigCommand::Show(args)) => show(&args),
        Command::Config(ConfigCommand::Reference) => report(reference().map(|page| {
            out::text(&page);
        })),
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "blockhouse", &mut script);
            out::text(&String::from_utf8_lossy(&script));
            ExitCode::SUCCESS
        }
    }
}

/// The page that lists all options, as Markdown.
///
/// # Errors
/// If the defaults cannot be written down: a mistake in the program.
pub fn reference() -> anyhow::Result<String> {
    const HEAD: &str = "\
# Configuration

Every option can be set in a TOML file (`--config FILE`), by `--set section.key=value`, and some by a
flag or a key of RocketMQ's `broker.conf` (`--java-conf FILE`). Stronger sources win: flags and
`--set`, then TOML, then `broker.conf`, then the defaults below. `blockhouse config show` prints what
is in force and where each value comes from. Options that are set and have no effect, because what they
are of is off, are named by it and at each start.

Sizes are numbers of bytes or texts with a unit (`\"64MiB\"`). Names end in their unit: `_ms` are
milliseconds.

This page is written by `blockhouse config reference`.
";
    Ok(format!("{HEAD}{}", Shape::of::<Config>()?.to_markdown()))
}

fn serve(args: &NodeArgs, role: Role) -> ExitCode {
    match process::Setup::new(args, role) {
        Ok(setup) => report(setup.run()),
        Err(error) => fail(&error, WRONG_USE),
    }
}

fn show(args: &ShowArgs) -> ExitCode {
    let judged = options::load(&args.node)
        .and_then(|options| options::check(&options.loaded, args.role).map(|()| options));
    let judged = judged.and_then(|options| Ok((options::idle(&options.loaded)?, options)));
    let (idle, options) = match judged {
        Ok(judged) => judged,
        Err(error) => return fail(&error, WRONG_USE),
    };
    out::text(&match (args.toml, args.json) {
        (true, _) => options.loaded.to_toml(),
        (_, true) => options.loaded.to_json(),
        _ => options.loaded.to_table(),
    });
    options.unhonoured.iter().for_each(|key| out::note(&key.to_string()));
    idle.iter().for_each(|idle| out::note(idle));
    ExitCode::SUCCESS
}

fn report(result: anyhow::Result<()>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if error.is::<WrongUse>() => fail(&error, WRONG_USE),
        Err(error) => fail(&error, FAILED),
    }
}

/// Arguments that fit their types but break a rule of a tool: the tool has done nothing yet.
#[derive(Debug)]
struct WrongUse(String);

impl fmt::Display for WrongUse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for WrongUse {}

/// The error of a tool for wrong arguments; `what` is one sentence.
fn wrong_use(what: impl Into<String>) -> anyhow::Error {
    WrongUse(what.into()).into()
}

fn fail(error: &anyhow::Error, code: u8) -> ExitCode {
    out::note(&format!("blockhouse: {}", sentence(error)));
    ExitCode::from(code)
}

/// The error and its causes; a cause that is part of what was said before is not said again.
fn sentence(error: &anyhow::Error) -> String {
    let mut text = String::new();
    for cause in error.chain().map(ToString::to_string).filter(|cause| !cause.is_empty()) {
        if !text.contains(&cause) {
            let colon = if text.is_empty() { "" } else { ": " };
            text = format!("{text}{colon}{cause}");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn causes_are_said_once() {
        let cause = anyhow::anyhow!("in use (os error 98)");
        let error = cause.context("cannot listen: in use (os error 98)").context("the broker");
        assert_eq!(sentence(&error), "the broker: cannot listen: in use (os error 98)");
    }
}
