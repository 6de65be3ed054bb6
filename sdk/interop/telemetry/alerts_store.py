"""Alerts about the store and its disk."""

import os
import resource
import subprocess
import threading

import lost_page
from disk import MIB, HangingDisk, SmallDisk, run
from node import Closed, Timeout, check, until
from stage import job

HUGE, FLUSH_DISK_TIMEOUT = 3 * MIB, 10


def on_a_disk(stage, disk, **settings):
    """A node whose data are there, and its client."""
    node, prometheus = stage.watched(stage.node(os.path.join(disk.path, "data"), **settings))
    client = stage.client(node)
    client.create_topic("orders", 4)
    check(client.send("orders", 0).code == 0, "a send")
    return node, prometheus, client


def a_disk_that_fills(stage):
    """First a bit, then too much, then all of it."""
    disk = stage.disk(lambda: SmallDisk(stage.work, "disk", 192))
    names = ["BlockhouseDiskFills", "BlockhouseSendsRefused", "BlockhouseStoreFault", "BlockhouseMetadataUnsaved"]
    node, prometheus, client = on_a_disk(stage, disk, **{"store.disk_force_clean_percent": "off"})
    prometheus.quiet(*names)
    size = os.statvfs(disk.path)
    size = size.f_blocks * size.f_frsize
    disk.fill(leave=size * 14 // 100)
    prometheus.fires("BlockhouseDiskFills", instance=node.ops_listen)
    check(not prometheus.alerts("BlockhouseSendsRefused"), "sends are refused already")
    disk.fill(leave=size * 4 // 100)
    prometheus.fires("BlockhouseSendsRefused", instance=node.ops_listen)
    prometheus.fires("BlockhouseStoreFault", instance=node.ops_listen, fault="disk_full")
    disk.fill()

    def unsaved():
        """Topics until they find no room."""
        number = unsaved.number = unsaved.number + 1
        ext = dict(topic=f"topic-with-a-name-that-takes-room-{number}", defaultTopic="TBW102", readQueueNums=1, writeQueueNums=1, perm=6,
                   topicFilterType="SINGLE_TAG", topicSysFlag=0, order="false")
        client.connection.call(17, ext)
        return prometheus.alerts("BlockhouseMetadataUnsaved")

    unsaved.number = 0
    until("a topic that is not saved", unsaved, 60)
    prometheus.fires("BlockhouseMetadataUnsaved", instance=node.ops_listen)
    disk.make_room()
    until("topics are saved", lambda: unsaved() is not None and node.metric("blockhouse_metadata_unsaved", '"topics"') == 0)
    for name in names:
        prometheus.ends(name)
    return "86 %, 96 %, all, and room again"


def a_write_that_fails(stage):
    """At the process's limit of file sizes: the disk fails it, as far as the store can see."""
    node, prometheus = stage.watched(stage.node())
    client = stage.client(node)
    client.create_topic("orders", 1)
    prometheus.quiet("BlockhouseStorePoisoned")
    resource.prlimit(node.process.pid, resource.RLIMIT_FSIZE, (65_536, 65_536))
    until("a send is refused", lambda: client.send("orders", 0, 20_000).code)
    prometheus.fires("BlockhouseStorePoisoned", instance=node.ops_listen)
    node.stop()
    node.start()
    prometheus.ends("BlockhouseStorePoisoned")
    return "then a restart"


def a_device_that_does_not_give_what_it_has(stage):
    """The device ends before the oldest file of the log, and that file is in no memory."""
    lost = stage.kept(Lost(stage))
    prometheus = stage.prometheus(job(lost.stage.node.ops))
    prometheus.quiet("BlockhouseFailedReads")
    lost.forget()
    check(lost_page.pulled(lost.stage, lost_page.COLD, 0, 5).code == 1, "a pull of what is lost")
    prometheus.fires("BlockhouseFailedReads", instance=lost.stage.node.ops)
    lost.stage.device.resize(0)
    check(lost_page.pulled(lost.stage, lost_page.COLD, 0, 5).code == 0, "a pull of what is there again")
    prometheus.ends("BlockhouseFailedReads")
    return "and gets it back"


class Lost:
    """A node whose oldest file of the log can be taken away."""

    def __init__(self, stage):
        work = os.path.join(stage.work, "lost")
        os.mkdir(work)
        self.stage = lost_page.begin(stage.binary, work)
        try:
            self.oldest, self.cut = lost_page.written(self.stage)
            self.stage.intact()
        except BaseException:
            self.end()
            raise

    def forget(self):
        evict = lambda: lost_page.evict(self.stage.node.process.pid, self.oldest)
        until("the oldest file is out of memory", lambda: evict() and lost_page.in_memory(self.oldest) == 0)
        self.stage.device.resize(self.cut)

    def end(self):
        self.stage.end()
        self.stage.device.remove()


def a_disk_that_does_not_sync(stage):
    """Senders wait for it, and are answered without."""
    name, frozen, codes = "BlockhouseSyncsTakeTooLong", stage.disk(lambda: HangingDisk(stage.work, "disk")), []
    try:
        # The log alone is there: whatever else of a node would hang, hangs it.
        logs = {"store.commit_log_dir": os.path.join(frozen.path, "commitlog")}
        node, prometheus = stage.watched(stage.node(**logs, **{"store.flush": "sync", "store.sync_flush_timeout_ms": 1000}))
        client = stage.client(node)
        client.create_topic("orders", 4)
        check(client.send("orders", 0).code == 0, "a send")
        prometheus.quiet(name)
        frozen.freeze()
        threads = [threading.Thread(target=sends, args=(stage.client(node), number, codes)) for number in range(4)]
        for thread in threads:
            thread.start()
        try:
            prometheus.fires(name, instance=node.ops_listen)
        finally:
            frozen.thaw()
            for thread in threads:
                thread.join(60)
        check(FLUSH_DISK_TIMEOUT in codes and set(codes) <= {0, FLUSH_DISK_TIMEOUT}, f"senders were answered with {codes}")
        prometheus.ends(name, 60)
        until("a send is stored", lambda: client.send("orders", 0).code == 0)
    finally:
        frozen.thaw()
    return "and does so again"


def a_disk_that_hangs(stage):
    """All of a node is on it: senders wait, then everybody does, and the node says so."""
    names, disk = ["BlockhouseDiskHangs", "BlockhouseStalled"], stage.disk(lambda: SmallDisk(stage.work, "disk", 192))
    node, prometheus, client = on_a_disk(stage, disk)
    prometheus.quiet(*names)
    check(node.http("/readyz")[0] == 200, "it is ready")
    # Whoever asks for something is recorded for the flight recorder, on that disk.
    asking = [threading.Thread(target=patient, args=(stage.client(node).end_of, "orders", number)) for number in range(4)]
    run("fsfreeze", "--freeze", disk.path)
    try:
        sending = threading.Thread(target=patient, args=(client.send, "orders", 0))
        sending.start()
        prometheus.fires(names[0], instance=node.ops_listen, operation="write")
        check(not prometheus.alerts(names[1]), "only senders wait")
        check(node.http("/readyz")[0] == 200, "others are served")
        for one in asking:
            one.start()
        prometheus.fires(names[1], instance=node.ops_listen)
        code, told = node.http("/readyz")
        check(code == 503 and "has got on" in told, f"/readyz: {code} {told}")
        check(node.http("/healthz")[0] == 200, "no restart would help")
    finally:
        thaw(disk)
        for one in [*asking, sending]:
            one.join(60)
    for name in names:
        prometheus.ends(name, 60)
    until("a send is stored", lambda: stage.client(node).send("orders", 0).code == 0)
    check(node.http("/readyz")[0] == 200, "it is ready again")
    return "and serves again"


def patient(ask, *what):
    try:
        ask(*what)
    except (Closed, Timeout, OSError):
        # Nobody answered as long as the disk hung.
        pass


def thaw(disk):
    subprocess.run(["fsfreeze", "--unfreeze", disk.path], capture_output=True, check=False)


def sends(client, queue, codes):
    try:
        for _ in range(3):
            codes.append(client.send("orders", queue).code)
    except (Closed, Timeout, OSError):
        # It is stored or not: that is looked at elsewhere.
        pass


def much_that_is_not_synced(stage):
    """A node that is told to sync once a day."""
    node, prometheus = stage.watched(stage.node(**{"store.flush_interval_ms": 86_400_000, "store.segment_size": "512MiB"}))
    client = stage.client(node)
    client.create_topic("orders", 1)
    prometheus.quiet("BlockhouseFlushBehind")
    for _ in range(256_000_000 // HUGE + 2):
        check(client.send("orders", 0, HUGE).code == 0, "a send")
    prometheus.fires("BlockhouseFlushBehind", instance=node.ops_listen)
    check(node.stop(60) == 0, "a clean stop")
    node.start()
    prometheus.ends("BlockhouseFlushBehind")
    return "256 MB, then a stop that syncs"


SCENES = {
    a_disk_that_fills: ["BlockhouseDiskFills", "BlockhouseSendsRefused", "BlockhouseStoreFault", "BlockhouseMetadataUnsaved"],
    a_write_that_fails: ["BlockhouseStorePoisoned"],
    a_device_that_does_not_give_what_it_has: ["BlockhouseFailedReads"],
    a_disk_that_does_not_sync: ["BlockhouseSyncsTakeTooLong"],
    a_disk_that_hangs: ["BlockhouseDiskHangs", "BlockhouseStalled"],
    much_that_is_not_synced: ["BlockhouseFlushBehind"],
}
SLOW = [much_that_is_not_synced]
