"""Very many queues with few descriptors: clean stop, kill, full replay; each start has a limit, and queues are compared by sample.

Memory and starts grow with the queues that are in use: the same queues are looked at with none of them in use, with one of a hundred, and
with all, and the node is killed and started after each.
"""

import json
import os
import random
import shutil
import time

from node import GROUP, check, until
from remoting import Frame
from scene import ROOMY, Stage

QUEUES_PER_TOPIC, SAMPLE, DESCRIPTORS = 8, 2000, 1024
# Both limits, so that the process cannot raise its own.
FEW_DESCRIPTORS = ("sh", "-c", f'ulimit -n {DESCRIPTORS} && exec "$@"', "sh")
# KiB that the process itself may take on top of what an empty node takes: buffers and the like, for a queue (with its part of a topic),
# and for a queue in use. Pages of files come on top, as the kernel likes.
BUFFERS, PER_QUEUE, PER_ACTIVE = 96 * 1024, 1.0, 1.0
# Seconds of a processor that a start may take: as it is (after a clean stop, after a kill), for a queue, and for a queue that was in use
# when the node was killed. Wall-clock time says more of what else the machine does: it is printed.
AFTER_STOP, AFTER_KILL, PER_QUEUE_THERE, PER_QUEUE_USED = 0.5, 6.0, 20e-6, 30e-6
# Of so many queues, one is in use where few are.
FEW = 100


