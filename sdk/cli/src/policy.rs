//! `blockhouse policy`: policies as files, and on running nodes.

mod decide;
mod import;
mod node;
mod simulate;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use blockhouse_authz::{AclLines, AclTable, Files, Mode, Policies, Problem, Refused};
use blockhouse_disk::RealDisk;
use clap::{Subcommand, ValueEnum};
use serde::Serialize;
use serde_json::json;

use crate::cluster::Table;
use crate::{given, out, wrong_use};

const EXAMPLES: &str = "\
Examples:
  blockhouse policy check policies/
  blockhouse policy explain --policies policies/ --principal user:shop \\
      --action Pub --resource Topic:orders-new
  blockhouse policy apply policies/ --node 10.0.0.5:5557

docs/policies.md has the language.";

/// Judge policies, try them out, put them in force
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
    /// Judge the files of a directory, tests left out
    ///
    /// Exit codes: 0 a node would take them; 1 it would not, and each mistake is told with its line; 2 there is no
    /// such directory.
    Check(SetArgs),
    /// Run the tests of a directory
    ///
    /// Exit codes: 0 all come out; 1 not all, or the files are not taken; 2 there is no test, or no such directory.
    Test(SetArgs),
    /// Say whether somebody may do something, and which rule decides
    ///
    /// Exit codes: 0 answered, whatever the answer; 1 the files are not taken; 2 wrong arguments.
    Explain(decide::ExplainArgs),
    /// List who may do something
    WhoCan(decide::WhoCanArgs),
    /// Say which decisions a second directory changes
    ///
    /// Asked is for everybody and everything that rules of either set speak of, from this host, on a
    /// Monday at noon, not encrypted.
    Diff(decide::DiffArgs),
    /// Say what a set would have decided otherwise than it was decided once
    ///
    /// Exit codes: 0 nothing; 1 something; 2 it could not be told.
    #[command(after_help = simulate::EXAMPLES)]
    Simulate(simulate::SimulateArgs),
    /// Put a directory in force on running nodes
    ///
    /// Each node judges it again and runs its tests. It stays in force over restarts, until the next
    /// apply, or SIGHUP, which takes the node's own directory.
    #[command(after_help = node::APPLY_EXAMPLES)]
    Apply(node::ApplyArgs),
    /// Put the policies before in force again
    Rollback(node::ChangeArgs),
    /// Have nodes read their own directory again, as SIGHUP does
    Reload(node::ChangeArgs),
    /// Say what is in force
    Show(node::ChangeArgs),
    /// Print the ACLs of a running RocketMQ as policies
    #[command(after_help = import::EXAMPLES)]
    Import(import::ImportArgs),
}

/// A set of policies.
#[derive(Debug, clap::Args)]
struct SetArgs {
    /// The directory
    dir: PathBuf,
    #[command(flatten)]
    mode: ModeArg,
}

