"""Directories that are refused as they are, and the way on that the refusal names: it costs no users, messages, offsets, audit log.

There is one layout so far, so a newer program is played: its stamp, and small files of its own that ours cannot read.
"""

import hashlib
import json
import os
import re
import shutil
import struct
import zlib

from node import GROUP, Client, Connection, Wrong, check, loose_json
from scene import Stage
from signing import signed

TOPIC, QUEUES = "kept", 4
NO_PERMISSION, CREATE_USER = 16, 3001
STAMP, NEWER = "blockhouse/version", "layout 2\nwritten by 99.0.0\n"


class Signed(Connection):
    """One whose requests are signed."""

    def __init__(self, address, timeout, name, secret):
        super().__init__(address, timeout)
        self.name, self.secret = name, secret

    def numbered(self, frame):
        frame.ext = signed(frame.ext, frame.body, self.name, self.secret)
        return super().numbered(frame)


class User:
    def __init__(self, name, secret=None):
        self.name, self.secret = name, secret or f"downgrade-{name}-secret"

    def connect(self, address, timeout=15):
        return Signed(address, timeout, self.name, self.secret)


class Guarded(Stage):
    """A node with users and an audit log; `load`, who sends, is known to the data directory only."""

    def __init__(self, binary, work):
        self.admin, self.load = User("admin"), User("load")
        pair = os.path.join(work, "admin.pair")
        with open(os.open(pair, os.O_CREAT | os.O_WRONLY, 0o600), "w") as file:
            file.write(f"admin:{self.admin.secret}\n")
        super().__init__(binary, work, **{"authn.enabled": "true", "authn.key_file": os.path.join(work, "users.key"),
                                          "authn.initial_user_file": pair, "audit.enabled": "true"})

    def start(self, seconds=60):
        self.node.start(seconds)
        self.client = Client(self.node, self.ledger, self.load)
        return self

    def begin(self):
        self.start()
        user = {"username": "load", "userType": "Normal", "userStatus": "enable", "password": self.load.secret}
        answer = self.admin.connect(self.node.broker).call(CREATE_USER, {"username": "load"}, json.dumps(user).encode())
        check(answer.code == 0, f"no user: {answer.code} {answer.remark}")
        admin = Client(self.node, self.ledger, self.admin)
        admin.create_topic(TOPIC, QUEUES)
        admin.create_group()
        self.fill(TOPIC, QUEUES, 150)
        self.log = self.audit_key()
        return self

    def commit(self, offset):
        for queue in range(QUEUES):
            self.client.commit(TOPIC, queue, offset + queue)

    def audit_key(self):
        with open(os.path.join(self.data, "blockhouse/audit/key.pub")) as file:
            return file.read()

    def users_there(self):
        """Who was known is, who was not is not."""
        self.client.end_of(TOPIC, 0)
        impostor = User("load", "what-load-does-not-have").connect(self.node.broker)
        answer = impostor.call(30, {"topic": TOPIC, "queueId": 0})
        check(answer.code == NO_PERMISSION, f"a wrong secret: {answer.code} {answer.remark}")
        check(self.audit_key() == self.log, "another audit log")

    def refused(self):
        """A start ends with 1 and changes nothing; what it says."""
        before = tree(self.data)
        try:
            self.start()
        except Wrong as error:
            check("exit code 1:" in str(error), str(error))
        else:
            raise Wrong("it started")
        after = tree(self.data)
        changed = sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name))
        check(not changed, f"the refused start changed {changed}")
        return self.node.logged()


def tree(directory):
    """Every directory, and every file by its mode, length and contents."""
    found = {}
    for at, _, names in os.walk(directory):
        found[os.path.relpath(at, directory)] = os.stat(at).st_mode
        for name in names:
            path = os.path.join(at, name)
            with open(path, "rb") as file:
                contents = hashlib.sha256(file.read()).digest()
            found[os.path.relpath(path, directory)] = (os.stat(path).st_mode, os.path.getsize(path), contents)
    return found


