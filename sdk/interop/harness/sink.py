"""A receiver of OTLP beside nodes that are to export but whose exports nobody looks at: ours of sdk/telemetry/examples, which only takes."""

import functools
import json
import subprocess

from . import paths, tools


@functools.cache
def built(release=False):
    """The receiver's program."""
    words = ["cargo", "build", "-q", "--locked", "-p", "blockhouse-telemetry", "--example", "sink", "--message-format", "json"]
    told = [json.loads(line) for line in tools.check(words + ["--release"] * release, cwd=paths.ROOT).splitlines()]
    return next(line["executable"] for line in told if line.get("executable"))


class Quiet:
    """Takes whatever comes and looks at none of it. It ends with the driver."""

    def __init__(self, release=False):
        self.process = subprocess.Popen([built(release), "quiet=1"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        said = self.process.stdout.readline()
        if "listening on" not in said:
            raise RuntimeError(f"the receiver: {said}")
        self.endpoint = f"http://127.0.0.1:{said.rsplit(':', 1)[1].strip()}"


@functools.cache
def quiet(release=False):
    """Where all nodes of this driver export to."""
    return Quiet(release)
