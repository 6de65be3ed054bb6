//! What a plugin is as a file, and who vouches for it.
//!
//! A plugin is a WebAssembly component with a manifest in it, and signatures beside it. This crate
//! reads all three without compiling anything, says whether they agree, whether trusted keys
//! vouch for them, and whether they may take the place of what is installed. The host, the command
//! and CI look at plugins through it, so that all of them say the same.
//!
//! Everything here is input from outside: sizes are bounded before anything is allocated, unknown
//! keys are errors, and malformed bytes never panic. Compiled code (`.cwasm`) is refused by name.
//!
//! What this crate does not do: it compiles nothing, calls nothing, and grants nothing. What a
//! manifest asks for is a wish; what is not linked by the host cannot be called.
//!
//! | module | holds |
//! |---|---|
//! | [`name`] | [`Name`] of plugins and keys |
//! | [`digest`] | [`Digest`], a plugin's identity |
//! | [`interface`] | [`Interface`], what a plugin exports |
//! | [`asks`] | [`Asks`], what a plugin wants to call |
//! | [`manifest`] | [`Manifest`], `plugin.toml` |
//! | [`component`] | [`Component`], a look into the bytes; the manifest's section |
//! | [`package`] | [`Package`], component, manifest and signatures that agree |
//! | [`key`] | [`PublicKey`], [`SecretKey`] and their files |
//! | [`signature`] | [`Signature`], what is signed |
//! | [`trust`] | [`TrustStore`], [`Policy`], [`Former`] |
//! | [`layout`] | OCI image layouts for sites without a network |

pub mod asks;
pub mod component;
pub mod digest;
mod error;
mod file;
pub mod interface;
pub mod key;
pub mod layout;
pub mod manifest;
pub mod name;
pub mod package;
pub mod signature;
pub mod trust;

pub use asks::{Ask, Asks, Capability};
pub use component::Component;
pub use digest::{Digest, Hashed};
pub use error::Error;
pub use interface::Interface;
pub use key::{KeyId, PublicKey, SecretKey};
pub use manifest::{Abi, Limits, Manifest, Sdk};
pub use name::Name;
pub use package::Package;
pub use signature::{Signature, Signatures};
pub use trust::{Former, Policy, Require, TrustStore, Vouched};
