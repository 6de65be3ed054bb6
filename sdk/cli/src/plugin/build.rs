//! From a plugin's directory to a component.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use blockhouse_build::{Language, Request, World};
use blockhouse_disk::RealDisk;
use blockhouse_package::{Manifest, Package, Signatures, component};

use super::facts::Facts;
use super::{binding, files};
use crate::{out, wrong_use};

pub(super) const EXAMPLES: &str = "\
Examples:
  blockhouse plugin build
  blockhouse plugin build orders-guard -o guard.wasm
  blockhouse plugin build --small";

/// What to build.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The plugin's directory, with plugin.toml, whose sdk.language says how it is built
    #[arg(default_value = ".")]
    dir: PathBuf,
    /// Write the component here; NAME.wasm in the directory if absent
    #[arg(long, short = 'o', value_name = "FILE")]
    output: Option<PathBuf>,
    /// Rust: the package, if the directory is a workspace with several
    #[arg(long, value_name = "NAME")]
    package: Option<String>,
    /// Where the compiler keeps its work; `target` in the directory if absent
    #[arg(long, value_name = "DIR")]
    target_dir: Option<PathBuf>,
    /// Rust and C: small code rather than fast code
    #[arg(long)]
    small: bool,
    /// Rust: fail if Cargo.lock is missing or does not fit
    #[arg(long)]
    locked: bool,
}

/// A plugin that was just compiled.
pub(super) struct Made {
    pub(super) package: Package,
    warnings: Vec<String>,
}

/// Compiles what is in `request`'s directory and puts its manifest in.
pub(super) fn make(request: &Request) -> anyhow::Result<Made> {
    let path = request.directory.join("plugin.toml");
    // Before the compiler runs: it takes longer.
    let manifest = manifest(&path)?;
    let request = of_manifest(request, &manifest)?;
    let built = blockhouse_build::build(&RealDisk, &request)?;
    let bytes = component::embed(&built.component, &manifest)?;
    let package = Package::new(bytes, None, Signatures::default())
        .with_context(|| format!("{} does not fit what was compiled", path.display()))?;
    Ok(Made { package, warnings: built.warnings })
}

/// The request with what the manifest says of it.
fn of_manifest(request: &Request, manifest: &Manifest) -> anyhow::Result<Request> {
    let name = &manifest.sdk.language;
    let language = match Language::of(name) {
        Some(language) => language,
        // Until others had a toolchain here, this was a word for the reader.
        None if request.directory.join("Cargo.toml").is_file() => Language::Rust,
        None => {
            let all = Language::ALL.map(Language::name).join(", ");
            return Err(wrong_use(format!(
                "sdk.language is {name:?} in plugin.toml; there are tools here for {all}"
            )));
        }
    };
    let hooks = manifest.hooks.iter().map(|hook| hook.name().to_owned()).collect();
    let mut asks: Vec<_> =
        manifest.asks.iter().map(|ask| ask.capability().name().to_owned()).collect();
    // One of each, whatever their scopes.
    asks.sort();
    asks.dedup();
    let world = World { hooks, asks };
    Ok(Request { language, world, ..request.clone() })
}

/// A request to build what is in `dir`, with the programs of the environment.
pub(super) fn request(dir: &Path) -> Request {
    Request::new(dir, std::env::var_os("PATH").unwrap_or_default())
}

fn manifest(path: &Path) -> anyhow::Result<Manifest> {
    if !path.exists() {
        return Err(wrong_use(format!(
            "{} is not there: a plugin has a manifest; `blockhouse plugin new` writes one to look at",
            path.display()
        )));
    }
    let bytes = files::read(path, blockhouse_package::manifest::SIZE_MAX as u64)?;
    Manifest::parse(&bytes).with_context(|| path.display().to_string())
}

/// Builds and tells.
pub(super) fn run(args: &Args, as_json: bool) -> anyhow::Result<()> {
    let absolute = |dir: &PathBuf| std::path::absolute(dir);
    let request = Request {
        package: args.package.clone(),
        // Cargo runs in the plugin's directory.
        target_dir: args.target_dir.as_ref().map(absolute).transpose()?,
        small: args.small,
        locked: args.locked,
        ..request(&args.dir)
    };
    let Made { package, warnings } = make(&request)?;
    let name = format!("{}.wasm", package.manifest().name);
    let output = args.output.clone().unwrap_or_else(|| args.dir.join(name));
    files::write(&output, package.bytes())?;
    let facts = Facts::of(&package);
    let binding = binding::toml(&package);
    let mut text = format!("wrote {}\n{}", output.display(), facts.text());
    // Writing to a String cannot fail.
    let _infallible = write!(
        text,
        "\n`blockhouse plugin add {} --data DIR` puts it onto a node, and this into the node's \
         configuration runs it:\n\n{binding}",
        output.display()
    );
    warnings.iter().for_each(|warning| out::note(&format!("warning: {warning}")));
    let mut json = facts.json();
    json["file"] = output.display().to_string().into();
    json["warnings"] = warnings.into();
    json["binding"] = binding.into();
    super::print(as_json, &text, &json)
}
