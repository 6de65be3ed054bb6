//! Frames and slices on their way out of a connection.

use std::collections::VecDeque;
use std::fmt;
use std::future::Future;
use std::io::IoSlice;
use std::pin::Pin;

use bytes::{Buf, Bytes, BytesMut};

/// Most pieces given to one vectored write.
pub(crate) const PIECES_MAX: usize = 64;
/// Slices up to this length are copied behind their header: cheaper than a piece of their own.
pub const COPY_MAX: usize = 1024;
/// Sent bytes are moved out of the buffer when there are this many of them.
const COMPACT_AT: usize = 64 * 1024;

/// Replies to a burst: encoded frames, body slices between them, and futures for the replies that
/// come later.
pub struct Replies {
    frames: BytesMut,
    /// Slices, each with the place in `frames` that it follows.
    slices: VecDeque<(usize, Bytes)>,
    /// How much of `frames` has been sent.
    sent: usize,
    slice_bytes: usize,
    /// Unsent bytes that are enough for now.
    enough: usize,
    pub(crate) deferred: Vec<Deferred>,
}

impl Default for Replies {
    fn default() -> Self {
        Self::up_to(usize::MAX)
    }
}

/// A reply that is not finished.
pub(crate) struct Deferred {
    pub(crate) reply: Pin<Box<dyn Future<Output = Replies> + Send>>,
    pub(crate) silent: bool,
}

/// A place in [`Replies`].
#[derive(Clone, Copy, Debug)]
pub struct Mark {
    frames: usize,
    slices: usize,
    deferred: usize,
}

impl Replies {
    /// No replies.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// No replies, and [full](Self::is_full) with so many bytes.
    #[must_use]
    pub fn up_to(bytes: usize) -> Self {
        Self {
            frames: BytesMut::new(),
            slices: VecDeque::new(),
            sent: 0,
            slice_bytes: 0,
            enough: bytes,
            deferred: Vec::new(),
        }
    }

    /// Full with so many bytes from now on.
    pub(crate) fn have_enough_at(&mut self, bytes: usize) {
        self.enough = bytes;
    }

