"""Bytes of a stopped store that change, at random places: a flipped bit, a zeroed page, a cut file.

Of each damage there are two copies. One is started: that is refused with the file and the byte, and nothing is changed; or what is served
is right, and the log names what is not. The other is checked, which finds the damage, and mended, after which everything is there
that the damage did not hit.
"""

import json
import os
import random
import re
import shutil
import struct
import subprocess
from collections import namedtuple

from downgrade import tree
from node import Client, Wrong, body_of, check, until
from scene import TINY, Stage, by_key, served

TOPIC, QUEUES, ROUNDS, LATER = "damage", 4, 10, 2
EACH = 15
# Only what damage does is to change anything; a checkpoint is made by a clean stop alone.
SETTINGS = TINY | {"store.checkpoint_interval_ms": 3_600_000, "flight.enabled": "false"}
WAYS, KINDS = ("flip", "zero", "cut"), ("commitlog", "consumequeue", "index", "checkpoint", "marks")
UNIT, PAGE, INDEX_HEAD = 20, 4096, 40
MAGIC, BLANK = 0xDAA320A7, 0xCBD43194
# Of a record, besides the body: what is wrong with any other value. The first bit of BODYCRC is not used.
COVERED = {*range(0, 8), *range(9, 12), *range(28, 36), *range(84, 88)}

Record = namedtuple("Record", "at size queue offset body")
# `hit`: the messages whose records it touches; `entries`: those whose entries it touches. `found`: a check must find it.
Harm = namedtuple("Harm", "file text hit entries found")
NOTHING = frozenset()


class Layout:
    """The files of a stopped store, as they are drawn in docs/storage-format.md."""

    def __init__(self, data):
        self.data, self.size = data, TINY["store.segment_size"]
        self.log = list(self._records())
        self.own = self.read("blockhouse/checkpoint")
        self.applied = struct.unpack(">Q", self.own[8:16])[0]
        self.physical = {(record.queue, record.offset): record.at for record in self.log}

    def read(self, name):
        with open(os.path.join(self.data, name), "rb") as file:
            return file.read()

    def files(self, below):
        for at, _, names in sorted(os.walk(os.path.join(self.data, below))):
            for name in sorted(names):
                yield os.path.relpath(os.path.join(at, name), self.data)

    def _records(self):
        for name in self.files("commitlog"):
            data, at = self.read(name), 0
            while at + 88 <= len(data) and (head := struct.unpack(">IIIiiQQ", data[at:at + 36]))[1] == MAGIC:
                body = struct.unpack(">I", data[at + 84:at + 88])[0]
                yield Record(int(os.path.basename(name)) + at, head[0], head[3], head[5], body)
                at += head[0]
            check(at + 8 > len(data) or struct.unpack(">I", data[at + 4:at + 8])[0] in (0, BLANK), f"no record at {at} of {name}")

    def hit(self, base, begin, end):
        """The messages of which bytes from `begin` to `end` of a file of the log are a part."""
        return frozenset((r.queue, r.offset) for r in self.log if r.at < base + end and base + begin < r.at + r.size)


def flip(path, at, bit):
    with open(path, "r+b") as file:
        file.seek(at)
        byte = file.read(1)[0]
        file.seek(at)
        file.write(bytes([byte ^ 1 << bit]))


def zero(path, begin, end):
    with open(path, "r+b") as file:
        file.seek(begin)
        file.write(bytes(end - begin))


def harm_bytes(path, way, dice, used, at=None):
    """Harms bytes of a file of which those before `used` matter; from where to where."""
    length = os.path.getsize(path)
    at = dice.randrange(used) if at is None else at
    if way == "flip":
        flip(path, at, dice.randrange(8))
        return at, at + 1
    if way == "zero":
        begin = at // PAGE * PAGE
        zero(path, begin, end := min(begin + PAGE, length))
        return begin, end
    os.truncate(path, at)
    return at, length


def harm_log(layout, data, way, dice, replayed):
    """Bytes that nothing covers are left alone in what the start reads again: it must believe them."""
    record = dice.choice(layout.log)
    inside = dice.randrange(record.size)
    covered = inside in COVERED or 88 <= inside < 88 + record.body
    while way == "flip" and not covered and replayed and record.at >= layout.applied:
        inside = dice.randrange(record.size)
        covered = inside in COVERED or 88 <= inside < 88 + record.body
    base = record.at // layout.size * layout.size
    name = f"commitlog/{base:020}"
    begin, end = harm_bytes(os.path.join(data, name), way, dice, 0, record.at - base + inside)
    return Harm(name, f"{begin} to {end}", layout.hit(base, begin, end), NOTHING, covered or way != "flip")


