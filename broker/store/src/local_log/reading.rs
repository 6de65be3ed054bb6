//! Reading the log: the newest bytes through maps, others with system calls.

use std::sync::atomic::Ordering;

use super::Core;
use crate::Error;
use crate::log::{Landing, Piece, Window};
use crate::read::ColdRead;
use crate::segments::Segment;

/// Bytes of a map for which one scan asks at once whether they are in memory.
const ASKED: usize = 256 << 10;

impl Core {
    pub(super) fn hot_from(&self) -> u64 {
        let confirmed = self.confirmed.load(Ordering::Acquire);
        self.opened_at.max(confirmed.saturating_sub(self.hot_bytes))
    }

    /// Opens a window for bytes of a map, and for what the next reads of the scan will want. Only
    /// what is in memory is lent: a map has no way to say that the disk would have to be waited for.
    /// And a file that cannot be mapped (the disk
    /// has become read-only, there are too many maps) can still be read.
    fn window(&self, segment: &Segment, at: u64, len: usize) -> Option<Window> {
        let map = segment.map(self.segments.size).ok()?;
        let confirmed = self.confirmed.load(Ordering::Acquire);
        let last = confirmed.min(segment.base + self.segments.size);
        let asked = len.max(usize::try_from(last - at).unwrap_or(len).min(ASKED));
        let start = usize::try_from(at - segment.base).ok()?;
        let resident = at..at + map.resident(start..start + asked) as u64;
        Some(Window { map, base: segment.base, resident })
    }

    pub(super) fn read_into(
        &self,
        at: u64,
        len: usize,
        cold: ColdRead,
        into: &mut Landing,
    ) -> Result<Option<Piece>, Error> {
        if let Some(bytes) = into.window.as_ref().and_then(|window| window.slice(at, len)) {
            return Ok(Some(Piece::Mapped(bytes)));
        }
        let size = self.segments.size;
        let end = at.checked_add(len as u64);
        if end.is_none_or(|end| end > self.confirmed.load(Ordering::Acquire))
            || at % size + len as u64 > size
        {
            return Ok(None);
        }
        let Some(segment) = self.segments.holding(at) else { return Ok(None) };
        let failed = |what, e| Error::io(what, &self.segments.path(segment.base))(e);
        let inside = at - segment.base;
        if into.lends && at >= self.hot_from() {
            into.window = self.window(&segment, at, len);
            if let Some(bytes) = into.window.as_ref().and_then(|window| window.slice(at, len)) {
                return Ok(Some(Piece::Mapped(bytes)));
            }
        }
        let copy = &mut into.copied;
        let before = copy.len();
        copy.resize(before + len, 0);
        let buffer = &mut copy[before..];
        let read = match cold {
            ColdRead::Allow => segment.file.read_at(buffer, inside),
            ColdRead::Refuse => segment.file.read_now(buffer, inside),
        };
        if matches!(read, Ok(n) if n == len) {
            return Ok(Some(Piece::Copied));
        }
        copy.truncate(before);
        match read {
            Ok(_) => Ok(None),
            Err(e) if e.kind() == std::io::ErrorKind::WouldBlock => Err(Error::WouldBlock),
            Err(e) => {
                self.failed_reads.fetch_add(1, Ordering::Relaxed);
                Err(failed("read", e))
            }
        }
    }
}
