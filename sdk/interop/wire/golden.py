"""Keeps golden frames: one file per request code, direction, header encoding and outcome."""

import json
import os
import threading

from codes import NAMES
from remoting import BINARY, decode

LIMIT = 6 * 1024  # a golden frame is rich but small


class Golden:
    def __init__(self, directory, source, variant=None, mask=None):
        self.directory, self.source, self.variant = directory, source, variant
        self.lock = threading.Lock()
        self.mask = [part.encode() for part in mask.split("=")] if mask else None
        assert not self.mask or len(self.mask[0]) == len(self.mask[1]), "a mask keeps the length"
        self.index_path = os.path.join(directory, "index.json")
        self.entries, self.sources = {}, []
        os.makedirs(directory, exist_ok=True)
        if os.path.exists(self.index_path):
            with open(self.index_path) as file:
                index = json.load(file)
            self.sources = index["sources"]
            self.entries = {row["file"]: row for row in index["frames"]}
        if source not in self.sources:
            self.sources.append(source)

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
        if self.mask:
            data = data.replace(*self.mask)
        with self.lock:
            old = self.entries.get(name)
            if old and not richer(len(data), old["bytes"]):
                return
            if not old and len(data) > 24 * 1024:
                return
            with open(os.path.join(self.directory, name), "wb") as file:
                file.write(data)
            self.entries[name] = {
                "file": name, "request_code": request_code, "header_code": frame.code, "path": path,
                "source": self.sources.index(self.source), "bytes": len(data)}

    def save(self):
        """`request_code` is the conversation's, `header_code` what this header carries."""
        with self.lock, open(self.index_path, "w") as file:
            rows = sorted(self.entries.values(), key=lambda row: (row["request_code"], row["file"]))
            file.write('{"sources":' + json.dumps(self.sources, indent=1) + ',\n"frames":[\n')
            file.write(",\n".join(json.dumps(row, separators=(",", ":")) for row in rows) + "\n]}\n")


def richer(new, old):
    """The largest frame within the limit wins; beyond it, the smallest."""
    if old > LIMIT:
        return new < old
    return old < new <= LIMIT
