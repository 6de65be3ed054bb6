"""The same faults as an application meets them: official Java clients, unmodified, of the oldest and the newest version.

Each is a program that runs through the fault (`interop.Commanded`), with a producer, push consumers and a pull consumer; two of them share the
broker. What a producer throws, code and remark, is looked at for each way to send; consumers and pulls have all that was
acknowledged while the fault lasts, and afterwards the same programs go on.
"""

import contextlib
import json
import os
import queue
import re
import subprocess
import threading
import time
from pathlib import Path

from disk import MIB, Unable, run
from harness import tools
from harness.clients import RUNNING, JavaClient
from node import Wrong, check, until

VERSIONS = ("5.4.0", "4.9.8")
SERVICE_NOT_AVAILABLE = 14
# The exception of each way to send: where the producer chooses the queue it tries again, and tells of the last try.
WAYS = {"queue": "MQBrokerException", "sync": "MQClientException", "async": "MQBrokerException"}
FULL_LOG = "the disk is full: no CommitLog file can be made"
# By what the store calls them in its metrics.
BEHIND = {"consume_queue": "ConsumeQueues cannot be written", "index": "the index cannot be written"}
FULL_BEHIND = {f"the disk is full: {part}" for part in BEHIND.values()}
FAILED, STOPPED = "the store failed to write", "the store stopped after a failed write or sync"
NO_FILES = {f"too many open files: {part}" for part in ("no CommitLog file can be made", *BEHIND.values())}
# What a producer gets that asks for a damaged message: NO_MESSAGE.
LOST = {"key": "client 208", "offsetId": "client 208"}
# 4.9 waits 30 s for the answer to a pull whose connection is gone, as it is when a broker is killed or does not stop in time.
SECONDS = 60
# A broker that stops in time tells it before, and all go on long before that.
AFTER_A_STOP = 20


class User:
    """A program on one version of the official client."""

    def __init__(self, version, node, work):
        try:
            client = JavaClient(version)
        except tools.Missing as missing:
            raise Unable(str(missing)) from missing
        self.label, self.home = client.label, Path(work) / client.label
        self.process = client.start(node.namesrv, [node.broker], ["commanded"], self.home, stdin=subprocess.PIPE)
        self.lines, self.topic = queue.Queue(), None
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        for line in self.process.stdout:
            self.lines.put(line)
        self.lines.put(None)

    def answer(self):
        try:
            line = self.lines.get(timeout=120)
        except queue.Empty:
            line = None
        if line is None:
            raise Wrong(f"{self.label} says no more: {(self.home / 'stderr.txt').read_text(errors='replace')[-600:]}")
        return json.loads(line)

    def ask(self, *words):
        answer = self._tell(*words)
        check("error" not in answer, f"{self.label} {words}: {answer.get('error')}")
        return answer

    def fails(self, *words):
        """With which exception a command ends."""
        answer = self._tell(*words)
        check("error" in answer, f"{self.label} {words}: {answer}")
        return answer["error"]

    def _tell(self, *words):
        self.process.stdin.write(" ".join(map(str, words)) + "\n")
        self.process.stdin.flush()
        return self.answer()

    def remark(self, way, size):
        """Sends one: None if it is stored, else the remark with which it is refused; all else about the refusal must be right."""
        answer = self.ask("send", way, 1, size)
        if answer["stored"]:
            return None
        said = answer.get("refused", {})
        check((said.get("thrown"), said.get("code", SERVICE_NOT_AVAILABLE), said.get("brokerCode"))
              == (WAYS[way], SERVICE_NOT_AVAILABLE, SERVICE_NOT_AVAILABLE), f"{self.label} {way}: {answer}")
        return said["remark"]

    def refused(self, words, size=1024, before=()):
        """Sends until it is refused with one of these remarks, maybe with others `before`; then it is so with each way. How many were stored."""
        stored = 0

        def is_refused(way):
            nonlocal stored
            remark = self.remark(way, size)
            check(remark is None or remark in words or remark in before, f"{self.label} {way}: {remark}")
            stored += remark is None
            return remark in words
        for way in WAYS:
            until(f"{self.label} is refused, {way}", lambda way=way: is_refused(way), SECONDS)
        return stored

    def sends(self, each=20, size=1024):
        for way in WAYS:
            answer = self.ask("send", way, each, size)
            check(answer == {"stored": each}, f"{self.label} {way}: {answer}")

    def goes_on(self):
        """It may have to look for the broker first; then all is taken."""
        until(f"a send of {self.label} is taken", lambda: self.ask("send", "sync", 1, 1024)["stored"], SECONDS)
        self.sends()

    def judge(self, what, found, but, may):
        """All but these was had, where it was acknowledged, as it was sent, and nothing else but what was refused with these remarks."""
        where = f"{self.label} {what}"
        check(not found["wrong"] and not found["elsewhere"], f"{where}: wrong {found['wrong']}, elsewhere {found['elsewhere']}")
        check(found["missing"].keys() == set(but), f"{where}: missing {found['missing']}, and not just {sorted(but)}")
        more = {key: remark for key, remark in found["unacknowledged"].items() if remark not in may}
        check(not more, f"{where}: refused, and there: {more}")
        return found["had"]

    def had(self, group, but=(), may=(), again=False):
        """What a push consumer has had, once that is all; nothing came twice, unless it may `again`, since the broker was started again."""
        def is_all():
            found = self.ask("consumed", group)
            return found if found["missing"].keys() <= set(but) else None
        found = until(lambda: f"{self.label} consumes all: {self.ask('consumed', group)}", is_all, SECONDS)
        check(again or found["again"] == 0, f"{self.label} {group}: {found['again']} came again")
        return self.judge(group, found, but, may)

    def has_all(self, *groups, but=(), may=(), again=False):
        """Pushed, and pulled from the beginning; how many."""
        for group in groups:
            self.had(group, but, may, again)
        return self.judge("read", self.ask("read"), but, may)

    def end(self):
        RUNNING.discard(self.process)
        self.process.kill()
        self.process.wait()


