//! The ops listener: health, metrics and the control API `/v1`, over HTTP/1, with TLS or without.
//!
//! | path | answers |
//! |---|---|
//! | `/healthz` | 200 while the process works, with a line per fault that passes; 503 if only a restart helps |
//! | `/readyz` | 200 when all parts can serve, else 503 and a line per part that says why |
//! | `/metrics`, `/metrics/...` | metrics, in the ways that the process put in: see [`View`] |
//! | `/v1/...` | the rows that the process put in: see [`Row`] |
//!
//! All but health asks who it is, where users are asked ([`Door`]), and what he may do, where policies are in force.
//!
//! It does not know what a broker is: what it shows and who is ready comes in as [`Parts`].

#![forbid(unsafe_code)]

mod basic;
mod changes;
mod config;
mod door;
mod error;
mod failures;
mod listener;
mod looks;
mod routes;
mod row;
mod view;

pub use config::Config;
pub use door::{Door, Sign};
pub use error::Error;
pub use listener::{Ops, Running};
pub use routes::{Check, Complaint, Parts};
pub use row::{Call, Change, Handler, Judge, Refuse, Reply, Row};
pub use view::{Page, Show, View};
