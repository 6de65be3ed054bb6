"""A node with everything switched on: each bundled plugin bound, at all of its hooks, in a way that lets the tests' traffic through."""

import functools
import hashlib
import json
import shutil
import urllib.request
from pathlib import Path

from . import probe, sink
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
            "deadline_ms": 1_000,
            "grants": {"log": True, "message-bodies": True},
            "config": {"properties": {"message.keys": "KEYS"}, "fields": {"message.id": "$.id"}},
        },
    }


# What only administration calls.
ADMINISTRATION = frozenset({("acl", "admin-command")})


def telemetry(ratio=1.0, release=False):
    """Traces and metrics to a receiver that looks at none of them: so much of what is sent or delivered, and whatever is slow or fails."""
    endpoint = sink.quiet(release).endpoint
    return (f"[telemetry.traces]\nendpoint = {toml(endpoint)}\nhead_ratio = {ratio}\nslow_ms = 500\nerrors = true\n"
            f"[telemetry.metrics]\nendpoint = {toml(endpoint)}\ninterval_ms = 5000\n")


def configure(data, guests, config, exported=None):
    """Puts the components of `guests` into the data directory, and writes the bindings, and what is exported, to `config`; the names of
    what is bound."""
    bindings = bound()
    write(data, guests, config, [{"name": name, "guest": name, "order": order} | binding
                                 for order, (name, binding) in enumerate(bindings.items())])
    with open(config, "a", encoding="utf-8") as out:
        out.write(exported or telemetry())
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
    """{(plugin, hook): calls} of the node with this ops listener, which a secured one tells this user; ValueError if one is not well."""
    with user.open(ops, "/v1/plugins") if user else urllib.request.urlopen(f"http://{ops}/v1/plugins", timeout=10) as answer:
        told = json.load(answer)["plugins"]
    for plugin in told:
        if not plugin["loaded"] or plugin["breakerOpen"]:
            raise ValueError(f"{plugin['name']}: {plugin}")
        for hook in plugin["hooks"]:
            if hook["failures"] or hook["lost"]:
                raise ValueError(f"{plugin['name']}: {hook}")
    return {(plugin["name"], hook["hook"]): hook["calls"] for plugin in told for hook in plugin["hooks"]}


def calls(ops, user=None, but=frozenset()):
    """How often the plugins of the node with this ops listener were called; ValueError if one is missing or not well, or one of its hooks
    is still idle when what is queued had its time, but for those in `but`."""
    counts = {}

    def lacking():
        counts.update(well(ops, user))
        return sorted(bound().keys() - {plugin for plugin, _ in counts}), sorted(idle(counts) - but)
    try:
        # Spans are exported, and enriched for that, some time later.
        probe.wait_until(lambda: not any(lacking()), 15, "all are there, and each of their hooks is called")
    except RuntimeError as late:
        raise ValueError("{}; not there: {}; not called: {}".format(late, *lacking())) from late
    return sum(counts.values())


def idle(counts):
    """The hooks that were not called."""
    return {hook for hook, count in counts.items() if count == 0}


def toml(value):
    """A value as TOML has it inline."""
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{json.dumps(key)} = {toml(inner)}" for key, inner in value.items()) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(toml(inner) for inner in value) + "]"
    return json.dumps(value)
