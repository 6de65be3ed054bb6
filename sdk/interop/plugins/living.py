"""What instances are told of themselves in the real process, broker and name server: that it serves requests, that they have another config, how they
are asked how they are; and what a plugin adds to the spans of a name server alone."""

import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "../telemetry"))
from acting import ROUTE, SEND, SUCCESS, ask, message, refused, routed
from common import check, eventually, lines, sample
from otlp import Sink

# Ready ones for each processor that the process takes itself to have; each has a spare more.
EACH = 4
TOPIC_NOT_EXIST = 17


def both(start, **how):
    """A name server and its broker, with the sample bound at a hook of each if it is said how."""
    bound = lambda hook: [sample(hooks=[hook], **how)] if how else []
    namesrv = start(*bound("route-query"), role="namesrv")
    broker = start(*bound("before-send"), role="broker", more=("--namesrv", namesrv.namesrv))
    broker.namesrv = namesrv.namesrv
    return (namesrv, "route-query"), (broker, "before-send")


def told(node):
    """How many instances are there, how many have begun, and how many were told that the process serves requests."""
    said = lines(node)
    return node.plugin("sample")["instances"], sum(line.startswith("init ") for line in said), said.count("started")


def are_ready(node, each=EACH):
    """As many as each processor has are there, and all that have begun were told; of those some may have been let go since."""
    instances, begun, started = told(node)
    return instances > 0 and instances % (each + 1) == 0 and begun == started >= instances


def each_instance_is_told_that_the_process_is_ready(start):
    # Some are made before it is ready and some after, and some just at that moment.
    for node, hook in both(start, config={"tell": True}, instances=EACH):
        # The first one is there before the process listens, and is told before anybody else is.
        check("started" in lines(node), f"{hook}: {lines(node)}")
        eventually(lambda node=node: are_ready(node), lambda node=node: f"{told(node)}: {lines(node)}")


def a_plugin_that_is_deployed_is_told_that_the_process_is_ready(start):
    for node, hook in both(start):
        check(node.deploy("1.0.0", {"tell": True}, hooks=[hook], instances=EACH) is None, "the deploy")

        def all_know(node=node):
            # `init` is tried before, in instances that no request sees.
            instances, _, started = told(node)
            return instances > 0 and instances % (EACH + 1) == 0 and started >= instances

        eventually(all_know, lambda node=node: f"{told(node)}: {lines(node)}")


def another_config_is_told_to_each_instance(start):
    (namesrv, _), (broker, _) = both(start)
    check(ask(broker.broker, SEND, message("orders"), b"poison").code == SUCCESS, "stored")
    routed(broker, "orders")
    for node, hook, rule in ((namesrv, "route-query", {"deny_routes": ["orders"]}), (broker, "before-send", {"reject_body": "poison"})):
        check(node.deploy("1.0.0", {"tell": True}, hooks=[hook], instances=EACH) is None, "the deploy")
        eventually(lambda node=node: told(node)[0] > 0 and told(node)[0] % (EACH + 1) == 0, lambda node=node: f"{told(node)}")
        digest = node.plugin("sample")["digest"]
        check(node.deploy("1.0.0", {"tell": True} | rule, hooks=[hook], instances=EACH) is None, "the change of config")
        changed = lambda node=node: lines(node).count("config changed")
        all_know = lambda node=node, changed=changed: changed() >= told(node)[0]
        eventually(all_know, lambda node=node, changed=changed: f"{changed()} of {told(node)[0]} were told")
        check(node.plugin("sample")["digest"] == digest and "drained" in lines(node), "the one that tried it is let go")
    refused(ask(namesrv.namesrv, ROUTE, {"topic": "orders"}), "the sample refuses the route of orders")
    refused(ask(broker.broker, SEND, message("orders"), b"poison"), "the sample refuses this body")


