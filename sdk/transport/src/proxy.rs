//! The PROXY protocol: a balancer says, before the first byte of the client, who the client is.
//!
//! Versions 1 (a line of text) and 2 (binary). Only connections from networks that are listed begin
//! so; from anywhere else a header is a bad frame, so nobody else can claim an address.
//!
//! | module | holds |
//! |---|---|
//! | [`header`] | [`header::parse`], bytes to an address |
//! | [`network`] | [`Network`], whom a header is believed |

pub mod header;
pub mod network;

use std::io;
use std::net::SocketAddr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;

use header::{HEADER_MAX, Parsed};
pub use network::Network;

/// Whether balancers say who the client is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// A connection's client is who made it.
    #[default]
    Off,
    /// Every connection from the listed networks begins with a header.
    Required,
}

/// Reads a header and not a byte behind it. `None`: the balancer speaks for itself.
pub(crate) async fn read(stream: &mut TcpStream) -> io::Result<Option<SocketAddr>> {
    let mut header = Vec::new();
    loop {
        let mut next = [0; 256];
        let room = next.len().min(HEADER_MAX - header.len());
        let seen = stream.peek(&mut next[..room]).await?;
        if seen == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let before = header.len();
        header.extend_from_slice(&next[..seen]);
        let parsed = header::parse(&header)
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
        // What is not complete yet is all of the header.
        let (taken, source) = match parsed {
            Parsed::Incomplete => (seen, None),
            Parsed::Complete { len, source } => (len - before, Some(source)),
        };
        stream.read_exact(&mut next[..taken]).await?;
        if let Some(source) = source {
            return Ok(source);
        }
    }
}
