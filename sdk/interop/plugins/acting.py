"""A plugin that acts at each hook point of the real process, and what clients see of it: our own tools, and requests as bytes."""

import json
import os
import socket
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "wire"))
from common import check, eventually, lines, sample
from harness.collector import Collector
from remoting import Connection, Frame

SUCCESS, NO_PERMISSION, NO_VALUE = 0, 16, 22
SEND, PULL, ROUTE, PUT_KV, GET_KV = 310, 11, 105, 100, 101
# Loopback has more addresses than one: what comes from this one is nobody else's.
STRANGER = "127.0.0.2"


def message(topic):
    return dict(a="producers", b=topic, c="TBW102", d=4, e=0, f=0, g=1_700_000_000_000, h=0, i="", j=0, k="false", m="false")


def pull(topic, group):
    return dict(consumerGroup=group, topic=topic, queueId=0, queueOffset=0, maxMsgNums=32, sysFlag=4, commitOffset=0, suspendTimeoutMillis=0,
                subscription="*", subVersion=0, expressionType="TAG")


def ask(address, code, fields, body=b""):
    with Connection(address, 20) as client:
        return client.call(code, fields, body)


def refused(answer, why, code=NO_PERMISSION):
    check(answer.code == code and why in (answer.remark or ""), f"not refused with {code} and `{why}`: {answer}")


def routed(node, topic):
    eventually(lambda: ask(node.namesrv, ROUTE, {"topic": topic}).code == SUCCESS, f"no route of {topic}")


def is_closed(address, source):
    """Whether a client from there is hung up on, whatever it asks."""
    host, port = address.rsplit(":", 1)
    with socket.create_connection((host, int(port)), 20, source_address=(source, 0)) as client:
        try:
            client.sendall(Frame(ROUTE, {"topic": "orders"}, opaque=1).encode())
            return not client.recv(1)
        except (BrokenPipeError, ConnectionResetError):
            return True


def a_connection_is_refused(start):
    told = Collector()
    node = start(sample({"refuse_peers": [STRANGER]}, hooks=["connection"]), {"guest": "audit", "name": "audit"} | told.binding())
    for listener in (node.broker, node.namesrv):
        check(is_closed(listener, STRANGER), f"{listener} answers whom the plugin refuses")
        check(not is_closed(listener, "127.0.0.1"), f"{listener} answers nobody")
    check(node.produce("orders", "a")[0] == 1, "others may")
    events = told.wait(kind="connection", outcome="refused", decided_by="sample")
    check(all(event["peer"].startswith(STRANGER + ":") and "the sample refuses the address" in event["reason"] for event in events), events)
    check(node.hook("sample", "connection")["objections"] == 2, node.hook("sample", "connection"))


def a_client_is_known_by_what_it_signs(start):
    rules = {"signatures": {"ann": "right"}, "deny_principals": ["anonymous"]}
    node = start(sample(rules, hooks=["authenticate", "authorize"], codes=[SEND, ROUTE]))
    right, wrong = {"AccessKey": "ann", "Signature": "right"}, {"AccessKey": "ann", "Signature": "left"}
    stranger = {"AccessKey": "eve", "Signature": "right"}
    send = lambda who: ask(node.broker, SEND, message("orders") | who, b"x")
    route = lambda who: ask(node.namesrv, ROUTE, {"topic": "orders"} | who)
    check(send(right).code == SUCCESS, "ann may not send")
    eventually(lambda: route(right).code == SUCCESS, "ann may not ask where to")
    for what in (send, route):
        refused(what(wrong), "the sample does not know this signature of ann")
        for nobody in ({}, stranger):
            refused(what(nobody), "the sample refuses the principal anonymous")
    # One that signs as RocketMQ's clients do, which is another signature.
    secret = os.path.join(node.work, "secret")
    with open(secret, "w", encoding="utf-8", opener=lambda path, flags: os.open(path, flags, 0o600)) as file:
        file.write("another-secret\n")
    done = node.command_line("produce", "orders", "y", BLOCKHOUSE_ACCESS_KEY="ann", BLOCKHOUSE_SECRET_KEY_FILE=secret)
    check(done.returncode != 0 and "does not know this signature of ann" in done.stderr, done.stderr)
    found = ask(node.broker, PULL, pull("orders", "g"))
    check(found.code == SUCCESS and found.ext["maxOffset"] == "1", f"what was refused is stored: {found}")


