//! A service that does what a request's code says, a pipe to it, and a stream that counts writes.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use blockhouse_protocol::encode::{self, RequestHead, ResponseHead};
use blockhouse_protocol::{RemotingCommand, frame};
use bytes::{Bytes, BytesMut};
use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream, ReadBuf};
use tokio::sync::Semaphore;

use crate::{Connection, Dialer, Endpoint, Limits, Refused, Replies, Service, Sessions};

/// Answer with the request's body.
pub(super) const ECHO: i32 = 1;
/// Answer when the gate is opened.
pub(super) const DEFER: i32 = 2;
/// Panic.
pub(super) const PANIC: i32 = 3;
/// Answer with a body of the length that the request's body says.
pub(super) const FILL: i32 = 4;
/// Answer with what the connection is known as.
pub(super) const WHO: i32 = 5;
/// Close the connection, as when the server stops.
pub(super) const CLOSE: i32 = 6;

#[derive(Debug)]
pub(super) struct Scripted {
    pub(super) bursts: Mutex<Vec<usize>>,
    pub(super) served: AtomicUsize,
    pub(super) gate: Arc<Semaphore>,
    pub(super) opened: AtomicUsize,
    pub(super) closed: AtomicUsize,
    pub(super) refused: Mutex<Vec<(String, Refused, String)>>,
    pub(super) admit: bool,
}

impl Default for Scripted {
    fn default() -> Self {
        Self {
            bursts: Mutex::default(),
            served: AtomicUsize::new(0),
            gate: Arc::new(Semaphore::new(0)),
            opened: AtomicUsize::new(0),
            closed: AtomicUsize::new(0),
            refused: Mutex::default(),
            admit: true,
        }
    }
}

fn answer(out: &mut Replies, opaque: i32, body: Bytes) {
    encode::response(out.frames(), &ResponseHead::new(opaque, 0, None), |_| {}, body.len());
    out.slice(body);
}

impl Service for Scripted {
    fn burst(
        &self,
        from: &Arc<Connection>,
        burst: &mut Vec<RemotingCommand>,
        replies: &mut Replies,
    ) {
        self.bursts.lock().push(burst.len());
        let mut left = std::mem::take(burst).into_iter();
        while !replies.is_full()
            && let Some(request) = left.next()
        {
            self.served.fetch_add(1, Ordering::SeqCst);
            let mark = replies.mark();
            match request.code {
                DEFER => {
                    let (gate, opaque, body) =
                        (Arc::clone(&self.gate), request.opaque, request.body.clone());
                    replies.defer(async move {
                        gate.acquire().await.unwrap().forget();
                        let mut later = Replies::new();
                        answer(&mut later, opaque, body);
                        later
                    });
                }
                PANIC => panic!("as asked"),
                FILL => {
                    let len: usize = str::from_utf8(&request.body).unwrap().parse().unwrap();
                    answer(replies, request.opaque, vec![b'f'; len].into());
                }
                WHO => {
                    let channel = if from.is_secure() { "secure" } else { "plain" };
                    let name = from.certificate().unwrap_or_else(|| "nobody".into());
                    answer(replies, request.opaque, format!("{channel} {name}").into());
                }
                CLOSE => from.close(),
                _ => answer(replies, request.opaque, request.body.clone()),
            }
            if request.is_one_way() {
                replies.silence(mark);
            }
        }
        burst.extend(left);
    }
}

impl Sessions for Scripted {
    fn opened(&self, _: &Arc<Connection>) -> bool {
        self.opened.fetch_add(1, Ordering::SeqCst);
        self.admit
    }

    fn closed(&self, _: &Arc<Connection>) {
        self.closed.fetch_add(1, Ordering::SeqCst);
    }

    fn refused(&self, from: &Connection, what: Refused, why: &dyn std::fmt::Display) {
        self.refused.lock().push((from.peer().ip().to_string(), what, why.to_string()));
    }
}

