//! Requests that took long, and requests that were refused, as lines of the log.
//!
//! What stands in a line is put together when it is written: most lines of a flood are suppressed.

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use blockhouse_meter::flight::Subject;
use blockhouse_meter::{FlightRecord, NameNumber, Recorder};
use blockhouse_model::TraceParent;
use blockhouse_model::trace::{current, enter};
use blockhouse_protocol::RemotingCommand;
use blockhouse_protocol::codes::{request_code, response_code};
use blockhouse_protocol::header::send::SendMessage;

use crate::subject::trace_of;

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

/// A request that was refused.
pub(crate) struct Refused<'a> {
    pub(crate) request: i32,
    pub(crate) answer: i32,
    pub(crate) reason: &'a str,
    pub(crate) peer: SocketAddr,
    /// For so long it had been waiting until then.
    pub(crate) waited: Duration,
}

impl Refused<'_> {
    /// The request is there.
    pub(crate) fn now(&self, command: &RemotingCommand) {
        let send = is_send(command.code).then(|| SendMessage::parse(&command.ext).ok()).flatten();
        let of_message = send.as_ref().and_then(|send| TraceParent::of_properties(send.properties));
        let of_message = of_message.map(|span| span.trace_id);
        let _in_trace = enter(of_message.unwrap_or_else(|| trace_of(command)));
        let field = |name| command.ext.get(name).unwrap_or_default();
        let (topic, group) = match &send {
            Some(send) => (send.topic, send.producer_group),
            None => (field("topic"), field("consumerGroup")),
        };
        self.write(topic, group);
    }

    /// The request is gone, and this is known of it.
    pub(crate) fn late(&self, subject: &Subject, flight: Option<&dyn Recorder>) {
        let known = Some(subject.trace_id).filter(|id| *id != 0);
        let _in_trace = enter(known.unwrap_or_else(current));
        let named = |number| flight.and_then(|flight| flight.text(number)).unwrap_or_default();
        self.write(&named(subject.topic), &named(subject.group));
    }

    fn write(&self, topic: &str, group: &str) {
        // These say that something is not there, and clients ask for it every few seconds.
        if matches!(self.answer, response_code::QUERY_NOT_FOUND | response_code::SUCCESS) {
            return;
        }
        tracing::info!(
            request = request_code::name(self.request),
            code = self.request,
            answer = %Answer(self.answer),
            reason = self.reason,
            address = %self.peer,
            topic,
            group,
            waited_ms = millis(self.waited),
            "refused"
        );
    }
}

const fn is_send(code: i32) -> bool {
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
