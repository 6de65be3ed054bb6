"""Broker: sends that must be refused, with nothing stored."""

import struct

from records import batch, format_properties
from steps import Sleep, Step, case, send, send_v1, topic

TOPIC = topic(queues=2)
PROTECTED = ["SCHEDULE_TOPIC_XXXX", "RMQ_SYS_TRANS_HALF_TOPIC", "RMQ_SYS_TRANS_OP_HALF_TOPIC",
             "TRANS_CHECK_MAX_TIME_TOPIC", "SELF_TEST_TOPIC", "OFFSET_MOVED_EVENT", "rmq_sys_wheel_timer",
             "rmq_sys_REVIVE_LOG_$cluster", "rmq_sys_SYNC_BROKER_MEMBER_$broker", "$cluster", "$broker",
             "$cluster_REPLY_TOPIC", "RMQ_SYS_TRACE_TOPIC"]
ILLEGAL = {"slash": "a/b", "parent": "../$t", "space": "a b", "umlaut": "grün", "dot": "a.b", "star": "a*",
           "nul": "a\x00b", "newline": "a\nb", "empty": "", "blank": "  ", "caret": "a^b", "dollar": "a$$b"}
ALLOWED = {"pipe": "$t|x", "percent": "$t%x", "dash": "-$t", "underscore": "_$t"}
SHARED = {"ignore": ("ext.queueOffset",)}  # others send there too
EMPTY = [Sleep(0.1), Step(30, {"topic": "$t", "queueId": 0})]  # nothing came in, even a little later

# RocketMQ accepts some of what looks refusable; dispatch takes a moment.
STORED = Step(30, {"topic": "$t", "queueId": 0}, until=lambda answer: answer.ext.get("offset") == "1")


def without(name):
    return send(**{name: None})


def truncated(cut):
    whole = batch((b"first", {"a": "1"}), (b"second", {"b": "2"}))
    return whole[:cut]


CASES = [
    case("refuse.queue_beyond", TOPIC, send(queue=2), send(queue=99)),
    case("refuse.queue_not_a_number", TOPIC, send(queue="one")),
    case("refuse.empty_body", TOPIC, send(b""), EMPTY),
    case("refuse.body_too_large", TOPIC, send(b"x" * (4 * 1024 * 1024 + 1)), EMPTY),
    case("refuse.body_at_limit", TOPIC, send(b"x" * (4 * 1024 * 1024)), STORED),
    case("refuse.properties_too_long", TOPIC, send(properties={"a": "x" * 32_768}), EMPTY),
    case("refuse.properties_just_too_long", TOPIC, send(properties={"a": "x" * (32_767 - 2)}), EMPTY),
    case("refuse.no_write_permission", topic(perm=4), send(), STORED),
    case("refuse.no_permission", topic(perm=0), send()),
    case("refuse.topic_128", send(b="t" * 128)),
    case("refuse.topic_127", send(b="$t" + "t" * 90)),
    case("refuse.topic_256", send(b="t" * 256)),
    case("refuse.retry_topic_300", send(b="%RETRY%" + "t" * 300)),
    case("refuse.sys_flag_word", TOPIC, send(f="x")),
    case("refuse.empty_header", Step(310, {}, b"hello")),
    case("refuse.empty_v1_header", Step(10, {}, b"hello")),
    case("refuse.v1_no_topic", send_v1(topic=None)),
    case("refuse.v1_header_under_v2_code", Step(310, {"topic": "$t", "producerGroup": "p", "queueId": 0}, b"hello")),
    case("refuse.prepared_transaction_flag", TOPIC, send(f=8), STORED),
    case("refuse.batch_empty_body", TOPIC, send(b"", m="true"), EMPTY),
    case("refuse.batch_garbage", TOPIC, send(b"\x00\x00\x00\x05hello world, this is no batch", m="true"), EMPTY),
    case("refuse.batch_negative_size", TOPIC, send(struct.pack(">i", -5) + b"x" * 40, m="true"), EMPTY),
    case("refuse.batch_huge_size", TOPIC, send(struct.pack(">i", 2**31 - 1) + b"x" * 40, m="true"), EMPTY),
    case("refuse.batch_cut_in_second", TOPIC, send(truncated(-4), m="true"), EMPTY),
    case("refuse.batch_cut_in_first", TOPIC, send(truncated(12), m="true"), EMPTY),
    case("refuse.batch_to_retry_topic", send(batch((b"x", {})), b="%RETRY%$g", m="true")),
    case("refuse.batch_with_delay", TOPIC,
         send(batch((b"x", {"DELAY": "1"})), properties={"DELAY": "1"}, m="true")),
    case("refuse.batch_properties_too_long", TOPIC, send(batch((b"x", {"a": "y" * 32_760})), m="true"), STORED),
    case("refuse.batch_too_large", TOPIC, send(batch(*[(b"x" * 500_000, {})] * 9), m="true"), EMPTY),
    case("refuse.message_with_control_key", TOPIC, send(i=format_properties({"KEYS": "a\x01b"}))),
]
CASES += [case(f"missing.{name}", TOPIC, without(name)) for name in "abcdefghijkm"]
CASES += [case(f"protected.{name.replace('$', '')}", send(b=name, options=SHARED)) for name in PROTECTED]
CASES += [case(f"illegal_topic.{name}", send(b=topic_name)) for name, topic_name in ILLEGAL.items()]
CASES += [case(f"allowed_topic.{name}", send(b=topic_name)) for name, topic_name in ALLOWED.items()]
