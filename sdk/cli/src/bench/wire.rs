//! The loop of one connection.

use std::cell::RefCell;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use blockhouse_transport::tls::Connector;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::Sleep;

use super::clock;
use super::scan::{Response, Scanner};
use super::stats::{Shared, Stats};

const INPUT_LEN: usize = 256 * 1024;
const INPUT_LEN_MAX: usize = 64 * 1024 * 1024;

/// What a connection sends, and what it makes of answers.
pub(crate) trait Script {
    /// Appends the first requests.
    fn start(&mut self, now: u64, out: &mut Vec<u8>);

    /// Takes an answer, and appends the next request if it is time for one. `stats` is `None`
    /// outside the measured time.
    fn answer(
        &mut self,
        now: u64,
        response: &Response<'_>,
        out: &mut Vec<u8>,
        stats: Option<&mut Stats>,
    );

    /// Appends requests that are due; returns when the next one is.
    fn due(&mut self, _now: u64, _out: &mut Vec<u8>) -> Option<u64> {
        None
    }
}

/// A connection that runs a script.
pub(crate) struct Wire<T, S> {
    stream: T,
    /// The stream may have kept what was written: TLS records that the socket did not take.
    unflushed: bool,
    script: S,
    input: Vec<u8>,
    filled: usize,
    out: Vec<u8>,
    sent: usize,
    scanner: Scanner,
    stats: Rc<RefCell<Stats>>,
    shared: Arc<Shared>,
    timer: Option<(u64, Pin<Box<Sleep>>)>,
}

/// Connects to a broker, and runs a script until the connection fails.
pub(crate) async fn run(
    addr: &str,
    tls: Option<Arc<Connector>>,
    script: impl Script,
    stats: Rc<RefCell<Stats>>,
    shared: Arc<Shared>,
) -> anyhow::Result<()> {
    let failed = || format!("cannot connect to the broker at {addr}");
    let stream = TcpStream::connect(addr).await.with_context(failed)?;
    stream.set_nodelay(true)?;
    match tls {
        None => Wire::new(stream, script, stats, shared).run().await,
        Some(tls) => {
            let stream = Box::new(tls.connect(stream, addr).await.with_context(failed)?);
            Wire::new(stream, script, stats, shared).run().await
        }
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin, S: Script> Wire<T, S> {
    fn new(stream: T, script: S, stats: Rc<RefCell<Stats>>, shared: Arc<Shared>) -> Self {
        Self {
            stream,
            unflushed: false,
            script,
            input: vec![0; INPUT_LEN],
            filled: 0,
            out: Vec::new(),
            sent: 0,
            scanner: Scanner::default(),
            stats,
            shared,
            timer: None,
        }
    }

    async fn run(mut self) -> anyhow::Result<()> {
        self.script.start(clock::now(), &mut self.out);
        std::future::poll_fn(|cx| self.poll(cx)).await
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<anyhow::Result<()>> {
        loop {
            let next = self.script.due(clock::now(), &mut self.out);
            if let Err(e) = self.write(cx) {
                return Poll::Ready(Err(e));
            }
            match self.read(cx) {
                Ok(true) => {}
                Ok(false) if self.wait_until(next, cx) => {}
                Ok(false) => return Poll::Pending,
                Err(e) => return Poll::Ready(Err(e)),
            }
        }
    }

    fn write(&mut self, cx: &mut Context<'_>) -> anyhow::Result<()> {
        while self.sent < self.out.len() {
            match Pin::new(&mut self.stream).poll_write(cx, &self.out[self.sent..]) {
                Poll::Ready(Ok(n)) => {
                    self.sent += n;
                    self.unflushed = true;
                }
                Poll::Ready(Err(e)) => return Err(e).context("cannot write to the broker"),
                Poll::Pending => return Ok(()),
            }
        }
        if self.unflushed {
            let flushed = Pin::new(&mut self.stream).poll_flush(cx);
            self.unflushed = flushed.map_err(anyhow::Error::from)?.is_pending();
        }
        self.out.clear();
        self.sent = 0;
        Ok(())
    }

    /// Whether something was read and handled.
    fn read(&mut self, cx: &mut Context<'_>) -> anyhow::Result<bool> {
        if self.filled == self.input.len() {
            ensure!(self.input.len() < INPUT_LEN_MAX, "the broker's answer is over 64 MiB");
            self.input.resize(self.input.len() * 2, 0);
        }
        let mut buffer = ReadBuf::new(&mut self.input[self.filled..]);
        match Pin::new(&mut self.stream).poll_read(cx, &mut buffer) {
            Poll::Pending => return Ok(false),
            Poll::Ready(read) => read.context("cannot read from the broker")?,
        }
        let n = buffer.filled().len();
        if n == 0 {
            bail!("the broker closed the connection");
        }
        self.filled += n;
        self.handle()?;
        Ok(true)
    }

    fn handle(&mut self) -> anyhow::Result<()> {
        let now = clock::now();
        let measuring = self.shared.is_measuring();
        let mut stats = self.stats.borrow_mut();
        let before = stats.messages;
        let mut at = 0;
        while let Some((response, len)) = self.scanner.next(&self.input[at..self.filled])? {
            if !response.is_request {
                let stats = measuring.then_some(&mut *stats);
                self.script.answer(now, &response, &mut self.out, stats);
            }
            at += len;
        }
        self.input.copy_within(at..self.filled, 0);
        self.filled -= at;
        self.shared.count(stats.messages - before);
        Ok(())
    }

    /// Sets the timer; whether that time has come already.
    fn wait_until(&mut self, next: Option<u64>, cx: &mut Context<'_>) -> bool {
        let Some(next) = next else { return false };
        if self.timer.as_ref().is_none_or(|(at, _)| *at != next) {
            let wait = Duration::from_nanos(next.saturating_sub(clock::now()));
            self.timer = Some((next, Box::pin(tokio::time::sleep(wait))));
        }
        let over = self.timer.as_mut().is_some_and(|(_, t)| t.as_mut().poll(cx).is_ready());
        if over {
            self.timer = None;
        }
        over
    }
}
