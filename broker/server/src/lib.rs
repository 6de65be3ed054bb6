//! Builds, wires and runs a broker: opens the data directory, starts the listeners and the
//! periodic work, reports to name servers, and takes all of it down in order.
//!
//! It decides nothing about messages; that is `core`'s.
//!
//! | module | holds |
//! |---|---|
//! | [`settings`] | [`Settings`]: everything a broker is told |
//! | [`server`] | [`Broker`], [`Running`] |
//! | `upkeep` | the periodic work |
//! | `reported` | what name servers are told |
//! | `ahead` | progress that is ahead of the messages |
//! | `inert` | what of a directory is not served |
//! | `node` | what tools ask about the process |

mod ahead;
mod inert;
mod node;
mod reported;
pub mod server;
pub mod settings;
#[cfg(test)]
mod stored;
mod upkeep;

pub use blockhouse_remoting::quota::Config as QuotaConfig;
pub use server::{Broker, Parts, Running, Tls};
pub use settings::{Settings, store_config};
