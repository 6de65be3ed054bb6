//! Putting a plugin in force on running nodes.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use blockhouse_host::{Binding, Config};
use blockhouse_package::{Digest, Package};
use serde::Deserialize;
use serde_json::Value;

use super::change::{self, Outcome};
use super::node::{self, Node, NodeArgs};
use super::{cases, files};
use crate::process::plugins::{CaseFile, DeployRequest, Wanted};
use crate::wrong_use;

pub(super) const EXAMPLES: &str = "\
Examples:
  blockhouse plugin deploy orders-guard.wasm --binding node.toml
  blockhouse plugin deploy orders-guard.wasm --cases cases \\
      --node 10.0.0.5:5557 --node 10.0.0.6:5557
  blockhouse plugin deploy sha256:0f5b... --name orders-guard

Without --binding the new version is bound as the one in force. A file's signatures are taken from FILE.sig. \
Nothing changes on any node unless all of them take it; a version that does worse than the one before goes back \
by itself in its first minute (`blockhouse plugin describe NAME` tells).

Exit codes: 0 in force on all nodes; 1 not on all, and it says on which; 2 wrong arguments.";

/// What to deploy where.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The component, or the digest of one that the nodes have
    #[arg(value_name = "FILE|DIGEST")]
    what: String,
    /// The binding's name; the plugin's own if absent
    #[arg(long)]
    name: Option<String>,
    /// Bind it as the [[plugins.binding]] of that name in this TOML file does, or the only one in
    /// it; the digest there does not matter
    #[arg(long, value_name = "FILE")]
    binding: Option<PathBuf>,
    /// Golden cases, *.toml, that the nodes run before they put it in force
    #[arg(long, value_name = "DIR")]
    cases: Option<PathBuf>,
    /// Take it though a node has rejected it before
    #[arg(long)]
    force: bool,
    /// Do everything but put it in force
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    nodes: NodeArgs,
}

/// What is wanted of a node's configuration.
#[derive(Deserialize)]
struct NodeFile {
    plugins: Config,
}

/// Sends it to all nodes, has all of them try it, then puts it in force on each.
pub(super) fn run(args: &Args, as_json: bool) -> anyhow::Result<()> {
    let nodes = args.nodes.nodes()?;
    let (package, digest) = if let Ok(digest) = args.what.parse::<Digest>() {
        (None, digest)
    } else {
        let package = files::package(Path::new(&args.what))?;
        let digest = package.digest();
        (Some(package), digest)
    };
    let name = match (&args.name, &package) {
        (Some(name), _) => node::name(name)?.to_owned(),
        (None, Some(package)) => package.manifest().name.to_string(),
        (None, None) => return Err(wrong_use("a digest has no name: give --name NAME")),
    };
    let digest = digest.to_string();
    let mut request = DeployRequest {
        plugins: vec![Wanted {
            binding: args
                .binding
                .as_deref()
                .map(|path| binding(path, &name, &digest))
                .transpose()?,
            signatures: package.as_ref().and_then(signatures),
            cases: args.cases.as_deref().map(read_cases).transpose()?.unwrap_or_default(),
            name,
            digest: digest.clone(),
        }],
        force: args.force,
        dry_run: true,
    };
    if let Some(package) = &package {
        for node in &nodes {
            let path = format!("/v1/plugins/components?digest={digest}");
            for wanted in &request.plugins {
                let _told: Value = node.put(&node::about(&path, &wanted.name), package.bytes())?;
            }
        }
    }
    // A node alone tries it by itself before it puts it in force.
    if args.dry_run || nodes.len() > 1 {
        let tried = post_all(&nodes, &request, true)?;
        if args.dry_run {
            return change::tell(&tried, as_json);
        }
    }
    request.dry_run = false;
    change::tell(&post_all(&nodes, &request, false)?, as_json)
}

/// Asks one node after the other; the first that refuses a trial ends it, since nothing has changed.
fn post_all(nodes: &[Node], request: &DeployRequest, trial: bool) -> anyhow::Result<Vec<Outcome>> {
    let mut outcomes = Vec::with_capacity(nodes.len());
    for node in nodes {
        let path = request
            .plugins
            .iter()
            .fold("/v1/plugins/deploy".to_owned(), |path, wanted| node::about(&path, &wanted.name));
        let result = node.post(&path, request);
        if trial && nodes.len() > 1 {
            let report = result.context("nothing has changed on any node")?;
            outcomes.push(Outcome { node: node.authority.clone(), result: Ok(report) });
        } else {
            outcomes.push(Outcome { node: node.authority.clone(), result });
        }
    }
    Ok(outcomes)
}

fn signatures(package: &Package) -> Option<String> {
    (!package.signatures().is_empty()).then(|| package.signatures().to_string())
}

/// The binding of this name in a file, or the only one.
fn binding(path: &Path, name: &str, digest: &str) -> anyhow::Result<Binding> {
    let failed = || path.display().to_string();
    let file: NodeFile = toml::from_str(&files::text(path)?).with_context(failed)?;
    let mut all = file.plugins.binding;
    let at = match all.iter().position(|binding| binding.name == name) {
        Some(at) => at,
        None if all.len() == 1 => 0,
        None => {
            return Err(wrong_use(format!(
                "{} has no [[plugins.binding]] with name = \"{name}\"",
                path.display()
            )));
        }
    };
    let mut binding = all.swap_remove(at);
    (binding.name, binding.digest) = (name.to_owned(), digest.to_owned());
    Ok(binding)
}

fn read_cases(dir: &Path) -> anyhow::Result<Vec<CaseFile>> {
    let files = cases::files(dir)?;
    if files.is_empty() {
        return Err(cases::no_cases(dir));
    }
    cases::golden(&files)
        .map_err(|e| wrong_use(format!("--cases {}: {}", dir.display(), crate::sentence(&e))))?;
    Ok(files.into_iter().map(|(file, text)| CaseFile { file, text }).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_binding_of_that_name_is_taken_or_the_only_one() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("node.toml");
        let zeros = format!("sha256:{}", "0".repeat(64));
        let of = |name: &str| {
            format!("[[plugins.binding]]\nname = \"{name}\"\ndigest = \"{zeros}\"\norder = 7\n")
        };
        let read = |text: String, name: &str| {
            files::write(&path, text.as_bytes()).unwrap();
            binding(&path, name, "sha256:1").map(|b| (b.name, b.digest, b.order))
        };
        let taken = ("a".to_owned(), "sha256:1".to_owned(), 7);
        assert_eq!(read([of("a"), of("b")].concat(), "a").unwrap(), taken);
        assert_eq!(read(of("b"), "a").unwrap(), taken);
        assert!(
            read([of("b"), of("c")].concat(), "a")
                .unwrap_err()
                .to_string()
                .contains("name = \"a\"")
        );
        assert!(read("[plugins]\n".to_owned(), "a").is_err());
    }
}
