"""Pages that are lost while consumers pull them.

The kernel takes pages back whenever it likes, also between the broker's question for them and its look at them; then the
device fails. Four consumers pull one file at full speed, which is taken out of memory under them again and again while its
device answers EIO. Whatever the moment: the process lives, no byte is wrong, and all is there once the device is back.
"""

import os
import random
import threading

import lost_page
from disk import Unable
from lost_page import COLD, FAILS, QUEUES, SEGMENT, TOPIC
from node import GROUP, Client, Frame, check, until
from remoting import Closed, Connection, Timeout

PULLERS, PIPELINED = 4, 8
# Alone in the log; some are copied by the store, others lent.
SIZES = (100, 700, 1500, 3000)
WAITED = 15.0


class Puller(threading.Thread):
    """Pulls at random; every answer is a piece of what was there when all was well, an error, or the connection's end."""

    def __init__(self, address, known, number):
        super().__init__(daemon=True)
        self.address, self.known, self.random = address, known, random.Random(number)
        self.found = self.failed = self.closed = 0
        self.wrong, self.stopping, self.connection = None, False, None

    def run(self):
        try:
            while not self.stopping:
                try:
                    self.burst()
                except Closed:
                    self.closed += 1
                    self.connection = None
        except (Timeout, OSError, ValueError, KeyError) as error:
            self.wrong = f"{type(error).__name__}: {error}"

    def burst(self):
        if self.connection is None:
            self.connection = Connection(self.address, WAITED)
        asked, data = {}, b""
        for _ in range(PIPELINED):
            queue = self.random.randrange(QUEUES)
            offset = self.random.randrange(len(self.known[queue]))
            ext = dict(consumerGroup=GROUP, topic=COLD, queueId=queue, queueOffset=offset, maxMsgNums=32, sysFlag=4, commitOffset=0,
                       suspendTimeoutMillis=0, subscription="*", subVersion=0, expressionType="TAG")
            self.connection.opaque += 1
            asked[self.connection.opaque] = (queue, offset)
            data += Frame(11, ext, opaque=self.connection.opaque).encode()
        self.connection.raw(data)
        while asked:
            answer = self.connection.next()
            self.judge(answer, *asked.pop(answer.opaque))

    def judge(self, answer, queue, offset):
        if answer.code == 0:
            self.found += 1
            count = int(answer.ext["nextBeginOffset"]) - offset
            if answer.body != b"".join(self.known[queue][offset:offset + count]) or count < 1:
                raise ValueError(f"{queue} {offset}: wrong bytes in {len(answer.body)} of {count} messages")
        elif answer.code == 1 and FAILS in (answer.remark or ""):
            self.failed += 1
        elif answer.code not in (19, 20):
            raise ValueError(f"{queue} {offset}: {answer.code} {answer.remark}")


def written(stage):
    """As there, with messages of many sizes, each between others."""
    fillers = stage.device.leave_only_the_end()
    stage.start()
    for topic in (COLD, TOPIC):
        stage.client.create_topic(topic, QUEUES)
    stage.client.create_group()
    stage.fill(COLD, QUEUES, 10)
    for filler in fillers:
        os.remove(filler)
    os.sync()
    at = 0
    while stage.ledger.log_end() < SEGMENT:
        stage.fill(COLD, QUEUES, 1 + at // 10 % 3, SIZES[at % len(SIZES)])
        at += 1
    stage.fill(TOPIC, QUEUES, 800, 4096)
    logs = os.path.join(stage.device.path, "commitlog")
    names = sorted(os.listdir(logs))
    oldest = os.path.join(logs, names[0])
    cut = lost_page.blocks(oldest)[0]
    if any(lost_page.blocks(os.path.join(logs, name))[1] >= cut for name in names[1:]):
        raise Unable("the filesystem put a newer file behind the oldest")
    stage.healthy()
    return oldest, cut * 4096


def remembered(stage):
    """The records of each queue as they are, byte for byte, but for those of the newer file."""
    known = []
    for queue in range(QUEUES):
        records, end = [], stage.client.end_of(COLD, queue)
        while len(records) < end:
            body = lost_page.pulled(stage, COLD, queue, len(records)).body
            while body:
                size = int.from_bytes(body[:4], "big")
                records.append(body[:size])
                body = body[size:]
        known.append(records)
    return known


def play(binary, work, rounds):
    stage = lost_page.begin(binary, work)
    try:
        oldest, end = written(stage)
        everything, known = stage.intact(), remembered(stage)
        pullers = [Puller(stage.node.broker, known, number) for number in range(PULLERS)]
        for puller in pullers:
            puller.start()

        def moved(what):
            """Each puller has got one more of it, or there is something wrong."""
            def one_more():
                if stage.node.process.poll() is not None:
                    stage.node.alive()  # it reads the log, which is long
                if wrong := [puller.wrong for puller in pullers if puller.wrong]:
                    check(False, f"round {number}: {wrong}")
                return all(getattr(puller, what) > was for puller, was in before)
            before = [(puller, getattr(puller, what)) for puller in pullers]
            until(f"round {number}: {what}", one_more)

        for number in range(rounds):
            with open(oldest, "rb") as file:
                file.read()
            moved("found")
            stage.device.resize(end)
            try:
                lost_page.evict(stage.node.process.pid, oldest)
                until("it is out of memory", lambda: lost_page.in_memory(oldest) == 0
                      or not lost_page.evict(stage.node.process.pid, oldest))
                moved("failed")
            finally:
                stage.device.resize(0)
        number = "the last"
        moved("found")
        for puller in pullers:
            puller.stopping = True
        for puller in pullers:
            puller.join(WAITED)
            check(not puller.wrong, f"{puller.wrong}")
        lost = stage.metric("blockhouse_store_lost_pages_total")
        failed = stage.metric("blockhouse_store_failed_reads_total")
        check(failed > 0, "no failed read is counted")
        stage.client = Client(stage.node, stage.ledger)  # the one before was idle too long
        check(stage.intact() == everything, "not everything is there")
        stage.healthy()
        stage.again(kill=True)
        found, closed = (sum(getattr(puller, what) for puller in pullers) for what in ("found", "closed"))
        return (f"{rounds} rounds, {found} pulls found messages, {failed:.0f} reads failed, {lost:.0f} pages were lost under a look, "
                f"{closed} connections were closed in the middle of an answer")
    finally:
        stage.end()
        stage.device.remove()


def scenes(full):
    return {"lost pages under load": lambda binary, work: play(binary, work, 300 if full else 60)}
