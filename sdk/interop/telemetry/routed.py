"""Requests of a name server in traces: what an official client asks for, what brokers report, the plugins that were asked, and what the bundled
plugin adds to them; also where plugins are on the name server alone."""

import functools
import json
import os

from asked import START, bind, below, is_call, of_call, sample, topics
from harness.collector import Collector
from node import Node, check
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


def name_server_alone(version, guests, node, receiver):
    """The bundled plugins tracing, audit and acl on a name server, a broker without any: what an official client asks is a span with what
    tracing adds to all; acl answers that a route may not be asked for, and audit tells a collector so, without what it takes out."""
    told = Collector()
    node.role = "namesrv"
    bind(node, guests,
         {"name": "tracing", "guest": "tracing", "grants": {"log": True, "message-bodies": True}, "deadline_ms": 1000, "config": {"attributes": FIXED}},
         {"name": "acl", "guest": "acl", "hooks": ["authorize"], "codes": [105], "topics": ["secret*"],
          "grants": {"log": True, "clock": True, "kv": True}, "config": {"quarantine": {"principals": ["anonymous"]}}},
         {"name": "audit", "guest": "audit"} | told.binding(redact={"ipv4_prefix": 8, "resources": ["secret-*"]}))
    store = {key: node.settings.pop(key) for key in list(node.settings) if key.startswith("store.")}
    node.settings |= to(receiver.endpoint, head_ratio=1, per_second_max=0) | {"plugins.compile_timeout_ms": START * 1000}
    node.start(START)
    broker = Node(node.binary, os.path.join(node.work, "broker-data"), node.work, store, role="broker",
                  options=["--namesrv", node.namesrv, "--name", "broker-a"])
    broker.runs = 1  # its log is beside the name server's
    try:
        broker.start()
        topics(broker, "orders", "secret-plans").close()
        with Java(version, node.namesrv, os.path.join(node.work, "java")) as java:
            java.ask("send", "orders", 0)
            # What it makes of the refusal is its own affair: some versions send along the route of TBW102 then.
            java.told("send", "secret-plans", 0)
            java.ask("send", "orders", 0)
        wanted = {f"{ROUTE} orders", f"{ROUTE} secret-plans", REGISTER}
        spans = receiver.wait("spans of the name server", lambda spans: wanted <= {span.name for span in spans})
    finally:
        broker.end()
    requests = [span for span in spans if not is_call(span)]
    for span in requests:
        check(span.attributes.get("blockhouse.role") == "namesrv" and FIXED.items() <= span.attributes.items(), f"{span}: {span.attributes}")
    check({of_call(span) for span in spans if is_call(span)} == {("acl", "authorize")}, f"{spans}")
    check(all(span.status for span in named(spans, f"{ROUTE} secret-plans")), f"a refusal is no error: {spans}")
    decisions = told.wait(kind="authorization", outcome="refused", code=105, decided_by="acl")
    for event in decisions:
        check((event["resource"], event["peer"], event["principal"]) == ("topic:***", "127.0.0.0/8", "anonymous"), f"not redacted: {event}")
    told.wait(kind="broker-registration", outcome="allowed")
    check("secret-plans" not in json.dumps(told.told()), "the name is told")
    for plugin in json.loads(node.http("/v1/plugins")[1])["plugins"]:
        check(all(hook["calls"] and not hook["failures"] and not hook["lost"] for hook in plugin["hooks"]), f"{plugin}")
    return f"{len(requests)} spans with {len(FIXED)} attributes each, {len(decisions)} refusals told"


SCENES = {"name_servers_record": name_servers_record} | {
    f"name_server_alone_{version}": functools.partial(name_server_alone, version) for version in ("5.4.0", "4.9.8")}
