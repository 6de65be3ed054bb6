"""One remoting request from Python, to see when a server is ready: which brokers a name server knows."""

import json
import re
import socket
import struct
import time

GET_BROKER_CLUSTER_INFO = 106


def ask(address, code, fields=None, timeout=2.0):
    """Sends one request and returns (response code, body)."""
    header = json.dumps({"code": code, "language": "JAVA", "version": 473, "opaque": 1, "flag": 0,
                         "extFields": fields or {}}).encode()
    host, port = address.rsplit(":", 1)
    with socket.create_connection((host, int(port)), timeout=timeout) as connection:
        connection.settimeout(timeout)
        connection.sendall(struct.pack(">ii", 4 + len(header), len(header)) + header)
        length = struct.unpack(">i", _exactly(connection, 4))[0]
        frame = _exactly(connection, length)
    kind_and_length = struct.unpack(">i", frame[:4])[0]
    header_length = kind_and_length & 0xFFFFFF
    answer = json.loads(frame[4:4 + header_length])
    return answer["code"], frame[4 + header_length:]


def _exactly(connection, count):
    data = b""
    while len(data) < count:
        part = connection.recv(count - len(data))
        if not part:
            raise OSError("connection closed")
        data += part
    return data


def brokers(namesrv):
    """The broker addresses that a name server knows now; none while it does not answer."""
    try:
        code, body = ask(namesrv, GET_BROKER_CLUSTER_INFO)
    except (OSError, ValueError, struct.error):
        return set()
    # The Java server writes integer keys without quotes, which is not JSON.
    return set(re.findall(r'"?0"?:"([\d.]+:\d+)"', body.decode())) if code == 0 else set()


def wait_for_brokers(namesrv, expected, seconds, alive=lambda: None):
    """Waits until a name server knows all these brokers; `alive` raises if waiting has become pointless."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        known = brokers(namesrv)
        if set(expected) <= known:
            return
        alive()
        time.sleep(0.1)
    raise RuntimeError(f"after {seconds} s name server {namesrv} knows {sorted(brokers(namesrv))}, not {sorted(expected)}")