@contextlib.contextmanager
def users(scene, consume=True):
    """One for each version, each with a topic of its own, some messages, and a push consumer A that has them."""
    there = []
    try:
        for version in VERSIONS:
            there.append(User(version, scene.node, scene.node.work))
        for user in there:
            begun = user.answer()
            check("topic" in begun, f"{user.label}: {begun}")
            user.topic = begun["topic"]
            if consume:
                user.ask("consume", "A", 0)
            user.sends()
            user.has_all(*["A"] * consume)
        yield there
    finally:
        for user in there:
            user.end()


def total(there, *groups, **more):
    return sum(user.has_all(*groups, **more) for user in there)


def official_full_log(make):
    """No room for the next CommitLog file. Consumers that fail meanwhile cannot send back: they keep the message, and try it again."""
    scene = make(stays=True)
    with users(scene) as there:
        scene.disk.fill(leave=2 * MIB)
        # Small ones as well fit no more.
        stored = sum(user.refused({FULL_LOG}, size=size) for size in (100_000, 1024) for user in there)
        scene.complains("commit_log", "the disk is full")
        for user in there:
            user.ask("consume", "B", 3)
        found = total(there, "A", "B")
        for user in there:
            check((failed := user.ask("consumed", "B")["failed"]) == 3, f"{failed} deliveries failed")
        scene.complains("commit_log", "the disk is full")
        scene.disk.make_room()
        for user in there:
            user.sends(each=40, size=100_000)
        after = total(there, "A", "B")
        scene.healthy()
        scene.intact()
        begun = time.monotonic()
        scene.restart(kill=False)
        for user in there:
            user.goes_on()
        total(there, "A", again=True)
        took = time.monotonic() - begun
        check(took < AFTER_A_STOP, f"all go on {took:.1f} s after a stop")
    return f"{stored} stored before, {found} read while full, {after} afterwards, all go on {took:.1f} s after a stop"


