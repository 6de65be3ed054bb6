//! One connection per request, with an end to everything. No redirect is followed, no proxy is
//! asked, and no cookie is kept.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::time::Duration;

use blockhouse_disk::{Disk, whole};
use http_body_util::BodyExt as _;
use hyper::Response;
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, lookup_host};
use tokio::runtime::Runtime;
use tokio_rustls::TlsConnector;

use super::address::Host;
use super::{Address, Answer, BYTES_MAX, Failure, Outgoing};
use crate::Error;

/// Bytes of the head of an answer.
const HEAD_MAX: usize = 64 << 10;
/// Headers of an answer.
const HEADERS_MAX: usize = 128;
/// Internet addresses of a name that are tried.
const ADDRESSES_MAX: usize = 4;
/// Names that are looked up at once: each takes a thread for as long as the system likes.
const LOOKUPS_MAX: usize = 8;
/// Bytes of what a plugin is told of a failure.
const WORDS_MAX: usize = 256;

/// Sends requests from a thread of its own.
pub(crate) struct Client {
    /// There until it is closed.
    runtime: Mutex<Option<Runtime>>,
    tls: TlsConnector,
}

impl Client {
    /// Starts it. Servers are believed that the system trusts, or the authorities in the file `ca`.
    pub(crate) fn start(disk: &dyn Disk, ca: Option<&std::path::Path>) -> Result<Self, Error> {
        let failed = |e: &dyn std::fmt::Display| Error::Http(e.to_string());
        let mut roots = RootCertStore::empty();
        let system = rustls_native_certs::load_native_certs();
        let (of_system, _unusable) = roots.add_parsable_certificates(system.certs);
        if let Some(path) = ca {
            let told = |e: &dyn std::fmt::Display| failed(&format!("{}: {e}", path.display()));
            let file = whole::read(disk, path).map_err(|e| told(&e))?;
            let file = file.ok_or_else(|| told(&"it is not there"))?;
            for certificate in CertificateDer::pem_slice_iter(&file) {
                let certificate = certificate.map_err(|e| told(&e))?;
                roots.add(certificate).map_err(|e| told(&e))?;
            }
            if roots.len() == of_system {
                return Err(told(&"there is no certificate in it"));
            }
        }
        if roots.is_empty() {
            tracing::warn!(
                "the system trusts no certificate authority: https requests of plugins fail"
            );
        }
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|e| failed(&e))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .max_blocking_threads(LOOKUPS_MAX)
            .thread_name("plugin-http")
            .enable_all()
            .build()
            .map_err(|e| failed(&e))?;
        Ok(Self { runtime: Mutex::new(Some(runtime)), tls: TlsConnector::from(Arc::new(config)) })
    }

    /// Sends a request and waits for the whole answer, `timeout` at most.
    pub(crate) fn send(&self, outgoing: Outgoing, timeout: Duration) -> Result<Answer, Failure> {
        let given_up = || Failure::Network("the node stops".to_owned());
        let (done, answer) = sync_channel(1);
        let tls = self.tls.clone();
        let work = async move {
            // Where nobody waits any more, nobody is told.
            let _gone = done.send(exchange(&tls, outgoing, timeout).await);
        };
        let task = self.runtime.lock().as_ref().map(|runtime| runtime.spawn(work));
        let task = task.ok_or_else(given_up)?;
        match answer.recv_timeout(timeout) {
            Ok(answer) => answer,
            Err(RecvTimeoutError::Timeout) => {
                task.abort();
                Err(Failure::TimedOut)
            }
            Err(RecvTimeoutError::Disconnected) => Err(given_up()),
        }
    }

    /// Gives up what is under way. A name that is being looked up is not waited for.
    pub(crate) fn close(&self) {
        if let Some(runtime) = self.runtime.lock().take() {
            runtime.shutdown_background();
        }
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.close();
    }
}

fn network(error: &dyn std::error::Error) -> Failure {
    let mut words = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        words += ": ";
        words += &error.to_string();
        source = error.source();
    }
    words.truncate(words.floor_char_boundary(WORDS_MAX));
    Failure::Network(words)
}

fn of_hyper(error: &hyper::Error) -> Failure {
    if error.is_parse_too_large() { Failure::OverLimit } else { network(error) }
}

async fn exchange(
    tls: &TlsConnector,
    outgoing: Outgoing,
    timeout: Duration,
) -> Result<Answer, Failure> {
    let address = outgoing.address.clone();
    let request = outgoing.request()?;
    let tcp = connect(&address, timeout).await?;
    if !address.tls {
        return converse(tcp, request).await;
    }
    let name = match address.host {
        Host::Name(name) => ServerName::try_from(name).map_err(|e| network(&e))?,
        Host::Ip(ip) => ServerName::from(ip),
    };
    converse(tls.connect(name, tcp).await.map_err(|e| network(&e))?, request).await
}

/// Connects to the first of the host's addresses that answers in its share of the time.
async fn connect(address: &Address, timeout: Duration) -> Result<TcpStream, Failure> {
    let found: Vec<SocketAddr> = match &address.host {
        Host::Ip(ip) => vec![(*ip, address.port).into()],
        Host::Name(name) => {
            let found = lookup_host((name.as_str(), address.port)).await;
            found.map_err(|e| network(&e))?.take(ADDRESSES_MAX).collect()
        }
    };
    let share = timeout / u32::try_from(found.len().max(1)).unwrap_or(1);
    let mut failure = Failure::Network("the name has no address".to_owned());
    for place in found {
        match tokio::time::timeout(share, TcpStream::connect(place)).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(e)) => failure = network(&e),
            Err(_) => failure = Failure::TimedOut,
        }
    }
    Err(failure)
}

async fn converse<B>(
    stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    request: hyper::Request<B>,
) -> Result<Answer, Failure>
where
    B: hyper::body::Body<Data: Send, Error: Into<Box<dyn std::error::Error + Send + Sync>>>
        + Send
        + 'static,
{
    let mut builder = http1::Builder::new();
    builder.max_buf_size(HEAD_MAX).max_headers(HEADERS_MAX);
    let opened = builder.handshake(TokioIo::new(stream)).await;
    let (mut sender, connection) = opened.map_err(|e| network(&e))?;
    // The answer may still be in the channel when the connection has ended.
    let drive = async {
        let _told_by_the_answer = connection.await;
        std::future::pending::<Infallible>().await
    };
    let answer =
        async { read(sender.send_request(request).await.map_err(|e| of_hyper(&e))?).await };
    tokio::select! {
        answer = answer => answer,
        never = drive => match never {},
    }
}

async fn read(response: Response<Incoming>) -> Result<Answer, Failure> {
    let (head, mut incoming) = response.into_parts();
    let own = |(name, value): (&hyper::header::HeaderName, &hyper::header::HeaderValue)| {
        (name.as_str().to_owned(), value.as_bytes().to_vec())
    };
    let headers: Vec<_> = head.headers.iter().map(own).collect();
    let of_headers: usize = headers.iter().map(|(name, value)| name.len() + value.len()).sum();
    let mut body = Vec::new();
    while let Some(frame) = incoming.frame().await {
        let Ok(data) = frame.map_err(|e| network(&e))?.into_data() else { continue };
        if of_headers + body.len() + data.len() > BYTES_MAX {
            return Err(Failure::OverLimit);
        }
        body.extend_from_slice(&data);
    }
    Ok(Answer { status: head.status.as_u16(), headers, body })
}
