//! What must stay true of the repository itself, as tests: who depends on whom, how large files
//! grow, that generated pages are fresh and links lead somewhere.
//!
//! The library only finds files and asks `cargo metadata`; the checks are in `tests/`. Run
//! `UPDATE=1 cargo test -p blockhouse-tidy` to rewrite the generated pages.

pub mod links;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, ensure};
use serde_json::Value;

/// Directories that hold nothing of ours: builds, caches, data.
const FOREIGN: [&str; 4] = ["target", "blockhouse-data", "node_modules", "vendor"];

/// A crate of the workspace.
#[derive(Clone, Debug)]
pub struct Crate {
    /// Its package name without `blockhouse-` in front.
    pub name: String,
    /// Its directory, relative to the root.
    pub dir: PathBuf,
    /// The crates of the workspace that it depends on outside of tests.
    pub dependencies: BTreeSet<String>,
}

/// The repository's root.
#[must_use]
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The text of a file of the repository.
///
/// # Errors
/// If it cannot be read.
#[expect(clippy::disallowed_methods, reason = "tests look at the repository directly")]
pub fn read(path: impl AsRef<Path>) -> anyhow::Result<String> {
    let path = path.as_ref();
    std::fs::read_to_string(root().join(path)).with_context(|| path.display().to_string())
}

/// Writes a generated page.
///
/// # Errors
/// If it cannot be written.
#[expect(clippy::disallowed_methods, reason = "tests look at the repository directly")]
pub fn write(path: impl AsRef<Path>, text: &str) -> anyhow::Result<()> {
    let path = path.as_ref();
    std::fs::write(root().join(path), text).with_context(|| path.display().to_string())
}

/// Whether `UPDATE=1` asks to rewrite what is generated.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "how a developer says so")]
pub fn updating() -> bool {
    std::env::var("UPDATE").is_ok_and(|value| value == "1")
}

/// All files of ours that end in `.extension`, relative to the root, sorted.
///
/// # Errors
/// If a directory cannot be read.
pub fn files(extension: &str) -> anyhow::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    walk(Path::new(""), extension, &mut found)?;
    found.sort();
    Ok(found)
}

fn walk(dir: &Path, extension: &str, found: &mut Vec<PathBuf>) -> anyhow::Result<()> {
    for entry in std::fs::read_dir(root().join(dir)).with_context(|| dir.display().to_string())? {
        let entry = entry?;
        let name = entry.file_name();
        let text = name.to_string_lossy();
        let path = dir.join(&name);
        if text.starts_with('.') || FOREIGN.contains(&text.as_ref()) {
            continue;
        }
        if entry.file_type()?.is_dir() {
            walk(&path, extension, found)?;
        } else if path.extension().is_some_and(|e| e == extension) {
            found.push(path);
        }
    }
    Ok(())
}

/// The crates of the workspace, in the order of `members`.
///
/// # Errors
/// If `cargo metadata` fails or has another form than expected.
pub fn crates() -> anyhow::Result<Vec<Crate>> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version=1", "--no-deps", "--offline"])
        .current_dir(root())
        .output()
        .context("cargo metadata")?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout)?;
    let text = |value: &Value, name: &str| -> anyhow::Result<String> {
        Ok(value[name].as_str().with_context(|| format!("no {name}"))?.to_owned())
    };
    let list = |value: &Value, name: &str| -> anyhow::Result<Vec<Value>> {
        Ok(value[name].as_array().with_context(|| format!("no {name}"))?.clone())
    };
    let at_root = root().canonicalize()?;
    let mut crates = Vec::new();
    for package in list(&metadata, "packages")? {
        let manifest = PathBuf::from(text(&package, "manifest_path")?);
        let dir = manifest.parent().unwrap_or(&manifest).strip_prefix(&at_root)?.to_owned();
        let dependencies = list(&package, "dependencies")?;
        let of_ours = dependencies.iter().filter(|d| d["kind"].is_null() && d["path"].is_string());
        crates.push(Crate {
            name: short(&text(&package, "name")?),
            dir,
            dependencies: of_ours
                .map(|d| text(d, "name").map(|n| short(&n)))
                .collect::<anyhow::Result<_>>()?,
        });
    }
    let order = members()?;
    crates.sort_by_key(|c| order.iter().position(|member| Path::new(member) == c.dir));
    Ok(crates)
}

/// The directories of the workspace's members, as they are listed.
fn members() -> anyhow::Result<Vec<String>> {
    let manifest = read("Cargo.toml")?;
    let list = manifest.split_once("\nmembers = [").and_then(|(_, rest)| rest.split_once(']'));
    let (list, _) = list.context("Cargo.toml has no members")?;
    let lines = list.lines().map(str::trim).filter(|line| line.starts_with('"'));
    Ok(lines.map(|line| line.trim_matches(['"', ',']).to_owned()).collect())
}

fn short(name: &str) -> String {
    name.strip_prefix("blockhouse-").unwrap_or(name).to_owned()
}
