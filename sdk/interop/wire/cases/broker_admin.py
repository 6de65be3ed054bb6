"""Broker: topics and groups."""

from steps import Sleep, Step, case, commit, committed, filled, group, heartbeat, messages, namesrv, pull, routed, send, \
    succeeded, topic


def create(**fields):
    step = topic(quiet=False)
    step.ext = {k: v for k, v in (step.ext | fields).items() if v is not None}
    return step


def config(name="$t"):
    return Step(351, {"topic": name})


def group_config(name="$g"):
    return Step(352, {"group": name})


def topic_config(name, queues=1):
    return {"topicName": name, "readQueueNums": queues, "writeQueueNums": queues, "perm": 6,
            "topicFilterType": "SINGLE_TAG", "topicSysFlag": 0, "order": False, "attributes": {}}


def own(table):
    """The case's own entries of a table."""
    return lambda body, names: {name: value for name, value in body[table].items() if name.startswith(names.values["t"])}


def system(body, _):
    """Without TRANS_CHECK_MAX_TIME_TOPIC, which the reference creates with the first half message."""
    expected = ["TBW102", "SELF_TEST_TOPIC", "BenchmarkTest", "OFFSET_MOVED_EVENT", "SCHEDULE_TOPIC_XXXX",
                "RMQ_SYS_TRANS_HALF_TOPIC", "RMQ_SYS_TRANS_OP_HALF_TOPIC"]
    return {name: body["topicConfigTable"].get(name) for name in expected}


def system_groups(body, _):
    expected = ["TOOLS_CONSUMER", "SELF_TEST_C_GROUP", "FILTERSRV_CONSUMER", "CID_ONSAPI_OWNER", "CID_ONSAPI_PULL",
                "CID_ONSAPI_PERMISSION", "CID_ONS-HTTP-PROXY", "CID_RMQ_SYS_TRANS"]
    return {name: name in body["subscriptionGroupTable"] for name in expected}


def system_list(body, names):
    expected = ["TBW102", "SELF_TEST_TOPIC", "BenchmarkTest", "OFFSET_MOVED_EVENT", "SCHEDULE_TOPIC_XXXX",
                "RMQ_SYS_TRANS_HALF_TOPIC", "RMQ_SYS_TRANS_OP_HALF_TOPIC", "TRANS_CHECK_MAX_TIME_TOPIC",
                names.values["cluster"], names.values["broker"], names.values["cluster"] + "_REPLY_TOPIC"]
    return {name: name in body["topicList"] for name in expected}


DELETE = Step(215, {"topic": "$t"})
TWO = [topic(), group(), messages(2)]