def an_instance_that_is_ill_is_replaced(start):
    # Each is well once, when it is made.
    ill = {"tell": True, "faults": {"health": "error"}, "fault_after": 1}
    for node, hook in both(start, config=ill):
        eventually(lambda node=node: node.plugin("sample")["unhealthy"] >= 1, lambda node=node: f"{node.plugin('sample')}")
        check(any(line.startswith("health: ") and "the sample was told to be ill" in line for line in lines(node)), f"{hook}: {lines(node)}")
        count = [line for line in node.get("/metrics").splitlines() if line.startswith("blockhouse_plugin_unhealthy_instances_total{")]
        check(len(count) == 1 and 'plugin="sample"' in count[0] and float(count[0].split()[-1]) >= 1, f"{count}")
        # The next one begins as each does that comes late.
        replaced = lambda node=node: are_ready(node, 1) and told(node)[1] > told(node)[0]
        eventually(replaced, lambda node=node: f"{told(node)}: {lines(node)}")
        check(not node.hook("sample", hook)["failures"], "no request notices")
    check(ask(node.broker, SEND, message("orders"), b"x").code == SUCCESS, "the broker serves")


def one_that_is_ill_from_the_start_is_not_deployed(start):
    for node, hook in both(start):
        check(node.deploy("1.0.0", {"tell": True}, hooks=[hook]) is None, "the deploy")
        for fault, why in (("error", "the sample was told to be ill"), ("loop", "deadline"), ("trap", "trapped")):
            problem = node.deploy("1.0.1", {"faults": {"health": fault}}, hooks=[hook]) or "it was taken"
            check(why in problem, f"{hook}, {fault}: {problem}")
        check(node.plugin("sample")["version"] == "1.0.0" and node.plugin("sample")["history"] == [], node.plugin("sample"))
    check(ask(node.broker, SEND, message("orders"), b"x").code == SUCCESS, "the broker serves")


FIXED = {"deployment.environment.name": "prod", "plugin.region": "eu-1"}


def a_name_server_alone_has_its_spans_enriched(start):
    """The client's trace, a route that there is and one that there is not, and the broker's report; the broker has no plugin and exports nothing."""
    trace, span = os.urandom(16).hex(), os.urandom(8).hex()
    with Sink() as receiver:
        namesrv = start({"guest": "tracing", "name": "tracing", "hooks": ["enrich-span"], "grants": {"log": True, "message-bodies": True},
                         "deadline_ms": 1_000, "config": {"attributes": FIXED, "properties": {"order.key": "KEYS"}}},
                        role="namesrv", extra=f'[telemetry.traces]\nendpoint = "{receiver.endpoint}"\nhead_ratio = 1\nper_second_max = 0\n')
        broker = start(role="broker", more=("--namesrv", namesrv.namesrv))
        check(ask(broker.broker, SEND, message("orders"), b"x").code == SUCCESS, "not stored")
        routed(namesrv, "orders")
        traced = ask(namesrv.namesrv, ROUTE, {"topic": "orders", "traceparent": f"00-{trace}-{span}-01"})
        check(traced.code == SUCCESS and b"brokerDatas" in traced.body, f"{traced}")
        check(ask(namesrv.namesrv, ROUTE, {"topic": "no-such"}).code == TOPIC_NOT_EXIST, "a route of nothing")
        route, none, report = "GET_ROUTEINFO_BY_TOPIC orders", "GET_ROUTEINFO_BY_TOPIC no-such", "REGISTER_BROKER"
        spans = receiver.wait("the name server's spans", lambda spans: {route, none, report} <= {span.name for span in spans}
                              and any(span.trace == trace for span in spans))
        [asked] = [found for found in spans if found.trace == trace]
        check((asked.name, asked.parent, asked.kind) == (route, span, "SERVER"), f"{asked} {asked.kind}")
        for found in spans:
            # Each of them, and by nobody but the plugin.
            check(found.attributes.get("blockhouse.role") == "namesrv" and FIXED.items() <= found.attributes.items(), f"{found}: {found.attributes}")
        hook = namesrv.hook("tracing", "enrich-span")
        check(hook["messages"] >= len(spans) and not hook["failures"] and not hook["lost"], hook)
        # Without it the same spans come bare.
        done = namesrv.plugin_command("disable", "tracing", "--node", namesrv.ops)
        check(done.returncode == 0, done.stderr)
        check(ask(namesrv.namesrv, ROUTE, {"topic": "bare"}).code == TOPIC_NOT_EXIST, "a route of nothing")
        bare = receiver.wait("a span without it", lambda spans: any(span.name.endswith(" bare") for span in spans))
        [bare] = [found for found in bare if found.name.endswith(" bare")]
        check(not FIXED.keys() & bare.attributes.keys(), f"{bare.attributes}")
