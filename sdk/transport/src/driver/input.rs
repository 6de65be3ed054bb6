//! Bytes on their way into a connection.

use blockhouse_protocol::{FrameError, RemotingCommand, frame};
use bytes::{Buf, BytesMut};

/// Size of a read while nobody vouches for the connection, until much has come.
const READ_FIRST: usize = 512;
/// First and smallest size of a read.
const READ_MIN: usize = 2 * 1024;
/// Largest size of a read: what bounds a burst in bytes.
const READ_MAX: usize = 256 * 1024;
/// Most frames of a burst.
const BURST_MAX: usize = 256;
/// An unfinished frame of this many bytes counts as long.
const LONG: usize = 64 * 1024;
/// Fixed bytes in front of a header: total length, then serialisation type and header length.
const PREFIX: usize = 8;

/// The read buffer, frames not split off it yet, and what is passed over.
pub(super) struct Input {
    buffer: BytesMut,
    /// The next read's size: grows with full reads, shrinks when the connection is silent.
    read_len: usize,
    frame_len_max: usize,
    /// Bytes were received, or the last burst was cut off at its largest size.
    unsplit: bool,
    /// Bytes of a refused frame that are still to come.
    skip: usize,
}

impl Input {
    pub(super) fn new(frame_len_max: usize) -> Self {
        Self { buffer: BytesMut::new(), read_len: READ_MIN, frame_len_max, unsplit: false, skip: 0 }
    }

    pub(super) fn buffer(&mut self) -> &mut BytesMut {
        &mut self.buffer
    }

    /// Whether complete frames may be there without another read.
    pub(super) fn has_unsplit(&self) -> bool {
        self.unsplit
    }

    /// Bytes that wait for the rest of their frame, or for their turn.
    pub(super) fn held(&self) -> usize {
        self.buffer.len()
    }

    /// Whether an unfinished frame holds much memory.
    pub(super) fn is_long(&self) -> bool {
        self.buffer.len() >= LONG
    }

    /// Makes room for a read. Memory grows with what was received, never with what a length
    /// promises.
    pub(super) fn reserve(&mut self) {
        self.buffer.reserve(self.read_len.max(self.buffer.len().min(READ_MAX)));
    }

    /// Makes little room: memory is never much more than what was received.
    pub(super) fn reserve_little(&mut self) {
        self.buffer.reserve(READ_FIRST.max(self.buffer.len().min(READ_MAX)));
    }

    /// Gives room back that nothing came for.
    pub(super) fn give_back(&mut self) {
        if self.buffer.is_empty() {
            self.buffer = BytesMut::new();
        }
    }

    /// Bytes of memory that are taken.
    pub(super) fn taken(&self) -> usize {
        self.buffer.capacity()
    }

    /// Takes note of `n` bytes read.
    pub(super) fn received(&mut self, n: usize) {
        if n >= self.read_len {
            self.read_len = (self.read_len * 4).min(READ_MAX);
        }
        let skipped = self.skip.min(self.buffer.len());
        self.buffer.advance(skipped);
        self.skip -= skipped;
        self.unsplit = true;
    }

    /// Splits complete frames off into `burst`; returns the bytes they took. On a bad frame the
    /// good ones before it are in `burst`.
    pub(super) fn split(
        &mut self,
        burst: &mut Vec<RemotingCommand>,
    ) -> Result<usize, (usize, FrameError)> {
        let before = self.buffer.len();
        self.unsplit = false;
        while burst.len() < BURST_MAX {
            match frame::split(&mut self.buffer, self.frame_len_max) {
                Ok(Some(command)) => burst.push(command),
                Ok(None) => return Ok(before - self.buffer.len()),
                Err(e) => return Err((before - self.buffer.len(), e)),
            }
        }
        self.unsplit = true;
        Ok(before - self.buffer.len())
    }

    /// Drops an unfinished frame: what of its body is still to come will be passed over.
    /// Returns the request without its body, or `None` if not even its header is complete.
    pub(super) fn give_up_long_frame(&mut self) -> Option<RemotingCommand> {
        let (prefix, _) = self.buffer.split_first_chunk::<PREFIX>()?;
        let [t0, t1, t2, t3, _, h1, h2, h3] = *prefix;
        let frame_len = 4 + usize::try_from(u32::from_be_bytes([t0, t1, t2, t3])).ok()?;
        let head_len = PREFIX + usize::try_from(u32::from_be_bytes([0, h1, h2, h3])).ok()?;
        if head_len > self.buffer.len() || self.buffer.len() >= frame_len {
            return None;
        }
        let mut head = BytesMut::from(&self.buffer[..head_len]);
        let total = u32::try_from(head_len - 4).ok()?;
        head[..4].copy_from_slice(&total.to_be_bytes());
        self.skip = frame_len - self.buffer.len();
        self.buffer = BytesMut::new();
        frame::split(&mut head, self.frame_len_max).ok().flatten()
    }

    /// Gives the memory of a silent connection back.
    pub(super) fn shrink(&mut self) {
        if self.buffer.is_empty() {
            self.buffer = BytesMut::new();
            self.read_len = READ_MIN;
        }
    }
}
