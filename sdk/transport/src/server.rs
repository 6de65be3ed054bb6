//! Accepting connections.

mod addresses;
mod refusal;

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use blockhouse_meter::{Connections, Gauge, Shed};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{self, JoinSet};
use tokio::time::{Instant, MissedTickBehavior, timeout};
use tracing::{debug, error, warn};

use crate::driver::Driver;
use crate::lobby::{Guest, Lobby};
use crate::tls::Accepted;
use crate::{Connection, Endpoint, Error, Refused, proxy};
use addresses::Addresses;

/// After a failed accept (no more file descriptors, say), how long until the next.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// So many of the oldest connections that nobody vouches for are closed at each failed accept: if
/// they hold the descriptors, others get some.
const SHED_PER_PAUSE: usize = 64;

const TOO_MANY: &str = "too many connections (connections_max)";
const TOO_MANY_OF_ADDRESS: &str =
    "too many connections of its address (connections_per_address_max)";

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
        let limits = &endpoint.limits;
        let hall = Hall {
            lobby: Lobby::new(limits, &endpoint),
            addresses: Addresses::new(limits.connections_per_address_max),
        };
        let acceptor = Acceptor {
            listener,
            hall,
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

/// What the connections of a listener share besides their endpoint.
#[derive(Clone)]
struct Hall {
    lobby: Arc<Lobby>,
    addresses: Arc<Addresses>,
}

struct Acceptor {
    listener: TcpListener,
    hall: Hall,
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
        let mut look = tokio::time::interval(self.hall.lobby.look());
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
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
                        self.hall.lobby.shed_oldest(SHED_PER_PAUSE, Shed::Descriptors);
                        pausing.as_mut().reset(Instant::now() + ACCEPT_PAUSE);
                    }
                },
                Some(ended) = self.tasks.join_next_with_id() => self.forget(ended),
                _ = look.tick(), if !self.hall.lobby.is_empty() => self.hall.lobby.sweep(),
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
        let Hall { lobby, addresses } = &self.hall;
        let Endpoint { limits, counts, .. } = &*self.endpoint;
        if self.open.load(Ordering::Relaxed) >= limits.connections_max
            && lobby.shed_oldest(1, Shed::Connections) == 0
        {
            return refuse_at_door(&self.endpoint, (&stream, peer), TOO_MANY);
        }
        let proxied = limits.is_proxied(peer.ip());
        let place = if proxied { None } else { addresses.enter(peer.ip()) };
        if !proxied && place.is_none() {
            return refuse_at_door(&self.endpoint, (&stream, peer), TOO_MANY_OF_ADDRESS);
        }
        let Ok(local) = prepare(&stream) else { return };
        let open = Open::new(&self.open, counts);
        let connection = Connection::new(peer, local, limits);
        let guest = lobby.enter(&connection);
        if !proxied {
            guest.is_from(peer.ip());
        }
        let arrived = Arrived { stream, connection: Arc::clone(&connection), guest };
        let endpoint = Arc::clone(&self.endpoint);
        let announced = proxied.then(|| Arc::clone(addresses));
        let counted_until_the_end = (open, place);
        let spawned = if announced.is_none() && endpoint.tls.is_none() {
            self.tasks.spawn(async move {
                let _counted = counted_until_the_end;
                plain(arrived, endpoint).await;
            })
        } else {
            // Of another size: who says nothing yet has none of what may come later.
            self.tasks.spawn(async move {
                let _counted = counted_until_the_end;
                match announced {
                    Some(addresses) => Box::pin(announce(arrived, endpoint, addresses)).await,
                    None => Box::pin(serve(arrived, endpoint)).await,
                }
            })
        };
        self.connections.insert(spawned.id(), Arc::downgrade(&connection));
    }
}

/// Drops what was accepted, and tells of it as of a connection.
fn refuse_at_door(endpoint: &Endpoint, (stream, peer): (&TcpStream, SocketAddr), why: &str) {
    // One that is gone already has no address here: any will do.
    let local = stream.local_addr().unwrap_or(peer);
    refuse(endpoint, &Connection::new(peer, local, &endpoint.limits), why);
}

