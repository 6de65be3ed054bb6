"""Bad input: what a broken or hostile client may send. Each attack is bytes, or (code, ext, body)."""

import json
import random
import struct
import zlib

from records import batch, format_properties
from remoting import BINARY, ONEWAY, Frame

MIB = 1024 * 1024


def frame(header, body=b"", kind=0, total=None, length=None):
    """A frame whose two lengths may lie."""
    length = len(header) if length is None else length
    total = 4 + len(header) + len(body) if total is None else total
    return struct.pack(">iI", total, (kind << 24) | (length & 0xFFFFFF)) + header + body


def header(**fields):
    return json.dumps({"code": 30, "extFields": {"topic": "TBW102", "queueId": "0"}, "flag": 0, "language": "JAVA",
                       "opaque": 7, "version": 493} | fields).encode()


def binary(ext=b"", remark=b"", remark_length=None, ext_length=None, code=30):
    out = struct.pack(">hbhii", code, 0, 493, 7, 0)
    out += struct.pack(">i", len(remark) if remark_length is None else remark_length) + remark
    return out + struct.pack(">i", len(ext) if ext_length is None else ext_length) + ext


def short(key, value, key_length=None, value_length=None):
    return (struct.pack(">h", len(key) if key_length is None else key_length) + key
            + struct.pack(">i", len(value) if value_length is None else value_length) + value)


GOOD = header()
NOISE = random.Random(1).randbytes(4096)

FRAMES = {
    "frame_over_16_mib": struct.pack(">ii", 16 * MIB + 1, 10) + b"x" * 1000,
    "frame_2_gib": struct.pack(">ii", 2**31 - 1, 10) + b"x" * 1000,
    "frame_length_negative": struct.pack(">ii", -1, 10) + b"x" * 100,
    "frame_length_min": struct.pack(">ii", -2**31, 10) + b"x" * 100,
    "frame_length_zero": struct.pack(">i", 0) + frame(GOOD),
    "frame_length_three": struct.pack(">i", 3) + b"xxx",
    "header_longer_than_frame": frame(GOOD, length=len(GOOD) + 1),
    "header_16_mib_in_small_frame": frame(GOOD, length=0xFFFFFF),
    "header_empty": frame(b""),
    "header_shorter_than_json": frame(GOOD, length=len(GOOD) - 5),
    "json_truncated": frame(GOOD[:40]),
    "json_endless_nesting": frame(b'{"code":30,"extFields":' + b"[" * 100_000),
    "json_endless_objects": frame(b'{"a":' * 100_000),
    "json_endless_string": frame(b'{"code":30,"remark":"' + b"x" * 1_000_000),
    "json_endless_number": frame(b'{"code":' + b"9" * 100_000 + b"}"),
    "json_not_an_object": frame(b"[1,2,3]"),
    "json_null": frame(b"null"),
    "json_not_utf8": frame(b'{"code":30,"remark":"\xff\xfe\xc0"}'),
    "json_lone_surrogate": frame(b'{"code":30,"remark":"\\ud800"}'),
    "json_duplicate_keys": frame(b'{"code":30,"code":31,"opaque":7,"flag":0,"extFields":{"topic":"a","topic":"b"}}'),
    "json_code_is_text": frame(header(code="thirty")),
    "json_code_missing": frame(b'{"opaque":7,"flag":0}'),
    "json_code_huge": frame(header(code=10**30)),
    "json_code_fraction": frame(header(code=30.5)),
    "json_opaque_huge": frame(header(opaque=2**40)),
    "json_ext_is_list": frame(header(extFields=["topic", "TBW102"])),
    "json_ext_value_is_object": frame(header(extFields={"topic": {"a": 1}, "queueId": 0})),
    "json_many_ext_fields": frame(header(extFields={f"k{n}": "v" for n in range(100_000)})),
    "json_nul_bytes": frame(b"\x00" * 200),
    "serialisation_type_2": frame(GOOD, kind=2),
    "serialisation_type_255": frame(GOOD, kind=255),
    "binary_empty": frame(b"", kind=1),
    "binary_cut": frame(binary()[:12], kind=1),
    "binary_remark_negative": frame(binary(remark_length=-5), kind=1),
    "binary_remark_huge": frame(binary(remark_length=2**31 - 1), kind=1),
    "binary_ext_negative": frame(binary(ext_length=-1), kind=1),
    "binary_ext_huge": frame(binary(ext_length=2**30), kind=1),
    "binary_key_negative": frame(binary(short(b"topic", b"x", key_length=-3)), kind=1),
    "binary_value_negative": frame(binary(short(b"topic", b"x", value_length=-3)), kind=1),
    "binary_value_huge": frame(binary(short(b"topic", b"x", value_length=2**31 - 1)), kind=1),
    "binary_not_utf8": frame(binary(short(b"topic", b"\xff\xfe")), kind=1),
    "noise": NOISE,
    "http": b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "proxy_protocol_nonsense": b"PROXY TCP9 a b c d\r\n" + frame(GOOD),
    "response_never_asked_for": frame(header(flag=1, opaque=999)) + frame(GOOD),
    "all_flags": frame(header(flag=0x7FFFFFFF)) + frame(GOOD),
}


