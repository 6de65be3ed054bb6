//! What requests are about, for the flight recorder: names as numbers.

use blockhouse_core::send::Send;
use blockhouse_meter::flight::Subject;
use blockhouse_meter::{Meter, NameNumber};
use blockhouse_model::{QueueId, TraceParent};
use blockhouse_protocol::RemotingCommand;
use blockhouse_protocol::header::pull::PullMessage;
use blockhouse_protocol::header::send::SendMessage;
pub(crate) use blockhouse_requests::subject::trace_of;

/// What a run of sends is about, as far as they agree.
pub(crate) fn of_sends(meter: &Meter, sends: &[Send<'_>]) -> Subject {
    let (Some(flight), Some((first, rest))) = (meter.flight(), sends.split_first()) else {
        return Subject::default();
    };
    let named = |name: &str, is_common: bool| {
        if is_common { flight.name(name) } else { NameNumber::NONE }
    };
    Subject {
        topic: named(first.topic, rest.iter().all(|send| send.topic == first.topic)),
        group: named(
            first.producer_group,
            rest.iter().all(|send| send.producer_group == first.producer_group),
        ),
        ..Subject::default()
    }
}

/// What one send is about. Only asked for those that fail: it reads the request once more.
pub(crate) fn of_send(meter: &Meter, command: &RemotingCommand) -> Subject {
    let (Some(flight), Ok(header)) = (meter.flight(), SendMessage::parse(&command.ext)) else {
        return Subject::default();
    };
    Subject {
        topic: flight.name(header.topic),
        group: flight.name(header.producer_group),
        queue: QueueId::from_i32(header.queue_id).map(|queue| queue.0),
        trace_id: TraceParent::of_properties(header.properties).map_or(0, |span| span.trace_id),
        ..Subject::default()
    }
}

/// What a pull is about.
pub(crate) fn of_pull(
    meter: &Meter,
    (command, header): (&RemotingCommand, &PullMessage<'_>),
) -> Subject {
    let Some(flight) = meter.flight() else { return Subject::default() };
    Subject {
        topic: flight.name(header.topic),
        group: flight.name(header.consumer_group),
        queue: u32::try_from(header.queue_id).ok(),
        trace_id: trace_of(command),
        ..Subject::default()
    }
}
