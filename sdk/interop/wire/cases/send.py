"""Broker: sends that succeed, and what is stored of them."""

from records import batch, format_properties
from remoting import BINARY
from steps import case, committed, filled, messages, namesrv, pull, routed, send, send_v1, succeeded, topic

TOPIC = topic(queues=2)
ANY_QUEUE, ANY_OFFSET = {"ignore": ("ext.queueId",)}, {"ignore": ("ext.queueOffset",)}
BATCH = batch((b"one", {"TAGS": "tagA", "KEYS": "k"}), (b"two", {}), ("größe".encode(), {"TAGS": "tagB"}))


def stored(queue=0, count=1, name="$t"):
    """The records as a consumer gets them."""
    return [filled(count, queue, name), pull(0, queue, topic=name)]


def properties(**pairs):
    return format_properties(pairs)


CASES = [
    case("send.normal", TOPIC, send(), stored()),
    case("send.v1_header", TOPIC, send_v1(), stored()),
    case("send.binary_header", TOPIC, send(options={"encoding": BINARY}), stored()),
    case("send.two_offsets", TOPIC, send(), send(), stored(count=2)),
    case("send.second_queue", TOPIC, send(queue=1), stored(queue=1)),
    case("send.broker_picks_queue", topic(), send(queue=-1), stored()),
    case("send.broker_picks_queue_beyond", topic(), send(queue=-7)),
    case("send.no_properties", TOPIC, send(properties={}), stored()),
    case("send.properties_absent", TOPIC, send(i=None), stored()),
    case("send.user_properties", TOPIC, send(properties={"a": "1", "größe": "grün", "empty": ""}), stored()),
    case("send.unterminated_properties", TOPIC, send(i="a\x011\x02b\x012"), stored()),
    case("send.odd_properties", TOPIC, send(i="a\x02b\x01\x02\x01c\x02d\x01e\x01f\x02"), stored()),
    case("send.unique_key", TOPIC, send(properties={"UNIQ_KEY": "0123456789ABCDEF0123456789ABCDEF"}), stored()),
    case("send.wait_false", TOPIC, send(properties={"WAIT": "false"}), stored()),
    case("send.wait_true", TOPIC, send(properties={"WAIT": "true"}), stored()),
    case("send.trace_off", TOPIC, send(properties={"TRACE_ON": "false"})),
    case("send.msg_region", TOPIC, send(properties={"MSG_REGION": "elsewhere"}), stored()),
    case("send.user_flag", TOPIC, send(h=77), stored()),
    case("send.compressed_flag", TOPIC, send(f=1), stored()),
    case("send.multi_tags_flag", TOPIC, send(f=2), stored()),
    case("send.compression_type_flags", TOPIC, send(f=0x700), stored()),
    case("send.prepared_flag", TOPIC, send(f=4), send(), stored()),
    case("send.rollback_flag", TOPIC, send(f=12), send(), stored()),
    case("send.born_timestamp_zero", TOPIC, send(g=0), stored()),
    case("send.reconsume_times", TOPIC, send(j=3), stored()),
    case("send.unit_mode", TOPIC, send(k="true"), stored()),
    case("send.unknown_header_field", TOPIC, send(zz="what"), stored()),
    case("send.broker_name_field", TOPIC, send(n="$broker"), stored()),
    case("send.wrong_broker_name_field", TOPIC, send(n="other"), stored()),
    case("send.empty_producer_group", TOPIC, send(a="")),
    case("send.binary_body", TOPIC, send(bytes(range(256))), stored()),
    case("send.large_body", TOPIC, send(b"x" * 1_000_000), filled(1)),
    case("send.properties_at_limit", TOPIC, send(properties={"a": "x" * 32_000}), filled(1)),
    case("send.auto_create", send(queue=0), namesrv(105, {"topic": "$t"}, until=succeeded), stored()),
    case("send.auto_create_many_queues", send(queue=0, d=50), namesrv(105, {"topic": "$t"}, until=succeeded)),
    case("send.auto_create_one_queue", send(queue=0, d=1), namesrv(105, {"topic": "$t"}, until=succeeded)),
    case("send.auto_create_zero_queues", send(queue=0, d=0), namesrv(105, {"topic": "$t"})),
    case("send.auto_create_broker_picks", send(queue=-1, options=ANY_QUEUE), namesrv(105, {"topic": "$t"}, until=succeeded)),
    case("send.auto_create_from_broker_topic", send(c="$broker"), namesrv(105, {"topic": "$t"}, until=succeeded)),
    case("send.auto_create_from_missing_topic", send(c="$t2")),
    case("send.auto_create_from_ordinary_topic", topic("$t2"), send(c="$t2")),
    case("send.auto_create_queue_beyond", send(queue=6)),
    case("send.retry_topic_auto_create", send(b="%RETRY%$g", queue=0), routed("%RETRY%$g"),
         namesrv(105, {"topic": "%RETRY%$g"})),
    case("send.retry_topic_exhausted",
         send(b="%RETRY%$g", queue=0, j=17, l=16, properties={"RETRY_TOPIC": "$t"}),
         routed("%DLQ%$g"), namesrv(105, {"topic": "%DLQ%$g"}), stored(name="%DLQ%$g")),
    case("send.retry_topic_not_exhausted", send(b="%RETRY%$g", queue=0, j=2, l=16), stored(name="%RETRY%$g")),
    case("send.delay_level", TOPIC, send(properties={"DELAY": "1"}, options=ANY_OFFSET), pull(0), filled(1), pull(0)),
    case("send.delay_level_beyond", TOPIC, send(properties={"DELAY": "99"}, options=ANY_OFFSET)),
    case("send.delay_level_zero", TOPIC, send(properties={"DELAY": "0"}), stored()),
    case("send.delay_level_negative", TOPIC, send(properties={"DELAY": "-3"}), stored()),
    case("send.delay_level_word", TOPIC, send(properties={"DELAY": "soon"})),
    case("send.order_topic", topic(order="true"), send(), stored()),
    case("send.oneway", TOPIC, send(options={"oneway": True}), stored()),
    case("send.oneway_refused", send(b="bad/topic", options={"oneway": True})),
    case("batch.three", TOPIC, send(BATCH, m="true"), stored(count=3)),
    case("batch.one", TOPIC, send(batch((b"one", {})), m="true"), stored()),
    case("batch.then_single", TOPIC, send(BATCH, m="true"), send(), stored(count=4)),
    case("batch.header_properties", TOPIC, send(BATCH, properties={"a": "1"}, m="true"), stored(count=3)),
    case("batch.auto_create", send(BATCH, m="true"), stored(count=3)),
    case("batch.broker_picks_queue", topic(), send(BATCH, queue=-1, m="true"), stored(count=3)),
    case("batch.flag_without_code", TOPIC, send_v1(BATCH, batch="true"), stored(count=3)),
    case("send.many", TOPIC, messages(40), pull(0, maxMsgNums=32), pull(32), committed()),
]
