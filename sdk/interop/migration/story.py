"""One move there and back: Apache RocketMQ writes, Blockhouse takes over and writes, Apache RocketMQ takes over again."""

import time

import tables
from brokers import JavaBroker, OurBroker
from harness import probe, servers
from witness import Witness

# Its retry topic has 132 bytes: a record of the second version. RocketMQ 4 has no such records, and 5.4 no such names.
LONG_GROUP = "m-long-" + "g" * 118
# Groups that consume all the time: their offsets may rise between two looks.
MOVING = ("m-short", "m-long", "CID_", "m-reader", "m-failing")
# Topics that a broker of one kind or version keeps for itself.
PRIVATE = ("rmq_sys_", "RMQ_SYS_TRACE", "RMQ_SYS_ROCKSDB")


class Played:
    """Processes on one directory, one after the other, and what was wrong."""

    def __init__(self, java, compiled, binary, layout):
        self.java, self.compiled, self.binary, self.layout = java, compiled, binary, layout
        self.root = layout.data.parent
        self.namesrv = servers.JavaNamesrv(java, "namesrv", self.root)
        self.witness = None
        self.broker = None
        self.problems = []
        self.steps = []
        self.stepped = time.monotonic()

    def step(self, what):
        now = time.monotonic()
        self.steps.append(f"{what} {now - self.stepped:.0f} s")
        self.stepped = now

    def note(self, problems):
        self.problems += [f"under {self.broker.label}: {problem}" for problem in problems]

    def run(self):
        """The problems found; none is good."""
        try:
            self.namesrv.start()
            probe.wait_until(lambda: probe.listens(self.namesrv.address), 60, "the name server listens", self.namesrv.alive)
            self.witness = Witness(self.java, self.compiled, self.namesrv.address, self.root / "witness")
            self.play()
        finally:
            self.kill()
            if self.witness is not None:
                self.witness.close()
        return self.problems

    def kill(self):
        for server in (self.broker, self.namesrv):
            if server is not None and server.process is not None and server.process.poll() is None:
                server.kill()

    def java_broker(self, label, **extra):
        return JavaBroker(self.java, label, self.layout, self.namesrv.address, extra)

    def our_broker(self, label, *extra):
        return OurBroker(self.binary, label, self.layout, self.namesrv.address, extra)

    def begin(self, broker):
        self.broker = broker
        broker.start().ready()
        self.step(f"{broker.label} up")

    def end(self, how):
        label = self.broker.label
        if how == "kill":
            self.broker.kill()
        else:
            self.broker.stop_cleanly()
        found = self.layout.wrong_lengths()
        found += self.layout.dense() if isinstance(self.broker, OurBroker) else []
        self.step(how)
        if how == "clean":
            found += self.our_broker(f"check-{label}").checked()
            self.step("checked")
        self.problems += [f"after {label}: {problem}" for problem in found]

    def refused(self, label, *sentences):
        """Our broker must not start, and say all this."""
        said = self.our_broker(label).refusal()
        self.problems += [f"the refusal does not say {sentence!r}: {said}" for sentence in sentences if sentence not in said]
        self.step("refused")

    def left_alone(self, label, *sentences, but=()):
        """The same of a directory that nobody works on: apart from our own, no file changes, but of those kinds."""
        before = self.layout.contents()
        self.refused(label, *sentences)
        after = self.layout.contents()
        changed = [str(path) for path in sorted(before.keys() | after.keys()) if before.get(path) != after.get(path)]
        kept = tuple(str(self.layout.data / name) for name in ("blockhouse/", *but))
        self.problems += [f"the refused start has changed {path}" for path in changed if not path.startswith(kept)]

    def delivered(self, phase, level):
        return int(self.witness.ask("count", "m-delay", f"{phase}-d{level}-"))

    def ended(self):
        """How many half messages are noted as ended. RocketMQ 4 has a note for each, and lets no client see them."""
        if self.java.is_four:
            return tables.max_offset(self.layout.address(), "RMQ_SYS_TRANS_OP_HALF_TOPIC", 0)
        return int(self.witness.ask("ended"))


