//! The name server's side of the remoting protocol: one table of request codes, and what each
//! does to the route table.
//!
//! A row of the [`table`] holds everything about a code: who may call it, how long its body may
//! be, whether it is an administrative command, and its handler. A code without an authorization
//! entry cannot be written. Handlers translate: parse, ask or change [`blockhouse_route::Routes`],
//! render. All hooks of the name server are called from here.
//!
//! What it does not do: it holds no sockets and starts no task; blocking work is handed to
//! [`Background`], and the server above decides when to [`expire`](NameService::expire).
//!
//! | module | holds |
//! |---|---|
//! | [`name_service`] | [`NameService`], the whole behind a listener |
//! | [`table`] | the request codes |
//! | `handlers` | one file per group of requests |
//! | `request`, `reply` | what handlers get and give |
//! | [`status`] | from failure to response code |
//! | `subject` | what requests are about, for the flight recorder |
//! | `traced` | requests that become spans |
//! | `owners` | whose each broker name is |
//! | [`settings`] | [`Settings`], options that can be changed while it runs |
//! | [`kv_store`] | [`KvStore`], the KV configuration and its file |

mod dispatch;
mod error;
mod handlers;
pub mod kv_store;
pub mod name_service;
mod owners;
mod properties;
mod reply;
mod request;
pub mod settings;
pub mod status;
mod subject;
pub mod table;
mod traced;
mod view;

pub use error::{Error, StartError};
pub use kv_store::KvStore;
pub use name_service::{Background, NameService, Parts};
pub use owners::{Addresses, Names, Registration};
pub use settings::Settings;
