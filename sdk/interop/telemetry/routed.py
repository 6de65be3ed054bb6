"""Requests of a name server in traces: what an official client asks for, what brokers report, the plugins that were asked, and what the bundled
plugin adds to them."""

import json
import os

from asked import START, bind, below, is_call, of_call, sample, topics
from node import check
from traced import BLOCKHOUSE, Java, named, to

ROUTE, REGISTER = "GET_ROUTEINFO_BY_TOPIC", "REGISTER_BROKER"
# What the operator has every span carry.
FIXED = {"deployment.environment.name": "prod", "plugin.region": "eu-1"}


def name_servers_record(guests, node, receiver):
    """A client's question for a route, with the plugin that looked at it; a question without an answer; the broker's report. Each of these
    spans, and those of the broker, has what the bundled plugin adds to all."""
    bind(node, guests, sample("router", ["route-query"], {}),
         {"name": "tracing", "guest": "tracing", "grants": {"log": True, "message-bodies": True}, "deadline_ms": 1000,
          "config": {"attributes": FIXED}})
    node.settings |= to(receiver.endpoint, head_ratio=1, per_second_max=0) | {"plugins.compile_timeout_ms": START * 1000}
    node.start(START)
    topics(node, "orders").close()
    with Java("5.4.0", node.namesrv, os.path.join(node.work, "java"), receiver.endpoint) as java:
        java.ask("send", "orders", 0)
    wanted = f"{ROUTE} orders"
    spans = receiver.wait("spans of the name server", lambda spans: named(spans, wanted) and named(spans, REGISTER) and named(spans, "send orders")
                          and any(map(is_call, spans)))
    of_name_server = [span for span in spans if span.attributes.get("blockhouse.role") == "namesrv"]
    check({wanted, REGISTER} <= {span.name for span in of_name_server}, f"{of_name_server}")
    for span in of_name_server:
        check(span.scope["scope"]["name"] == "blockhouse.namesrv" and span.kind == "SERVER", f"{span}: {span.scope} {span.kind}")
    for span in [*of_name_server, *named(spans, "send orders")]:
        check(FIXED.items() <= span.attributes.items(), f"{span} has {span.attributes}")
    check(not any(FIXED.keys() & span.attributes.keys() for span in spans if is_call(span)), "plugins' calls are not shown to plugins")
    for span in named(spans, REGISTER):
        check(span.attributes.get("blockhouse.broker.name") == "broker-a" and not span.status, f"{span}: {span.attributes}")
    calls = [span for span in receiver.spans(BLOCKHOUSE) if is_call(span)]
    check({of_call(span) for span in calls} == {("router", "route-query")}, f"{calls}")
    around = {below(span, spans).name.split(" ")[0] for span in calls if span in spans}
    check(around <= {ROUTE}, f"{around}")
    bound = {plugin["name"]: plugin for plugin in json.loads(node.http("/v1/plugins")[1])["plugins"]}
    check(all(not hook["failures"] and not hook["lost"] for hook in bound["tracing"]["hooks"]), f"{bound['tracing']}")
    return f"{len(of_name_server)} spans of the name server with {len(FIXED)} attributes each, {len(calls)} calls"


SCENES = {scene.__name__: scene for scene in (name_servers_record,)}
