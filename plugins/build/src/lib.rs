//! From a plugin's directory to a component: find a toolchain that can, let it compile, wrap what
//! comes out. Nothing is ever installed here; what is missing is named with the command that
//! installs it.
//!
//! The component is put together in this process by `wit-component`, so that a plugin needs no tool
//! besides Rust. What the core module says of its own world (its `component-type` sections) decides
//! what the component exports and imports.
//!
//! The tools for JavaScript and Python make components themselves. Those for C and Go make modules,
//! whose world is that of the plugin's manifest.
//!
//! What this crate does not do: languages that are not [`Language`]s (a component that another tool
//! made goes straight to [`describe`]), signing, running.
//!
//! | module | holds |
//! |---|---|
//! | `language` | [`Language`] |
//! | `toolchain` | Rust: which cargo and rustc, and with which switches |
//! | `compile` | Rust: one run of cargo, and the module that it made |
//! | `c`, `go`, `javascript`, `python` | the same for other languages |
//! | `tool` | finding and running their programs |
//! | `contract` | [`World`]: what a plugin exports and imports, as WIT |
//! | `wasi` | what stands in for WASI in a module |
//! | `component` | module to component, and what a component says of itself |

mod c;
mod compile;
mod component;
mod contract;
mod go;
mod javascript;
mod language;
mod python;
mod tool;
mod toolchain;
mod wasi;

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

use blockhouse_disk::Disk;

pub use component::{Description, SIZE_USUAL_MAX, describe, encode};
pub use contract::World;
pub use language::Language;
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
    /// A program that is no part of this one is not there; says how to install it.
    #[error("{0}")]
    MissingTool(String),
    /// A program failed.
    #[error("{name} failed:\n{told}")]
    Tool {
        /// The program.
        name: String,
        /// What it said.
        told: String,
    },
    /// A source is missing, or there is no module, or there are several.
    #[error("{0}")]
    Artifact(String),
    /// What is generated could not be written.
    #[error("{path}: {source}")]
    Write {
        /// The file.
        path: PathBuf,
        /// What the filesystem says.
        source: io::Error,
    },
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
    /// What it is written in.
    pub language: Language,
    /// What it exports and imports. Rust's SDK knows by itself.
    pub world: World,
    /// The plugin's directory.
    pub directory: PathBuf,
    /// Rust's package, if the directory is a workspace with several.
    pub package: Option<String>,
    /// Where work is kept; `None` leaves it to cargo, and is `target` for other languages.
    pub target_dir: Option<PathBuf>,
    /// The `PATH` in which programs are searched.
    pub path: OsString,
    /// Whether small code is wanted more than fast code.
    pub small: bool,
    /// Whether `Cargo.lock` must be there and fit.
    pub locked: bool,
}

impl Request {
    /// Builds the plugin of Rust in `directory` with what is in `path`.
    #[must_use]
    pub fn new(directory: impl Into<PathBuf>, path: impl Into<OsString>) -> Self {
        Self {
            language: Language::default(),
            world: World::default(),
            directory: directory.into(),
            package: None,
            target_dir: None,
            path: path.into(),
            small: false,
            locked: false,
        }
    }

    /// A place for what is made on the way.
    fn work(&self, name: &str) -> PathBuf {
        let target = self.target_dir.clone();
        target.unwrap_or_else(|| self.directory.join("target")).join(name)
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
    /// How it was compiled, if it is of Rust.
    pub toolchain: Option<Toolchain>,
    /// What its author should know.
    pub warnings: Vec<String>,
}

/// Compiles a plugin and wraps it.
///
/// # Errors
/// What keeps the plugin from becoming a component, in words for its author.
pub fn build(disk: &dyn Disk, request: &Request) -> Result<Built, Error> {
    let mut toolchain = None;
    let path = match request.language {
        Language::Rust => {
            let found = find(disk, &request.directory, &request.path)?;
            compile::compile(request, toolchain.insert(found))?
        }
        Language::C => c::compile(disk, request)?,
        Language::Go => go::compile(disk, request)?,
        Language::JavaScript => javascript::compile(disk, request)?,
        Language::Python => python::compile(disk, request)?,
    };
    let module = read(disk, &path)?;
    let module_size = module.len();
    // Their tools make components, and large ones.
    let is_component = matches!(request.language, Language::JavaScript | Language::Python);
    let component = if is_component { module } else { encode(&module)? };
    let description = describe(&component)?;
    let warnings = description.warnings(if is_component { 0 } else { component.len() });
    Ok(Built { component, module_size, description, toolchain, warnings })
}

/// Whether a file that a plugin of this language has is there.
fn source(disk: &dyn Disk, directory: &Path, name: &str) -> Result<(), Error> {
    if disk.exists(&directory.join(name)) {
        return Ok(());
    }
    let told = format!(
        "{} is not there; `blockhouse plugin new --lang` writes one",
        directory.join(name).display()
    );
    Err(Error::Artifact(told))
}

fn read(disk: &dyn Disk, path: &Path) -> Result<Vec<u8>, Error> {
    let gone = || io::Error::from(io::ErrorKind::NotFound);
    let bytes = blockhouse_disk::whole::read(disk, path).and_then(|found| found.ok_or_else(gone));
    bytes.map_err(|source| Error::Read { path: path.to_owned(), source })
}
