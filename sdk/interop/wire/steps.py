"""What a case is made of: steps that are sent, and the usual requests as short functions.

Strings may hold $t $t2 (the case's own topics), $g $g2 (its groups), $client, $broker, $cluster,
$broker_addr, $fake (a broker name of its own), and whatever an earlier step saved.
"""

import time
from dataclasses import dataclass, field

from records import format_properties
from remoting import JSON, V5_4_0


@dataclass
class Step:
    code: int
    ext: dict = field(default_factory=dict)
    body: object = b""          # bytes, or what becomes JSON, or a function of the names
    to: str = "broker"          # or "namesrv"
    via: str = "main"           # which connection
    version: int = V5_4_0
    encoding: int = JSON
    language: str = "JAVA"
    oneway: bool = False
    quiet: bool = False         # not compared
    until: object = None        # repeat until this function of the answer is true
    save: dict = field(default_factory=dict)   # name -> function of the answer
    project: object = None      # (parsed body, names) -> what is compared
    body_kind: str | None = None  # json, records, text, raw; guessed otherwise
    timeout: float = 8.0
    ignore: tuple = ()          # fields whose value others influence


@dataclass
class Sleep:
    seconds: float


@dataclass
class Notices:
    """Compares the requests the server has sent to a connection so far."""
    via: str = "main"
    wait: float = 0.5


@dataclass
class Case:
    id: str
    steps: list
    ours: dict = field(default_factory=dict)  # what every answer of the server under test must show


def case(name, *steps, ours=None):
    return Case(name, list(flat(steps)), ours or {})


def flat(steps):
    for step in steps:
        if isinstance(step, (list, tuple)):
            yield from flat(step)
        else:
            yield step


def succeeded(answer):
    return answer.code == 0


def namesrv(code, ext=None, body=b"", **options):
    return Step(code, ext or {}, body, to="namesrv", **options)


def topic(name="$t", queues=1, perm=6, quiet=True, **more):
    ext = dict(topic=name, defaultTopic="TBW102", readQueueNums=queues, writeQueueNums=queues, perm=perm,
               topicFilterType="SINGLE_TAG", topicSysFlag=0, order="false")
    return Step(17, ext | more, quiet=quiet)


def routed(name="$t"):
    """Waits until the name server knows the topic."""
    return namesrv(105, {"topic": name}, until=succeeded, quiet=True)


def group(name="$g", quiet=True, **more):
    config = {"groupName": name, "consumeEnable": True, "consumeFromMinEnable": True,
              "consumeBroadcastEnable": True, "retryQueueNums": 1, "retryMaxTimes": 16, "brokerId": 0,
              "whichBrokerWhenConsumeSlowly": 1, "notifyConsumerIdsChangedEnable": True}
    return Step(200, {}, config | more, quiet=quiet)


def send(body=b"hello", queue=0, properties=None, quiet=False, options=None, **fields):
    """SEND_MESSAGE_V2; `fields` are its one-letter header names."""
    ext = dict(a="wire_producer", b="$t", c="TBW102", d=4, e=queue, f=0, g=int(time.time() * 1000), h=0,
               i=format_properties({"TAGS": "tagA"} if properties is None else properties),
               j=0, k="false", m="false")
    ext.update(fields)
    code = 320 if ext["m"] == "true" else 310
    return Step(code, {k: v for k, v in ext.items() if v is not None}, body, quiet=quiet, **(options or {}))


def send_v1(body=b"hello", quiet=False, **fields):
    ext = dict(producerGroup="wire_producer", topic="$t", defaultTopic="TBW102", defaultTopicQueueNums=4,
               queueId=0, sysFlag=0, bornTimestamp=int(time.time() * 1000), flag=0,
               properties=format_properties({"TAGS": "tagA"}), reconsumeTimes=0, unitMode="false", batch="false")
    ext.update(fields)
    return Step(10, {k: v for k, v in ext.items() if v is not None}, body, quiet=quiet)


def filled(count, queue=0, name="$t"):
    """Waits until the queue's max offset is `count` (dispatch is not part of the send)."""
    return Step(30, {"topic": name, "queueId": queue}, quiet=True,
                until=lambda answer: answer.ext.get("offset") == str(count))


def messages(count, queue=0, **options):
    return [send(b"message %d" % n, queue, quiet=True, **options) for n in range(count)] + [filled(count, queue)]


def pull(offset=0, queue=0, options=None, code=11, **fields):
    ext = dict(consumerGroup="$g", topic="$t", queueId=queue, queueOffset=offset, maxMsgNums=32, sysFlag=4,
               commitOffset=0, suspendTimeoutMillis=0, subscription="*", subVersion=0, expressionType="TAG")
    ext.update(fields)
    options = {"body_kind": "records"} | (options or {})
    return Step(code, {k: v for k, v in ext.items() if v is not None}, **options)


def subscription(name="$t", expression="*", tags=(), codes=()):
    return {"classFilterMode": False, "codeSet": list(codes), "expressionType": "TAG", "subString": expression,
            "subVersion": 1, "tagsSet": list(tags), "topic": name}


def heartbeat(consumer="$g", producer=None, client="$client", subscriptions=None, quiet=True, via="main",
              kind="CONSUME_PASSIVELY", model="CLUSTERING", **more):
    body = {"clientID": client, "consumerDataSet": [], "producerDataSet": [], "heartbeatFingerprint": 0,
            "withoutSub": False}
    if consumer:
        body["consumerDataSet"].append({
            "groupName": consumer, "consumeType": kind, "messageModel": model,
            "consumeFromWhere": "CONSUME_FROM_FIRST_OFFSET", "unitMode": False,
            "subscriptionDataSet": [subscription()] if subscriptions is None else subscriptions})
    if producer:
        body["producerDataSet"].append({"groupName": producer})
    return Step(34, {}, body | more, quiet=quiet, via=via)


def commit(offset, queue=0, quiet=True, **fields):
    return Step(15, dict(consumerGroup="$g", topic="$t", queueId=queue, commitOffset=offset) | fields, quiet=quiet)


def committed(queue=0, **fields):
    return Step(14, dict(consumerGroup="$g", topic="$t", queueId=queue) | fields)
