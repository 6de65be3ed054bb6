//! The captured frames, and the type that each code's header and body has.

use blockhouse_protocol::body::client::{
    ConsumerConnection, ConsumerIdList, LockBatchRequest, LockBatchResponse, ProducerConnection,
    ProducerTableInfo,
};
use blockhouse_protocol::body::group::{SubscriptionGroupConfig, SubscriptionGroupTable};
use blockhouse_protocol::body::heartbeat::{CheckClientRequest, HeartbeatData};
use blockhouse_protocol::body::list::{GroupList, KvTable, TopicList};
use blockhouse_protocol::body::message::{
    ConsumerRunningInfo, QueryConsumeQueueResponse, QuerySubscriptionResponse,
};
use blockhouse_protocol::body::offset::{
    ConsumeTimeSpans, ConsumerOffsets, CorrectionOffsets, DelayOffsets, ResetOffsetBody,
};
use blockhouse_protocol::body::route::{BrokerMemberGroupResponse, ClusterInfo, TopicRouteData};
use blockhouse_protocol::body::stats::{
    BrokerStatsData, ConsumeStats, ConsumeStatsList, TopicStatsTable,
};
use blockhouse_protocol::body::topic::{TopicConfig, TopicConfigTable};
use blockhouse_protocol::header::client::{
    GetConsumerConnectionList, GetConsumerListByGroup, GetConsumerRunningInfo,
    GetProducerConnectionList, NotifyConsumerIdsChanged, UnregisterClient,
};
use blockhouse_protocol::header::group::{
    DeleteSubscriptionGroup, GetSubscriptionGroupConfig, QuerySubscriptionByConsumer,
    QueryTopicsByConsumer,
};
use blockhouse_protocol::header::message::{
    ConsumeMessageDirectly, QueryConsumeQueue, QueryMessage, QueryMessageResponse, ViewMessage,
};
use blockhouse_protocol::header::namesrv::{
    AddWritePermOfBroker, AddWritePermOfBrokerResponse, DeleteKvConfig, DeleteTopicFromNamesrv,
    GetBrokerMemberGroup, GetKvConfig, GetKvConfigResponse, GetKvListByNamespace, GetRouteInfo,
    GetTopicsByCluster, PutKvConfig, QueryDataVersion, QueryDataVersionResponse, RegisterBroker,
    RegisterBrokerResponse, UnregisterBroker, WipeWritePermOfBroker, WipeWritePermOfBrokerResponse,
};
use blockhouse_protocol::header::offset::{
    GetEarliestMsgStoretime, GetEarliestMsgStoretimeResponse, GetMaxOffset, GetMinOffset,
    OffsetResponse, QueryConsumeTimeSpan, QueryConsumerOffset, QueryCorrectionOffset, ResetOffset,
    SearchOffset, UpdateConsumerOffset,
};
use blockhouse_protocol::header::pull::{PullMessage, PullMessageResponse};
use blockhouse_protocol::header::send::{ConsumerSendMsgBack, SendMessage, SendMessageResponse};
use blockhouse_protocol::header::stats::{
    GetBrokerConfigResponse, GetConsumeStats, GetConsumeStatsInBroker, ViewBrokerStatsData,
};
use blockhouse_protocol::header::topic::{
    CreateTopic, DeleteTopic, GetAllTopicConfigResponse, GetTopicConfig, GetTopicStatsInfo,
    QueryTopicConsumeByWho,
};
use blockhouse_protocol::{
    Body, BodyError, ExtFields, FieldError, RequestHead, encode, fastjson, frame,
};
use bytes::{Bytes, BytesMut};
use serde_json::Value;

/// One captured frame.
pub(crate) struct Capture {
    pub(crate) file: String,
    pub(crate) bytes: Vec<u8>,
    /// The code of the request that it is or answers.
    pub(crate) code: i32,
    pub(crate) request: bool,
}

/// All captured frames.
pub(crate) fn captures() -> Vec<Capture> {
    let index: Value = serde_json::from_slice(&file("index.json")).unwrap_or_default();
    let frames = index.get("frames").and_then(Value::as_array).cloned().unwrap_or_default();
    assert!(frames.len() > 200, "{} frames", frames.len());
    let capture = |entry: &Value| {
        let name = entry["file"].as_str().unwrap_or_default().to_owned();
        let code = entry["request_code"].as_i64().and_then(|code| i32::try_from(code).ok());
        let request = name.contains(".request.");
        Capture { bytes: file(&name), file: name, code: code.unwrap_or(0), request }
    };
    frames.iter().map(capture).collect()
}

#[expect(clippy::disallowed_methods, reason = "test data, not a store")]
fn file(name: &str) -> Vec<u8> {
    let path = format!("{}/tests/data/{name}", env!("CARGO_MANIFEST_DIR"));
    std::fs::read(&path).unwrap_or_else(|e| panic!("{path}: {e}"))
}

/// A body as a tree, whatever its dialect.
pub(crate) fn tree(text: &[u8]) -> Value {
    let strict = fastjson::standard(text).unwrap_or_else(|e| panic!("{e}"));
    serde_json::from_slice(&strict).unwrap_or_else(|e| panic!("{e}"))
}

/// Whether all of `part` is in `whole`, which may have further members.
pub(crate) fn is_within(part: &Value, whole: &Value) -> bool {
    match (part, whole) {
        (Value::Object(part), Value::Object(whole)) => {
            part.iter().all(|(name, value)| whole.get(name).is_some_and(|w| is_within(value, w)))
        }
        (Value::Array(part), Value::Array(whole)) => {
            part.len() == whole.len() && part.iter().zip(whole).all(|(p, w)| is_within(p, w))
        }
        _ => part == whole,
    }
}

