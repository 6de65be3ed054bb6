//! What can be wrong with a configuration. Each text is one sentence that says what to change.

use crate::config::Source;

/// Why a configuration was refused, or logging could not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The file is not TOML.
    #[error("{source_name} is not valid TOML: {problem}")]
    NotToml {
        /// The file.
        source_name: String,
        /// What the parser found, with line and column.
        problem: String,
    },
    /// There is no such option.
    #[error("there is no option `{path}` ({origin}){}", did_you_mean(nearest.as_deref()))]
    UnknownKey {
        /// The option that was meant to be set.
        path: String,
        /// Where.
        origin: Source,
        /// The option with the most similar name.
        nearest: Option<String>,
    },
    /// The value does not fit the option.
    #[error("`{path}` must be {expected}, not {found} ({origin})")]
    WrongType {
        /// The option.
        path: String,
        /// What it takes.
        expected: String,
        /// What was given.
        found: String,
        /// Where.
        origin: Source,
    },
    /// The value fits its type but breaks a rule of the option.
    #[error("`{path}` cannot be {found} ({origin}): {problem}")]
    Refused {
        /// The option.
        path: String,
        /// What was given.
        found: String,
        /// Where.
        origin: Source,
        /// The rule.
        problem: String,
    },
    /// The value breaks a rule that its section checks.
    #[error("`{path}` {rule}, not {found} ({origin})")]
    BrokenRule {
        /// The option.
        path: String,
        /// What it must be.
        rule: String,
        /// What was given.
        found: String,
        /// Where.
        origin: Source,
    },
    /// A `--set` without `=`.
    #[error("`--set {0}` should be `--set section.key=value`")]
    NotAnAssignment(String),
    /// The defaults themselves cannot be used: a mistake in the program.
    #[error("the built-in configuration is unusable: {0}")]
    Defaults(String),
    /// The log filter cannot be read.
    #[error("`log.level` is not a level or filter: {0}")]
    LogLevel(String),
    /// Rights cannot be given up.
    #[error("cannot enter the sandbox: {0}; `sandbox.mode = \"off\"` starts without it")]
    Sandbox(String),
    /// The kernel lacks something that must be there.
    #[error(
        "`sandbox.mode` is `require`, and this kernel does not limit all of files, ports and system calls: {0:?}"
    )]
    NoSandbox(crate::sandbox::Entered),
    /// Signals cannot be listened for.
    #[error("cannot listen for signals: {0}")]
    Signals(#[source] std::io::Error),
}

fn did_you_mean(nearest: Option<&str>) -> String {
    nearest.map(|n| format!("; did you mean `{n}`?")).unwrap_or_default()
}
