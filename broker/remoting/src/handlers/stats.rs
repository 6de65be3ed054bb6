//! `VIEW_BROKER_STATS_DATA`: what the last minute, hour and day brought.

use std::time::Duration;

use blockhouse_core::stats::{Kind, Rate};
use blockhouse_protocol::body::stats::{BrokerStatsData, BrokerStatsItem};
use blockhouse_protocol::codes::response_code;
use blockhouse_protocol::fastjson;
use blockhouse_protocol::header::stats::ViewBrokerStatsData;

use crate::call::Call;
use crate::response::{Failure, Response};

/// What RocketMQ calls the statistics that are kept here.
fn known(name: &str) -> Option<(Kind, Measure)> {
    Some(match name {
        "TOPIC_PUT_NUMS" => (Kind::TopicPut, Measure::Messages),
        "TOPIC_PUT_SIZE" => (Kind::TopicPut, Measure::Bytes),
        "GROUP_GET_NUMS" => (Kind::GroupGet, Measure::Messages),
        "GROUP_GET_SIZE" => (Kind::GroupGet, Measure::Bytes),
        "SNDBCK_PUT_NUMS" => (Kind::SendBack, Measure::Messages),
        "DLQ_PUT_NUMS" => (Kind::DeadLetter, Measure::Messages),
        _ => return None,
    })
}

#[derive(Clone, Copy)]
enum Measure {
    Messages,
    Bytes,
}

pub(crate) fn view(call: &Call<'_>) -> Result<Response, Failure> {
    let h = ViewBrokerStatsData::parse(&call.command.ext)?;
    let missing = || {
        let remark = format!("The stats <{}> <{}> not exist", h.stats_name, h.stats_key);
        Failure::new(response_code::SYSTEM_ERROR, remark)
    };
    let (kind, measure) = known(h.stats_name).ok_or_else(missing)?;
    let now = call.broker.clock().now();
    let item = |span| {
        let rate = call.broker.stats().rate(kind, h.stats_key, now, Duration::from_secs(span));
        rate.map(|rate| item(&rate, measure))
    };
    let data = BrokerStatsData {
        stats_day: item(86_400).ok_or_else(missing)?,
        stats_hour: item(3_600).ok_or_else(missing)?,
        stats_minute: item(60).ok_or_else(missing)?,
    };
    Ok(Response::body(fastjson::write(&data)))
}

fn item(rate: &Rate, measure: Measure) -> BrokerStatsItem {
    let (sum, tps) = match measure {
        Measure::Messages => (rate.volume.messages, rate.messages_per_second()),
        Measure::Bytes => (rate.volume.bytes, rate.bytes_per_second()),
    };
    BrokerStatsItem { avgpt: 0.0, sum: i64::try_from(sum).unwrap_or(i64::MAX), tps }
}
