//! Answers to a burst, and how long they took: the clock is read when the burst is handed on and when
//! its answers are there, not for each of them.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use blockhouse_core::Broker;
use blockhouse_meter::flight::Subject;
use blockhouse_meter::{
    Created, Exemplar, FlightRecord, Invocation, Meter, NameNumber, Processor, RpcKind,
    micros_since,
};
use blockhouse_model::{Clock, TraceParent};
use blockhouse_protocol::RemotingCommand;
use blockhouse_protocol::codes::request_code;
use blockhouse_transport::{Connection, Replies};

use crate::processor::processor_of;
use crate::{request_log, subject};

/// Kinds of answers that a burst is told apart in before the clock is read once more.
const KINDS: usize = 8;

/// The answers to a burst, or to a part of it that had to wait. Counted when it is dropped.
pub(crate) struct Answers<'a> {
    pub(crate) replies: &'a mut Replies,
    meter: &'a Meter,
    clock: &'a dyn Clock,
    asked: Asked,
    /// Whether they are given later.
    is_late: bool,
    kinds: [(Answered, u32); KINDS],
    used: usize,
    /// The last of them that became a span.
    recorded: Option<(Kind, TraceParent)>,
}

/// When a burst came, and from whom.
#[derive(Clone, Copy)]
struct Asked {
    began: Duration,
    peer: SocketAddr,
    connection: u64,
    client: NameNumber,
    /// It waits for messages.
    is_held: bool,
}

/// Requests that were answered alike.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Answered {
    kind: Kind,
    /// What they were about, where that is recorded.
    subject: Subject,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Kind {
    request: i32,
    response: i32,
    is_one_way: bool,
    /// Nobody serves it: whoever sent it can make up more.
    is_unknown: bool,
}

impl Answered {
    pub(crate) fn of(command: &RemotingCommand, response: i32, subject: Subject) -> Self {
        let (request, is_one_way) = (command.code, command.is_one_way());
        Self { kind: Kind { request, response, is_one_way, is_unknown: false }, subject }
    }

    pub(crate) const fn with(self, response: i32) -> Self {
        Self { kind: Kind { response, ..self.kind }, ..self }
    }

    /// It brought so many bytes of messages.
    pub(crate) const fn of_bytes(self, bytes: u64) -> Self {
        Self { subject: Subject { bytes, ..self.subject }, ..self }
    }
}

impl<'a> Answers<'a> {
    /// The answers to a burst that is handed on now.
    pub(crate) fn now(
        (broker, meter): (&'a Broker, &'a Meter),
        connection: &Connection,
        replies: &'a mut Replies,
    ) -> Self {
        let flight = meter.flight();
        let client_id = flight.and_then(|flight| Some((flight, connection.client_id()?)));
        let asked = Asked {
            began: broker.clock().monotonic(),
            peer: connection.peer(),
            connection: connection.id(),
            client: client_id.map_or(NameNumber::NONE, |(flight, id)| flight.name(&id)),
            is_held: false,
        };
        Self::since(asked, (broker.clock(), meter), replies)
    }

    fn since(
        asked: Asked,
        (clock, meter): (&'a dyn Clock, &'a Meter),
        replies: &'a mut Replies,
    ) -> Self {
        let kinds = [(Answered::default(), 0); KINDS];
        Self { replies, meter, clock, asked, is_late: false, kinds, used: 0, recorded: None }
    }