def send(body=b"hello", **fields):
    ext = dict(a="hostile", b="$t", c="TBW102", d="4", e="0", f="0", g="1700000000000", h="0", i="", j="0", k="false",
               m="false") | fields
    return 320 if ext["m"] == "true" else 310, ext, body


GOOD_BATCH = batch((b"first", {"a": "1"}), (b"second", {"b": "2"}))
UNKNOWN = {f"code_{code}": (code, {}, b"") for code in (0, -1, 9999, 32768, 2**31 - 1, -2**31)}
NAMES = {"path_up": "../x", "path_up_twice": "../../etc/passwd", "path_absolute": "/etc/passwd", "dot": ".", "dots": "..",
         "separator": "a/b", "backslash": "a\\b", "nul": "a\x00b", "newline": "a\nb", "colon": "c:x", "unicode_slash": "a\u2215b",
         "long": "n" * 5000, "empty": "", "at": "a@b", "tilde": "~root", "control_1": "a\x01b"}

REFUSED = dict(UNKNOWN)
for label, name in NAMES.items():
    REFUSED[f"send_topic_{label}"] = send(b=name)
    REFUSED[f"create_topic_{label}"] = (17, dict(topic=name, defaultTopic="TBW102", readQueueNums=1, writeQueueNums=1, perm=6,
                                                 topicFilterType="SINGLE_TAG", topicSysFlag=0, order="false"), b"")
    REFUSED[f"pull_group_{label}"] = (11, dict(consumerGroup=name, topic="$t", queueId=0, queueOffset=0, maxMsgNums=1, sysFlag=4,
                                               commitOffset=0, suspendTimeoutMillis=0, subscription="*", subVersion=0), b"")
    if label not in ("empty", "long"):  # RocketMQ itself takes them for groups; see the differential test
        REFUSED[f"create_group_{label}"] = (200, {}, json.dumps({"groupName": name}).encode())
REFUSED |= {
    "properties_32768": send(i="a\x01" + "x" * 32_766),
    "properties_1_mib": send(i="a\x01" + "x" * MIB),
    "body_over_limit": send(b"x" * (4 * MIB + 1)),
    "body_15_mib": send(b"x" * (15 * MIB)),
    "body_empty": send(b""),
    "queue_negative_huge": send(e=str(2**31 - 1)),
    "queue_overflow": send(e=str(2**63)),
    "number_text": send(f="0x10"),
    "batch_cut_first": send(GOOD_BATCH[:10], m="true"),
    "batch_cut_second": send(GOOD_BATCH[:-3], m="true"),
    "batch_size_negative": send(struct.pack(">i", -1) + GOOD_BATCH[4:], m="true"),
    "batch_size_huge": send(struct.pack(">i", 2**31 - 1) + GOOD_BATCH[4:], m="true"),
    "batch_body_length_negative": send(GOOD_BATCH[:16] + struct.pack(">i", -1) + GOOD_BATCH[20:], m="true"),
    "batch_second_body_negative": send(GOOD_BATCH + GOOD_BATCH[:16] + struct.pack(">i", -1) + GOOD_BATCH[20:], m="true"),
    "batch_properties_negative": send(struct.pack(">iiiii", 23, 0, 0, 0, 1) + b"x" + struct.pack(">h", -1), m="true"),
    "batch_trailing_byte": send(GOOD_BATCH + b"\x00", m="true"),
    "batch_noise": send(NOISE, m="true"),
    "heartbeat_noise": (34, {}, NOISE),
    "heartbeat_nested": (34, {}, b"[" * 200_000),
    "heartbeat_cut": (34, {}, b'{"clientID":"x","consumerDataSet":[{"groupName":"g"'),
    "lock_noise": (41, {}, NOISE),
    "config_of_topics_cut": (18, {}, b'{"topicConfigList":[{"topicName":"x"'),
    "pull_negative_queue": (11, dict(consumerGroup="hostile_g", topic="$t", queueId=-1, queueOffset=0, maxMsgNums=1, sysFlag=4,
                                     commitOffset=0, suspendTimeoutMillis=0, subscription="*", subVersion=0), b""),
    "send_back_offset_wild": (36, dict(offset=2**62, group="hostile_g", delayLevel=0), b""),
    "send_back_offset_negative": (36, dict(offset=-(2**62), group="hostile_g", delayLevel=0), b""),
    "view_offset_wild": (33, dict(offset=2**62), b""),
    "view_offset_inside_record": (33, dict(offset="$inside"), b""),
    "query_key_1_mib": (12, dict(topic="$t", key="k" * MIB, maxNum=2**31 - 1, beginTimestamp=0, endTimestamp=2**62), b""),
}

REGISTRATION = dict(brokerName="hostile", brokerAddr="127.0.0.1:9", clusterName="hostile", haServerAddr="127.0.0.1:10",
                    brokerId=0, compressed="false", bodyCrc32=0)
