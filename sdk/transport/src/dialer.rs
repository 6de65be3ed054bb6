//! Making connections.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::server::{prepare, start};
use crate::{Connection, Endpoint, Error};

/// Makes outgoing connections and owns their tasks. Dropping it ends them at once.
pub struct Dialer {
    endpoint: Arc<Endpoint>,
    tasks: Mutex<Dialed>,
}

#[derive(Default)]
struct Dialed {
    tasks: JoinSet<()>,
    connections: Vec<std::sync::Weak<Connection>>,
}

impl Dialer {
    /// A dialer whose connections have their incoming requests answered by the endpoint's service.
    #[must_use]
    pub fn new(endpoint: Endpoint) -> Self {
        Self { endpoint: Arc::new(endpoint), tasks: Mutex::default() }
    }

    /// Connects to `addr` (`host:port`).
    ///
    /// # Errors
    /// The name cannot be resolved, nobody listens, or `timeout` passed.
    pub async fn connect(&self, addr: &str, timeout: Duration) -> Result<Arc<Connection>, Error> {
        let failed = |source| Error::Connect { addr: addr.to_owned(), source };
        let stream = tokio::time::timeout(timeout, TcpStream::connect(addr))
            .await
            .map_err(|_| Error::ConnectTimeout { addr: addr.to_owned(), after: timeout })?
            .map_err(failed)?;
        let peer = stream.peer_addr().map_err(failed)?;
        let local = prepare(&stream).map_err(failed)?;
        Ok(self.adopt(stream, peer, local))
    }

    /// Runs a connection over a stream that is open already (a pipe in tests, TLS).
    pub fn adopt<S>(&self, stream: S, peer: SocketAddr, local: SocketAddr) -> Arc<Connection>
    where
        S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
    {
        let (connection, task) = start(stream, (peer, local), &self.endpoint);
        let mut dialed = self.tasks.lock();
        while dialed.tasks.try_join_next().is_some() {}
        dialed.connections.retain(|c| c.upgrade().is_some_and(|c| !c.is_closed()));
        dialed.connections.push(Arc::downgrade(&connection));
        dialed.tasks.spawn(task);
        connection
    }

    /// Closes all connections after what they still have to send, and waits for their tasks.
    pub async fn shutdown(&self) {
        let mut dialed = std::mem::take(&mut *self.tasks.lock());
        for connection in dialed.connections.iter().filter_map(std::sync::Weak::upgrade) {
            connection.close();
        }
        while dialed.tasks.join_next().await.is_some() {}
    }
}
