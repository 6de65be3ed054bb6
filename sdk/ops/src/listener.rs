//! The socket side.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use blockhouse_model::RequestContext;
use blockhouse_service::Shutdown;
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::http::{Request, Response};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::{Config, Error, Parts};

/// How long a client may take to send a request's head.
const HEAD_PATIENCE: Duration = Duration::from_secs(10);
/// After a failed accept (no descriptors left), before the next try.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The ops listener.
#[derive(Debug)]
pub struct Ops;

/// A listener that runs; it ends with the tasks it was given.
#[derive(Clone, Copy, Debug)]
pub struct Running {
    local: SocketAddr,
}

impl Running {
    /// Where it listens, with the port that was chosen if none was asked for.
    #[must_use]
    pub const fn local_addr(&self) -> SocketAddr {
        self.local
    }
}

impl Ops {
    /// Starts to listen; `None` if the configuration has no address.
    ///
    /// # Errors
    /// If the address cannot be listened on.
    pub async fn start(config: &Config, parts: Parts) -> Result<Option<Running>, Error> {
        let Some(address) = config.listen else { return Ok(None) };
        let failed = |source| Error::Bind { address, source };
        let listener = TcpListener::bind(address).await.map_err(failed)?;
        let local = listener.local_addr().map_err(failed)?;
        let slots = Arc::new(Semaphore::new(config.connections_max.min(Semaphore::MAX_PERMITS)));
        let tasks = parts.tasks.clone();
        tasks.spawn("accept", accept(listener, Arc::new(parts), slots));
        Ok(Some(Running { local }))
    }
}

async fn accept(listener: TcpListener, parts: Arc<Parts>, slots: Arc<Semaphore>) {
    let mut shutdown = parts.tasks.shutdown();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = shutdown.requested() => return,
        };
        match accepted {
            Ok((stream, peer)) => {
                // Over the limit the connection is dropped, which closes it.
                if let Ok(slot) = Arc::clone(&slots).try_acquire_owned() {
                    let parts = Arc::clone(&parts);
                    let tasks = parts.tasks.clone();
                    tasks.spawn("connection", serve(stream, peer, parts, slot));
                }
            }
            Err(error) => {
                tracing::warn!(%error, "ops: cannot accept a connection");
                if !shutdown.wait(ACCEPT_PAUSE).await {
                    return;
                }
            }
        }
    }
}

async fn serve(
    stream: TcpStream,
    peer: SocketAddr,
    parts: Arc<Parts>,
    _slot: OwnedSemaphorePermit,
) {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    let context = Arc::new(RequestContext::new(peer, NEXT.fetch_add(1, Ordering::Relaxed), 0));
    let mut shutdown: Shutdown = parts.tasks.shutdown();
    let service = service_fn(move |request: Request<Incoming>| {
        let (parts, context) = (Arc::clone(&parts), Arc::clone(&context));
        async move {
            let answer = parts.answer(request.method(), request.uri().path(), &context);
            Ok::<Response<_>, Infallible>(answer.map(|text| Full::new(Bytes::from(text))))
        }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_PATIENCE)
        .serve_connection(TokioIo::new(stream), service);
    tokio::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = shutdown.requested() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%peer, %error, "ops: connection ended");
    }
}
