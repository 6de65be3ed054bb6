//! What the layers above give to a connection.

use std::sync::Arc;

use blockhouse_meter::Connections;
use blockhouse_protocol::RemotingCommand;

use crate::tls::Acceptor;
use crate::{Budget, Connection, Limits, Replies};

/// Answers requests.
pub trait Service: Send + Sync + 'static {
    /// Called with the complete requests of one read, in their order; responses of the other side
    /// have been taken out. Whoever answers them one by one stops once `replies` are
    /// [full](Replies::is_full): what is left in `burst` then is handed on again when the other side
    /// has taken some of them. What is left otherwise is dropped. The vector is used again.
    ///
    /// Replies go into `replies`: frames, slices of bodies, and futures for what is not finished
    /// yet. A one-way request gets no reply: see [`Replies::silence`].
    ///
    /// This runs on the connection's task: it must not block.
    fn burst(
        &self,
        connection: &Arc<Connection>,
        burst: &mut Vec<RemotingCommand>,
        replies: &mut Replies,
    );

    /// Whether this service says by [`Connection::vouch`] which connections have proved that they
    /// may be here. If not, a complete request is proof enough.
    fn vouches(&self) -> bool {
        false
    }
}

/// What of a connection was refused below requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// The handshake of TLS: a certificate, or anything else about it.
    Handshake,
    /// Plaintext, where only TLS is served.
    Plaintext,
    /// The header that a balancer has to send first.
    ProxyHeader,
    /// Bytes that are no frame.
    Frame,
    /// One connection more than there may be, in all or of its address.
    Full,
    /// A connection that nobody vouches for was closed: it was slow, or others needed its place.
    Unproven,
    /// The other side does not take its bytes.
    Stalled,
}

impl Refused {
    /// As in the audit log.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Handshake => "tls-handshake",
            Self::Plaintext => "plaintext",
            Self::ProxyHeader => "proxy-header",
            Self::Frame => "frame",
            Self::Full => "too-many",
            Self::Unproven => "unproven",
            Self::Stalled => "stalled",
        }
    }
}

/// Learns of connections as such.
pub trait Sessions: Send + Sync + 'static {
    /// A connection was made; nothing is read from it before this returns. `false` closes it (and
    /// [`closed`](Self::closed) is not called).
    fn opened(&self, connection: &Arc<Connection>) -> bool;

    /// An admitted connection ended, for whatever reason.
    fn closed(&self, connection: &Arc<Connection>);

    /// What is below requests puts an end to a connection, whether it was [`opened`](Self::opened) or not. Locks of the
    /// listener may be held: this must neither wait nor close connections.
    fn refused(&self, _: &Connection, _: Refused, _why: &dyn std::fmt::Display) {}
}

/// Admits everyone and remembers nobody.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoSessions;

impl Sessions for NoSessions {
    fn opened(&self, _: &Arc<Connection>) -> bool {
        true
    }

    fn closed(&self, _: &Arc<Connection>) {}
}

/// Answers nothing: for outgoing connections whose server sends no requests that matter.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoService;

impl Service for NoService {
    fn burst(&self, _: &Arc<Connection>, _: &mut Vec<RemotingCommand>, _: &mut Replies) {}
}

/// What all connections of a listener or dialer share.
#[derive(Clone)]
pub struct Endpoint {
    /// Answers the requests of the other side.
    pub service: Arc<dyn Service>,
    /// Learns of connections.
    pub sessions: Arc<dyn Sessions>,
    /// The bounds.
    pub limits: Limits,
    /// Bytes in flight; give several endpoints of one process the same budget.
    pub budget: Arc<Budget>,
    /// What happens to connections is counted here.
    pub counts: Arc<Connections>,
    /// How a listener's connections are secured; `None`: in plaintext only.
    pub tls: Option<Arc<Acceptor>>,
}

impl Endpoint {
    /// An endpoint with a budget of its own.
    #[must_use]
    pub fn new(service: Arc<dyn Service>, sessions: Arc<dyn Sessions>, limits: Limits) -> Self {
        let budget = Arc::new(Budget::new(limits.in_flight_bytes));
        Self { service, sessions, limits, budget, counts: Arc::default(), tls: None }
    }
}
