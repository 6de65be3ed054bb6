"""Plugins in traces: each of their calls as a span, what they add to spans, and what is recorded since it was slow or refused. An official
client sends and consumes; plugins are components in the real process."""

import json
import os
from collections import Counter

from harness import everything
from harness.sample import GRANTS
from node import Client, Frame, Ledger, check, records, until
from traced import BLOCKHOUSE, EXPORTED, Java, named, one, to

CALLS, FAILURES = "blockhouse_plugin_calls_total", "blockhouse_plugin_failures_total"
SEND, LAST = 310, "last"
# What the bundled plugin adds.
KEY, COUNTRY = "plugin.order.key", "plugin.order.country"
# A debug build takes its time to compile components.
START = 180


def sample(name, hooks, config, **more):
    """A binding of the sample that does what it is told."""
    return {"name": name, "guest": "conformance", "hooks": hooks, "grants": GRANTS, "deadline_ms": 50, "config": config} | more


def bind(node, guests, *bindings):
    config = os.path.join(node.work, "plugins.toml")
    everything.write(node.data, guests, config, bindings)
    node.options = ["--config", config]


def topics(node, *names):
    client = Client(node, Ledger())
    for name in names:
        client.create_topic(name, 1)
    return client


def is_call(span):
    return "blockhouse.plugin.name" in span.attributes


def of_call(span):
    """(plugin, hook) of a call's span."""
    return span.attributes["blockhouse.plugin.name"], span.attributes["blockhouse.plugin.hook"]


def counted(node, asked):
    """Calls by (plugin, hook), as the node counts them in /metrics and in /v1/plugins, which say the same."""
    told = {plugin["name"]: {hook["hook"]: hook["calls"] for hook in plugin["hooks"]} for plugin in json.loads(node.http("/v1/plugins")[1])["plugins"]}
    lines = [line for line in node.http("/metrics")[1].splitlines() if line.startswith(CALLS)]

    def metric(plugin, hook):
        found = [line for line in lines if f'plugin="{plugin}"' in line and f'hook="{hook}"' in line]
        return int(float(found[0].rsplit(" ", 1)[1])) if found else 0
    calls = {(plugin, hook): metric(plugin, hook) for plugin, hook in asked}
    check(calls == {(plugin, hook): told[plugin].get(hook, 0) for plugin, hook in asked}, f"/metrics {calls}, /v1/plugins {told}")
    return calls


def calls_that_came(receiver):
    return [span for span in receiver.spans(BLOCKHOUSE) if is_call(span)]


def as_many(node, receiver, asked, what):
    """Waits until there is a span for each call; the calls by (plugin, hook). `what` tells spans of calls apart."""
    def same():
        calls, seen = counted(node, asked), Counter(of for of, _ in {what(span) for span in calls_that_came(receiver)})
        return all(calls.values()) and calls == {one_of: seen[one_of] for one_of in asked} and calls
    try:
        return until("a span for each call", same, 30)
    except Exception as late:
        raise RuntimeError(f"{late}: {counted(node, asked)} calls, {Counter(map(of_call, calls_that_came(receiver)))} spans") from late


def each_span(span):
    return of_call(span), span.id


def each_call(span):
    """A call that was for several messages is shown in the trace of each."""
    return of_call(span), (span.begin, span.end)


def below(span, spans):
    """Its parent, which is there once."""
    found = [other for other in spans if other.id == span.parent and other.trace == span.trace]
    check(len(found) == 1, f"{span} has {len(found)} parents")
    return found[0]


