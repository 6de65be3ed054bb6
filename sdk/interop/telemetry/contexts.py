"""What messages say of their senders' spans: still known when the process that stored them is gone, malformed by the hundred beside a load, and
in the ways of before `traceparent`."""

import os
import threading
import time

from node import Client, Connection, Ledger, check, records, until
from traced import BLOCKHOUSE, named, one, to

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
SAMPLED, UNSAMPLED = f"00-{TRACE}-{SPAN}-01", f"00-{TRACE}-{SPAN}-00"
INVALID = "blockhouse_trace_contexts_invalid_total"
ILLEGAL, SEND, ROUTE, NO_TOPIC = 13, 310, 105, 17
# Each message that says one is counted, stored, and has no span. What ends in `-00` is not looked at: nobody records it.
MALFORMED = ["x", "00", f"00-{TRACE}-{SPAN}", f"00-{TRACE}-{SPAN}-01-", f"00-{TRACE}-{SPAN}-01x", f"ff-{TRACE}-{SPAN}-01",
             f"00-{'0' * 32}-{SPAN}-01", f"00-{TRACE}-{'0' * 16}-01", f"00-{TRACE.upper()}-{SPAN}-01", f"00_{TRACE}_{SPAN}_01",
             f"+0-{TRACE}-{SPAN}-01", "é" * 55, "-" * 55, f"00-{TRACE}-{SPAN}-0é", "0" * 30_000, f"00-{TRACE}-{SPAN}-01\n", "\0" * 55, '"' * 55]


def quietly(receiver, **more):
    """The settings of a broker that records what senders record, and nothing else."""
    return to(receiver.endpoint, head_ratio=0, slow_ms=0, errors="false", **more)


def send(client, topic, properties, size=100):
    """One message with these properties: the answer."""
    frame = client.frame(topic, 0, uid := client.ledger.new_id(size), size)
    ext = frame.ext | {"i": records.format_properties({"UNIQ_KEY": uid} | properties)}
    answer = client.connection.call(SEND, ext, frame.body)
    if answer.code == 0:
        client.ledger.add(topic, uid, answer.ext)
    return answer


def stored(client, topic, offset=0):
    answer = client.pull(topic, 0, offset)
    check(answer.code == 0, f"pull: {answer}")
    return records.decode_all(answer.body)


def deliveries_after_a_restart(node, receiver):
    """The process that stored them is gone, and what it remembered: their own properties say where deliveries and commits belong."""
    node.settings |= quietly(receiver)
    node.start()
    client = Client(node, Ledger())
    client.create_group()
    for topic in ("one", "several", "none"):
        client.create_topic(topic, 1)
    check(send(client, "one", {"traceparent": SAMPLED}).code == 0, "send")
    # Large ones go out of the log's map unseen.
    for context in (SAMPLED, SAMPLED, UNSAMPLED, SAMPLED):
        check(send(client, "several", {"traceparent": context}, 4_000).code == 0, "send")
    for properties in ({}, {"traceparent": UNSAMPLED}):
        check(send(client, "none", properties).code == 0, "send")
    receiver.wait("the sends", lambda spans: len(named(spans, "send one")) == 1 and len(named(spans, "send several")) == 3)
    client.close()
    check(node.stop() == 0, "did not stop well")
    node.start()
    reader = Client(node, client.ledger)
    for topic, count in (("none", 2), ("several", 4), ("one", 1)):
        found = stored(reader, topic)
        check([record["queueOffset"] for record in found] == list(range(count)), f"{topic}: {len(found)} of {count}")
        reader.commit(topic, 0, count)
    check(reader.ledger.verify(reader) == 7, "what is stored is not what was sent")
    reader.close()
    spans = receiver.wait("deliveries and commits", lambda spans: all(named(spans, f"{what} one") for what in ("deliver", "commit")) and named(spans, "commit several"))
    for what in ("deliver one", "commit one"):
        for span in named(spans, what):
            check((span.trace, span.parent) == (TRACE, SPAN), f"{span} is not of the message's trace")
    for what in ("deliver several", "commit several"):
        for span in named(spans, what):
            check(span.links == [(TRACE, SPAN)] * 2, f"{span}: links {span.links}")
    check(not [span for span in spans if span.name.endswith(" none")], f"{spans}")
    return f"{len(named(spans, 'deliver one'))} and {len(named(spans, 'deliver several'))} deliveries"