TOPICS = b'{"filterServerList":[],"topicConfigSerializeWrapper":{"dataVersion":{"counter":1,"stateVersion":0,"timestamp":1},' \
         b'"topicConfigTable":{}}}'
# For the name server; RocketMQ's own takes some of these and keeps a nameless broker for ever.
REGISTRATIONS = {
    f"register_no_{name}": (103, {k: v for k, v in REGISTRATION.items() if k != name}, TOPICS)
    for name in ("brokerName", "brokerAddr", "clusterName")} | {
    "register_bomb": (103, REGISTRATION | {"compressed": "true"}, zlib.compress(b"\x7f\xff\xff\xff" + b"\x00" * (64 * MIB))),
    "register_noise": (103, REGISTRATION, NOISE),
    "register_nested": (103, REGISTRATION, b"[" * 200_000),
    "register_topic_path": (103, REGISTRATION, TOPICS.replace(b'Table":{}', b'Table":{"../x":{"topicName":"../x",'
                            b'"readQueueNums":1,"writeQueueNums":1,"perm":6}}')),
    "register_counts_wild": (103, REGISTRATION | {"compressed": "true"},
                             zlib.compress(b"\x00\x00\x00\x02{}" + b"\x7f\xff\xff\xff" * 2)),
}
NAMESRV_TOLERATED = {
    "register_name_path": (103, REGISTRATION | {"brokerName": "../x"}, TOPICS),
    "kv_1_mib": (100, dict(namespace="hostile", key="k" * MIB, value="v" * MIB), b""),
    "kv_remove_1_mib": (102, dict(namespace="hostile", key="k" * MIB), b""),
}

# May be accepted, but must not break anything: what is stored afterwards must be readable.
TOLERATED = {
    "sys_flag_ipv6_bits": send(f=str(0x30)),
    "sys_flag_every_bit": send(f=str(2**31 - 1)),
    "sys_flag_negative": send(f="-1"),
    "born_timestamp_wild": send(g=str(2**63 - 1)),
    "born_timestamp_negative": send(g="-1"),
    "reconsume_times_wild": send(j=str(2**31 - 1)),
    "property_separators": send(i="\x01\x02\x02\x01\x01a\x02b"),
    "properties_nul": send(i="a\x01\x00\x02"),
    "property_system_names": send(i=format_properties({"REAL_TOPIC": "../x", "REAL_QID": "-1", "PGROUP": "x"})),
    "pull_wild_numbers": (11, dict(consumerGroup="hostile_g", topic="$t", queueId=0, queueOffset=2**63 - 1, maxMsgNums=2**31 - 1,
                                   sysFlag=4, commitOffset=2**62, suspendTimeoutMillis=2**62, subscription="*",
                                   subVersion=2**62), b""),
    "pull_offset_min": (11, dict(consumerGroup="hostile_g", topic="$t", queueId=0, queueOffset=-2**63, maxMsgNums=32,
                                 sysFlag=4, commitOffset=0, suspendTimeoutMillis=0, subscription="*", subVersion=0), b""),
    "pull_subscription_1_mib": (11, dict(consumerGroup="hostile_g", topic="$t", queueId=0, queueOffset=0, maxMsgNums=1, sysFlag=4,
                                         commitOffset=0, suspendTimeoutMillis=0, subscription="t||" * 300_000, subVersion=0), b""),
    "offset_commit_wild": (15, dict(consumerGroup="hostile_g", topic="$t", queueId=0, commitOffset=2**63 - 1), b""),
    "offset_commit_negative": (15, dict(consumerGroup="hostile_g", topic="$t", queueId=0, commitOffset=-2**63), b""),
    "time_wild": (29, dict(topic="$t", queueId=0, timestamp=2**63 - 1), b""),
    "time_min": (29, dict(topic="$t", queueId=0, timestamp=-2**63), b""),
    "units_wild": (321, dict(topic="$t", queueId=0, index=2**62, count=2**31 - 1), b""),
    "units_negative_count": (321, dict(topic="$t", queueId=0, index=0, count=-5), b""),
    "lock_many": (41, {}, json.dumps({"consumerGroup": "hostile_g", "clientId": "x", "mqSet": [
        {"topic": "$t", "brokerName": "b", "queueId": n} for n in range(20_000)]}).encode()),
    "heartbeat_many_groups": (34, {}, json.dumps({"clientID": "x" * 10_000, "producerDataSet": [
        {"groupName": f"hostile{n}"} for n in range(10_000)], "consumerDataSet": []}).encode()),
}


def oneway_attacks():
    """Nothing comes back for these; afterwards the connection must still answer."""
    return [Frame(code, ext, body, flag=ONEWAY, encoding=kind)
            for code, ext, body in REFUSED.values() if -32768 <= code <= 32767
            for kind in (0, BINARY) if not (kind == BINARY and any(len(str(v)) > 1_000_000 for v in ext.values()))]