fn refuse(endpoint: &Endpoint, connection: &Connection, why: &str) {
    endpoint.counts.refused.add(1);
    debug!(peer = %connection.peer(), "refused: {why}");
    endpoint.sessions.refused(connection, Refused::Full, &why);
}

/// An accepted connection.
struct Arrived {
    stream: TcpStream,
    connection: Arc<Connection>,
    guest: Guest,
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

/// The task of a connection from a balancer: who the client is, then as for others.
async fn announce(mut arrived: Arrived, endpoint: Arc<Endpoint>, addresses: Arc<Addresses>) {
    let connection = Arc::clone(&arrived.connection);
    let header = tokio::select! {
        header = proxy::read(&mut arrived.stream) => header,
        () = connection.closing() => return connection.mark_ended(),
    };
    match header {
        Ok(Some(client)) => connection.stands_for(client),
        // Whoever looks after the balancer's own health.
        Ok(None) => {}
        Err(error) => {
            endpoint.counts.shed[Shed::Proxy as usize].add(1);
            debug!(peer = %connection.peer(), %error, "no header where one has to be (proxy_protocol)");
            endpoint.sessions.refused(&connection, Refused::ProxyHeader, &error);
            return connection.mark_ended();
        }
    }
    let Some(_place) = addresses.enter(connection.peer().ip()) else {
        refuse(&endpoint, &connection, TOO_MANY_OF_ADDRESS);
        return connection.mark_ended();
    };
    arrived.guest.is_from(connection.peer().ip());
    Box::pin(serve(arrived, endpoint)).await;
}

/// The task of a connection in plaintext.
async fn plain(arrived: Arrived, endpoint: Arc<Endpoint>) {
    let Arrived { stream, connection, guest } = arrived;
    let _counted = Counted::new(&endpoint.counts, |counts| &counts.channels.plain);
    run(stream, connection, Arc::clone(&endpoint), Some(guest)).await;
}

/// The task of a connection that may be under TLS. Parts are boxed, so that none has the size of
/// another before it is there.
async fn serve(arrived: Arrived, endpoint: Arc<Endpoint>) {
    let Some(tls) = endpoint.tls.clone() else {
        return Box::pin(plain(arrived, endpoint)).await;
    };
    let Arrived { stream, connection, guest } = arrived;
    let guest = Some(guest);
    let silence = Duration::from_millis(endpoint.limits.idle_ms);
    match tls.accept(stream, &connection, silence).await {
        Accepted::Plain(stream) => {
            let _counted = Counted::new(&endpoint.counts, |counts| &counts.channels.plain);
            Box::pin(run(stream, connection, Arc::clone(&endpoint), guest)).await;
        }
        Accepted::Tls(stream, _known) => {
            let _counted = Counted::new(&endpoint.counts, |counts| &counts.channels.tls);
            Box::pin(run(stream, connection, Arc::clone(&endpoint), guest)).await;
        }
        Accepted::Refused(stream) => {
            let why = "only TLS is served here (tls.mode = enforcing)";
            endpoint.sessions.refused(&connection, Refused::Plaintext, &why);
            let refusing = Arc::new(refusal::endpoint(&endpoint));
            let mut running = Box::pin(run(stream, Arc::clone(&connection), refusing, guest));
            if timeout(refusal::PATIENCE, &mut running).await.is_err() {
                connection.close();
                running.await;
            }
        }
        Accepted::Failed(why) => {
            endpoint.sessions.refused(&connection, Refused::Handshake, &why);
            connection.mark_ended();
        }
        Accepted::Ended => connection.mark_ended(),
    }
}

/// Runs a connection over `stream`, if it is admitted, to its end.
pub(crate) async fn run<S>(
    stream: S,
    connection: Arc<Connection>,
    endpoint: Arc<Endpoint>,
    guest: Option<Guest>,
) where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send,
{
    if endpoint.sessions.opened(&connection) {
        let mut driver = Driver::new(stream, connection, endpoint, guest);
        driver.run().await;
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
