"""Classes of faults of other brokers: lengths that lie, bodies that unfold, encryption that never rests. See SECURITY.md."""

import base64
import os
import selectors
import signal
import socket
import ssl
import struct
import subprocess
import threading
import zlib
from pathlib import Path

from certificates import Authority
from common import SEND, SUCCESS, Closed, Raw, Timeout, check, message, secret, until
from attacks import binary, frame, header, short
from remoting import Connection, Frame

KIB, MIB = 1 << 10, 1 << 20


def resident(process):
    """Bytes of memory of a process."""
    for line in Path(f"/proc/{process.pid}/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) * KIB
    raise RuntimeError("no VmRSS")


class Memory:
    """What a node grew by since, at most: it is looked at whenever it may have grown."""

    def __init__(self, node):
        self.node, self.before, self.most = node, resident(node.process), 0

    def look(self):
        self.most = max(self.most, resident(self.node.process) - self.before)

    def within(self, most, what):
        self.look()
        check(self.most <= most, f"{what}: {self.most / MIB:.0f} MiB more, {most / MIB:.0f} allowed")
        return f"{what} {self.most / MIB:.0f} MiB"


def serves(node):
    """Others are served, and the process is the same."""
    check(node.process.poll() is None, f"the process ended: {node.log()[-400:]}")
    for address in (node.broker, node.namesrv):
        raw = Raw(address, "admin")
        check(raw.call(26 if address == node.broker else 319).code == SUCCESS, f"{address} does not serve others")
        raw.close()


LIES = {
    "a frame of 15 MiB": struct.pack(">iI", 15 * MIB, 100) + b"{",
    "a header of 15 MiB": struct.pack(">iI", 15 * MIB, 15 * MIB - 5) + b"{",
    "a value of 2 GiB": frame(binary(short(b"topic", b"x", value_length=2**31 - 1)), kind=1),
    "a remark of 2 GiB": frame(binary(remark_length=2**31 - 1), kind=1),
    "fields of 1 GiB": frame(binary(ext_length=2**30), kind=1),
    "a batch of 2 GiB": frame(header(code=320, extFields=message("t") | {"m": "true"}), struct.pack(">i", 2**31 - 1) + b"x" * 40),
    "a list of 2^31 topics": frame(header(code=103, extFields=dict(brokerName="b", brokerAddr="127.0.0.1:1", clusterName="c", brokerId=0,
                                                                  haServerAddr="", compressed="true", bodyCrc32=0)),
                                   zlib.compress(b"\0\0\0\2{}" + b"\x7f\xff\xff\xff" * 2)),
}


def declared_lengths_reserve_nothing_cve_2022_34917_cve_2025_27533(server, _work):
    """Nobody has logged in; each keeps its connection, and says that much more will come."""
    node = server().authenticated().start()
    serves(node)
    memory, open_ones, count = Memory(node), [], 100
    for address in (node.broker, node.namesrv):
        for lie in LIES.values():
            for _ in range(count):
                one = Connection(address, 10)
                one.raw(lie)
                open_ones.append(one)
            memory.look()
    serves(node)
    # Each may have 4 KiB; lengths that cannot be are answered or closed at once.
    said = memory.within(len(open_ones) * 8 * KIB + 16 * MIB, f"{len(open_ones)} connections:")
    for one in open_ones:
        one.close()
    node.stop()
    return said


def half_requests_are_bounded_together_cve_2022_23913(server, _work):
    """As many bytes as the node takes, of requests that never end: before login, and after it."""
    node, good = server().authenticated().start(), header(code=SEND, extFields=message("t"))
    serves(node)
    memory, open_ones, part, taken = Memory(node), [], struct.pack(">iI", 15 * MIB, len(good)) + good + b"x" * (14 * MIB), []
    for user in (None, "admin"):
        selector = selectors.DefaultSelector()
        for _ in range(50):
            raw = Raw(node.broker, user)
            if user:
                check(raw.call(26).code == SUCCESS, "not let in")
            raw.connection.socket.setblocking(False)
            selector.register(raw.connection.socket, selectors.EVENT_WRITE, [0])
            open_ones.append(raw)
        # Until none of them takes anything for a second.
        while ready := selector.select(1) if selector.get_map() else []:
            for key, _ in ready:
                try:
                    key.data[0] += key.fileobj.send(part[key.data[0]:key.data[0] + MIB])
                    over = key.data[0] == len(part)
                except (BrokenPipeError, ConnectionResetError):
                    over = True
                if over:
                    taken.append(key.data[0])
                    selector.unregister(key.fileobj)
            memory.look()
        taken += [key.data[0] for key in selector.get_map().values()] if selector.get_map() else []
        serves(node)
    said = memory.within(320 * MIB, f"{sum(taken) / MIB:.0f} of {100 * len(part) / MIB:.0f} MiB taken:")
    for one in open_ones:
        one.close()
    node.stop()
    return said


def http_bodies_are_bounded_cve_2023_46118(server, _work):
    rules = "p, user:deployer, *, Plugin:*, Get|Update, -, allow\n"
    node = server().authenticated().authorized(rules).start()
    node.user("deployer")
    serves(node)
    host, port = node.ops.split(":")
    memory, said = Memory(node), []

    def pours(head, chunk, most):
        """How many bytes are taken, and the status that is answered."""
        with socket.create_connection((host, int(port)), 20) as one:
            one.sendall(head)
            sent = 0
            try:
                while sent < most:
                    one.sendall(chunk)
                    sent += len(chunk)
                    memory.look()
            except (BrokenPipeError, ConnectionResetError):
                pass
            try:
                answer = one.recv(64)
            except ConnectionResetError:
                answer = b""
            return sent, int(answer.split()[1]) if answer.startswith(b"HTTP/1.1 ") else None

    login = base64.b64encode(f"deployer:{secret('deployer')}".encode()).decode()
    for who in ("", f"authorization: Basic {login}\r\n"):
        for what, length, chunk in (("a length", f"content-length: {1 << 40}", b"x" * MIB),
                                    ("chunks", "transfer-encoding: chunked", b"100000\r\n" + b"x" * MIB + b"\r\n")):
            for method, path in (("POST", "/v1/plugins/deploy"), ("PUT", "/v1/plugins/components?digest=sha256:" + "0" * 64)):
                sent, status = pours(f"{method} {path} HTTP/1.1\r\nhost: x\r\n{who}{length}\r\n\r\n".encode(), chunk, 1 << 30)
                check(sent < 1 << 30, f"{method} {path}, {what}: all is taken")
                check(status in ((400, 413, None) if who else (401, None)), f"{method} {path}, {what}: {status}")
                said.append(sent)
    sent, status = pours(b"GET /healthz HTTP/1.1\r\n", b"x-more: " + b"y" * 65_000 + b"\r\n", 1 << 28)
    check(sent < 1 << 28 and status in (400, 431, None), f"endless headers: {sent} bytes, {status}")
    check(node.http("/healthz")[0] == 200, "health")
    serves(node)
    told = memory.within(160 * MIB, "memory:")
    node.stop()
    return f"{len(said)} bodies of 1 GiB and endless headers ended early; {told}"


def bomb(size):
    """A compressed report that says that it is one of as many bytes, all zeros."""
    packer, zeros = zlib.compressobj(9), b"\0" * MIB
    return packer.compress(struct.pack(">i", size - 4)) + b"".join(packer.compress(zeros) for _ in range(size // MIB)) + packer.flush()


def what_unfolds_is_bounded_cve_2023_34455(server, _work):
    node = server().start()
    memory, large, at_once = Memory(node), bomb(1 << 30), 6
    report = dict(brokerAddr="127.0.0.1:1", clusterName="c", brokerId=0, haServerAddr="", compressed="true", bodyCrc32=zlib.crc32(large))
    for body in (bomb(64 * MIB), large):
        raws = [Raw(node.namesrv) for _ in range(at_once)]
        sent = [(raw, raw.begin(103, report | {"brokerName": f"bomb{number}"}, body)) for number, raw in enumerate(raws)]
        memory.look()
        for raw, opaque in sent:
            check(raw.end(opaque, 300).code != SUCCESS, "a bomb is a report")
            memory.look()
            raw.close()
    # A report may have 64 MiB, in memory that is doubled, and each core unpacks one at a time.
    said = memory.within((os.cpu_count() * 256 + 128) * MIB, f"{at_once} GiB at once:")
    # Messages are stored as they come; it is who reads them that unfolds: our own client.
    node.admin("topic", "create", "bombs", "--queues", "1", user=None)
    raw = Raw(node.broker)
    check(raw.call(SEND, message("bombs") | {"f": 1}, large).code == SUCCESS, "a message of 1 MiB")
    check(raw.call(SEND, message("bombs"), b"after it").code == SUCCESS, "a message")
    child = subprocess.Popen([str(node.binary), "consume", "bombs", "--group", "g", "--namesrv", node.namesrv], stdout=subprocess.PIPE,
                             stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL)
    told = child.stdout.read()
    _, status, used = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    check(b"after it" in told, f"the message behind it is not read: {told[-200:]}")
    check(used.ru_maxrss * KIB < 512 * MIB and len(told) < 32 * MIB, f"the client takes {used.ru_maxrss // KIB} MiB and prints {len(told)} bytes")
    node.stop()
    return f"{said}; our client {used.ru_maxrss // KIB} MiB"


def lies_about_lengths_smuggle_nothing_cve_2025_66168_cve_2026_40046(server, _work):
    """A whole request is hidden in, and behind, frames whose lengths are not true."""
    node = server().start()
    hidden = Frame(17, dict(topic="smuggled", defaultTopic="TBW102", readQueueNums=1, writeQueueNums=1, perm=6, topicFilterType="SINGLE_TAG",
                            topicSysFlag=0, order="false"), opaque=99).encode()
    good, count = header(), 0
    totals = [-2**31, -len(hidden), -4, -1, 0, 1, 3, 4, 4 + len(good) - 1, 16 * MIB + 1, 2**31 - 4, 2**31 - 1]
    lengths = [0, 1, len(good) - 1, len(good) + 1, len(good) + len(hidden), 0xFFFFFF]
    tries = [struct.pack(">iI", total, len(good)) + good + hidden for total in totals]
    tries += [struct.pack(">iI", 4 + len(good) + len(hidden), length) + good + hidden for length in lengths]
    # True lengths: what is inside of a body stays there.
    tries += [frame(good, hidden), frame(header(code=310, extFields=message("kept")), hidden)]
    for address in (node.broker, node.namesrv):
        for data in tries:
            one = Connection(address, 5)
            try:
                one.raw(data)
                one.socket.shutdown(socket.SHUT_WR)
                while True:
                    check(one.next().opaque != 99, f"the hidden request was answered: {data[:8].hex()}")
            except (Closed, Timeout, OSError, ValueError):
                pass
            one.close()
            count += 1
    raw = Raw(node.broker)
    topics = raw.call(21).body.decode()
    check("smuggled" not in topics, "the hidden request was carried out")
    # And it is one that would have been.
    raw.connection.raw(hidden)
    check(raw.connection.answer(99).code == SUCCESS and "smuggled" in raw.call(21).body.decode(), "it does nothing anyway")
    node.stop()
    return f"{count} frames"


class Deaf:
    """Passes bytes on to a server, and from one moment on none back."""

    def __init__(self, address):
        host, port = address.rsplit(":", 1)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port, self.is_deaf = self.listener.getsockname()[1], threading.Event()

        def run():
            client, _ = self.listener.accept()
            there = socket.create_connection((host, int(port)))

            def back():
                try:
                    while data := there.recv(1 << 16):
                        if self.is_deaf.is_set():
                            return
                        client.sendall(data)
                except OSError:
                    pass
            threading.Thread(target=back, daemon=True).start()
            try:
                while data := client.recv(1 << 16):
                    there.sendall(data)
            except OSError:
                pass
            there.close()
        threading.Thread(target=run, daemon=True).start()


def encrypted(server, work, **more):
    authority = Authority(str(work / "ca"))
    cert, key = authority.issue("server", "IP:127.0.0.1")
    return server(**{"tls.mode": "permissive", "tls.cert": cert, "tls.key": key} | more), authority


def new_keys_without_end_cost_nothing_cve_2026_39304(server, work):
    node, authority = encrypted(server, work)
    node.authenticated().start()
    serves(node)
    memory, updates, said = Memory(node), 5_000, []
    for deaf in (False, True):
        relay = Deaf(node.broker)
        client = subprocess.Popen(["openssl", "s_client", "-connect", f"127.0.0.1:{relay.port}", "-CAfile", authority.cert, "-tls1_3"],
                                  stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        while b"Verify return code" not in client.stdout.readline():
            check(client.poll() is None, "no handshake")
        if deaf:
            relay.is_deaf.set()
        sent = 0
        try:
            while sent < updates:
                # One line of input at a time: of several it looks at the first only.
                client.stdin.write(b"K\n")
                client.stdin.flush()
                while b"KEYUPDATE" not in (line := client.stdout.readline()):
                    if not line:
                        raise BrokenPipeError
                sent += 1
        except BrokenPipeError:
            pass
        memory.look()
        serves(node)
        check(sent < updates, f"all of {updates} new keys are taken")
        said.append(sent)
        client.kill()
        client.wait()
        relay.listener.close()
    told = memory.within(16 * MIB, "memory:")
    node.stop()
    return f"{said[0]} new keys of a client that reads until it is closed, {said[1]} of one that does not; {told}"


def damaged_revocation_lists_are_refused_ghsa_82j2_j2ch_gfr8(server, work):
    node, authority = encrypted(server, work)
    good = Path(authority.crl).read_bytes()
    der = base64.b64decode(b"".join(good.splitlines()[1:-1]))

    def pem(data):
        text = base64.encodebytes(data).decode()
        return f"-----BEGIN X509 CRL-----\n{text}-----END X509 CRL-----\n".encode()

    damaged = [b"", b"x", good[:len(good) // 2], pem(b""), pem(b"\x30"), pem(b"\x30\x84\xff\xff\xff\xff"), pem(der[:-1]), pem(der + b"\0")]
    damaged += [pem(der[:at] + bytes([der[at] ^ flip]) + der[at + 1:]) for at in range(0, len(der), 7) for flip in (0x80, 0xff)]
    node.settings |= {"tls.client_auth": "optional", "tls.client_ca": authority.cert, "tls.client_crl": authority.crl, "tls.reload_ms": 600_000}
    node.start()
    member = authority.issue("member", "URI:spiffe://example.org/member")

    def comes_in(cert):
        try:
            raw = Raw(node.broker, root=authority.cert, cert=cert)
            answer = raw.call(26)
            raw.close()
            return answer.code == SUCCESS
        except (ssl.SSLError, Closed, ConnectionError):
            return False

    authority.revoke(member[0])
    revoking = Path(authority.crl).read_bytes()
    other = authority.issue("other", "URI:spiffe://example.org/other")
    count = lambda words: node.log().count(words)

    def is_taken(content):
        refused, taken = "changed certificates are not taken", "certificates were read again"
        before = count(refused), count(taken)
        Path(authority.crl).write_bytes(content)
        node.process.send_signal(signal.SIGHUP)
        until("a word on the list", lambda: (count(refused), count(taken)) != before)
        return count(taken) > before[1]

    check(is_taken(revoking) and not comes_in(member) and comes_in(other), "the list that is good is not in force")
    check(not is_taken(pem(der[:-1] + bytes([der[-1] ^ 1]))), "a list with a wrong signature is taken")
    check(comes_in(other), "a list that was not taken keeps somebody out")
    taken = 0
    for content in damaged:
        if is_taken(content):
            # It names somebody who is no root: it may be of an authority below one. Nobody is let in by it.
            taken += 1
            check(not comes_in(member) and not comes_in(other), "a list with a wrong signature is believed")
            check(is_taken(revoking), "the good one again")
        else:
            check(not comes_in(member), "a damaged list lets the revoked one in")
        check(node.process.poll() is None, "it ended")
    check(comes_in(other), "another one is kept out")
    node.stop()
    log = "".join(path.read_text() for path in node.work.glob("*.log"))
    check("panicked" not in log, "it panicked")
    started = 0
    for content in damaged[:8]:
        Path(authority.crl).write_bytes(content)
        command = [str(node.binary), "standalone", "--data", str(node.work / "fresh"), "--namesrv-listen", "0", "--broker-listen", "0", "--ops-listen", "off"]
        command += [word for key, value in node.settings.items() for word in ("--set", f"{key}={value}")]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        check(done.returncode not in (0, 101) and "panicked" not in done.stderr and "crl" in done.stderr.lower(), f"{done.returncode} {done.stderr[-300:]}")
        started += 1
    return f"{len(damaged) - taken} damaged lists not taken, {taken} let nobody in; {started} at the start"


SCENES = [declared_lengths_reserve_nothing_cve_2022_34917_cve_2025_27533, half_requests_are_bounded_together_cve_2022_23913,
          http_bodies_are_bounded_cve_2023_46118, what_unfolds_is_bounded_cve_2023_34455,
          lies_about_lengths_smuggle_nothing_cve_2025_66168_cve_2026_40046, new_keys_without_end_cost_nothing_cve_2026_39304,
          damaged_revocation_lists_are_refused_ghsa_82j2_j2ch_gfr8]
