"""What Blockhouse does not serve: it refuses to start on it, says how much there is and what to do, and leaves it whole for
Apache RocketMQ."""

import time

import tables
from harness import probe, tools
from story import Played

HALF = "RMQ_SYS_TRANS_HALF_TOPIC"


class Inert(Played):
    """Half messages, timer messages and POP deliveries that wait; RocketMQ goes on with them afterwards."""

    def play(self):
        self.begin(self.java_broker("java"))
        address = self.layout.address()
        for name, queues in (("m-plain", 4), ("m-batch", 4), ("m-many", 1), ("m-big", 2), ("m-typed", 3), ("m-delay", 2),
                             ("m-transaction", 2), ("m-popped", 1)):
            tables.make_topic(address, name, queues)
        self.witness.ask("send", "one")
        self.witness.ask("transactions", "one", "COMMIT_MESSAGE", 2)
        self.witness.ask("transactions", "one", "UNKNOW", 3)
        kinds, due = ["3 half messages"], time.monotonic() + 25
        if not self.java.is_four:
            self.witness.ask("timed", "one", 25, 4)
            due = time.monotonic() + 25
        probe.wait_until(lambda: self.ended() >= 2, 30, "the outcomes of transactions are noted")
        if not self.java.is_four:
            tables.make_group(address, {"groupName": "m-popping", "retryQueueNums": 1})
            tables.pop(address, "m-popping", "m-many", 3)
            # What a POP consumer got waits in the timer until its invisible time is over.
            kinds.append("5 timer messages")
        halves = tables.max_offset(address, HALF, 0)
        self.step("written")
        self.end("clean")
        # They are counted in an open store, whose index is then up to date and whose checkpoint is its own.
        self.left_alone("refused", *kinds, "Let Apache RocketMQ finish them (stop producers and consumers of these kinds first)",
                        "--allow-inert", but=("checkpoint", "index/"))
        self.begin(self.our_broker("blockhouse", "--allow-inert"))
        if self.delivered("one", 1) != 0 or int(self.witness.ask("count", "m-plain", "one-")) != 48:
            self.note(["the ordinary messages are not there"])
        self.end("clean")
        self.begin(self.java_broker("java-again"))
        # It goes on with what waits: it asks for the outcomes again, and writes such a message anew before that.
        if self.ended() < 2 or (now := tables.max_offset(address, HALF, 0)) < halves:
            self.note([f"{now} half messages instead of {halves}"])
        if self.java.is_four:
            return
        probe.wait_until(lambda: int(self.witness.ask("count", "m-delay", "one-timed-")) == 4, 60, "the timer messages are delivered")
        if time.monotonic() < due:
            self.note(["the timer messages were delivered before they were due"])
        self.step("timers delivered")


class Layouts(Played):
    """A layout that is not read here, written by RocketMQ."""

    def __init__(self, java, compiled, binary, layout, config, attributes, sentences):
        super().__init__(java, compiled, binary, layout)
        # The attributes of topics are looked at after recovery from the kill.
        self.but = ("abort", "checkpoint", "commitlog/", "index/") if attributes else ()
        self.config, self.attributes, self.sentences = config, attributes, sentences

    def play(self):
        self.begin(self.java_broker("java", **self.config))
        tables.make_topic(self.layout.address(), "m-transaction", 2, attributes=self.attributes)
        self.broker.kill()
        self.left_alone("refused", *self.sentences, but=self.but)


class RocksDb(Played):
    """A directory with queues and configuration in RocksDB: refused, and taken over after what docs/operations.md says to do."""

    def play(self):
        self.begin(self.java_broker("java", storeType="defaultRocksDB"))
        for name, queues in (("m-plain", 4), ("m-batch", 4), ("m-many", 1), ("m-big", 2), ("m-typed", 3)):
            tables.make_topic(self.layout.address(), name, queues)
        self.witness.ask("send", "one")
        self.witness.ask("commit", "m-offsets", "3,5,7,9")
        known, topics = tables.tables(self.layout.address()), {"m-plain": 4, "m-batch": 4, "m-many": 1, "m-big": 2, "m-typed": 3}
        seen = self.witness.snapshot(topics)
        self.broker.stop_cleanly()
        self.step("written")
        self.left_alone("refused", "/consumequeue: ", "mqadmin rocksDBConfigToJson", "move this directory and `checkpoint` away",
                        "make an empty file `abort`")
        aside = self.root / "aside"
        aside.mkdir()
        data = self.layout.data
        for kind, file in (("topics", "topics.json"), ("subscriptionGroups", "subscriptionGroup.json"),
                           ("consumerOffsets", "consumerOffset.json")):
            tools.check(["java", "-cp", f"{self.java.library}/*", "org.apache.rocketmq.tools.command.MQAdminStartup",
                         "rocksDBConfigToJson", "-p", str(data / "config"), "-t", kind, "-e", str(data / "config" / file)])
            (data / "config" / kind).rename(aside / kind)
        for name in ("consumequeue", "checkpoint"):
            (data / name).rename(aside / name)
        (data / "abort").touch()
        self.begin(self.our_broker("blockhouse"))
        self.note(tables.changed(known, tables.tables(self.layout.address())))
        self.note(tables.differences(seen, self.witness.snapshot(topics)))
        self.end("clean")


def dledger(layout):
    return {"enableDLegerCommitLog": "true", "dLegerGroup": "broker-a", "dLegerSelfId": "n0",
            "dLegerPeers": f"n0-127.0.0.1:{layout.port + 1}"}
