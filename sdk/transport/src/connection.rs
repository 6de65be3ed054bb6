//! The handle of a connection, for every task but its own.

mod calls;
mod mailbox;

use std::any::Any;
use std::fmt;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Poll, Waker};
use std::time::Duration;

use blockhouse_protocol::RemotingCommand;
use blockhouse_protocol::encode::{self, ExtWriter};
use blockhouse_protocol::signed::Signer;
use bytes::{Bytes, BytesMut};
use futures_util::task::AtomicWaker;
use parking_lot::RwLock;
use tokio::sync::Semaphore;

use crate::{Error, Limits};
use calls::Calls;
use mailbox::Mailbox;

static NEXT_ID: AtomicU64 = AtomicU64::new(1);

const OPEN: u8 = 0;
const DRAINING: u8 = 1;
const ENDED: u8 = 2;

const NEW: u8 = 0;
const SPOKE: u8 = 1;
const VOUCHED: u8 = 2;

/// What a service keeps with a connection.
pub type Kept = Arc<dyn Any + Send + Sync>;

/// A connection as other tasks see it: something to push frames to, to call, and to close.
///
/// Its own task does the reading and writing; the handle only leaves word for it.
pub struct Connection {
    id: u64,
    peer: SocketAddr,
    /// Set where a balancer made the connection: for whom.
    client: OnceLock<SocketAddr>,
    local: SocketAddr,
    language: AtomicU8,
    version: AtomicI32,
    client_id: RwLock<Option<Arc<str>>>,
    /// Set once the connection is encrypted: who the client's certificate says it is.
    certificate: OnceLock<Option<Arc<str>>>,
    signer: OnceLock<Arc<Signer>>,
    kept: RwLock<Option<Kept>>,
    phase: AtomicU8,
    standing: AtomicU8,
    /// Nothing more goes out, not even what is owed.
    is_cut: AtomicBool,
    mailbox: Mailbox,
    calls: Calls,
    waker: AtomicWaker,
    /// Closed when the connection has ended; never has permits.
    end: Semaphore,
}

impl Connection {
    pub(crate) fn new(peer: SocketAddr, local: SocketAddr, limits: &Limits) -> Arc<Self> {
        Arc::new(Self {
            id: NEXT_ID.fetch_add(1, Ordering::Relaxed),
            peer,
            client: OnceLock::new(),
            local,
            language: AtomicU8::new(0),
            version: AtomicI32::new(0),
            client_id: RwLock::new(None),
            certificate: OnceLock::new(),
            signer: OnceLock::new(),
            kept: RwLock::new(None),
            phase: AtomicU8::new(OPEN),
            standing: AtomicU8::new(NEW),
            is_cut: AtomicBool::new(false),
            mailbox: Mailbox::new(limits.outbox_bytes),
            calls: Calls::new(limits.calls_max),
            waker: AtomicWaker::new(),
            end: Semaphore::new(0),
        })
    }

    /// A connection without a socket, for tests of services and for listeners that speak something else
    /// than remoting: what is pushed stays until
    /// [`take_pushed`](Self::take_pushed), calls are never answered.
    #[must_use]
    pub fn detached(peer: SocketAddr, local: SocketAddr) -> Arc<Self> {
        Self::new(peer, local, &Limits::default())
    }

    /// Takes the frames that were pushed and not yet picked up by the connection's task.
    #[must_use]
    pub fn take_pushed(&self) -> Bytes {
        let mut pushed = BytesMut::new();
        self.mailbox.take(&mut pushed);
        pushed.freeze()
    }

    /// A number that tells this connection from all others of the process.
    #[must_use]
    pub fn id(&self) -> u64 {
        self.id
    }

    /// The other side's address; through a balancer of which it is believed, the client's.
    #[must_use]
    pub fn peer(&self) -> SocketAddr {
        self.client.get().copied().unwrap_or(self.peer)
    }

    /// This side's address.
    #[must_use]
    pub fn local(&self) -> SocketAddr {
        self.local
    }

    /// Whether it is encrypted.
    #[must_use]
    pub fn is_secure(&self) -> bool {
        self.certificate.get().is_some()
    }

    /// The user that the client's certificate stands for, if it showed one.
    #[must_use]
    pub fn certificate(&self) -> Option<Arc<str>> {
        self.certificate.get().cloned().flatten()
    }

    /// Takes note, before anything is read, that the connection is encrypted, and who the client
    /// is if its certificate was verified.
    pub fn secured(&self, certificate: Option<Arc<str>>) {
        self.certificate.get_or_init(|| certificate);
    }

    /// Takes note that a request was let in: whoever this is, it may be here. For services that
    /// [vouch](crate::Service::vouches).
    pub fn vouch(&self) {
        if self.standing.load(Ordering::Relaxed) != VOUCHED {
            self.standing.store(VOUCHED, Ordering::Relaxed);
        }
    }

    /// What the client calls itself in its heartbeats; `None` until it has said so.
    #[must_use]
    pub fn client_id(&self) -> Option<Arc<str>> {
        self.client_id.read().clone()
    }

    /// Keeps what the client calls itself.
    pub fn name_client(&self, client_id: &str) {
        let is_new = self.client_id.read().as_deref() != Some(client_id);
        if is_new {
            *self.client_id.write() = Some(client_id.into());
        }
    }

    /// What the service keeps with this connection; `None` until there is something.
    #[must_use]
    pub fn kept(&self) -> Option<Kept> {
        self.kept.read().clone()
    }

    /// Keeps this, instead of what was kept before.
    pub fn keep(&self, kept: Kept) {
        *self.kept.write() = Some(kept);
    }

    /// The language code of the last frame received.
    #[must_use]
    pub fn language(&self) -> u8 {
        self.language.load(Ordering::Relaxed)
    }