def a_group_may_not_pull(start):
    node = start(sample({"deny_pull_groups": ["blocked"]}, hooks=["pull"]))
    check(ask(node.broker, SEND, message("orders"), b"a").code == SUCCESS, "not stored")
    refused(ask(node.broker, PULL, pull("orders", "blocked")), "the sample refuses the group blocked")
    check(b"a" in ask(node.broker, PULL, pull("orders", "free")).body, "another group gets nothing")
    routed(node, "orders")
    check(node.consume("orders", "others") == ["a"], "a group of our own tool gets nothing")


def what_was_done_is_told(start):
    node = start(sample({"tell": True}, hooks=["connection", "after-append", "ack"]))
    check(node.produce("orders", "four")[0] == 1, "not stored")
    check(node.consume("orders", "g") == ["four"], "not there")
    appended = eventually(lambda: [line.split() for line in lines(node) if line.startswith("appended orders/")], "nothing was told of the send")
    check(len(appended) == 1 and appended[0][2] == "4" and appended[0][1].endswith("/0"), appended)
    queue = appended[0][1].split("/")[1]
    eventually(lambda: f"acked g orders/{queue}/1" in lines(node), lambda: f"the progress was not told: {lines(node)}")
    eventually(lambda: any(line.startswith("closed 127.0.0.1:") for line in lines(node)), "no connection was told of")
    check("started" in lines(node), lines(node))
    node.stop()
    # The last one is told when nobody can ask any more.
    check(any("stopping" in line and "sample" in line for line in node.lines()), node.lines()[-5:])


def administration_is_refused(start):
    node = start(sample({"deny_commands": ["DELETE_TOPIC_IN_BROKER", "PUT_KV_CONFIG"]}, hooks=["admin-command"]))
    check(node.produce("orders", "kept")[0] == 1, "not stored")
    done = node.command_line("admin", "topic", "delete", "orders")
    check(done.returncode != 0 and "the sample refuses the command DELETE_TOPIC_IN_BROKER" in done.stderr, done.stderr)
    check(node.consume("orders", "g") == ["kept"], "it took effect")
    done = node.command_line("admin", "topic", "create", "others")
    check(done.returncode == 0, done.stderr)
    value = {"namespace": "n", "key": "k", "value": "v"}
    refused(ask(node.namesrv, PUT_KV, value), "the sample refuses the command PUT_KV_CONFIG")
    check(ask(node.namesrv, GET_KV, value).code == NO_VALUE, "it took effect on the name server")


FATES = {"reject_body": "poison", "reject_code": 13, "drop_body": "spam", "reroute": {"elsewhere": "others", "secretly": "secret-plans"},
         "replace": {"card 1234": "card ****"}, "set_property": {"checked": "yes"}, "delete_property": ["colour"]}
GUARD = {"guest": "acl", "name": "guard", "hooks": ["authorize"], "topics": ["secret*"], "deadline_ms": 200,
         "grants": {"log": True, "clock": True, "kv": True}, "config": {"quarantine": {"principals": ["anonymous"]}}}