    /// Counts a request that is answered.
    pub(crate) fn add(&mut self, answered: Answered) {
        let known =
            self.kinds[..self.used].iter_mut().find(|(known, _)| known.kind == answered.kind);
        if let Some((known, requests)) = known {
            *requests += 1;
            known.subject.join(&answered.subject);
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
        self.recorded = Some((answered.kind, span));
    }

    /// A request and its answer, with what its fields say that it is about.
    pub(crate) fn answered(&self, command: &RemotingCommand, response: i32) -> Answered {
        let subject = self.meter.flight().map(|flight| subject::of_fields(&**flight, command));
        Answered::of(command, response, subject.unwrap_or_default())
    }

    /// Logs that a request is refused, and why.
    pub(crate) fn log_refused(&self, command: &RemotingCommand, answer: i32, reason: &str) {
        if self.meter.logged().refused {
            let waited = self.clock.monotonic().saturating_sub(self.asked.began);
            request_log::refused(command, (answer, reason), (self.asked.peer, waited));
        }
    }

    /// Counts a request whose code nobody serves.
    pub(crate) fn add_unknown(&mut self, command: &RemotingCommand, response: i32) {
        let Answered { kind, subject } = Answered::of(command, response, Subject::default());
        self.add(Answered { kind: Kind { is_unknown: true, ..kind }, subject });
    }

    /// What is left of it for requests of a code that have to wait: they are counted as such.
    pub(crate) fn later(
        &self,
        (broker, meter): (&Arc<Broker>, &Arc<Meter>),
        code: i32,
        requests: usize,
    ) -> Later {
        let (processor, requests) =
            (processor_of(code), u32::try_from(requests).unwrap_or(u32::MAX));
        meter.watermarks.begin(processor, requests);
        let (broker, meter) = (Arc::clone(broker), Arc::clone(meter));
        Later { broker, meter, asked: self.asked, waiting: Some((processor, requests)) }
    }

    fn count(&mut self) {
        let used = std::mem::take(&mut self.used);
        if used == 0 {
            return;
        }
        let ended = self.clock.monotonic();
        let total = ended.saturating_sub(self.asked.began);
        let micros = u64::try_from(total.as_micros()).unwrap_or(u64::MAX);
        let slow = self.meter.logged().slow;
        let is_slow = !self.asked.is_held && slow.is_some_and(|slow| total >= slow);
        let recorded = self.recorded.take();
        for (Answered { kind, subject }, requests) in &self.kinds[..used] {
            let span = recorded.filter(|(of, _)| of == kind).map(|(_, span)| span);
            self.measure(*kind, micros, *requests, span);
            let flight = self.meter.flight();
            if flight.is_some() || is_slow {
                let of_span = span.map_or(0, |span| span.trace_id);
                let known = if subject.trace_id == 0 { of_span } else { subject.trace_id };
                let subject = Subject { trace_id: known, ..*subject };
                let record = self.record_of((*kind, subject), *requests, (ended, total));
                if let Some(flight) = flight {
                    flight.record(&record);
                }
                if is_slow {
                    request_log::slow(&record, flight.map(|flight| &**flight));
                }
            }
        }
    }

    fn measure(&self, kind: Kind, micros: u64, requests: u32, span: Option<TraceParent>) {
        let Kind { request, response, is_one_way, is_unknown } = kind;
        let is_held = self.asked.is_held;
        self.meter.requests.add(request, response, requests.into());
        let alike = RpcKind { request, response, is_held, is_one_way };
        self.meter.latencies.add((!is_unknown).then_some(alike), micros, requests.into());
        if let Some(span) = span {
            self.meter.exemplars.keep(alike, Exemplar { span, micros, at: self.clock.now() });
        }
        match request {
            request_code::SEND_MESSAGE
            | request_code::SEND_MESSAGE_V2
            | request_code::SEND_BATCH_MESSAGE => self.meter.sends.sent(micros, requests.into()),
            request_code::PULL_MESSAGE if !is_held => self.meter.sends.pulled(micros),
            _ => {}
        }
    }

    fn record_of(
        &self,
        (kind, subject): (Kind, Subject),
        requests: u32,
        (ended, total): (Duration, Duration),
    ) -> FlightRecord {
        let Kind { request, response, is_one_way, .. } = kind;
        let Asked { is_held, peer, connection, client, .. } = self.asked;
        FlightRecord {
            ended,
            total,
            request,
            response,
            requests,
            is_held,
            is_late: self.is_late && !is_held,
            is_one_way,
            peer,
            connection,
            client,
            subject,
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
    /// They wait for messages.
    pub(crate) fn held(mut self) -> Self {
        self.no_more();
        self.asked.is_held = true;
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
        let mut replies = Replies::new();
        let counted = (self.broker.clock(), &*self.meter);
        let mut answers = Answers::since(self.asked, counted, &mut replies);
        answers.is_late = true;
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
