//! What was counted, on its way to a collector: what `/metrics` shows, under the same names, as often as is asked for.
//! Counts are those since the start, so that one that is not taken is made good by the next.

mod config;
mod convert;
mod export;

pub use config::Config;
pub use export::{MetricExporter, Parts};
