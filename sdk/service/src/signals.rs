//! SIGTERM and SIGINT: the first asks for a clean stop, the second ends it. SIGHUP, SIGUSR2.

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::Error;

/// Sent for a write that would make a file larger than the process may; by default it kills.
const SIGXFSZ: i32 = 25;

/// What SIGHUP means besides what [`Hangups`] are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnHangup {
    /// The terminal is gone: the first one asks for a stop.
    Stop,
    /// Somebody wants files read again: it never ends the process.
    GoOn,
}

/// Signals that ask the process to stop.
#[derive(Debug)]
pub struct StopSignals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
    on_hangup: OnHangup,
}

impl StopSignals {
    /// Starts to listen: from here on these signals no longer end the process by themselves.
    ///
    /// # Errors
    /// If the operating system refuses.
    pub fn listen(on_hangup: OnHangup) -> Result<Self, Error> {
        let on = |kind| signal(kind).map_err(Error::Signals);
        // Once it is listened to, the write fails instead, and whoever wrote can say so.
        drop(on(SignalKind::from_raw(SIGXFSZ))?);
        Ok(Self {
            terminate: on(SignalKind::terminate())?,
            interrupt: on(SignalKind::interrupt())?,
            hangup: on(SignalKind::hangup())?,
            on_hangup,
        })
    }

    /// Waits for the next one and names it.
    pub async fn next(&mut self) -> &'static str {
        loop {
            tokio::select! {
                _ = self.terminate.recv() => return "SIGTERM",
                _ = self.interrupt.recv() => return "SIGINT",
                _ = self.hangup.recv() => {
                    // Shell and kernel both tell of a terminal that is gone: the second is no other wish.
                    if std::mem::replace(&mut self.on_hangup, OnHangup::GoOn) == OnHangup::Stop {
                        return "SIGHUP";
                    }
                    tracing::info!(
                        "SIGHUP: certificates and policies are read again if there are any; \
                         other settings need a restart"
                    );
                }
            }
        }
    }
}

/// SIGHUP: asks the process to look at its files again.
#[derive(Debug)]
pub struct Hangups(Signal);

impl Hangups {
    /// Starts to listen: from here on this signal no longer ends the process.
    ///
    /// # Errors
    /// If the operating system refuses.
    pub fn listen() -> Result<Self, Error> {
        Ok(Self(signal(SignalKind::hangup()).map_err(Error::Signals)?))
    }

    /// Waits for the next one.
    pub async fn next(&mut self) {
        self.0.recv().await;
    }
}

/// SIGUSR2: asks the process to keep what it knows of the last moments.
#[derive(Debug)]
pub struct DumpSignals(Signal);

impl DumpSignals {
    /// Starts to listen: from here on this signal no longer ends the process.
    ///
    /// # Errors
    /// If the operating system refuses.
    pub fn listen() -> Result<Self, Error> {
        Ok(Self(signal(SignalKind::user_defined2()).map_err(Error::Signals)?))
    }

    /// Waits for the next one.
    pub async fn next(&mut self) {
        self.0.recv().await;
    }
}
