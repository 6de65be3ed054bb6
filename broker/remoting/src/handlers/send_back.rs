//! `CONSUMER_SEND_MSG_BACK`.

use blockhouse_core::send_back::SendBack;
use blockhouse_model::PhysicalOffset;
use blockhouse_protocol::codes::response_code;
use blockhouse_protocol::header::send::ConsumerSendMsgBack;

use crate::call::OwnedCall;
use crate::response::{Answer, Failure, Response};

pub(crate) fn handle(call: OwnedCall) -> Answer {
    Box::pin(async move {
        let h = ConsumerSendMsgBack::parse(&call.command.ext)?;
        let offset = PhysicalOffset::from_i64(h.offset).ok_or_else(|| {
            Failure::new(response_code::SYSTEM_ERROR, "offset must not be negative")
        })?;
        let back = SendBack {
            group: h.group,
            offset,
            delay_level: h.delay_level,
            max_reconsume_times: h.max_reconsume_times,
            unit_mode: h.unit_mode,
        };
        call.broker.send_back(call.caller(), back).await?;
        Ok(Response::ok())
    })
}
