//! One sample of a hook that a test makes do anything: its rules come as JSON.
//!
//! The rules decide on plain words and bytes and know neither of the two worlds: `native` makes a
//! [`blockhouse_hook::Hook`] of them, and the guest in `guest/` a plugin. One suite runs against
//! both, and what they decide must be the same.
//!
//! What this crate does not do: anything for production.

mod decide;
#[cfg(feature = "native")]
mod native;
mod rules;

pub use decide::{Effect, Fate, Outgoing, Refusal, Who};
#[cfg(feature = "native")]
pub use native::Native;
pub use rules::{Bodies, Fault, Rules};
