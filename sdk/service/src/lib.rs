//! What a well-behaved server process does: reads its configuration, logs, counts the time, owns
//! its tasks, hears signals, and stops in order.
//!
//! It knows nothing of brokers or name servers: those hand in their parts.
//!
//! | module | holds |
//! |---|---|
//! | [`clock`] | [`SystemClock`], the one place that reads the machine's clocks |
//! | [`tasks`] | [`Tasks`]: every task has a name, an owner, and is joined |

#![forbid(unsafe_code)]

pub mod clock;
pub mod tasks;

pub use clock::SystemClock;
pub use tasks::{Shutdown, Tasks};
