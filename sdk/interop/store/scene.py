"""What the scenes share: a broker of our own, a client, and a ledger that knows which topics are gone."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../faults"))
from disk import MIB
from node import Client, Ledger, Node, check, until

DELETE_TOPIC, QUERY_MESSAGE = 215, 12
QUERY_NOT_FOUND = 22
FROM_TABLE = "from the table of the last checkpoint"
# Else it would clean up, or refuse, on a machine whose disk is rather full.
# What is counted in the log is what the store says; and some disks are small.
ROOMY = {"log.refusals": "false", "flight.records": 1024,
         "store.disk_clean_percent": 100, "store.disk_force_clean_percent": 100, "store.disk_max_used_percent": 100}
# Small files, so that a few messages fill several.
SMALL = ROOMY | {"store.segment_size": 8 * MIB, "store.queue_file_entries": 100, "store.index_slots": 1000,
                 "store.index_entries": 100_000, "store.flush_interval_ms": 100, "store.checkpoint_interval_ms": 500}


# Tiny ones: some hundred messages fill several of each kind. With four index entries for a slot, as RocketMQ has it, files say enough.
TINY = {"store.segment_size": MIB // 4, "store.queue_file_entries": 50, "store.index_slots": 100, "store.index_entries": 400,
        "store.write_buffer_size": MIB, "store.flush_interval_ms": 50, "broker.max_message_size": 65536}


class Book(Ledger):
    """Messages of a deleted topic must not come back."""

    def __init__(self):
        super().__init__()
        self.gone = set()

    def forget(self, topic):
        for place in [place for place in self.acked if place[0] == topic]:
            self.gone |= {uid for uid, _ in self.acked.pop(place).values()}

    def log_end(self):
        """Where the newest acknowledged message lies in the log."""
        return max(int(message[-16:], 16) for acked in self.acked.values() for _, message in acked.values())

    def part(self, places):
        """The same, knowing some queues only."""
        part = Book()
        part.sent, part.gone = self.sent, self.gone
        part.acked = {place: self.acked[place] for place in places}
        return part

    def _compare(self, record, offset, acked, where):
        uid = record["properties"].get("UNIQ_KEY")
        check(uid not in self.gone, f"{where}: {uid} was in a topic that was deleted")
        super()._compare(record, offset, acked, where)


class Stage:
    """A data directory, the process on it, and what was acknowledged."""

    def __init__(self, binary, work, data=None, prefix=(), **settings):
        self.work, self.data = work, data or os.path.join(work, "data")
        self.node = Node(binary, self.data, work, SMALL | settings, prefix)
        self.ledger, self.client = Book(), None

    def start(self, seconds=60):
        self.node.start(seconds)
        self.client = Client(self.node, self.ledger)
        return self

    def fill(self, topic, queues, each, size=1024):
        for queue in range(queues):
            check(self.client.send_burst(topic, queue, each, size) == each, f"a send to {topic} {queue} was refused")

    def delete(self, topic):
        answer = self.client.connection.call(DELETE_TOPIC, {"topic": topic})
        check(answer.code == 0, f"delete {topic}: {answer.code} {answer.remark}")
        self.ledger.forget(topic)

    def stop(self):
        """A clean one."""
        check((code := self.node.stop()) == 0, f"exit code {code}")

    def again(self, kill=False):
        """Ends it and starts it again; how many messages are there."""
        if kill:
            self.node.kill()
        else:
            self.stop()
        self.start()
        return self.intact()

    def intact(self):
        self.node.alive()
        found = self.ledger.verify(self.client)
        check(found >= self.ledger_size(), f"{found} messages were found, {self.ledger_size()} acknowledged")
        return found

    def ledger_size(self):
        return sum(len(acked) for acked in self.ledger.acked.values())

    def took_table(self):
        return FROM_TABLE in self.node.logged()

    def worked(self):
        """Seconds that the process has had a processor: on a machine with nothing else to do, what it takes."""
        with open(f"/proc/{self.node.process.pid}/stat") as stat:
            return sum(int(ticks) for ticks in stat.read().rsplit(")", 1)[1].split()[11:13]) / os.sysconf("SC_CLK_TCK")

    def metric(self, name, label=""):
        return self.node.metric(name, label)

    def healthy(self):
        until("ready", lambda: self.node.http("/readyz")[0] == 200)
        until("well", lambda: self.node.http("/healthz") == (200, "ok\n"))

    def end(self):
        self.node.end()


def queue_file(data, topic, queue):
    """The newest file of a ConsumeQueue."""
    directory = os.path.join(data, "consumequeue", topic, str(queue))
    return os.path.join(directory, max(os.listdir(directory)))


def bodies(data):
    """Offsets in the queue and bodies of stored records, whatever their other fields say. Hosts are IPv4."""
    while data:
        size, offset, length = (int.from_bytes(data[begin:end], "big") for begin, end in ((0, 4), (20, 28), (84, 88)))
        check(88 + length <= size <= len(data), f"a record of {size} bytes with a body of {length}, {len(data)} are left")
        yield offset, data[88:88 + length]
        data = data[size:]


def served(client, topic, queue, begin, end):
    """What a consumer gets that goes on wherever it is told to: bodies by offset."""
    found, offset = {}, begin

    def goes_on():
        nonlocal offset
        answer = client.pull(topic, queue, offset)
        check(answer.code in (0, 19, 20, 21), f"pull {topic} {queue} {offset}: {answer.code} {answer.remark}")
        for at, body in bodies(answer.body) if answer.code == 0 else ():
            check(at >= offset, f"{topic} {queue} {offset}: got {at}")
            found[at] = body
        before, offset = offset, int(answer.ext["nextBeginOffset"])
        return offset != before
    while offset < end:
        until(f"{topic} {queue} goes on at {offset}, it ends at {end}", goes_on, 60)
    return found


def by_key(client, topic, key):
    """The bodies that a query by key gives."""
    ext = {"topic": topic, "key": key, "maxNum": 32, "beginTimestamp": 0, "endTimestamp": 1 << 62}
    answer = client.connection.call(QUERY_MESSAGE, ext)
    check(answer.code in (0, QUERY_NOT_FOUND), f"query {key}: {answer.code} {answer.remark}")
    return [body for _, body in bodies(answer.body)] if answer.code == 0 else []