def each_call_is_a_span(guests, node, receiver):
    """As many spans as the plugins' counters say, each below its send's hooks or its delivery; and what the bundled plugin adds."""
    asked = [("gate", "authorize"), ("marker", "before-send"), ("marker", "before-deliver"), ("shadow", "before-send")]
    bind(node, guests,
         sample("gate", ["authorize"], {}, codes=[SEND], order=0),
         sample("marker", ["before-send", "before-deliver"], {"set_property": {"checked": "yes"}, "mask": "trace"}, order=1),
         sample("shadow", ["before-send"], {"reject_body": "traced"}, mode="shadow", order=2),
         {"name": "tracing", "guest": "tracing", "grants": {"log": True, "message-bodies": True}, "deadline_ms": 1000,
          "config": {"properties": {KEY: "KEYS"}, "fields": {COUNTRY: "$.country"}}})
    node.settings |= to(receiver.endpoint, head_ratio=1, per_second_max=0)
    node.start(START)
    raw = topics(node, "orders")
    with Java("5.4.0", node.namesrv, os.path.join(node.work, "java"), receiver.endpoint) as java:
        for _ in range(5):
            java.ask("send", "orders", 0)
        java.ask("consume", "shop", "orders", 5, 0, 1)
    calls = as_many(node, receiver, asked, each_span)
    check(calls[asked[0]] == calls[asked[1]] == calls[asked[3]] == 5, f"{calls}")
    spans = receiver.spans()
    seen = Counter()
    for span in filter(is_call, spans):
        seen[span.attributes["blockhouse.plugin.verdict"]] += 1
        plugin, hook = of_call(span)
        check(span.name == f"{hook} {plugin}" and span.kind == "INTERNAL" and not span.status, f"{span}: {span.attributes}")
        wanted = {"gate": ("continue", "enforce"), "marker": ("change", "enforce"), "shadow": ("refuse", "shadow")}[plugin]
        found = tuple(span.attributes[f"blockhouse.plugin.{name}"] for name in ("verdict", "mode"))
        check(found == wanted, f"{span}: {found} instead of {wanted}")
        around = below(span, spans)
        check(around.begin - 1_000 <= span.begin <= span.end <= around.end + 1_000, f"{span} is not within {around}")
        if hook == "before-deliver":
            check(around.name == "deliver orders" and around.kind == "SERVER", f"{span} of {around}")
        else:
            send = below(around, spans)
            producer = below(send, spans)
            check((around.name, send.name, producer.kind) == ("hooks", "send orders", "PRODUCER"), f"{span} of {around} of {send} of {producer}")
    sends = until("what the bundled plugin adds", lambda: (found := named(receiver.spans(), "send orders")) and len(found) == 5 and found)
    check(all(send.attributes.get(KEY) == "key" and COUNTRY not in send.attributes for send in sends), f"{sends[0].attributes}")
    add_a_burst(node, receiver, raw, asked)
    raw.close()
    until("all are counted", lambda: node.metric(EXPORTED) == len(receiver.spans(BLOCKHOUSE)))
    return ", ".join(f"{count} {name}" for name, count in sorted(seen.items()))


def add_a_burst(node, receiver, raw, asked):
    """One call for the messages of a burst is shown to each of them; bodies in JSON are read."""
    data = b""
    for at in range(5):
        ext = raw.frame("orders", 0, f"burst{at}", 10).ext
        data += raw.connection.numbered(Frame(SEND, ext, json.dumps({"country": "CH", "at": at}).encode()))
    raw.connection.raw(data)
    check([raw.connection.next().code for _ in range(5)] == [0] * 5, "not all of the burst were stored")
    read = lambda: [span for span in named(receiver.spans(), "send orders") if span.attributes.get(COUNTRY) == "CH"]
    until("what the bundled plugin reads in bodies", lambda: len(read()) == 5)
    for span in read():
        check(span.attributes[KEY].startswith("burst") and span.attributes["blockhouse.sampling.reason"] == "head", f"{span.attributes}")
    as_many(node, receiver, asked, each_call)


