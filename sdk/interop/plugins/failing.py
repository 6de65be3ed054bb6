"""What a plugin's failure does at each point of the real process, closed and open, as docs/hooks.md says; a full audit sink; and what is counted."""

import json

from acting import GET_KV, NO_PERMISSION, NO_VALUE, PULL, PUT_KV, ROUTE, SEND, STRANGER, SUCCESS, ask, is_closed, message, pull, refused, routed
from common import check, eventually, sample
from remoting import Connection, Frame

DELETE_TOPIC = 215
# Events that the queue of an audit sink has room for.
QUEUE = 8_192
# Where the sample traps at each point: the fault's name, where it is not the hook's, and what the call must be about.
TRAPS = {"connection": ("opened", STRANGER), "authenticate": (None, "eve"), "authorize": (None, "pub topic:guarded"), "before-send": (None, "poison"),
         "pull": (None, "blocked"), "before-deliver": (None, "secret"), "route-query": (None, "hidden")}
KV = {"namespace": "n", "key": "k"}


def trapping(name, hook, fault, on, on_failure):
    return sample({"faults": {fault or hook: "trap"}, "fault_on": on}, name=name, hooks=[hook], on_failure=on_failure)


def each_point(on_failure):
    """A binding for each point that can refuse, and a second one for what is administered."""
    named = [trapping(hook, hook, fault, on, on_failure) for hook, (fault, on) in TRAPS.items()]
    return named + [trapping(f"admin-{what}", "admin-command", None, on, on_failure) for what, on in (("kv", "PUT_KV"), ("topic", "DELETE_TOPIC"))]


def has_failed(node):
    for name in (*TRAPS, "admin-kv", "admin-topic"):
        hook = node.hook(name, "admin-command" if name.startswith("admin-") else name)
        check(set(hook["failures"]) <= {"trap", "open"} and hook["failures"].get("trap", 0) >= 1, f"{name}: {hook}")


def sent(node, topic, body=b"x", **who):
    return ask(node.broker, SEND, message(topic) | who, body)


def each_point_that_fails_closed_lets_nothing_through(start):
    node = start(*each_point("closed"), seconds=180)
    why = lambda name: f"the plugin {name} cannot decide on this now"
    for listener in (node.broker, node.namesrv):
        check(is_closed(listener, STRANGER) and not is_closed(listener, "127.0.0.1"), f"{listener}: who is let in")
    eve = {"AccessKey": "eve", "Signature": "any"}
    refused(sent(node, "orders", **eve), why("authenticate"))
    refused(ask(node.namesrv, ROUTE, {"topic": "orders"} | eve), why("authenticate"))
    refused(sent(node, "guarded"), why("authorize"))
    refused(sent(node, "orders", b"poison"), why("before-send"))
    check(sent(node, "orders").code == sent(node, "hidden").code == sent(node, "delivered", b"a secret").code == SUCCESS, "the others are stored")
    refused(ask(node.broker, PULL, pull("orders", "blocked")), why("pull"))
    answer = ask(node.broker, PULL, pull("delivered", "g"))
    refused(answer, why("before-deliver"))
    check(b"secret" not in answer.body, "it is delivered all the same")
    check(ask(node.broker, PULL, pull("orders", "g")).code == SUCCESS, "others get nothing")
    refused(ask(node.broker, DELETE_TOPIC, {"topic": "orders"}), why("admin-topic"))
    check(ask(node.broker, PULL, pull("orders", "g")).code == SUCCESS, "the topic was deleted")
    refused(ask(node.namesrv, PUT_KV, KV | {"value": "v"}), why("admin-kv"))
    check(ask(node.namesrv, GET_KV, KV).code == NO_VALUE, "it took effect on the name server")
    routed(node, "orders")
    eventually(lambda: ask(node.namesrv, ROUTE, {"topic": "hidden"}).code == NO_PERMISSION, "the route is told")
    refused(ask(node.namesrv, ROUTE, {"topic": "hidden"}), why("route-query"))
    has_failed(node)


def each_point_that_fails_open_goes_on(start):
    node = start(*each_point("open"), seconds=180)
    check(not is_closed(node.broker, STRANGER) and not is_closed(node.namesrv, STRANGER), "who is kept out")
    check(sent(node, "orders", AccessKey="eve", Signature="any").code == SUCCESS, "unknown credentials are nobody's")
    for topic, body in (("guarded", b"x"), ("orders", b"poison"), ("hidden", b"x"), ("delivered", b"a secret")):
        check(sent(node, topic, body).code == SUCCESS, f"{topic}: not stored")
    check(b"a secret" in ask(node.broker, PULL, pull("delivered", "g")).body, "not delivered as it was")
    check(b"poison" in ask(node.broker, PULL, pull("orders", "blocked")).body, "not pulled")
    check(ask(node.namesrv, PUT_KV, KV | {"value": "v"}).code == ask(node.namesrv, GET_KV, KV).code == SUCCESS, "not administered")
    for topic in ("orders", "hidden"):
        routed(node, topic)
    check(ask(node.broker, DELETE_TOPIC, {"topic": "guarded"}).code == SUCCESS, "not deleted")
    has_failed(node)


def a_registration_that_fails_is_as_its_binding_says(start):
    for on_failure, is_known in (("closed", False), ("open", True)):
        namesrv = start(trapping("gate", "broker-registration", None, "broker-a", on_failure), role="namesrv")
        for name in ("broker-a", "broker-b"):
            broker = start(role="broker", more=("--namesrv", namesrv.namesrv, "--name", name))
            check(sent(broker, f"of-{name}").code == SUCCESS, "not stored")
        routed(namesrv, "of-broker-b")
        eventually(lambda namesrv=namesrv: namesrv.hook("gate", "broker-registration")["failures"].get("trap", 0) >= 1, "it was not asked")
        known = lambda namesrv=namesrv: ask(namesrv.namesrv, ROUTE, {"topic": "of-broker-a"}).code == SUCCESS
        if is_known:
            eventually(known, "open: the broker is not there")
        else:
            check(not known(), "closed: the broker is there")