/// Ends once no task can go on by itself: the clock of a test that is `start_paused` moves only then.
pub(super) async fn all_wait() {
    tokio::time::sleep(Duration::from_millis(1)).await;
}

pub(super) fn addr() -> SocketAddr {
    "127.0.0.1:1".parse().unwrap()
}

pub(super) fn endpoint(service: &Arc<Scripted>, limits: Limits) -> Endpoint {
    let (service, sessions) = (Arc::clone(service), Arc::clone(service));
    Endpoint::new(service, sessions, limits)
}

pub(super) fn request(code: i32, opaque: i32, body: &[u8]) -> Vec<u8> {
    let mut out = BytesMut::new();
    encode::request(&mut out, &RequestHead::new(code, opaque), |_| {}, body);
    out.to_vec()
}

pub(super) fn one_way(code: i32, opaque: i32, body: &[u8]) -> Vec<u8> {
    let mut out = BytesMut::new();
    encode::request(&mut out, &RequestHead::one_way(code, opaque), |_| {}, body);
    out.to_vec()
}

/// A client at one end of a stream, speaking bytes.
pub(super) struct Peer<S> {
    pub(super) stream: S,
    buffer: BytesMut,
    /// Owns the task of the other end.
    dialer: Option<Dialer>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Peer<S> {
    pub(super) fn new(stream: S) -> Self {
        Self { stream, buffer: BytesMut::new(), dialer: None }
    }

    pub(super) async fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.unwrap();
    }

    /// Closes this end; the task of the other end lives on.
    pub(super) fn hang_up(self) -> Option<Dialer> {
        self.dialer
    }

    /// The next frame; `None` if the connection was closed.
    pub(super) async fn receive(&mut self) -> Option<RemotingCommand> {
        loop {
            if let Some(command) = frame::split(&mut self.buffer, frame::FRAME_LEN_MAX).unwrap() {
                return Some(command);
            }
            if !matches!(self.stream.read_buf(&mut self.buffer).await, Ok(n) if n > 0) {
                return None;
            }
        }
    }

    /// Opaque and body of the next frame.
    pub(super) async fn answer(&mut self) -> (i32, Bytes) {
        let command = self.receive().await.unwrap();
        assert!(command.is_response());
        (command.opaque, command.body)
    }
}

/// Counts the write calls of a stream.
pub(super) struct Counted {
    pub(super) stream: DuplexStream,
    pub(super) writes: Arc<AtomicUsize>,
}

impl AsyncRead for Counted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Counted {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.writes.fetch_add(1, Ordering::SeqCst);
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.writes.fetch_add(1, Ordering::SeqCst);
        let whole: Vec<u8> = bufs.iter().flat_map(|b| b.iter().copied()).collect();
        Pin::new(&mut self.stream).poll_write(cx, &whole)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// A connection served by [`Scripted`], and the other end of its pipe.
pub(super) struct Piped {
    pub(super) service: Arc<Scripted>,
    pub(super) connection: Arc<Connection>,
    pub(super) peer: Peer<DuplexStream>,
    pub(super) writes: Arc<AtomicUsize>,
    pub(super) endpoint: Endpoint,
}

pub(super) fn piped(limits: Limits) -> Piped {
    piped_through(1 << 20, limits)
}

/// The pipe holds `capacity` bytes each way.
pub(super) fn piped_through(capacity: usize, limits: Limits) -> Piped {
    let service = Arc::new(Scripted::default());
    let endpoint = endpoint(&service, limits);
    let dialer = Dialer::new(endpoint.clone());
    let (stream, peer) = tokio::io::duplex(capacity);
    let writes = Arc::new(AtomicUsize::new(0));
    let stream = Counted { stream, writes: Arc::clone(&writes) };
    let connection = dialer.adopt(stream, addr(), addr());
    let peer = Peer { dialer: Some(dialer), ..Peer::new(peer) };
    Piped { service, connection, peer, writes, endpoint }
}
