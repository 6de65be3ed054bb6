//! One connection of HTTP, which is kept as long as the collector keeps it.

use std::fmt;

use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1::{self, SendRequest};
use hyper::header::{HOST, HeaderValue};
use hyper::{Request, Response, Uri};
use tokio::sync::Mutex;
use tokio::task::JoinSet;

use super::dial::Dialer;

/// Why there is no answer, for the log.
type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Longest answer: it says no more than what was rejected.
const ANSWER_LEN_MAX: usize = 64 << 10;

/// Sends one request after the other.
pub(super) struct Http {
    dialer: Dialer,
    held: Mutex<Option<Connection>>,
}

struct Connection {
    requests: SendRequest<Full<Bytes>>,
    /// What moves its bytes; it ends with the connection.
    _driver: JoinSet<()>,
}

impl fmt::Debug for Http {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Http").field("to", &self.dialer.authority).finish_non_exhaustive()
    }
}

impl Http {
    pub(super) fn new(dialer: Dialer) -> Self {
        Self { dialer, held: Mutex::default() }
    }

    async fn connect(&self) -> Result<Connection, Failure> {
        let (requests, connection) = http1::handshake(self.dialer.dial().await?).await?;
        let mut driver = JoinSet::new();
        driver.spawn(async move {
            // Whoever waits for an answer is told.
            let _ended = connection.await;
        });
        Ok(Connection { requests, _driver: driver })
    }

    /// The answer, whatever its status.
    pub(super) async fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, Failure> {
        // Whoever gives up in the middle takes the connection along.
        let mut held = self.held.lock().await;
        let kept = held.take();
        let mut connection = match kept {
            Some(kept) if !kept.requests.is_closed() => kept,
            _ => self.connect().await?,
        };
        connection.requests.ready().await?;
        let answer = connection.requests.send_request(self.addressed(request)?).await?;
        let (head, body) = answer.into_parts();
        let body = Limited::new(body, ANSWER_LEN_MAX).collect().await?.to_bytes();
        *held = Some(connection);
        Ok(Response::from_parts(head, body))
    }

    /// The request as a server wants it: the path alone, and the host beside it.
    fn addressed(&self, request: Request<Bytes>) -> Result<Request<Full<Bytes>>, Failure> {
        let (mut head, body) = request.into_parts();
        let path = head.uri.path_and_query().cloned();
        head.uri = path.map_or_else(|| Uri::from_static("/"), Uri::from);
        head.headers.insert(HOST, HeaderValue::from_str(&self.dialer.authority)?);
        Ok(Request::from_parts(head, Full::new(body)))
    }
}
