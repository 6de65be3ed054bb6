//! Who comes in: encryption, and the name and password of a request.

use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};

use blockhouse_hook::{ConnectionInfo, Credentials, HookChain, Point, Rejection, Verdict};
use blockhouse_model::{Clock, Principal, RequestContext};
use blockhouse_transport::Connection;
use blockhouse_transport::tls::Acceptor;
use hyper::http::{HeaderValue, Response, StatusCode, header, request};

use crate::basic::named;
use crate::failures::Failures;
use crate::routes::plain;

/// What hooks are given as signed by whoever knows the password.
const SIGNED: &[u8] = b"blockhouse ops";

/// Makes of a password the signature that a client with this secret would make.
pub type Sign = Box<dyn Fn(&str, &[u8]) -> String + Send + Sync>;

/// Who comes in.
pub struct Door {
    /// How connections are encrypted; `None`: not at all.
    pub tls: Option<Arc<Acceptor>>,
    /// The users' secrets are passwords here; `None` where nobody is asked who he is.
    pub sign: Option<Sign>,
    /// Who may change things where no policies are in force.
    pub is_super: Box<dyn Fn(&Principal) -> bool + Send + Sync>,
    /// The time.
    pub clock: Arc<dyn Clock>,
}

impl Door {
    /// A door that stands open: for listeners that only this host reaches.
    #[must_use]
    pub fn open(clock: Arc<dyn Clock>) -> Self {
        Self { tls: None, sign: None, is_super: Box::new(|_| true), clock }
    }
}

/// A connection, and whether hooks have been told of it.
pub(crate) struct Visitor {
    pub(crate) connection: Arc<Connection>,
    info: ConnectionInfo,
    opened: OnceLock<bool>,
}

impl Visitor {
    pub(crate) fn new(connection: Arc<Connection>) -> Self {
        let info = ConnectionInfo {
            id: connection.id(),
            peer: connection.peer(),
            local: connection.local(),
            secure: connection.is_secure(),
        };
        Self { connection, info, opened: OnceLock::new() }
    }

    pub(crate) const fn info(&self) -> &ConnectionInfo {
        &self.info
    }

    pub(crate) fn peer(&self) -> SocketAddr {
        self.info.peer
    }

    /// Tells hooks that it has ended, if they were told that it began.
    pub(crate) fn leave(&self, hooks: &HookChain) {
        if self.opened.get() == Some(&true) {
            hooks.connection_closed(&self.info);
        }
    }
}

/// What says that the request is not to be answered, and how it is told.
type Refused = Response<String>;

impl Door {
    /// Who sent a request.
    pub(crate) fn who(
        &self,
        visitor: &Visitor,
        (hooks, failures): (&HookChain, &Failures),
        head: &request::Parts,
    ) -> Result<RequestContext, Box<Refused>> {
        let mut cx = RequestContext::new(visitor.info.peer, visitor.info.id, 0);
        cx.secure = visitor.info.secure;
        cx.certificate = visitor.connection.certificate();
        let mut principal = Principal::Anonymous;
        let mut name = String::new();
        if let Some(sign) = &self.sign
            && hooks.has(Point::Authenticate)
        {
            let open = || hooks.connection_opened(&visitor.info) == Verdict::Continue;
            if !visitor.opened.get_or_init(open) {
                return refused(StatusCode::FORBIDDEN, "this connection is not taken");
            }
            let named = named(&head.headers).map_err(|()| {
                hooks.mistaken(&cx, "", "the header Authorization is no Basic");
                unauthorized(Rejection::UNPROVEN)
            })?;
            let ip = visitor.info.peer.ip();
            if let Some(wait) = named.as_ref().and_then(|_| failures.wait(ip)) {
                // Without the name, of which there could be a new one each time.
                hooks.mistaken(&cx, "", "too many wrong passwords from this address");
                return Err(too_many(wait.as_secs() + 1));
            }
            let signature =
                named.as_ref().map(|named| sign(&named.password, SIGNED)).unwrap_or_default();
            name = named.map(|named| named.name).unwrap_or_default();
            let credentials = Credentials {
                access_key: &name,
                signature: &signature,
                signed_fields: SIGNED,
                body: b"",
            };
            principal = hooks.authenticate(&cx, &credentials).map_err(|rejection| {
                if !name.is_empty() {
                    failures.add(ip);
                }
                unauthorized(&rejection.reason)
            })?;
        }
        if !cx.identify(principal, &name) {
            let why = "the name and the client's certificate are of different users";
            hooks.mistaken(&cx, &name, why);
            return refused(StatusCode::FORBIDDEN, why);
        }
        Ok(cx)
    }
}

fn refused<T>(status: StatusCode, why: &str) -> Result<T, Box<Refused>> {
    Err(Box::new(plain(status, format!("{why}\n"))))
}

fn unauthorized(why: &str) -> Box<Refused> {
    let mut answer = plain(StatusCode::UNAUTHORIZED, format!("{why}\n"));
    let ask = HeaderValue::from_static("Basic realm=\"blockhouse\", charset=\"UTF-8\"");
    answer.headers_mut().insert(header::WWW_AUTHENTICATE, ask);
    Box::new(answer)
}

fn too_many(seconds: u64) -> Box<Refused> {
    let text = format!("too many wrong passwords from this address: wait {seconds} s\n");
    let mut answer = plain(StatusCode::TOO_MANY_REQUESTS, text);
    answer.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    Box::new(answer)
}
