//! The task of one connection: read, hand on, write.

mod gate;
mod input;
mod pace;

use std::future::Future;
use std::io::{self, IoSlice};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use blockhouse_protocol::RemotingCommand;
use blockhouse_protocol::codes::response_code::SYSTEM_BUSY;
use blockhouse_protocol::encode;
use futures_util::stream::{FuturesUnordered, StreamExt};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};
use tokio::time::Sleep;
use tracing::debug;

use crate::budget::Charge;
use crate::lobby::Guest;
use crate::replies::{Deferred, PIECES_MAX};
use crate::{Connection, Endpoint, Refused, Replies};
use gate::{Gate, Pass};
use input::Input;
use pace::Pace;

/// Bursts handled before other tasks get their turn.
const TURNS_MAX: u32 = 4;
/// Bytes with which a burst is answered, and that are written, before others get their turn: the tasks of this worker and
/// the other threads of the processor. A consumer that catches up makes work without an end, each byte of it is read,
/// checked and copied by the kernel or encrypted, and those who send are not to wait for it.
const TURN_BYTES: usize = 256 * 1024;

/// Why a connection ended.
#[derive(Debug, thiserror::Error)]
enum End {
    #[error("closed by the other side")]
    ByPeer,
    #[error("closed by this side")]
    Drained,
    #[error("closed by this side, with answers still owed")]
    DrainTimeout,
    #[error("cut off by this side")]
    Cut,
    #[error("nothing received or sent for too long (idle_ms)")]
    Idle,
    #[error("the other side does not take its bytes (stall_ms)")]
    Stalled,
    #[error(transparent)]
    Io(io::Error),
}

/// A deferred reply with the request bytes that it keeps in memory.
struct Held {
    reply: Pin<Box<dyn Future<Output = Replies> + Send>>,
    silent: bool,
    bytes: usize,
}

impl Future for Held {
    type Output = (Replies, usize);

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut replies = ready!(self.reply.as_mut().poll(cx));
        if self.silent {
            replies = Replies::new();
        }
        Poll::Ready((replies, self.bytes))
    }
}

