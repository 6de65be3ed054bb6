//! Reports a broker to every name server: at start, when its topics change, and periodically; and
//! says goodbye at a clean stop.
//!
//! Name servers keep nothing on disk and do not know each other, so each is told for itself, by a
//! task of its own: one that is down or slow delays nobody. A new connection always begins with a
//! full report (a name server drops a broker with its connection); afterwards the periodic sign of
//! life is a question for the known [`DataVersion`](blockhouse_model::DataVersion) (code 322), and
//! the topics are sent again only if it differs.
//!
//! What it does not do: it knows neither where topics are kept nor who the name servers are beyond
//! their addresses; it starts no task of its own, [`Registrar::run`] is one future.
//!
//! | module | holds |
//! |---|---|
//! | [`config`] | [`Config`], the options |
//! | [`reported`] | [`Reported`], what the broker says of itself |
//! | [`registrar`] | [`Registrar`], the whole |
//! | [`state`] | [`State`], who has been told what, for readiness and for waiting |
//! | `speaker` | one name server: connect, report, repeat |
//! | `wire` | requests and answers |

pub mod config;
mod error;
pub mod registrar;
pub mod reported;
mod speaker;
pub mod state;
mod wire;

pub use config::Config;
pub use error::Error;
pub use registrar::Registrar;
pub use reported::{Answer, Changes, Identity, Reported, Snapshot};
pub use state::State;
