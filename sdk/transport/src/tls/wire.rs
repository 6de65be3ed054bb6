//! The socket under a TLS session: fewer, larger reads, and a bound on what a handshake may send.

use std::future::Future;
use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};

/// What the session asks for at a time. For as long as no more comes, it gets that without a buffer between.
const READ_MIN: usize = 4 * 1024;
/// Size of a read before a session is there.
const GATHER_MIN: usize = 256;
/// Largest read: a few of TLS's largest records. What the session asks for would be a system call each.
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

impl<S: AsyncRead + Unpin> Wire<S> {
    /// Reads into the session's own buffer; one that was filled is followed by more.
    fn poll_straight(
        &mut self,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        // What larger reads, or the handshake, left of it is not kept for who says little.
        self.buffer = BytesMut::new();
        let before = buf.remaining();
        ready!(Pin::new(&mut self.io).poll_read(cx, buf))?;
        if buf.remaining() == 0 && before > 0 {
            self.read_len = READ_MIN * 4;
        }
        Poll::Ready(Ok(()))
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
        if self.buffer.is_empty() && self.allowance.is_none() && self.read_len <= READ_MIN {
            return self.poll_straight(cx, buf);
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
        // One record, most of the time: that is the cheaper system call.
        match bufs {
            [one] => Pin::new(&mut self.io).poll_write(cx, one),
            _ => Pin::new(&mut self.io).poll_write_vectored(cx, bufs),
        }
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

#[cfg(test)]
mod tests {
    use std::io::IoSlice;

    use futures_util::FutureExt as _;
    use tokio::io::{AsyncWriteExt as _, duplex};

    use super::*;

    #[tokio::test]
    async fn little_goes_straight_into_the_session_and_much_by_large_reads() {
        let (mut there, here) = duplex(1 << 20);
        let mut wire = Wire::new(here, None);
        let mut asked = [0; READ_MIN];
        there.write_all(&[1; 1_000]).await.unwrap();
        assert_eq!(wire.read(&mut asked).await.unwrap(), 1_000);
        assert_eq!(wire.buffer.capacity(), 0);
        there.write_all(&[2; 2 * READ_MIN]).await.unwrap();
        assert_eq!(wire.read(&mut asked).await.unwrap(), READ_MIN);
        assert_eq!((wire.buffer.len(), wire.read_len), (0, 4 * READ_MIN), "there may be more");
        there.write_all(&[2; 2 * READ_MIN]).await.unwrap();
        assert_eq!(wire.read(&mut asked).await.unwrap(), READ_MIN);
        assert_eq!(wire.buffer.len(), 2 * READ_MIN, "all that was there, by one read");
        for _ in 0..2 {
            assert_eq!(wire.read(&mut asked).await.unwrap(), READ_MIN);
        }
        there.write_all(&[3; 10]).await.unwrap();
        assert_eq!(wire.read(&mut asked).await.unwrap(), 10);
        assert_eq!(wire.read_len, READ_MIN, "little again");
        assert!(wire.buffer.capacity() > 0);
        assert!(wire.read(&mut asked).now_or_never().is_none(), "nothing is there");
        assert_eq!(wire.buffer.capacity(), 0, "and nothing is held for it");
        drop(there);
        assert_eq!(wire.read(&mut asked).await.unwrap(), 0);
    }

    #[tokio::test]
    async fn what_a_handshake_may_send_is_bounded_however_it_is_read() {
        let (mut there, here) = duplex(1 << 20);
        let mut wire = Wire::new(here, Some(10));
        there.write_all(&[1; 20]).await.unwrap();
        let mut asked = [0; READ_MIN];
        assert_eq!(wire.read(&mut asked).await.unwrap(), 10);
        assert_eq!(wire.read(&mut asked).await.unwrap_err().kind(), io::ErrorKind::InvalidData);
        wire.allow(None);
        assert_eq!(wire.read(&mut asked).await.unwrap(), 10, "what is left comes first");
        assert!(wire.read(&mut asked).now_or_never().is_none());
        assert_eq!(wire.buffer.capacity(), 0, "nothing is held of the handshake");
    }

    /// Counts writes of one piece, and of several.
    #[derive(Default)]
    struct Calls([usize; 2]);

    impl AsyncWrite for Calls {
        fn poll_write(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
            buf: &[u8],
        ) -> Poll<io::Result<usize>> {
            self.0[0] += 1;
            Poll::Ready(Ok(buf.len()))
        }

        fn poll_write_vectored(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
            bufs: &[IoSlice<'_>],
        ) -> Poll<io::Result<usize>> {
            self.0[1] += 1;
            Poll::Ready(Ok(bufs.iter().map(|buf| buf.len()).sum()))
        }

        fn is_write_vectored(&self) -> bool {
            true
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    #[tokio::test]
    async fn one_piece_is_written_as_one() {
        let mut wire = Wire::new(Calls::default(), None);
        let [one, other] = [IoSlice::new(b"ab"), IoSlice::new(b"c")];
        assert_eq!(wire.write_vectored(&[one]).await.unwrap(), 2);
        assert_eq!(wire.write_vectored(&[one, other]).await.unwrap(), 3);
        assert_eq!(wire.io.0, [1, 1]);
    }
}
