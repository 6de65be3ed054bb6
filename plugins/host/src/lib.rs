//! WASM plugins as hooks: a component and its binding become one more [`blockhouse_hook::Hook`].
//!
//! A plugin is a component of the contract in `plugins/wit`. What it may import, how long a call
//! may take, how much memory it may have and what its failure does is said by the operator's
//! [`Binding`]. `docs/plugins.md` is the reference.
//!
//! | module | holds |
//! |---|---|
//! | [`binding`] | [`Config`], [`Binding`]: what operators write |
//! | [`interface`] | [`Interface`]: the hooks by their names in the contract, with their defaults |
//! | `scope` | which requests a binding runs for |
//! | `contract` | what is generated from the WIT |
//! | `engine`, `pace`, `deadline` | the engine, how often it ticks, and what a tick stops |
//! | [`compiler`] | [`Compiler`]: from a component to native code, in a process of its own |
//! | `cache` | native code, kept from one start to the next |
//! | `code_source` | out of the cache, or compiled |
//! | `precompiled` | the one place where native code is taken in |
//! | `blueprint` | a compiled component with what its instances are given |
//! | `state`, `imports` | what a guest can reach |
//! | `http` | requests of guests to other systems |
//! | `outside` | who may wait for others, and with what |
//! | `guest` | one instance and its store |
//! | `allowance`, `life` | what it may take; how long it serves |
//! | `pool` | ready instances, a shelf per core |
//! | `breaker` | when a plugin that fails is left alone |
//! | `plugin` | a bound plugin: every call goes through it |
//! | `hook`, `said` | the points, translated; what is counted of answers |
//! | `keeper` | the threads beside the data path |
//! | `backlog` | what waits for the queued hooks of a binding |
//! | [`trust`] | [`Trust`]: whose plugins are taken |
//! | `load` | from a binding to a plugin |
//! | `set` | the plugins in force, swapped whole |
//! | `plan` | what is going to be done for a binding, all of it checked |
//! | `deploy` | changes of the set: everything that may fail comes first |
//! | `trial` | golden cases |
//! | `guard` | whether a new version does worse |
//! | `record` | what was deployed, on disk |
//! | `in_force` | [`InForce`]: the bindings of a node that need not run |
//! | `settings`, `ring` | a binding's `config`; a plugin's last lines |
//! | `lasting` | what a binding keeps when another version takes over |
//! | `status` | what is told |
//! | `trace` | every call of single requests, for who asks |
//! | [`host`] | [`Host`]: all of a process's plugins |

mod allowance;
mod backlog;
pub mod binding;
mod blueprint;
mod breaker;
mod cache;
mod changing;
mod code_source;
pub mod compiler;
mod contract;
mod deadline;
mod deploy;
mod engine;
mod error;
mod guard;
mod guest;
mod hook;
pub mod host;
mod http;
mod imports;
mod in_force;
pub mod interface;
mod keeper;
mod lasting;
mod life;
mod load;
mod outside;
mod pace;
mod plan;
mod plugin;
mod pool;
mod precompiled;
mod record;
mod ring;
mod said;
mod scope;
mod set;
mod settings;
mod state;
mod status;
mod trace;
mod trial;
pub mod trust;

pub use binding::{Binding, Config, Grants, Mode, OnFailure, StoreMode};
pub use changing::Changing;
pub use code_source::CodeCounts;
pub use compiler::{Compiler, Limits, compile_stdin};
pub use deploy::{Check, Deploy, Report, Reported, Terms};
pub use error::{Error, Failure};
pub use host::{Changes, Host, Node, Parts, Role};
pub use imports::{Outgoing, PublishError, Publisher};
pub use in_force::InForce;
pub use interface::Interface;
pub use ring::LogLine;
pub use status::{CustomKind, CustomMetric, HookStatus, Past, Source, Status};
pub use trace::{TraceRequest, Traced, TracedCall, TracedRequest};
pub use trial::{Trial, Trials};
pub use trust::Trust;
