"""Broker: send back, progress, resets, relays to clients."""

from steps import Step, case, commit, committed, filled, group, heartbeat, messages, pull, routed, send, topic

TWO = [topic(), group(), messages(2)]
SENT = send(quiet=True)
SENT.save = {"phys": lambda answer: str(int(answer.ext["msgId"][16:], 16)), "id": lambda answer: answer.ext["transactionId"]}
KNOWN = [topic(), group(), SENT, filled(1)]


def back(level=0, **fields):
    ext = dict(offset="$phys", group="$g", delayLevel=level, originMsgId="$id", originTopic="$t", unitMode="false",
               maxReconsumeTimes=16) | fields
    return Step(36, {k: v for k, v in ext.items() if v is not None})


def dead():
    return [filled(1, name="%DLQ%$g"), pull(0, topic="%DLQ%$g")]


def progress(**fields):
    return Step(208, {"consumerGroup": "$g"} | fields)


def reset(timestamp, force="true", **fields):
    ext = dict(group="$g", topic="$t", timestamp=timestamp, isForce=force) | fields
    return Step(222, {k: v for k, v in ext.items() if v is not None})


def span(**fields):
    return Step(303, {"group": "$g", "topic": "$t"} | fields)


def correction(**fields):
    return Step(308, {"compareGroup": "$g", "topic": "$t"} | fields)


def relay(code, **fields):
    return Step(code, {"consumerGroup": "$g", "clientId": "$client"} | fields)


def clone(**fields):
    ext = {"srcGroup": "$g", "destGroup": "$g2", "topic": "$t", "offline": "false"} | fields
    return Step(314, {k: v for k, v in ext.items() if v is not None})


CASES = [
    case("back.level_0", KNOWN, back(), routed("%RETRY%$g"), Step(30, {"topic": "%RETRY%$g", "queueId": 0})),
    case("back.level_2", KNOWN, back(2)),
    case("back.straight_to_dead_letter", KNOWN, back(-1), dead()),
    case("back.exhausted", KNOWN, back(0, maxReconsumeTimes=0), dead()),
    case("back.group_without_retries", topic(), group(retryMaxTimes=0), SENT, filled(1), back(maxReconsumeTimes=None), dead()),
    case("back.group_without_retry_queue", topic(), group(retryQueueNums=0), SENT, filled(1), back()),
    case("back.unknown_group", topic(), SENT, filled(1), back()),
    case("back.unknown_offset", KNOWN, back(offset=1 << 40)),
    case("back.negative_offset", KNOWN, back(offset=-1)),
    case("back.no_origin", KNOWN, back(originMsgId=None, originTopic=None)),
    case("back.no_level", KNOWN, back(None)),
    case("back.empty_header", Step(36)),
    case("progress.never_committed", TWO, progress(), progress(topic="$t")),
    case("progress.committed", TWO, commit(1), progress(topic="$t"), progress()),
    case("progress.with_client", TWO, heartbeat(), commit(1), progress()),
    case("progress.unknown_group", progress(consumerGroup="$g2")),
    case("progress.unknown_topic", TWO, progress(topic="$t2")),
    case("progress.broadcasting", TWO, heartbeat(model="BROADCASTING"), progress()),
    case("progress.empty_header", Step(208)),
    case("reset.to_start", TWO, commit(2), reset(0), committed()),
    case("reset.to_end", TWO, commit(0), reset(-1), committed(), pull(0), pull(2)),
    case("reset.not_forced", TWO, commit(1), reset(-1, "false"), committed()),
    case("reset.with_client", TWO, heartbeat(), commit(2), reset(0), pull(2, sysFlag=4), committed()),
    case("reset.by_offset", TWO, commit(0), reset(-1, queueId=0, offset=1), committed()),
    case("reset.by_offset_beyond", TWO, commit(0), reset(-1, queueId=0, offset=50), committed()),
    case("reset.queue_beyond", TWO, reset(-1, queueId=5, offset=0)),
    case("reset.unknown_topic", group(), reset(0)),
    case("reset.unknown_group", topic(), reset(0)),
    case("reset.no_force_field", TWO, reset(0, None)),
    case("reset.empty_header", Step(222)),
    case("reset.commit_while_pending", TWO, commit(2), reset(0), commit(2, quiet=False), committed(), pull(2), committed()),
    case("status.no_client", TWO, Step(223, {"topic": "$t", "group": "$g"})),
    case("who.one", TWO, heartbeat(), Step(300, {"topic": "$t"})),
    case("who.committed_only", TWO, commit(1), Step(300, {"topic": "$t"})),
    case("who.nobody", topic(), Step(300, {"topic": "$t"})),
    case("who.unknown_topic", Step(300, {"topic": "$t2"})),
    case("who.empty_header", Step(300)),
    case("topics_of.committed", TWO, commit(1), Step(343, {"group": "$g"})),
    case("topics_of.never_committed", TWO, Step(343, {"group": "$g"})),
    case("topics_of.unknown", Step(343, {"group": "$g2"})),
    case("topics_of.empty_header", Step(343)),
    case("subscription_of.online", TWO, heartbeat(), Step(345, {"group": "$g", "topic": "$t"})),
    case("subscription_of.offline", TWO, Step(345, {"group": "$g", "topic": "$t"})),
    case("subscription_of.other_topic", TWO, heartbeat(), Step(345, {"group": "$g", "topic": "$t2"})),
    case("span.committed", TWO, commit(1), span()),
    case("span.never_committed", TWO, span()),
    case("span.unknown_topic", group(), span()),
    case("correction.one", TWO, commit(1), correction()),
    case("correction.filtered", TWO, commit(1), correction(filterGroups="$g2")),
    case("correction.unknown_topic", group(), correction()),
    case("relay.running_info", TWO, heartbeat(), relay(307)),
    case("relay.running_info_jstack", TWO, heartbeat(), relay(307, jstackEnable="true")),
    case("relay.running_info_offline", TWO, relay(307)),
    case("relay.running_info_unknown_client", TWO, heartbeat(), relay(307, clientId="$client2")),
    case("relay.running_info_old_client", TWO, heartbeat(), Step(307, {"consumerGroup": "$g"})),
    case("relay.consume_directly", KNOWN, heartbeat(),
         relay(309, msgId="$id", brokerName="$broker", topic="$t")),
    case("relay.consume_directly_offline", KNOWN, relay(309, msgId="$id", brokerName="$broker")),
    case("relay.consume_directly_offset_id", topic(), group(), send(quiet=True, options={
        "save": {"offset_id": lambda answer: answer.ext["msgId"]}}), filled(1), heartbeat(),
         relay(309, msgId="$offset_id", brokerName="$broker", topic="$t")),
    case("relay.consume_directly_bad_id", TWO, heartbeat(), relay(309, msgId="xyz", brokerName="$broker")),
    case("clone.one_topic", TWO, group("$g2"), commit(1), clone(), committed(consumerGroup="$g2")),
    case("clone.all_topics", TWO, group("$g2"), commit(1), clone(topic=None), committed(consumerGroup="$g2")),
    case("clone.offline_wanted", TWO, group("$g2"), commit(1), heartbeat("$g2"), clone(offline="true")),
    case("clone.nothing", TWO, group("$g2"), clone(), committed(consumerGroup="$g2")),
    case("clone.empty_header", Step(314)),
]
