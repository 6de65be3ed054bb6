//! The beginning of an accepted connection: what it speaks, and the handshake.

use std::future::{Future, poll_fn};
use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::ReadBuf;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_rustls::LazyConfigAcceptor;
use tokio_rustls::server::TlsStream;
use tracing::debug;

use super::acceptor::Known;
use super::verifier::is_nameless;
use super::wire::Wire;
use super::{Acceptor, Mode, hello};
use crate::Connection;

/// The first byte of a TLS record that holds a handshake. No frame begins with it: that would be a
/// length of 369 MB.
const HELLO: u8 = 0x16;
/// The first length of a frame that begins like a hello: limits have to stay below it.
pub const HELLO_AS_LENGTH: usize = (HELLO as usize) << 24;
/// Longest hello, in bytes of records.
const HELLO_MAX: usize = 16 * 1024;
/// What may follow until the handshake is done: the client's chain above all.
const HANDSHAKE_MAX: usize = 64 * 1024;

/// Places in [`blockhouse_meter::HANDSHAKES`].
const DONE: usize = 0;
const FAILED: usize = 1;
const TIMEOUT: usize = 2;
const REFUSED: usize = 3;
const PLAINTEXT: usize = 4;

/// An accepted connection under TLS.
pub type Secured = TlsStream<Wire<TcpStream>>;

/// What a connection turned out to be.
pub enum Accepted {
    /// Plaintext, and welcome.
    Plain(TcpStream),
    /// Plaintext, where only TLS is.
    Refused(TcpStream),
    /// TLS; a client that showed a certificate is known until the end.
    Tls(Box<Secured>, Option<Known>),
    /// No handshake, and why.
    Failed(Box<str>),
    /// Nothing to serve.
    Ended,
}

impl Acceptor {
    /// Finds out what the client speaks, and shakes hands. `silence` is how long it may say
    /// nothing where plaintext is served.
    pub(crate) fn accept(
        self: &Arc<Self>,
        stream: TcpStream,
        connection: &Arc<Connection>,
        silence: Duration,
    ) -> impl Future<Output = Accepted> + Send {
        let enforcing = self.config.mode == Mode::Enforcing;
        self.accept_as(enforcing, stream, connection, silence)
    }

    /// As a listener that takes TLS only, whatever the mode: for one that speaks something else than
    /// remoting. What a client in plaintext is told is for the caller to say.
    pub fn accept_secure(
        self: &Arc<Self>,
        stream: TcpStream,
        connection: &Arc<Connection>,
    ) -> impl Future<Output = Accepted> + Send {
        self.accept_as(true, stream, connection, self.config.handshake())
    }

    /// Blocks that capture, here and below, and no functions that are `async` themselves: each of those
    /// would keep its arguments twice, and thousands of connections may be at this place.
    fn accept_as(
        self: &Arc<Self>,
        enforcing: bool,
        stream: TcpStream,
        connection: &Arc<Connection>,
        silence: Duration,
    ) -> impl Future<Output = Accepted> + Send {
        let patience = if enforcing { self.config.handshake() } else { silence };
        async move {
            tokio::select! {
                accepted = self.begin(enforcing, stream, connection, patience) => accepted,
                () = connection.closing() => Accepted::Ended,
            }
        }
    }

    async fn begin(
        self: &Arc<Self>,
        enforcing: bool,
        stream: TcpStream,
        connection: &Arc<Connection>,
        patience: Duration,
    ) -> Accepted {
        let mut first = [0];
        let peek = poll_fn(|cx| stream.poll_peek(cx, &mut ReadBuf::new(&mut first)));
        match timeout(patience, peek).await {
            Ok(Ok(1)) => {}
            Ok(_) => return Accepted::Ended,
            Err(_) => {
                if enforcing {
                    self.counts.channels.handshakes[TIMEOUT].add(1);
                }
                return Accepted::Ended;
            }
        }
        if first == [HELLO] {
            let deadline = Instant::now() + self.config.handshake();
            // Boxed: most that begin nothing never come to this.
            return Box::pin(self.shake_hands(stream, connection, deadline)).await;
        }
        if enforcing {
            self.counts.channels.handshakes[PLAINTEXT].add(1);
            debug!(peer = %connection.peer(), "plaintext where only TLS is served");
            return Accepted::Refused(stream);
        }
        Accepted::Plain(stream)
    }

    async fn shake_hands(
        self: &Arc<Self>,
        stream: TcpStream,
        connection: &Arc<Connection>,
        deadline: Instant,
    ) -> Accepted {
        let done = timeout_at(deadline, self.handshake(stream, connection)).await;
        let outcome = match &done {
            Ok(Ok(_)) => DONE,
            Ok(Err(error)) if is_nameless(error) => REFUSED,
            Ok(Err(_)) => FAILED,
            Err(_) => TIMEOUT,
        };
        self.counts.channels.handshakes[outcome].add(1);
        match done {
            Ok(Ok((stream, known))) => Accepted::Tls(stream, known),
            Ok(Err(error)) => {
                debug!(peer = %connection.peer(), %error, "no TLS handshake");
                let nameless = "the client's certificate has nothing that names a user";
                let why = if is_nameless(&error) { nameless } else { &*error.to_string() };
                Accepted::Failed(why.into())
            }
            Err(_) => {
                debug!(peer = %connection.peer(), "no TLS handshake in time (tls.handshake_ms)");
                Accepted::Failed("not in time (tls.handshake_ms)".into())
            }
        }
    }

    fn handshake(
        self: &Arc<Self>,
        stream: TcpStream,
        connection: &Arc<Connection>,
    ) -> impl Future<Output = io::Result<(Box<Secured>, Option<Known>)>> + Send {
        let mut wire = Wire::new(stream, Some(HELLO_MAX));
        async move {
            wire.gather(HELLO_MAX, hello::is_incomplete).await?;
            // Boxed, so that who does not come to this does not have the size of it.
            Box::pin(self.session(wire, connection)).await
        }
    }

    async fn session(
        self: &Arc<Self>,
        wire: Wire<TcpStream>,
        connection: &Arc<Connection>,
    ) -> io::Result<(Box<Secured>, Option<Known>)> {
        let mut hello = LazyConfigAcceptor::new(rustls::server::Acceptor::default(), wire).await?;
        // Only what costs more than a buffer is limited in number: half a hello is not.
        let _turn = self.turns.take(connection.peer().ip()).await;
        hello.io.allow(Some(HANDSHAKE_MAX));
        let current = self.current();
        let mut stream = Box::new(hello.into_stream(Arc::clone(&current.server)).await?);
        stream.get_mut().0.allow(None);
        let chain = stream.get_ref().1.peer_certificates();
        let name = match (chain.and_then(<[_]>::first), &current.verifier) {
            (Some(certificate), Some(verifier)) => verifier.rules.name(certificate),
            _ => None,
        };
        connection.secured(name);
        let known = chain.map(|chain| self.know(connection, chain, &current));
        Ok((stream, known))
    }
}
