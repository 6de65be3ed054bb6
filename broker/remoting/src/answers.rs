//! Answers that come later, each at its own time, and commands whose time is counted by what they create.

use std::sync::Arc;
use std::time::Duration;

use blockhouse_core::Broker;
use blockhouse_meter::{Created, Invocation, Meter, Processor, micros_since};
use blockhouse_requests::Asked;
pub(crate) use blockhouse_requests::{Answered, Answers};
use blockhouse_transport::Replies;

use crate::processor::processor_of;

/// Requests that are answered later, each at its own time.
pub(crate) struct Later {
    broker: Arc<Broker>,
    meter: Arc<Meter>,
    asked: Asked,
    /// As whose and how many they are counted until this is dropped: until they are answered, or their
    /// connection is gone. Nothing of those that wait for messages.
    waiting: Option<(Processor, u32)>,
}

impl Drop for Later {
    fn drop(&mut self) {
        self.no_more();
    }
}

impl Later {
    /// So many of a burst, with that code: they are counted as such.
    pub(crate) fn of(
        answers: &Answers<'_>,
        (broker, meter): (&Arc<Broker>, &Arc<Meter>),
        code: i32,
        requests: usize,
    ) -> Self {
        let (processor, requests) =
            (processor_of(code), u32::try_from(requests).unwrap_or(u32::MAX));
        meter.watermarks.begin(processor, requests);
        let (broker, meter) = (Arc::clone(broker), Arc::clone(meter));
        Self { broker, meter, asked: answers.asked(), waiting: Some((processor, requests)) }
    }

    /// They wait for messages.
    pub(crate) fn held(mut self) -> Self {
        self.no_more();
        self.asked = self.asked.held();
        self
    }

    /// They do not wait any more, or not for the broker.
    fn no_more(&mut self) {
        if let Some((processor, requests)) = self.waiting.take() {
            self.meter.watermarks.end(processor, requests);
        }
    }

    /// The broker.
    pub(crate) const fn broker(&self) -> &Arc<Broker> {
        &self.broker
    }

    /// Where they are counted.
    pub(crate) const fn meter(&self) -> &Arc<Meter> {
        &self.meter
    }

    /// Writes the answers, which are there now.
    pub(crate) fn write(&self, write: impl FnOnce(&mut Answers<'_>)) -> Replies {
        self.asked.write_late((self.broker.clock(), &*self.meter), write)
    }
}

/// A command that creates something.
pub(crate) struct Creation {
    broker: Arc<Broker>,
    meter: Arc<Meter>,
    began: Duration,
    what: Created,
}

impl Creation {
    pub(crate) fn begin(broker: &Arc<Broker>, meter: &Arc<Meter>, what: Created) -> Self {
        let (broker, meter) = (Arc::clone(broker), Arc::clone(meter));
        Self { began: broker.clock().monotonic(), broker, meter, what }
    }

    /// It was done, or not.
    pub(crate) fn end<T, E>(self, is_system: bool, done: Result<T, E>) -> Result<T, E> {
        let micros = micros_since(self.broker.clock(), self.began);
        let status = if done.is_ok() { Invocation::Success } else { Invocation::Failure };
        self.meter.creations.add(self.what, is_system, status, micros);
        done
    }
}
