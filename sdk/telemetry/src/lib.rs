//! What becomes of what was counted, recorded and logged: metrics in Prometheus' formats; spans, metrics and events
//! of the log for a collector.
//!
//! The metrics themselves, with names, units and labels, are in `blockhouse_meter::catalogue`. This
//! crate opens no port: `sdk/ops` serves what it makes.

#![forbid(unsafe_code)]

mod accept;
mod config;
mod error;
mod exporter;
mod exposition;
pub mod logs;
pub mod metrics;
mod native;
mod openmetrics;
pub mod otlp;
mod protobuf;
mod render;
mod requests;
mod sidecar;
pub mod traces;

pub use config::Config;
pub use error::Error;
pub use exporter::{Exporter, Identity};
pub use exposition::Exposition;
pub use sidecar::Sidecar;
