"""Pages of the CommitLog that the device does not give back.

The log is on a loop device of its own; its oldest file lies at the device's end. When the broker has served it, that file
is taken out of memory (from the broker's maps as well), and the device is made smaller: what lies behind its new end
answers EIO, as a bad sector does. Later it gets its old size, and gives the same bytes again.
"""

import contextlib
import ctypes
import fcntl
import os
import re
import shutil
import struct

from disk import MIB, SmallDisk, Unable, run, why_not
from node import check, records, until
from official import users
from scene import Stage

TOPIC, QUEUES, COLD = "pages", 4, "cold"
SEGMENT, DISK = 8 * MIB, 96 * MIB
LOOP_SET_STATUS64, LOOP_GET_STATUS64 = 0x4C04, 0x4C05
PROCESS_MADVISE, MADV_PAGEOUT = 440, 21
FAILS = "the store could not read"


class Device(SmallDisk):
    """Blocks of 4 KiB; it can be made smaller while it is mounted."""

    def __init__(self, work, name):
        super().__init__(work, name, DISK // MIB)
        self.unmount()
        run("mkfs.ext4", "-q", "-F", "-b", "4096", "-m", "0", "-E", "lazy_itable_init=0,nodiscard", self.image)
        self.mount()

    def resize(self, size):
        """The device ends at `size` bytes; 0: where its image ends."""
        with open(f"/dev/{self.device()}", "rb") as device:
            info = bytearray(232)
            fcntl.ioctl(device, LOOP_GET_STATUS64, info)
            info[32:40] = struct.pack("=Q", size)  # lo_sizelimit
            fcntl.ioctl(device, LOOP_SET_STATUS64, bytes(info))

    def leave_only_the_end(self):
        """Takes all room but for little more than a file at the device's end; by which files."""
        fillers = []
        while True:
            path = os.path.join(self.path, f"filler-{len(fillers)}")
            with open(path, "wb") as file:
                try:
                    os.posix_fallocate(file.fileno(), 0, SEGMENT)
                except OSError:
                    os.remove(path)
                    break
            fillers.append(path)
        last = max(fillers, key=blocks)
        os.remove(last)
        os.sync()
        return [filler for filler in fillers if filler != last]


def blocks(path):
    """The first and the last block of a file on its device."""
    extents = re.findall(r"^ *\d+: +\d+\.\. +\d+: +(\d+)\.\. +(\d+):", run("filefrag", "-v", path), re.MULTILINE)
    return min(int(first) for first, _ in extents), max(int(last) for _, last in extents)


def evict(pid, path):
    """Takes a file out of memory: the pages that a process maps, then the rest. Asks for it until nothing is left."""
    libc, handle = ctypes.CDLL(None, use_errno=True), os.pidfd_open(pid)
    try:
        with open(f"/proc/{pid}/maps") as maps:
            ranges = [line.split()[0].split("-") for line in maps if line.rstrip().endswith(path)]
        for begin, end in ranges:
            vector = struct.pack("=QQ", int(begin, 16), int(end, 16) - int(begin, 16))
            if libc.syscall(PROCESS_MADVISE, handle, vector, 1, MADV_PAGEOUT, 0) < 0:
                raise Unable(f"process_madvise: {os.strerror(ctypes.get_errno())}")
    finally:
        os.close(handle)
    with open(path, "rb") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    return len(ranges)


def in_memory(path):
    return int(run("fincore", "--bytes", "--noheadings", "--output", "RES", path).strip())


def begin(binary, work):
    missing = [command for command in ("fincore", "filefrag") if not shutil.which(command)]
    if reason := why_not(work) or (missing and f"no {' and no '.join(missing)} (packages util-linux-extra, e2fsprogs)"):
        raise Unable(reason)
    device = Device(work, "device")
    stage = Stage(binary, work, **{"store.commit_log_dir": os.path.join(device.path, "commitlog")})
    stage.device = device
    return stage


def written(stage, early=lambda: None):
    """The oldest file of the log at the device's end, full of messages of one topic, and of what `early` adds; others behind it."""
    fillers = stage.device.leave_only_the_end()
    stage.start()
    stage.client.create_topic(COLD, QUEUES)
    stage.client.create_topic(TOPIC, QUEUES)
    stage.client.create_group()
    stage.fill(COLD, QUEUES, 10)
    early()
    for filler in fillers:
        os.remove(filler)
    os.sync()
    while stage.ledger.log_end() < SEGMENT:
        stage.fill(COLD, QUEUES, 20, 4096)
    stage.fill(TOPIC, QUEUES, 800, 4096)
    logs = os.path.join(stage.device.path, "commitlog")
    names = sorted(os.listdir(logs))
    check(len(names) > 2, f"only {names}")
    oldest = os.path.join(logs, names[0])
    cut = blocks(oldest)[0]
    if any(blocks(os.path.join(logs, name))[1] >= cut for name in names[1:]):
        raise Unable("the filesystem put a newer file behind the oldest")
    stage.healthy()
    return oldest, cut * 4096


def pulled(stage, topic, queue, offset):
    """The answer once the broker has looked on the disk."""
    def answer():
        answer = stage.client.pull(topic, queue, offset)
        return answer if answer.code not in (19, 20) else None
    return until("an answer", answer)


def lose(stage, oldest, end):
    """The device gives no more of the oldest file; how many maps of it the broker had."""
    check(in_memory(oldest) > 0, "the oldest file was not in memory")
    maps = evict(stage.node.process.pid, oldest)
    until("the oldest file is out of memory", lambda: evict(stage.node.process.pid, oldest) and in_memory(oldest) == 0)
    stage.device.resize(end)
    return maps


def play(binary, work):
    stage = begin(binary, work)
    try:
        oldest, end = written(stage)
        everything = stage.intact()
        maps = lose(stage, oldest, end)
        try:
            failed = 0
            for queue in range(QUEUES):
                for offset in (0, 5, 9, 100):
                    answer = pulled(stage, COLD, queue, offset)
                    stage.node.alive()
                    check(answer.code == 1 and FAILS in (answer.remark or ""), f"{COLD} {queue} {offset}: {answer.code} {answer.remark}")
                    failed += 1
            check("cannot read the log at" in stage.node.logged(), "not in the log")
            # Everything else goes on, sends included.
            found = stage.ledger.part([place for place in stage.ledger.acked if place[0] == TOPIC]).verify(stage.client)
            stage.fill(TOPIC, QUEUES, 20)
            stage.fill(COLD, QUEUES, 20)
            for queue in range(QUEUES):
                check(pulled(stage, COLD, queue, stage.client.end_of(COLD, queue) - 20).code == 0, "the newest of the queue")
            check(stage.node.http("/readyz")[0] == 200, f"/readyz: {stage.node.http('/readyz')}")
            health = stage.node.http("/healthz")
            stage.node.alive()
        finally:
            stage.device.resize(0)
        after = stage.intact()
        check(after == everything + 40 * QUEUES, f"{after} found, {everything} and {40 * QUEUES} were sent")
        stage.healthy()
        stage.again(kill=True)
        return (f"{maps} maps of the lost file, {failed} pulls failed, {found} messages read meanwhile, {after} after the device gave its "
                f"blocks again; /healthz meanwhile: {health}")
    finally:
        stage.end()
        stage.device.remove()


def first_of(stage, topic, number):
    """Where in the log the first message of a queue is."""
    answer = pulled(stage, topic, number, 0)
    check(answer.code == 0, f"{topic} {number}: {answer.code} {answer.remark}")
    return records.decode_all(answer.body)[0]["physicalOffset"]


def asked(stage, places):
    """How often a read at each of these places of the log failed."""
    logged = stage.node.logged()
    return [logged.count(f"cannot read the log at {place}:") for place in places]


def official_clients(binary, work):
    """A pull of what is lost throws, with code and remark. A group that begins meanwhile waits for it and passes over nothing; one that
    is at the end goes on."""
    stage, there = begin(binary, work), []
    with contextlib.ExitStack() as stack:
        stack.callback(stage.device.remove)
        stack.callback(stage.end)
        oldest, end = written(stage, lambda: there.extend(stack.enter_context(users(stage))))
        firsts = {user: [first_of(stage, user.topic, number) for number in range(QUEUES)] for user in there}
        lose(stage, oldest, end)
        try:
            for user in there:
                said = user.fails("read")
                check(f"MQBrokerException: CODE: 1  DESC: {FAILS}: the disk fails" in said, f"{user.label}: {said}")
            before = {user: asked(stage, firsts[user]) for user in there}
            for user in there:
                user.ask("consume", "B", 0)
            for user in there:
                # Its own messages, and in each of its queues: the other one asks for others.
                until(lambda user=user: f"{user.label} asks for it: {before[user]}, {asked(stage, firsts[user])}",
                      lambda user=user: all(now > was for now, was in zip(asked(stage, firsts[user]), before[user])), 60)
                user.sends()
                user.had("A")
                check((found := user.ask("consumed", "B"))["had"] == 0, f"{user.label}: {found}")
        finally:
            stage.device.resize(0)
        after = sum(user.has_all("A", "B") for user in there)
        stage.healthy()
        return f"{after} read when the device gave its blocks again"


SCENES = {"pages that the device does not give": play, "pages that the device does not give official clients": official_clients}