    /// The version of the last frame received (ordinal of RocketMQ's `MQVersion`).
    #[must_use]
    pub fn version(&self) -> i32 {
        self.version.load(Ordering::Relaxed)
    }

    /// From now on every request that is sent here is signed; the first signer stays.
    pub fn sign_with(&self, signer: Arc<Signer>) {
        self.signer.get_or_init(|| signer);
    }

    fn write_fields(
        &self,
        out: &mut ExtWriter<'_>,
        ext: impl FnOnce(&mut ExtWriter<'_>),
        body: &[u8],
    ) {
        match self.signer.get() {
            Some(signer) => signer.write(out, ext, body),
            None => ext(out),
        }
    }

    /// Sends complete frames, after whatever is on its way. `false` if they were not taken
    /// because the connection has ended or does not keep up.
    pub fn push(&self, frames: &[u8]) -> bool {
        let taken = !self.is_closed() && self.mailbox.put(|out| out.extend_from_slice(frames));
        if taken {
            self.waker.wake();
        }
        taken
    }

    /// Sends a request that is not answered. `false` as for [`push`](Self::push).
    pub fn push_request(
        &self,
        code: i32,
        ext: impl FnOnce(&mut ExtWriter<'_>),
        body: &[u8],
    ) -> bool {
        let opaque = self.calls.opaque();
        let write = |out: &mut BytesMut| {
            let ext = |out: &mut ExtWriter<'_>| self.write_fields(out, ext, body);
            encode::request(out, &encode::RequestHead::one_way(code, opaque), ext, body);
        };
        let taken = !self.is_closed() && self.mailbox.put(write);
        if taken {
            self.waker.wake();
        }
        taken
    }

    /// Sends a request and waits for its answer, whatever its code.
    ///
    /// # Errors
    /// The connection ended, does not keep up, or `timeout` passed.
    pub async fn call(
        &self,
        code: i32,
        ext: impl FnOnce(&mut ExtWriter<'_>),
        body: &[u8],
        timeout: Duration,
    ) -> Result<RemotingCommand, Error> {
        let Some(call) = self.calls.begin() else { return Err(Error::Full(self.peer())) };
        if self.is_closed() {
            return Err(Error::Closed(self.peer()));
        }
        let opaque = call.opaque();
        let write = |out: &mut BytesMut| {
            let ext = |out: &mut ExtWriter<'_>| self.write_fields(out, ext, body);
            encode::request(out, &encode::RequestHead::new(code, opaque), ext, body);
        };
        if !self.mailbox.put(write) {
            return Err(Error::Full(self.peer()));
        }
        self.waker.wake();
        match tokio::time::timeout(timeout, call.answer()).await {
            Ok(Some(answer)) => Ok(answer),
            Ok(None) => Err(Error::Closed(self.peer())),
            Err(_) => Err(Error::Timeout { peer: self.peer(), code, after: timeout }),
        }
    }

    /// Ends the connection: nothing more is read, answers still owed are written (within the
    /// drain time), then it is closed.
    pub fn close(&self) {
        let moved =
            self.phase.compare_exchange(OPEN, DRAINING, Ordering::AcqRel, Ordering::Acquire);
        if moved.is_ok() {
            self.waker.wake();
        }
    }

    /// Ends the connection at once: answers still owed are not written. For clients that must not have them
    /// any more.
    pub fn cut(&self) {
        self.is_cut.store(true, Ordering::Release);
        self.close();
        // It may have been closed before, and be writing what it owes.
        self.waker.wake();
    }

    pub(crate) fn is_cut(&self) -> bool {
        self.is_cut.load(Ordering::Acquire)
    }

    /// Whether the connection has ended or is about to.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.phase.load(Ordering::Acquire) != OPEN
    }

    /// Waits until the connection has ended.
    pub async fn ended(&self) {
        let _always_closed = self.end.acquire().await;
    }

    // -- for the connection's own task --

    /// Takes note, before anything is read, for whom a balancer made the connection.
    pub(crate) fn stands_for(&self, client: SocketAddr) {
        self.client.get_or_init(|| client);
    }

    /// Takes note that a complete request came.
    pub(crate) fn spoke(&self) {
        let _or_more =
            self.standing.compare_exchange(NEW, SPOKE, Ordering::Relaxed, Ordering::Relaxed);
    }

    pub(crate) fn has_spoken(&self) -> bool {
        self.standing.load(Ordering::Relaxed) != NEW
    }

    pub(crate) fn is_vouched_for(&self) -> bool {
        self.standing.load(Ordering::Relaxed) == VOUCHED
    }

    pub(crate) fn register(&self, waker: &Waker) {
        self.waker.register(waker);
    }

    /// Waits until the connection is closed by this side. For its own task, while that does nothing else.
    pub async fn closing(&self) {
        std::future::poll_fn(|cx| {
            self.register(cx.waker());
            if self.is_closed() { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }

    pub(crate) fn mailbox(&self) -> &Mailbox {
        &self.mailbox
    }

    /// Takes note of who speaks, from a received frame.
    pub(crate) fn heard(&self, command: &RemotingCommand) {
        self.language.store(command.language.0, Ordering::Relaxed);
        self.version.store(command.version, Ordering::Relaxed);
    }

    /// Gives a response to the call that waits for it, if one does.
    pub(crate) fn answered(&self, response: RemotingCommand) {
        self.calls.complete(response);
    }

    /// The task is gone: calls fail, [`ended`](Self::ended) returns.
    pub(crate) fn mark_ended(&self) {
        self.phase.store(ENDED, Ordering::Release);
        self.calls.fail_all();
        self.end.close();
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("id", &self.id)
            .field("peer", &self.peer())
            .finish_non_exhaustive()
    }
}
