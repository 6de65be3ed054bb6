//! SIGTERM and SIGINT: the first asks for a clean stop, the second ends it. SIGHUP, SIGUSR2.

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::Error;

/// Sent for a write that would make a file larger than the process may; by default it kills.
const SIGXFSZ: i32 = 25;

/// Signals that ask the process to stop.
#[derive(Debug)]
pub struct StopSignals {
    terminate: Signal,
    interrupt: Signal,
}

impl StopSignals {
    /// Starts to listen: from here on these signals no longer end the process by themselves.
    ///
    /// # Errors
    /// If the operating system refuses.
    pub fn listen() -> Result<Self, Error> {
        let on = |kind| signal(kind).map_err(Error::Signals);
        // Once it is listened to, the write fails instead, and whoever wrote can say so.
        drop(on(SignalKind::from_raw(SIGXFSZ))?);
        Ok(Self {
            terminate: on(SignalKind::terminate())?,
            interrupt: on(SignalKind::interrupt())?,
        })
    }

    /// Waits for the next one and names it.
    pub async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
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
