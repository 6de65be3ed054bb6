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
    /// A stop was asked for by SIGHUP: who ends a session sends SIGTERM as well.
    hung_up: bool,
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
            hung_up: false,
        })
    }

    /// Waits for the next one and names it. What only says again that a terminal is gone, as shell, kernel
    /// and session do, is no second wish.
    pub async fn next(&mut self) -> &'static str {
        loop {
            let signal = tokio::select! {
                _ = self.terminate.recv() => "SIGTERM",
                _ = self.interrupt.recv() => "SIGINT",
                _ = self.hangup.recv() => "SIGHUP",
            };
            let on_hangup = std::mem::replace(&mut self.on_hangup, OnHangup::GoOn);
            match (signal, on_hangup) {
                ("SIGHUP", OnHangup::Stop) => {
                    self.hung_up = true;
                    return signal;
                }
                ("SIGHUP", OnHangup::GoOn) => {
                    tracing::info!(
                        "SIGHUP: certificates and policies are read again if there are any; \
                         other settings need a restart"
                    );
                }
                _ if std::mem::take(&mut self.hung_up) => {}
                _ => return signal,
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

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    fn send(names: &[&str]) {
        for name in names {
            let pid = std::process::id().to_string();
            assert!(
                Command::new("kill").args([&format!("-{name}"), &pid]).status().unwrap().success()
            );
        }
    }

    /// Whoever closes a window, or ends a session, says so two or three times.
    #[tokio::test]
    async fn a_terminal_that_is_gone_is_one_wish_and_the_next_is_another() {
        let mut signals = StopSignals::listen(OnHangup::Stop).unwrap();
        send(&["HUP"]);
        assert_eq!(signals.next().await, "SIGHUP");
        send(&["HUP", "TERM", "TERM"]);
        // The first one belongs to the terminal's end; two that come together count as one.
        send(&["INT"]);
        let second = signals.next().await;
        assert!(["SIGTERM", "SIGINT"].contains(&second), "{second}");

        let mut signals = StopSignals::listen(OnHangup::Stop).unwrap();
        send(&["TERM"]);
        assert_eq!(signals.next().await, "SIGTERM");
        send(&["HUP", "INT"]);
        assert_eq!(signals.next().await, "SIGINT", "a window that is closed meanwhile");
    }
}