class Story(Played):
    """There and back."""

    def __init__(self, java, compiled, binary, layout, ends):
        super().__init__(java, compiled, binary, layout)
        self.ends = ends
        self.transactions = 0

    def play(self):
        first = self.written_by_java()
        ours = self.taken_over(first, self.our_broker("blockhouse"), "two", "one")
        self.end(self.ends[1])
        back = self.taken_over(ours, self.java_broker("java-again"), "three", "two")
        self.end(self.ends[0])
        # Its own checkpoint is from before what the Java broker did.
        self.begin(self.our_broker("blockhouse-again"))
        self.compare(back)
        self.end("clean")

    # ---- writing ----

    def written_by_java(self):
        self.begin(self.java_broker("java"))
        self.configure()
        self.write("one")
        self.witness.ask("commit", "m-offsets", "3,5,7,9")
        self.step("written")
        self.refused("meanwhile", "in use by another process")
        seen = self.last_words("one")
        self.end(self.ends[0])
        return seen

    def configure(self):
        address, attributes = self.layout.address(), "" if self.java.is_four else "+message.type=NORMAL"
        for name, count in (("m-plain", 4), ("m-batch", 4), ("m-many", 1), ("m-big", 2), ("m-delay", 2), ("m-transaction", 2),
                            ("m-failing", 2)):
            tables.make_topic(address, name, count)
        tables.make_topic(address, "m-typed", 3, attributes=attributes)
        tables.make_topic(address, "m-readable", 7, perm=4, order=True)
        group = {"groupName": "m-configured", "consumeEnable": True, "consumeFromMinEnable": False, "consumeBroadcastEnable": True,
                 "retryQueueNums": 2, "retryMaxTimes": 5, "brokerId": 0, "whichBrokerWhenConsumeSlowly": 1,
                 "notifyConsumerIdsChangedEnable": False}
        if self.java.version >= "5.4":
            group["attributes"] = {"+priority.factor": "50"}
        tables.make_group(address, group)

    def write(self, phase):
        self.witness.ask("send", phase)
        self.witness.ask("delayed", phase, 1, 3)
        self.witness.ask("retries", phase, "m-short")
        if self.java.version.startswith("5.3"):
            self.witness.ask("retries", phase, LONG_GROUP)
        if isinstance(self.broker, JavaBroker):
            self.witness.ask("transactions", phase, "COMMIT_MESSAGE", 3)
            self.witness.ask("transactions", phase, "ROLLBACK_MESSAGE", 2)
            self.transactions += 5
        probe.wait_until(lambda: self.delivered(phase, 1) >= 3, 30, f"the delayed messages {phase}-d1 are delivered")

    def last_words(self, phase):
        """Messages that will not be delivered before the end, and all that there is to see then."""
        if isinstance(self.broker, JavaBroker):
            # Java notes the outcomes of transactions behind; what it has not noted waits to be checked.
            probe.wait_until(lambda: self.ended() >= self.transactions, 30, "the outcomes of transactions are noted")
        self.witness.ask("delayed", phase, 2, 2)
        self.witness.ask("delayed", phase, 3, 2)
        self.witness.ask("delayed", phase, 18, 2)
        known = tables.tables(self.layout.address())
        seen = self.witness.snapshot({name: count for name, count in tables.queues(known).items() if not name.startswith(PRIVATE)})
        self.note(tables.unfound(seen))
        self.step("seen")
        probe.wait_until(self.offsets_are_saved, 20, "the offsets are in the file")
        return known, seen

    def offsets_are_saved(self):
        """Brokers of both kinds write them to the file that the other reads every few seconds."""
        try:
            saved = tables.load((self.layout.data / "config" / "consumerOffset.json").read_bytes())["offsetTable"]
        except (OSError, ValueError):
            return False
        return all(saved.get(pair) == offsets for pair, offsets in tables.tables(self.layout.address())["offsets"].items())

    # ---- taking over ----

    def taken_over(self, before, broker, phase, waiting):
        self.begin(broker)
        self.compare(before)
        for level in (2, 3):
            probe.wait_until(lambda level=level: self.delivered(waiting, level) >= 2, 40, f"{waiting}-d{level} is delivered", broker.alive)
        self.write(phase)
        self.step("written")
        after = self.last_words(phase)
        self.note(tables.differences(before[1], after[1], self.guesses_times))
        return after

    def compare(self, before):
        """What was there must be there alike."""
        known, seen = before
        now = tables.tables(self.layout.address())
        self.note(tables.changed(known, now, MOVING))
        wanted = {key.rsplit(" ", 1)[0] for key in seen}
        topics = {name: count for name, count in tables.queues(now).items() if name in wanted}
        topics.update({name: 1 for name in wanted - set(topics)})
        self.note(tables.differences(seen, self.witness.snapshot(topics), self.guesses_times))
        self.step("compared")

    def guesses_times(self, queue):
        """RocketMQ 4 looks for a time in the one file whose time of change fits, and whoever opens files changes that."""
        return self.java.is_four and queue["max"] > self.layout.sizes["queue"]
