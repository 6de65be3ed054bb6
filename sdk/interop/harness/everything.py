"""A node with everything switched on: each bundled plugin bound, at all of its hooks, in a way that lets the tests' traffic through."""

import functools
import hashlib
import json
import shutil
import urllib.request
from pathlib import Path

from .collector import Collector


@functools.cache
def collector():
    """Where all nodes of this driver tell their decisions."""
    return Collector()


def bound():
    """What each bundled plugin is told; it has work to do on every message, and no reason to object. What is tested here is not
    about time, and machines that run tests are busy: a call has 50 ms."""
    return {
        "acl": {
            "deadline_ms": 50,
            "grants": {"log": True, "clock": True, "kv": True},
            "config": {"quarantine": {"principals": ["mallory"], "addresses": ["203.0.113.0/24"]},
                       "rate": {"messages_per_second": 100_000_000}},
        },
        "filter": {
            "deadline_ms": 50,
            "grants": {"log": True, "message-bodies": True},
            "config": {"hide": [{"header": "everything-hidden", "exists": True}]},
        },
        "audit": collector().binding(log=True, redact={"ipv4_prefix": 8}),
        "tracing": {
            "grants": {"log": True, "message-bodies": True},
            "config": {"properties": {"message.keys": "KEYS"}, "fields": {"message.id": "$.id"}},
        },
    }


# Nothing exports spans here, so that nobody calls what enriches them: `telemetry/traces` does.
NOT_CALLED_YET = {"tracing"}


def configure(data, guests, config):
    """Puts the components of `guests` into the data directory, and writes the bindings to `config`; the names of what is bound."""
    bindings = bound()
    write(data, guests, config, [{"name": name, "guest": name, "order": order} | binding
                                 for order, (name, binding) in enumerate(bindings.items())])
    return list(bindings)


def write(data, guests, config, bindings):
    """The same for any bindings; each names its component as `guest`."""
    store = Path(data) / "blockhouse" / "plugins"
    store.mkdir(parents=True, exist_ok=True)
    said = ""
    for binding in bindings:
        component = Path(guests) / f"{binding['guest']}.wasm"
        digest = hashlib.sha256(component.read_bytes()).hexdigest()
        shutil.copyfile(component, store / f"sha256-{digest}.wasm")
        said += text(binding["name"], {key: value for key, value in binding.items() if key != "guest"}, digest)
    Path(config).write_text(said)


def text(name, binding, digest="0" * 64):
    """A binding in TOML; a deploy puts in the digest itself."""
    keys = {"name": name, "digest": f"sha256:{digest}"} | binding
    return "[[plugins.binding]]\n" + "".join(f"{key} = {toml(value)}\n" for key, value in keys.items())


def well(ops, user=None):
    """{name: calls} of the plugins of the node with this ops listener, which a secured one tells this user; ValueError if one is not well."""
    with user.open(ops, "/v1/plugins") if user else urllib.request.urlopen(f"http://{ops}/v1/plugins", timeout=10) as answer:
        told = json.load(answer)["plugins"]
    for plugin in told:
        if not plugin["loaded"] or plugin["breakerOpen"]:
            raise ValueError(f"{plugin['name']}: {plugin}")
        for hook in plugin["hooks"]:
            if hook["failures"] or hook["lost"]:
                raise ValueError(f"{plugin['name']}: {hook}")
    return {plugin["name"]: sum(hook["calls"] for hook in plugin["hooks"]) for plugin in told}


def calls(ops, user=None):
    """How often the plugins of the node with this ops listener were called; ValueError if one is missing, not well or idle."""
    counts = well(ops, user)
    for name in bound():
        if name not in counts:
            raise ValueError(f"{name} is not there")
        if (counts[name] == 0) != (name in NOT_CALLED_YET):
            raise ValueError(f"{name} was called {counts[name]} times")
    return sum(counts.values())


def toml(value):
    """A value as TOML has it inline."""
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{json.dumps(key)} = {toml(inner)}" for key, inner in value.items()) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(toml(inner) for inner in value) + "]"
    return json.dumps(value)
