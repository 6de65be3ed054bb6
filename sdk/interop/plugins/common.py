"""What all scenes of plugins in the real process need."""

import json
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../faults"))
from harness.everything import toml
from harness.sample import GRANTS
from node import Wrong, check, until

__all__ = ["Wrong", "check", "eventually", "lines", "sample", "toml"]


def eventually(look, text):
    """Waits until there is something, and gives it."""
    return until(text, look, 30)


def sample(config, **more):
    """A binding of the plugin that does what it is told."""
    return {"guest": "conformance", "name": "sample", "grants": GRANTS, "deadline_ms": 200, "config": config} | more


def lines(node, name="sample"):
    """What a plugin has logged, line by line."""
    return [line["text"] for line in json.loads(node.get(f"/v1/plugins/{name}/logs?after=0"))["lines"]]
