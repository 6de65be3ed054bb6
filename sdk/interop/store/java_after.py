"""Apache RocketMQ's broker on a directory that we wrote: started from `blockhouse/queues`, written to, stopped or killed."""

import importlib
import os
import sys
from pathlib import Path

from disk import Unable
from node import Client, check
from scene import SMALL, Stage

INTEROP = Path(__file__).resolve().parent.parent
VERSION, QUEUES = "5.4.0", 4
PLAIN, MADE_AGAIN, MANY = "plain", "made-again", "many"


def peer():
    """What migration/ starts Java brokers with. Its modules have names that ours have, too."""
    sys.path[:0] = [str(INTEROP), str(INTEROP / "migration")]
    return tuple(importlib.import_module(name) for name in ("brokers", "harness.probe", "harness.servers", "harness.tools"))


class Pair:
    """A Java name server and broker on the stage's directory."""

    def __init__(self, data):
        self.brokers, self.probe, self.servers, tools = peer()
        try:
            self.java = self.brokers.Java(VERSION)
        except (tools.Missing, RuntimeError) as reason:
            raise Unable(f"no Apache RocketMQ {VERSION}: {reason}") from reason
        sizes = {"segment": SMALL["store.segment_size"], "queue": SMALL["store.queue_file_entries"], "slots": SMALL["store.index_slots"],
                 "entries": SMALL["store.index_entries"]}
        root = Path(data).parent
        self.layout = self.brokers.Layout(root, sizes)
        self.namesrv = self.servers.JavaNamesrv(self.java, "namesrv", root)
        self.broker = None

    def start(self):
        self.namesrv.start()
        self.probe.wait_until(lambda: self.probe.listens(self.namesrv.address), 60, "the name server listens", self.namesrv.alive)
        self.broker = self.brokers.JavaBroker(self.java, "java", self.layout, self.namesrv.address)
        self.broker.start().ready(90)

    def stop(self):
        self.broker.stop_cleanly()
        self.namesrv.stop()

    def end(self):
        for server in (self.broker, self.namesrv):
            if server is not None and server.process is not None and server.process.poll() is None:
                server.kill()


class Seat:
    """What a client has to know of a broker."""

    def __init__(self, address):
        self.broker = address


def written(stage):
    """Several files of each kind; a start from the table, more messages."""
    stage.start()
    for topic, queues in ((PLAIN, QUEUES), (MADE_AGAIN, QUEUES), (MANY, 200)):
        stage.client.create_topic(topic, queues)
    stage.client.create_group()
    stage.fill(PLAIN, QUEUES, 250)
    stage.fill(MADE_AGAIN, QUEUES, 150)
    stage.fill(MANY, 200, 3, 100)
    stage.delete(MADE_AGAIN)
    stage.client.create_topic(MADE_AGAIN, QUEUES)
    stage.fill(MADE_AGAIN, QUEUES, 30)
    stage.again()
    check(stage.took_table(), "the start did not come from the table of queues")
    for _ in range(4):
        stage.fill(PLAIN, QUEUES, 130, 4096)
    stage.fill(MADE_AGAIN, QUEUES, 130)
    stage.fill(MANY, 200, 2, 100)


def play(binary, work, kill):
    data = os.path.join(work, "data")
    pair = Pair(data)
    stage = Stage(binary, work)
    try:
        written(stage)
        if kill:
            # From the table again, with records behind it.
            stage.node.kill()
            stage.start()
            check(stage.took_table(), "the start after the kill did not come from the table of queues")
            stage.fill(PLAIN, QUEUES, 20)
        before = stage.intact()
        stage.stop()
        wrong = pair.layout.wrong_lengths()
        check(not wrong, f"lengths of files: {wrong}")
        pair.start()
        there = stage.ledger.verify(java := Client(Seat(pair.layout.address()), stage.ledger))
        check(there == before, f"{there} messages under Java, {before} under Blockhouse")
        # And it goes on behind them.
        for queue in range(QUEUES):
            check(java.send_burst(PLAIN, queue, 20, 1024) == 20, "Java refused a send")
        pair.stop()
        stage.start()
        # It sees that the log went on, and whatever Java did to the queues.
        back = stage.intact()
        check(back == before + 20 * QUEUES, f"{back} back under Blockhouse, {before + 20 * QUEUES} were acknowledged")
        stage.stop()
        return f"{before} messages of {len(stage.ledger.acked)} queues under Java {VERSION}, {back} back under Blockhouse"
    finally:
        stage.end()
        pair.end()


SCENES = {"Java after a start from the table": lambda binary, work: play(binary, work, False),
          "Java after kills": lambda binary, work: play(binary, work, True)}
