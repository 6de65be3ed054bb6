"""Alerts about consumer groups."""

import glob
import json
import os
import struct
import subprocess

from node import GROUP, check, until

HOUR = 3_600_000
MESSAGES, STORE_TIMESTAMP = (0xDAA320A7, 0xDAA320AB), 56


def heartbeat(client, topic):
    body = {"clientID": "member@1", "producerDataSet": [],
            "consumerDataSet": [{"groupName": GROUP, "consumeType": "CONSUME_PASSIVELY", "messageModel": "CLUSTERING",
                                 "consumeFromWhere": "CONSUME_FROM_FIRST_OFFSET", "subscriptionDataSet": [{"topic": topic, "subString": "*"}],
                                 "unitMode": False}]}
    check(client.connection.call(34, {}, json.dumps(body).encode()).code == 0, "heartbeat")


def behind(stage):
    """A group with a member that has consumed two of five messages."""
    node, prometheus = stage.watched(stage.node())
    client, member = stage.client(node), stage.client(node)
    client.create_topic("orders", 1)
    client.create_group()
    heartbeat(member, "orders")
    check(client.send_burst("orders", 0, 5, 100) == 5, "sends")
    member.commit("orders", 0, 2)
    return node, prometheus, client, member


def a_group_whose_last_member_goes(stage):
    _, prometheus, client, member = behind(stage)
    prometheus.quiet("BlockhouseGroupStandsStill")
    member.close()
    prometheus.fires("BlockhouseGroupStandsStill", consumer_group=GROUP, topic="orders")
    client.commit("orders", 0, 5)
    prometheus.ends("BlockhouseGroupStandsStill")
    return "three messages wait, then none"


def a_group_whose_members_are_stuck(stage):
    """Its member is connected, has been given messages, and is done with none of them."""
    node, prometheus, _, member = behind(stage)
    prometheus.quiet("BlockhouseGroupStuck")
    member.pull("orders", 0, 2)
    # As long as its commits move, it is behind and not stuck.
    for offset in (3, 4):
        until("a while", lambda: prometheus.query("blockhouse_consumer_stuck_seconds >= 2"))
        member.commit("orders", 0, offset)
        until("it has moved", lambda: prometheus.query("blockhouse_consumer_stuck_seconds < 2"))
    prometheus.fires("BlockhouseGroupStuck", 70, consumer_group=GROUP, topic="orders")
    asked = [node.binary, "doctor", "-n", node.namesrv, "--node", node.ops, "--json"]
    findings = json.loads(subprocess.run(asked, capture_output=True, check=False).stdout)["findings"]
    stuck = [finding["found"] for finding in findings if finding["check"] == "group-stuck" and finding["state"] == "warning"]
    check(len(stuck) == 1 and stuck[0].startswith(f"{GROUP} orders: "), f"the doctor: {stuck}")
    member.commit("orders", 0, 5)
    prometheus.ends("BlockhouseGroupStuck")
    member.close()
    return stuck[0]


def an_hour_ago(data):
    """The messages in the log are an hour older: nothing that is checked covers the time."""
    [path] = glob.glob(os.path.join(data, "commitlog", "*0"))
    with open(path, "r+b") as file:
        log, at, count = file.read(), 0, 0
        while (size := struct.unpack_from(">i", log, at)[0]) > 0 and struct.unpack_from(">I", log, at + 4)[0] in MESSAGES:
            then = struct.unpack_from(">q", log, at + STORE_TIMESTAMP)[0] - HOUR
            file.seek(at + STORE_TIMESTAMP)
            file.write(struct.pack(">q", then))
            at, count = at + size, count + 1
    return count


def a_group_that_is_late(stage):
    node, prometheus, _, member = behind(stage)
    prometheus.quiet("BlockhouseGroupLate")
    member.close()
    check(node.stop() == 0, "a clean stop")
    check(an_hour_ago(node.data) == 5, "messages in the log")
    node.start()
    prometheus.fires("BlockhouseGroupLate", consumer_group=GROUP, topic="orders")
    stage.client(node).commit("orders", 0, 5)
    prometheus.ends("BlockhouseGroupLate")
    return "an hour, then not at all"


def messages_that_are_given_up(stage):
    """The first of the group and no more: one is enough."""
    _, prometheus, client, member = behind(stage)
    prometheus.quiet("BlockhouseDeadLetters")
    # For as long as the alert looks back, the node was there without it.
    until("it has been looked at for a while", lambda: prometheus.query("blockhouse_uptime_seconds > 17"), 40)
    body = client.pull("orders", 0, 2).body
    ext = {"offset": struct.unpack_from(">q", body, 28)[0], "group": GROUP, "delayLevel": -1, "originTopic": "orders", "originMsgId": "",
           "unitMode": "false", "maxReconsumeTimes": 16}
    check(client.connection.call(36, ext).code == 0, "send back")
    prometheus.fires("BlockhouseDeadLetters", consumer_group=GROUP, topic="orders")
    prometheus.ends("BlockhouseDeadLetters")
    member.close()
    return "one, then no more"


SCENES = {
    a_group_whose_last_member_goes: ["BlockhouseGroupStandsStill"],
    a_group_whose_members_are_stuck: ["BlockhouseGroupStuck"],
    a_group_that_is_late: ["BlockhouseGroupLate"],
    messages_that_are_given_up: ["BlockhouseDeadLetters"],
}
SLOW = []