    /// Whether more replies should wait until some of these are sent.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.unsent() >= self.enough
    }

    /// Where encoded frames are appended. Only append: what is there belongs to earlier requests.
    pub fn frames(&mut self) -> &mut BytesMut {
        &mut self.frames
    }

    /// Sends `slice` after the frames appended so far, without copying it unless it is small
    /// ([`COPY_MAX`]). Only then are its bytes looked at here: others are for the kernel, and if it
    /// cannot have them (a page of a map that the disk does not give), the connection ends.
    pub fn slice(&mut self, slice: Bytes) {
        if slice.len() <= COPY_MAX {
            self.frames.extend_from_slice(&slice);
        } else {
            self.slice_bytes += slice.len();
            self.slices.push_back((self.frames.len(), slice));
        }
    }

    /// Sends the output of `reply` when it is finished; empty replies are fine. The future is
    /// polled by the connection's own task and dropped if the connection ends first.
    pub fn defer(&mut self, reply: impl Future<Output = Self> + Send + 'static) {
        self.deferred.push(Deferred { reply: Box::pin(reply), silent: false });
    }

    /// The present end, for [`silence`](Self::silence).
    #[must_use]
    pub fn mark(&self) -> Mark {
        Mark { frames: self.frames.len(), slices: self.slices.len(), deferred: self.deferred.len() }
    }

    /// Takes back what was written since `mark`, as a one-way request demands. Futures deferred
    /// since then still run, but their output is dropped.
    pub fn silence(&mut self, mark: Mark) {
        self.frames.truncate(mark.frames);
        for (_, slice) in self.slices.drain(mark.slices.min(self.slices.len())..) {
            self.slice_bytes -= slice.len();
        }
        for deferred in self.deferred.iter_mut().skip(mark.deferred) {
            deferred.silent = true;
        }
    }

    /// Whether there is nothing to send and nothing deferred.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.unsent() == 0 && self.deferred.is_empty()
    }

    /// Bytes to send.
    #[must_use]
    pub fn unsent(&self) -> usize {
        self.frames.len() - self.sent + self.slice_bytes
    }

    /// All bytes to send as one piece, copied; for tests of services.
    #[must_use]
    pub fn to_bytes(&self) -> Bytes {
        let mut all = BytesMut::with_capacity(self.unsent());
        let mut at = self.sent;
        for (end, slice) in &self.slices {
            all.extend_from_slice(&self.frames[at..*end]);
            all.extend_from_slice(slice);
            at = *end;
        }
        all.extend_from_slice(&self.frames[at..]);
        all.freeze()
    }

    /// Waits for all deferred replies, in turn, and returns every byte to send; for tests of
    /// services.
    pub async fn settled(mut self) -> Bytes {
        while !self.deferred.is_empty() {
            let Deferred { reply, silent } = self.deferred.remove(0);
            let reply = reply.await;
            if !silent {
                self.append(reply);
            }
        }
        self.to_bytes()
    }

    /// Appends what `other` has to send, and its futures.
    pub fn append(&mut self, mut other: Self) {
        if self.unsent() == 0 && self.deferred.is_empty() && other.unsent() > COMPACT_AT {
            *self = Self { enough: self.enough, ..other };
            return;
        }
        let mut at = other.sent;
        for (end, slice) in other.slices.drain(..) {
            self.frames.extend_from_slice(&other.frames[at..end]);
            self.slice(slice);
            at = end;
        }
        self.frames.extend_from_slice(&other.frames[at..]);
        self.deferred.append(&mut other.deferred);
    }

    /// The next bytes to send if they are one piece of memory.
    pub(crate) fn single(&self) -> Option<&[u8]> {
        self.slices.is_empty().then(|| &self.frames[self.sent..])
    }

    /// The next pieces to send, `most` bytes of them; returns how many of `pieces` are filled.
    pub(crate) fn pieces<'a>(
        &'a self,
        most: usize,
        pieces: &mut [IoSlice<'a>; PIECES_MAX],
    ) -> usize {
        let (mut filled, mut left, mut at) = (0, most, self.sent);
        let mut add = |bytes: &'a [u8]| {
            if let Some(piece) = pieces.get_mut(filled).filter(|_| left > 0 && !bytes.is_empty()) {
                *piece = IoSlice::new(&bytes[..bytes.len().min(left)]);
                left = left.saturating_sub(bytes.len());
                filled += 1;
            }
            left > 0 && filled < PIECES_MAX
        };
        for (end, slice) in &self.slices {
            let goes_on = add(&self.frames[at..*end]) && add(slice);
            if !goes_on {
                return filled;
            }
            at = *end;
        }
        add(&self.frames[at..]);
        filled
    }

    /// Takes the first `n` unsent bytes away: they are sent.
    pub(crate) fn advance(&mut self, mut n: usize) {
        while n > 0 {
            let frames_until = self.slices.front().map_or(self.frames.len(), |(end, _)| *end);
            let of_frames = n.min(frames_until - self.sent);
            self.sent += of_frames;
            n -= of_frames;
            let Some((_, slice)) = self.slices.front_mut().filter(|_| n > 0) else { break };
            let of_slice = n.min(slice.len());
            slice.advance(of_slice);
            self.slice_bytes -= of_slice;
            n -= of_slice;
            if slice.is_empty() {
                self.slices.pop_front();
            }
        }
        self.compact();
    }

    /// Keeps the buffer for the next burst, or moves sent bytes out of a buffer that never
    /// empties.
    fn compact(&mut self) {
        if self.unsent() == 0 {
            self.frames.clear();
            self.sent = 0;
        } else if self.sent >= COMPACT_AT {
            self.frames.advance(self.sent);
            for (end, _) in &mut self.slices {
                *end -= self.sent;
            }
            self.sent = 0;
        }
    }

    /// Gives the memory back; only when there is nothing to send.
    pub(crate) fn shrink(&mut self) {
        if self.unsent() == 0 {
            self.frames = BytesMut::new();
            self.sent = 0;
        }
    }
}

