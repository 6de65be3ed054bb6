//! What requests are about, for the flight recorder: names as numbers.

use blockhouse_meter::flight::Subject;
use blockhouse_meter::{NameNumber, Recorder};
use blockhouse_model::TraceParent;
use blockhouse_model::trace::TRACE_PARENT;
use blockhouse_protocol::RemotingCommand;

/// What a request says in fields of the usual names.
pub fn of_fields(flight: &dyn Recorder, command: &RemotingCommand) -> Subject {
    let named = |field| command.ext.get(field).map_or(NameNumber::NONE, |name| flight.name(name));
    Subject {
        topic: named("topic"),
        group: named("consumerGroup"),
        queue: command.ext.get("queueId").and_then(|queue| queue.parse().ok()),
        trace_id: trace_of(command),
        ..Subject::default()
    }
}

/// The trace that a request names in a field of its own; 0 without.
#[must_use]
pub fn trace_of(command: &RemotingCommand) -> u128 {
    let span = command.ext.get(TRACE_PARENT).and_then(TraceParent::parse);
    span.map_or(0, |span| span.trace_id)
}

/// A reason, as records have it.
pub fn reason(flight: &dyn Recorder, text: &str) -> NameNumber {
    flight.name(in_short(text))
}

/// Without what follows a colon and has a number, which is another one each time: the table of names is not
/// for those.
fn in_short(text: &str) -> &str {
    match text.split_once(": ") {
        Some((short, rest)) if rest.bytes().any(|byte| byte.is_ascii_digit()) => short,
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use super::in_short;

    #[test]
    fn numbers_that_change_are_left_out_of_reasons() {
        for (text, short) in [
            ("the quota is used up: come back in 120 ms", "the quota is used up"),
            ("the message is illegal: body is empty", "the message is illegal: body is empty"),
            ("a: b 5: c", "a"),
            ("queueId[5] is illegal", "queueId[5] is illegal"),
            ("", ""),
        ] {
            assert_eq!(in_short(text), short);
        }
    }
}
