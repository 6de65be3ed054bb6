//! What can go wrong with a connection.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

/// Why a connection or a call over it failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The address could not be listened on.
    #[error("cannot listen on {addr}: {source}")]
    Listen {
        /// The address as configured.
        addr: String,
        /// What the system said.
        source: io::Error,
    },
    /// The other side could not be reached.
    #[error("cannot connect to {addr}: {source}")]
    Connect {
        /// The address as given.
        addr: String,
        /// What the system said.
        source: io::Error,
    },
    /// The other side did not accept the connection in time.
    #[error("cannot connect to {addr}: no answer within {} ms", after.as_millis())]
    ConnectTimeout {
        /// The address as given.
        addr: String,
        /// How long it was tried.
        after: Duration,
    },
    /// There was a connection, but no TLS over it.
    #[error("cannot connect to {addr} by TLS: {source}")]
    Tls {
        /// The address as given.
        addr: String,
        /// What is wrong with the other side's certificate, or that it does not speak TLS.
        source: io::Error,
    },
    /// The connection ended before the answer came.
    #[error("the connection to {0} is closed")]
    Closed(SocketAddr),
    /// No answer in time. The request may have been carried out.
    #[error("no answer from {peer} to request code {code} within {} ms", after.as_millis())]
    Timeout {
        /// Who did not answer.
        peer: SocketAddr,
        /// The code of the request.
        code: i32,
        /// How long the answer was waited for.
        after: Duration,
    },
    /// The other side does not take bytes as fast as they are given.
    #[error("too many bytes or calls wait for {0}: it does not keep up")]
    Full(SocketAddr),
}