#[derive(Clone, Copy, Debug, clap::Args)]
struct ModeArg {
    /// What counts if several rules match: as authz.mode of the node
    #[arg(long, value_enum, default_value = "deny-override")]
    mode: ModeName,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum ModeName {
    /// One that denies wins
    DenyOverride,
    /// The most specific one wins, as in RocketMQ ACL 2.0
    Acl2,
}

impl ModeArg {
    const fn mode(self) -> Mode {
        match self.mode {
            ModeName::DenyOverride => Mode::DenyOverride,
            ModeName::Acl2 => Mode::Acl2,
        }
    }
}

/// Does it.
pub(crate) fn run(args: &Args) -> ExitCode {
    let as_json = args.json;
    crate::report(match &args.what {
        What::Check(args) => check(args, as_json),
        What::Test(args) => test(args, as_json),
        What::Explain(args) => decide::explain(args, as_json),
        What::WhoCan(args) => decide::who_can(args, as_json),
        What::Diff(args) => decide::diff(args, as_json),
        What::Simulate(args) => return simulate::simulate(args, as_json),
        What::Apply(args) => node::apply(args, as_json),
        What::Rollback(args) => node::change(args, "rollback", as_json),
        What::Reload(args) => node::change(args, "reload", as_json),
        What::Show(args) => node::show(args, as_json),
        What::Import(args) => import::import(args, as_json),
    })
}

/// ACLs beside the files.
#[derive(Debug, clap::Args)]
struct AclArgs {
    /// A node's ACLs, the file blockhouse/security/acls.json of its data directory
    #[arg(long, value_name = "FILE")]
    acls: Option<PathBuf>,
    /// The node's cluster, which ACLs may name
    #[arg(long, value_name = "NAME", default_value = "DefaultCluster", requires = "acls")]
    cluster: String,
}

impl AclArgs {
    fn lines(&self, mode: Mode) -> anyhow::Result<AclLines> {
        let Some(path) = &self.acls else { return Ok(AclLines::default()) };
        given::file(path)?;
        let (table, _) = AclTable::read(&RealDisk, path)?;
        Ok(table.lines(mode, &self.cluster))
    }
}

fn files(dir: &Path) -> anyhow::Result<Files> {
    given::directory(dir)?;
    Ok(Files::read(&RealDisk, dir)?)
}

fn print(as_json: bool, text: &str, json: &impl Serialize) -> anyhow::Result<()> {
    if as_json {
        out::line(&serde_json::to_string_pretty(json)?);
    } else {
        out::text(text);
    }
    Ok(())
}

fn check(args: &SetArgs, as_json: bool) -> anyhow::Result<()> {
    given::directory(&args.dir)?;
    let checked = Files::read(&RealDisk, &args.dir)
        .and_then(|files| Policies::check(&files, args.mode.mode()));
    let set = match checked {
        Ok(set) => set,
        Err(Refused { problems }) => {
            let json = json!({ "accepted": false, "problems": problems });
            print(as_json, &lines("", &problems), &json)?;
            let (count, s) = (problems.len(), if problems.len() == 1 { "" } else { "s" });
            anyhow::bail!("{}: {count} mistake{s}: a node would not take it", args.dir.display());
        }
    };
    let json = json!({
        "accepted": true,
        "digest": set.digest(),
        "mode": set.mode().name(),
        "rules": set.rules(),
        "tests": set.results().len(),
        "compared": set.compared(),
        "warnings": set.warnings(),
    });
    let text = format!(
        "{}{} rules, mode {}: fine; casbin agrees on {} decisions\n",
        lines("warning: ", set.warnings()),
        set.rules(),
        set.mode().name(),
        set.compared()
    );
    print(as_json, &text, &json)
}

fn lines(prefix: &str, problems: &[Problem]) -> String {
    problems
        .iter()
        .map(|problem| format!("{prefix}{}\n", out::foreign(&problem.to_string())))
        .collect()
}

fn test(args: &SetArgs, as_json: bool) -> anyhow::Result<()> {
    let set = Policies::check(&files(&args.dir)?, args.mode.mode())?;
    if set.results().is_empty() {
        return Err(wrong_use(format!(
            "there is nothing to test: {} has no *.toml with a [[case]] (docs/policies.md)",
            args.dir.join("tests").display()
        )));
    }
    let mut table = Table::new(&["file", "test", "outcome"]);
    for result in set.results() {
        let outcome = result.failure.as_deref().unwrap_or("ok");
        table.row([&*result.file, &*result.name, outcome]);
    }
    let failed = set.results().iter().filter(|result| result.failure.is_some()).count();
    let passed = set.results().len() - failed;
    let text = format!("{table}{passed} passed, {failed} failed\n");
    let json = json!({ "passed": passed, "failed": failed, "tests": set.results() });
    print(as_json, &text, &json)?;
    anyhow::ensure!(failed == 0, "{failed} of {} tests failed", set.results().len());
    Ok(())
}
