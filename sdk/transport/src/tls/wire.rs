//! The socket under a TLS session: fewer, larger reads, and a bound on what a handshake may send.

use std::future::Future;
use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};

/// Smallest read.
const READ_MIN: usize = 4 * 1024;
/// Size of a read before a session is there.
const GATHER_MIN: usize = 256;
/// Largest read: a few of TLS's largest records. The session itself asks for 4 KiB at a time, which
/// would be a system call each.
const READ_MAX: usize = 64 * 1024;

/// A stream of bytes on their way into a TLS session.
#[derive(Debug)]
pub struct Wire<S> {
    io: S,
    buffer: BytesMut,
    read_len: usize,
    /// Bytes that the session may still get; `None` after the handshake.
    allowance: Option<usize>,
}

impl<S> Wire<S> {
    pub(crate) fn new(io: S, allowance: Option<usize>) -> Self {
        Self { io, buffer: BytesMut::new(), read_len: READ_MIN, allowance }
    }

    pub(crate) fn allow(&mut self, allowance: Option<usize>) {
        self.allowance = allowance;
    }
}

impl<S: AsyncRead + Unpin> Wire<S> {
    /// Reads on for as long as `is_incomplete`, and up to `max` bytes. Memory grows with what comes.
    pub(crate) async fn gather(
        &mut self,
        max: usize,
        is_incomplete: impl Fn(&[u8]) -> bool,
    ) -> io::Result<()> {
        while self.buffer.len() < max && is_incomplete(&self.buffer) {
            self.buffer.reserve(GATHER_MIN);
            if self.io.read_buf(&mut self.buffer).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        Ok(())
    }

    /// Fills the empty buffer; it is given back while there is nothing to read.
    fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.buffer.reserve(self.read_len);
        match pin!(self.io.read_buf(&mut self.buffer)).poll(cx) {
            Poll::Pending => {
                self.buffer = BytesMut::new();
                Poll::Pending
            }
            Poll::Ready(Ok(n)) => {
                self.read_len = if n < self.read_len {
                    n.next_power_of_two().clamp(READ_MIN, READ_MAX)
                } else {
                    (self.read_len * 4).min(READ_MAX)
                };
                Poll::Ready(Ok(()))
            }
            Poll::Ready(Err(e)) => Poll::Ready(Err(e)),
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Wire<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.allowance == Some(0) {
            let text = "the other side sends more than a handshake takes";
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, text)));
        }
        if self.buffer.is_empty() {
            ready!(self.poll_fill(cx))?;
        }
        let most = self.allowance.unwrap_or(usize::MAX);
        let n = self.buffer.len().min(buf.remaining()).min(most);
        if let Some(taken) = self.buffer.get(..n) {
            buf.put_slice(taken);
        }
        self.buffer.advance(n);
        self.allowance = self.allowance.map(|left| left - n);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Wire<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}
