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
    /// Bytes that came over the network are not those that were announced.
    #[error("the bytes have the digest {found}, not {expected}: they were changed on the way")]
    Upload {
        /// What was announced.
        expected: String,
        /// What came.
        found: String,
    },
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
    /// Nobody who is trusted vouches for it, or it may not take the place of what is in force.
    #[error("plugin {name}: {source}")]
    Trust {
        /// The binding.
        name: String,
        /// Why.
        source: Box<blockhouse_package::Error>,
    },
    /// The trust store cannot be used.
    #[error("{problem}")]
    TrustStore {
        /// Why.
        problem: String,
    },
    /// What was deployed cannot be read.
    #[error(
        "{} cannot be read ({problem}), so it is not known which plugins were deployed: restore it, or remove it to start with the configuration's bindings alone",
        path.display()
    )]
    Record {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// A file cannot be written. Nothing has changed.
    #[error("cannot write {}: {source}; nothing has changed", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// There is no such binding.
    #[error(
        "there is no plugin {name} on this node; `blockhouse plugin list` shows those that are"
    )]
    Unknown {
        /// The binding.
        name: String,
    },
    /// A new name was deployed without a binding.
    #[error(
        "there is no binding {name} on this node to take: give one with --binding FILE (`blockhouse plugin add` prints one to start from)"
    )]
    Unbound {
        /// The binding.
        name: String,
    },
    /// There is nothing to roll back to.
    #[error("plugin {name}: there is no version before this one to roll back to")]
    NothingBefore {
        /// The binding.
        name: String,
    },
    /// This version was rolled back by the node itself.
    #[error(
        "plugin {name}: {digest} was rejected before: {reason}. Deploy it with --force if that is mended"
    )]
    Rejected {
        /// The binding.
        name: String,
        /// The component.
        digest: String,
        /// What it did.
        reason: String,
    },
    /// A golden case came out otherwise.
    #[error("plugin {name}: {problem}")]
    Case {
        /// The binding.
        name: String,
        /// Which one, and how.
        problem: String,
    },
    /// It does not take the new `config`.
    #[error("plugin {name}: it does not take this config, and keeps the former one: {failure}")]
    Config {
        /// The binding.
        name: String,
        /// How it failed.
        failure: Failure,
    },
    /// Another change is being made.
    #[error("another change of plugins is being made; try again when it is done")]
    Busy,
    /// The process stops.
    #[error("the node stops")]
    Stopping,
    /// The first instance did not come up.
    #[error("plugin {name}: {failure}")]
    Start {
        /// The binding.
        name: String,
        /// How it failed.
        failure: Failure,
    },
}

impl Error {
    pub(crate) fn trust(name: &str, source: blockhouse_package::Error) -> Self {
        Self::Trust { name: name.to_owned(), source: Box::new(source) }
    }

    /// A word for programs.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        use blockhouse_package::Error as Package;
        match self {
            Self::Engine(_) => "engine",
            Self::Read { .. } => "read",
            Self::Missing { .. } => "missing",
            Self::Digest { .. } | Self::Upload { .. } => "digest",
            Self::Component { .. } => "component",
            Self::Binding { .. } => "binding",
            Self::Trust { source, .. } => match **source {
                Package::Unsigned { .. } => "unsigned",
                Package::MissingSigner { .. } => "missing-signer",
                Package::BadSignature { .. } => "bad-signature",
                Package::Signatures(_) => "signatures",
                Package::Pinned { .. } => "pinned",
                Package::Downgrade { .. } => "downgrade",
                Package::Widened { .. } => "widened",
                Package::OtherPlugin { .. } => "other-plugin",
                Package::NoManifest => "no-manifest",
                _ => "package",
            },
            Self::TrustStore { .. } => "trust-store",
            Self::Record { .. } => "record",
            Self::Write { .. } => "write",
            Self::Unknown { .. } => "unknown",
            Self::Unbound { .. } => "unbound",
            Self::NothingBefore { .. } => "nothing-before",
            Self::Rejected { .. } => "rejected",
            Self::Case { .. } => "case",
            Self::Config { .. } => "config",
            Self::Busy => "busy",
            Self::Stopping => "stopping",
            Self::Start { .. } => "start",
            Self::Http(_) => "http",
        }
    }
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
