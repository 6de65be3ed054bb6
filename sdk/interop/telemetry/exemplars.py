"""From a bucket of request times to the trace of a request in it: what /metrics names is at the receiver."""

import re
import urllib.request

from asked import START, bind, sample
from cluster import Load, Plain
from node import SUCCESS, Client, Ledger, check, until
from traced import BLOCKHOUSE, EXPORTED, to

OPEN_METRICS = "application/openmetrics-text; version=1.0.0"
SLOW = "slow"
EXEMPLAR = re.compile(r'rocketmq_rpc_latency_milliseconds_bucket\{(.*)le="([^"]+)"\} \d+ # \{trace_id="(\w+)",span_id="(\w+)"\} (\S+) ')
# How many different ones are asked for.
MANY = 100


def scraped(node):
    """(trace, span) to (bucket's end in ms, time in ms) of all exemplars that are shown."""
    request = urllib.request.Request(f"http://{node.ops}/metrics", headers={"Accept": OPEN_METRICS})
    with urllib.request.urlopen(request, timeout=10) as answer:
        lines = [line for line in answer.read().decode().splitlines() if " # {" in line]
    found = [EXEMPLAR.match(line) for line in lines]
    check(all(found), f"{lines}")
    return {(one[3], one[4]): (float(one[2]), float(one[5])) for one in found}


def exemplars_lead_to_traces(guests, node, receiver):
    """Of the exemplars that a scraper saw while clients were at work, 99 of 100 are spans at the receiver, as long as the bucket says; that
    of a slow send shows the plugin that held it up."""
    if guests:
        looping = {"faults": {"before-send": "loop"}}
        bind(node, guests, sample("looper", ["before-send"], looping, topics=[SLOW], on_failure="open", deadline_ms=50))
    node.settings |= to(receiver.endpoint, head_ratio=0.5, per_second_max=0)
    node.start(START)
    client, seen = Client(node, Ledger()), {}
    client.create_topic(SLOW, 1)
    load = Load(Plain(node))
    try:
        if guests:
            check(client.send(SLOW, 0).code == SUCCESS, "a slow send")
        until("exemplars", lambda: seen.update(scraped(node)) or len(seen) >= MANY, 120)
    finally:
        load.end()
    check(load.trouble is None, f"{load.trouble!r}")
    client.close()
    until("all are exported", lambda: node.metric(EXPORTED) == len(receiver.spans(BLOCKHOUSE)))
    check(node.stop() == 0, "did not stop well")
    spans = {(span.trace, span.id): span for span in receiver.spans(BLOCKHOUSE)}
    lost = [ids for ids in seen if ids not in spans]
    check(len(lost) * 100 <= len(seen), f"{len(lost)} of {len(seen)} exemplars lead nowhere: {lost[:5]}")
    for ids, (bound, took) in seen.items():
        check(took <= bound, f"{took} ms in the bucket up to {bound}")
        # The span is within its request.
        check(ids in lost or (spans[ids].end - spans[ids].begin) / 1e6 <= took + 1, f"{spans.get(ids)} in a request of {took} ms")
    slow = [spans[ids] for ids, (_, took) in seen.items() if took >= 50 and ids in spans and spans[ids].name == f"send {SLOW}"]
    if guests:
        check(slow, f"no exemplar of a slow send: {sorted(seen.values())[-5:]}")
        calls = [span for span in spans.values() if span.trace == slow[0].trace and span.attributes.get("error.type") == "deadline"]
        check([span.attributes["blockhouse.plugin.name"] for span in calls] == ["looper"], f"{calls}")
    return f"{len(seen) - len(lost)} of {len(seen)} exemplars{', that of a slow send names the plugin' if guests else ''}"
