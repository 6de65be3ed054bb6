//! From a plugin's directory to a component: find a Rust toolchain that can, let cargo compile,
//! wrap what comes out.
//!
//! The component is put together in this process by `wit-component`, so that a plugin needs no tool
//! besides Rust. What the core module says of its own world (its `component-type` sections) decides
//! what the component exports and imports.
//!
//! What this crate does not do: other languages (a component that another tool made goes straight
//! to [`describe`]), signing, running.
//!
//! | module | holds |
//! |---|---|
//! | `toolchain` | which cargo and rustc, and with which switches |
//! | `compile` | one run of cargo, and the module that it made |
//! | `component` | module to component, and what a component says of itself |

mod compile;
mod component;
mod toolchain;

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

use blockhouse_disk::Disk;

pub use component::{Description, SIZE_USUAL_MAX, describe, encode};
pub use toolchain::{MISSING, Toolchain, find};

/// Why there is no component.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No toolchain can compile for WASM.
    #[error("{MISSING}")]
    NoToolchain,
    /// A program could not be run.
    #[error("{program}: {source}")]
    Run {
        /// The program.
        program: String,
        /// What the operating system says.
        source: io::Error,
    },
    /// Cargo failed.
    #[error("cargo failed:\n{0}")]
    Cargo(String),
    /// Cargo made no module, or several.
    #[error("{0}")]
    Artifact(String),
    /// The module could not be read.
    #[error("{path}: {source}")]
    Read {
        /// The module's file.
        path: PathBuf,
        /// What the filesystem says.
        source: io::Error,
    },
    /// The bytes are no module or component that this version understands.
    #[error("{0}")]
    Wasm(String),
}

/// What to build and with what.
#[derive(Clone, Debug)]
pub struct Request {
    /// The plugin's directory, with its `Cargo.toml`.
    pub directory: PathBuf,
    /// The package, if the directory is a workspace with several.
    pub package: Option<String>,
    /// Where cargo keeps its work; `None` leaves it to cargo.
    pub target_dir: Option<PathBuf>,
    /// The `PATH` in which programs are searched.
    pub path: OsString,
    /// Whether small code is wanted more than fast code.
    pub small: bool,
    /// Whether `Cargo.lock` must be there and fit.
    pub locked: bool,
}

impl Request {
    /// Builds the plugin in `directory` with what is in `path`.
    #[must_use]
    pub fn new(directory: impl Into<PathBuf>, path: impl Into<OsString>) -> Self {
        let (directory, path) = (directory.into(), path.into());
        Self { directory, package: None, target_dir: None, path, small: false, locked: false }
    }
}

/// A component, and what there is to say about it.
#[derive(Debug)]
pub struct Built {
    /// The component.
    pub component: Vec<u8>,
    /// The size of the core module in bytes, with the sections that are gone in the component.
    pub module_size: usize,
    /// What the component exports and imports.
    pub description: Description,
    /// How it was compiled.
    pub toolchain: Toolchain,
    /// What its author should know.
    pub warnings: Vec<String>,
}

/// Compiles a plugin and wraps it.
///
/// # Errors
/// What keeps the plugin from becoming a component, in words for its author.
pub fn build(disk: &dyn Disk, request: &Request) -> Result<Built, Error> {
    let toolchain = find(disk, &request.directory, &request.path)?;
    let path = compile::compile(request, &toolchain)?;
    let module = read(disk, &path)?;
    let component = encode(&module)?;
    let description = describe(&component)?;
    let warnings = description.warnings(component.len());
    Ok(Built { component, module_size: module.len(), description, toolchain, warnings })
}

fn read(disk: &dyn Disk, path: &Path) -> Result<Vec<u8>, Error> {
    let gone = || io::Error::from(io::ErrorKind::NotFound);
    let bytes = blockhouse_disk::whole::read(disk, path).and_then(|found| found.ok_or_else(gone));
    bytes.map_err(|source| Error::Read { path: path.to_owned(), source })
}
