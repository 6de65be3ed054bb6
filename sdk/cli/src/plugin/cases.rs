//! Golden cases: what a plugin must make of a message, in the engine that the node runs.

mod case;

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use blockhouse_host::{Check, Trials};
use blockhouse_package::Package;
use serde_json::json;

use super::engine::{self, Running};
use super::recorded;
use crate::{given, wrong_use};
use case::{Subject, Suite};

pub(super) const EXAMPLES: &str = "\
A file of cases:
  [config]                          # the binding's config
  required_property = \"tenant\"

  [[case]]
  name = \"a message without a tenant is refused\"
  hook = \"before-send\"              # or before-deliver, enrich-span
  topic = \"orders\"                  # also: group, principal
  body = \"hello\"                    # also: properties = { TAGS = \"a\" }
  expect = { decision = \"reject\", reason = \"set the property tenant\" }

decision: admit, reject, drop or reroute at before-send, keep, hide or reject at before-deliver, enrich at \
enrich-span. Also, where expected: a part of the reason, the topic of a reroute, the body and properties that \
come out, and the attributes that a span gets.

Recordings are files of messages, a line each, as `blockhouse consume --json` prints them. All that are in \
recorded/ are given to the plugin at before-send and before-deliver, in batches of 32. A call that fails fails \
the test, and so does a decision that is not the one that --accept kept.

Examples:
  blockhouse plugin test
  blockhouse plugin test --record orders --messages 500 -n 10.0.0.5:9876
  blockhouse plugin test --accept
  blockhouse plugin test orders-guard.wasm --cases cases --binding node.toml

Exit codes: 0 all passed; 1 a case failed, or the plugin does not start; 2 wrong arguments.";

/// Most files of cases.
const FILES_MAX: usize = 1_000;

/// What to run.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    engine: engine::PluginArgs,
    /// The directory of the cases, *.toml; `cases` in the plugin's directory if absent
    #[arg(long, value_name = "DIR")]
    cases: Option<PathBuf>,
    #[command(flatten)]
    recorded: recorded::RecordedArgs,
}

/// A case that was run.
pub(super) struct Outcome {
    pub(super) suite: String,
    pub(super) case: String,
    pub(super) problem: Option<String>,
}

/// Runs all cases and tells of each.
pub(super) fn run(args: &Args, as_json: bool) -> anyhow::Result<()> {
    let suites = suites(args)?;
    let home = recorded::home(&args.engine.path);
    args.recorded.record(&home)?;
    let package = args.engine.package()?;
    let mut outcomes = Vec::new();
    if suites.is_empty() {
        start(args, &package, None)?;
    }
    for (name, suite) in &suites {
        let running = start(args, &package, Some(suite)).with_context(|| name.clone())?;
        for case in &suite.cases {
            let on = Subject { chain: &running.chain, hooks: &|| running.hooks() };
            let problem = case.run(&on).err();
            let (suite, case) = (name.clone(), case.name.clone());
            outcomes.push(Outcome { suite, case, problem });
        }
    }
    let replayed = args.recorded.replay(&home, || start(args, &package, None))?;
    outcomes.extend(replayed.iter().map(recorded::Replayed::outcome));
    let failed = outcomes.iter().filter(|outcome| outcome.problem.is_some()).count();
    let passed = outcomes.len() - failed;
    let mut text = "passed  the plugin starts: init, health\n".to_owned();
    for Outcome { suite, case, problem } in &outcomes {
        match problem {
            None => text += &format!("passed  {suite}: {case}\n"),
            Some(problem) => text += &format!("FAILED  {suite}: {case}\n        {problem}\n"),
        }
    }
    text.extend(replayed.iter().map(recorded::Replayed::text));
    text += &format!("{passed} passed, {failed} failed\n");
    if suites.is_empty() {
        text += "There are no cases; see `blockhouse plugin test --help` for how to write some.\n";
    }
    let each = |outcome: &Outcome| json!({ "file": outcome.suite, "case": outcome.case, "problem": outcome.problem });
    let cases: Vec<_> = outcomes.iter().map(each).collect();
    let recordings: Vec<_> = replayed.iter().map(recorded::Replayed::json).collect();
    let json =
        json!({ "passed": passed, "failed": failed, "cases": cases, "recordings": recordings });
    super::print(as_json, &text, &json)?;
    anyhow::ensure!(failed == 0, "{failed} of {} cases failed", outcomes.len());
    Ok(())
}

