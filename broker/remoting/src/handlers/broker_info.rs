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
        put(
            "getMissTps",
            call.meter.pull_misses.per_second().map(|rate| rate.to_string()).join(" "),
        );
        times(&call, &mut put);
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
    put("brokerVersion", codes::version::CURRENT.to_string());
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

    let (stored, delivered) =
        (broker.stats().total(Kind::TopicPut), broker.stats().total(Kind::GroupGet));
    put("putMessageTimesTotal", stored.messages.to_string());
    put("putMessageSizeTotal", stored.bytes.to_string());
    put("getMessageTransferredMsgCount", delivered.messages.to_string());
    put("msgPutTotalTodayNow", stored.messages.to_string());
    put("msgGetTotalTodayNow", delivered.messages.to_string());
    let average = stored.bytes.checked_div(stored.messages).unwrap_or(0);
    put("putMessageAverageSize", average.to_string());
    for (which, kind) in [("Put", Kind::TopicPut), ("Get", Kind::GroupGet)] {
        let mornings = broker.stats().mornings(kind);
        for (day, volume) in [("Today", mornings.today), ("Yesterday", mornings.yesterday)] {
            put(&format!("msg{which}Total{day}Morning"), volume.messages.to_string());
        }
    }
}

/// RocketMQ's names for spans of time that a send can take.
const BANDS: [&str; 13] = [
    "<=0ms",
    "0~10ms",
    "10~50ms",
    "50~100ms",
    "100~200ms",
    "200~500ms",
    "500ms~1s",
    "1~2s",
    "2~3s",
    "3~4s",
    "4~5s",
    "5~10s",
    "10s~",
];

fn times(call: &OwnedCall, put: Put<'_>) {
    let sends = &call.meter.sends;
    let minute = sends.last_minute(call.broker.clock().monotonic());
    let band = |(name, count): (&&str, &u64)| format!("[{name}]:{count}");
    let bands: Vec<String> = BANDS.iter().zip(&minute.bands).map(band).collect();
    put("putMessageDistributeTime", bands.join(" "));
    let [p99, p999] = minute.quantiles;
    put("putLatency99", format!("{p99:.2}"));
    put("putLatency999", format!("{p999:.2}"));
    let [send, pull] = sends.longest_ms();
    put("putMessageEntireTimeMax", send.to_string());
    put("getMessageEntireTimeMax", pull.to_string());
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
    let [write, _sync] = stats.waits;
    put("pageCacheLockTimeMills", write.as_millis().to_string());
    put("heldPulls", broker.held().count().to_string());
}

/// Java's thread pools and timers. Tools format some of these as numbers, so they must be there.
fn not_ours(put: Put<'_>) {
    for pool in ["send", "pull", "litePull", "query", "ack"] {
        put(&format!("{pool}ThreadPoolQueueSize"), "0".to_owned());
        put(&format!("{pool}ThreadPoolQueueCapacity"), ENDLESS.to_owned());
        put(&format!("{pool}ThreadPoolQueueHeadWaitTimeMills"), "0".to_owned());
    }
    for name in [
        "EndTransactionQueueSize",
        "startAcceptSendRequestTimeStamp",
        "timerReadBehind",
        "timerOffsetBehind",
        "timerCongestNum",
        "timerEnqueueTps",
        "timerDequeueTps",
    ] {
        put(name, "0".to_owned());
    }
    for name in ["EndTransactionThreadPoolQueueCapacity", "remainTransientStoreBufferNumbs"] {
        put(name, ENDLESS.to_owned());
    }
}

/// Java's `Integer.MAX_VALUE`, with which RocketMQ says that it has no pool of buffers: what is not there cannot be
/// full, nor run out.
const ENDLESS: &str = "2147483647";

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
