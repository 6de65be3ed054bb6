//! The socket side.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use blockhouse_hook::{Awaited, Settled};
use blockhouse_service::Shutdown;
use blockhouse_transport::tls::Accepted;
use blockhouse_transport::{Connection, Refused};
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::http::{Method, Request, Response, StatusCode};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::changes::Asked;
use crate::door::Visitor;
use crate::failures::Failures;
use crate::looks::{Looks, Route};
use crate::routes::{Answer, rendered};
use crate::{Config, Error, Parts, Reply};

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
    /// Starts to listen, where `parts.tasks` run; `None` if the configuration has no address.
    ///
    /// # Errors
    /// If the address cannot be listened on.
    pub fn start(config: &Config, parts: Parts) -> Result<Option<Running>, Error> {
        let Some(address) = config.listen else { return Ok(None) };
        let failed = |source| Error::Bind { address, source };
        let listener = std::net::TcpListener::bind(address).map_err(failed)?;
        listener.set_nonblocking(true).map_err(failed)?;
        let local = listener.local_addr().map_err(failed)?;
        let changes = Arc::new(Semaphore::new(1));
        let slots = Arc::new(Semaphore::new(config.connections_max.min(Semaphore::MAX_PERMITS)));
        let tasks = parts.tasks.clone();
        let failures = Arc::new(Failures::new(Arc::clone(&parts.door.clock)));
        let looks = Arc::new(Looks::new(parts.views.len(), parts.rows.len()));
        let shared = Shared { parts: Arc::new(parts), failures, changes, looks };
        tasks.spawn("accept", accept(listener, shared, slots));
        Ok(Some(Running { local }))
    }
}

/// What connections share.
#[derive(Clone)]
pub(crate) struct Shared {
    pub(crate) parts: Arc<Parts>,
    failures: Arc<Failures>,
    /// One change at a time, and one body of it in memory.
    pub(crate) changes: Arc<Semaphore>,
    looks: Arc<Looks>,
}