class Many(Stage):
    def __init__(self, binary, work, topics, seed):
        super().__init__(binary, work, prefix=FEW_DESCRIPTORS)
        self.node.settings = dict(ROOMY)  # files as large as they are by default
        self.topics = [f"many-{number:05d}" for number in range(topics)]
        self.places = [(topic, queue) for topic in self.topics for queue in range(QUEUES_PER_TOPIC)]
        self.dice, self.most_maps, self.most_files = random.Random(seed), 0, 0
        self.empty = None  # KiB of the node without topics

    def burst(self, frames, at_once):
        """Sends several requests with one write, takes their answers, and goes on."""
        for at in range(0, len(frames), at_once):
            part, data, by_opaque = frames[at:at + at_once], b"", {}
            for frame in part:
                self.client.connection.opaque += 1
                frame.opaque = self.client.connection.opaque
                by_opaque[frame.opaque] = frame
                data += frame.encode()
            self.client.connection.raw(data)
            while by_opaque:
                answer = self.client.connection.next(60)
                frame = by_opaque.pop(answer.opaque)
                check(answer.code == 0, f"request {frame.code}: {answer.code} {answer.remark}")
                yield frame, answer

    def create(self):
        frames = [Frame(17, dict(topic=topic, defaultTopic="TBW102", readQueueNums=QUEUES_PER_TOPIC, writeQueueNums=QUEUES_PER_TOPIC,
                                 perm=6, topicFilterType="SINGLE_TAG", topicSysFlag=0, order="false")) for topic in self.topics]
        for _ in self.burst(frames, 64):
            pass
        self.client.create_group()

    def send(self, places):
        frames = []
        for topic, queue in places:
            uid = self.ledger.new_id(100)
            frames.append(self.client.frame(topic, queue, uid, 100))
            frames[-1].uid = uid
        for frame, answer in self.burst(frames, 200):
            self.ledger.add(frame.ext["b"], frame.uid, answer.ext)

    def compared(self):
        """A sample of queues, all messages of each."""
        places = self.dice.sample(self.places, min(SAMPLE, len(self.places)))
        return self.ledger.part(places).verify(self.client)

    def anonymous(self):
        """KiB that the process itself takes."""
        with open(f"/proc/{self.node.process.pid}/status") as status:
            return next(int(line.split()[1]) for line in status if line.startswith("RssAnon"))

    def looked_at(self, active):
        """What the process takes with so many queues in use, once it has given back what a burst of requests took."""
        self.node.alive()
        pid = self.node.process.pid
        with open(f"/proc/{pid}/maps") as maps:
            self.most_maps = max(self.most_maps, sum(1 for _ in maps))
        self.most_files = max(self.most_files, len(os.listdir(f"/proc/{pid}/fd")))
        with open("/proc/sys/vm/max_map_count") as limit:
            check(self.most_maps < int(limit.read()) // 10, f"{self.most_maps} maps")
        check(self.most_files < DESCRIPTORS, f"{self.most_files} descriptors")
        bound, first = self.empty + BUFFERS + len(self.places) * PER_QUEUE + active * PER_ACTIVE, self.anonymous()
        until(f"less than {bound / 1024:.0f} MiB of anonymous memory, with {active} queues in use", lambda: self.anonymous() < bound, 90)
        return f"{first / 1024:.1f} MiB anonymous, then {self.anonymous() / 1024:.1f} of at most {bound / 1024:.0f}"

    def written_behind(self):
        """Waits until a checkpoint holds all that was sent; how long that took."""
        begun = time.monotonic()
        path, last = os.path.join(self.data, "blockhouse", "checkpoint"), self.ledger.log_end()

        def held():
            if not os.path.exists(path):
                return False
            with open(path, "rb") as file:
                return int.from_bytes(file.read(16)[8:], "big") > last
        until("a checkpoint holds everything", held, 300)
        return time.monotonic() - begun

    def stopped(self):
        """A clean stop; with so many files a disk that others use, too, may not sync in the time that a stop has."""
        begun = time.monotonic()
        code = self.node.stop(15)
        check(code == 0 or (code == 1 and "did not stop in time" in self.node.logged()), f"exit code {code}")
        clean = "" if code == 0 else ", NOT CLEAN: the disk did not sync in time"
        print(f"  stopped in {time.monotonic() - begun:.2f} s{clean}", flush=True)

    def raise_progress(self, ahead):
        """As if a power cut had taken the log's end, and what was saved of it had stayed."""
        table = {f"{topic}@{GROUP}": dict.fromkeys(range(QUEUES_PER_TOPIC), ahead) for topic in self.topics}
        with open(os.path.join(self.data, "config", "consumerOffset.json"), "w") as file:
            json.dump({"offsetTable": table}, file)

    def was_set_back(self):
        said = f"{len(self.places)} offsets of consumer groups were ahead"
        check(said in self.node.logged(), f"not in the log: {said}")
        for topic, queue in self.dice.sample(self.places, min(500, len(self.places))):
            at, end = self.client.committed(topic, queue), self.client.end_of(topic, queue)
            check(at == end, f"{topic} {queue}: the group is at {at}, the queue ends at {end}")

    def step(self, what, active=0, limited=True):
        """Starts and compares; a line. So many queues were in use when it was killed."""
        limit = (AFTER_KILL if active else AFTER_STOP) + PER_QUEUE_THERE * len(self.places) + PER_QUEUE_USED * active
        begun = time.monotonic()
        self.start(300)
        ready, worked = time.monotonic() - begun, self.worked()
        memory = self.looked_at(active)
        found, queues = self.compared(), min(SAMPLE, len(self.places))
        check(self.metric("blockhouse_store_refuses_sends") == 0, "sends are refused")
        print(f"  {what}: ready after {ready:.2f} s and {worked:.2f} s of work (at most {limit:.2f}), {memory}, {found} messages of {queues} "
              "queues compared", flush=True)
        check(worked < limit or not limited, f"{what} the start takes {worked:.2f} s of work, at most {limit:.2f} are allowed")

    def used(self, places):
        """Messages to these queues, and then kill -9."""
        before = self.anonymous()
        self.send(places)
        print(f"  {len(places)} queues used: {before / 1024:.1f} MiB anonymous before, {self.looked_at(len(places))}", flush=True)
        self.node.kill()


def play(binary, work, topics):
    seed = int(time.time())
    stage = Many(binary, work, topics, seed)
    print(f"  {len(stage.places)} queues in {topics} topics, {DESCRIPTORS} descriptors (soft and hard), seed {seed}", flush=True)
    try:
        stage.start()
        stage.empty, begun = stage.anonymous(), time.monotonic()
        stage.create()
        created = time.monotonic() - begun
        stage.send(stage.places)
        stage.send(stage.dice.sample(stage.places, len(stage.places) // 2))
        sent = time.monotonic() - begun - created
        print(f"  {stage.empty / 1024:.1f} MiB anonymous when empty; topics made in {created:.1f} s, {stage.ledger.count} messages sent in "
              f"{sent:.1f} s", flush=True)
        stage.compared()
        print(f"  on disk {stage.written_behind():.1f} s later, {stage.looked_at(len(stage.places))}", flush=True)
        stage.stopped()
        stage.raise_progress(1000)
        stage.step("after a stop, with the group ahead in every queue")
        check(stage.took_table(), "the start did not come from the table of queues")
        stage.was_set_back()
        few = stage.dice.sample(stage.places, len(stage.places) // FEW)
        stage.used(few)
        stage.step("after kill -9, few queues in use", len(few))
        check(stage.took_table(), "the start after kill -9 did not come from the table of queues")
        # All of them this time: every queue goes on where it ended.
        stage.used(stage.places)
        stage.step("after kill -9, all queues in use", len(stage.places))
        stage.written_behind()
        stage.stopped()
        shutil.rmtree(os.path.join(stage.data, "consumequeue"))
        os.remove(os.path.join(stage.data, "blockhouse", "queues"))
        stage.step("after a full replay", len(stage.places), limited=False)
        check(not stage.took_table(), "the start took a table that is not there")
        stage.send(stage.dice.sample(stage.places, min(1000, len(stage.places))))
        stage.written_behind()
        stage.stopped()
        stage.step("after a stop again")
        return (f"{stage.ledger.count} messages in {len(stage.places)} queues, at most {stage.most_files} descriptors and "
                f"{stage.most_maps} maps")
    finally:
        stage.end()


def scenes(full):
    topics = 12_500 if full else 1_250
    return {f"{topics * QUEUES_PER_TOPIC:,} queues": lambda binary, work: play(binary, work, topics)}