def a_sink_that_is_full_keeps_administration_out(start):
    """It takes nothing, and more is refused than its queue has room for: the rest is lost, counted, and commands wait for better times."""
    node = start(sample({"faults": {"audit": "error"}}, name="sink", hooks=["audit-sink"], on_failure="closed"),
                 sample({"deny_principals": ["anonymous"]}, name="gate", hooks=["authorize"], topics=["noise"]))
    put = lambda: ask(node.namesrv, PUT_KV, KV | {"value": "v"})
    check(put().code == SUCCESS, "before anything is told")
    with Connection(node.namesrv, 60) as client:
        for _ in range(QUEUE // 256 + 2):
            client.raw(b"".join(client.numbered(Frame(ROUTE, {"topic": "noise"}, b"")) for _ in range(256)))
            check({client.next().code for _ in range(256)} == {NO_PERMISSION}, "it is not refused")
    hook = eventually(lambda: (hook := node.hook("sink", "audit-sink"))["lost"] and hook, "nothing is lost")
    check(hook["messages"] > 0 and hook["lost"] < 3 * 256, hook)
    behind = "the audit sink is behind, and nothing is administered until it has caught up"
    refused(put(), behind)
    refused(ask(node.broker, DELETE_TOPIC, {"topic": "orders"}), behind)
    check(sent(node, "orders").code == SUCCESS, "what is no administration goes on")
    lost = [line for line in node.get("/metrics").splitlines() if line.startswith("blockhouse_plugin_events_lost_total{") and 'plugin="sink"' in line]
    check(len(lost) == 1 and float(lost[0].split()[-1]) >= hook["lost"], f"{lost}")


def series(node):
    """The metrics of plugins: the value by name and labels."""
    found = {}
    for line in node.get("/metrics").splitlines():
        if line.startswith("blockhouse_plugin_"):
            name, value = line.rsplit(" ", 1)
            found[name] = float(value)
    return found


def metrics_say_of_each_plugin_what_the_list_says(start):
    namesrv = start(sample({}, hooks=["route-query"]), role="namesrv")
    broker = start(sample({"reject_body": "poison", "faults": {"before-send": "trap"}, "fault_on": "bad"}, hooks=["before-send"]),
                   sample({"ask_host": True}, name="counting", hooks=["authorize"], codes=[SEND]),
                   sample({"faults": {"before-send": "loop"}, "fault_on": "slow"}, name="slow", mode="shadow", hooks=["before-send"]),
                   role="broker", more=("--namesrv", namesrv.namesrv))
    for body, code in ((b"x", SUCCESS), (b"poison", NO_PERMISSION), (b"slow", SUCCESS), *[(b"bad", NO_PERMISSION)] * 5):
        check(sent(broker, "orders", body).code == code, f"{body}: not {code}")
    routed(namesrv, "orders")
    listing = lambda node: json.loads(node.get("/v1/plugins"))["plugins"]

    def both(node):
        """Metrics, and the list of before and after them: no call came in between."""
        before, seen = listing(node), series(node)
        return (seen, before) if listing(node) == before else None

    for node in (namesrv, broker):
        seen, listed = eventually(lambda node=node: both(node), "calls come all the time")
        of = lambda name, seen=seen, **labels: [value for key, value in seen.items() if key.startswith(f"blockhouse_plugin_{name}{{")
                                                and all(f'{label}="{text}"' in key for label, text in labels.items())]
        for plugin in listed:
            name = plugin["name"]
            check(of("loaded", plugin=name) == [1] and of("breaker_open", plugin=name) == [plugin["breakerOpen"]], f"{name}: {seen}")
            check(of("unhealthy_instances_total", plugin=name) == [plugin["unhealthy"]], f"{name}: {seen}")
            check(of("instances", plugin=name)[0] >= 1 and of("memory_bytes", plugin=name)[0] >= 64 << 10, f"{name}: {seen}")
            for hook in plugin["hooks"]:
                at = {"plugin": name, "hook": hook["hook"]}
                check(of("calls_total", **at) == [hook["calls"]] and of("messages_total", **at) == [hook["messages"]], f"{at}: {seen} {hook}")
                check(abs(of("seconds_total", **at)[0] - hook["nanoseconds"] / 1e9) < 1e-6, f"{at}: {seen} {hook}")
                for kind, count in hook["failures"].items():
                    check(of("failures_total", kind=kind, **at) == [count], f"{at}: {seen} {hook}")
                for verdict, count in hook["verdicts"].items():
                    check(of("verdicts_total", verdict=verdict, **at) == [count], f"{at}: {seen} {hook}")
    [bad] = [plugin for plugin in listed if plugin["name"] == "sample"]
    [before] = [hook for hook in bad["hooks"] if hook["hook"] == "before-send"]
    check(bad["breakerOpen"] and before["failures"].get("trap") == 5 and before["verdicts"] == {"reject": 1}, before)
    check(of("failures_total", plugin="slow", hook="before-send", kind="deadline")[0] >= 1, f"a deadline is not counted: {seen}")
    # What a plugin counts itself.
    check(any("conformance_calls" in name and value >= 8 for name, value in seen.items()), f"its own metric is not there: {seen}")