def official_full_behind(make):
    """No block left for ConsumeQueues or index, while the log has room."""
    scene = make(stays=True, **{"store.segment_size": 32 * MIB})
    with users(scene) as there:
        scene.disk.fill()
        stored = sum(user.refused(FULL_BEHIND) for user in there)
        remark = there[0].remark("queue", 1024)
        fault = next((fault for fault, part in BEHIND.items() if part in (remark or "")), None)
        check(fault, f"{there[0].label}: {remark}")
        scene.complains(fault, remark)
        found = total(there, "A")
        scene.disk.make_room()
        for user in there:
            user.goes_on()
        after = total(there, "A")
        scene.healthy()
    return f"{stored} stored before, {found} read while full ({fault}), {after} afterwards"


def settle(scene):
    """Waits until queues and index are written as far as the log goes: what fails next is the CommitLog. Else sends may be refused because of
    those, before one of them has tried the CommitLog."""
    scene.stored()
    last = max(int(message[-16:], 16) for acked in scene.ledger.acked.values() for _, message in acked.values())

    def is_applied():
        with open(os.path.join(scene.node.data, "blockhouse/checkpoint"), "rb") as file:
            head = file.read(16)
        return len(head) == 16 and int.from_bytes(head[8:], "big") > last
    until("a checkpoint has the last message", is_applied)


def official_read_only(make):
    """The filesystem goes read-only: reads go on; a repair and a restart of the broker, and the clients go on as well."""
    scene = make(stays=True, **{"store.flush": "sync"})
    with users(scene) as there:
        settle(scene)
        scene.disk.go_read_only()
        found, after = stops_and_goes_on(scene, there, "Read-only file system")
    return f"{found} read while read-only, {after} afterwards"


def official_broken_device(make):
    """The device answers EIO."""
    scene = make(host_mib=40, stays=True, **{"store.flush": "sync", "store.segment_size": 32 * MIB})
    with users(scene) as there:
        settle(scene)
        scene.disk.break_host()
        found, after = stops_and_goes_on(scene, there, "(os error ", size=100_000, mend=scene.disk.mend_host)
    return f"{found} read while broken, {after} afterwards"


def stops_and_goes_on(scene, there, words, size=1024, mend=lambda: None):
    """The store stops for good with the first write or sync that fails. That one message may be there afterwards."""
    for user in there:
        user.refused({STOPPED}, size, before={FAILED})
    scene.complains("poisoned", "a write or sync of the CommitLog failed", words, lasting=True)
    found = total(there, "A")
    code = scene.node.stop()
    check(code == 1, f"exit code {code}")
    mend()
    scene.disk.repair()
    scene.restart()
    for user in there:
        user.goes_on()
    return found, total(there, "A", may={FAILED}, again=True)


def open_queues(pid, there):
    """Of their topics, how many queues' files a process has open."""
    links = [os.readlink(link.path) for link in os.scandir(f"/proc/{pid}/fd")]
    return sum(f"/consumequeue/{user.topic}/" in link for user in there for link in links)


def official_descriptors(make):
    """No descriptor is left for what the store must open; what is open is read."""
    scene = make(stays=True)
    pid = scene.node.process.pid
    with users(scene) as there:
        until("the queues are open", lambda: open_queues(pid, there) == 4 * len(there))
        before = run("prlimit", f"--pid={pid}", "--nofile", "--output=SOFT", "--noheadings").strip()
        run("prlimit", f"--pid={pid}", "--nofile=8:")
        stored = sum(user.refused(NO_FILES, size=20_000) for user in there)
        found = total(there, "A")
        run("prlimit", f"--pid={pid}", f"--nofile={before}:")
        for user in there:
            until("a send is taken", lambda user=user: user.remark("queue", 20_000) is None)
            user.sends(each=40, size=20_000)
        after = total(there, "A")
        scene.healthy()
        code = scene.node.stop()
        check(code == 0, f"exit code {code}")
    return f"{stored} stored before, {found} read meanwhile, {after} afterwards"


