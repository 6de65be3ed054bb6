//! Which cargo and rustc can compile for WASM.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use blockhouse_disk::Disk;

use crate::Error;

/// The target: no WASI, so that a plugin has no door but the contract's.
pub(crate) const TARGET: &str = "wasm32-unknown-unknown";

/// What to do without a toolchain that can.
pub const MISSING: &str = "\
no Rust toolchain here can compile for wasm32-unknown-unknown. Either of:
  rustup target add wasm32-unknown-unknown
  apt-get install rustc-web cargo-web rust-web-src rust-web-llvm lld-22    (Debian, without rustup)";

/// Where Debian's packages `rustc-web`, `cargo-web` and `rust-web-llvm` put their programs.
const DEBIAN: [&str; 3] = ["/usr/bin/rustc", "/usr/bin/cargo", "/usr/bin/rust-lld"];

/// A toolchain that can compile for WASM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Toolchain {
    /// The one in `PATH`, with the target's standard library installed.
    Installed,
    /// Debian's, which builds the standard library from source.
    Debian,
}

impl Toolchain {
    /// The cargo to run.
    pub(crate) fn cargo(&self) -> Command {
        match self {
            Self::Installed => Command::new("cargo"),
            Self::Debian => {
                let [rustc, cargo, _] = DEBIAN;
                let mut command = Command::new(cargo);
                // Debian's is a stable compiler; its own standard library is built with this switch.
                command.env("RUSTC_BOOTSTRAP", "1").env("RUSTC", rustc);
                command
            }
        }
    }

    /// What to add to `cargo build`.
    pub(crate) fn arguments(&self) -> &'static [&'static str] {
        match self {
            Self::Installed => &[],
            Self::Debian => &["-Z", "build-std=std,panic_abort"],
        }
    }
}

/// A toolchain for the plugin in `directory` (whose `rust-toolchain.toml` rustup heeds). The
/// installed one comes first: it is the one that the author's editor uses.
///
/// # Errors
/// There is none.
pub fn find(disk: &dyn Disk, directory: &Path, path: &OsStr) -> Result<Toolchain, Error> {
    if installed(directory, path).is_some_and(|libraries| has_library(disk, &libraries)) {
        return Ok(Toolchain::Installed);
    }
    let sources = sysroot_sources(directory, path);
    if sources && DEBIAN.iter().all(|program| disk.exists(Path::new(program))) {
        return Ok(Toolchain::Debian);
    }
    Err(Error::NoToolchain)
}

/// Where the rustc in `PATH` would have the target's libraries.
fn installed(directory: &Path, path: &OsStr) -> Option<PathBuf> {
    let arguments = ["--print", "target-libdir", "--target", TARGET];
    says(Command::new("rustc").args(arguments).current_dir(directory).env("PATH", path))
}

/// Rustc names the directory whether it is there or not, and rustup leaves an empty one behind.
fn has_library(disk: &dyn Disk, libraries: &Path) -> bool {
    let entries = disk.list(libraries).unwrap_or_default();
    entries.iter().any(|entry| entry.name.starts_with("libstd"))
}

/// Whether Debian's compiler has the standard library's sources beside it.
fn sysroot_sources(directory: &Path, path: &OsStr) -> bool {
    let [rustc, ..] = DEBIAN;
    let mut command = Command::new(rustc);
    let sysroot =
        says(command.args(["--print", "sysroot"]).current_dir(directory).env("PATH", path));
    sysroot.is_some_and(|sysroot| sysroot.join("lib/rustlib/src/rust/library/std").is_dir())
}

/// The path that a program prints.
fn says(command: &mut Command) -> Option<PathBuf> {
    let output = command.stdin(Stdio::null()).stderr(Stdio::null()).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    (output.status.success() && !text.trim().is_empty()).then(|| PathBuf::from(text.trim()))
}
