//! The ops listener: health, metrics and the control API `/v1`, over plain HTTP/1.
//!
//! | path | answers |
//! |---|---|
//! | `/healthz` | 200 while the process works, with a line per fault that passes; 503 if only a restart helps |
//! | `/readyz` | 200 when all parts can serve, else 503 and a line per part that says why |
//! | `/metrics` | Prometheus' text format |
//! | `/v1/...` | the rows that the process put in: see [`Row`] |
//!
//! It does not know what a broker is: what it shows and who is ready comes in as [`Parts`].

#![forbid(unsafe_code)]

mod config;
mod error;
mod listener;
mod routes;
mod row;

pub use config::Config;
pub use error::Error;
pub use listener::{Ops, Running};
pub use routes::{Check, Complaint, Parts};
pub use row::{Call, Change, Handler, Refuse, Reply, Row};
