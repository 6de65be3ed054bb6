//! Every type that a body or the fields of a header are read as. Shared by the fuzz targets and by
//! `tests/typed.rs`, which runs the same with fewer inputs.

use blockhouse_protocol::{Body, ExtFields, MessageQueue, fastjson};
use serde_json::Value;

/// What is read can be written, and what was written says the same when it is read again.
fn body<T: Body>(text: &[u8]) {
    let Ok(read) = T::decode(text) else { return };
    let written = read.encode();
    let again = T::decode(&written).expect("what was written is read").encode();
    if again != written {
        let tree = |text| fastjson::read::<Value>(text).expect("what was written is JSON");
        let what = std::any::type_name::<T>();
        assert!(is_same(&tree(&written), &tree(&again)), "{what}: {written:?} {again:?}");
    }
}

/// Whether two trees are equal but for the last digits of fractions, which `serde_json` does not
/// keep.
pub(crate) fn is_same(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Object(one), Value::Object(other)) => {
            one.len() == other.len()
                && one.iter().all(|(name, a)| other.get(name).is_some_and(|b| is_same(a, b)))
        }
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(a, b)| is_same(a, b))
        }
        (Value::Number(one), Value::Number(other)) => {
            let (a, b) = (one.as_f64().unwrap_or(0.0), other.as_f64().unwrap_or(0.0));
            one == other || (a - b).abs() <= a.abs() * 1e-12
        }
        _ => one == other,
    }
}

/// Reads `text` as every body.
pub(crate) fn bodies(text: &[u8]) {
    use blockhouse_protocol::body::{
        client, group, heartbeat, list, message, offset, route, stats, topic,
    };

    macro_rules! every {
        ($($module:ident: $($name:ident)*;)*) => {$($(
            body::<$module::$name>(text);
        )*)*};
    }
    every! {
        client: ConsumerIdList LockBatchRequest LockBatchResponse Connection ConsumerConnection ProducerConnection ProducerInfo ProducerTableInfo;
        group: SubscriptionGroupConfig SubscriptionGroupTable SubscriptionGroupConfigs GroupForbidden;
        heartbeat: HeartbeatData ProducerData ConsumerData SubscriptionData CheckClientRequest;
        list: TopicList GroupList KvTable;
        message: ConsumeMessageDirectlyResult QuerySubscriptionResponse QueryConsumeQueueResponse ConsumeQueueData ConsumerRunningInfo;
        offset: ResetOffsetBody ConsumerStatusBody ConsumerOffsets DelayOffsets CorrectionOffsets ConsumeTimeSpans QueueTimeSpan;
        route: TopicRouteData BrokerData QueueData ClusterInfo BrokerMemberGroupResponse BrokerMemberGroup;
        stats: TopicStatsTable TopicOffset ConsumeStats OffsetWrapper ConsumeStatsList BrokerStatsData BrokerStatsItem;
        topic: TopicConfig TopicConfigTable TopicConfigs;
    }
    body::<MessageQueue>(text);
}

/// Reads the fields as every header, and writes those that are complete.
pub(crate) fn headers(fields: &ExtFields) {
    use blockhouse_protocol::encode::{self, Head};
    use blockhouse_protocol::header::{
        client, group, message, namesrv, offset, pull, send, stats, topic,
    };
    use blockhouse_protocol::{LanguageCode, SerializeType, frame};

    macro_rules! every {
        ($($module:ident: $($name:ident)*;)*) => {$($(
            if let Ok(header) = $module::$name::parse(fields) {
                let head = Head {
                    code: 0,
                    language: LanguageCode(0),
                    version: 0,
                    opaque: 0,
                    flag: 0,
                    remark: None,
                };
                let mut out = bytes::BytesMut::new();
                encode::frame(&mut out, SerializeType::Json, &head, |out| header.write(out), 0);
                let back = frame::split(&mut out, usize::MAX).expect("what was written is a frame");
                let back = back.expect("a whole one");
                let again = $module::$name::parse(&back.ext).expect("what was written is read");
                assert!(again == header, "{again:?} is not {header:?}");
            }
        )*)*};
    }
    every! {
        client: UnregisterClient GetConsumerListByGroup NotifyConsumerIdsChanged GetConsumerConnectionList GetProducerConnectionList GetConsumerRunningInfo;
        group: DeleteSubscriptionGroup GetSubscriptionGroupConfig GetAllSubscriptionGroup GetAllSubscriptionGroupResponse QueryTopicsByConsumer QuerySubscriptionByConsumer UpdateGroupForbidden;
        message: QueryMessage QueryMessageResponse ViewMessage ConsumeMessageDirectly QueryConsumeQueue;
        namesrv: GetRouteInfo RegisterBroker RegisterBrokerResponse UnregisterBroker QueryDataVersion QueryDataVersionResponse BrokerHeartbeat GetBrokerMemberGroup PutKvConfig GetKvConfig GetKvConfigResponse DeleteKvConfig GetKvListByNamespace WipeWritePermOfBroker WipeWritePermOfBrokerResponse AddWritePermOfBroker AddWritePermOfBrokerResponse DeleteTopicFromNamesrv RegisterTopic GetTopicsByCluster;
        offset: QueryConsumerOffset OffsetResponse UpdateConsumerOffset SearchOffset GetMaxOffset GetMinOffset GetEarliestMsgStoretime GetEarliestMsgStoretimeResponse ResetOffset GetConsumerStatus QueryConsumeTimeSpan QueryCorrectionOffset CloneGroupOffset;
        pull: PullMessage PullMessageResponse;
        send: SendMessage SendMessageResponse ConsumerSendMsgBack;
        stats: GetConsumeStats GetConsumeStatsInBroker ViewBrokerStatsData GetBrokerConfigResponse;
        topic: CreateTopic DeleteTopic GetTopicConfig GetTopicStatsInfo QueryTopicConsumeByWho GetAllTopicConfig GetAllTopicConfigResponse;
    }
}
