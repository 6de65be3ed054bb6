//! Background threads that work at intervals or when asked.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

use crate::Error;

/// Asks a worker for a round. Asking twice before it starts is asking once.
#[derive(Debug, Default)]
pub(crate) struct Signal {
    state: Mutex<State>,
    changed: Condvar,
}

/// Why a round is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Round {
    /// Someone raised the signal.
    Asked,
    /// The interval is over.
    Due,
}

#[derive(Debug, Default)]
struct State {
    raised: bool,
    stopped: bool,
}

impl Signal {
    /// Asks for a round.
    pub(crate) fn raise(&self) {
        let mut state = self.state.lock();
        if !state.raised {
            state.raised = true;
            self.changed.notify_one();
        }
    }

    /// Waits until a round is asked for or `interval` is over; `None` when it is time to stop.
    fn wait(&self, interval: Duration) -> Option<Round> {
        let mut state = self.state.lock();
        if !state.raised && !state.stopped {
            let _over: bool = self.changed.wait_for(&mut state, interval).timed_out();
        }
        let round = if std::mem::take(&mut state.raised) { Round::Asked } else { Round::Due };
        (!state.stopped).then_some(round)
    }
}

/// A thread that is joined when dropped.
#[derive(Debug)]
pub(crate) struct Worker {
    signal: Arc<Signal>,
    thread: Mutex<Option<std::thread::JoinHandle<()>>>,
}

impl Worker {
    /// Runs `round` whenever `signal` is raised, and after each `interval` without that.
    pub(crate) fn start(
        name: &str,
        signal: Arc<Signal>,
        interval: Duration,
        round: impl Fn(Round) + Send + 'static,
    ) -> Result<Self, Error> {
        let waited = Arc::clone(&signal);
        let thread = std::thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || {
                while let Some(why) = waited.wait(interval) {
                    round(why);
                }
            })
            .map_err(Error::io("start thread", std::path::Path::new(name)))?;
        Ok(Self { signal, thread: Mutex::new(Some(thread)) })
    }

    /// Stops the thread after its round, if it is in one.
    pub(crate) fn stop(&self) {
        self.signal.state.lock().stopped = true;
        self.signal.changed.notify_one();
        let thread = self.thread.lock().take();
        // The thread itself may drop the last owner; it must not wait for itself.
        if let Some(thread) = thread.filter(|t| t.thread().id() != std::thread::current().id())
            && thread.join().is_err()
        {
            tracing::error!("a store thread panicked");
        }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.stop();
    }
}
