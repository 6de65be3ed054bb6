"""A collector that takes what spans are sent to it, over OTLP and gRPC: of HTTP/2 it knows what our exporter needs, and it looks into nothing."""

import socket
import struct
import threading

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, SETTINGS, PING, WINDOW_UPDATE = 0, 1, 4, 6, 8
ACK = END_STREAM = 1
END_HEADERS = 4


def literal(name, value):
    """A header as HPACK writes it without a table."""
    return b"\0" + bytes([len(name)]) + name + bytes([len(value)]) + value


ANSWER = b"\x88" + literal(b"content-type", b"application/grpc")  # 0x88 is `:status: 200`
FINE = literal(b"grpc-status", b"0")
NOTHING = b"\0" * 5  # an empty message


class Sink:
    """Listens on a port of its own as long as the driver lives, and counts the bytes that it took."""

    def __init__(self):
        self.taken = 0
        listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        threading.Thread(target=self._listen, args=(listener,), daemon=True).start()

    def _listen(self, listener):
        while True:
            threading.Thread(target=self._serve, args=(listener.accept()[0],), daemon=True).start()

    def _serve(self, link):
        with link, link.makefile("rwb") as stream:
            if stream.read(len(PREFACE)) != PREFACE:
                return
            self._write(stream, SETTINGS, 0, 0)
            while len(head := stream.read(9)) == 9:
                length, kind, flags, number = int.from_bytes(head[:3], "big"), head[3], head[4], int.from_bytes(head[5:], "big")
                self._answer(stream, kind, flags, number, stream.read(length))

    def _answer(self, stream, kind, flags, number, payload):
        if kind in (SETTINGS, PING) and not flags & ACK:
            self._write(stream, kind, ACK, 0, payload if kind == PING else b"")
        if kind == DATA and payload:
            self.taken += len(payload)
            self._write(stream, WINDOW_UPDATE, 0, 0, struct.pack(">I", len(payload)))
        if kind in (DATA, HEADERS) and flags & END_STREAM:
            self._write(stream, HEADERS, END_HEADERS, number, ANSWER)
            self._write(stream, DATA, 0, number, NOTHING)
            self._write(stream, HEADERS, END_HEADERS | END_STREAM, number, FINE)

    @staticmethod
    def _write(stream, kind, flags, number, payload=b""):
        stream.write(len(payload).to_bytes(3, "big") + bytes([kind, flags]) + number.to_bytes(4, "big") + payload)
        stream.flush()