impl fmt::Debug for Replies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Replies")
            .field("unsent", &self.unsent())
            .field("deferred", &self.deferred.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(byte: u8, len: usize) -> Bytes {
        Bytes::from(vec![byte; len])
    }

    fn joined(pieces: &[IoSlice<'_>]) -> Vec<u8> {
        pieces.iter().flat_map(|piece| piece.to_vec()).collect()
    }

    fn mixed() -> Replies {
        let mut replies = Replies::new();
        replies.frames().extend_from_slice(b"head1");
        replies.slice(body(b'x', 2000));
        replies.slice(body(b'y', 1500));
        replies.frames().extend_from_slice(b"head2");
        replies.slice(body(b'z', 3));
        replies
    }

    #[test]
    fn pieces_and_advance_yield_the_bytes_in_order_at_any_cut() {
        let whole = mixed().to_bytes();
        assert_eq!(whole.len(), 5 + 2000 + 1500 + 5 + 3);
        for step in [1, 4, 5, 6, 700, 2005, 3505, whole.len()] {
            let mut replies = mixed();
            let mut got = Vec::new();
            while replies.unsent() > 0 {
                let mut pieces = [IoSlice::new(&[]); PIECES_MAX];
                let filled = replies.pieces(usize::MAX, &mut pieces);
                let bytes = joined(&pieces[..filled]);
                let n = step.min(bytes.len());
                let mut few = [IoSlice::new(&[]); PIECES_MAX];
                let filled = replies.pieces(n, &mut few);
                assert_eq!(joined(&few[..filled]), bytes[..n], "no more than is asked for");
                got.extend_from_slice(&bytes[..n]);
                replies.advance(n);
            }
            assert_eq!(got, whole, "step {step}");
        }
    }

    #[test]
    fn no_more_pieces_are_given_than_there_is_room_for() {
        let mut replies = Replies::new();
        for number in 0..100 {
            replies.frames().extend_from_slice(b"head");
            replies.slice(body(number, 1025));
        }
        let mut pieces = [IoSlice::new(&[]); PIECES_MAX];
        assert_eq!(replies.pieces(usize::MAX, &mut pieces), PIECES_MAX);
        let bytes = joined(&pieces);
        assert_eq!(replies.to_bytes()[..bytes.len()], bytes);
    }

    #[test]
    fn a_buffer_that_never_empties_is_compacted() {
        let mut replies = Replies::new();
        replies.frames().extend_from_slice(&[0; 1000]);
        for round in 1..200_u8 {
            replies.frames().extend_from_slice(&[round; 1000]);
            if round % 7 == 0 {
                replies.slice(body(round, 1025));
            }
            let oldest = round - 1;
            assert_eq!(replies.to_bytes()[0], oldest);
            let with_slice = oldest != 0 && oldest.is_multiple_of(7);
            replies.advance(if with_slice { 2025 } else { 1000 });
        }
        assert!(replies.frames.len() < 2 * COMPACT_AT);
    }

    #[test]
    fn silence_takes_back_frames_and_slices_but_keeps_the_work() {
        let mut replies = mixed();
        let before = replies.to_bytes();
        let mark = replies.mark();
        replies.frames().extend_from_slice(b"unwanted");
        replies.slice(body(b'u', 5000));
        replies.defer(async { Replies::new() });
        replies.silence(mark);
        assert_eq!(replies.to_bytes(), before);
        assert_eq!(replies.unsent(), before.len());
        assert!(replies.deferred[0].silent);
    }

    #[test]
    fn appended_replies_follow() {
        let mut replies = mixed();
        let twice = [replies.to_bytes(), replies.to_bytes()].concat();
        replies.append(mixed());
        assert_eq!(replies.to_bytes(), twice);
        let mut big = Replies::new();
        big.frames().extend_from_slice(&vec![7; COMPACT_AT + 1]);
        let mut empty = Replies::up_to(COMPACT_AT);
        empty.append(big);
        assert_eq!(empty.unsent(), COMPACT_AT + 1);
        assert!(empty.is_full());
        empty.advance(2);
        assert!(!empty.is_full());
    }
}
