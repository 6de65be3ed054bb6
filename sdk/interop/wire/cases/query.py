"""Broker: query by key, view by offset, the queue units."""

import time

from records import batch
from steps import Step, case, filled, group, send, topic


def keyed(keys, body=b"hello"):
    return send(body, properties={"TAGS": "tagA", "KEYS": keys}, quiet=True)


def query(key, count=32, begin=0, end=1 << 60, settled=False, **fields):
    """The index is built a little after the send."""
    ext = {"topic": "$t", "key": key, "maxNum": count, "beginTimestamp": begin, "endTimestamp": end}
    ext.update(fields)
    return Step(12, {k: v for k, v in ext.items() if v is not None}, body_kind="records",
                until=(lambda answer: answer.code == 0) if settled else None)


def unique(key):
    return query(key, _UNIQUE_KEY_QUERY="true", settled=True)


TOPIC = topic()
TWO = [TOPIC, keyed("k1 k2", b"first"), keyed("k1", b"second"), filled(2), query("k2", settled=True)]
SENT = send(quiet=True)
SENT.save = {"phys": lambda answer: str(int(answer.ext["msgId"][16:], 16)),
             "id": lambda answer: answer.ext["transactionId"]}

CASES = [
    case("query.one", TWO, query("k2")),
    case("query.two", TWO, query("k1")),
    case("query.max_one", TWO, query("k1", count=1)),
    case("query.max_zero", TWO, query("k1", count=0)),
    case("query.missing_key", TWO, query("k9")),
    case("query.unknown_topic", query("k1")),
    case("query.part_of_key", TWO, query("k1 k2")),
    case("query.empty_key", TWO, query("")),
    case("query.time_before", TWO, query("k1", begin=0, end=1000)),
    case("query.time_after", TWO, query("k1", begin=(int(time.time()) + 86_400) * 1000)),
    case("query.unique_key", TOPIC, SENT, unique("$id")),
    case("query.unique_key_as_key", TOPIC, SENT, unique("$id"), query("$id")),
    case("query.given_unique_key", TOPIC,
         send(properties={"UNIQ_KEY": "7F00000100002A9F00000000000ABCDE"}), unique("7F00000100002A9F00000000000ABCDE")),
    case("query.batch_keys", TOPIC, send(batch((b"a", {"KEYS": "b1"}), (b"b", {"KEYS": "b2"})), m="true"),
         query("b2", settled=True), query("b1")),
    case("query.index_type", TWO, query("tagA", indexType="T"), query("k1", indexType="K")),
    case("query.empty_header", Step(12)),
    case("query.no_max", TWO, query("k1", maxNum=None)),
    case("view.found", TOPIC, SENT, filled(1), Step(33, {"offset": "$phys", "topic": "$t"}, body_kind="records")),
    case("view.no_topic", TOPIC, SENT, filled(1), Step(33, {"offset": "$phys"}, body_kind="records")),
    case("view.other_topic", TOPIC, SENT, filled(1), Step(33, {"offset": "$phys", "topic": "$t2"}, body_kind="records")),
    case("view.beyond_end", Step(33, {"offset": 1 << 40}, body_kind="records")),
    case("view.negative", Step(33, {"offset": -1}, body_kind="records")),
    case("view.word", Step(33, {"offset": "first"}, body_kind="records")),
    case("view.empty_header", Step(33)),
    case("units.two", TWO, Step(321, {"topic": "$t", "queueId": 0, "index": 0, "count": 5})),
    case("units.from_one", TWO, Step(321, {"topic": "$t", "queueId": 0, "index": 1, "count": 5})),
    case("units.beyond_end", TWO, Step(321, {"topic": "$t", "queueId": 0, "index": 50, "count": 5})),
    case("units.negative_index", TWO, Step(321, {"topic": "$t", "queueId": 0, "index": -1, "count": 5})),
    case("units.with_group", TWO, group(), Step(321, {"topic": "$t", "queueId": 0, "index": 0, "count": 5, "consumerGroup": "$g"})),
    case("units.with_unknown_group", TWO, Step(321, {"topic": "$t", "queueId": 0, "index": 0, "count": 5, "consumerGroup": "$g"})),
    case("units.unknown_topic", Step(321, {"topic": "$t", "queueId": 0, "index": 0, "count": 5})),
    case("units.queue_beyond", TWO, Step(321, {"topic": "$t", "queueId": 9, "index": 0, "count": 5})),
    case("units.count_zero", TWO, Step(321, {"topic": "$t", "queueId": 0, "index": 0, "count": 0})),
    case("units.empty_header", Step(321)),
]