def failed_calls_are_errors(guests, node, receiver):
    """A trap and a passed deadline: in the span, in the metric and in the log; the send's own span only where the binding makes it one."""
    trap, loop = {"faults": {"before-send": "trap"}}, {"faults": {"before-send": "loop"}}
    kinds = {"trapper": "trap", "looper": "deadline", "closed": "trap"}
    bind(node, guests,
         sample("trapper", ["before-send"], trap, topics=["traps"], on_failure="open"),
         sample("looper", ["before-send"], loop, topics=["loops"], on_failure="open"),
         sample("closed", ["before-send"], trap, topics=["guarded"], on_failure="closed"),
         sample("judge", ["before-send"], {"reject_body": "traced"}, topics=["judged"]))
    node.settings |= to(receiver.endpoint, head_ratio=1, per_second_max=0)
    node.start(START)
    topics(node, "traps", "loops", "guarded", "judged").close()
    with Java("5.4.0", node.namesrv, os.path.join(node.work, "java"), receiver.endpoint) as java:
        java.ask("send", "traps", 0)
        java.ask("send", "loops", 0)
        for topic in ("guarded", "judged"):
            check(not (said := java.told("send", topic, 0)).startswith("ok"), f"{topic}: {said}")
    asked = [(plugin, "before-send") for plugin in [*kinds, "judge"]]
    calls = as_many(node, receiver, asked, each_span)
    spans = receiver.spans()
    for span in filter(is_call, spans):
        plugin, hook = of_call(span)
        send = below(below(span, spans), spans)
        if plugin == "judge":
            check((span.attributes["blockhouse.plugin.verdict"], span.status) == ("refuse", 0), f"{span}: {span.attributes}")
            check(send.status == 2 and send.attributes["error.type"] == "NO_PERMISSION", f"{send}: {send.attributes}")
            continue
        kind = kinds[plugin]
        check(span.status == 2 and span.attributes["error.type"] == kind, f"{span}: {span.attributes}")
        check(span.attributes["blockhouse.plugin.verdict"] == "fail", f"{span}: {span.attributes}")
        check((send.status == 2) == (plugin == "closed"), f"{send}: {send.attributes}")
        check(kind != "deadline" or span.end - span.begin >= 50_000_000, f"{span} took {span.end - span.begin} ns")
    for plugin, kind in kinds.items():
        labels = f'plugin="{plugin}",hook="before-send",kind="{kind}"'
        check(node.metric(FAILURES, labels) == calls[plugin, "before-send"], f"{labels}: {node.metric(FAILURES, labels)}")
        check(f"plugin {plugin}" in node.logged() or f"plugin={plugin}" in node.logged(), f"the log does not name {plugin}: {node.logged()[-2000:]}")
    return ", ".join(f"{plugin} {count}" for (plugin, _), count in calls.items())


def what_is_slow_or_refused_is_recorded(guests, node, receiver):
    """Without a `traceparent` and at a ratio of 0: what took long, what a plugin failed at, what was refused, each with its reason."""
    slow = 40
    bind(node, guests,
         sample("looper", ["before-send"], {"faults": {"before-send": "loop"}}, topics=["loops"], on_failure="open"),
         sample("judge", ["before-send"], {"reject_body": "traced"}, topics=["judged"]))
    node.settings |= to(receiver.endpoint, head_ratio=0, per_second_max=0)

    def sent(run, *sends, **rules):
        """The sends that were recorded with these rules."""
        with receiver.lock:
            receiver.requests.clear()
        node.start(START, **{f"telemetry.traces.{name}": value for name, value in rules.items()})
        raw = topics(node, "orders", "loops", "judged", LAST)
        # No agent: nobody has decided anything.
        with Java("5.4.0", node.namesrv, os.path.join(node.work, f"java-{run}")) as java:
            for topic in sends:
                java.told("send", topic, 0)
        # Spans leave in order.
        last = raw.frame(LAST, 0, raw.ledger.new_id(10), 10)
        last.ext["i"] = records.format_properties({"UNIQ_KEY": "last", "traceparent": f"00-{'1' * 32}-{'2' * 16}-01"})
        check(raw.connection.call(last.code, last.ext, last.body).code == 0, "the last one was not stored")
        raw.close()
        spans = receiver.wait("the last span", lambda spans: named(spans, f"send {LAST}"))
        check(node.stop() == 0, "did not stop well")
        spans = [span for span in spans if span.trace != "1" * 32]
        return [span for span in spans if span.name.startswith("send ")], spans

    sends, spans = sent("slow", *["orders"] * 20, "loops", slow_ms=slow, errors="false")
    loops = one(sends, "send loops")
    for span in sends:
        check(span.attributes["blockhouse.sampling.reason"] == "slow" and span.end - span.begin >= slow * 1_000_000, f"{span}: {span.attributes}")
        check(not span.parent and "error.type" not in span.attributes, f"{span}: {span.attributes}")
    check(len(named(sends, "send orders")) < 20, "all of them were slow")
    call = one(spans, "before-send looper")
    check(below(below(call, spans), spans).id == loops.id, f"{call} of {loops}")

    sends, spans = sent("errors", *["orders"] * 20, "loops", "judged", slow_ms=0, errors="true")
    loops, judged = one(sends, "send loops"), named(sends, "send judged")
    check(loops.attributes["blockhouse.sampling.reason"] == "plugin" and not loops.status, f"{loops.attributes}")
    # The client tries again what is refused like this.
    check(judged and len(judged) == len(named(spans, "before-send judge")), f"{judged}")
    for span in judged:
        check(span.attributes["blockhouse.sampling.reason"] == "error" and span.status == 2, f"{span.attributes}")
        check(span.attributes["error.type"] == "NO_PERMISSION", f"{span.attributes}")
    check(not named(sends, "send orders"), f"{named(sends, 'send orders')}")

    sends, _ = sent("none", "orders", "loops", "judged", slow_ms=0, errors="false")
    check(not sends, f"recorded without a rule: {sends}")
    return f"slow, failed plugin, {len(judged)} refusals"


