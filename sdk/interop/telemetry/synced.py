"""Sends that wait for the disk: each with its own wait, and one span for each sync that several share."""

import threading

from node import Client, Ledger, check, until
from traced import EXPORTED, named, to

SENDERS, EACH = 8, 40
FLUSH = "flush commitlog"


def syncs_are_shared(node, receiver):
    """Senders at the same time, each on a connection of its own: every send is linked by the one sync that made it durable."""
    node.settings |= {"store.flush": "sync"} | to(receiver.endpoint, head_ratio=1, per_second_max=0)
    node.start()
    client = Client(node, Ledger())
    client.create_topic("orders", 4)
    client.close()
    failed = []

    def sends(queue):
        sender = Client(node, Ledger())
        try:
            for _ in range(EACH):
                sender.send("orders", queue % 4)
        except Exception as wrong:  # pylint: disable=broad-except
            failed.append(wrong)
        finally:
            sender.close()

    threads = [threading.Thread(target=sends, args=(at,)) for at in range(SENDERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    check(not failed, f"{failed}")
    total = SENDERS * EACH
    linked = lambda spans: [link for span in named(spans, FLUSH) for link in span.links]
    spans = receiver.wait("all sends and their syncs", lambda spans: len(named(spans, "send orders")) >= total and len(linked(spans)) >= total)
    wanted, found = {(span.trace, span.id) for span in named(spans, "send orders")}, linked(spans)
    check(len(wanted) == len(found) == total and set(found) == wanted, f"{len(wanted)} sends, {len(found)} links to {len(set(found))}")
    waits = [span for span in named(spans, "flush") if (span.trace, span.parent) in wanted]
    check(len(waits) == total, f"{len(waits)} waits of {total} sends")
    flushes = named(spans, FLUSH)
    most = max(len(span.links) for span in flushes)
    check(most >= 2, f"{SENDERS} senders at once, and {len(flushes)} syncs served one each")
    # A send ends when its sync has.
    by_id = {(span.trace, span.id): span for span in named(spans, "send orders")}
    for flush in flushes:
        for link in flush.links:
            check(by_id[link].begin <= flush.end <= by_id[link].end + 5_000_000, f"{flush}: {flush.begin} to {flush.end}, {by_id[link].end}")
    until("all are counted", lambda: node.metric(EXPORTED) == len(receiver.spans("blockhouse")))
    return f"{total} sends, {len(flushes)} syncs, of which one served {most}"


SCENES = {scene.__name__: scene for scene in (syncs_are_shared,)}
