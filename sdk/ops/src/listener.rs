//! The socket side.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use blockhouse_hook::{Awaited, Settled};
use blockhouse_model::RequestContext;
use blockhouse_service::Shutdown;
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::http::{Method, Request, Response, StatusCode};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::routes::{Answer, rendered};
use crate::{Call, Change, Config, Error, Parts, Reply};

/// How long a client may take to send a request's head.
const HEAD_PATIENCE: Duration = Duration::from_secs(10);
/// How long a client may take to send a request's body.
const BODY_PATIENCE: Duration = Duration::from_secs(60);
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
        let changes = Arc::new(Semaphore::new(1));
        let slots = Arc::new(Semaphore::new(config.connections_max.min(Semaphore::MAX_PERMITS)));
        let tasks = parts.tasks.clone();
        let shared = Shared { parts: Arc::new(parts), changes };
        tasks.spawn("accept", accept(listener, shared, slots));
        Ok(Some(Running { local }))
    }
}

/// What connections share.
#[derive(Clone)]
struct Shared {
    parts: Arc<Parts>,
    /// One change at a time, and one body of it in memory.
    changes: Arc<Semaphore>,
}

async fn accept(listener: TcpListener, shared: Shared, slots: Arc<Semaphore>) {
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
    static NEXT: AtomicU64 = AtomicU64::new(1);
    let context = Arc::new(RequestContext::new(peer, NEXT.fetch_add(1, Ordering::Relaxed), 0));
    let mut shutdown: Shutdown = shared.parts.tasks.shutdown();
    let service = service_fn(move |request: Request<Incoming>| {
        let (shared, context) = (shared.clone(), Arc::clone(&context));
        async move {
            let (head, body) = request.into_parts();
            let answer = match shared.parts.answer(&head, &context) {
                Answer::Ready(response) => {
                    if response.status() == StatusCode::FORBIDDEN {
                        refusal_recorded(&shared, &head.method).await;
                    }
                    response
                }
                Answer::Change(change, call) => {
                    tracing::info!(%peer, "ops: {} {}", head.method, head.uri.path());
                    rendered(&audited(&shared, make(&shared.changes, change, call, body)).await)
                }
            };
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

/// Reads the body of a change, and has it made beside the workers.
async fn make(turn: &Arc<Semaphore>, change: Arc<Change>, call: Call, body: Incoming) -> Reply {
    // It is never closed.
    let Ok(turn) = Arc::clone(turn).acquire_owned().await else { return failed() };
    let limited = Limited::new(body, change.body_max).collect();
    let body = match tokio::time::timeout(BODY_PATIENCE, limited).await {
        Ok(Ok(body)) => body.to_bytes(),
        Ok(Err(error)) if error.is::<LengthLimitError>() => {
            let text = format!("the body has more than {} bytes", change.body_max);
            return Reply::refusal(StatusCode::PAYLOAD_TOO_LARGE, "too-large", &text);
        }
        Ok(Err(error)) => {
            let text = format!("the body did not come: {error}");
            return Reply::refusal(StatusCode::BAD_REQUEST, "body", &text);
        }
        Err(_) => {
            let text = "the body did not come in time";
            return Reply::refusal(StatusCode::REQUEST_TIMEOUT, "body", text);
        }
    };
    let call = Call { body, ..call };
    // A client that goes away does not stop it halfway, and the next one waits for it.
    let made = tokio::task::spawn_blocking(move || {
        let _turn = turn;
        (change.make)(&call)
    });
    made.await.unwrap_or_else(|_| failed())
}

/// Makes a change only while what is told of it can be recorded, and answers when it is.
async fn audited(shared: &Shared, made: impl Future<Output = Reply>) -> Reply {
    let settled = async || match settled(shared, Awaited::Control) {
        Some(settled) => settled.await.map_err(|rejection| rejection.reason),
        None => Ok(()),
    };
    if let Err(why) = settled().await {
        return Reply::refusal(StatusCode::SERVICE_UNAVAILABLE, "audit", &why);
    }
    let reply = made.await;
    match settled().await {
        Ok(()) => reply,
        Err(why) => {
            let why = format!("{why}; what was asked for may have been done");
            Reply::refusal(StatusCode::SERVICE_UNAVAILABLE, "audit", &why)
        }
    }
}

fn settled(shared: &Shared, awaited: Awaited) -> Option<Settled> {
    shared.parts.hooks.load().settled(awaited)
}

/// Waits for the record of a refused change. It stays refused without one.
async fn refusal_recorded(shared: &Shared, method: &Method) {
    let is_change = *method != Method::GET && *method != Method::HEAD;
    let awaited = if is_change { Awaited::Control } else { Awaited::Login };
    if let Some(settled) = settled(shared, awaited)
        && let Err(why) = settled.await
    {
        tracing::debug!("ops: a refusal without a record: {}", why.reason);
    }
}

fn failed() -> Reply {
    let text = "the node could not do that; its log says why";
    Reply::refusal(StatusCode::INTERNAL_SERVER_ERROR, "failed", text)
}