def official_hanging_syncs(make):
    """Who waits for a sync that hangs gets FLUSH_DISK_TIMEOUT as the status of the result; reads go on, and what was late comes when it is over."""
    scene = make(hangs=True, stays=True, **{"store.flush": "sync", "store.sync_flush_timeout_ms": 1000})
    with users(scene) as there:
        scene.disk.freeze()
        try:
            for user in there:
                for way in WAYS:
                    answer = user.ask("send", way, 3, 1024)
                    check(answer == {"stored": 0, "status": "FLUSH_DISK_TIMEOUT"}, f"{user.label} {way}: {answer}")
            found = total(there, "A")
            for user in there:
                check(user.ask("consumed", "A")["late"] == user.ask("read")["late"] == 0, "what is not synced was delivered")
        finally:
            scene.disk.thaw()
        for user in there:
            user.goes_on()
            until("what was late is delivered", lambda user=user: user.ask("consumed", "A")["late"] == len(WAYS))
        after = total(there, "A")
    return f"{found} read meanwhile, {after} afterwards"


def harmed(user):
    """By id, queue and offset of some messages: a queue's first, two in its middle, one alone, a queue's last."""
    queues = {}
    for key, place in user.ask("acknowledged").items():
        number, offset = map(int, place.split("@"))
        queues.setdefault(number, {})[offset] = key
    last = max(queues[3])
    return {queues[number][offset]: (number, offset) for number, offset in ((0, 0), (1, 5), (1, 6), (2, 7), (3, last))}


def flip(data, key):
    """Changes a byte of the one stored body with this id."""
    hits = []
    for name in sorted(os.listdir(os.path.join(data, "commitlog"))):
        with open(os.path.join(data, "commitlog", name), "r+b") as file:
            log = file.read()
            for hit in re.finditer(re.escape(f"{key}:".encode()), log):
                file.seek(hit.start() + 500)
                file.write(bytes([log[hit.start() + 500] ^ 0x10]))
                hits.append(name)
    check(len(hits) == 1, f"{key} is in {hits}")


def official_damage(make):
    """Bytes of stored bodies change while the broker is down: nobody gets these messages, and everybody those around them, before a repair
    and after it."""
    scene = make(stays=True)
    with users(scene, consume=False) as there:
        gone = {user: harmed(user) for user in there}
        # Were it the log's last record, the start would be refused.
        scene.stored()
        code = scene.node.stop()
        check(code == 0, f"exit code {code}")
        for key in [key for keys in gone.values() for key in keys]:
            flip(scene.node.data, key)
        scene.restart()
        for user in there:
            user.ask("consume", "A", 0)
            user.goes_on()
        found = sum(user.has_all("A", but=gone[user], again=True) for user in there)
        told = set(re.findall(r"(\S+ \d+: message \d+) is passed over", scene.node.logged()))
        expected = {f"{user.topic} {number}: message {offset}" for user, keys in gone.items() for number, offset in keys.values()}
        check(told == expected, f"the log tells of {sorted(told)}, not of {sorted(expected)}")
        for user, keys in gone.items():
            for key in keys:
                check((found_now := user.ask("look", key)) == LOST, f"{user.label} {key}: {found_now}")
            for key in list(user.ask("acknowledged").keys() - keys)[:5]:
                check((found_now := user.ask("look", key)) == {"key": [key], "offsetId": [key]}, f"{user.label} {key}: {found_now}")
        code = scene.node.stop()
        check(code == 0, f"exit code {code}")
        run(scene.node.binary, "admin", "store", "repair", "--skip-damaged", "--yes", "--index-slots", "1000", "--data", scene.node.data)
        scene.restart()
        for user in there:
            user.goes_on()
            user.ask("consume", "B", 0)
        after = sum(user.has_all("A", "B", but=gone[user], again=True) for user in there)
        check("passed over" not in scene.node.logged(), "passed over, after the repair")
    return f"{found} read, {len(told)} passed over, {after} read after a repair"


CASES = [official_full_log, official_full_behind, official_read_only, official_broken_device, official_descriptors,
         official_hanging_syncs, official_damage]
