//! Accepting connections.

mod refusal;

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use blockhouse_meter::{Connections, Gauge};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{self, JoinSet};
use tokio::time::{Instant, timeout};
use tracing::{debug, error, warn};

use crate::driver::Driver;
use crate::tls::Accepted;
use crate::{Connection, Endpoint, Error};

/// After a failed accept (no more file descriptors, say), how long until the next.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// A listener and its connections. Dropping it ends them at once; see
/// [`shutdown`](Self::shutdown).
#[derive(Debug)]
pub struct Server {
    local_addr: SocketAddr,
    open: Arc<AtomicUsize>,
    stop: watch::Sender<bool>,
    tasks: JoinSet<()>,
}

/// An address that is listened on, and nothing accepted yet: for a server that must know its port
/// before it can be built.
#[derive(Debug)]
pub struct Reserved {
    listener: TcpListener,
    local_addr: SocketAddr,
}

impl Reserved {
    /// The address listened on, with the port that was picked.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// Starts accepting.
    #[must_use]
    pub fn serve(self, endpoint: Endpoint) -> Server {
        let Self { listener, local_addr } = self;
        let (stop, stopped) = watch::channel(false);
        let open = Arc::new(AtomicUsize::new(0));
        let acceptor = Acceptor {
            listener,
            endpoint: Arc::new(endpoint),
            open: Arc::clone(&open),
            tasks: JoinSet::new(),
            connections: HashMap::new(),
        };
        let mut tasks = JoinSet::new();
        tasks.spawn(acceptor.run(stopped));
        Server { local_addr, open, stop, tasks }
    }
}

impl Server {
    /// Listens on `addr` (`host:port`; port 0 picks one) and starts accepting.
    ///
    /// # Errors
    /// The address cannot be resolved or is in use.
    pub async fn bind(addr: &str, endpoint: Endpoint) -> Result<Self, Error> {
        Ok(Self::reserve(addr).await?.serve(endpoint))
    }

    /// Listens on `addr` without accepting yet.
    ///
    /// # Errors
    /// The address cannot be resolved or is in use.
    pub async fn reserve(addr: &str) -> Result<Reserved, Error> {
        let failed = |source| Error::Listen { addr: addr.to_owned(), source };
        let listener = TcpListener::bind(addr).await.map_err(failed)?;
        let local_addr = listener.local_addr().map_err(failed)?;
        Ok(Reserved { listener, local_addr })
    }

    /// The address listened on, with the port that was picked.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// Connections open now.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.open.load(Ordering::Relaxed)
    }

    /// Stops accepting, lets connections write the answers they owe (within
    /// [`drain_ms`](crate::Limits::drain_ms)), and waits for all tasks.
    pub async fn shutdown(mut self) {
        self.stop.send_replace(true);
        while self.tasks.join_next().await.is_some() {}
    }
}

struct Acceptor {
    listener: TcpListener,
    endpoint: Arc<Endpoint>,
    open: Arc<AtomicUsize>,
    tasks: JoinSet<()>,
    /// By their task, to close them at the end.
    connections: HashMap<task::Id, Weak<Connection>>,
}

impl Acceptor {
    async fn run(mut self, mut stopped: watch::Receiver<bool>) {
        let mut pausing = pin!(tokio::time::sleep(Duration::ZERO));
        let mut failing = false;
        loop {
            let accept = async {
                pausing.as_mut().await;
                self.listener.accept().await
            };
            tokio::select! {
                accepted = accept => match accepted {
                    Ok((stream, peer)) => {
                        failing = false;
                        self.admit(stream, peer);
                    }
                    // A client that gave up before it was accepted is no reason to pause.
                    Err(e) if e.kind() == io::ErrorKind::ConnectionAborted => {}
                    Err(error) => {
                        // Once, and not at each try.
                        if !std::mem::replace(&mut failing, true) {
                            warn!(%error, "cannot accept connections, trying again");
                        }
                        pausing.as_mut().reset(Instant::now() + ACCEPT_PAUSE);
                    }
                },
                Some(ended) = self.tasks.join_next_with_id() => self.forget(ended),
                _ = stopped.changed() => break,
            }
        }
        self.end().await;
    }

