"""One remoting request from Python, to see when a server is ready: which brokers a name server knows."""

import json
import re
import socket
import struct
import time

GET_BROKER_CLUSTER_INFO = 106


def ask(address, code, fields=None, timeout=2.0, body=b""):
    """Sends one request and returns (response code, body)."""
    header, answered = exchange(address, code, fields, timeout, body)
    return header["code"], answered


def exchange(address, code, fields=None, timeout=2.0, body=b""):
    """Sends one request and returns (header, body) of the response."""
    header = json.dumps({"code": code, "language": "JAVA", "version": 473, "opaque": 1, "flag": 0,
                         "extFields": fields or {}}).encode()
    host, port = address.rsplit(":", 1)
    with socket.create_connection((host.strip("[]"), int(port)), timeout=timeout) as connection:
        connection.settimeout(timeout)
        connection.sendall(struct.pack(">ii", 4 + len(header) + len(body), len(header)) + header + body)
        length = struct.unpack(">i", _exactly(connection, 4))[0]
        frame = _exactly(connection, length)
    kind_and_length = struct.unpack(">i", frame[:4])[0]
    header_length = kind_and_length & 0xFFFFFF
    return json.loads(frame[4:4 + header_length]), frame[4 + header_length:]


def _exactly(connection, count):
    data = b""
    while len(data) < count:
        part = connection.recv(count - len(data))
        if not part:
            raise OSError("connection closed")
        data += part
    return data


def brokers(namesrv, user=None):
    """The broker addresses that a name server knows now; none while it does not answer. `user` is who asks a secured one."""
    try:
        code, body = (user.ask if user else ask)(namesrv, GET_BROKER_CLUSTER_INFO)
    except (OSError, ValueError, struct.error):
        return set()
    # The Java server writes integer keys without quotes, which is not JSON.
    return set(re.findall(r'"?0"?:"([\d.]+:\d+|\[?[\da-f:]+\]?:\d+)"', body.decode())) if code == 0 else set()


def wait_for_brokers(namesrv, expected, seconds, alive=lambda: None, user=None):
    """Waits until a name server knows all these brokers; `alive` raises if waiting has become pointless."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        known = brokers(namesrv, user)
        if set(expected) <= known:
            return
        alive()
        time.sleep(0.1)
    raise RuntimeError(f"after {seconds} s name server {namesrv} knows {sorted(brokers(namesrv, user))}, not {sorted(expected)}")


def wait_until(true, seconds, what, alive=lambda: None):
    """Waits until `true` gives something; `alive` raises if waiting has become pointless."""
    deadline = time.monotonic() + seconds
    while not true():
        alive()
        if time.monotonic() > deadline:
            raise RuntimeError(f"not in {seconds} s: {what}")
        time.sleep(0.1)


def listens(address):
    """Whether something accepts connections there."""
    host, port = address.rsplit(":", 1)
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=1.0).close()
    except OSError:
        return False
    return True