def a_tenant_shows_its_baggage(guests, node, receiver):
    """Properties, and members of the W3C header `baggage`: on the span of a send is what the message's tenant may show, and nothing else."""
    # Names that begin with `plugin.` are nobody's convention.
    allow = {"tenant_property": "tenant.id", "prefix": "plugin.baggage.", "allow": {"acme": ["cart", "plan"], "silent": []}}
    bind(node, guests, {"name": "tracing", "guest": "tracing", "grants": {"log": True, "message-bodies": True}, "deadline_ms": 1000,
                        "config": {"baggage": allow}})
    node.settings |= to(receiver.endpoint, head_ratio=1, per_second_max=0)
    node.start(START)
    raw = topics(node, "header", "property", "silent", "stranger", "long", LAST)
    header = "tenant.id={},plan=gold%20plus;since=2024, secret=s"
    sends = {"header": {"baggage": header.format("acme"), "cart": "9"}, "property": {"tenant.id": "acme", "cart": "10", "secret": "s"},
             "silent": {"baggage": header.format("silent")}, "stranger": {"baggage": header.format("stranger")},
             "long": {"baggage": header.format("acme") + ",x=" + "x" * 8_192}, LAST: {"baggage": header.format("acme")}}
    for topic, properties in sends.items():
        frame = raw.frame(topic, 0, uid := raw.ledger.new_id(10), 10)
        frame.ext["i"] = records.format_properties({"UNIQ_KEY": uid} | properties)
        check(raw.connection.call(frame.code, frame.ext, frame.body).code == 0, f"{topic}: not stored")
    raw.close()
    # Spans leave in order, each with what was added to it.
    spans = receiver.wait("all sends", lambda spans: all(named(spans, f"send {topic}") for topic in sends))
    shown = lambda topic: {key: value for key, value in one(spans, f"send {topic}").attributes.items() if "baggage" in key}
    wanted = {"header": {"plugin.baggage.cart": "9", "plugin.baggage.plan": "gold plus"}, "property": {"plugin.baggage.cart": "10"}, "silent": {}, "stranger": {},
              "long": {}, LAST: {"plugin.baggage.plan": "gold plus"}}
    for topic, attributes in wanted.items():
        check(shown(topic) == attributes, f"{topic}: {shown(topic)} instead of {attributes}")
    return ", ".join(f"{topic} {len(attributes)}" for topic, attributes in wanted.items())


SCENES = {scene.__name__: scene for scene in (each_call_is_a_span, failed_calls_are_errors, what_is_slow_or_refused_is_recorded,
                                              a_tenant_shows_its_baggage)}