    /// Stops listening, and ends the connections once they have written what they owe.
    async fn end(self) {
        let Self { listener, mut tasks, connections, .. } = self;
        drop(listener);
        for connection in connections.values().filter_map(Weak::upgrade) {
            connection.close();
        }
        while let Some(ended) = tasks.join_next().await {
            report(ended);
        }
    }

    fn forget(&mut self, ended: Result<(task::Id, ()), task::JoinError>) {
        let id = ended.as_ref().map_or_else(task::JoinError::id, |(id, ())| *id);
        self.connections.remove(&id);
        report(ended.map(|_| ()));
    }

    fn admit(&mut self, stream: TcpStream, peer: SocketAddr) {
        if self.open.load(Ordering::Relaxed) >= self.endpoint.limits.connections_max {
            self.endpoint.counts.refused.add(1);
            debug!(%peer, "refused: too many connections (connections_max)");
            return;
        }
        let Ok(local) = prepare(&stream) else { return };
        let open = Open::new(&self.open, &self.endpoint.counts);
        let connection = Connection::new(peer, local, &self.endpoint.limits);
        let task = serve(stream, Arc::clone(&connection), Arc::clone(&self.endpoint));
        let spawned = self.tasks.spawn(async move {
            let _counted_until_the_end = open;
            task.await;
        });
        self.connections.insert(spawned.id(), Arc::downgrade(&connection));
    }
}

/// Counts an open connection.
struct Open(Arc<AtomicUsize>, Arc<Connections>);

impl Open {
    fn new(count: &Arc<AtomicUsize>, counts: &Arc<Connections>) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        counts.opened.add(1);
        counts.open.add(1);
        Self(Arc::clone(count), Arc::clone(counts))
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
        self.1.open.add(-1);
    }
}

/// Sets the options every socket has; returns its own address.
pub(crate) fn prepare(stream: &TcpStream) -> io::Result<SocketAddr> {
    stream.set_nodelay(true)?;
    stream.local_addr()
}

/// The task of an accepted connection.
async fn serve(stream: TcpStream, connection: Arc<Connection>, endpoint: Arc<Endpoint>) {
    let Some(tls) = endpoint.tls.clone() else {
        let _counted = Counted::new(&endpoint.counts, |counts| &counts.channels.plain);
        return run(stream, connection, Arc::clone(&endpoint)).await;
    };
    // Boxed, so that connections in plaintext do not have the size of those under TLS.
    let silence = Duration::from_millis(endpoint.limits.idle_ms);
    match Box::pin(tls.accept(stream, &connection, silence)).await {
        Accepted::Plain(stream) => {
            let _counted = Counted::new(&endpoint.counts, |counts| &counts.channels.plain);
            run(stream, connection, Arc::clone(&endpoint)).await;
        }
        Accepted::Tls(stream, _known) => {
            let _counted = Counted::new(&endpoint.counts, |counts| &counts.channels.tls);
            Box::pin(run(stream, connection, Arc::clone(&endpoint))).await;
        }
        Accepted::Refused(stream) => {
            let refusing = Arc::new(refusal::endpoint(&endpoint));
            let mut running = Box::pin(run(stream, Arc::clone(&connection), refusing));
            if timeout(refusal::PATIENCE, &mut running).await.is_err() {
                connection.close();
                running.await;
            }
        }
        Accepted::Ended => connection.mark_ended(),
    }
}

/// Runs a connection over `stream`, if it is admitted, to its end.
pub(crate) async fn run<S>(stream: S, connection: Arc<Connection>, endpoint: Arc<Endpoint>)
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send,
{
    if endpoint.sessions.opened(&connection) {
        Driver::new(stream, connection, endpoint).run().await;
    } else {
        endpoint.counts.refused.add(1);
        debug!(peer = %connection.peer(), "refused by the session hooks");
        connection.mark_ended();
    }
}

/// One more in a gauge, for as long as it lives.
struct Counted {
    counts: Arc<Connections>,
    gauge: fn(&Connections) -> &Gauge,
}

impl Counted {
    fn new(counts: &Arc<Connections>, gauge: fn(&Connections) -> &Gauge) -> Self {
        gauge(counts).add(1);
        Self { counts: Arc::clone(counts), gauge }
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        (self.gauge)(&self.counts).add(-1);
    }
}

fn report(ended: Result<(), task::JoinError>) {
    match ended {
        Err(error) if error.is_panic() => {
            error!(%error, "a connection's task panicked; only that connection is lost");
        }
        _ => {}
    }
}
