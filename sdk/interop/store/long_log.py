"""A log of more than 10 GiB and kill -9 under load: the next process takes a send within 5 s, and what was stored is there."""

import os
import random
import shutil
import subprocess
import time

from disk import Unable
from node import check, records, until
from scene import ROOMY, Stage

GIB = 1 << 30
LOG, ROOM, LIMIT = 10 * GIB, 15 * GIB, 5.0
# Per processor: what the scene itself makes is less.
BUSY = 4
TOPIC, BENCH, QUEUES = "long", "filling", 16
# Messages of the load that are looked at again, and of our own in each queue.
SAMPLE = 2000


class Long(Stage):
    def __init__(self, binary, work, log):
        super().__init__(binary, work)
        self.node.settings = dict(ROOMY)  # files and times as they are by default
        self.log, self.dice = log, random.Random(int(time.time()))

    def bench(self, seconds):
        return subprocess.Popen(
            [self.node.binary, "bench", "produce", "--namesrv", self.node.namesrv, "--topic", BENCH, "--queues", str(QUEUES), "--size", "1024",
             "--connections", "4", "--in-flight", "64", "--warmup", "0", "--duration", str(seconds)],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def end_of_log(self):
        """Where the log ends, by a message that is sent to see that."""
        check((answer := self.client.send(TOPIC, 0)).code == 0, f"send: {answer.code} {answer.remark}")
        return self.ledger.log_end()

    def grow(self):
        """Until the log is as long as wanted; how many seconds that took."""
        begun = time.monotonic()
        while (end := self.end_of_log()) < self.log:
            check(self.bench(20).wait(300) == 0, f"the load ended with an error, the log at {end}")
            check(self.end_of_log() > end + 64 * 1024 * 1024, f"the log grows from {end} to {self.ledger.log_end()} only")
        return time.monotonic() - begun

    def ends(self):
        return [self.client.end_of(f"{BENCH}-0", queue) for queue in range(QUEUES)]

    def pulled(self, queue, offset):
        """The record that is there, read from the disk if it has to be."""
        topic = f"{BENCH}-0"
        answer = until(f"{topic} {queue} {offset}", lambda: (got := self.client.pull(topic, queue, offset)).code not in (19, 20) and got, 60)
        check(answer.code == 0, f"pull {topic} {queue} {offset}: {answer.code} {answer.remark}")
        record = records.decode_all(answer.body)[0]
        check((record["topic"], record["queueId"], record["queueOffset"]) == (topic, queue, offset), f"{topic} {queue} {offset}: {record}")
        return record

    def sample(self, ends):
        """Some of what the load has stored, the oldest and the newest of each queue among it."""
        places = [(queue, offset) for queue, end in enumerate(ends) for offset in (0, end - 1)]
        queues = [self.dice.randrange(QUEUES) for _ in range(SAMPLE - len(places))]
        places += [(queue, self.dice.randrange(ends[queue])) for queue in queues]
        return {place: self.pulled(*place) for place in places}

    def compare(self, seen, ends):
        now = self.ends()
        check(all(new >= old for new, old in zip(now, ends)), f"queues end at {now}, before the kill at {ends}")
        for place, record in seen.items():
            check(self.pulled(*place) == record, f"{place} is another message")
        return sum(now)

    def first_send(self):
        """Starts the process; seconds until it has taken a message, and until it said that it is ready."""
        begun = time.monotonic()
        self.start()
        ready = time.monotonic() - begun
        until("a send is taken", lambda: self.client.send(TOPIC, 1).code == 0)
        return time.monotonic() - begun, ready


def play(binary, work, log=LOG):
    if (free := shutil.disk_usage(work).free) < log + ROOM - LOG:
        raise Unable(f"a log of {log / GIB:.0f} GiB wants {(log + ROOM - LOG) / GIB:.0f} GiB of free disk, {work} has {free / GIB:.1f}")
    stage, loads = Long(binary, work, log), []
    try:
        stage.start()
        for topic, queues in ((TOPIC, 2), (f"{BENCH}-0", QUEUES)):
            stage.client.create_topic(topic, queues)
        stage.client.create_group()
        took = stage.grow()
        ends = stage.ends()
        seen = stage.sample(ends)
        # In the middle of more: what came since the last checkpoint is read again.
        loads.append(stage.bench(60))
        until("the load has begun", lambda: sum(stage.ends()) > sum(ends) + 10_000, 60)
        stage.fill(TOPIC, 2, SAMPLE)
        check(loads[0].poll() is None, "the load is over before the kill")
        stage.node.kill()
        load = os.getloadavg()[0]
        first, ready = stage.first_send()
        worked = stage.worked()
        told = f"{first:.2f} s from the start of the process to the first accepted send, {worked:.2f} s of them at work"
        print(f"  {told}; load {load:.0f}", flush=True)
        check(worked < LIMIT, told)
        found, messages = stage.intact(), stage.compare(seen, ends)
        files = sorted(os.listdir(os.path.join(stage.data, "commitlog")))
        check(int(files[0]) == 0 and stage.ledger.log_end() > log, f"the log is from {files[0]} to {stage.ledger.log_end()}")
        if first >= LIMIT and load > BUSY * os.cpu_count():
            raise Unable(f"too much else runs here to measure wall-clock time (load {load:.0f}): {told}")
        check(first < LIMIT, told)
        return (f"{stage.ledger.log_end() / GIB:.1f} GiB in {len(files)} files, {messages} messages, written in {took:.0f} s; {first:.2f} s to the "
                f"first accepted send (ready after {ready:.2f}); {found} of our own and {len(seen)} of the load compared")
    finally:
        for load in loads:
            load.kill()
            load.wait()
        stage.end()


def scenes(full):
    return {f"{LOG // GIB} GiB of log and kill -9": play} if full else {}
