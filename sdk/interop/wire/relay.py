"""A TCP relay that records remoting frames on their way and rewrites an address in flight.

Clients learn the broker's address from the name server. To stay between them and the broker,
the relay hands on its own address of the same length; what it records is the original.
"""

import socket
import struct
import threading

from remoting import decode


class Relay:
    def __init__(self, listen, target, label, golden, rewrite=None):
        self.target, self.label, self.golden = target, label, golden
        self.rewrite = [(a.encode(), b.encode()) for a, b in (rewrite or [])]
        assert all(len(a) == len(b) for a, b in self.rewrite), "addresses must have equal length"
        self.listener = socket.create_server(("127.0.0.1", listen))
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            client, _ = self.listener.accept()
            host, port = self.target.rsplit(":", 1)
            try:
                server = socket.create_connection((host, int(port)))
            except OSError:
                client.close()
                continue
            asked = {"up": {}, "down": {}}  # opaque -> request code, per asking side
            for source, sink, way in ((client, server, "up"), (server, client, "down")):
                threading.Thread(target=self._pump, args=(source, sink, way, asked),
                                 daemon=True).start()

    def _pump(self, source, sink, way, asked):
        buffer = b""
        try:
            while data := source.recv(1 << 16):
                buffer += data
                while len(buffer) >= 4:
                    total = struct.unpack(">i", buffer[:4])[0]
                    if len(buffer) < 4 + total:
                        break
                    frame, buffer = buffer[:4 + total], buffer[4 + total:]
                    self._record(frame, way, asked)
                    sink.sendall(self._rewritten(frame))
        except OSError:
            pass
        for end in (source, sink):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def _record(self, data, way, asked):
        try:
            frame = decode(data[4:])
        except Exception as error:  # keep relaying whatever it is
            print("relay: cannot decode", self.label, way, error)
            return
        path = f"client -> {self.label}" if way == "up" else f"{self.label} -> client"
        if frame.is_response:
            code = asked["down" if way == "up" else "up"].pop(frame.opaque, None)
            if code is None:
                return
        else:
            code = frame.code
            asked[way][frame.opaque] = code
        self.golden.keep(data, code, path)

    def _rewritten(self, frame):
        for old, new in self.rewrite:
            frame = frame.replace(old, new)
        return frame
