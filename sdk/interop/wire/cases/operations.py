"""Broker: configuration, running state, statistics, housekeeping."""

from steps import Step, case, group, heartbeat, messages, topic

# What clients, dashboards and exporters read of GET_BROKER_RUNTIME_INFO.
RUNTIME = """bootTimestamp brokerActive brokerVersionDesc commitLogDirCapacity commitLogDiskRatio
commitLogMaxOffset commitLogMinOffset consumeQueueDiskRatio dispatchBehindBytes dispatchMaxBuffer earliestMessageTimeStamp
getFoundTps getMessageEntireTimeMax getMissTps getTotalTps getTransferredTps msgGetTotalTodayMorning msgGetTotalTodayNow
msgGetTotalYesterdayMorning msgPutTotalTodayMorning msgPutTotalTodayNow msgPutTotalYesterdayMorning pageCacheLockTimeMills
pullThreadPoolQueueCapacity pullThreadPoolQueueHeadWaitTimeMills pullThreadPoolQueueSize putLatency99 putLatency999
putMessageAverageSize putMessageDistributeTime putMessageEntireTimeMax putMessageFailedTimes putMessageSizeTotal
putMessageTimesTotal putTps queryThreadPoolQueueCapacity queryThreadPoolQueueHeadWaitTimeMills queryThreadPoolQueueSize
remainHowManyDataToFlush remainTransientStoreBufferNumbs runtime sendThreadPoolQueueCapacity
sendThreadPoolQueueHeadWaitTimeMills sendThreadPoolQueueSize startAcceptSendRequestTimeStamp EndTransactionQueueSize
EndTransactionThreadPoolQueueCapacity timerReadBehind timerOffsetBehind timerCongestNum timerEnqueueTps timerDequeueTps""".split()
# What tools read of GET_BROKER_CONFIG.
CONFIG = """autoCreateSubscriptionGroup autoCreateTopicEnable brokerClusterName brokerId brokerIP1 brokerName brokerPermission
brokerRole defaultTopicQueueNums deleteWhen fileReservedTime flushDiskType haListenPort listenPort maxMessageSize
messageDelayLevel namesrvAddr storePathCommitLog storePathRootDir traceTopicEnable""".split()
SAME = ["autoCreateSubscriptionGroup", "autoCreateTopicEnable", "brokerId", "brokerPermission", "brokerRole",
        "defaultTopicQueueNums", "flushDiskType", "maxMessageSize", "messageDelayLevel"]
TWO = [topic(), group(), messages(2)]


def configuration(body, _):
    return {name: (body.get(name) if name in SAME else name in body) for name in CONFIG}


def statistics(name, key="$t"):
    return Step(315, {"statsName": name, "statsKey": key})


def shape(body, _):
    return {name: {inner: sorted(value[inner]) for inner in value} for name, value in body.items()}


CASES = [
    case("runtime.keys", Step(28, project=lambda body, _: {name: name in body["table"] for name in RUNTIME})),
    case("broker_config.get", Step(26, body_kind="text", project=configuration)),
    case("broker_config.update", Step(25, {}, b"longPollingEnable=true\n"),
         Step(26, body_kind="text", project=lambda body, _: body.get("longPollingEnable"))),
    case("broker_config.update_unknown", Step(25, {}, b"noSuchKey=1\n")),
    case("broker_config.update_forbidden", Step(25, {}, b"brokerConfigPath=/tmp/x\n")),
    case("broker_config.update_no_body", Step(25)),
    case("broker_config.update_garbage", Step(25, {}, b"\xff\xfe\x00")),
    case("topic_stats.two", TWO, Step(202, {"topic": "$t"})),
    case("topic_stats.empty", topic(queues=2), Step(202, {"topic": "$t"})),
    case("topic_stats.unknown", Step(202, {"topic": "$t"})),
    case("topic_stats.empty_header", Step(202)),
    case("statistics.put", TWO, Step(315, {"statsName": "TOPIC_PUT_NUMS", "statsKey": "$t"},
                                     until=lambda answer: answer.code == 0, project=shape)),
    case("statistics.unknown_key", statistics("TOPIC_PUT_NUMS", "$t2")),
    case("statistics.unknown_name", TWO, statistics("NO_SUCH_STATS")),
    case("statistics.empty_header", Step(315)),
    case("consume_stats.all", TWO, Step(317, {"isOrder": "false"}, project=lambda body, _: sorted(body))),
    case("consume_stats.ordered", Step(317, {"isOrder": "true"}, project=lambda body, _: sorted(body))),
    case("consume_stats.empty_header", Step(317, project=lambda body, _: sorted(body))),
    case("clean.expired_queues", Step(306)),
    case("clean.unused_topics", Step(316)),
    case("clean.expired_log", Step(329)),
    case("producers.all_empty", Step(328, project=lambda body, _: sorted(body))),
    case("ha.status", Step(907, project=lambda body, _: body.get("master"))),
    case("offsets.all", TWO, Step(43, project=lambda body, _: "offsetTable" in body)),
    case("offsets.delay", Step(45, project=lambda body, _: "offsetTable" in body)),
    case("request_modes.all", Step(402, project=lambda body, _: sorted(body))),
    case("consumers.of_two", TWO, heartbeat(), heartbeat(client="$client2", via="second"),
         Step(203, {"consumerGroup": "$g"}, project=lambda body, _: sorted(one["clientId"] for one in body["connectionSet"]))),
]
