"""Broker: pull and lite pull."""

from records import batch
from remoting import BINARY
from steps import Step, case, commit, committed, filled, group, heartbeat, messages, pull, send, subscription, topic

TWO = [topic(), group(), messages(2)]
TAGS = [topic(), group(), send(properties={"TAGS": "tagA"}, quiet=True), send(properties={"TAGS": "tagB"}, quiet=True),
        send(properties={}, quiet=True), filled(3)]
HOLD = {"sysFlag": 6, "suspendTimeoutMillis": 300}
COMMIT = {"sysFlag": 5}


def java_hash(text):
    value = 0
    for unit in text:
        value = (value * 31 + ord(unit)) & 0xFFFFFFFF
    return value - (1 << 32) if value & (1 << 31) else value


def subscribed(expression, *tags):
    return heartbeat(subscriptions=[subscription("$t", expression, tags, [java_hash(tag) for tag in tags])])


CASES = [
    case("pull.found", TWO, pull(0), pull(1)),
    case("pull.binary_header", TWO, pull(0, options={"encoding": BINARY})),
    case("pull.lite", TWO, pull(0, code=361), pull(2, code=361)),
    case("pull.lite_flag", TWO, pull(0, sysFlag=20)),
    case("pull.at_end", TWO, pull(2)),
    case("pull.at_end_held", TWO, pull(2, **HOLD)),
    case("pull.past_end_by_one", TWO, pull(3)),
    case("pull.past_end_by_many", TWO, pull(300)),
    case("pull.past_end_held", TWO, pull(300, **HOLD)),
    case("pull.negative_offset", TWO, pull(-1)),
    case("pull.empty_queue", topic(), group(), pull(0), pull(5), pull(-1)),
    case("pull.empty_queue_held", topic(), group(), pull(0, **HOLD)),
    case("pull.hold_flag_no_time", topic(), group(), pull(0, sysFlag=6, suspendTimeoutMillis=0)),
    case("pull.time_no_hold_flag", topic(), group(), pull(0, sysFlag=4, suspendTimeoutMillis=5000,
                                                        options={"timeout": 2})),
    case("pull.max_one", TWO, pull(0, maxMsgNums=1)),
    case("pull.max_zero", TWO, pull(0, maxMsgNums=0)),
    case("pull.max_negative", TWO, pull(0, maxMsgNums=-1)),
    case("pull.max_bytes", TWO, pull(0, maxMsgBytes=10)),
    case("pull.max_huge", topic(), group(), messages(40), pull(0, maxMsgNums=2_000_000)),
    case("pull.many", topic(), group(), messages(40), pull(0), pull(32)),
    case("pull.tag_match", TAGS, pull(0, subscription="tagB")),
    case("pull.two_tags", TAGS, pull(0, subscription="tagA || tagB")),
    case("pull.tag_no_match", TAGS, pull(0, subscription="tagX")),
    case("pull.tag_no_match_held", TAGS, pull(0, subscription="tagX", **HOLD)),
    case("pull.tag_star", TAGS, pull(0, subscription="*")),
    case("pull.subscription_empty", TAGS, pull(0, subscription="")),
    case("pull.subscription_absent_but_flag", TAGS, pull(0, subscription=None)),
    case("pull.expression_type_absent", TAGS, pull(0, subscription="tagB", expressionType=None)),
    case("pull.expression_type_empty", TAGS, pull(0, subscription="tagB", expressionType="")),
    case("pull.expression_type_unknown", TAGS, pull(0, subscription="tagB", expressionType="XPATH")),
    case("pull.batch_records", topic(), group(), send(batch((b"a", {}), (b"b", {})), m="true", quiet=True),
         filled(2), pull(0), pull(1)),
    case("pull.unknown_topic", group(), pull(0)),
    case("pull.unknown_group", topic(), messages(1), pull(0)),
    case("pull.empty_group", TWO, pull(0, consumerGroup="")),
    case("pull.illegal_group", TWO, pull(0, consumerGroup="../x")),
    case("pull.queue_beyond", TWO, pull(0, queue=9), pull(0, queue=-1)),
    case("pull.no_read_permission", topic(perm=2), group(), pull(0)),
    case("pull.group_disabled", topic(), group(consumeEnable=False), pull(0)),
    case("pull.not_subscribed", TWO, pull(0, sysFlag=0, subscription=None)),
    case("pull.subscribed_by_heartbeat", TAGS, subscribed("tagB", "tagB"), pull(0, sysFlag=0, subscription=None, subVersion=1)),
    case("pull.subscribed_other_topic", TWO, heartbeat(subscriptions=[subscription("$t2")]),
         pull(0, sysFlag=0, subscription=None)),
    case("pull.subscription_newer", TAGS, subscribed("*"), pull(0, sysFlag=0, subscription=None, subVersion=1 << 50)),
    case("pull.broadcast_disabled", topic(), group(consumeBroadcastEnable=False), messages(1),
         heartbeat(model="BROADCASTING"), pull(0, sysFlag=0, subscription=None, subVersion=1)),
    case("pull.commits_offset", TWO, pull(0, **COMMIT, commitOffset=1), committed()),
    case("pull.commits_without_flag", TWO, pull(0, commitOffset=1), committed()),
    case("pull.commits_when_nothing_found", TWO, pull(2, **COMMIT, commitOffset=2), committed()),
    case("pull.commit_negative", TWO, pull(0, **COMMIT, commitOffset=-1), committed()),
    case("pull.oneway", TWO, pull(0, options={"oneway": True})),
    case("pull.empty_header", Step(11)),
    case("pull.offset_reset", TWO, commit(2), Step(222, {"group": "$g", "topic": "$t", "timestamp": 0, "isForce": "true"}),
         pull(2), pull(0), committed()),
]
CASES += [case(f"missing_pull.{name}", TWO, pull(0, **{name: None})) for name in
          ("consumerGroup", "topic", "queueId", "queueOffset", "maxMsgNums", "sysFlag", "commitOffset",
           "suspendTimeoutMillis", "subVersion")]
