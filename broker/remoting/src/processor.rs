//! Whose queue a request would be in: what RocketMQ's metrics call those who serve requests.

use blockhouse_meter::Processor;
use blockhouse_protocol::codes::request_code as code;

/// Who serves requests of a code in RocketMQ: `BrokerController.registerProcessor`.
pub(crate) const fn processor_of(request: i32) -> Processor {
    match request {
        code::SEND_MESSAGE
        | code::SEND_MESSAGE_V2
        | code::SEND_BATCH_MESSAGE
        | code::CONSUMER_SEND_MSG_BACK => Processor::Send,
        code::PULL_MESSAGE => Processor::Pull,
        code::LITE_PULL_MESSAGE => Processor::LitePull,
        code::QUERY_MESSAGE | code::VIEW_MESSAGE_BY_ID => Processor::QueryMessage,
        code::UNREGISTER_CLIENT | code::CHECK_CLIENT_CONFIG => Processor::ClientManager,
        code::HEART_BEAT => Processor::Heartbeat,
        code::GET_CONSUMER_LIST_BY_GROUP
        | code::UPDATE_CONSUMER_OFFSET
        | code::QUERY_CONSUMER_OFFSET => Processor::ConsumerManager,
        _ => Processor::Admin,
    }
}
