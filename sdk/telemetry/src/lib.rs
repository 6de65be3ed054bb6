//! What becomes of what was counted: text in Prometheus' format.
//!
//! The metrics themselves, with names, units and labels, are in `blockhouse_meter::catalogue`. This
//! crate opens no port: `sdk/ops` serves the text.

#![forbid(unsafe_code)]

mod error;
mod exporter;

pub use error::Error;
pub use exporter::{Exporter, Identity};
