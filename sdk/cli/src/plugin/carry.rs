//! Plugins to and from sites without a network.

use std::path::PathBuf;

use anyhow::Context as _;
use blockhouse_disk::RealDisk;
use blockhouse_package::{Package, layout};
use serde_json::json;

use super::{add, binding, files};
use crate::{given, wrong_use};

pub(super) const SAVE_EXAMPLES: &str = "\
Examples:
  blockhouse plugin save orders-guard.wasm audit.wasm -o plugins.tar
  # into a directory
  blockhouse plugin save *.wasm -o plugins";

/// What to carry.
#[derive(Debug, clap::Args)]
pub(super) struct SaveArgs {
    /// The components; signatures beside them come along
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// A new tar file (NAME.tar) or a new directory
    #[arg(long, short = 'o', value_name = "LAYOUT")]
    output: PathBuf,
}

/// What was carried, and where to put it.
#[derive(Debug, clap::Args)]
pub(super) struct LoadArgs {
    /// The layout: NAME.tar, or a directory
    layout: PathBuf,
    /// The node's data directory
    #[arg(long, value_name = "DIR", default_value = "blockhouse-data")]
    data: PathBuf,
}

/// Writes a layout.
pub(super) fn save(args: &SaveArgs, as_json: bool) -> anyhow::Result<()> {
    let packages: Vec<Package> =
        args.files.iter().map(|file| files::package(file)).collect::<anyhow::Result<_>>()?;
    let mut digests: Vec<_> = packages.iter().map(Package::digest).collect();
    digests.sort_unstable();
    if digests.windows(2).any(|pair| pair[0] == pair[1]) {
        return Err(wrong_use("two of the files are the same component"));
    }
    // A name alone has no directory to be synced.
    let output = std::path::absolute(&args.output)?;
    layout::save(&RealDisk, &output, &packages)?;
    let text = format!("wrote {}\n{}", output.display(), lines(&packages));
    super::print(
        as_json,
        &text,
        &json!({ "file": output.display().to_string(), "plugins": told(&packages) }),
    )
}

/// Puts all plugins of a layout onto a node, or none if one of them is wrong.
pub(super) fn load(args: &LoadArgs, as_json: bool) -> anyhow::Result<()> {
    add::check_data(&args.data)?;
    given::either(&args.layout)?;
    let is_other = args.layout.is_dir() && !args.layout.join("oci-layout").exists();
    if is_other || args.layout.is_file() && !layout::is_tar(&args.layout) {
        return Err(wrong_use(format!(
            "{} is no layout, which is NAME.tar or a directory; `blockhouse plugin add` takes a component",
            args.layout.display()
        )));
    }
    let packages =
        layout::load(&RealDisk, &args.layout).map_err(|error| files::about(&args.layout, error))?;
    for package in &packages {
        let name = &package.manifest().name;
        blockhouse_build::describe(package.bytes())
            .with_context(|| format!("{name} is damaged"))?;
    }
    for package in &packages {
        add::put(package, &args.data)?;
    }
    let bindings: Vec<String> = packages.iter().map(binding::toml).collect();
    let text = format!(
        "{}\nThis in the node's configuration runs them from the next start:\n\n{}",
        lines(&packages),
        bindings.join("\n")
    );
    super::print(as_json, &text, &json!({ "plugins": told(&packages), "bindings": bindings }))
}

fn lines(packages: &[Package]) -> String {
    let line = |package: &Package| {
        let manifest = package.manifest();
        format!("{} {} {}\n", manifest.name, manifest.version, package.digest())
    };
    packages.iter().map(line).collect()
}

fn told(packages: &[Package]) -> Vec<serde_json::Value> {
    packages.iter().map(|package| super::facts::Facts::of(package).json()).collect()
}
