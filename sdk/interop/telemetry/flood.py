"""Very many requests over one connection, as fast as Python makes them: each burst is one write, and of answers only the code is looked at."""

import json
import os
import re
import socket
import struct
import sys
from collections import Counter

sys.path[:0] = [os.path.join(os.path.dirname(os.path.abspath(__file__)), "../wire")]
from remoting import Closed

BURST = 500
CODE = re.compile(rb'"code":(-?\d+)')
REMARK = re.compile(rb'"remark":"((?:[^"\\]|\\.)*)"')


def quoted(text):
    return json.dumps(text, ensure_ascii=False)


def fields(**values):
    """The fields of a header, where `{n}` may stand for the number of a request."""
    return ",".join(f'"{name}":"{value}"' for name, value in values.items())


class Flood:
    """One connection. `codes` counts answers, `remarks` has the last sentence of each code."""

    def __init__(self, address):
        host, port = address.rsplit(":", 1)
        self.socket = socket.create_connection((host, int(port)), 60)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.opaque, self.buffer = 0, b""
        self.codes, self.remarks = Counter(), {}

    def close(self):
        self.socket.close()

    def frame(self, code, ext, body=b"", version=493, language="JAVA"):
        self.opaque += 1
        header = (f'{{"code":{code},"language":"{language}","version":{version},"opaque":{self.opaque},"flag":0,'
                  f'"serializeTypeCurrentRPC":"JSON","extFields":{{{ext}}}}}').encode()
        return struct.pack(">ii", 4 + len(header) + len(body), len(header)) + header + body

    def send(self, frames, burst=BURST):
        """Sends the frames; the answers' codes, counted. A notice of the server's is passed over."""
        sent, codes = 0, Counter()
        waiting = []
        for frame in frames:
            waiting.append(frame)
            if len(waiting) == burst:
                sent += self._burst(waiting, codes)
                waiting = []
        sent += self._burst(waiting, codes)
        self.codes += codes
        return codes

    def _burst(self, frames, codes):
        self.socket.sendall(b"".join(frames))
        left = len(frames)
        while left:
            header = self._header()
            # The server asks things, too.
            if b'"flag":1' not in header and b'"flag":3' not in header:
                continue
            code = int(CODE.search(header)[1])
            codes[code] += 1
            if code and (said := REMARK.search(header)):
                self.remarks[code] = said[1].decode()
            left -= 1
        return len(frames)

    def _header(self):
        while len(self.buffer) < 8 or len(self.buffer) < 4 + struct.unpack_from(">i", self.buffer)[0]:
            data = self.socket.recv(1 << 20)
            if not data:
                raise Closed()
            self.buffer += data
        total, mark = struct.unpack_from(">ii", self.buffer)
        header, self.buffer = self.buffer[8:8 + (mark & 0xFFFFFF)], self.buffer[4 + total:]
        return header


def heartbeat(client_id, producers=(), consumers=()):
    """The body of a heartbeat; nothing in it is looked at before it is sent."""
    member = ('{{"groupName":{},"consumeType":"CONSUME_PASSIVELY","messageModel":"CLUSTERING","consumeFromWhere":"CONSUME_FROM_FIRST_OFFSET",'
              '"subscriptionDataSet":[],"unitMode":false}}')
    made = ",".join(f'{{"groupName":{quoted(group)}}}' for group in producers)
    used = ",".join(member.format(quoted(group)) for group in consumers)
    return f'{{"clientID":{quoted(client_id)},"producerDataSet":[{made}],"consumerDataSet":[{used}]}}'.encode()


def sending(topic, tag=None, body=b"x"):
    """The fields of a send to queue 0."""
    properties = "" if tag is None else f"TAGS\\u0001{tag}\\u0002"
    return fields(a="flood", b=topic, c="TBW102", d=1, e=0, f=0, g=1_700_000_000_000, h=0, i=properties, j=0, k="false", m="false")


def pulling(group, topic, offset=0, most=1):
    return fields(consumerGroup=group, topic=topic, queueId=0, queueOffset=offset, maxMsgNums=most, sysFlag=4, commitOffset=0,
                  suspendTimeoutMillis=0, subscription="*", subVersion=0, expressionType="TAG")


def committing(group, topic, offset, queue=0):
    return fields(consumerGroup=group, topic=topic, queueId=queue, commitOffset=offset)
