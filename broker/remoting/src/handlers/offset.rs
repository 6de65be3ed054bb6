//! Where groups are, where queues begin and end.

use blockhouse_core::offsets::Place;
use blockhouse_model::Timestamp;
use blockhouse_protocol::header::offset as header;
use blockhouse_store::Boundary;

use crate::call::{Call, OwnedCall};
use crate::response::{Answer, Failure, Response};

pub(crate) fn query(call: &Call<'_>) -> Result<Response, Failure> {
    let h = header::QueryConsumerOffset::parse(&call.command.ext)?;
    let place = Place { group: h.consumer_group, topic: h.topic, queue: h.queue_id };
    let zero = h.set_zero_if_not_found.unwrap_or(true);
    let offset = call.broker.query_offset(call.caller, place, zero)?.to_i64();
    Ok(Response::fields(move |out| out.number("offset", offset)))
}

pub(crate) fn update(call: &Call<'_>) -> Result<Response, Failure> {
    let h = header::UpdateConsumerOffset::parse(&call.command.ext)?;
    let place = Place { group: h.consumer_group, topic: h.topic, queue: h.queue_id };
    if call.broker.commit_offset(call.caller, place, h.commit_offset)? {
        Ok(Response::ok())
    } else {
        Ok(Response::ok().with_remark("Offset has been previously reset"))
    }
}

pub(crate) fn max(call: &Call<'_>) -> Result<Response, Failure> {
    let h = header::GetMaxOffset::parse(&call.command.ext)?;
    let offset = call.broker.max_offset(call.caller, h.topic, h.queue_id)?.to_i64();
    Ok(Response::fields(move |out| out.number("offset", offset)))
}

pub(crate) fn min(call: &Call<'_>) -> Result<Response, Failure> {
    let h = header::GetMinOffset::parse(&call.command.ext)?;
    let offset = call.broker.min_offset(call.caller, h.topic, h.queue_id)?.to_i64();
    Ok(Response::fields(move |out| out.number("offset", offset)))
}

pub(crate) fn by_time(call: OwnedCall) -> Answer {
    Box::pin(async move {
        let h = header::SearchOffset::parse(&call.command.ext)?;
        let boundary = match h.boundary_type {
            Some(text) if text.eq_ignore_ascii_case("upper") => Boundary::Upper,
            _ => Boundary::Lower,
        };
        let time = Timestamp(h.timestamp);
        let found =
            call.broker.offset_by_time(call.caller(), h.topic, h.queue_id, time, boundary).await?;
        Ok(Response::fields(move |out| out.number("offset", found.to_i64())))
    })
}

pub(crate) fn earliest(call: OwnedCall) -> Answer {
    Box::pin(async move {
        let h = header::GetEarliestMsgStoretime::parse(&call.command.ext)?;
        let time = call.broker.earliest_store_time(call.caller(), h.topic, h.queue_id).await?;
        let time = time.map_or(-1, |time| time.0);
        Ok(Response::fields(move |out| out.number("timestamp", time)))
    })
}
