"""Golden frames for bodies that real clients rarely fetch, asked for with our own client."""

import json
import struct
import time

from remoting import V4_9_3, Connection, Frame, decode

TOPIC, GROUP, CLIENT = "golden_raw", "golden_group", "127.0.0.1@golden"


def send_fields(**more):
    fields = dict(a="golden_producer", b=TOPIC, c="TBW102", d="4", e="0", f="0",
                  g=int(time.time() * 1000), h="0", i="TAGS\x01tagA\x02KEYS\x01k1 k2\x02WAIT\x01true\x02",
                  j="0", k="false", m="false", n="broker-a")
    return fields | more


def pull_fields(**more):
    fields = dict(consumerGroup=GROUP, topic=TOPIC, queueId=0, queueOffset=0, maxMsgNums=32, sysFlag=4,
                  commitOffset=0, suspendTimeoutMillis=1000, subscription="*", subVersion=0,
                  expressionType="TAG")
    return fields | more


def heartbeat():
    subscription = {"classFilterMode": False, "codeSet": [], "expressionType": "TAG", "subString": "*",
                    "subVersion": 1, "tagsSet": [], "topic": TOPIC}
    consumer = {"consumeFromWhere": "CONSUME_FROM_FIRST_OFFSET", "consumeType": "CONSUME_PASSIVELY",
                "groupName": GROUP, "messageModel": "CLUSTERING", "subscriptionDataSet": [subscription],
                "unitMode": False}
    return json.dumps({"clientID": CLIENT, "consumerDataSet": [consumer], "heartbeatFingerprint": 0,
                       "producerDataSet": [{"groupName": "golden_producer"}], "withoutSub": False}).encode()


def batch(*bodies):
    out = b""
    for body in bodies:
        properties = b"TAGS\x01tagB\x02KEYS\x01batch\x02"
        out += struct.pack(">iiiii", 22 + len(body) + len(properties), 0, 0, 0, len(body))
        out += body + struct.pack(">h", len(properties)) + properties
    return out


def namesrv_rows():
    return [
        (105, {"topic": TOPIC}, {}, None),
        (105, {"topic": TOPIC}, {"version": V4_9_3}, "old"),
        (105, {"topic": TOPIC, "acceptStandardJsonOnly": "true"}, {"version": V4_9_3}, "standard"),
        (106, {}, {}, None), (206, {}, {}, None), (304, {}, {}, None),
        (224, {"cluster": "DefaultCluster"}, {}, None),
        (901, {"clusterName": "DefaultCluster", "brokerName": "broker-a"}, {}, None),
        (100, {"namespace": "golden", "key": "k", "value": "v"}, {}, None),
        (101, {"namespace": "golden", "key": "k"}, {}, None),
        (101, {"namespace": "golden", "key": "missing"}, {}, None),
        (219, {"namespace": "golden"}, {}, None),
        (102, {"namespace": "golden", "key": "k"}, {}, None),
        (205, {"brokerName": "broker-a"}, {}, None), (327, {"brokerName": "broker-a"}, {}, None),
        (319, {}, {}, None), (9999, {}, {}, None),
    ]


def broker_rows():
    topic, group = {"topic": TOPIC}, {"group": GROUP}
    queue = {"topic": TOPIC, "queueId": 0}
    return [
        (10, dict(producerGroup="golden_producer", topic=TOPIC, defaultTopic="TBW102",
                  defaultTopicQueueNums=4, queueId=0, sysFlag=0, bornTimestamp=1, flag=0,
                  properties="TAGS\x01tagA\x02", reconsumeTimes=0, unitMode="false", batch="false"),
         {"body": b"version one header"}, None),
        (310, send_fields(), {"body": b"two"}, None),
        (310, send_fields(b="bad/topic"), {"body": b"x"}, None),
        (320, send_fields(m="true"), {"body": batch(b"three", "größe".encode())}, None),
        (34, {}, {"body": heartbeat()}, None),
        (11, pull_fields(), {}, None), (11, pull_fields(queueOffset=900), {}, None),
        (15, {"consumerGroup": GROUP, "commitOffset": 2} | queue, {}, None),
        (14, {"consumerGroup": GROUP} | queue, {}, None),
        (12, {"topic": TOPIC, "key": "k1", "maxNum": 8, "beginTimestamp": 0,
              "endTimestamp": 1 << 60}, {}, None),
        (12, {"topic": TOPIC, "key": "none", "maxNum": 8, "beginTimestamp": 0,
              "endTimestamp": 1 << 60}, {}, None),
        (21, {}, {}, None), (201, {}, {}, None), (28, {}, {}, None), (26, {}, {}, None),
        (43, {}, {}, None), (45, {}, {}, None), (60, {}, {}, None), (61, {}, {}, None), (402, {}, {}, None),
        (202, topic, {}, None), (203, {"consumerGroup": GROUP}, {}, None),
        (204, {"producerGroup": "golden_producer"}, {}, None), (328, {}, {}, None),
        (208, {"consumerGroup": GROUP}, {}, None), (317, {"isOrder": "false"}, {}, None),
        (300, topic, {}, None), (343, group, {}, None), (345, group | topic, {}, None),
        (303, group | topic, {}, None), (308, {"compareGroup": GROUP} | topic, {}, None),
        (305, {}, {}, None), (321, queue | {"index": 0, "count": 5, "consumerGroup": GROUP}, {}, None),
        (315, {"statsName": "TOPIC_PUT_NUMS", "statsKey": TOPIC}, {}, None),
        (351, topic, {}, None), (352, group, {}, None), (307, {"consumerGroup": "x", "clientId": "y"}, {}, None),
        (222, topic | group | {"timestamp": 0, "isForce": "true"}, {}, None),
        (38, {"consumerGroup": GROUP}, {}, None), (9999, {}, {}, None),
        (310, {"b": TOPIC}, {"body": b"missing fields"}, None),
    ]


def ask(connection, rows, path, golden):
    for code, ext, head, variant in rows:
        frame = Frame(code, ext, **head)
        connection.send(frame)
        golden.keep(frame.encode(), code, f"client -> {path}", variant or "raw")
        golden.keep(answer_bytes(connection, frame.opaque), code, f"{path} -> client", variant)


def answer_bytes(connection, opaque):
    while True:
        data = connection.next_bytes()
        answer = decode(data[4:])
        if answer.is_response and answer.opaque == opaque:
            return data


def capture_raw(namesrv, broker, golden):
    with Connection(broker) as connection:
        connection.call(17, dict(topic=TOPIC, defaultTopic="TBW102", readQueueNums=2, writeQueueNums=2,
                                 perm=6, topicFilterType="SINGLE_TAG", topicSysFlag=0, order="false"))
        connection.call(310, send_fields(), b"one")
        connection.call(310, send_fields(), b"one and a half")
        time.sleep(1.5)
        ask(connection, broker_rows(), "broker", golden)
    with Connection(namesrv) as connection:
        ask(connection, namesrv_rows(), "namesrv", golden)