fn fields(write: impl FnOnce(&mut encode::ExtWriter<'_>)) -> ExtFields {
    let mut out = BytesMut::new();
    encode::request(&mut out, &RequestHead::new(0, 0), write, b"");
    let command = frame::split(&mut out, frame::FRAME_LEN_MAX).ok().flatten();
    command.unwrap_or_else(|| panic!("what was written cannot be read")).ext
}

/// What the typed header of a code writes after it was read from `ext`.
pub(crate) fn written(
    code: i32,
    request: bool,
    ext: &ExtFields,
) -> Option<Result<ExtFields, FieldError>> {
    macro_rules! by_code {
        ($($($code:literal)|+ => $header:ty,)*) => {
            match code {
                $($($code)|+ => <$header>::parse(ext).map(|h| fields(|out| h.write(out))),)*
                _ => return None,
            }
        };
    }
    if code == 10 && request {
        return Some(SendMessage::parse(ext).map(|h| fields(|out| h.write_long(out))));
    }
    Some(if request {
        by_code! {
            310 | 320 | 325 => SendMessage<'_>, 11 | 361 => PullMessage<'_>,
            12 => QueryMessage<'_>, 14 => QueryConsumerOffset<'_>, 15 => UpdateConsumerOffset<'_>,
            17 => CreateTopic<'_>, 29 => SearchOffset<'_>, 30 => GetMaxOffset<'_>,
            31 => GetMinOffset<'_>, 32 => GetEarliestMsgStoretime<'_>, 33 => ViewMessage<'_>,
            35 => UnregisterClient<'_>, 36 => ConsumerSendMsgBack<'_>,
            38 => GetConsumerListByGroup<'_>, 40 => NotifyConsumerIdsChanged<'_>,
            100 => PutKvConfig<'_>, 101 => GetKvConfig<'_>, 102 => DeleteKvConfig<'_>,
            103 => RegisterBroker<'_>, 104 => UnregisterBroker<'_>, 105 => GetRouteInfo<'_>,
            202 => GetTopicStatsInfo<'_>, 203 => GetConsumerConnectionList<'_>,
            204 => GetProducerConnectionList<'_>, 205 => WipeWritePermOfBroker<'_>,
            207 => DeleteSubscriptionGroup<'_>, 208 => GetConsumeStats<'_>,
            215 => DeleteTopic<'_>, 216 => DeleteTopicFromNamesrv<'_>,
            219 => GetKvListByNamespace<'_>, 222 => ResetOffset<'_>, 224 => GetTopicsByCluster<'_>,
            300 => QueryTopicConsumeByWho<'_>, 303 => QueryConsumeTimeSpan<'_>,
            307 => GetConsumerRunningInfo<'_>, 308 => QueryCorrectionOffset<'_>,
            309 => ConsumeMessageDirectly<'_>, 315 => ViewBrokerStatsData<'_>,
            317 => GetConsumeStatsInBroker, 321 => QueryConsumeQueue<'_>,
            322 => QueryDataVersion<'_>, 327 => AddWritePermOfBroker<'_>,
            343 => QueryTopicsByConsumer<'_>, 345 => QuerySubscriptionByConsumer<'_>,
            351 => GetTopicConfig<'_>, 352 => GetSubscriptionGroupConfig<'_>,
            901 => GetBrokerMemberGroup<'_>,
        }
    } else {
        by_code! {
            10 | 310 | 320 => SendMessageResponse<'_>, 11 | 361 => PullMessageResponse,
            12 => QueryMessageResponse, 14 | 29 | 30 | 31 => OffsetResponse,
            21 => GetAllTopicConfigResponse, 26 => GetBrokerConfigResponse<'_>,
            32 => GetEarliestMsgStoretimeResponse, 101 => GetKvConfigResponse<'_>,
            103 => RegisterBrokerResponse<'_>, 205 => WipeWritePermOfBrokerResponse,
            322 => QueryDataVersionResponse, 327 => AddWritePermOfBrokerResponse,
        }
    })
}

/// What the typed body of a code writes after it was read from `text`.
pub(crate) fn body_again(
    code: i32,
    request: bool,
    text: &[u8],
) -> Option<Result<Bytes, BodyError>> {
    macro_rules! by_code {
        ($($($code:literal)|+ => $body:ty,)*) => {
            match code {
                $($($code)|+ => <$body>::decode(text).map(|b| b.encode()),)*
                _ => return None,
            }
        };
    }
    Some(if request {
        by_code! {
            34 => HeartbeatData, 41 | 42 => LockBatchRequest, 46 => CheckClientRequest,
            200 => SubscriptionGroupConfig,
        }
    } else {
        by_code! {
            21 => TopicConfigTable, 28 | 219 => KvTable, 38 => ConsumerIdList,
            41 => LockBatchResponse, 43 => ConsumerOffsets, 45 => DelayOffsets,
            105 => TopicRouteData, 106 => ClusterInfo, 201 => SubscriptionGroupTable,
            202 => TopicStatsTable, 203 => ConsumerConnection, 204 => ProducerConnection,
            206 | 224 | 304 | 305 | 343 => TopicList, 208 => ConsumeStats,
            222 => ResetOffsetBody, 300 => GroupList, 303 => ConsumeTimeSpans,
            307 => ConsumerRunningInfo, 308 => CorrectionOffsets, 315 => BrokerStatsData,
            317 => ConsumeStatsList, 321 => QueryConsumeQueueResponse, 328 => ProducerTableInfo,
            345 => QuerySubscriptionResponse, 351 => TopicConfig, 352 => SubscriptionGroupConfig,
            901 => BrokerMemberGroupResponse,
        }
    })
}