def harm_queue(layout, data, way, dice, replayed):
    name = dice.choice(list(layout.files("consumequeue")))
    contents, queue, first = layout.read(name), int(name.split("/")[2]), int(os.path.basename(name)) // UNIT
    used = sum(contents[at + 8:at + 12] != bytes(4) for at in range(0, len(contents), UNIT)) * UNIT
    begin, end = harm_bytes(os.path.join(data, name), way, dice, used)
    entries = frozenset((queue, first + n) for n in range(begin // UNIT, (min(end, used) + UNIT - 1) // UNIT))
    # What follows the checkpoint is written again by the next start: that it is not there is no damage.
    known = any(layout.physical[entry] < layout.applied for entry in entries)
    return Harm(name, f"{begin} to {end}", NOTHING, entries, known or not replayed or way == "cut")


def harm_index(layout, data, way, dice, _):
    name = dice.choice(list(layout.files("index")))
    entries = INDEX_HEAD + 4 * TINY["store.index_slots"]
    count = struct.unpack(">I", layout.read(name)[36:40])[0]
    number = dice.randrange(1, count)
    # Hash or position: seconds are no more than a help.
    begin, end = harm_bytes(os.path.join(data, name), way, dice, 0, entries + UNIT * number + dice.randrange(12))
    return Harm(name, f"{begin} to {end}", NOTHING, NOTHING, True)


def harm_times(layout, data, way, dice, _):
    path = os.path.join(data, "checkpoint")
    before = struct.unpack(">q", layout.read("checkpoint")[:8])[0]
    begin, end = harm_bytes(path, way, dice, 24)
    with open(path, "rb") as file:
        after = struct.unpack(">q", file.read(8).ljust(8, bytes(1)))[0]
    # An older time only makes a start read more.
    return Harm("checkpoint", f"{begin} to {end}", NOTHING, NOTHING, after > before or way == "cut")


def harm_marks(layout, data, way, dice, _):
    name = dice.choice(("blockhouse/checkpoint", "blockhouse/queues", "blockhouse/flushed"))
    begin, end = harm_bytes(os.path.join(data, name), way, dice, len(layout.read(name)))
    return Harm(name, f"{begin} to {end}", NOTHING, NOTHING, name.endswith("checkpoint"))


HARMS = dict(zip(KINDS, (harm_log, harm_queue, harm_index, harm_times, harm_marks)))


class Copy(Stage):
    """A copy of the directory, with the ledger of the original."""

    def __init__(self, binary, work, original):
        super().__init__(binary, work, os.path.join(work, "data"), **SETTINGS)
        shutil.rmtree(self.data, ignore_errors=True)
        shutil.copytree(original.data, self.data)
        self.book = original.ledger

    def start(self, seconds=60):
        self.node.start(seconds)
        self.client = Client(self.node, self.book)
        return self

    def missing(self):
        """Which acknowledged messages are not served; nothing else is, and nothing wrong."""
        missing = set()
        for (topic, queue), acked in sorted(self.book.acked.items()):
            found = served(self.client, topic, queue, 0, self.client.end_of(topic, queue))
            for offset, body in found.items():
                check(offset in acked and body == self.body(acked[offset][0]), f"{topic} {queue} {offset}: a wrong body is served")
            missing |= {(queue, offset) for offset in acked.keys() - found.keys()}
        return missing

    def body(self, uid):
        return body_of(uid, self.book.sent[uid])

    def keys(self, besides=NOTHING, every=7):
        """How many of some keys find nothing; what is found is right."""
        lost = 0
        for (topic, queue), acked in sorted(self.book.acked.items()):
            for offset, (uid, _) in sorted(acked.items())[::every]:
                found = by_key(self.client, topic, uid)
                check(found in ([], [self.body(uid)]), f"key {uid}: something wrong is served")
                lost += not found and (queue, offset) not in besides
        return lost

    def admin(self, what, *options):
        """Of the stopped store: the exit code, and what is said."""
        command = [self.node.binary, "admin", "store", what, "--data", self.data, *options, "--json"]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
        check(done.returncode in (0, 1), f"{what}: exit code {done.returncode}: {done.stderr[-500:]}")
        return done.returncode, json.loads(done.stdout)


def fill(stage, rounds):
    for number in range(rounds):
        stage.fill(TOPIC, QUEUES, EACH, 200 + 200 * (number % 6))


def original(binary, work, kill):
    """A directory after a clean stop, or after a kill with messages behind the last checkpoint, all of them known to be on disk."""
    stage = Stage(binary, work, **SETTINGS).start()
    try:
        stage.client.create_topic(TOPIC, QUEUES)
        stage.client.create_group()
        fill(stage, ROUNDS)
        stage.stop()
        if kill:
            stage.start()
            fill(stage, LATER)
            flushed = os.path.join(stage.data, "blockhouse/flushed")
            until("everything is flushed", lambda: struct.unpack(">Q", open(flushed, "rb").read()[8:16])[0] > stage.ledger.log_end())
            stage.node.kill()
        return stage
    finally:
        stage.end()


def is_told(log, queue, offset):
    """Whether the log names a message that is passed over."""
    if f"{TOPIC} {queue}: message {offset} is passed over" in log:
        return True
    ranges = re.findall(rf"{TOPIC} {queue}: messages (\d+) to (\d+) are passed over", log)
    return any(int(first) <= offset <= int(last) for first, last in ranges)


def started(copy, harm):
    """Refused as it is, or only right messages and a line for each that is passed over; how many these are, None if refused."""
    before = tree(copy.data)
    try:
        copy.start()
    except Wrong as error:
        check("exit code 1:" in str(error), str(error))
        said, after = copy.node.logged(), tree(copy.data)
        check(harm.file in said and re.search(r"at byte \d+|is \d+ bytes long", said), f"refused without file and byte: {said[-600:]}")
        changed = sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name))
        check(not changed, f"the refused start changed {changed}")
        return None
    missing = copy.missing()
    check(missing <= harm.hit | harm.entries, f"missing, and not hit: {sorted(missing - harm.hit - harm.entries)[:9]}")
    untold = [place for place in sorted(missing) if not is_told(copy.node.logged(), *place)]
    check(not untold, f"missing, and not in the log: {untold[:9]}")
    lost = copy.keys(harm.hit)
    check(not lost or harm.file.startswith("index"), f"{lost} keys find nothing")
    copy.stop()
    check(not missing or copy.admin("check")[0] == 1, "a check finds nothing after messages were passed over")
    return len(missing)


