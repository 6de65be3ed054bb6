//! Answers to a burst, and how long they took: the clock is read when the burst is handed on and when
//! its answers are there, not for each of them.

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use blockhouse_meter::flight::Subject;
use blockhouse_meter::spans::{Role, Stages, Ticks};
use blockhouse_meter::{Exemplar, FlightRecord, Meter, NameNumber, RpcKind};
use blockhouse_model::{Clock, TraceParent, trace};
use blockhouse_protocol::RemotingCommand;
use blockhouse_protocol::codes::request_code;
use blockhouse_transport::{Connection, Replies};

use crate::{log, subject, traced};

/// Kinds of answers that a burst is told apart in before the clock is read once more.
const KINDS: usize = 8;

/// The answers to a burst, or to a part of it that had to wait. Counted when it is dropped.
pub struct Answers<'a> {
    /// Where they are written.
    pub replies: &'a mut Replies,
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
#[derive(Clone, Copy, Debug)]
pub struct Asked {
    began: Duration,
    peer: SocketAddr,
    connection: u64,
    client: NameNumber,
    /// It waits for messages.
    is_held: bool,
    role: Role,
}

/// Requests that were answered alike.
#[derive(Clone, Copy, Debug, Default)]
pub struct Answered {
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

impl fmt::Debug for Answers<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answers").field("asked", &self.asked).finish_non_exhaustive()
    }
}

impl Asked {
    /// When it was handed on, on the monotonic clock.
    #[must_use]
    pub const fn began(&self) -> Duration {
        self.began
    }

    /// From where.
    #[must_use]
    pub const fn peer(&self) -> SocketAddr {
        self.peer
    }

    /// It waits for messages.
    #[must_use]
    pub const fn held(self) -> Self {
        Self { is_held: true, ..self }
    }

    /// Writes answers that had to wait, and are there now.
    pub fn write_late(
        self,
        counted: (&dyn Clock, &Meter),
        write: impl FnOnce(&mut Answers<'_>),
    ) -> Replies {
        let mut replies = Replies::new();
        let mut answers = Answers::since(self, counted, &mut replies);
        answers.is_late = true;
        write(&mut answers);
        drop(answers);
        replies
    }
}

impl Answered {
    /// A request that was about `subject`, and its answer.
    #[must_use]
    pub fn of(command: &RemotingCommand, response: i32, subject: Subject) -> Self {
        let (request, is_one_way) = (command.code, command.is_one_way());
        Self { kind: Kind { request, response, is_one_way, is_unknown: false }, subject }
    }

    /// The same with another answer.
    #[must_use]
    pub const fn with(self, response: i32) -> Self {
        Self { kind: Kind { response, ..self.kind }, ..self }
    }

    /// Whoever asked is called so.
    #[must_use]
    pub const fn asked_by(self, client: NameNumber) -> Self {
        Self { subject: Subject { client, ..self.subject }, ..self }
    }

    /// It brought so many bytes of messages.
    #[must_use]
    pub const fn of_bytes(self, bytes: u64) -> Self {
        Self { subject: Subject { bytes, ..self.subject }, ..self }
    }
}

impl<'a> Answers<'a> {
    /// The answers to a burst that is handed on now.
    pub fn now(
        (clock, meter): (&'a dyn Clock, &'a Meter),
        connection: &Connection,
        replies: &'a mut Replies,
    ) -> Self {
        let flight = meter.flight();
        let client_id = flight.and_then(|flight| Some((flight, connection.client_id()?)));
        let asked = Asked {
            began: clock.monotonic(),
            peer: connection.peer(),
            connection: connection.id(),
            client: client_id.map_or(NameNumber::NONE, |(flight, id)| flight.name(&id)),
            is_held: false,
            role: Role::Broker,
        };
        Self::since(asked, (clock, meter), replies)
    }

    /// The same, given by the server of this role.
    #[must_use]
    pub fn of(mut self, role: Role) -> Self {
        self.asked.role = role;
        self
    }

    fn since(
        asked: Asked,
        (clock, meter): (&'a dyn Clock, &'a Meter),
        replies: &'a mut Replies,
    ) -> Self {
        let kinds = [(Answered::default(), 0); KINDS];
        Self { replies, meter, clock, asked, is_late: false, kinds, used: 0, recorded: None }
    }

    /// What is left of it for those that have to wait.
    #[must_use]
    pub const fn asked(&self) -> Asked {
        self.asked
    }

