"""What all scenes of plugins in the real process need."""

import json
import time

from harness.sample import GRANTS


class Wrong(Exception):
    pass


def check(true, text):
    if not true:
        raise Wrong(text)


def toml(value):
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{json.dumps(k)} = {toml(v)}" for k, v in value.items()) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(toml(v) for v in value) + "]"
    return json.dumps(value)


def eventually(look, text):
    """Waits until there is something, and gives it."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        if found := look():
            return found
        time.sleep(0.05)  # a poll with a deadline
    raise Wrong(text() if callable(text) else text)


def sample(config, **more):
    """A binding of the plugin that does what it is told."""
    return {"guest": "conformance", "name": "sample", "grants": GRANTS, "deadline_ms": 200, "config": config} | more


def lines(node, name="sample"):
    """What a plugin has logged, line by line."""
    return [line["text"] for line in json.loads(node.get(f"/v1/plugins/{name}/logs?after=0"))["lines"]]
