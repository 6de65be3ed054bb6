//! The stored record: RocketMQ's message layout in the CommitLog, which is also the body of a pull
//! reply.
//!
//! A record is encoded once, outside any lock ([`Draft`], [`encode`]); what is known only under the
//! append lock (queue offset, physical offset, store timestamp) is patched in by [`stamp`]. Reading
//! borrows ([`View`]); every length is checked against the bytes that are there.
//!
//! This crate knows bytes, nothing else: no files, no queues, no clock. `docs/storage-format.md`
//! draws the layout.
//!
//! | module | holds |
//! |---|---|
//! | [`draft`] | [`Draft`] and its encoding |
//! | [`view`] | [`View`], [`check`], [`records`] |
//! | [`layout`] | magic numbers and positions |

pub mod draft;
pub mod error;
pub mod layout;
pub mod view;

pub use draft::{Draft, Stamp, encode, encoded_len, stamp};
pub use error::Error;
pub use view::{Checked, Records, View, check, records};