    /// Counts a request that is answered.
    pub fn add(&mut self, answered: Answered) {
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
    pub fn recorded(&mut self, answered: Answered, span: TraceParent) {
        self.recorded = Some((answered.kind, span));
    }

    /// A request and its answer, with what its fields say that it is about.
    #[must_use]
    pub fn answered(&self, command: &RemotingCommand, response: i32) -> Answered {
        let subject = self.meter.flight().map(|flight| subject::of_fields(&**flight, command));
        Answered::of(command, response, subject.unwrap_or_default())
    }

    /// A request that is refused, which is kept and logged.
    #[must_use]
    pub fn refused(&self, command: &RemotingCommand, answer: i32, reason: &str) -> Answered {
        self.log_refused(command, answer, reason);
        self.because(self.answered(command, answer), reason)
    }

    /// The same of one that no handler has looked at, which becomes a span if errors are recorded.
    pub fn refused_unseen(
        &mut self,
        command: &RemotingCommand,
        answer: i32,
        reason: &str,
    ) -> Answered {
        let Answered { kind, subject } = self.refused(command, answer, reason);
        let trace_id = self.record_refused(command, answer, kind).unwrap_or(subject.trace_id);
        Answered { kind, subject: Subject { trace_id, ..subject } }
    }

    /// The trace that a refused request became a span of.
    fn record_refused(&mut self, command: &RemotingCommand, code: i32, kind: Kind) -> Option<u128> {
        let spans = self.meter.spans()?;
        let (began, now) = (self.asked.began, self.clock.monotonic());
        let span = traced::refused(
            spans,
            (command, code),
            (began, now),
            (self.asked.role, self.asked.peer),
        )?;
        self.recorded = Some((kind, span));
        Some(span.trace_id)
    }

    /// A request that is refused after it was put together what it is about: it is told with names that
    /// the flight recorder knows.
    #[must_use]
    pub fn refused_late(&self, answered: Answered, answer: i32, reason: &str) -> Answered {
        let answered = self.because(answered.with(answer), reason);
        if log::is_worth_telling(answer) {
            let subject = &answered.subject;
            let [topic, group] = [subject.topic, subject.group].map(|name| self.text(name));
            let known = Some(subject.trace_id).filter(|id| *id != 0);
            self.tell(&log::Refusal {
                request: answered.kind.request,
                answer,
                reason,
                peer: self.asked.peer,
                topic: &topic,
                group: &group,
                trace: known.unwrap_or_else(trace::current),
            });
        }
        answered
    }

    /// The number of a name, where there is a flight recorder.
    #[must_use]
    pub fn name(&self, text: &str) -> NameNumber {
        self.meter.flight().map_or(NameNumber::NONE, |flight| flight.name(text))
    }

    /// The same with a reason: a record has it in short.
    #[must_use]
    pub fn because(&self, answered: Answered, reason: &str) -> Answered {
        let known = self.meter.flight();
        let reason = known.map_or(NameNumber::NONE, |flight| subject::reason(&**flight, reason));
        Answered { subject: Subject { reason, ..answered.subject }, ..answered }
    }

    /// Keeps and logs that a request is refused, and why.
    pub fn log_refused(&self, command: &RemotingCommand, answer: i32, reason: &str) {
        if log::is_worth_telling(answer) {
            self.tell(&log::Refusal::of(command, (answer, reason), self.asked.peer));
        }
    }

    fn tell(&self, refusal: &log::Refusal<'_>) {
        let client = || self.text(self.asked.client);
        self.meter.refusals.keep(|| refusal.kept(self.clock.now(), client()));
        if self.meter.logged().refused {
            refusal.log(self.waited());
        }
    }

    /// The name with that number; nothing if it is not known.
    fn text(&self, name: NameNumber) -> String {
        self.meter.flight().and_then(|flight| flight.text(name)).unwrap_or_default()
    }

    fn waited(&self) -> Duration {
        self.clock.monotonic().saturating_sub(self.asked.began)
    }

    /// Counts a request whose code nobody serves.
    pub fn add_unknown(&mut self, command: &RemotingCommand, response: i32) {
        let Answered { kind, subject } = Answered::of(command, response, Subject::default());
        let kind = Kind { is_unknown: true, ..kind };
        let trace_id = self.record_refused(command, response, kind).unwrap_or_default();
        self.add(Answered { kind, subject: Subject { trace_id, ..subject } });
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
            self.meter.stages.add(ended_with(subject.stages, total));
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
                    log::slow(&record, flight.map(|flight| &**flight));
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
            // Somebody may send to who takes no messages.
            _ if is_unknown => {}
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
        let is_named = subject.client != NameNumber::NONE;
        let client = if is_named { subject.client } else { client };
        let subject = Subject { stages: ended_with(subject.stages, total), ..subject };
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

/// The last stage is what is left, where there are stages.
fn ended_with(stages: Stages, total: Duration) -> Stages {
    if stages.admit.is_zero() && stages.append.is_zero() {
        return stages;
    }
    let known = stages.admit.time() + stages.append.time();
    Stages { flush: Ticks::of(total.saturating_sub(known)), ..stages }
}
