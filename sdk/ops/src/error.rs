//! Why the listener does not run.

use std::net::SocketAddr;

/// Why the listener does not run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The address cannot be listened on.
    #[error("cannot listen on {address} for ops: {source}; free the port or set --ops-listen")]
    Bind {
        /// The address.
        address: SocketAddr,
        /// What the operating system says.
        source: std::io::Error,
    },
}
