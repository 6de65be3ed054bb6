//! Making connections.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};

use crate::server::{prepare, run};
use crate::tls::Connector;
use crate::{Connection, Endpoint, Error};

/// Makes outgoing connections and owns their tasks. Dropping it ends them at once.
pub struct Dialer {
    endpoint: Arc<Endpoint>,
    tls: Option<Arc<Connector>>,
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
        Self { endpoint: Arc::new(endpoint), tls: None, tasks: Mutex::default() }
    }

    /// The same by TLS, if a connector is given.
    #[must_use]
    pub fn over(self, tls: Option<Arc<Connector>>) -> Self {
        Self { tls, ..self }
    }

    /// Connects to `addr` (`host:port`).
    ///
    /// # Errors
    /// The name cannot be resolved, nobody listens, the other side does not prove to be who it
    /// should be, or `timeout` passed.
    pub async fn connect(&self, addr: &str, timeout: Duration) -> Result<Arc<Connection>, Error> {
        let failed = |source| Error::Connect { addr: addr.to_owned(), source };
        let late = || Error::ConnectTimeout { addr: addr.to_owned(), after: timeout };
        let deadline = Instant::now() + timeout;
        let stream = timeout_at(deadline, TcpStream::connect(addr))
            .await
            .map_err(|_| late())?
            .map_err(failed)?;
        let peer = stream.peer_addr().map_err(failed)?;
        let local = prepare(&stream).map_err(failed)?;
        let Some(tls) = &self.tls else { return Ok(self.adopt(stream, peer, local)) };
        let stream = timeout_at(deadline, Box::pin(tls.connect(stream, addr)))
            .await
            .map_err(|_| late())?
            .map_err(|source| Error::Tls { addr: addr.to_owned(), source })?;
        let connection = Connection::new(peer, local, &self.endpoint.limits);
        connection.secured(None);
        Ok(self.start(Box::new(stream), connection))
    }

    /// Runs a connection over a stream that is open already (a pipe in tests, TLS).
    pub fn adopt<S>(&self, stream: S, peer: SocketAddr, local: SocketAddr) -> Arc<Connection>
    where
        S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
    {
        self.start(stream, Connection::new(peer, local, &self.endpoint.limits))
    }

    fn start<S>(&self, stream: S, connection: Arc<Connection>) -> Arc<Connection>
    where
        S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
    {
        let task = run(stream, Arc::clone(&connection), Arc::clone(&self.endpoint), None);
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
