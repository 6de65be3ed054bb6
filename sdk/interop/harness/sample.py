"""The sample plugin that does what it is told, in any version."""

import json

HOOKS = ["connection", "authenticate", "authorize", "before-send", "after-append", "pull", "before-deliver", "ack",
         "admin-command", "broker-registration", "route-query", "enrich-span", "audit-sink"]
GRANTS = {"log": True, "metrics": True, "clock": True, "kv": True, "message-bodies": True}


def number(value):
    """A number as WebAssembly writes it."""
    out = bytearray()
    while True:
        value, byte = value >> 7, value & 0x7F
        out.append(byte | (0x80 if value else 0))
        if not value:
            return bytes(out)


def packed(component, version, plugin="conformance", hooks=tuple(HOOKS), asks=tuple(GRANTS)):
    """A component, the sample if nothing else is said, with a manifest in it, in the one spelling."""
    text = f'name = "{plugin}"\nversion = "{version}"\nabi = "0.1"\n'
    text += f"hooks = {json.dumps(hooks)}\nasks = {json.dumps(asks)}\n"
    name = b"blockhouse:manifest"
    inside = number(len(name)) + name + text.encode()
    return component + b"\0" + number(len(inside)) + inside