def what_is_sent_is_rejected_dropped_rerouted_or_changed(start):
    told = Collector()
    node = start(sample(FATES, hooks=["before-send"]), GUARD, {"guest": "audit", "name": "audit", "order": 1} | told.binding())
    stored, error = node.produce("orders", "poison")
    check(stored == 0 and "the sample refuses this body" in error and "MESSAGE_ILLEGAL" in error, error)
    done = node.command_line("produce", "orders", "spam", "--json")
    sent = json.loads(done.stdout)
    check((sent["status"], sent["offset"]) == ("SEND_OK", -1), f"dropped, and told {sent}")
    answer = ask(node.broker, SEND, message("orders"), b"more spam")
    check((answer.code, answer.ext["queueOffset"]) == (SUCCESS, "-1"), answer)
    check(node.produce("orders", "go elsewhere")[0] == 1, "not rerouted")
    # What reroutes is not above who authorizes: the new topic is asked for as well.
    stored, error = node.produce("orders", "go secretly")
    check(stored == 0 and "anonymous is in quarantine" in error, f"a way around the guard: {stored} {error}")
    check(ask(node.broker, SEND, message("orders"), b"go secretly").code == NO_PERMISSION, "a way around the guard")
    done = node.command_line("produce", "orders", "my card 1234", "--property", "colour=red", "--property", "size=9")
    check(done.returncode == 0, done.stderr)
    done = node.command_line("consume", "orders", "--group", "g", "--json")
    [found] = [json.loads(line) for line in done.stdout.splitlines()]
    properties = found["properties"]
    check(found["body"] == "my card ****", f"the body was not rewritten: {found}")
    check(properties["checked"] == "yes" and properties["size"] == "9" and "colour" not in properties, properties)
    check(node.consume("others", "g") == ["go elsewhere"], "what was rerouted is not there")
    for outcome, why in (("refused", "the sample refuses this body"), ("dropped", ""), ("rerouted", "others"), ("edited", "")):
        events = told.wait(kind="send", outcome=outcome, decided_by="sample", resource="topic:orders")
        check(any(why in event["reason"] for event in events), f"{outcome}: {events}")
    told.wait(kind="authorization", outcome="refused", decided_by="guard", resource="topic:secret-plans")
    check(len(told.told(kind="send", outcome="dropped")) == 2, "each one that was dropped is told")
    # And counted: poison, two of spam, elsewhere, twice secretly, and the one that was changed.
    check(node.hook("sample", "before-send")["objections"] >= 7, node.hook("sample", "before-send"))


def brokers(namesrv, topic):
    """Names of the brokers of a topic, in the order in which a client is told of them."""
    answer = ask(namesrv.namesrv, ROUTE, {"topic": topic, "acceptStandardJsonOnly": "true"})
    return [broker["brokerName"] for broker in json.loads(answer.body)["brokerDatas"]] if answer.code == SUCCESS else []


def a_route_is_in_another_order_or_refused(start):
    keep = {"keep_brokers": ["broker-z", "broker-a"], "deny_routes": ["orders-gone"]}
    namesrv = start(sample(keep, hooks=["route-query"], topics=["orders*"]), role="namesrv")
    for name in ("broker-a", "broker-z"):
        start(role="broker", more=("--namesrv", namesrv.namesrv, "--name", name))
    for topic in ("orders", "orders-gone", "others"):
        done = namesrv.command_line("admin", "topic", "create", topic)
        check(done.returncode == 0, done.stderr)
    for topic, order in (("others", ["broker-a", "broker-z"]), ("orders", ["broker-z", "broker-a"])):
        eventually(lambda topic=topic, order=order: brokers(namesrv, topic) == order, lambda topic=topic: f"{topic}: {brokers(namesrv, topic)}")
    refused(ask(namesrv.namesrv, ROUTE, {"topic": "orders-gone"}), "the sample refuses the route of orders-gone")
    stored, error = namesrv.produce("orders-gone", "a")
    check(stored == 0 and "the sample refuses the route of orders-gone" in error, error)
    check(namesrv.produce("orders", *"abcd")[0] == 4, "the others are served")


def what_is_replaced_is_told_of_its_end(start):
    namesrv = start(role="namesrv")
    broker = start(role="broker", more=("--namesrv", namesrv.namesrv))
    broker.namesrv = namesrv.namesrv
    for node, hook in ((broker, "before-send"), (namesrv, "route-query")):
        check(node.deploy("1.0.0", {"tell": True}, hooks=[hook]) is None, "the first deploy")
        check(broker.produce("orders", "a")[0] == 1, "it lets through")
        check(any(line.startswith("init ") for line in lines(node)), lines(node))
        before = lines(node).count("drained")
        # Only the old one tells: the new one has no such rule.
        check(node.deploy("1.0.1", {}, hooks=[hook]) is None, "the second deploy")
        eventually(lambda node=node, before=before: lines(node).count("drained") > before, lambda node=node: f"not told: {lines(node)}")
        check(broker.produce("orders", "b")[0] == 1, "the new one lets through")
        check(node.plugin("sample")["version"] == "1.0.1" and not node.hook("sample", hook)["failures"], node.plugin("sample"))
    check(broker.consume("orders", "g") == ["a", "a", "b", "b"], "what was sent is there")
