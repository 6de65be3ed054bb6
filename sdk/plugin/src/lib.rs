//! Write plugins for Blockhouse: the guest's side of the contract in `plugins/wit/0.1.0`.
//!
//! A plugin is a type that implements [`Plugin`] and one trait for each hook that it wants; one line
//! exports it. What is not named there is not exported, so that the host never calls it.
//!
//! ```
//! use blockhouse_plugin::{BeforeSend, Changes, Context, Drafts, Node, Plugin, Rejection};
//!
//! #[derive(serde::Deserialize)]
//! struct Config {
//!     required: String,
//! }
//!
//! struct Required(String);
//!
//! impl Plugin for Required {
//!     type Config = Config;
//!
//!     fn init(_node: &Node, config: Config) -> Result<Self, String> {
//!         Ok(Self(config.required))
//!     }
//! }
//!
//! impl BeforeSend for Required {
//!     fn before_send(&mut self, _cx: &Context, drafts: &Drafts<'_>, changes: &mut Changes) {
//!         for draft in drafts.iter().filter(|draft| draft.property(&self.0).is_none()) {
//!             changes.reject(draft.index(), Rejection::new(format!("set the property {}", self.0)));
//!         }
//!     }
//! }
//!
//! blockhouse_plugin::export!(Required: before_send);
//! ```
//!
//! Built for `wasm32-unknown-unknown` as a `cdylib`, this becomes a component
//! (`blockhouse plugin build`). Built natively it is ordinary code: [`test`] has a double of the
//! host and makes batches, so that a plugin is tested by `cargo test` alone.
//!
//! | module | holds |
//! |---|---|
//! | [`log`], [`metrics`], [`clock`], [`kv`], [`http`], [`publish`] | what a plugin may ask of the host; using one makes the plugin import it, and the manifest must ask for it |
//! | [`raw`] | the contract's own records, where a hook hands them through |
//! | [`test`] | the double of the host, and batches by hand (native builds only) |
//!
//! What this crate does not do: no WASI, no threads, no clock or randomness but the host's.

mod bindings;
mod deliver;
#[cfg(not(target_family = "wasm"))]
mod double;
mod export;
mod hooks;
mod host;
mod message;
mod plugin;
mod send;
mod stored;
#[cfg(not(target_family = "wasm"))]
pub mod test;
mod types;

pub use bindings::audit_sink::{Event, Kind, Outcome};
pub use bindings::authenticate::Identity;
pub use bindings::authorize::{Access, Action, Resource};
pub use bindings::before_deliver::Delivery;
pub use bindings::broker_registration::Registration;
pub use bindings::connection::ConnectionInfo;
pub use bindings::enrich_span::Span;
pub use bindings::imports::blockhouse::plugin::types::{
    Address, Context, Principal, Rejection, TraceParent, Verdict,
};
pub use bindings::lifecycle::{Bodies as BodyMode, Node, ProcessEvent, Role, Wants};
pub use bindings::{
    ack::Progress, admin_command::Command, pull::PullRequest, route_query::RouteEntry,
};
pub use deliver::{Deliveries, Outbound, Outgoing};
pub use hooks::{
    Ack, AdminCommand, AfterAppend, AuditSink, Authenticate, Authorize, BeforeDeliver, BeforeSend,
    BrokerRegistration, Connection, Credentials, EnrichSpan, Pull, RouteQuery, Spans,
};
pub use host::{clock, http, kv, log, metrics, publish};
pub use message::{Message, Properties};
pub use plugin::{NoConfig, Plugin};
pub use send::{Changes, Draft, Drafts};
pub use stored::{Appended, StoredMessage};

/// The contract's own records, where a hook hands them through.
pub mod raw {
    pub use crate::bindings::before_deliver::{Answer, Replacement};
    pub use crate::bindings::before_send::{Change, Decision, Property, PropertyEdit};
    pub use crate::bindings::enrich_span::{Addition, Attribute};
    pub use crate::bindings::route_query::Answer as RouteAnswer;
}

/// What the macro [`export!`] needs; no part of the interface.
#[doc(hidden)]
pub mod __export {
    pub use crate::bindings::*;
    pub use crate::export::{Instance, State};
}
