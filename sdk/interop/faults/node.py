"""One `blockhouse standalone` under test, and what was acknowledged by it.

The ledger knows topic, queue, offset, id and body of every message that was answered with success, so that after
each fault and each restart the whole store can be compared with it.
"""

import hashlib
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "../wire"))
sys.path.append(os.path.join(HERE, ".."))
import loose_json  # for those who import this module
import records
from disk import Unable
from harness.ending import unwind_on_sigterm, work_directory  # for those who import this module
from harness.tools import Missing
from remoting import Closed, Connection, Frame, Timeout

SUCCESS = 0
GROUP = "faults"


class Wrong(Exception):
    """The server did what it must not do."""


def check(fine, text):
    if not fine:
        raise Wrong(text)


def body_of(uid, size):
    """The body that belongs to an id: nothing else may ever be found under it."""
    seed = hashlib.sha256(uid.encode()).hexdigest().encode()
    return (uid.encode() + b":" + seed * (size // len(seed) + 1))[:max(size, len(uid) + 1)]


class Node:
    """The process: its data directory, its addresses, its log."""

    def __init__(self, binary, data, work, settings, prefix=(), options=(), role="standalone"):
        self.binary, self.data, self.work, self.role = binary, data, work, role
        self.settings, self.prefix, self.options = dict(settings), list(prefix), list(options)
        self.process, self.namesrv, self.broker, self.ops, self.runs = None, None, None, None, 0
        self.admin = None  # who asks the ops listener of a secured node
        self.namesrv_listen = self.broker_listen = self.ops_listen = "0"

    def start(self, seconds=30, **more):
        """Starts it and waits for `ready`; Wrong with its last words if it ends instead."""
        self.runs += 1
        self.out = os.path.join(self.work, f"{self.runs}.out")
        self.log = os.path.join(self.work, f"{self.runs}.log")
        listen = {"namesrv": ["--namesrv-listen", self.namesrv_listen], "broker": ["--broker-listen", self.broker_listen]}
        listens = [word for role, words in listen.items() if self.role in (role, "standalone") for word in words]
        command = [*self.prefix, self.binary, self.role, "--data", self.data, *listens, "--ops-listen", self.ops_listen, "--log", "info",
                   *self.options]
        for key, value in (self.settings | more).items():
            command += ["--set", f"{key}={value}"]
        with open(self.out, "w") as out, open(self.log, "w") as log:
            self.process = subprocess.Popen(command, stdout=out, stderr=log, stdin=subprocess.DEVNULL)
        deadline = time.monotonic() + seconds
        while "ready" not in (said := self.said()):
            code = self.process.poll()
            check(code is None, f"did not start, exit code {code}: {self.logged()[-600:]}")
            check(time.monotonic() < deadline, f"not ready after {seconds} s")
            time.sleep(0.02)
        address = {line.split()[0]: line.split()[-1] for line in said if "listening on" in line}
        # Who it only asks is left to whoever started it.
        self.namesrv, self.broker = address.get("namesrv", self.namesrv), address.get("broker")
        self.ops = address["ops"]
        return self

    def said(self):
        with open(self.out) as out:
            return out.read().splitlines()

    def logged(self):
        with open(self.log, errors="replace") as log:
            return log.read()

    def alive(self):
        check(self.process.poll() is None, f"the process ended with {self.process.returncode}: {self.logged()[-600:]}")

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self, seconds=10):
        """SIGTERM; the exit code."""
        self.process.terminate()
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            raise Wrong(f"still there {seconds} s after SIGTERM") from None

    def end(self):
        if self.process is not None and self.process.poll() is None:
            self.kill()

    def http(self, path):
        """Status and text of the ops listener's answer."""
        try:
            with self.admin.open(self.ops, path) if self.admin else urllib.request.urlopen(f"http://{self.ops}{path}", timeout=10) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as answer:
            return answer.code, answer.read().decode()

    def metric(self, name, label=""):
        """The value of a metric, of the sample that has the label."""
        lines = self.http("/metrics")[1].splitlines()
        found = [line for line in lines if line.startswith(name + "{") and label in line]
        check(len(found) == 1, f"{name} {label}: {found}")
        return float(found[0].rsplit(" ", 1)[1])


class Client:
    """One connection that sends and pulls; every success goes into the ledger."""

    def __init__(self, node, ledger, user=None):
        """`user` is who signs, over TLS, at a secured node."""
        self.connection, self.ledger = user.connect(node.broker, 15) if user else Connection(node.broker, 15), ledger

    def close(self):
        self.connection.close()

    def create_topic(self, topic, queues):
        ext = dict(topic=topic, defaultTopic="TBW102", readQueueNums=queues, writeQueueNums=queues, perm=6,
                   topicFilterType="SINGLE_TAG", topicSysFlag=0, order="false")
        answer = self.connection.call(17, ext)
        check(answer.code == SUCCESS, f"create topic: {answer}")

    def create_group(self):
        answer = self.connection.call(200, {}, b'{"groupName":"%s","consumeEnable":true}' % GROUP.encode())
        check(answer.code == SUCCESS, f"create group: {answer}")

    def frame(self, topic, queue, uid, size, **properties):
        ext = dict(a="faults_p", b=topic, c="TBW102", d=4, e=queue, f=0, g=1_700_000_000_000, h=0, j=0, k="false", m="false",
                   i=records.format_properties({"UNIQ_KEY": uid, "KEYS": uid} | properties))
        return Frame(310, ext, body_of(uid, size))

    def send(self, topic, queue, size=1024, **properties):
        """Sends one message: its answer, which knows the message's id."""
        uid = self.ledger.new_id(size)
        answer = self.connection.call(310, (frame := self.frame(topic, queue, uid, size, **properties)).ext, frame.body)
        answer.uid = uid
        if answer.code == SUCCESS:
            self.ledger.add(topic, uid, answer.ext)
        return answer

    def send_burst(self, topic, queue, count, size):
        """Sends several with one write; how many were stored."""
        sent, data = {}, b""
        for _ in range(count):
            frame = self.frame(topic, queue, uid := self.ledger.new_id(size), size)
            data += self.connection.numbered(frame)
            sent[frame.opaque] = uid
        self.connection.raw(data)
        stored = 0
        while sent:
            answer = self.connection.next()
            uid = sent.pop(answer.opaque)
            if answer.code == SUCCESS:
                self.ledger.add(topic, uid, answer.ext)
                stored += 1
        return stored

    def pull(self, topic, queue, offset):
        ext = dict(consumerGroup=GROUP, topic=topic, queueId=queue, queueOffset=offset, maxMsgNums=32, sysFlag=4, commitOffset=0,
                   suspendTimeoutMillis=0, subscription="*", subVersion=0, expressionType="TAG")
        return self.connection.call(11, ext)

    def end_of(self, topic, queue):
        return int(self.connection.call(30, {"topic": topic, "queueId": queue}).ext["offset"])

    def commit(self, topic, queue, offset):
        ext = dict(consumerGroup=GROUP, topic=topic, queueId=queue, commitOffset=offset)
        check(self.connection.call(15, ext).code == SUCCESS, "commit")

    def committed(self, topic, queue):
        answer = self.connection.call(14, dict(consumerGroup=GROUP, topic=topic, queueId=queue))
        return int(answer.ext["offset"]) if answer.code == SUCCESS else None


class Ledger:
    """What was sent, and what of it was acknowledged."""

    def __init__(self):
        self.lock = threading.Lock()
        self.sent = {}      # id -> size of the body
        self.acked = {}     # (topic, queue) -> {offset: (id, message id)}
        self.count = 0

    def new_id(self, size):
        with self.lock:
            uid = f"m{len(self.sent):09d}"
            self.sent[uid] = size
            return uid

    def add(self, topic, uid, ext):
        place, offset = (topic, int(ext["queueId"])), int(ext["queueOffset"])
        with self.lock:
            before = self.acked.setdefault(place, {}).setdefault(offset, (uid, ext["msgId"]))
            check(before[0] == uid, f"{place} {offset} was given to {before[0]} and to {uid}")
            self.count += 1

    def verify(self, client):
        """Reads everything: all that was acknowledged is there, offsets are dense, no id comes twice; how many messages."""
        places = {}
        for (topic, queue), acked in sorted(self.acked.items()):
            end = client.end_of(topic, queue)
            check(end > max(acked), f"{topic} {queue} ends at {end}, {max(acked)} was acknowledged")
            for offset, record in enumerate(self._read(client, topic, queue, end)):
                self._compare(record, offset, acked.get(offset), f"{topic} {queue} {offset}")
                uid = record["properties"]["UNIQ_KEY"]
                check(uid not in places, f"{uid} is at {places.get(uid)} and at {topic} {queue} {offset}")
                places[uid] = (topic, queue, offset)
        return len(places)

    def _read(self, client, topic, queue, end):
        offset, deadline = 0, time.monotonic() + 60
        while offset < end:
            answer = client.pull(topic, queue, offset)
            if answer.code in (20, 19):  # what is not in memory is being read
                check(time.monotonic() < deadline, f"{topic} {queue} {offset}: {answer.code} {answer.remark}")
                time.sleep(0.005)
                continue
            check(answer.code == SUCCESS, f"pull {topic} {queue} {offset} of {end}: {answer.code} {answer.remark}")
            for record in records.decode_all(answer.body):
                check(record["queueOffset"] == offset, f"{topic} {queue}: {record['queueOffset']} comes after {offset - 1}")
                yield record
                offset += 1

    def _compare(self, record, offset, acked, where):
        uid = record["properties"].get("UNIQ_KEY")
        check(uid in self.sent, f"{where}: nobody sent {uid}")
        check(record["body"].encode("latin1") == body_of(uid, self.sent[uid]), f"{where}: not the body of {uid}")
        if acked is not None:
            check(uid == acked[0], f"{where}: {uid} instead of {acked[0]}")
            check(record["physicalOffset"] == int(acked[1][-16:], 16), f"{where}: not where its message id says")


def until(what, fine, seconds=15.0):
    """Waits until `fine()` gives something true, and gives it. `what` may be asked for when that does not come."""
    deadline = time.monotonic() + seconds
    while not (found := fine()):
        if time.monotonic() > deadline:
            raise Wrong(f"not within {seconds} s: {what() if callable(what) else what}")
        time.sleep(0.02)
    return found


def program(chosen):
    """Our binary: the one asked for, else the release build, else the debug build."""
    root = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../..")
    target = os.environ.get("CARGO_TARGET_DIR", os.path.join(root, "target"))
    for path in [chosen] if chosen else [os.path.join(target, profile, "blockhouse") for profile in ("release", "debug")]:
        if os.path.isfile(path):
            return os.path.abspath(path)
    sys.exit("there is no binary: cargo build --release")


class Count:
    """A line per test, and the counts at the end."""

    def __init__(self):
        self.passed = self.failed = 0

    def run(self, name, test):
        begun = time.monotonic()
        try:
            fine, what = True, test()
        except (Unable, Missing):
            raise
        except Exception as error:  # pylint: disable=broad-except
            fine, what = False, f"{type(error).__name__}: {error}"
        self.passed, self.failed = self.passed + fine, self.failed + (not fine)
        print(f"{'ok  ' if fine else 'FAIL'} {name}: {what} ({time.monotonic() - begun:.1f} s)", flush=True)
        return fine

    def end(self):
        print(f"{self.passed} passed, {self.failed} failed")
        return 1 if self.failed or not self.passed else 0
