//! Connections that speak RocketMQ's remoting protocol: the bytes on sockets and nothing above.
//!
//! One task owns one connection. It reads into one buffer, hands **every complete request of a
//! read to [`Service::burst`] at once**, and writes all replies with one system call. A request
//! that cannot be answered at once is a future in [`Replies::defer`], polled by the same task. So
//! a pipelining client costs one read, one write and no task switch per burst.
//!
//! What this crate bounds ([`Limits`]): frame length, connections, also of one address and before
//! anybody vouches for them, silent and stuck connections, unsent replies per connection, and the
//! bytes in flight of the whole process ([`Budget`]).
//!
//! What it deliberately does not do: it knows no request code, authenticates nobody, and does not
//! reconnect; an outgoing connection that ended is the caller's to replace.
//!
//! | module | holds |
//! |---|---|
//! | [`service`] | [`Service`] and [`Sessions`], what the layers above implement |
//! | [`replies`] | [`Replies`], frames and slices on their way out |
//! | [`connection`] | [`Connection`], the handle of a connection for other tasks: push, call, close |
//! | `driver` | the task of one connection |
//! | [`budget`] | [`Budget`], bytes in flight of all connections together |
//! | [`server`], [`dialer`] | accepting and making connections |
//! | [`tls`] | TLS: [`tls::Acceptor`], [`tls::Connector`] and their options |
//! | [`limits`] | [`Limits`], the options |
//! | `lobby` | connections that nobody vouches for yet, and their bounds |
//! | [`proxy`] | who the client is, as balancers say it |

pub mod budget;
pub mod connection;
pub mod dialer;
mod driver;
pub mod error;
pub mod limits;
mod lobby;
pub mod proxy;
pub mod replies;
pub mod server;
pub mod service;
pub mod tls;

pub use budget::Budget;
pub use connection::{Connection, Kept};
pub use dialer::Dialer;
pub use error::Error;
pub use limits::Limits;
pub use replies::{COPY_MAX, Mark, Replies};
pub use server::{Reserved, Server};
pub use service::{Endpoint, NoService, NoSessions, Refused, Service, Sessions};

#[cfg(test)]
mod tests;
