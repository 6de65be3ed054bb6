//! Whether anything moves: a coarse timer instead of a clock reading per read.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::{Instant, Sleep};

use crate::Limits;

/// Counts pulses without a byte received or sent.
pub(super) struct Pace {
    pulse: Duration,
    timer: Pin<Box<Sleep>>,
    moved: bool,
    still: u32,
}

impl Pace {
    pub(super) fn new(limits: &Limits) -> Self {
        let pulse = limits.pulse();
        Self { pulse, timer: Box::pin(tokio::time::sleep(pulse)), moved: false, still: 0 }
    }

    /// Bytes were received or sent.
    pub(super) fn moved(&mut self) {
        self.moved = true;
    }

    /// At a pulse: how many have passed without a byte.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<u32> {
        ready!(self.timer.as_mut().poll(cx));
        self.timer.as_mut().reset(Instant::now() + self.pulse);
        // Registers the waker for the next pulse.
        let _not_yet = self.timer.as_mut().poll(cx);
        self.still = if self.moved { 0 } else { self.still + 1 };
        self.moved = false;
        Poll::Ready(self.still)
    }
}
