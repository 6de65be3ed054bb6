"""Old messages go by command, at the hour, and when the disk fills; what points to them goes with them, what is younger stays."""

import os
import struct
import time

from disk import SmallDisk, Unable, why_not
from node import Wrong, body_of, check, until
from scene import TINY, Stage, by_key, served

TOPIC, OTHER, QUEUES = "aging", "bystander", 4
MIN_OFFSET, CLEAN_EXPIRED_QUEUES, DELETE_EXPIRED_LOG = 31, 306, 329
PULL_OFFSET_MOVED = 21
UNIT, PER_FILE = 20, TINY["store.queue_file_entries"]
# Retention looks every 10 s, and takes ten files at most each time.
LOOKS = 12


def hour(ahead=0):
    """An hour of the day in UTC, as `delete_when` names it."""
    return f"{(time.gmtime().tm_hour + ahead) % 24:02}"


class Aging(Stage):
    """Messages in several files of each kind. All are expired at once, but for the newest file, unless it is said otherwise."""

    def __init__(self, binary, work, data=None, **settings):
        quiet = {"store.file_reserved_hours": 0, "store.delete_when": hour(12), "flight.enabled": "false"}
        super().__init__(binary, work, data, **TINY | quiet | settings)

    def begin(self):
        self.start()
        self.client.create_topic(OTHER, 1)
        self.client.create_topic(TOPIC, QUEUES)
        self.client.create_group()
        self.fill(OTHER, 1, 5)
        self.more(8)
        return self

    def more(self, rounds):
        for _ in range(rounds):
            self.fill(TOPIC, QUEUES, 25)

    def names(self, *below):
        directory = os.path.join(self.data, *below)
        return sorted(os.listdir(directory)) if os.path.isdir(directory) else []

    def counts(self):
        """How many files the log, a queue and the index have."""
        return [len(self.names(*below)) for below in (("commitlog",), ("consumequeue", TOPIC, "0"), ("index",))]

    def log_begin(self):
        return int(self.names("commitlog")[0])

    def admin(self, code):
        answer = self.client.connection.call(code)
        check(answer.code == 0, f"request {code}: {answer.code} {answer.remark}")

    def min_of(self, topic, queue):
        return int(self.client.connection.call(MIN_OFFSET, {"topic": topic, "queueId": queue}).ext["offset"])

    def kept(self):
        """What lies in files of the log that are there is served and found by key, what does not is not; how many of both."""
        self.node.alive()
        begin, counts = self.log_begin(), [0, 0]
        for (topic, queue), acked in sorted(self.ledger.acked.items()):
            old = [offset for offset, (_, message) in acked.items() if int(message[-16:], 16) < begin]
            young = {offset: body_of(uid, self.ledger.sent[uid]) for offset, (uid, _) in acked.items() if offset not in old}
            low, end = self.min_of(topic, queue), self.client.end_of(topic, queue)
            check(low == (max(old) + 1 if old else 0), f"{topic} {queue} begins at {low}, {old and max(old)} is gone")
            check(end == max(acked) + 1, f"{topic} {queue} ends at {end}, {max(acked)} was acknowledged")
            for offset in {0, low - 1} if low else ():
                answer = self.client.pull(topic, queue, offset)
                moved = (answer.code, int(answer.ext["nextBeginOffset"]), int(answer.ext["minOffset"]))
                check(moved == (PULL_OFFSET_MOVED, low, low), f"{topic} {queue} {offset}: {moved}, it begins at {low}")
            check(served(self.client, topic, queue, low, end) == young, f"{topic} {queue}: not what is left from {low} to {end}")
            for offset, (uid, _) in sorted(acked.items())[::9]:
                found = by_key(self.client, topic, uid)
                check(found == ([young[offset]] if offset in young else []), f"key {uid} of {topic} {queue} {offset}: {len(found)} found")
            self._no_old_queue_files(topic, queue, low)
            counts = [counts[0] + len(young), counts[1] + len(old)]
        self._no_old_index_files(begin)
        return counts

    def _no_old_queue_files(self, topic, queue, low):
        """But the last, files end behind the queue's beginning."""
        firsts = [int(name) // UNIT for name in self.names("consumequeue", topic, str(queue))]
        check(all(first + PER_FILE > low for first in firsts[:-1]), f"{topic} {queue} begins at {low}, and has files at {firsts}")

    def _no_old_index_files(self, begin):
        for name in self.names("index")[:-1]:
            with open(os.path.join(self.data, "index", name), "rb") as file:
                last = struct.unpack(">Q", file.read(32)[24:])[0]
            check(last >= begin, f"index/{name} ends at {last}, the log begins at {begin}")

    def restarts(self):
        """After a stop and after a kill all is as it was."""
        begin, counts = self.log_begin(), None
        for end in (self.stop, self.node.kill):
            end()
            self.start()
            check(self.log_begin() == begin, f"the log begins at {self.log_begin()}, it began at {begin}")
            counts = self.kept()
        return counts

    def stays(self, why):
        """Nothing goes at the next look."""
        begin, end = self.log_begin(), time.monotonic() + LOOKS

        def is_over():
            check(self.log_begin() == begin, f"files went though {why}")
            return time.monotonic() > end
        until("the time of a look is over", is_over, 2 * LOOKS)

    def goes(self, why):
        begin = self.log_begin()
        until(f"files go: {why}", lambda: self.log_begin() > begin, 3 * LOOKS)
        return self.settled()

    def settled(self):
        """Files of the log go one by one, and what points to them after that: what is kept in the end."""
        told = None

        def kept():
            nonlocal told
            try:
                return self.kept()
            except Wrong as error:
                told = error
                return None
        try:
            return until("what is kept is as it should be", kept, 20)
        except Wrong as error:
            raise told or error from error


def by_command(binary, work):
    stage = Aging(binary, work).begin()
    try:
        until("entries are written", lambda: len(stage.names("consumequeue", TOPIC, "0")) == 200 / PER_FILE)
        files = stage.counts()
        check(files[0] >= 4 and files[2] >= 3, f"too few files to tell: {files}")
        check(stage.kept()[1] == 0, "something has gone by itself")
        stage.admin(DELETE_EXPIRED_LOG)
        check(stage.log_begin() > 0, "no file of the log has gone")
        left = stage.counts()
        check(all(now < before for now, before in zip(left, files)), f"{files} files before, {left} after")
        young, old = stage.kept()
        check(young and old, f"{young} young, {old} old")
        # Whatever is expired has gone with the log, and more must not.
        stage.admin(CLEAN_EXPIRED_QUEUES)
        check(stage.counts() == left, f"306 left {stage.counts()} files of {left}")
        check(stage.kept() == [young, old], "306 changed what is there")
        stage.more(1)
        stage.restarts()
        stage.delete(TOPIC)
        check(stage.names("consumequeue") == [OTHER], f"after the deletion there are {stage.names('consumequeue')}")
        stage.fill(OTHER, 1, 5)
        stage.restarts()
        check(stage.names("consumequeue") == [OTHER], f"after restarts there are {stage.names('consumequeue')}")
        return f"{old} messages gone, {young} there; files of log, a queue, index: {files}, then {left}"
    finally:
        stage.end()


def at_the_hour(binary, work):
    stage = Aging(binary, work).begin()
    try:
        stage.stays("it is not the hour")
        stage.stop()
        # The next as well: the clock goes on.
        stage.node.settings["store.delete_when"] = f"{hour()};{hour(1)}"
        stage.start()
        young, old = stage.goes("it is the hour")
        stage.node.settings["store.delete_when"] = hour(12)
        stage.restarts()
        return f"{old} messages gone, {young} there"
    finally:
        stage.end()


def by_room(binary, work):
    """Beyond the first ratio what is expired goes at any hour, beyond the second what is not; the newest file stays."""
    if reason := why_not(work):
        raise Unable(reason)
    disk = SmallDisk(work, "disk", 64)
    ratios = {"store.disk_clean_percent": 60, "store.disk_force_clean_percent": 80, "store.disk_max_used_percent": 95}
    stage = Aging(binary, work, os.path.join(disk.path, "data"), **ratios)

    def use(percent):
        stat = os.statvfs(disk.path)
        disk.fill(leave=stat.f_blocks * stat.f_frsize * (100 - percent) // 100)

    try:
        stage.begin()
        stage.stays("there is room")
        use(70)
        _, expired = stage.goes("they are expired, and the disk is 70 % full")
        disk.make_room()
        stage.stop()
        stage.node.settings["store.file_reserved_hours"] = 72
        stage.start()
        stage.more(6)
        use(70)
        stage.stays("they are not expired, and the disk is 70 % full")
        use(85)
        young, old = stage.goes("the disk is 85 % full")
        check(young and old > expired, f"{expired} were gone, {old} are, {young} are there")
        check(stage.client.send(TOPIC, 0).code == 0, "a send was refused")
        disk.make_room()
        young, old = stage.restarts()
        return f"{expired} messages gone as expired, {old - expired} for room, {young} there"
    finally:
        stage.end()
        disk.remove()


SCENES = {"retention by command": by_command, "retention at the hour": at_the_hour, "retention by room": by_room}
