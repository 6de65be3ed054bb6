//! What becomes of what was counted, recorded and logged: text in Prometheus' format; spans, metrics and events
//! of the log for a collector.
//!
//! The metrics themselves, with names, units and labels, are in `blockhouse_meter::catalogue`. This
//! crate opens no port: `sdk/ops` serves the text.

#![forbid(unsafe_code)]

mod config;
mod error;
mod exporter;
pub mod logs;
pub mod metrics;
pub mod otlp;
pub mod traces;

pub use config::Config;
pub use error::Error;
pub use exporter::{Exporter, Identity};
