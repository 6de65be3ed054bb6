"""A tiny RocketMQ remoting client: frames, both header encodings, one connection.

It is deliberately dumb: it sends exactly what a test asks for, including nonsense,
and decodes what comes back without judging it.
"""

import json
import socket
import struct
import time
from dataclasses import dataclass, field

JSON, BINARY = 0, 1
RESPONSE, ONEWAY = 1, 2  # bits of `flag`
LANGUAGES = ["JAVA", "CPP", "DOTNET", "PYTHON", "DELPHI", "ERLANG", "RUBY", "OTHER", "HTTP",
             "GO", "PHP", "OMS", "RUST", "NODE_JS"]
V4_9_3, V5_4_0 = 399, 493  # ordinals in RocketMQ's version enum; 5.4.0 only has to be "new"


@dataclass
class Frame:
    code: int
    ext: dict = field(default_factory=dict)
    body: bytes = b""
    remark: str | None = None
    opaque: int = 0
    flag: int = 0
    version: int = V5_4_0
    language: str = "JAVA"
    encoding: int = JSON

    @property
    def is_response(self):
        return bool(self.flag & RESPONSE)

    def encode(self):
        header = self._json() if self.encoding == JSON else self._binary()
        mark = (self.encoding << 24) | len(header)
        return struct.pack(">ii", 4 + len(header) + len(self.body), mark) + header + self.body

    def _json(self):
        head = {"code": self.code, "extFields": {k: str(v) for k, v in self.ext.items()},
                "flag": self.flag, "language": self.language, "opaque": self.opaque,
                "serializeTypeCurrentRPC": "JSON", "version": self.version}
        if self.remark is not None:
            head["remark"] = self.remark
        return json.dumps(head, ensure_ascii=False).encode()

    def _binary(self):
        language = LANGUAGES.index(self.language) if self.language in LANGUAGES else 7
        remark = (self.remark or "").encode()
        fields = b""
        for name, value in self.ext.items():
            name, value = name.encode(), str(value).encode()
            fields += struct.pack(">h", len(name)) + name + struct.pack(">i", len(value)) + value
        head = struct.pack(">hbhii", self.code, language, self.version, self.opaque, self.flag)
        return head + struct.pack(">i", len(remark)) + remark + struct.pack(">i", len(fields)) + fields


def decode(data):
    """Decodes what follows the 4-byte total length."""
    mark = struct.unpack(">i", data[:4])[0]
    encoding, length = (mark >> 24) & 0xFF, mark & 0xFFFFFF
    header, body = data[4:4 + length], data[4 + length:]
    if encoding == JSON:
        head = json.loads(header)
        return Frame(head["code"], head.get("extFields") or {}, body, head.get("remark"),
                     head.get("opaque", 0), head.get("flag", 0), head.get("version", 0),
                     head.get("language", "JAVA"), JSON)
    code, language, version, opaque, flag, size = struct.unpack(">hbhiii", header[:17])
    remark = header[17:17 + size].decode() or None
    ext, at = {}, 17 + size + 4
    while at < len(header):
        n = struct.unpack(">h", header[at:at + 2])[0]
        name = header[at + 2:at + 2 + n].decode()
        at += 2 + n
        n = struct.unpack(">i", header[at:at + 4])[0]
        ext[name] = header[at + 4:at + 4 + n].decode()
        at += 4 + n
    name = LANGUAGES[language] if 0 <= language < len(LANGUAGES) else "OTHER"
    return Frame(code, ext, body, remark, opaque, flag, version, name, BINARY)


class Closed(Exception):
    """The server closed the connection."""


class Timeout(Exception):
    """No answer in time."""


class Connection:
    def __init__(self, address, timeout=5.0):
        host, port = address.rsplit(":", 1)
        self.socket = socket.create_connection((host, int(port)), timeout)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.timeout, self.opaque, self.buffer = timeout, 0, b""
        self.pushed = []      # requests the server sent to us (notices)
        self.responder = None  # frame -> reply Frame, or None for silence

    def close(self):
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def numbered(self, frame):
        """The bytes of a frame that is this connection's next one."""
        self.opaque += 1
        frame.opaque = self.opaque
        return frame.encode()

    def send(self, frame):
        self.raw(self.numbered(frame))
        return frame.opaque

    def raw(self, data):
        try:
            self.socket.sendall(data)
        except (BrokenPipeError, ConnectionResetError) as error:
            raise Closed() from error

    def next_bytes(self, timeout=None):
        """The next frame's bytes, total length included."""
        deadline = time.monotonic() + (timeout or self.timeout)
        while True:
            if len(self.buffer) >= 4:
                total = struct.unpack(">i", self.buffer[:4])[0]
                if len(self.buffer) >= 4 + total:
                    frame, self.buffer = self.buffer[:4 + total], self.buffer[4 + total:]
                    return frame
            left = deadline - time.monotonic()
            if left <= 0:
                raise Timeout()
            self.socket.settimeout(left)
            try:
                data = self.socket.recv(1 << 16)
            except socket.timeout as error:
                raise Timeout() from error
            except ConnectionResetError as error:
                raise Closed() from error
            if not data:
                raise Closed()
            self.buffer += data

    def next(self, timeout=None):
        return decode(self.next_bytes(timeout)[4:])

    def answer(self, opaque, timeout=None):
        """Waits for the response to `opaque`; requests from the server are kept or answered."""
        while True:
            frame = self.next(timeout)
            if frame.is_response:
                if frame.opaque == opaque:
                    return frame
                continue
            self.pushed.append(frame)
            reply = self.responder(frame) if self.responder else None
            if reply is not None:
                reply.opaque, reply.flag = frame.opaque, RESPONSE
                self.raw(reply.encode())

    def call(self, code, ext=None, body=b"", timeout=None, **head):
        frame = Frame(code, dict(ext or {}), body, **head)
        return self.answer(self.send(frame), timeout)
