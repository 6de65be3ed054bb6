"""Two plugins that are replaced together, again and again, under full load: whatever is stored has been seen by two of one version."""

import hashlib
import json
import mmap
import os
import re
import struct
import subprocess
import urllib.request

from common import check, eventually, lines, sample
from harness.sample import GRANTS, packed

LOAD_SECONDS, WARM_UP_SECONDS, SWAPS_MIN = 12, 1, 40
BOTH = ("swap-a", "swap-b")
STAMPED = re.compile(b"(swap-[ab])\x01([12])\x02")
# total size, magic, checksum of the body, queue, flag, offset in the queue, where it is, flags, born
RECORD_MAGIC = (0xDAA320A7, 0xDAA320AB)


def stamping(name, version, **more):
    """A binding that has this plugin write its version into each message."""
    return {"name": name, "hooks": ["before-send"], "grants": GRANTS, "deadline_ms": 1_000, "topics": ["stamped*"],
            "config": {"set_property": {name: version}}} | more


def records(data):
    """The records of a CommitLog file, as bytes, up to its unused end."""
    at = 0
    while at + 8 <= len(data):
        size, magic = struct.unpack_from(">iI", data, at)
        if size <= 0 or magic not in RECORD_MAGIC:
            return
        yield data[at:at + size]
        at += size


def stored(node):
    """The stamps on each message that the load left in the log, in the order of the log: a list of [version of a, version of b]."""
    home, found = os.path.join(node.data, "commitlog"), []
    for name in sorted(os.listdir(home)):
        with open(os.path.join(home, name), "rb") as file:
            # Mapped: a fast machine fills more than half of one.
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
                for record in records(data):
                    if b"stamped" in record:
                        found.append(dict(STAMPED.findall(record)))
    return [[stamps.get(name.encode()) for name in BOTH] for stamps in found]


def put(node, path, body, method="POST"):
    request = urllib.request.Request(f"http://{node.ops}{path}", body, method=method)
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)


def versions(node):
    """The two versions of the sample, on the node: the digests by version. The same code, so that no swap waits for a compiler for long."""
    with open(os.path.join(node.guests, "conformance.wasm"), "rb") as file:
        code = file.read()
    digests = {}
    for version in ("1", "2"):
        component = packed(code, f"1.0.0+{version}")
        digests[version] = "sha256:" + hashlib.sha256(component).hexdigest()
        put(node, f"/v1/plugins/components?digest={digests[version]}", component, "PUT")
    return digests


def together(node, digests, version):
    """Deploys both in this version, as one change."""
    wanted = [{"name": name, "digest": digests[version], "binding": stamping(name, version, digest=digests[version])} for name in BOTH]
    told = put(node, "/v1/plugins/deploy", json.dumps({"plugins": wanted}).encode())
    check([plugin["outcome"] for plugin in told["plugins"]] in (["added"] * 2, ["replaced"] * 2), told)


def whatever_is_stored_has_met_two_plugins_of_one_version(start):
    # Nobody compares the versions here: what comes back by itself would be a swap as well, but none that is counted.
    node = start(sample({}, hooks=["before-send"], topics=["nobody"]), options={"guard_seconds": 0}, seconds=180)
    digests = versions(node)
    together(node, digests, "1")
    together(node, digests, "2")
    words = [node.binary, "bench", "produce", "-n", node.namesrv, "--topic", "stamped", "-d", str(LOAD_SECONDS), "--warmup",
             str(WARM_UP_SECONDS), "-c", "4", "-w", "16", "-s", "64", "--json"]
    load, swaps = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True), 0
    try:
        while load.poll() is None:
            together(node, digests, "12"[swaps % 2])
            swaps += 1
        out, error = load.communicate()
    finally:
        load.kill()
    check(load.returncode == 0, error)
    told = json.loads(out)
    check(not told["refused"], f"messages were refused: {told['refused']}")
    node.stop()
    found = stored(node)
    mixed = [stamps for stamps in found if stamps[0] != stamps[1] or None in stamps]
    check(not mixed, f"{len(mixed)} of {len(found)} messages met a mixed chain, the first {mixed[:3]}")
    check(len(found) >= told["messages"], f"{len(found)} messages are there of {told['messages']}")
    turns = sum(before != after for before, after in zip(found, found[1:]))
    # One that came and went between two messages is no proof of anything.
    check(turns >= SWAPS_MIN, f"the messages saw {turns} swaps of {swaps}")
    print(f"        {len(found)} messages, {swaps} swaps, of which they saw {turns}", flush=True)


def a_sink_that_takes_nothing_goes_with_its_version(start):
    # How it does must not bring it back.
    node = start(sample({}, hooks=["before-send"], topics=["nobody"]), options={"guard_seconds": 0}, seconds=180)
    digests = versions(node)

    def deploy(version, config):
        binding = {"name": "sink", "hooks": ["audit-sink"], "grants": GRANTS, "deadline_ms": 5_000, "config": config, "digest": digests[version]}
        wanted = {"name": "sink", "digest": digests[version], "binding": binding}
        put(node, "/v1/plugins/deploy", json.dumps({"plugins": [wanted]}).encode())

    def said(text):
        return sum(text in line for line in lines(node, "sink"))

    # It says when an instance is let go, and is told of its own arrival at least.
    deploy("1", {"faults": {"audit": "error", "drain": "trap"}})
    check(not said("drain: "), lines(node, "sink"))
    deploy("2", {})
    eventually(lambda: said("drain: "), "the version that was replaced is let go")
    check(said("audit events were not taken and are lost") == 1, lines(node, "sink"))
