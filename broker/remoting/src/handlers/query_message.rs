//! `QUERY_MESSAGE` and `VIEW_MESSAGE_BY_ID`.

use blockhouse_core::inspect::KeyQuery;
use blockhouse_model::{PhysicalOffset, Timestamp};
use blockhouse_protocol::codes::response_code;
use blockhouse_protocol::header::message::{QueryMessage, QueryMessageResponse, ViewMessage};
use bytes::BytesMut;

use crate::call::OwnedCall;
use crate::response::{Answer, Failure, Response};

pub(crate) fn by_key(call: OwnedCall) -> Answer {
    Box::pin(async move {
        let h = QueryMessage::parse(&call.command.ext)?;
        let query = KeyQuery {
            topic: h.topic.to_owned(),
            key: h.key.to_owned(),
            messages_max: usize::try_from(h.max_num).unwrap_or(0),
            begin: Timestamp(h.begin_timestamp),
            end: Timestamp(h.end_timestamp),
        };
        let found = call.broker.messages_by_key(call.caller(), query).await?;
        let mut body = BytesMut::with_capacity(found.records.iter().map(bytes::Bytes::len).sum());
        for record in &found.records {
            body.extend_from_slice(record);
        }
        let header = QueryMessageResponse {
            index_last_update_timestamp: found.index_last_update_timestamp,
            index_last_update_phyoffset: i64::try_from(found.index_last_update_offset)
                .unwrap_or(i64::MAX),
        };
        let mut response = Response::fields(move |out| header.write(out)).with_body(body);
        if found.records.is_empty() {
            response.code = response_code::QUERY_NOT_FOUND;
            response = response.with_remark("can not find message, maybe time range not correct");
        }
        Ok(response)
    })
}

pub(crate) fn by_id(call: OwnedCall) -> Answer {
    Box::pin(async move {
        let h = ViewMessage::parse(&call.command.ext)?;
        let offset = PhysicalOffset::from_i64(h.offset).ok_or_else(|| {
            Failure::new(response_code::SYSTEM_ERROR, "offset must not be negative")
        })?;
        Ok(Response::body(call.broker.message_at(call.caller(), "", offset).await?))
    })
}
