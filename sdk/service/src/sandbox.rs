//! What the process may still do once it knows its configuration: write where its data is, listen
//! on its own ports, execute itself if it compiles plugins, and nothing that a server never needs.
//!
//! Landlock limits files and ports, seccomp limits system calls. Both hold for all threads and
//! children from then on, and cannot be taken back. They are a second wall: what gets through a
//! mistake in this program, or out of a plugin, still finds the rest of the machine closed.

use std::path::PathBuf;

use blockhouse_model::OptionError;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Error;

/// Section `[sandbox]`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Whether the process gives up what it does not need: `auto` takes what the kernel has, `require` refuses to
    /// start where it has neither Landlock nor seccomp, `off` gives nothing up.
    pub mode: Mode,
    /// Further directories that may be written to.
    pub writable: Vec<PathBuf>,
}

/// How much of a sandbox there must be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// What the kernel has.
    #[default]
    Auto,
    /// All of it, or no start.
    Require,
    /// None.
    Off,
}

impl Config {
    /// Checks what types cannot say.
    ///
    /// # Errors
    /// A directory that is no absolute path.
    pub fn validate(&self) -> Result<(), OptionError> {
        match self.writable.iter().find(|dir| !dir.is_absolute()) {
            Some(dir) => Err(OptionError::new(
                "writable",
                format!("must hold absolute paths, not {}", dir.display()),
            )),
            None => Ok(()),
        }
    }
}

/// What a process goes on to need.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Needs {
    /// Directories below which files are made, written, renamed and removed. They exist.
    pub writable: Vec<PathBuf>,
    /// Whether it goes on to execute itself. If not, no program is executed any more, not even through its loader.
    pub executes: bool,
    /// Ports that are listened on, 0 for any free one; `None` if they are not known before.
    pub ports: Option<Vec<u16>>,
}

/// What the kernel took on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Entered {
    /// Whether files are limited.
    pub files: bool,
    /// Whether ports are limited.
    pub ports: bool,
    /// Whether system calls are limited.
    pub calls: bool,
}

/// Gives up everything but `needs`. Call it before there are other threads.
///
/// # Errors
/// A directory that cannot be opened; in mode `require` also a kernel that lacks something.
pub fn enter(config: &Config, needs: &Needs) -> Result<Entered, Error> {
    if config.mode == Mode::Off {
        return Ok(Entered::default());
    }
    let entered = imp::enter(needs).map_err(Error::Sandbox)?;
    let is_whole = entered.files && entered.calls && entered.ports == needs.ports.is_some();
    if config.mode == Mode::Require && !is_whole {
        return Err(Error::NoSandbox(entered));
    }
    Ok(entered)
}

#[cfg(target_os = "linux")]
#[path = "sandbox/linux.rs"]
mod imp;

#[cfg(not(target_os = "linux"))]
mod imp {
    use super::{Entered, Needs};

    pub(super) fn enter(_needs: &Needs) -> Result<Entered, String> {
        Ok(Entered::default())
    }
}