pub(crate) struct Driver<S> {
    stream: S,
    connection: Arc<Connection>,
    endpoint: Arc<Endpoint>,
    input: Input,
    /// Requests that wait until there is room for their answers; between turns mostly none.
    burst: Vec<RemotingCommand>,
    /// Bytes of these.
    burst_bytes: usize,
    out: Replies,
    /// The stream may have kept what was written: TLS records that the socket did not take.
    unflushed: bool,
    deferred: FuturesUnordered<Held>,
    /// Bytes of the requests behind `deferred`.
    deferred_bytes: usize,
    charge: Charge,
    gate: Gate,
    pace: Pace,
    /// There while nobody vouches for the connection.
    guest: Option<Guest>,
    /// Set once nothing more is read: when to give up on the answers still owed.
    draining: Option<Pin<Box<Sleep>>>,
    /// All is written, and the other side sent more meanwhile.
    is_passing_over: bool,
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Driver<S> {
    pub(crate) fn new(
        stream: S,
        connection: Arc<Connection>,
        endpoint: Arc<Endpoint>,
        guest: Option<Guest>,
    ) -> Self {
        Self {
            stream,
            input: Input::new(endpoint.limits.frame_len_max),
            burst: Vec::new(),
            burst_bytes: 0,
            out: Replies::up_to(endpoint.limits.outbox_bytes),
            unflushed: false,
            deferred: FuturesUnordered::new(),
            deferred_bytes: 0,
            charge: Charge::new(Arc::clone(&endpoint.budget)),
            gate: Gate::default(),
            pace: Pace::new(&endpoint.limits),
            guest,
            draining: None,
            is_passing_over: false,
            connection,
            endpoint,
        }
    }

    /// Runs the connection to its end. Borrowed: a future that owned it would have room for it twice.
    pub(crate) async fn run(&mut self) {
        let end = std::future::poll_fn(|cx| self.poll(cx)).await;
        debug!(peer = %self.connection.peer(), %end, "connection ended");
        if matches!(end, End::Stalled) {
            self.endpoint.sessions.refused(&self.connection, Refused::Stalled, &end);
        }
        if !matches!(end, End::Io(_)) {
            let patience = self.endpoint.limits.drain();
            let takes_leave = matches!(end, End::Drained) && self.guest.is_none();
            let leaving = async {
                // Under TLS a last record is written, which a client that reads nothing does not take.
                let shut = tokio::io::AsyncWriteExt::shutdown(&mut self.stream).await;
                if takes_leave && shut.is_ok() {
                    std::future::poll_fn(|cx| self.poll_pass_over(cx)).await;
                }
            };
            let _gone_already = tokio::time::timeout(patience, leaving).await;
        }
    }

    /// Passes over what the other side still sends, if anything is there: where bytes were not read, the
    /// system takes back, at the end, what it has not sent yet.
    fn poll_pass_over(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            self.input.buffer().clear();
            self.input.reserve();
            match pin!(self.stream.read_buf(self.input.buffer())).poll(cx) {
                Poll::Ready(Ok(n)) if n > 0 => self.is_passing_over = true,
                Poll::Pending if self.is_passing_over => return Poll::Pending,
                _ => return Poll::Ready(()),
            }
        }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<End> {
        self.connection.register(cx.waker());
        if let Poll::Ready(end) = self.poll_pace(cx) {
            return Poll::Ready(end);
        }
        let mut writable = TURN_BYTES;
        for _ in 0..TURNS_MAX {
            if self.connection.is_cut() {
                return Poll::Ready(End::Cut);
            }
            self.collect(cx);
            if let Err(e) = self.flush(cx, &mut writable) {
                return Poll::Ready(End::Io(e));
            }
            self.report();
            if let Poll::Ready(end) = self.poll_drain(cx) {
                return Poll::Ready(end);
            }
            if writable == 0 {
                // The scheduler would let this thread go on to the end of its slice, some milliseconds.
                std::thread::yield_now();
                break;
            }
            if self.out.is_full() || self.has_too_many_deferred() {
                return Poll::Pending;
            }
            if !self.burst.is_empty() {
                self.hand_on();
            } else if self.draining.is_some() && !self.input.has_unsplit() {
                return Poll::Pending;
            } else if let Some(end) = ready!(self.poll_burst(cx)) {
                return Poll::Ready(end);
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Gathers what other tasks pushed and what deferred replies have become.
    fn collect(&mut self, cx: &mut Context<'_>) {
        if self.connection.mailbox().any() && !self.out.is_full() {
            self.connection.mailbox().take(self.out.frames());
        }
        while !self.deferred.is_empty() && !self.out.is_full() {
            let Poll::Ready(Some((replies, bytes))) = self.deferred.poll_next_unpin(cx) else {
                break;
            };
            self.deferred_bytes -= bytes;
            self.out.append(replies);
            self.adopt_deferred(0);
        }
    }

    /// Takes over the futures that the service left in `out`; `bytes` is what their requests hold.
    fn adopt_deferred(&mut self, bytes: usize) {
        if self.out.deferred.is_empty() {
            return;
        }
        let each = bytes / self.out.deferred.len();
        for Deferred { reply, silent } in self.out.deferred.drain(..) {
            self.deferred_bytes += each;
            self.deferred.push(Held { reply, silent, bytes: each });
        }
    }

    /// Writes as much as the socket takes, and as is `writable` in this poll.
    fn flush(&mut self, cx: &mut Context<'_>, writable: &mut usize) -> io::Result<()> {
        while self.out.unsent() > 0 {
            if *writable == 0 {
                return Ok(());
            }
            let stream = Pin::new(&mut self.stream);
            let written = if let Some(bytes) = self.out.single() {
                stream.poll_write(cx, &bytes[..bytes.len().min(*writable)])
            } else {
                let mut pieces = [IoSlice::new(&[]); PIECES_MAX];
                let filled = self.out.pieces(*writable, &mut pieces);
                stream.poll_write_vectored(cx, &pieces[..filled])
            };
            match written {
                Poll::Pending => return Ok(()),
                Poll::Ready(Ok(0)) => return Err(io::ErrorKind::WriteZero.into()),
                Poll::Ready(Ok(n)) => {
                    self.pace.moved();
                    self.unflushed = true;
                    self.endpoint.counts.bytes.add([0, u64::try_from(n).unwrap_or(0)]);
                    self.out.advance(n);
                    *writable = writable.saturating_sub(n);
                }
                Poll::Ready(Err(e)) => return Err(e),
            }
        }
        if self.unflushed && Pin::new(&mut self.stream).poll_flush(cx)?.is_ready() {
            self.unflushed = false;
        }
        Ok(())
    }

    /// Tells the budget what this connection holds.
    fn report(&mut self) {
        let held = self.input.held() + self.burst_bytes + self.deferred_bytes;
        self.charge.set(held + self.out.unsent());
    }
}

/// What comes in, and who answers it.
impl<S: AsyncRead + AsyncWrite + Unpin + Send> Driver<S> {
    /// Reads unless complete frames are there already, and handles one burst.
    /// `Ready(None)`: something was done.
    fn poll_burst(&mut self, cx: &mut Context<'_>) -> Poll<Option<End>> {
        if !self.input.has_unsplit() {
            if self.input.is_long() && !ready!(self.poll_gate_for_long_frame(cx)) {
                return Poll::Ready(None);
            }
            match ready!(self.poll_read(cx)) {
                Ok(0) => return Poll::Ready(Some(End::ByPeer)),
                Ok(n) => {
                    self.pace.moved();
                    self.endpoint.counts.bytes.add([u64::try_from(n).unwrap_or(0), 0]);
                    self.input.received(n);
                }
                Err(e) => return Poll::Ready(Some(End::Io(e))),
            }
        }
        let pass = ready!(self.gate.poll(cx, &self.connection, &self.endpoint));
        self.serve(pass);
        Poll::Ready(None)
    }

    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        if self.guest.is_none() {
            self.input.reserve();
            return pin!(self.stream.read_buf(self.input.buffer())).poll(cx);
        }
        self.input.reserve_little();
        let read = pin!(self.stream.read_buf(self.input.buffer())).poll(cx);
        if read.is_pending() {
            self.input.give_back();
        }
        if let Some(guest) = &mut self.guest
            && !guest.holds(self.input.taken(), &self.connection)
        {
            self.connection.close();
        }
        read
    }

    /// A frame that fills much memory is not read on while the budget is spent: after the usual
    /// wait it is refused by its header, and its body passed over. `false`: it was refused.
    fn poll_gate_for_long_frame(&mut self, cx: &mut Context<'_>) -> Poll<bool> {
        let pass = ready!(self.gate.poll(cx, &self.connection, &self.endpoint));
        let Pass::Busy(waited) = pass else { return Poll::Ready(true) };
        match self.input.give_up_long_frame() {
            Some(command) if command.is_response() => {}
            Some(command) => refuse(&command, &gate::remark(waited), &mut self.out),
            None => self.connection.close(),
        }
        Poll::Ready(false)
    }

    /// Splits one burst off the input and has it answered.
    fn serve(&mut self, pass: Pass) {
        let taken = match self.input.split(&mut self.burst) {
            Ok(taken) => taken,
            Err((taken, error)) => {
                debug!(peer = %self.connection.peer(), %error, "bad frame");
                self.endpoint.counts.bad_frames.add(1);
                self.endpoint.sessions.refused(&self.connection, Refused::Frame, &error);
                // Requests before the bad frame are still answered.
                self.connection.close();
                taken
            }
        };
        let Some(last) = self.burst.last() else { return };
        self.connection.heard(last);
        if self.burst.iter().any(RemotingCommand::is_response) {
            for response in self.burst.extract_if(.., |c| c.is_response()) {
                self.connection.answered(response);
            }
        }
        let remark = match pass {
            Pass::Free => None,
            Pass::Busy(waited) => Some(gate::remark(waited)),
        };
        let allowed = if remark.is_some() { 0 } else { self.deferrable() };
        if self.burst.len() > allowed {
            let remark = remark.unwrap_or_else(|| gate::remark_deferred(self.deferred.len()));
            self.refuse_from(allowed, &remark);
        }
        self.burst_bytes = taken;
        self.hand_on();
    }

    /// Has requests answered, as long as there is room for the answers, and as one turn may be.
    fn hand_on(&mut self) {
        let count = self.burst.len();
        // Refusals of others in the burst may be all that there is room for.
        if count > 0 && !self.out.is_full() {
            let outbox = self.endpoint.limits.outbox_bytes;
            self.out.have_enough_at(outbox.min(self.out.unsent() + TURN_BYTES));
            self.endpoint.service.burst(&self.connection, &mut self.burst, &mut self.out);
            // Who takes none of them never will.
            if !self.out.is_full() || self.burst.len() == count {
                self.burst.clear();
            }
            self.out.have_enough_at(outbox);
        }
        let left = self.burst_bytes * self.burst.len() / count.max(1);
        self.adopt_deferred(self.burst_bytes - left);
        self.burst_bytes = left;
        if self.guest.is_some() {
            self.connection.spoke();
            if !self.endpoint.service.vouches() || self.connection.is_vouched_for() {
                self.guest = None;
            }
        }
    }

    /// Whether even one-way requests, which nobody can refuse, have to wait.
    fn has_too_many_deferred(&self) -> bool {
        self.deferred.len() >= self.endpoint.limits.deferred_max.saturating_mul(2)
    }

    /// How many more requests may be deferred.
    fn deferrable(&self) -> usize {
        self.endpoint.limits.deferred_max.saturating_sub(self.deferred.len())
    }

    /// Answers the requests from the given place on with `SYSTEM_BUSY`. One-way requests stay:
    /// nobody would learn that they were refused.
    fn refuse_from(&mut self, first: usize, remark: &str) {
        let mut at = 0;
        let refused = self.burst.extract_if(.., |c| {
            at += 1;
            at > first && !c.is_one_way()
        });
        for command in refused {
            refuse(&command, remark, &mut self.out);
        }
    }

    /// Whether the connection was silent or stuck for too long.
    fn poll_pace(&mut self, cx: &mut Context<'_>) -> Poll<End> {
        let Poll::Ready(pulses) = self.pace.poll(cx) else { return Poll::Pending };
        let limits = &self.endpoint.limits;
        if self.out.unsent() > 0 || self.unflushed {
            if limits.stuck_too_long(pulses) {
                return Poll::Ready(End::Stalled);
            }
        } else if pulses > 0 {
            self.input.shrink();
            self.out.shrink();
            if limits.silent_too_long(pulses) {
                return Poll::Ready(End::Idle);
            }
        }
        Poll::Pending
    }

    /// Once the connection is closed by this side: whether all is written, or enough time passed.
    fn poll_drain(&mut self, cx: &mut Context<'_>) -> Poll<End> {
        if !self.connection.is_closed() {
            return Poll::Pending;
        }
        let limit = self.endpoint.limits.drain();
        let deadline = self.draining.get_or_insert_with(|| Box::pin(tokio::time::sleep(limit)));
        let is_written = self.out.unsent() == 0 && !self.unflushed;
        let is_answered =
            self.burst.is_empty() && !self.input.has_unsplit() && self.deferred.is_empty();
        if is_written && is_answered && !self.connection.mailbox().any() {
            return Poll::Ready(End::Drained);
        }
        deadline.as_mut().poll(cx).map(|()| End::DrainTimeout)
    }
}

impl<S> Drop for Driver<S> {
    fn drop(&mut self) {
        self.connection.mark_ended();
        self.endpoint.sessions.closed(&self.connection);
    }
}

fn refuse(command: &RemotingCommand, remark: &str, out: &mut Replies) {
    if !command.is_one_way() {
        let head = encode::ResponseHead::new(command.opaque, SYSTEM_BUSY, Some(remark));
        encode::response(out.frames(), &head, |_| {}, 0);
    }
}
