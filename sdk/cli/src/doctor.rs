//! What is wrong with a cluster, and what to do about it.

mod cluster;
mod rules;
mod table;

use std::process::ExitCode;

use blockhouse_model::Clock as _;
use blockhouse_service::SystemClock;
use serde::Serialize;

use crate::cluster::{ClusterArgs, Table, block_on};
use crate::plugin::node::{DEFAULT as DEFAULT_OPS, Node};
use crate::samples::Samples;
use crate::{FAILED, out};

pub(crate) const EXAMPLES: &str = "\
Examples:
  blockhouse doctor
  blockhouse doctor --namesrv '10.0.0.3:9876;10.0.0.4:9876' \\
      --node 10.0.0.5:5557 --node 10.0.0.6:5557
  blockhouse doctor --json | jq '.findings[] | select(.state != \"ok\")'

Exit codes: 0 nothing fails; 1 something fails (with --strict: or is a warning); 2 wrong arguments.";

/// Where to look, and what to say.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    cluster: ClusterArgs,
    /// A node's ops listener, HOST:PORT or http(s)://HOST:PORT; once for each broker and name server
    #[arg(long = "node", visible_alias = "ops", value_name = "URL", default_value = DEFAULT_OPS)]
    nodes: Vec<String>,
    /// Print what is well, too
    #[arg(long, short)]
    all: bool,
    /// Fail on warnings, too
    #[arg(long)]
    strict: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// How it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum State {
    /// As it should be.
    Ok,
    /// Somebody should look, today.
    Warning,
    /// Somebody should look, now.
    Failure,
}

impl State {
    const fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Failure => "FAILURE",
        }
    }
}

/// What a check is called, and what helps where it is not well.
#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct Check {
    /// Its name, which stays the same.
    #[serde(rename = "check")]
    pub(super) name: &'static str,
    /// What to do.
    pub(super) advice: &'static str,
    /// The panel of `dashboards/grafana/overview.json` that shows it.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub(super) panel: &'static str,
    /// The page and the section that say more, below `docs/`.
    #[serde(rename = "runbook")]
    pub(super) page: &'static str,
}

/// What a check found at one place.
#[derive(Debug, Serialize)]
pub(super) struct Finding {
    pub(super) state: State,
    #[serde(flatten)]
    pub(super) check: Check,
    /// A node's ops listener, a broker's or a name server's address.
    #[serde(rename = "where")]
    pub(super) place: String,
    pub(super) found: String,
}

impl Finding {
    fn new(check: Check, state: State, place: &str, found: impl Into<String>) -> Self {
        Self { state, check, place: place.to_owned(), found: found.into() }
    }
}

/// Looks, tells, and says by its exit code whether something fails.
pub(crate) fn run(args: &Args) -> ExitCode {
    match look(args) {
        Ok(findings) => {
            let told = if args.json { as_json(&findings) } else { as_text(&findings, args.all) };
            out::text(&told);
            let bad = if args.strict { State::Warning } else { State::Failure };
            let fails = findings.iter().any(|finding| finding.state >= bad);
            if fails { ExitCode::from(FAILED) } else { ExitCode::SUCCESS }
        }
        Err(error) => crate::report(Err(error)),
    }
}

fn look(args: &Args) -> anyhow::Result<Vec<Finding>> {
    let mut findings = block_on(args.cluster.identity.is_given(), cluster::look(&args.cluster))?;
    let mut versions = Vec::new();
    for url in &args.nodes {
        let ClusterArgs { timeout_ms, tls, identity, .. } = &args.cluster;
        let node = Node::reached(url, *timeout_ms, tls, identity)?;
        findings.extend(look_at(&node, &mut versions));
    }
    findings.extend(rules::same_version(&versions));
    // The worst first; what was looked at first stays before.
    findings.sort_by_key(|finding| std::cmp::Reverse(finding.state));
    Ok(findings)
}

/// What a node's ops listener says.
fn look_at(node: &Node, versions: &mut Vec<(String, String)>) -> Vec<Finding> {
    let place = &node.authority;
    let mut findings = vec![rules::asked("healthz", place, node.text("/healthz"))];
    findings.push(rules::asked("readyz", place, node.text("/readyz")));
    match node.text("/metrics") {
        Ok(text) => {
            let samples = Samples::parse(&text);
            versions.extend(
                samples.label("blockhouse_build_info", "version").map(|v| (place.clone(), v)),
            );
            let now = SystemClock::new().now().0 / 1_000;
            findings.extend(rules::judge(&samples, place, now as f64));
        }
        Err(error) => findings.push(rules::asked("metrics", place, Err(error))),
    }
    findings
}

fn as_json(findings: &[Finding]) -> String {
    let count = |state| findings.iter().filter(|finding| finding.state == state).count();
    let told = serde_json::json!({
        "failures": count(State::Failure),
        "warnings": count(State::Warning),
        "ok": count(State::Ok),
        "findings": findings,
    });
    format!("{told:#}\n")
}

fn as_text(findings: &[Finding], all: bool) -> String {
    let shown: Vec<_> = findings.iter().filter(|f| all || f.state > State::Ok).collect();
    let mut table = Table::new(&["state", "check", "where", "found"]);
    for finding in &shown {
        table.row([finding.state.name(), finding.check.name, &finding.place, &finding.found]);
    }
    let mut advice: Vec<String> = Vec::new();
    for Finding { check, .. } in shown.iter().filter(|finding| finding.state > State::Ok) {
        let panel = if check.panel.is_empty() {
            String::new()
        } else {
            format!("; panel \"{}\"", check.panel)
        };
        let line = format!("{}: {} (docs/{}{panel})", check.name, check.advice, check.page);
        if !advice.contains(&line) {
            advice.push(line);
        }
    }
    let bad = findings.iter().filter(|finding| finding.state > State::Ok).count();
    let sum = format!("{} checks, {bad} of them not well", findings.len());
    let rows = if table.is_empty() { String::new() } else { format!("{table}\n") };
    let lines: String = advice.iter().map(|line| format!("{line}\n")).collect();
    let gap = if advice.is_empty() { "" } else { "\n" };
    format!("{rows}{lines}{gap}{sum}\n")
}
