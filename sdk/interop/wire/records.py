"""Reads stored records (the body of pull, query and view answers) and writes batch bodies."""

import struct

V2_MAGIC = 0xDAA320AB


def parse_properties(text):
    pairs = (entry.split("\x01", 1) for entry in text.split("\x02") if "\x01" in entry)
    return dict(pairs)


def format_properties(properties):
    return "".join(f"{name}\x01{value}\x02" for name, value in properties.items())


def decode_all(data):
    out = []
    while data:
        size = struct.unpack(">i", data[:4])[0]
        if size <= 0 or size > len(data):
            raise ValueError(f"record of {size} bytes in {len(data)}")
        out.append(decode_one(data[:size]))
        data = data[size:]
    return out


def decode_one(data):
    _, magic, crc, queue, flag, queue_offset, phys, sys_flag, born = struct.unpack(">iIIiiqqiq", data[:48])
    at = 48
    hosts = []
    for bit in (16, 32):
        length = 20 if sys_flag & bit else 8
        hosts.append(data[at:at + length].hex())
        at += length
        if bit == 16:
            stored = struct.unpack(">q", data[at:at + 8])[0]
            at += 8
    reconsumed, prepared, length = struct.unpack(">iqi", data[at:at + 16])
    at += 16
    body, at = data[at:at + length], at + length
    width = 2 if magic == V2_MAGIC else 1
    length, at = int.from_bytes(data[at:at + width], "big"), at + width
    topic, at = data[at:at + length].decode(), at + length
    length, at = struct.unpack(">h", data[at:at + 2])[0], at + 2
    return {"magic": hex(magic), "crc": crc, "queueId": queue, "flag": flag, "queueOffset": queue_offset,
            "physicalOffset": phys, "sysFlag": sys_flag, "bornTimestamp": born, "bornHost": hosts[0],
            "storeTimestamp": stored, "storeHost": hosts[1], "reconsumeTimes": reconsumed,
            "preparedOffset": prepared, "body": body.decode("latin1"), "topic": topic,
            "properties": parse_properties(data[at:at + length].decode()), "end": len(data) - at - length}


def batch(*messages):
    """A batch body from (body, properties) pairs."""
    out = b""
    for body, properties in messages:
        text = format_properties(properties).encode()
        out += struct.pack(">iiiii", 22 + len(body) + len(text), 0, 0, 0, len(body)) + body
        out += struct.pack(">h", len(text)) + text
    return out
