//! What a well-behaved server process does: reads its configuration, logs, counts the time, owns
//! its tasks, hears signals, and stops in order.
//!
//! It knows nothing of brokers or name servers, reads no file and parses no argument: those who
//! do hand it texts and parts.
//!
//! | module | holds |
//! |---|---|
//! | [`clock`] | [`SystemClock`], the one place that reads the machine's clocks |
//! | [`config`] | layers of options into one configuration, with the source of each value |
//! | [`log`] | log lines on stderr |
//! | [`sandbox`] | what the process gives up once it knows its configuration |
//! | [`signals`] | [`StopSignals`], [`Hangups`], [`DumpSignals`] |
//! | [`stage`] | [`Stages`]: what a part that stops is doing, and since when |
//! | [`tasks`] | [`Tasks`]: every task has a name, an owner, and is joined |

#![forbid(unsafe_code)]

pub mod clock;
pub mod config;
mod error;
pub mod log;
pub mod sandbox;
pub mod signals;
pub mod stage;
pub mod tasks;

pub use clock::SystemClock;
pub use error::Error;
pub use signals::{DumpSignals, Hangups, OnHangup, StopSignals};
pub use stage::{Stage, Stages};
pub use tasks::{Shutdown, Tasks};
