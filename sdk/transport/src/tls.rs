//! TLS under remoting: on the listeners' own ports, and on connections that are made.
//!
//! A connection's first byte says whether it is a TLS hello. What follows costs a plaintext
//! connection nothing: the task of a connection is compiled once for sockets and once for TLS.
//!
//! Everything that files say is tried before it takes effect, and a failure leaves what was there.
//!
//! | module | holds |
//! |---|---|
//! | [`config`] | [`Config`], the options |
//! | [`acceptor`] | [`Acceptor`]: certificates in force, connections with certificates, changes |
//! | `accept`, `hello` | the beginning of a connection |
//! | [`connector`] | [`Connector`], the other direction |
//! | `material`, `files` | from PEM files to a configuration of rustls |
//! | `identity`, `certificate` | from a certificate to a user's name |
//! | `verifier`, `provider` | what rustls asks us |
//! | `turns` | how many handshakes are under way |
//! | `wire` | bytes between socket and session |

mod accept;
pub mod acceptor;
mod certificate;
pub mod config;
pub mod connector;
pub mod error;
mod files;
mod hello;
mod identity;
mod material;
mod provider;
mod revocation;
mod turns;
mod verifier;
pub mod wire;

pub use accept::{Accepted, HELLO_AS_LENGTH, Secured};
pub use acceptor::{Acceptor, Known};
pub use config::{ClientAuth, Config, Mode, Outgoing};
pub use connector::Connector;
pub use error::Error;

pub(crate) use identity::Rules;
#[cfg(test)]
pub(crate) use provider::provider;
