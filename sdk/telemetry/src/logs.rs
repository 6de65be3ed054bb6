//! What the process says about itself, on its way to a collector: the same events as on stderr, by the same filter.

mod config;
mod export;
mod queue;

pub use config::Config;
pub use export::{LogExporter, Parts};
pub use queue::{LogEvent, LogQueue, TEXT_LEN_MAX};