async fn accept(listener: std::net::TcpListener, shared: Shared, slots: Arc<Semaphore>) {
    let listener = match TcpListener::from_std(listener) {
        Ok(listener) => listener,
        Err(error) => return tracing::error!(%error, "ops: cannot listen"),
    };
    let mut shutdown = shared.parts.tasks.shutdown();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = shutdown.requested() => return,
        };
        match accepted {
            Ok((stream, peer)) => {
                // Over the limit the connection is dropped, which closes it.
                if let Ok(slot) = Arc::clone(&slots).try_acquire_owned() {
                    let tasks = shared.parts.tasks.clone();
                    tasks.spawn("connection", serve(stream, peer, shared.clone(), slot));
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

async fn serve(stream: TcpStream, peer: SocketAddr, shared: Shared, _slot: OwnedSemaphorePermit) {
    let Ok(local) = stream.local_addr() else { return };
    let connection = Connection::detached(peer, local);
    let Some(tls) = shared.parts.door.tls.clone() else {
        return speak(stream, connection, shared).await;
    };
    let mut shutdown = shared.parts.tasks.shutdown();
    let accepted = tokio::select! {
        accepted = tls.accept_secure(stream, &connection) => accepted,
        () = shutdown.requested() => return,
    };
    match accepted {
        Accepted::Tls(stream, _known) => speak(stream, connection, shared).await,
        Accepted::Plain(mut stream) | Accepted::Refused(mut stream) => {
            shut(&shared, connection, Refused::Plaintext, "this listener takes HTTPS only");
            let text = "HTTP/1.0 400 Bad Request\r\ncontent-type: text/plain\r\n\r\nthis listener takes HTTPS only\n";
            let told = tokio::time::timeout(HEAD_PATIENCE, stream.write_all(text.as_bytes()));
            // Whoever speaks plaintext may be anybody.
            let _unheard = told.await;
        }
        Accepted::Failed(why) => shut(&shared, connection, Refused::Handshake, &why),
        Accepted::Ended => {}
    }
}

/// Tells the audit of a connection that is not served.
fn shut(shared: &Shared, connection: Arc<Connection>, what: Refused, why: &str) {
    shared.parts.hooks.load().shut(Visitor::new(connection).info(), what.name(), &why);
}

/// Answers the requests of a connection to its end.
async fn speak<S>(stream: S, connection: Arc<Connection>, shared: Shared)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let peer = connection.peer();
    let visitor = Arc::new(Visitor::new(Arc::clone(&connection)));
    let mut shutdown: Shutdown = shared.parts.tasks.shutdown();
    let (left, hooks) = (Arc::clone(&visitor), Arc::clone(&shared.parts.hooks));
    let service = service_fn(move |request: Request<Incoming>| {
        let (shared, visitor) = (shared.clone(), Arc::clone(&visitor));
        async move {
            let answer = answer(&shared, &visitor, request).await;
            Ok::<Response<_>, Infallible>(answer.map(Full::new))
        }
    });
    let serving = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_PATIENCE)
        .serve_connection(TokioIo::new(stream), service);
    tokio::pin!(serving);
    let ended = tokio::select! {
        ended = serving.as_mut() => ended,
        // Its certificate is no longer good.
        () = connection.closing() => Ok(()),
        () = shutdown.requested() => {
            serving.as_mut().graceful_shutdown();
            serving.await
        }
    };
    left.leave(&hooks.load());
    if let Err(error) = ended {
        tracing::debug!(%peer, %error, "ops: connection ended");
    }
}

async fn answer(shared: &Shared, visitor: &Visitor, request: Request<Incoming>) -> Response<Bytes> {
    let (parts, (head, body)) = (&shared.parts, request.into_parts());
    if let Some(response) = parts.open(&head) {
        return response.map(Bytes::from);
    }
    let who = parts.door.who(visitor, (&parts.hooks.load(), &shared.failures), &head);
    let context = match who {
        Ok(context) => context,
        Err(refused) => return refused.map(Bytes::from),
    };
    match parts.answer(&head, &context) {
        Answer::Ready(response) => recorded(shared, &head.method, response).await,
        Answer::Look(at, call) => {
            let parts = Arc::clone(parts);
            let looked = shared.looks.look(Route::Row(at), move || parts.looked(at, &call)).await;
            recorded(shared, &head.method, looked.unwrap_or_else(|reply| rendered(&reply))).await
        }
        Answer::View(at, wanted) => {
            let parts = Arc::clone(parts);
            let shown = shared.looks.look(Route::View(at), move || parts.shown(at, &wanted)).await;
            shown.unwrap_or_else(|reply| rendered(&reply).map(Bytes::from))
        }
        Answer::Change(change, call) => {
            let command = format!("{} {}", head.method, head.uri.path());
            tracing::info!(peer = %visitor.peer(), principal = ?context.principal, "ops: {command}");
            let asked = Asked { shared, context: &context, command: &command };
            rendered(&asked.change(change, call, body).await).map(Bytes::from)
        }
    }
}

/// An answer, once a refusal in it is recorded.
async fn recorded(shared: &Shared, method: &Method, response: Response<String>) -> Response<Bytes> {
    if response.status() == StatusCode::FORBIDDEN {
        refusal_recorded(shared, method).await;
    }
    response.map(Bytes::from)
}

pub(crate) fn settled(shared: &Shared, awaited: Awaited) -> Option<Settled> {
    shared.parts.hooks.load().settled(awaited)
}

/// Waits for the record of a refused change. It stays refused without one.
pub(crate) async fn refusal_recorded(shared: &Shared, method: &Method) {
    let is_change = *method != Method::GET && *method != Method::HEAD;
    let awaited = if is_change { Awaited::Control } else { Awaited::Login };
    if let Some(settled) = settled(shared, awaited)
        && let Err(why) = settled.await
    {
        tracing::debug!("ops: a refusal without a record: {}", why.reason);
    }
}

pub(crate) fn failed() -> Reply {
    let text = "the node could not do that; its log says why";
    Reply::refusal(StatusCode::INTERNAL_SERVER_ERROR, "failed", text)
}
