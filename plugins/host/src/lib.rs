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
//! | `engine` | the engine, and the ticks that deadlines count |
//! | [`compiler`] | [`Compiler`]: from a component to native code, in a process of its own |
//! | `cache` | native code, kept from one start to the next |
//! | `loader` | out of the cache, or compiled |
//! | `precompiled` | the one place where native code is taken in |
//! | `blueprint` | a compiled component with what its instances are given |
//! | `state`, `imports` | what a guest can reach |
//! | `http` | requests of guests to other systems |
//! | `outside` | who may wait for others, and with what |
//! | `guest` | one instance and its store |
//! | `pool` | ready instances, a shelf per core |
//! | `breaker` | when a plugin that fails is left alone |
//! | `plugin` | a bound plugin: every call goes through it |
//! | `hook` | the points, translated |
//! | `keeper` | the threads beside the data path |
//! | [`host`] | [`Host`]: all of a process's plugins |

pub mod binding;
mod blueprint;
mod breaker;
mod cache;
pub mod compiler;
mod contract;
mod engine;
mod error;
mod guest;
mod hook;
pub mod host;
mod http;
mod imports;
pub mod interface;
mod keeper;
mod loader;
mod outside;
mod plugin;
mod pool;
mod precompiled;
mod scope;
mod state;

pub use binding::{Binding, Config, Grants, Mode, OnFailure, StoreMode};
pub use compiler::{Compiler, Limits, compile_stdin};
pub use error::{Error, Failure};
pub use host::{CustomKind, CustomMetric, HookStatus, Host, Node, Parts, Role, Status};
pub use imports::{Outgoing, PublishError, Publisher};
pub use interface::Interface;
pub use loader::CodeCounts;
