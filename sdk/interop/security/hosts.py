"""Hosts of their own on this machine: network namespaces with an address each, behind one in which name servers listen."""

import ctypes
import os
import shutil
import subprocess
from contextlib import contextmanager
from pathlib import Path

from common import Skipped, check

NEW_NETWORK = 0x4000_0000  # CLONE_NEWNET


def ip(*words):
    done = subprocess.run(["ip", *words], capture_output=True, text=True, check=False)
    if done.returncode:
        raise OSError(f"ip {' '.join(words)}: exit code {done.returncode}: {done.stderr.strip()}")


class Host:
    """`address` is its own, `gateway` that of the middle as it sees it."""

    def __init__(self, name, number):
        self.name, self.address, self.gateway = name, f"192.0.2.{4 * number + 2}", f"192.0.2.{4 * number + 1}"
        self.prefix = ["ip", "netns", "exec", name]

    @contextmanager
    def entered(self):
        """What this thread opens and starts is on that host."""
        before = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        there = os.open(Path("/run/netns") / self.name, os.O_RDONLY)
        libc = ctypes.CDLL(None, use_errno=True)
        try:
            check(libc.setns(there, NEW_NETWORK) == 0, f"setns: {os.strerror(ctypes.get_errno())}")
            yield self
        finally:
            libc.setns(before, NEW_NETWORK)
            os.close(there)
            os.close(before)


@contextmanager
def hosts(count):
    """A middle host, which this thread is on meanwhile, and others that reach it alone."""
    if os.geteuid() != 0:
        raise Skipped("only root can make network namespaces")
    if not shutil.which("ip"):
        raise Skipped("no ip (package iproute2)")
    middle = Host(f"bh-{os.getpid()}-middle", 0)
    others = [Host(f"bh-{os.getpid()}-{number}", number) for number in range(1, count + 1)]
    made = []
    try:
        try:
            for host in (middle, *others):
                ip("netns", "add", host.name)
                made.append(host)
                ip("-n", host.name, "link", "set", "lo", "up")
            for number, host in enumerate(others):
                ip("-n", middle.name, "link", "add", f"to{number}", "type", "veth", "peer", "name", "out", "netns", host.name)
                for where, device, address in ((middle, f"to{number}", host.gateway), (host, "out", host.address)):
                    ip("-n", where.name, "address", "add", f"{address}/30", "dev", device)
                    ip("-n", where.name, "link", "set", device, "up")
        except OSError as error:
            raise Skipped(f"no network namespaces here: {error}") from error
        with middle.entered():
            yield others
    finally:
        for host in made:
            ip("netns", "delete", host.name)
