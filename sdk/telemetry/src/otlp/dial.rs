//! Connections to a collector.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use hyper::Uri;
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tonic::codegen::Service;

use super::{Endpoint, Tls};

/// Plain or not.
pub(super) trait Io: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Io for T {}

/// A connection.
pub(super) type Stream = TokioIo<Box<dyn Io>>;

/// What makes connections to one endpoint.
pub(super) struct Dialer {
    /// `HOST:PORT`.
    pub(super) authority: String,
    name: ServerName<'static>,
    /// With the protocol that is agreed upon.
    tls: Option<(Tls, &'static [u8])>,
    /// In place of the network.
    #[cfg(test)]
    in_memory: Option<InMemory>,
}

/// Makes connections that need no kernel: its time cannot be paused.
#[cfg(test)]
pub(super) type InMemory = Arc<dyn Fn() -> io::Result<Box<dyn Io>> + Send + Sync>;

impl Dialer {
    /// `None` if there cannot be a certificate of that name.
    pub(super) fn new(
        endpoint: &Endpoint,
        name: String,
        tls: Option<(Tls, &'static [u8])>,
    ) -> Option<Self> {
        let name = ServerName::try_from(name).ok()?;
        Some(Self {
            authority: endpoint.authority(),
            name,
            tls,
            #[cfg(test)]
            in_memory: None,
        })
    }

    #[cfg(test)]
    pub(super) fn in_memory(self, in_memory: Option<InMemory>) -> Self {
        Self { in_memory, ..self }
    }

    pub(super) async fn dial(&self) -> io::Result<Stream> {
        #[cfg(test)]
        if let Some(connect) = &self.in_memory {
            return Ok(TokioIo::new(connect()?));
        }
        let stream = TcpStream::connect(&self.authority).await?;
        stream.set_nodelay(true)?;
        let Some((tls, alpn)) = &self.tls else { return Ok(TokioIo::new(Box::new(stream))) };
        let mut config = (*tls()).clone();
        config.alpn_protocols = vec![alpn.to_vec()];
        let secure = TlsConnector::from(Arc::new(config)).connect(self.name.clone(), stream);
        Ok(TokioIo::new(Box::new(secure.await?)))
    }
}

/// A dialer as gRPC's channels want it.
pub(super) struct Connect(pub(super) Arc<Dialer>);

impl Service<Uri> for Connect {
    type Response = Stream;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Stream>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        let dialer = Arc::clone(&self.0);
        Box::pin(async move { dialer.dial().await })
    }
}
