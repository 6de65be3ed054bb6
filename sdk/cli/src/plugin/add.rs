//! A component into a node's directory.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use blockhouse_disk::{Disk as _, RealDisk};
use blockhouse_host::host::component_path;
use blockhouse_package::{Package, package};
use serde_json::json;

use super::{binding, files};
use crate::process::plugins;
use crate::{given, wrong_use};

/// What to put where.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The component
    file: PathBuf,
    /// The node's data directory
    #[arg(long, value_name = "DIR", default_value = "blockhouse-data")]
    data: PathBuf,
}

/// Puts a plugin and its signatures where the node whose data is in `data` looks for it. The
/// component comes last: one that is there has its signatures.
pub(super) fn put(package: &Package, data: &Path) -> anyhow::Result<PathBuf> {
    let path = component_path(&plugins::dir(data), &package.digest().to_string());
    if !package.signatures().is_empty() {
        let text = package.signatures().to_string();
        files::write(&package::signatures_path(&path), text.as_bytes())?;
    }
    files::write(&path, package.bytes())?;
    // The directories above may be as new as the file.
    for dir in [data.join("blockhouse"), data.to_owned()] {
        RealDisk.sync_dir(&dir).with_context(|| dir.display().to_string())?;
    }
    Ok(path)
}

/// Refuses a directory that no node has: the plugin would be put where nothing looks for it.
pub(super) fn check_data(data: &Path) -> anyhow::Result<()> {
    given::directory(data).map_err(|error| {
        wrong_use(format!(
            "{error}: name the node's data directory with --data (`mkdir` it for a node that \
             never ran)"
        ))
    })
}

/// Checks a plugin and puts it there.
pub(super) fn run(args: &Args, as_json: bool) -> anyhow::Result<()> {
    check_data(&args.data)?;
    let package = files::package(&args.file)?;
    blockhouse_build::describe(package.bytes())
        .with_context(|| format!("{} is damaged", args.file.display()))?;
    let path = put(&package, &args.data)?;
    let manifest = package.manifest();
    let binding = binding::toml(&package);
    let text = format!(
        "{} {} is in {}\n\nThis in the node's configuration runs it from the next start:\n\n{binding}",
        manifest.name,
        manifest.version,
        path.display()
    );
    let json = json!({
        "digest": package.digest().to_string(),
        "file": path.display().to_string(),
        "binding": binding,
    });
    super::print(as_json, &text, &json)
}
