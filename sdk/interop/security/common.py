"""Processes of ours with everything of security on, requests that are signed, and a line for each scene."""

import argparse
import base64
import fnmatch
import os
import socket
import ssl
import subprocess
import sys
import time
import traceback
import urllib.error
import urllib.request
from pathlib import Path

sys.dont_write_bytecode = True
HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "wire"), str(HERE.parent), str(HERE)]
from harness.ending import unwind_on_sigterm, work_directory
from remoting import Closed, Connection, Frame, Timeout
from signing import signed

SUCCESS, NOT_SUPPORTED, NO_PERMISSION = 0, 3, 16
PULL, SEND = 11, 310


class Wrong(Exception):
    """The server did what it must not do."""


class Skipped(Exception):
    """It cannot be tried here, and why."""


def check(fine, text):
    if not fine:
        raise Wrong(text)


def private(path, text):
    path = Path(path)
    path.write_text(text)
    path.chmod(0o600)
    return path


def until(what, fine, seconds=15.0):
    """Waits until `fine()` gives something true, and gives it."""
    deadline = time.monotonic() + seconds
    while not (found := fine()):
        check(time.monotonic() < deadline, f"not within {seconds} s: {what}")
        time.sleep(0.01)  # a poll with a deadline
    return found


def secret(name):
    return f"canary-{name}-secret"


class Server:
    """A process of ours; with `admin` as its Super user where it authenticates."""

    def __init__(self, binary, work, role="standalone", label="node", options=(), **settings):
        self.binary, self.role, self.work = binary, role, Path(work) / label
        self.work.mkdir(parents=True)
        self.data, self.options, self.process, self.runs = self.work / "data", list(options), None, 0
        # A full disk is no matter here, and small files make a start short.
        self.settings = {f"store.disk_{name}_percent": 100 for name in ("clean", "force_clean", "max_used")} | {
            "store.segment_size": "8MiB", "store.write_buffer_size": "5MiB"} | settings
        self.root, self.scheme, self.guests = None, "http", None
        self.listen, self.prefix, self.level = "0", [], "debug"
        self.broker_listen = None  # if it is not as the name server
        self.ops_listen = "0"

    def authenticated(self, **more):
        self.settings |= {"authn.enabled": "true", "authn.key_file": self.work / "users.key",
                          "authn.initial_user_file": private(self.work / "admin", f"admin:{secret('admin')}\n")} | more
        return self

    def authorized(self, rules, **more):
        policies = self.work / "policies"
        policies.mkdir(exist_ok=True)
        (policies / "rules.csv").write_text(rules)
        self.settings |= {"authz.enabled": "true", "authz.policies": policies} | more
        return self

    def start(self, seconds=60):
        self.runs += 1
        out, log = self.work / f"{self.runs}.out", self.work / f"{self.runs}.log"
        command = [*self.prefix, str(self.binary), self.role, "--data", str(self.data), "--ops-listen", self.ops_listen, "--log", self.level, *self.options]
        command += ["--namesrv-listen", self.listen] if self.role != "broker" else []
        command += ["--broker-listen", self.broker_listen or self.listen] if self.role != "namesrv" else []
        for key, value in self.settings.items():
            command += ["--set", f"{key}={value}"]
        with open(out, "w") as o, open(log, "w") as l:
            self.process = subprocess.Popen(command, stdout=o, stderr=l, stdin=subprocess.DEVNULL)
        deadline = time.monotonic() + seconds
        while "ready" not in (said := out.read_text().splitlines()):
            check(self.process.poll() is None, f"did not start: {log.read_text()[-600:]}")
            check(time.monotonic() < deadline, "not ready")
            time.sleep(0.02)
        address = {}
        for line in said:
            if "listening on" in line:
                address.setdefault(line.split()[0], line.split()[-1])
        self.namesrv, self.broker, self.ops = address.get("namesrv"), address.get("broker"), address["ops"]
        self.said = said
        return self

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.terminate()
            check(self.process.wait(15) == 0, f"exit code {self.process.returncode}: {self.log()[-400:]}")

    def kill(self):
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def log(self):
        return (self.work / f"{self.runs}.log").read_text(errors="replace")

    def tool(self, *words, user="admin", code=0, ways=()):
        """One of our own tools; `user` signs, with a secret out of a file."""
        environment = {key: value for key, value in os.environ.items() if not key.startswith("BLOCKHOUSE_")}
        if user:
            file = private(self.work / f"{user}.secret", secret(user) + "\n")
            environment |= {"BLOCKHOUSE_ACCESS_KEY": user, "BLOCKHOUSE_SECRET_KEY_FILE": str(file)}
        done = subprocess.run([str(self.binary), *words, *ways], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              env=environment, timeout=60, check=False)
        said = done.stdout + done.stderr
        check(code is None or done.returncode == code, f"{' '.join(words[:4])}: exit code {done.returncode}: {said[-400:]}")
        return said

    def admin(self, *words, **more):
        return self.tool("admin", *words, "--namesrv", self.namesrv, **more)

    def user(self, name, *more, **options):
        file = private(self.work / f"{name}.new", secret(name) + "\n")
        return self.admin("users", "create", name, "--secret-file", str(file), *more, **options)

    def http(self, path, user=None, password=None, method="GET", headers=(), timeout=10, body=None):
        """Status, headers and text of the ops listener's answer."""
        request = urllib.request.Request(f"{self.scheme}://{self.ops}{path}", method=method, headers=dict(headers),
                                         data=b"{}" if method == "POST" and body is None else body)
        if user:
            pair = f"{user}:{secret(user) if password is None else password}"
            request.add_header("Authorization", "Basic " + base64.b64encode(pair.encode()).decode())
        context = ssl.create_default_context(cafile=self.root) if self.root else None
        try:
            with urllib.request.urlopen(request, timeout=timeout, context=context) as answer:
                return answer.status, answer.headers, answer.read().decode()
        except urllib.error.HTTPError as answer:
            return answer.code, answer.headers, answer.read().decode()


