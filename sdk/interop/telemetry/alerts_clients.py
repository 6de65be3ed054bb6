"""Alerts about clients that want too much, and about processes that end."""

import json
import os
import socket

from node import check, until
from stage import job


def a_node_that_is_away(stage):
    node, prometheus = stage.watched(stage.node())
    prometheus.quiet("BlockhouseDown")
    node.kill()
    prometheus.fires("BlockhouseDown", instance=node.ops_listen)
    node.start()
    prometheus.ends("BlockhouseDown")
    return "killed, and started again"


def a_node_that_restarts_again_and_again(stage):
    node = stage.node()
    node.start()
    prometheus = stage.prometheus(job(node.ops_listen), window="2m")
    prometheus.quiet("BlockhouseRestarts")
    for _ in range(3):
        seen = until("its uptime", lambda: prometheus.query("blockhouse_uptime_seconds > 2"))[0]["value"][1]
        node.kill()
        node.start()
        until("the restart is seen", lambda seen=seen: prometheus.query(f"blockhouse_uptime_seconds < {seen}"))
    prometheus.fires("BlockhouseRestarts", instance=node.ops_listen)
    return "three times"


def nodes_of_different_versions(stage):
    """There is one binary: the second node is told by Prometheus to be of another version."""
    node, other = stage.node(), os.path.join(stage.work, "other.json")
    node.start()
    older = {"job_name": "blockhouse-older", "file_sd_configs": [{"files": [other], "refresh_interval": "1s"}],
             "metric_relabel_configs": [{"source_labels": ["version"], "regex": ".+", "target_label": "version", "replacement": "0.0.1"}]}

    def runs(targets):
        with open(other + ".new", "w") as out:
            json.dump([{"targets": targets, "labels": {"instance": "older"}}], out)
        os.replace(other + ".new", other)

    runs([])
    prometheus = stage.prometheus(job(node.ops_listen), older)
    prometheus.quiet("BlockhouseVersionsDiffer")
    runs([node.ops_listen])
    prometheus.fires("BlockhouseVersionsDiffer")
    runs([])
    prometheus.ends("BlockhouseVersionsDiffer")
    return "two, then one"


def clients_that_want_more_than_their_quota(stage):
    node, prometheus = stage.watched(stage.node(**{"quota.enabled": "true", "quota.address.requests": 50}))
    client = stage.client(node)
    client.create_topic("orders", 1)
    check(client.send("orders", 0).code == 0, "a send within the quota")
    prometheus.quiet("BlockhouseBusy")
    until("it fires", lambda: client.send_burst("orders", 0, 200, 100) < 200 and prometheus.alerts("BlockhouseBusy"))
    prometheus.fires("BlockhouseBusy", instance=node.ops_listen)
    prometheus.ends("BlockhouseBusy")
    return "sends beyond a quota, and none"


def clients_that_open_too_many_connections(stage):
    node, prometheus = stage.watched(stage.node(**{"transport.connections_per_address_max": 16, "transport.unproven_per_address_max": 4}))
    prometheus.quiet("BlockhouseConnectionsRefused", "BlockhouseConnectionsShed")
    host, port = node.broker.rsplit(":", 1)
    silent = [socket.create_connection((host, int(port)), 5) for _ in range(60)]
    prometheus.fires("BlockhouseConnectionsShed", instance=node.ops_listen, reason="address")
    for link in silent:
        link.close()
    clients = [stage.client(node)]
    # Those that did a request are not shed for others.
    for _ in range(40):
        try:
            clients[-1].connection.call(30, {"topic": "orders", "queueId": 0})
            clients.append(stage.client(node))
        except Exception:  # pylint: disable=broad-except
            break
    prometheus.fires("BlockhouseConnectionsRefused", instance=node.ops_listen)
    for client in clients:
        client.close()
    prometheus.ends("BlockhouseConnectionsShed")
    prometheus.ends("BlockhouseConnectionsRefused")
    return f"60 silent ones, {len(clients) - 1} that work"


def clients_that_make_up_names(stage):
    """A broker that has room for a hundred topics."""
    node, prometheus = stage.watched(stage.node(**{"broker.topics_max": 100}))
    client = stage.client(node)
    client.create_topic("orders", 1)
    check(client.send("orders", 0).code == 0, "a send to a topic that is there")
    prometheus.quiet("BlockhouseNamesRefused")
    made_up = (f"made-up-{number}" for number in range(10_000))
    until("it fires", lambda: client.send(next(made_up), 0).code != 0 and prometheus.alerts("BlockhouseNamesRefused"), 60)
    prometheus.fires("BlockhouseNamesRefused", instance=node.ops_listen, table="topics")
    check(client.send("orders", 0).code == 0, "the topic that is there suffers")
    prometheus.ends("BlockhouseNamesRefused")
    return "topics, then none"


SCENES = {
    a_node_that_is_away: ["BlockhouseDown"],
    a_node_that_restarts_again_and_again: ["BlockhouseRestarts"],
    nodes_of_different_versions: ["BlockhouseVersionsDiffer"],
    clients_that_want_more_than_their_quota: ["BlockhouseBusy"],
    clients_that_make_up_names: ["BlockhouseNamesRefused"],
    clients_that_open_too_many_connections: ["BlockhouseConnectionsRefused", "BlockhouseConnectionsShed"],
}
SLOW = []
