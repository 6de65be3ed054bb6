//! The broker as a whole: what it is doing, and its configuration.

use std::collections::BTreeMap;
use std::time::Duration;

use blockhouse_core::Broker;
use blockhouse_core::stats::{Kind, Rate};
use blockhouse_protocol::body::list::KvTable;
use blockhouse_protocol::codes::response_code;
use blockhouse_protocol::header::stats::GetBrokerConfigResponse;
use blockhouse_protocol::{codes, fastjson};

use crate::call::{Call, OwnedCall};
use crate::response::{Answer, Failure, Response};

/// The spans that RocketMQ tells rates for, in its text of three numbers.
const SPANS: [Duration; 3] =
    [Duration::from_secs(10), Duration::from_secs(60), Duration::from_secs(600)];

pub(crate) fn runtime(call: OwnedCall) -> Answer {
    Box::pin(async move {
        let mut table = BTreeMap::new();
        let earliest = call.broker.earliest_message().await?.map_or(-1, |time| time.0);
        let mut put = |name: &str, value: String| {
            table.insert(name.to_owned(), value);
        };
        versions(&mut put);
        rates(&call.broker, &mut put);
        store(&call.broker, &mut put);
        put("earliestMessageTimeStamp", earliest.to_string());
        not_ours(&mut put);
        for (name, value) in call.node.facts() {
            put(name, value);
        }
        Ok(Response::body(fastjson::write(&KvTable { table })))
    })
}

type Put<'a> = &'a mut dyn FnMut(&str, String);

fn versions(put: Put<'_>) {
    put("brokerVersionDesc", codes::version::CURRENT_NAME.to_owned());
    put("brokerActive", "true".to_owned());
}

fn rates(broker: &Broker, put: Put<'_>) {
    let now = broker.clock().now();
    let three = |kind: Kind| {
        let rate = |span| broker.stats().total_rate(kind, now, span);
        SPANS.map(|span| Rate::messages_per_second(&rate(span)).to_string()).join(" ")
    };
    put("putTps", three(Kind::TopicPut));
    put("getTotalTps", three(Kind::GroupGet));
    put("getTransferredTps", three(Kind::GroupGet));
    // RocketMQ < 5 writes it so.
    put("getTransferedTps", three(Kind::GroupGet));
    put("getFoundTps", three(Kind::GroupGet));
    put("getMissTps", "0 0 0".to_owned());

    let (stored, delivered) =
        (broker.stats().total(Kind::TopicPut), broker.stats().total(Kind::GroupGet));
    put("putMessageTimesTotal", stored.messages.to_string());
    put("putMessageSizeTotal", stored.bytes.to_string());
    put("getMessageTransferredMsgCount", delivered.messages.to_string());
    put("msgPutTotalTodayNow", stored.messages.to_string());
    put("msgGetTotalTodayNow", delivered.messages.to_string());
    let average = stored.bytes.checked_div(stored.messages).unwrap_or(0);
    put("putMessageAverageSize", average.to_string());
    // What was counted before midnight is not kept: the counts above are since the start.
    for name in [
        "msgPutTotalTodayMorning",
        "msgPutTotalYesterdayMorning",
        "msgGetTotalTodayMorning",
        "msgGetTotalYesterdayMorning",
    ] {
        put(name, "0".to_owned());
    }
}

fn store(broker: &Broker, put: Put<'_>) {
    let stats = broker.store().stats();
    put("commitLogMinOffset", stats.log_min.to_string());
    put("commitLogMaxOffset", stats.log_end.to_string());
    put("dispatchMaxBuffer", stats.index_backlog.to_string());
    put("dispatchBehindBytes", stats.confirmed.until(stats.written).to_string());
    put("remainHowManyDataToFlush", format!("{} B", stats.flushed.until(stats.written)));
    #[expect(clippy::cast_precision_loss, reason = "a ratio for people")]
    let ratio = (stats.disk_used_percent as f64 / 100.0).to_string();
    put("commitLogDiskRatio", ratio.clone());
    put("consumeQueueDiskRatio", ratio);
    put("pageCacheLockTimeMills", "0".to_owned());
    put("heldPulls", broker.held().count().to_string());
}

/// Java's thread pools and timers. Tools format some of these as numbers, so they must be there.
fn not_ours(put: Put<'_>) {
    for pool in ["send", "pull", "litePull", "query", "ack"] {
        put(&format!("{pool}ThreadPoolQueueSize"), "0".to_owned());
        put(&format!("{pool}ThreadPoolQueueCapacity"), "0".to_owned());
        put(&format!("{pool}ThreadPoolQueueHeadWaitTimeMills"), "0".to_owned());
    }
    for name in [
        "EndTransactionQueueSize",
        "EndTransactionThreadPoolQueueCapacity",
        "remainTransientStoreBufferNumbs",
        "startAcceptSendRequestTimeStamp",
        "timerReadBehind",
        "timerOffsetBehind",
        "timerCongestNum",
        "timerEnqueueTps",
        "timerDequeueTps",
    ] {
        put(name, "0".to_owned());
    }
}

pub(crate) fn config(call: &Call<'_>) -> Result<Response, Failure> {
    let version = fastjson::write(&call.broker.topics().version());
    let version = String::from_utf8_lossy(&version).into_owned();
    let fields = move |out: &mut blockhouse_protocol::ExtWriter<'_>| {
        GetBrokerConfigResponse { version: &version }.write(out);
    };
    Ok(Response::fields(fields).with_body(call.node.properties()))
}

pub(crate) fn update_config(call: &Call<'_>) -> Result<Response, Failure> {
    let text = std::str::from_utf8(&call.command.body)
        .map_err(|_| Failure::new(response_code::SYSTEM_ERROR, "the body is not UTF-8"))?;
    call.node
        .update(text)
        .map_err(|problem| Failure::new(response_code::NO_PERMISSION, problem))?;
    Ok(Response::ok())
}
