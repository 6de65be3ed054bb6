//! Requests that took long, and requests that were refused, as lines of the log.
//!
//! What stands in a line is put together when it is written: most lines of a flood are suppressed.

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use blockhouse_meter::{FlightRecord, NameNumber, Recorder, Refused};
use blockhouse_model::trace::{current, enter};
use blockhouse_model::{Timestamp, TraceParent};
use blockhouse_protocol::RemotingCommand;
use blockhouse_protocol::codes::{request_code, response_code};
use blockhouse_protocol::header::send::SendMessage;

use crate::subject::trace_of;

/// Most bytes of each text that a client wrote, in a line of the log.
const TEXT_MAX: usize = 512;

/// Requests of one burst that took long.
pub(crate) fn slow(record: &FlightRecord, flight: Option<&dyn Recorder>) {
    let subject = &record.subject;
    let known = Some(subject.trace_id).filter(|id| *id != 0);
    let _in_trace = enter(known.unwrap_or_else(current));
    let reason = Some(subject.reason).filter(|reason| *reason != NameNumber::NONE);
    tracing::warn!(
        request = request_code::name(record.request),
        answer = %Answer(record.response),
        reason = reason.map(|reason| tracing::field::display(Named(reason, flight))),
        ms = millis(record.total),
        requests = record.requests,
        address = %record.peer,
        client = %Named(record.client, flight),
        topic = %Named(subject.topic, flight),
        group = %Named(subject.group, flight),
        queue = subject.queue,
        late = record.is_late,
        "slow request"
    );
}

/// Whether people are told that requests were answered so.
pub(crate) const fn is_worth_telling(answer: i32) -> bool {
    // These say that something is not there, and clients ask for it every few seconds.
    !matches!(answer, response_code::QUERY_NOT_FOUND | response_code::SUCCESS)
}

/// A request that is refused.
pub(crate) struct Refusal<'a> {
    pub(crate) request: i32,
    pub(crate) answer: i32,
    /// As the client is told.
    pub(crate) reason: &'a str,
    pub(crate) peer: SocketAddr,
    pub(crate) topic: &'a str,
    pub(crate) group: &'a str,
    /// Its trace: of a send, that of its message.
    pub(crate) trace: u128,
}

impl<'a> Refusal<'a> {
    /// With what the request's fields say.
    pub(crate) fn of(
        command: &'a RemotingCommand,
        (answer, reason): (i32, &'a str),
        peer: SocketAddr,
    ) -> Self {
        let send = is_send(command.code).then(|| SendMessage::parse(&command.ext).ok()).flatten();
        let field = |name| command.ext.get(name).unwrap_or_default();
        let (topic, group) = match &send {
            Some(send) => (send.topic, send.producer_group),
            None => (field("topic"), field("consumerGroup")),
        };
        let of_message = send.as_ref().and_then(|send| TraceParent::of_properties(send.properties));
        let trace = of_message.map_or_else(|| trace_of(command), |span| span.trace_id);
        Self { request: command.code, answer, reason, peer, topic, group, trace }
    }

    /// As it is kept for those who ask for it.
    pub(crate) fn kept(&self, at: Timestamp, client: String) -> Refused {
        Refused {
            at,
            request: self.request,
            answer: self.answer,
            reason: short(self.reason).to_owned(),
            peer: self.peer,
            client,
            topic: short(self.topic).to_owned(),
            group: short(self.group).to_owned(),
            count: 1,
        }
    }

    /// Writes its line, after it `waited` so long.
    pub(crate) fn log(&self, waited: Duration) {
        let _in_trace = enter(self.trace);
        tracing::info!(
            request = request_code::name(self.request),
            code = self.request,
            answer = %Answer(self.answer),
            reason = short(self.reason),
            address = %self.peer,
            topic = short(self.topic),
            group = short(self.group),
            waited_ms = millis(waited),
            "refused"
        );
    }
}

pub(crate) const fn is_send(code: i32) -> bool {
    matches!(
        code,
        request_code::SEND_MESSAGE
            | request_code::SEND_MESSAGE_V2
            | request_code::SEND_BATCH_MESSAGE
    )
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// As much of a client's text as a line has room for.
fn short(text: &str) -> &str {
    text.get(..text.floor_char_boundary(TEXT_MAX)).unwrap_or_default()
}

/// The name of an answer's code, or its number.
struct Answer(i32);

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match response_code::name(self.0) {
            "UNKNOWN" => write!(f, "{}", self.0),
            name => f.write_str(name),
        }
    }
}

/// A name that is a number so far.
struct Named<'a>(NameNumber, Option<&'a dyn Recorder>);

impl fmt::Display for Named<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.1.and_then(|flight| flight.text(self.0));
        f.write_str(text.as_deref().unwrap_or_default())
    }
}
