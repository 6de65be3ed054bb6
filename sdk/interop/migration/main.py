"""Arguments, combinations, and what is skipped and why."""

import argparse
import os
import shutil
import signal
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import witness
from brokers import Java, Layout
from harness import clients, paths, report, tools
from refusals import Inert, Layouts, RocksDb, dledger
from story import Story

SMALL = {"segment": 16 << 20, "queue": 200, "slots": 1_000, "entries": 1_500}
VERSIONS = ("4.9.7", "5.3.3", "5.4.0")
V4, V6 = "127.0.0.1", "::1"


class Test:
    """A name, a version, a layout, and what is played on it."""

    def __init__(self, name, version, play, sizes=None, apart=False, host=V4):
        self.name, self.version, self.play = f"{version} {name}", version, play
        self.sizes, self.apart, self.host = SMALL if sizes is None else sizes, apart, host

    def layout(self, root):
        return Layout(root, self.sizes, self.apart, self.host)


def there_and_back(version, ends, sizes=None, apart=False, host=V4):
    name = (f"there and back, java {ends[0]}, blockhouse {ends[1]}{', default files' if sizes == {} else ''}"
            f"{', log apart' if apart else ''}{', IPv6' if host == V6 else ''}")
    return Test(name, version, lambda *parts: Story(*parts, ends), sizes, apart, host)


def refused(name, version, config, attributes, *sentences):
    def play(java, compiled, binary, layout):
        return Layouts(java, compiled, binary, layout, config(layout), attributes, sentences)
    return Test(f"refuses {name}", version, play)


INERT = tuple(Test("refuses inert messages", version, Inert) for version in VERSIONS)
USUAL = (
    there_and_back("5.3.3", ("kill", "clean"), apart=True),
    there_and_back("5.4.0", ("kill", "kill"), host=V6),
    there_and_back("4.9.7", ("clean", "kill")),
    INERT[-1],
)
DELETE = "delete the topic with Apache RocketMQ, once what is in it was consumed or copied"
REFUSED = (
    Test("refuses RocksDB until it is put into files", "5.4.0", RocksDb),
    refused("BatchCQ", "5.3.3", lambda _: {}, "+queue.type=BatchCQ", "queue.type=BatchCQ", DELETE),
    refused("compaction", "5.4.0", lambda _: {}, "+cleanup.policy=COMPACTION", "cleanup.policy=COMPACTION", DELETE),
    refused("DLedger", "4.9.7", dledger, "", "enableDLegerCommitLog=true", "an empty directory and a brokerName of its own",
            "`mqadmin wipeWritePerm`"),
)


def tests(full):
    if not full:
        return USUAL
    every = [there_and_back(version, (first, second), sizes, apart, host)
             for version in VERSIONS for first in ("clean", "kill") for second in ("clean", "kill")
             for sizes, apart, host in ((None, True, V4), ({}, False, V6))]
    return (*every, *INERT, *REFUSED)


def arguments(argv):
    parser = argparse.ArgumentParser(prog="sdk/interop/migration/run", description="Apache RocketMQ writes a data directory, "
                                     "Blockhouse takes it over and writes, Apache RocketMQ takes it over again.")
    parser.add_argument("--full", action="store_true", help="all combinations of version, ends and layout, and all refusals")
    parser.add_argument("--only", default="", help="those whose name contains this")
    parser.add_argument("--binary", help="the blockhouse binary (default: the build under target/)")
    parser.add_argument("--jobs", type=int, default=3, help="how many at a time")
    parser.add_argument("--list", action="store_true", help="print the names")
    return parser.parse_args(argv)


def run(out, test, java, compiled, binary):
    root = Path(tempfile.mkdtemp(prefix="blockhouse-migration-"))
    begun, played = time.monotonic(), None
    try:
        played = test.play(java, compiled, binary, test.layout(root))
        PLAYED.append(played)
        problems = played.run()
    except Exception as problem:  # whatever it is, the other tests go on
        problems = [*(played.problems if played else []), f"{type(problem).__name__}: {problem}"]
    steps = ", ".join(played.steps) if played else ""
    if problems:
        out.failed(test.name, [*problems[:12], f"steps: {steps}"])
    else:
        out.passed(test.name, 1000 * (time.monotonic() - begun), steps)
    if os.environ.get("INTEROP_KEEP"):
        print(f"kept: {root}", flush=True)
    else:
        shutil.rmtree(root, ignore_errors=True)


PLAYED = []


def stop(*_):
    """SIGTERM: nothing that was started stays."""
    for played in PLAYED:
        played.kill()
    for process in list(clients.RUNNING):
        process.kill()
    os._exit(143)  # the threads of the pool would be waited for


def main(argv):
    signal.signal(signal.SIGTERM, stop)
    chosen = arguments(argv)
    wanted = [test for test in tests(chosen.full) if chosen.only in test.name]
    if chosen.list:
        print("\n".join(test.name for test in wanted))
        return 0
    out = report.Report()
    binary = paths.binary(chosen.binary)
    if binary is None or not binary.is_file():
        out.failed("blockhouse", [f"no binary under {paths.TARGET}; build it, or name one with --binary"])
        return out.end()
    javas = {}
    for version in sorted({test.version for test in wanted}):
        try:
            javas[version] = Java(version)
        except (tools.Missing, RuntimeError) as problem:
            out.skipped(f"migration from and to {version}", problem)
    if not javas:
        return 77
    compiled = witness.classes(javas[min(javas)])
    with ThreadPoolExecutor(chosen.jobs) as pool:
        for done in [pool.submit(run, out, test, javas[test.version], compiled, binary) for test in wanted if test.version in javas]:
            done.result()
    return out.end()
