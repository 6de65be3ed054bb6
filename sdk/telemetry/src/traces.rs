//! Spans on their way to a collector: records are taken from the meter's queue, become spans, and go
//! out over OTLP. One task does it; nothing that makes records waits for it.

mod assemble;
mod bridge;
mod config;
mod enrich;
mod export;

pub use config::{Config, Rule};
pub use enrich::{Ended, Enrich};
pub use export::{Parts, TraceExporter};
