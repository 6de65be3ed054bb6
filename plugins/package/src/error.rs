use std::io;
use std::path::{Path, PathBuf};

use semver::Version;

use crate::{Ask, Digest, Name};

/// Why a plugin's file is not taken.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The disk failed.
    #[error("cannot {action} {}: {source}", path.display())]
    Disk {
        /// What was tried.
        action: &'static str,
        /// On which file.
        path: PathBuf,
        /// What the filesystem said.
        source: io::Error,
    },
    /// A file that must not be replaced is there.
    #[error("{} is already there: choose another name, or remove it", .0.display())]
    Exists(PathBuf),
    /// Something has more bytes than are read of it.
    #[error("{what} has {len} bytes, more than {max}")]
    TooLarge {
        /// What it is.
        what: String,
        /// Its size.
        len: u64,
        /// The largest size.
        max: u64,
    },
    /// A text that is no name.
    #[error("{0:?} is not a name: write 1 to 64 of a-z, 0-9 and -")]
    Name(String),
    /// A text that is no digest.
    #[error("{0:?} is not a digest: write sha256: and 64 of 0-9 and a-f")]
    Digest(String),
    /// The manifest is no TOML.
    #[error("the manifest is not TOML: {0}")]
    ManifestSyntax(String),
    /// A key of the manifest is wrong.
    #[error("the manifest's `{path}` {problem}")]
    Manifest {
        /// Which one.
        path: String,
        /// What is wrong with it.
        problem: String,
    },
    /// There is no manifest.
    #[error("the component holds no manifest: build it with `plugin build`, which puts it in")]
    NoManifest,
    /// There is a manifest where one is to be put in.
    #[error("the component holds a manifest already: embed into the one that the compiler made")]
    HasManifest,
    /// The manifest is in the component more than once, or differs from the one beside it.
    #[error("there are two manifests: {0}")]
    TwoManifests(&'static str),
    /// Compiled code.
    #[error(
        "this is compiled code (.cwasm), which is never taken from outside: give the component \
         that it was made of"
    )]
    Precompiled,
    /// A module without the component model around it.
    #[error("this is a core module, not a component: make one of it with `plugin build`")]
    CoreModule,
    /// Something else.
    #[error("this is not a WebAssembly component")]
    NotComponent,
    /// The component's bytes are damaged.
    #[error("the component is malformed at byte {offset}: {problem}")]
    Malformed {
        /// Where.
        offset: usize,
        /// What is wrong there.
        problem: String,
    },
    /// The component uses what is not served.
    #[error("the component {0}")]
    Unsupported(String),
    /// The manifest and the component say different things.
    #[error("the manifest and the component do not agree: {0}")]
    Disagree(String),
    /// A text that is no key.
    #[error("not a {what}: {problem}")]
    Key {
        /// What it should be.
        what: &'static str,
        /// Why it is none; never shows a secret.
        problem: &'static str,
    },
    /// Others may read a secret key.
    #[error("others may read {}: `chmod 600` it, and make a new key if they may have", .0.display())]
    Exposed(PathBuf),
    /// There were no random numbers for a key.
    #[error("no random numbers for a key: {0}")]
    Random(String),
    /// A text that is no list of signatures.
    #[error("not a list of signatures: {0}")]
    Signatures(&'static str),
    /// A trusted key's signature is not of this component and manifest.
    #[error(
        "the signature of key {key} is not of this component with this manifest: one of them was \
         changed after it was signed"
    )]
    BadSignature {
        /// The key's name.
        key: Name,
    },
    /// The trust store is wrong.
    #[error("the trust store {}: {problem}", dir.display())]
    TrustStore {
        /// Where it is.
        dir: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// Too few signatures of trusted keys.
    #[error(
        "{name} is signed by {have} trusted keys and {need} are required ({unknown} signatures \
         are of unknown keys): sign it with `plugin sign`, or put its signer's public key into \
         the trust store"
    )]
    Unsigned {
        /// The plugin.
        name: Name,
        /// How many trusted keys signed it.
        have: usize,
        /// How many must.
        need: usize,
        /// How many other signatures there are.
        unknown: usize,
    },
    /// The signature of a certain key is missing.
    #[error("{name} needs the signature of {}: ask for it, or change `require`", names(keys))]
    MissingSigner {
        /// The plugin.
        name: Name,
        /// One of these keys must have signed.
        keys: Vec<Name>,
    },
    /// The plugin is pinned to other bytes.
    #[error("{name} is pinned, and {found} is none of its digests: change the pin first")]
    Pinned {
        /// The plugin.
        name: Name,
        /// The digest of what was given.
        found: Digest,
    },
    /// Another plugin than the installed one.
    #[error("{found} cannot take the place of {installed}: bind it under its own name")]
    OtherPlugin {
        /// The installed one.
        installed: Name,
        /// The one that was given.
        found: Name,
    },
    /// An older version than the installed one.
    #[error("{name} {found} is older than the installed {installed}: use `plugin rollback`")]
    Downgrade {
        /// The plugin.
        name: Name,
        /// The installed version.
        installed: Version,
        /// The one that was given.
        found: Version,
    },
    /// The new version asks for more than was granted.
    #[error(
        "{name} {version} also asks for {}: look at it with `plugin diff`, and grant it in the \
         binding if it should have that",
        list(asks)
    )]
    Widened {
        /// The plugin.
        name: Name,
        /// The new version.
        version: Version,
        /// What was not granted.
        asks: Vec<Ask>,
    },
    /// A layout is not as it must be.
    #[error("the layout's {place} {problem}")]
    Layout {
        /// Which part.
        place: String,
        /// What is wrong with it.
        problem: String,
    },
}

impl Error {
    pub(crate) fn disk(action: &'static str, path: &Path, source: io::Error) -> Self {
        Self::Disk { action, path: path.to_owned(), source }
    }

    pub(crate) fn manifest(path: impl Into<String>, problem: impl Into<String>) -> Self {
        Self::Manifest { path: path.into(), problem: problem.into() }
    }

    pub(crate) fn layout(place: impl Into<String>, problem: impl Into<String>) -> Self {
        Self::Layout { place: place.into(), problem: problem.into() }
    }
}

fn list<T: ToString>(items: &[T]) -> String {
    items.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

fn names(keys: &[Name]) -> String {
    keys.iter().map(ToString::to_string).collect::<Vec<_>>().join(" or ")
}
