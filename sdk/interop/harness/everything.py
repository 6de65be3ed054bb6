"""A node with everything switched on: each bundled plugin bound, at all of its hooks, in a way that lets the tests' traffic through."""

import hashlib
import json
import shutil
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


def _toml(value):
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{json.dumps(key)} = {_toml(inner)}" for key, inner in value.items()) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(_toml(inner) for inner in value) + "]"
    return json.dumps(value)
