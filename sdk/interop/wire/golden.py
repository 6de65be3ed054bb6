"""Keeps golden frames: one file per request code, direction, header encoding and outcome."""

import json
import os
import threading

from codes import NAMES
from remoting import BINARY, decode

LIMIT = 6 * 1024  # a golden frame is rich but small


class Golden:
    def __init__(self, directory, source, variant=None):
        self.directory, self.source, self.lock = directory, source, threading.Lock()
        self.variant = variant
        self.index_path = os.path.join(directory, "index.json")
        self.entries = {}
        if os.path.exists(self.index_path):
            with open(self.index_path) as file:
                self.entries = {row["file"]: row for row in json.load(file)}
        os.makedirs(directory, exist_ok=True)

    def keep(self, data, request_code, path, variant=None):
        """Keeps `data` (a whole frame) unless a richer one of its kind is there already."""
        frame = decode(data[4:])
        direction = "response" if frame.is_response else "request"
        parts = [f"{request_code}_{NAMES.get(request_code, 'unknown')}"]
        if frame.encoding == BINARY:
            parts.append("binary")
        if frame.is_response and frame.code:
            parts.append(f"code{frame.code}")
        if variant or self.variant:
            parts.append(variant or self.variant)
        name = ".".join(parts + [direction, "bin"])
        with self.lock:
            old = self.entries.get(name)
            if old and not richer(len(data), old["bytes"]):
                return
            if not old and len(data) > 24 * 1024:
                return
            with open(os.path.join(self.directory, name), "wb") as file:
                file.write(data)
            self.entries[name] = {
                "file": name, "code": request_code, "name": NAMES.get(request_code, "unknown"),
                "kind": direction, "path": path, "source": self.source,
                "encoding": "binary" if frame.encoding == BINARY else "json",
                "header_code": frame.code, "version": frame.version, "bytes": len(data)}

    def save(self):
        with self.lock, open(self.index_path, "w") as file:
            rows = sorted(self.entries.values(), key=lambda row: (row["code"], row["file"]))
            file.write("[\n" + ",\n".join(json.dumps(row) for row in rows) + "\n]\n")


def richer(new, old):
    """The largest frame within the limit wins; beyond it, the smallest."""
    if old > LIMIT:
        return new < old
    return old < new <= LIMIT