def mended(copy, harm):
    """Found by a check, mended, and everything else is there; False if there is nothing to be found."""
    code, report = copy.admin("check")
    check(code == 1 or not harm.found, "a check finds nothing")
    if code == 0:
        return False
    above = harm.file.split("/")[0] if "/" in harm.file and not harm.file.startswith("blockhouse") else harm.file
    # A property without a checksum makes entries of the index wrong.
    check(not harm.found or any(row["file"].startswith(above) for row in report["findings"]), f"not named: {report['findings']}")
    lost = {(message["queue"], message["offset"]) for message in report["lost"]}
    check(lost <= harm.hit, f"said to be lost, and not hit: {sorted(lost - harm.hit)[:9]}")
    code, _ = copy.admin("repair")
    check(code == 1, "a repair without --yes says that all is well")
    code, report = copy.admin("repair", "--skip-damaged", "--yes")
    left = [row for row in report.get("after", {}).get("findings", ()) if row["severity"] == "damage"]
    # A topic or a place in a queue without a checksum cannot be mended.
    check(code == 0 or (not harm.found and all(row["kind"] == "record" for row in left)), f"not mended: {report}")
    copy.start()
    missing = copy.missing()
    check(missing <= harm.hit, f"missing after the repair: {sorted(missing - harm.hit)[:9]}")
    lost = copy.keys(harm.hit)
    check(not lost, f"{lost} keys find nothing after the repair")
    copy.stop()
    check(copy.admin("check")[0] == code, "a check after the repair and a run finds something")
    return True


def each_damage(kill, rounds, seed):
    def scene(binary, work):
        first = os.path.join(work, "original")
        os.mkdir(first)
        stage = original(binary, first, kill)
        layout = Layout(stage.data)
        check(len(layout.physical) == stage.ledger_size(), "not all messages are in the log")
        counts = dict.fromkeys(("cases", "refused", "passed over", "mended"), 0)
        for number in range(rounds * len(KINDS) * len(WAYS)):
            kind, way = KINDS[number % len(KINDS)], WAYS[number // len(KINDS) % len(WAYS)]
            name = f"BLOCKHOUSE_DAMAGE_SEED={seed}, case {number}: {kind} {way}"
            harm = None
            try:
                for step in (started, mended):
                    copy = Copy(binary, work, stage)
                    harm = HARMS[kind](layout, copy.data, way, random.Random(f"{seed} {kill} {number}"), kill)
                    try:
                        done = step(copy, harm)
                    finally:
                        copy.end()
                    if step is mended:
                        counts["mended"] += done
                    elif done is None:
                        counts["refused"] += 1
                    else:
                        counts["passed over"] += done
            except Exception as error:
                raise Wrong(f"{name} {harm and harm.file} {harm and harm.text}: {error}") from error
            counts["cases"] += 1
        check(counts["refused"] and counts["mended"] > counts["cases"] // 2, f"nothing was tested: {counts}")
        return f"seed {seed}: " + ", ".join(f"{count} {what}" for what, count in counts.items())
    return scene


def scenes(full):
    """Other places each time with --full; the seed is printed."""
    default = random.SystemRandom().randrange(1 << 32) if full else 1
    seed, rounds = int(os.environ.get("BLOCKHOUSE_DAMAGE_SEED", default)), 4 if full else 1
    return {f"damage after a {'kill' if kill else 'clean stop'}": each_damage(kill, rounds, seed) for kill in (False, True)}
