//! Why a plugin is not there, and how a call fails.

use std::path::PathBuf;

/// Why a plugin cannot be bound.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The engine cannot be made.
    #[error("cannot start the WASM engine: {0}")]
    Engine(String),
    /// The component's file cannot be read.
    #[error("plugin {name}: cannot read {}: {source}", path.display())]
    Read {
        /// The binding.
        name: String,
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// There is no such component here.
    #[error(
        "plugin {name}: {} is not there; put it there with `blockhouse plugin add FILE`",
        path.display()
    )]
    Missing {
        /// The binding.
        name: String,
        /// Where it was looked for.
        path: PathBuf,
    },
    /// The file is not what the binding names.
    #[error("plugin {name}: the file has the digest {found}, the binding says {expected}")]
    Digest {
        /// The binding.
        name: String,
        /// What the binding says.
        expected: String,
        /// What was found.
        found: String,
    },
    /// Requests of plugins cannot be sent.
    #[error("plugins cannot send requests: {0}")]
    Http(String),
    /// The bytes are not a component that can run here.
    #[error("plugin {name}: {problem}")]
    Component {
        /// The binding.
        name: String,
        /// What is wrong.
        problem: String,
    },
    /// The binding asks for something that cannot be.
    #[error("plugin {name}: {problem}")]
    Binding {
        /// The binding.
        name: String,
        /// What is wrong, and what to do.
        problem: String,
    },
    /// The first instance did not come up.
    #[error("plugin {name}: {failure}")]
    Start {
        /// The binding.
        name: String,
        /// How it failed.
        failure: Failure,
    },
}

/// How a call fails. What it does to the request is the binding's `on_failure`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// The guest trapped: a panic, memory out of bounds, a stack too deep.
    #[error("it trapped: {0}")]
    Trap(String),
    /// The guest did not answer in time.
    #[error("it did not answer within its deadline")]
    Deadline,
    /// The guest answered something that is not legal.
    #[error("its answer is not legal: {0}")]
    Answer(String),
    /// `init`, `health` or `config-changed` answered an error.
    #[error("it says: {0}")]
    Refused(String),
    /// All instances are at work, and no more may be made.
    #[error("all its instances are at work")]
    Busy,
    /// It failed too often and is left alone for a while.
    #[error("it failed too often and is left alone for a while")]
    Open,
    /// It could not be loaded.
    #[error("it is not loaded")]
    NotLoaded,
}

impl Failure {
    /// All kinds, as metrics name them.
    pub const KINDS: [&'static str; 7] =
        ["trap", "deadline", "answer", "refused", "busy", "open", "missing"];

    /// Its number in [`Self::KINDS`].
    #[must_use]
    pub const fn kind(&self) -> usize {
        match self {
            Self::Trap(_) => 0,
            Self::Deadline => 1,
            Self::Answer(_) => 2,
            Self::Refused(_) => 3,
            Self::Busy => 4,
            Self::Open => 5,
            Self::NotLoaded => 6,
        }
    }

    /// What became of a call into the engine.
    pub(crate) fn of(error: &wasmtime::Error) -> Self {
        match error.downcast_ref::<wasmtime::Trap>() {
            Some(wasmtime::Trap::Interrupt) => Self::Deadline,
            Some(trap) => Self::Trap(trap.to_string()),
            None => Self::Trap(error.root_cause().to_string()),
        }
    }
}
