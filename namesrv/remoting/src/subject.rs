//! What requests are about, for the flight recorder.

use blockhouse_protocol::RemotingCommand;
use blockhouse_protocol::codes::request_code as code;
use blockhouse_requests::{Answered, Answers};

/// A request and its answer; those of brokers with the broker's name.
pub(crate) fn answered(answers: &Answers<'_>, command: &RemotingCommand, answer: i32) -> Answered {
    let answered = answers.answered(command, answer);
    if is_of_a_broker(command.code) {
        let name = command.ext.get("brokerName").unwrap_or_default();
        return answered.asked_by(answers.name(name));
    }
    answered
}

/// What a broker says of itself. Of other requests the field names the broker that they are about.
const fn is_of_a_broker(request: i32) -> bool {
    matches!(
        request,
        code::REGISTER_BROKER
            | code::UNREGISTER_BROKER
            | code::BROKER_HEARTBEAT
            | code::QUERY_DATA_VERSION
    )
}
