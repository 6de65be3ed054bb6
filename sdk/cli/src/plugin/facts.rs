//! What a component is.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use blockhouse_disk::RealDisk;
use blockhouse_package::component::Item;
use blockhouse_package::{Component, Digest, Manifest, Package, Signatures, package, signature};
use serde_json::{Value, json};

use super::files;

/// What to look at.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The component
    file: PathBuf,
}

/// What can be told of a component without running it.
pub(super) struct Facts {
    digest: Digest,
    size: usize,
    component: Component,
    signatures: Signatures,
}

impl Facts {
    pub(super) fn of(package: &Package) -> Self {
        Self {
            digest: package.digest(),
            size: package.bytes().len(),
            component: package.component().clone(),
            signatures: package.signatures().clone(),
        }
    }

    pub(super) fn text(&self) -> String {
        let mut text = String::new();
        let mut row = |name: &str, value: &str| {
            // Writing to a String cannot fail.
            let _infallible = writeln!(text, "{name:<12}{value}");
        };
        match &self.component.manifest {
            Some(manifest) => {
                row("plugin", &format!("{} {}", manifest.name, manifest.version));
                if !manifest.description.is_empty() {
                    row("", &manifest.description);
                }
                row("asks", &or_nothing(&asks(manifest)));
            }
            None => row("plugin", "no manifest in it"),
        }
        row("digest", &self.digest.to_string());
        row("size", &format!("{} bytes", self.size));
        row("exports", &or_nothing(&names(&self.component.exports)));
        row("imports", &or_nothing(&names(&self.component.imports)));
        row("signed by", &or_nothing(&self.signers()));
        text
    }

    pub(super) fn json(&self) -> Value {
        let manifest = self.component.manifest.as_ref().map(|manifest| {
            json!({
                "name": manifest.name.as_str(),
                "version": manifest.version.to_string(),
                "abi": manifest.abi.to_string(),
                "description": manifest.description,
                "hooks": manifest.hooks.iter().map(|hook| hook.name()).collect::<Vec<_>>(),
                "asks": asks(manifest),
                "memory": manifest.limits.memory(),
            })
        });
        json!({
            "digest": self.digest.to_string(),
            "size": self.size,
            "manifest": manifest,
            "exports": names(&self.component.exports),
            "imports": names(&self.component.imports),
            "signers": self.signers(),
        })
    }

    /// The numbers of the keys; whose they are, only a trust store knows.
    fn signers(&self) -> Vec<String> {
        self.signatures.iter().map(|signature| signature.key().to_string()).collect()
    }
}

fn asks(manifest: &Manifest) -> Vec<String> {
    manifest.asks.iter().map(ToString::to_string).collect()
}

/// Names of the contract are told short.
fn names(items: &[Item]) -> Vec<String> {
    let short = |item: &Item| match item.of_contract() {
        Some((interface, version)) => format!("{interface}@{version}"),
        None => item.name.clone(),
    };
    items.iter().map(short).collect()
}

fn or_nothing(names: &[String]) -> String {
    if names.is_empty() { "nothing".to_owned() } else { names.join(", ") }
}

/// Tells; a component that no node would take is told too, and fails.
pub(super) fn run(args: &Args, as_json: bool) -> anyhow::Result<()> {
    let failed = || args.file.display().to_string();
    let bytes = files::component(&args.file)?;
    let component = Component::look(&bytes).with_context(failed)?;
    let signatures = signatures(&args.file)?;
    let facts = Facts { digest: Digest::of(&bytes), size: bytes.len(), component, signatures };
    super::print(as_json, &facts.text(), &facts.json())?;
    Package::new(bytes.into(), None, facts.signatures).with_context(failed)?;
    Ok(())
}

fn signatures(component: &Path) -> anyhow::Result<Signatures> {
    let path = package::signatures_path(component);
    if !blockhouse_disk::Disk::exists(&RealDisk, &path) {
        return Ok(Signatures::default());
    }
    let bytes = files::read(&path, signature::FILE_SIZE_MAX)?;
    Signatures::parse(&bytes).with_context(|| path.display().to_string())
}