CASES = [
    case("topic.create", create(), config(), routed(), namesrv(105, {"topic": "$t"})),
    case("topic.update", create(), create(readQueueNums=4, writeQueueNums=3, perm=4), config(),
         namesrv(105, {"topic": "$t"}, until=lambda answer: b'"perm":4' in answer.body)),
    case("topic.create_same_again", create(), create()),
    case("topic.attributes", create(attributes="+message.type=FIFO"), config(), create(attributes="+message.type=DELAY"),
         create(attributes="-message.type"), config()),
    case("topic.attribute_unknown", create(attributes="+no.such=1"), config()),
    case("topic.attribute_bad_value", create(attributes="+message.type=PINK"), config()),
    case("topic.attribute_bad_syntax", create(attributes="message.type=FIFO"), config()),
    case("topic.order", create(order="true"), config()),
    case("topic.multi_tag", create(topicFilterType="MULTI_TAG"), config()),
    case("topic.filter_type_unknown", create(topicFilterType="PINK"), config()),
    case("topic.perm_odd", create(perm=99), config()),
    case("topic.queues_zero", create(readQueueNums=0, writeQueueNums=0), config()),
    case("topic.queues_negative", create(readQueueNums=-1, writeQueueNums=-1), config()),
    case("topic.queues_many", create(readQueueNums=5000, writeQueueNums=5000), config()),
    case("topic.name_illegal", create(topic="a/b"), create(topic="../x"), create(topic=""), create(topic="a b")),
    case("topic.name_long", create(topic="$t" + "x" * 127)),
    case("topic.name_system", create(topic="TBW102"), create(topic="SCHEDULE_TOPIC_XXXX"), create(topic="$broker")),
    case("topic.unknown_default", create(defaultTopic="none"), config()),
    case("topic.empty_header", Step(17)),
    case("topic.create_list", Step(18, {}, {"topicConfigList": [topic_config("$t"), topic_config("$t2", 2)]}),
         config(), config("$t2")),
    case("topic.create_list_one_illegal", Step(18, {}, {"topicConfigList": [topic_config("$t"), topic_config("a/b")]}),
         config()),
    case("topic.create_list_empty", Step(18, {}, {"topicConfigList": []})),
    case("topic.create_list_garbage", Step(18, {}, b"[")),
    case("topic.config_missing", config()),
    case("topic.config_empty_header", Step(351)),
    case("topic.all", topic(), Step(21, project=own("topicConfigTable"))),
    case("topic.all_system", Step(21, project=system)),
    case("topic.all_paged", topic(), Step(21, {"topicSeq": 0, "maxTopicNum": 1}, project=lambda body, _: len(body["topicConfigTable"]))),
    case("topic.system_list", Step(305, project=system_list)),
    case("topic.delete", TWO, routed(), DELETE, config(), pull(0)),
    case("topic.delete_missing", DELETE),
    case("topic.delete_system", Step(215, {"topic": "TBW102"}), Step(215, {"topic": "SCHEDULE_TOPIC_XXXX"})),
    case("topic.delete_no_name", Step(215), Step(215, {"topic": ""})),
    case("topic.delete_illegal", Step(215, {"topic": "../x"})),
    case("topic.delete_and_create", TWO, commit(2), DELETE, Sleep(0.2), topic(),
         Step(30, {"topic": "$t", "queueId": 0}), send(), filled(1), pull(0), committed()),
    case("group.create", group(quiet=False), group_config()),
    case("group.update", group(), group(quiet=False, retryMaxTimes=3, consumeEnable=False), group_config()),
    case("group.retry_policy", group(quiet=False, groupRetryPolicy={
        "type": "EXPONENTIAL", "exponentialRetryPolicy": {"initial": 1000, "max": 60000, "multiplier": 3}}), group_config()),
    case("group.unknown_field", group(quiet=False, noSuchField=1), group_config()),
    case("group.only_name", Step(200, {}, {"groupName": "$g"}), group_config()),
    case("group.name_illegal", group("a/b", quiet=False), group("../x", quiet=False), group("", quiet=False)),
    case("group.name_long", group("$g" + "x" * 255, quiet=False)),
    case("group.no_name", Step(200, {}, {"consumeEnable": True})),
    case("group.no_body", Step(200)),
    case("group.garbage", Step(200, {}, b"{")),
    case("group.attribute_unknown", group(quiet=False, attributes={"+no.such": "1"}), group_config()),
    case("group.create_list", Step(225, {}, {"groupConfigList": [{"groupName": "$g"}, {"groupName": "$g2"}]}),
         group_config(), group_config("$g2")),
    case("group.config_missing", group_config()),
    case("group.config_empty_header", Step(352)),
    case("group.all", group(), Step(201, project=own("subscriptionGroupTable"))),
    case("group.all_system", Step(201, project=system_groups)),
    case("group.delete", group(), Step(207, {"groupName": "$g"}), Step(201, project=own("subscriptionGroupTable"))),
    case("group.delete_with_offsets", TWO, commit(1), Step(207, {"groupName": "$g", "cleanOffset": "true"}), committed()),
    case("group.delete_keeping_offsets", TWO, commit(1), Step(207, {"groupName": "$g", "cleanOffset": "false"}), committed()),
    case("group.delete_missing", Step(207, {"groupName": "$g"})),
    case("group.delete_empty_header", Step(207)),
    case("group.delete_online", TWO, heartbeat(), Step(207, {"groupName": "$g"}), Step(38, {"consumerGroup": "$g"})),
    case("topic.route_after_create", topic(queues=3), namesrv(105, {"topic": "$t"}, until=succeeded)),
]
