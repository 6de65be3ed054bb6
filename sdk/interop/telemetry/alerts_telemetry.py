"""Alerts about what collectors do not get."""

import otlp
from node import check, until


def a_collector_that_is_away(stage):
    """Nobody listens where spans are sent, and then somebody does."""
    name, port = "BlockhouseSpansDropped", otlp.free()
    node, prometheus = stage.watched(stage.node(**{"telemetry.traces.endpoint": f"http://127.0.0.1:{port}", "telemetry.traces.head_ratio": 1}))
    client = stage.client(node)
    client.create_topic("orders", 1)
    prometheus.quiet(name)

    def sent():
        check(client.send_burst("orders", 0, 20, 100) == 20, "not all were stored")
        return True

    until("spans are dropped", lambda: sent() and prometheus.alerts(name), 40)
    prometheus.fires(name, instance=node.ops_listen, reason="failed")
    with otlp.Sink(port=port) as sink:
        until("spans reach it", lambda: sent() and sink.spans(), 40)
        prometheus.ends(name)
    return "away, and there"


SCENES = {a_collector_that_is_away: ["BlockhouseSpansDropped"]}
SLOW = []
