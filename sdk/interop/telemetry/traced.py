"""What scenes of traces have in common: a node that exports, an application on the official Java client, and looking at spans."""

import os
import subprocess
import sys
from pathlib import Path

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "../faults"), os.path.join(HERE, "..")]
import conventions
from harness import clients
from node import check
from otlp import agent

STORE = {"store.segment_size": "16MiB", "store.write_buffer_size": "5MiB", "store.queue_file_entries": 1000, "store.index_slots": 1000,
         "store.index_entries": 100_000, "store.disk_clean_percent": 100, "store.disk_force_clean_percent": 100,
         "store.disk_max_used_percent": 100}
BLOCKHOUSE = "blockhouse"
DROPPED, EXPORTED = "blockhouse_spans_dropped_total", "blockhouse_spans_exported_total"


def to(endpoint, **more):
    """The settings of a broker that exports there."""
    return {"telemetry.traces.endpoint": endpoint} | {f"telemetry.traces.{key}": value for key, value in more.items()}


class Java:
    """An application on the official client, beside it the agent, if there is an `endpoint` that it exports to."""

    def __init__(self, version, namesrv, work, endpoint=None, bridged=False):
        client = clients.JavaClient(version)
        work = Path(work)
        work.mkdir(exist_ok=True)
        command = client.java(work, namesrv, *(["bridged"] if bridged else []))
        command[command.index("interop.Main")] = "interop.Traced"
        if endpoint:
            command[1:1] = [f"-javaagent:{agent()}", "-Dotel.service.name=shop", f"-Dotel.exporter.otlp.endpoint={endpoint}",
                            "-Dotel.exporter.otlp.protocol=grpc", "-Dotel.metrics.exporter=none", "-Dotel.logs.exporter=none",
                            "-Dotel.bsp.schedule.delay=100"]
        self.log = open(work / "stderr", "w")
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.log, text=True, cwd=work)

    def told(self, *words):
        """The answer, whatever it is."""
        self.process.stdin.write(" ".join(map(str, words)) + "\n")
        self.process.stdin.flush()
        return self.process.stdout.readline().strip()

    def ask(self, *words):
        said = self.told(*words)
        check(said.startswith("ok"), f"{words}: {said}")
        return said[3:]

    def close(self):
        self.process.stdin.close()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
        self.log.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def named(spans, name, service=BLOCKHOUSE):
    return [span for span in spans if span.name == name and span.service["service.name"] == service]


def one(spans, name, service=BLOCKHOUSE):
    found = named(spans, name, service)
    check(len(found) == 1, f"{len(found)} spans {name}: {spans}")
    return found[0]


def all_hold(receiver):
    spans = receiver.spans(BLOCKHOUSE)
    for span in spans:
        conventions.hold(span)
    return f"{len(spans)} spans"