class Raw:
    """One connection, in plaintext or not, and requests signed as the Java client does it."""

    def __init__(self, address, user=None, root=None, cert=None, timeout=20):
        self.user, self.connection = user, Connection(address, timeout)
        if root:
            context = ssl.create_default_context(cafile=root)
            if cert:
                context.load_cert_chain(*cert)
            self.connection.socket = context.wrap_socket(self.connection.socket, server_hostname=address.rsplit(":", 1)[0])

    def frame(self, code, ext=None, body=b"", user=None, password=None, flag=0):
        ext = {key: str(value) for key, value in (ext or {}).items()}
        user = user or self.user
        if user:
            ext = signed(ext, body, user, password or secret(user))
        return Frame(code, ext, body, flag=flag)

    def call(self, code, ext=None, body=b"", **more):
        return self.connection.answer(self.connection.send(self.frame(code, ext, body, **more)))

    def begin(self, code, ext=None, body=b"", **more):
        return self.connection.send(self.frame(code, ext, body, **more))

    def end(self, opaque, timeout=None):
        return self.connection.answer(opaque, timeout)

    def close(self):
        self.connection.close()


def message(topic, queue=0):
    return dict(a="producers", b=topic, c="TBW102", d=4, e=queue, f=0, g=1_700_000_000_000, h=0, i="", j=0, k="false", m="false")


def pull(topic, group, offset=0, wait=0):
    return dict(consumerGroup=group, topic=topic, queueId=0, queueOffset=offset, maxMsgNums=32, sysFlag=4 | (2 if wait else 0),
                commitOffset=0, suspendTimeoutMillis=wait, subscription="*", subVersion=0, expressionType="TAG")


def main(scenes, about, wants_guests=False):
    unwind_on_sigterm()
    parser = argparse.ArgumentParser(description=about.splitlines()[0])
    parser.add_argument("--binary", required=True)
    parser.add_argument("--only", default="*")
    parser.add_argument("--keep", action="store_true")
    if wants_guests:
        parser.add_argument("--guests", type=Path, help="the directory of compiled plugins")
    arguments = parser.parse_args()
    binary, passed, failed, skipped = Path(arguments.binary).resolve(), 0, 0, 0
    root = Path(work_directory("blockhouse-security-", arguments.keep))
    for scene in scenes:
        name = scene.__name__
        if not fnmatch.fnmatch(name, arguments.only):
            continue
        work, begun, servers = root / name, time.monotonic(), []
        work.mkdir()

        def server(*more, work=work, servers=servers, **settings):
            servers.append(made := Server(binary, work, *more, **settings))
            made.guests = getattr(arguments, "guests", None)
            return made

        try:
            said = scene(server, work)
            passed += 1
            print(f"ok      {name}: {said} ({time.monotonic() - begun:.1f} s)", flush=True)
        except Skipped as why:
            skipped += 1
            print(f"!!! SKIPPED: {name}: {why} !!!", flush=True)
        except Exception as problem:  # pylint: disable=broad-except
            failed += 1
            where = [f"{Path(at.filename).name}:{at.lineno}" for at in traceback.extract_tb(problem.__traceback__)][-4:]
            print(f"FAILED  {name}: {type(problem).__name__}: {problem} {where}", flush=True)
        finally:
            for one in servers:
                one.kill()
    if arguments.keep:
        print(f"kept: {root}")
    print(f"{passed} passed, {failed} failed")
    nothing = 77 if skipped else 1
    sys.exit(1 if failed else 0 if passed else nothing)