def resident(node):
    with open(f"/proc/{node.process.pid}/statm") as told:
        return int(told.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def malformed_contexts_beside_a_load(node, receiver):
    """Contexts that are none, and baggage of 30 kB and of 1 MB, beside a load: nothing breaks, none of it becomes a span, and all is counted."""
    node.settings |= quietly(receiver, older_contexts="true")
    node.start()
    client, ends, told = Client(node, Ledger()), threading.Event(), []
    client.create_topic("hostile", 1)
    client.create_group()

    def load(topic):
        sender = Client(node, client.ledger)
        sender.create_topic(topic, 1)
        while not ends.is_set():
            told.append(sender.send_burst(topic, 0, 20, 500))
        sender.close()
    threads = [threading.Thread(target=load, args=(f"load-{number}",)) for number in range(2)]
    for thread in threads:
        thread.start()
    try:
        until("the load", lambda: len(told) > 5)
        older = [{"b3": "x"}, {"b3": f"{TRACE}-{SPAN}-7"}, {"X-B3-TraceId": TRACE}, {"uber-trace-id": ":::"}, {"uber-trace-id": "0:0:0:1"}]
        sent = [{"traceparent": text} for text in MALFORMED] + [{"TRACE_CONTEXT": text} for text in MALFORMED] + older
        begun, before = time.monotonic(), node.metric(INVALID)
        for properties in sent:
            answer = send(client, "hostile", properties)
            check(answer.code == 0, f"{properties}: {answer}")
        check(node.metric(INVALID) - before == len(sent), f"{node.metric(INVALID) - before} of {len(sent)} are counted")
        baggage = ",".join(f"key{number}={'v' * 200}" for number in range(140))
        check(send(client, "hostile", {"baggage": baggage}).code == 0, "30 kB of baggage")
        usual, most = resident(node), "k=" + "v" * (1 << 20)
        for number in range(50):
            answer = send(client, "hostile", {"traceparent": SAMPLED if number % 2 else "x", "baggage": most})
            check(answer.code == ILLEGAL and "properties are longer than" in answer.remark, f"1 MB of baggage: {answer}")
        grown = (resident(node) - usual) / (1 << 20)
        check(grown < 64, f"{grown:.0f} MiB more memory")
        # What follows is served as ever, on the same connection.
        check(send(client, "hostile", {"traceparent": SAMPLED}).code == 0, "the next one")
        took = time.monotonic() - begun
    finally:
        ends.set()
        for thread in threads:
            thread.join()
    check(set(told) == {20}, f"the load suffers: {set(told)}")
    spans = receiver.wait("the last one", lambda spans: any(span.status == 0 for span in named(spans, "send hostile")))
    check({span.trace for span in spans} == {TRACE}, f"{spans}")
    sends = [span for span in spans if span.name.startswith("send")]
    # Of those whose context is right and whose baggage is too long it is said that they failed.
    check(len([span for span in sends if span.status == 0]) == 1, f"further spans: {sends}")
    check({span.attributes["error.type"] for span in sends if span.status} == {"MESSAGE_ILLEGAL"}, f"{sends}")
    found = [record["properties"].get("baggage") for record in stored(client, "hostile", len(sent))]
    check(found == [baggage, None], "the baggage is not as it was sent")
    count = client.ledger.verify(client)
    client.close()
    node.alive()
    return f"{len(sent)} malformed, {count} messages in {took:.1f} s, {grown:.0f} MiB more"


def contexts_of_before(node, receiver):
    """`b3`, its several headers and `uber-trace-id` count where they are switched on, after what W3C has; `TRACE_CONTEXT` always."""
    forms = {"b3": {"b3": f"{TRACE}-{SPAN}-1"}, "x-b3": {"X-B3-TraceId": TRACE, "X-B3-SpanId": SPAN, "X-B3-Sampled": "1"},
             "jaeger": {"uber-trace-id": f"{TRACE}:{SPAN}:0:1"}}
    other = f"{TRACE}-1111111111111111-1"
    node.settings |= quietly(receiver)
    for number, switch in enumerate(("false", "true")):
        node.start(**{"telemetry.traces.older_contexts": switch})
        client = Client(node, Ledger())
        client.create_group()
        sent = forms | {"first": {"traceparent": SAMPLED, "b3": other}, "decided": {"traceparent": UNSAMPLED, "b3": other},
                        "proxied": {"TRACE_CONTEXT": SAMPLED, "b3": other}, "denied": {"b3": f"{TRACE}-{SPAN}-0"}}
        for form, properties in sent.items():
            client.create_topic(f"{form}-{number}", 1)
            check(send(client, f"{form}-{number}", properties).code == 0, f"{form}")
        wanted = {"first", "proxied"} | (set(forms) if switch == "true" else set())
        client.create_topic(f"last-{number}", 1)
        check(send(client, f"last-{number}", {"traceparent": SAMPLED}).code == 0, "last")
        spans = receiver.wait("the last one", lambda spans, number=number: named(spans, f"send last-{number}"))
        recorded = {span.name[5:-2] for span in spans if span.name.startswith("send") and span.name.endswith(f"-{number}")}
        check(recorded == wanted | {"last"}, f"older_contexts = {switch}: {recorded}")
        for form in wanted:
            span = one(spans, f"send {form}-{number}")
            check((span.trace, span.parent, span.service["service.name"]) == (TRACE, SPAN, BLOCKHOUSE), f"{form}: {span}")
        client.close()
        check(node.stop() == 0, "did not stop well")
        if switch == "true":
            # What is delivered after a restart goes by them as well.
            node.start(**{"telemetry.traces.older_contexts": switch})
            client = Client(node, Ledger())
            for form in forms:
                stored(client, f"{form}-{number}")
            spans = receiver.wait("deliveries", lambda spans, number=number: all(named(spans, f"deliver {form}-{number}") for form in forms))
            check({one(spans, f"deliver {form}-{number}").parent for form in forms} == {SPAN}, f"{spans}")
            client.close()
            check(node.stop() == 0, "did not stop well")
    return ", ".join(forms)


def questions_for_routes(node, receiver):
    """A name server is asked for topics: what is not there is an answer and no error, and a `traceparent` that is none is counted."""
    node.settings |= quietly(receiver)
    node.start()
    client, asking = Client(node, Ledger()), Connection(node.namesrv, 15)
    client.create_topic("there", 1)
    ask = lambda topic, context: asking.call(ROUTE, {"topic": topic, "traceparent": context}).code
    until("the route", lambda: ask("there", UNSAMPLED) == 0)
    malformed = [text for text in MALFORMED if text.isascii()]
    before = node.metric(INVALID)
    for text in malformed:
        check(ask("there", text) == 0, f"{text!r}: no answer")
    check(node.metric(INVALID) - before == len(malformed), f"{node.metric(INVALID) - before} of {len(malformed)} are counted")
    check((ask("nowhere", SAMPLED), ask("there", SAMPLED)) == (NO_TOPIC, 0), "other answers")
    names = [f"GET_ROUTEINFO_BY_TOPIC {topic}" for topic in ("nowhere", "there")]
    spans = receiver.wait("both questions", lambda spans: all(named(spans, name) for name in names))
    check(len(spans) == 2 and {(span.trace, span.parent) for span in spans} == {(TRACE, SPAN)}, f"{spans}")
    absent, found = (one(spans, name) for name in names)
    check((absent.status, found.status) == (0, 0) and "error.type" not in absent.attributes, f"{absent}: {absent.status} {absent.attributes}")
    told = [span.attributes.get("blockhouse.response.code") for span in (absent, found)]
    check(told == ["TOPIC_NOT_EXIST", None], f"{told}")
    asking.close()
    client.close()
    return f"{len(malformed)} malformed"


SCENES = {"deliveries_after_a_restart": deliveries_after_a_restart, "malformed_contexts": malformed_contexts_beside_a_load,
          "older_contexts": contexts_of_before, "questions_for_routes": questions_for_routes}
