//! Frames that other tasks leave for the connection's task.

use std::sync::atomic::{AtomicBool, Ordering};

use bytes::BytesMut;
use parking_lot::Mutex;

/// Bounded by bytes; the flag keeps the connection's task off the lock while nothing is there.
#[derive(Debug)]
pub(crate) struct Mailbox {
    any: AtomicBool,
    frames: Mutex<BytesMut>,
    bytes_max: usize,
}

impl Mailbox {
    pub(super) fn new(bytes_max: usize) -> Self {
        Self { any: AtomicBool::new(false), frames: Mutex::new(BytesMut::new()), bytes_max }
    }

    /// Lets `write` append frames, unless too many bytes wait already.
    pub(super) fn put(&self, write: impl FnOnce(&mut BytesMut)) -> bool {
        let mut frames = self.frames.lock();
        if frames.len() >= self.bytes_max {
            return false;
        }
        write(&mut frames);
        self.any.store(true, Ordering::Release);
        true
    }

    /// Whether frames wait.
    pub(crate) fn any(&self) -> bool {
        self.any.load(Ordering::Acquire)
    }

    /// Moves the waiting frames to the end of `out`.
    pub(crate) fn take(&self, out: &mut BytesMut) {
        let mut frames = self.frames.lock();
        self.any.store(false, Ordering::Release);
        out.extend_from_slice(&frames);
        frames.clear();
        if frames.capacity() > 64 * 1024 {
            *frames = BytesMut::new();
        }
    }
}
