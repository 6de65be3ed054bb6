"""A filesystem that goes read-only under a running broker.

A plain `mount -o remount,ro` is refused (EBUSY) as long as a file is open for writing, which a broker's CommitLog always
is; that it is, and harms nothing, is looked at first. What takes effect in spite of open files is `remount,abort`:
ext4 ends its journal and takes no write from then on, and only unmounting and e2fsck end that. `blockdev --setro` is of
no use: the kernel only warns of writes from a filesystem that is mounted. (ext4's own reaction to damage,
`errors=remount-ro`, is in faults/.) What ends by itself, so that the broker could go on, is one file that refuses writes:
the CommitLog with the immutable flag.
"""

import os
import shutil
import struct
import subprocess

from disk import SmallDisk, Unable, run, why_not
from node import Wrong, check, until
from scene import Stage

TOPIC, QUEUES = "readonly", 4
REFUSED, STOPPED = 14, "the store stopped after a failed write or sync"


class OnDisk(Stage):
    """A broker on a small ext4 of its own, with messages."""

    def __init__(self, binary, work, **settings):
        if reason := why_not(work):
            raise Unable(reason)
        self.disk = SmallDisk(work, "disk")
        super().__init__(binary, work, os.path.join(self.disk.path, "data"), **settings)

    def begin(self):
        self.start()
        self.client.create_topic(TOPIC, QUEUES)
        self.client.create_group()
        self.fill(TOPIC, QUEUES, 150)
        self.healthy()
        return self

    def remount(self, options):
        return subprocess.run(["mount", "-o", f"remount,{options}", self.disk.path], capture_output=True, text=True, check=False)

    def settle(self):
        """Waits until queues and index are written, too: what fails next is the CommitLog. Else sends may be refused because of the
        others, before one of them has tried the CommitLog."""
        path = os.path.join(self.data, "blockhouse/checkpoint")

        def is_applied():
            if not os.path.exists(path):
                return False
            with open(path, "rb") as file:
                return struct.unpack(">Q", file.read(16)[8:])[0] > self.ledger.log_end()
        until("a checkpoint has the last message", is_applied)

    def refused(self):
        """Sends end with RocketMQ's code and a remark, and all else that a broker says agrees."""
        def answer():
            answer = self.client.send(TOPIC, 0)
            check(answer.code in (0, REFUSED), f"{answer.code} {answer.remark}")
            return answer.code and STOPPED in (answer.remark or "")
        until("sends are refused", answer, 20)
        status, text = self.node.http("/healthz")
        check(status == 503 and "a write or sync of the CommitLog failed" in text, f"/healthz: {status} {text!r}")
        status, text = self.node.http("/readyz")
        check(status == 503 and "sends are refused" in text, f"/readyz: {status} {text!r}")
        check(self.metric("blockhouse_store_refuses_sends") == 1, "metric: sends are not refused")
        check(self.metric("blockhouse_store_fault", '"poisoned"') == 1, "metric: not poisoned")
        logged = self.node.logged().count("no more messages are taken until a restart")
        check(logged == 1, f"said {logged} times in the log")
        return text

    def end(self):
        super().end()
        self.disk.remove()


def remounted(binary, work):
    stage = OnDisk(binary, work, **{"store.flush": "sync"})
    try:
        stage.begin()
        plain = stage.remount("ro")
        check(plain.returncode and "busy" in plain.stderr, f"remount,ro: {plain.returncode} {plain.stderr}")
        stage.fill(TOPIC, QUEUES, 20)
        stage.healthy()
        stage.settle()
        check((forced := stage.remount("abort")).returncode == 0, f"remount,abort: {forced.stderr}")
        text = stage.refused()
        found = stage.intact()
        back = stage.remount("rw")
        check(back.returncode, "ext4 went on without its journal")
        check(stage.client.send(TOPIC, 0).code == REFUSED, "a send was taken")
        check((code := stage.node.stop()) == 1, f"exit code {code}")
        try:
            stage.start()
            raise AssertionError("it started on a read-only filesystem")
        except Wrong as error:
            check("exit code 1" in str(error) and "Read-only file system" in str(error), str(error))
        stage.disk.repair()
        stage.start()
        after = stage.intact()
        stage.fill(TOPIC, QUEUES, 20)
        stage.healthy()
        return f"{found} read meanwhile, {after} after the repair and {stage.again()} at the end; /readyz: {text.strip()}"
    finally:
        stage.end()


def stopped_then_remounted(binary, work):
    """Nothing runs, so that a plain `remount,ro` works: no start, but looking is possible; after `remount,rw` all is well."""
    stage = OnDisk(binary, work)
    try:
        stage.begin()
        stage.stop()
        check((plain := stage.remount("ro")).returncode == 0, f"remount,ro: {plain.stderr}")
        try:
            stage.start()
            raise AssertionError("it started on a read-only filesystem")
        except Wrong as error:
            check("exit code 1" in str(error) and "Read-only file system" in str(error), str(error))
        look = subprocess.run([stage.node.binary, "admin", "store", "check", "--index-slots", "1000", "--data", stage.data],
                              capture_output=True, text=True, check=False)
        check(look.returncode == 0, f"check: {look.returncode} {look.stdout[-1500:]} {look.stderr[-300:]}")
        check((back := stage.remount("rw")).returncode == 0, f"remount,rw: {back.stderr}")
        stage.start()
        check(stage.took_table(), "the refused start left something behind")
        return f"{stage.intact()} found"
    finally:
        stage.end()


def refuses_writes(binary, work):
    """Writes into the CommitLog file are refused for a while: what was refused stays so, until a restart and not longer."""
    if not shutil.which("chattr"):
        raise Unable("no chattr (package e2fsprogs)")
    stage = OnDisk(binary, work, **{"store.flush": "sync"})
    try:
        stage.begin()
        log = os.path.join(stage.data, "commitlog", "0" * 20)
        stage.settle()
        run("chattr", "+i", log)
        stage.refused()
        found = stage.intact()
        run("chattr", "-i", log)
        check(stage.client.send(TOPIC, 0).code == REFUSED, "a send was taken before a restart")
        check(stage.node.http("/healthz")[0] == 503, "healthy before a restart")
        check((code := stage.node.stop()) == 1, f"exit code {code}")
        stage.start()
        stage.intact()
        stage.fill(TOPIC, QUEUES, 20)
        stage.healthy()
        return f"{found} read meanwhile, {stage.again(kill=True)} at the end"
    finally:
        stage.end()


SCENES = {"read-only remount of a running broker": remounted, "read-only remount of a stopped broker": stopped_then_remounted,
          "a log that refuses writes for a while": refuses_writes}
