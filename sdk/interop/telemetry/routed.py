"""Requests of a name server in traces: what an official client asks for, what brokers report, and the plugins that were asked."""

import os

from asked import START, bind, below, is_call, of_call, sample, topics
from node import check
from traced import BLOCKHOUSE, Java, named, to

ROUTE, REGISTER = "GET_ROUTEINFO_BY_TOPIC", "REGISTER_BROKER"


def name_servers_record(guests, node, receiver):
    """A client's question for a route, with the plugin that looked at it; a question without an answer; the broker's report."""
    bind(node, guests, sample("router", ["route-query"], {}))
    node.settings |= to(receiver.endpoint, head_ratio=1, per_second_max=0)
    node.start(START)
    topics(node, "orders").close()
    with Java("5.4.0", node.namesrv, os.path.join(node.work, "java"), receiver.endpoint) as java:
        java.ask("send", "orders", 0)
    wanted = f"{ROUTE} orders"
    spans = receiver.wait("spans of the name server", lambda spans: named(spans, wanted) and named(spans, REGISTER) and any(map(is_call, spans)))
    of_name_server = [span for span in spans if span.attributes.get("blockhouse.role") == "namesrv"]
    check({wanted, REGISTER} <= {span.name for span in of_name_server}, f"{of_name_server}")
    for span in of_name_server:
        check(span.scope["scope"]["name"] == "blockhouse.namesrv" and span.kind == "SERVER", f"{span}: {span.scope} {span.kind}")
    for span in named(spans, REGISTER):
        check(span.attributes.get("blockhouse.broker.name") == "broker-a" and not span.status, f"{span}: {span.attributes}")
    calls = [span for span in receiver.spans(BLOCKHOUSE) if is_call(span)]
    check({of_call(span) for span in calls} == {("router", "route-query")}, f"{calls}")
    around = {below(span, spans).name.split(" ")[0] for span in calls if span in spans}
    check(around <= {ROUTE}, f"{around}")
    return f"{len(of_name_server)} spans of the name server, {len(calls)} calls"


SCENES = {scene.__name__: scene for scene in (name_servers_record,)}