fn start(args: &Args, package: &Package, suite: Option<&Suite>) -> anyhow::Result<Running> {
    let mut binding = args.engine.binding(package)?;
    if let Some(config) = suite.and_then(|suite| suite.config.clone()) {
        binding.config = config;
    }
    Running::start(package, binding)
}

/// What runs cases on a node before a plugin is put in force; nothing where there are none.
///
/// # Errors
/// A file that is not understood.
pub(crate) fn golden(files: &[(String, String)]) -> anyhow::Result<Option<Check>> {
    anyhow::ensure!(files.len() <= FILES_MAX, "there are more than {FILES_MAX} files of cases");
    let read = |(file, text): &(String, String)| {
        Suite::parse(text).map(|suite| (file.clone(), suite)).with_context(|| file.clone())
    };
    let suites: Vec<(String, Suite)> = files.iter().map(read).collect::<anyhow::Result<_>>()?;
    if suites.is_empty() {
        return Ok(None);
    }
    Ok(Some(Box::new(move |trials| {
        suites.iter().try_for_each(|(file, suite)| try_out(trials, file, suite))
    })))
}

fn try_out(trials: &Trials<'_>, file: &str, suite: &Suite) -> Result<(), String> {
    let trial = trials.with(suite.config.as_ref()).map_err(|e| format!("{file}: {e}"))?;
    let on = Subject { chain: trial.chain(), hooks: &|| trial.hooks() };
    suite.cases.iter().try_for_each(|case| {
        case.run(&on).map_err(|problem| format!("{file}: case {:?}: {problem}", case.name))
    })
}

/// The files of cases in the order of their names.
fn suites(args: &Args) -> anyhow::Result<Vec<(String, Suite)>> {
    let own = || recorded::home(&args.engine.path).join("cases");
    let dir = args.cases.clone().unwrap_or_else(own);
    if !dir.is_dir() && args.cases.is_none() {
        return Ok(Vec::new());
    }
    let read = |(name, text): (String, String)| {
        let suite = Suite::parse(&text);
        Ok((
            name.clone(),
            suite.map_err(|e| wrong_use(format!("{name}: {}", crate::sentence(&e))))?,
        ))
    };
    let files = files(&dir)?;
    if files.is_empty() && args.cases.is_some() {
        return Err(no_cases(&dir));
    }
    files.into_iter().map(read).collect()
}

/// That a directory has no cases though it was named.
pub(super) fn no_cases(dir: &Path) -> anyhow::Error {
    wrong_use(format!("--cases: there are no *.toml in {}", dir.display()))
}

/// The names and texts of the files in a directory of cases, in the order of their names.
pub(super) fn files(dir: &Path) -> anyhow::Result<Vec<(String, String)>> {
    given::directory(dir).map_err(|error| wrong_use(format!("--cases: {error}")))?;
    let read = |path: PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        Ok((name, super::files::text(&path)?))
    };
    in_order(dir, "toml")?.into_iter().map(read).collect()
}

/// The files with this ending in the order of their names; none if there is no directory.
pub(super) fn in_order(dir: &Path, ending: &str) -> anyhow::Result<Vec<PathBuf>> {
    if !dir.is_dir() {
        return Ok(Vec::new());
    }
    let mut paths = Vec::new();
    for entry in dir.read_dir().with_context(|| dir.display().to_string())? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == ending) {
            paths.push(path);
        }
    }
    if paths.len() > FILES_MAX {
        return Err(wrong_use(format!("{} has more than {FILES_MAX} files", dir.display())));
    }
    paths.sort();
    Ok(paths)
}
