//! Answers to a burst, and how long they took: the clock is read when the burst is handed on and when
//! its answers are there, not for each of them.

use std::sync::Arc;
use std::time::Duration;

use blockhouse_core::Broker;
use blockhouse_meter::{Created, Exemplar, Invocation, Meter, RpcKind, micros_since};
use blockhouse_model::{Clock, TraceParent};
use blockhouse_protocol::RemotingCommand;
use blockhouse_protocol::codes::request_code;
use blockhouse_transport::Replies;

/// Kinds of answers that a burst is told apart in before the clock is read once more.
const KINDS: usize = 8;

/// The answers to a burst, or to a part of it that had to wait. Counted when it is dropped.
pub(crate) struct Answers<'a> {
    pub(crate) replies: &'a mut Replies,
    meter: &'a Meter,
    clock: &'a dyn Clock,
    began: Duration,
    is_held: bool,
    kinds: [(Answered, u64); KINDS],
    used: usize,
    /// The last of them that became a span.
    recorded: Option<(Answered, TraceParent)>,
}

/// Requests that were answered alike.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Answered {
    request: i32,
    response: i32,
    is_one_way: bool,
    /// Nobody serves it: whoever sent it can make up more.
    is_unknown: bool,
}

impl Answered {
    pub(crate) fn of(command: &RemotingCommand, response: i32) -> Self {
        let (request, is_one_way) = (command.code, command.is_one_way());
        Self { request, response, is_one_way, is_unknown: false }
    }

    pub(crate) const fn with(self, response: i32) -> Self {
        Self { response, ..self }
    }
}

impl<'a> Answers<'a> {
    /// The answers to a burst that is handed on now.
    pub(crate) fn now(broker: &'a Broker, meter: &'a Meter, replies: &'a mut Replies) -> Self {
        let clock = broker.clock();
        Self::since(clock.monotonic(), (clock, meter), replies)
    }

    fn since(
        began: Duration,
        (clock, meter): (&'a dyn Clock, &'a Meter),
        replies: &'a mut Replies,
    ) -> Self {
        let kinds = [(Answered::default(), 0); KINDS];
        Self { replies, meter, clock, began, is_held: false, kinds, used: 0, recorded: None }
    }

    /// Counts a request that is answered.
    pub(crate) fn add(&mut self, answered: Answered) {
        let known = self.kinds[..self.used].iter_mut().find(|(kind, _)| *kind == answered);
        if let Some((_, requests)) = known {
            *requests += 1;
            return;
        }
        if self.used == KINDS {
            self.count();
        }
        self.kinds[self.used] = (answered, 1);
        self.used += 1;
    }

    /// Notes that a request that is counted became a span.
    pub(crate) fn recorded(&mut self, answered: Answered, span: TraceParent) {
        self.recorded = Some((answered, span));
    }

    /// Counts a request whose code nobody serves.
    pub(crate) fn add_unknown(&mut self, command: &RemotingCommand, response: i32) {
        self.add(Answered { is_unknown: true, ..Answered::of(command, response) });
    }

    /// What is left of it for those that have to wait.
    pub(crate) fn later(&self, broker: &Arc<Broker>, meter: &Arc<Meter>) -> Later {
        let (broker, meter) = (Arc::clone(broker), Arc::clone(meter));
        Later { broker, meter, began: self.began, is_held: false }
    }

    fn count(&mut self) {
        let used = std::mem::take(&mut self.used);
        if used == 0 {
            return;
        }
        let micros = micros_since(self.clock, self.began);
        let recorded = self.recorded.take();
        for (answered, requests) in &self.kinds[..used] {
            let Answered { request, response, is_one_way, is_unknown } = *answered;
            self.meter.requests.add(request, response, *requests);
            let kind = RpcKind { request, response, is_held: self.is_held, is_one_way };
            self.meter.latencies.add((!is_unknown).then_some(kind), micros, *requests);
            if let Some((of, span)) = recorded
                && of == *answered
            {
                let at = self.clock.now();
                self.meter.exemplars.keep(kind, Exemplar { span, micros, at });
            }
            match request {
                request_code::SEND_MESSAGE
                | request_code::SEND_MESSAGE_V2
                | request_code::SEND_BATCH_MESSAGE => self.meter.sends.sent(micros, *requests),
                request_code::PULL_MESSAGE if !self.is_held => self.meter.sends.pulled(micros),
                _ => {}
            }
        }
    }
}

impl Drop for Answers<'_> {
    fn drop(&mut self) {
        self.count();
    }
}

/// Requests that are answered later, each at its own time.
pub(crate) struct Later {
    broker: Arc<Broker>,
    meter: Arc<Meter>,
    began: Duration,
    is_held: bool,
}

impl Later {
    /// They wait for messages.
    pub(crate) fn held(self) -> Self {
        Self { is_held: true, ..self }
    }

    /// The broker.
    pub(crate) const fn broker(&self) -> &Arc<Broker> {
        &self.broker
    }

    /// Writes the answers, which are there now.
    pub(crate) fn write(&self, write: impl FnOnce(&mut Answers<'_>)) -> Replies {
        let mut replies = Replies::new();
        let counted = (self.broker.clock(), &*self.meter);
        let mut answers = Answers::since(self.began, counted, &mut replies);
        answers.is_held = self.is_held;
        write(&mut answers);
        drop(answers);
        replies
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
