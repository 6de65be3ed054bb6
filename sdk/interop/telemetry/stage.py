"""What scenes of alerts have in common: a node at an address that stays, Prometheus with shortened rules, and clients."""

import os
import shutil
from pathlib import Path

import common
from disk import Unable, why_not
from node import Client, Ledger, Node
from watch import Prometheus, free_port, shortened

# A full disk of the machine is no matter here, and small files make a start short.
SMALL = {"store.segment_size": "8MiB", "store.write_buffer_size": "5MiB", "store.queue_file_entries": 1000, "store.index_slots": 1000,
         "store.index_entries": 100_000}
NO_LIMITS = {f"store.disk_{name}_percent": 100 for name in ("clean", "force_clean", "max_used")}


class Stage:
    """One scene's processes, in a directory of its own."""

    def __init__(self, binary, guests, work):
        self.binary, self.guests, self.work, self.parts = binary, guests and Path(guests), work, []
        os.makedirs(work)

    def kept(self, part):
        self.parts.append(part)
        return part

    def node(self, data=None, prefix=(), **settings):
        """A node that is not started yet; with its limits of the disk off if nothing else is said."""
        limits = {} if any(key.startswith("store.disk_") for key in settings) else NO_LIMITS
        node = self.kept(Node(self.binary, data or os.path.join(self.work, "data"), self.work, SMALL | limits | settings, prefix))
        node.ops_listen = f"127.0.0.1:{free_port()}"
        return node

    def server(self, *options, **settings):
        """A node with users, as the scenes of security have it, not started yet."""
        server = common.Server(self.binary, self.work, "standalone", "node", options, **settings)
        self.parts.append(Ending(server.kill))
        return server

    def prometheus(self, *jobs, window="15s"):
        return self.kept(Prometheus(self.work, list(jobs), shortened(self.work, window)))

    def watched(self, node, **more):
        """A started node, and a Prometheus that scrapes it."""
        node.start(**more)
        return node, self.prometheus(job(node.ops_listen))

    @staticmethod
    def client(node):
        return Client(node, Ledger())

    def disk(self, make):
        """A disk of its own, which goes away after what is on it; Unable where there cannot be one."""
        if why := why_not(self.work):
            raise Unable(why)
        disk = make()
        self.parts.insert(0, Ending(disk.remove))
        return disk

    def end(self, keep):
        for part in reversed(self.parts):
            part.end()
        if not keep:
            shutil.rmtree(self.work, ignore_errors=True)


class Ending:
    def __init__(self, end):
        self.end = end


def job(address, **more):
    return {"job_name": "blockhouse", "static_configs": [{"targets": [address]}]} | more


def secured(server):
    """The same for a node that asks who scrapes it."""
    return job(server.ops, basic_auth={"username": "admin", "password": common.secret("admin")})
