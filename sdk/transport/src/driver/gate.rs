//! The wait for the process-wide budget.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Instant, Sleep};

use crate::budget::Waiter;
use crate::{Connection, Endpoint};

/// How a burst leaves the gate.
#[derive(Clone, Copy)]
pub(super) enum Pass {
    /// It may be handled.
    Free,
    /// It waited this long in vain: refuse it.
    Busy(Duration),
}

/// Holds a burst back while too many bytes are in flight, but not for long.
#[derive(Default)]
pub(super) struct Gate {
    waiting: Option<(Instant, Pin<Box<Sleep>>, Waiter)>,
}

impl Gate {
    pub(super) fn poll(
        &mut self,
        cx: &mut Context<'_>,
        connection: &Connection,
        endpoint: &Endpoint,
    ) -> Poll<Pass> {
        if !endpoint.budget.is_spent() {
            self.waiting = None;
            return Poll::Ready(Pass::Free);
        }
        let (since, timer, waiter) = self.waiting.get_or_insert_with(|| {
            let timer = tokio::time::sleep(endpoint.limits.busy_wait());
            let waiter = Waiter::new(&endpoint.budget, connection.id());
            (Instant::now(), Box::pin(timer), waiter)
        });
        if timer.as_mut().poll(cx).is_ready() {
            let waited = since.elapsed();
            self.waiting = None;
            return Poll::Ready(Pass::Busy(waited));
        }
        waiter.wait(cx.waker());
        Poll::Pending
    }
}

/// What the client reads when the budget was spent.
pub(super) fn remark(waited: Duration) -> String {
    format!(
        "[TIMEOUT_CLEAN_QUEUE]broker busy, the request waited {}ms in the queue because too many bytes are in flight (in_flight_bytes)",
        waited.as_millis()
    )
}

/// What the client reads when too many of its requests wait.
pub(super) fn remark_deferred(waiting: usize) -> String {
    format!(
        "[OVERLOAD]{waiting} requests of this connection wait for their answer, no more are taken (deferred_max)"
    )
}
