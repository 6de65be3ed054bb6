"""A node with everything switched on: each bundled plugin bound, at all of its hooks, in a way that lets the tests' traffic through."""

import hashlib
import json
import shutil
import urllib.request
from pathlib import Path

# What each bundled plugin is told; it has work to do on every message, and no reason to object.
BOUND = {
    "acl": {
        "grants": ["log", "clock", "kv"],
        "config": {"quarantine": {"principals": ["mallory"], "addresses": ["203.0.113.0/24"]},
                   "rate": {"messages_per_second": 100_000_000}},
    },
    "filter": {
        "grants": ["log", "message-bodies"],
        "config": {"hide": [{"header": "everything-hidden", "exists": True}]},
    },
}


def configure(data, guests, config):
    """Puts the components of `guests` into the data directory, and writes the bindings to `config`; the names of what is bound."""
    store = Path(data) / "blockhouse" / "plugins"
    store.mkdir(parents=True, exist_ok=True)
    text = ""
    for order, (name, binding) in enumerate(BOUND.items()):
        component = Path(guests) / f"{name}.wasm"
        digest = hashlib.sha256(component.read_bytes()).hexdigest()
        shutil.copyfile(component, store / f"sha256-{digest}.wasm")
        grants = ", ".join(f"{grant} = true" for grant in binding["grants"])
        text += (f'[[plugins.binding]]\nname = "{name}"\ndigest = "sha256:{digest}"\norder = {order}\n'
                 f'grants = {{ {grants} }}\nconfig = {_toml(binding["config"])}\n')
    Path(config).write_text(text)
    return list(BOUND)


def calls(ops):
    """How often the plugins of the node with this ops listener were called; ValueError if one is not well."""
    with urllib.request.urlopen(f"http://{ops}/v1/plugins", timeout=10) as answer:
        told = {plugin["name"]: plugin for plugin in json.load(answer)["plugins"]}
    total = 0
    for name in BOUND:
        plugin = told.get(name)
        if plugin is None or not plugin["loaded"] or plugin["breakerOpen"]:
            raise ValueError(f"{name}: {plugin}")
        for hook in plugin["hooks"]:
            if hook["failures"]:
                raise ValueError(f"{name}: {hook}")
            total += hook["calls"]
    if total == 0:
        raise ValueError("no plugin was called")
    return total


def _toml(value):
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{json.dumps(key)} = {_toml(inner)}" for key, inner in value.items()) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(_toml(inner) for inner in value) + "]"
    return json.dumps(value)