def journal(data):
    """What consumerOffset.json and blockhouse/offsets.log, read as docs/storage-format.md draws it, say together: offsets by queue; and
    whether they belong together."""
    with open(os.path.join(data, "blockhouse/offsets.log"), "rb") as file:
        log = file.read()
    with open(os.path.join(data, "config/consumerOffset.json"), "rb") as file:
        text = file.read()
    digest = struct.pack("<QI", len(text), zlib.crc32(text))
    check(log[:8] == b"BHOFFS\0\2" and zlib.crc32(log[:32]) == int.from_bytes(log[32:36], "little"), f"a head of {log[:36].hex()}")
    table = loose_json.loads(text.decode())["offsetTable"].get(f"{TOPIC}@{GROUP}", {})
    continues, offsets, at = digest in (log[8:20], log[20:32]), {int(queue): offset for queue, offset in table.items()}, 36
    while at < len(log):
        length, crc = struct.unpack("<HI", log[at:at + 6])
        body = log[at + 6:at + 6 + length]
        check(zlib.crc32(body) == crc, f"no record at {at} of {len(log)}")
        continues |= body == b"\3" + digest
        if body[0] == 1:
            queue, offset, name = struct.unpack("<IQH", body[1:15])
            check((topic := body[15:15 + name].decode()) == TOPIC and body[15 + name:].decode() == GROUP, f"{topic} {body}")
            offsets[queue] = offset
        at += 6 + length
    return offsets, continues


def take_back(stage):
    """Does what the refusal of a newer layout says, to the letter; which files that were."""
    said = stage.refused()
    check("a newer version wrote this directory (layout 2, this one knows 1)" in said, said[-800:])
    sentence = said[said.index("The way down"):]
    names = re.findall(r"`([^`]+)`", sentence[:sentence.index(". All else")])
    check(STAMP in names, f"no files: {sentence!r}")
    # A kill may come before the others are made.
    there = [name for name in names if os.path.isfile(os.path.join(stage.data, name))]
    for name in there:
        os.remove(os.path.join(stage.data, name))
    return there


def back(stage, offset):
    stage.start()
    found = stage.intact()
    stage.users_there()
    committed = [stage.client.committed(TOPIC, queue) for queue in range(QUEUES)]
    check(committed == [offset + queue for queue in range(QUEUES)], f"committed offsets: {committed}")
    return found


def way_down(binary, work):
    stage = Guarded(binary, work).begin()
    try:
        stage.commit(100)
        stage.stop()
        with open(os.path.join(stage.data, STAMP), "w") as file:
            file.write(NEWER)
        for name in ("checkpoint", "queues", "flushed"):
            with open(os.path.join(stage.data, "blockhouse", name), "r+b") as file:
                file.seek(4)
                file.write((99).to_bytes(4, "big"))
        names = take_back(stage)
        check(len(names) == 4, f"only {names} of what a clean stop leaves")
        found = back(stage, 100)
        # The newer one was killed, against the advice: the newest commits are in the journal alone.
        stage.fill(TOPIC, QUEUES, 50)
        stage.commit(160)
        stage.node.kill()
        said = journal(stage.data)
        check(said == ({queue: 160 + queue for queue in range(QUEUES)}, True), f"the offsets after a kill: {said}")
        with open(os.path.join(stage.data, STAMP), "w") as file:
            file.write(NEWER)
        take_back(stage)
        after = back(stage, 160)
        stage.fill(TOPIC, QUEUES, 10)
        stage.again()
        return f"removed {', '.join(names)}; {found} messages after a stop, {after} after a kill, with users and offsets"
    finally:
        stage.end()


def unknown_stamp(binary, work):
    stage = Guarded(binary, work).begin()
    try:
        stage.stop()
        with open(os.path.join(stage.data, STAMP), "w") as file:
            file.write("plan 9\n")
        said = stage.refused()
        check("is no stamp of Blockhouse" in said, said[-800:])
        os.remove(os.path.join(stage.data, STAMP))
        stage.start()
        stage.users_there()
        return f"{stage.intact()} messages without the stamp"
    finally:
        stage.end()


def lost_log(binary, work):
    """Queues without a log: what the refusal says to remove is no more than has to go."""
    stage = Guarded(binary, work).begin()
    try:
        stage.stop()
        shutil.rmtree(os.path.join(stage.data, "commitlog"))
        try:
            stage.start()
        except Wrong as error:
            check("exit code 1:" in str(error), str(error))
        said = stage.node.logged()
        told = re.search(r"if it is lost, remove (.*) to begin anew", said)
        check(told, said[-800:])
        names = re.findall(r"`([^`]+)`", told[1])
        check(names, told[0])
        for name in names:
            shutil.rmtree(os.path.join(stage.data, name))
        stage.ledger.forget(TOPIC)
        stage.start()
        stage.users_there()
        check((end := stage.client.end_of(TOPIC, 0)) == 0, f"the queue ends at {end}")
        stage.fill(TOPIC, QUEUES, 20)
        return f"removed {', '.join(names)}; {stage.again(kill=True)} messages since"
    finally:
        stage.end()


SCENES = {"a newer layout, and the way down": way_down, "a stamp that is none": unknown_stamp, "queues without a log": lost_log}
