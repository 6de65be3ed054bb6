"""Nodes with all of security switched on: TLS only, users who sign, policies that say what each may do, and the audit log."""

import base64
import ssl
import subprocess
import sys
import urllib.request
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parent.parent / part) for part in ("security", "wire")]
from certificates import Authority  # noqa: E402
from remoting import Closed, Connection, Frame, Timeout  # noqa: E402
from signing import signed  # noqa: E402

NO_PERMISSION, SEND = 16, 310
# One rule decides for the load, and there are others to look past.
POLICY = """\
p, role:load, *, Topic:*, Pub|Sub|Get|Create, -, allow
p, role:load, *, Group:*, Sub|Get|Update, -, allow
p, role:load, *, Cluster:*, Get|List, -, allow
p, role:load, *, Topic:forbidden-*, All, -, deny
g, user:load, role:load, default
"""
NOBODY = "p, user:somebody-{0}, *, Topic:elsewhere-{0}-*, Pub, ip=10.0.0.0/8, allow\n"
REPORTS = "p, user:{0}, *, Cluster:*, Update, chan=tls, allow\n"


class Encrypted(Connection):
    """A connection over TLS."""

    def __init__(self, address, root, timeout=5.0):
        super().__init__(address, timeout)
        context = ssl.create_default_context(cafile=root)
        self.socket = context.wrap_socket(self.socket, server_hostname=address.rsplit(":", 1)[0])


class Signed(Encrypted):
    """One whose requests are signed."""

    def __init__(self, address, root, name, secret, timeout=5.0):
        super().__init__(address, root, timeout)
        self.name, self.secret = name, secret

    def numbered(self, frame):
        frame.ext = signed(frame.ext, frame.body, self.name, self.secret)
        return super().numbered(frame)


class User:
    """Somebody whom the nodes know, and how tools, requests and the ops listener are told who it is."""

    def __init__(self, name, work, root):
        self.name, self.secret, self.root = name, f"everything-{name}-secret", root
        self.file = private(work / f"{name}.secret", f"{self.secret}\n")
        self.pair = private(work / f"{name}.pair", f"{name}:{self.secret}\n")

    def options(self):
        """Of our own tools."""
        return ["--tls-ca", self.root, "--access-key", self.name, "--secret-key-file", str(self.file)]

    def environment(self):
        """Of official clients. Java's check the certificate, Go's can not."""
        java = {"tls.enable": "true", "tls.test.mode.enable": "false", "tls.client.authServer": "true",
                "tls.client.trustCertPath": self.root}
        return {"INTEROP_ACCESS_KEY": self.name, "INTEROP_SECRET_KEY": self.secret, "INTEROP_TLS": "true",
                "JAVA_TOOL_OPTIONS": " ".join(f"-D{key}={value}" for key, value in java.items())}

    def connect(self, address, timeout=5.0):
        return Signed(address, self.root, self.name, self.secret, timeout)

    def ask(self, address, code, fields=None, timeout=5.0):
        """Sends one request and returns (response code, body)."""
        try:
            with self.connect(address, timeout) as connection:
                answer = connection.call(code, fields)
        except (Closed, Timeout) as problem:
            raise OSError(f"no answer: {problem!r}") from problem
        return answer.code, answer.body

    def open(self, ops, path):
        """What the ops listener answers."""
        request = urllib.request.Request(f"https://{ops}{path}")
        request.add_header("Authorization", "Basic " + base64.b64encode(f"{self.name}:{self.secret}".encode()).decode())
        return urllib.request.urlopen(request, timeout=10, context=ssl.create_default_context(cafile=self.root))


class Security:
    """What nodes have in common, in a directory of its own: the root, policies, and users."""

    def __init__(self, work, brokers=()):
        """Each of `brokers` is a process of its own, and needs a user to report as."""
        self.work = Path(work).resolve()
        self.work.mkdir(parents=True)
        authority = Authority(str(self.work / "ca"))
        self.root = authority.cert
        self.cert, self.key = authority.issue("server", "IP:127.0.0.1", str(self.work))
        # With it a client is the user `load` without signing anything.
        self.certificate = authority.issue("load-client", "DNS:load.clients", str(self.work))
        self.policies = self.work / "policies"
        self.policies.mkdir()
        rules = POLICY + "".join(REPORTS.format(name) for name in brokers) + "".join(NOBODY.format(number) for number in range(1000))
        (self.policies / "load.csv").write_text(rules)
        self.admin, self.load = (User(name, self.work, self.root) for name in ("admin", "load"))
        self.brokers = {name: User(name, self.work, self.root) for name in brokers}

    def toml(self, label):
        """The configuration of one process; a broker in a process of its own has its name as label."""
        reports = f"node_user_file = \"{self.brokers[label].pair}\"\n" if label in self.brokers else ""
        return f"""
[tls]
mode = "enforcing"
cert = "{self.cert}"
key = "{self.key}"
client_auth = "optional"
client_ca = "{self.root}"
identity = ["dns:*.clients -> {{1}}"]
outgoing = {{ enabled = true, ca = "{self.root}" }}
[ops]
tls = true
[authn]
enabled = true
key_file = "{self.work / label}.key"
initial_user_file = "{self.admin.pair}"
node_requests = "policy"
{reports}[authz]
enabled = true
policies = "{self.policies}"
[audit]
enabled = true
"""

    def certified(self):
        """Of our own tools: who shows a certificate and signs nothing."""
        cert, key = self.certificate
        return ["--tls-ca", self.root, "--tls-cert", cert, "--tls-key", key]

    def introduce(self, binary, user, namesrv, node=None):
        """Makes a user, on one node or on all that the name servers know."""
        where = ["--namesrv", namesrv, *(["--node", node] if node else [])]
        done = subprocess.run([str(binary), "admin", "users", "create", user.name, "--secret-file", str(user.file), *where,
                               *self.admin.options()], capture_output=True, text=True, check=False, timeout=60)
        if done.returncode:
            raise RuntimeError(f"no user {user.name}: {done.stdout}{done.stderr}")

    def strangers(self, broker, topic):
        """Who must not send to a topic that is there, and that nobody may send to one that a policy keeps closed; RuntimeError if one is
        not refused."""
        askers = {"plaintext": (Connection(broker, 15), topic), "nobody": (Encrypted(broker, self.root, 15), topic),
                  "a wrong secret": (Signed(broker, self.root, self.load.name, "a-wrong-secret", 15), topic),
                  "what a policy denies": (self.load.connect(broker, 15), "forbidden-topic")}
        for who, (connection, where) in askers.items():
            answer = send(connection, where)
            if answer.code != NO_PERMISSION:
                raise RuntimeError(f"{who}: {answer.code} {answer.remark}")
        return f"{len(askers)} kinds refused"


def send(connection, topic):
    """Sends a message, and closes the connection."""
    ext = dict(a="p", b=topic, c="TBW102", d=4, e=0, f=0, g=1_700_000_000_000, h=0, i="", j=0, k="false", m="false")
    with connection:
        return connection.call(SEND, ext, b"x")


def private(path, text):
    path.write_text(text)
    path.chmod(0o600)
    return path


def public_key(said):
    """The key of the audit log, out of the lines that a node prints at its start."""
    return next(line.split()[-1] for line in said if line.startswith("audit") and "public key" in line)


def verify(binary, data, key):
    """What is said of the audit log in a data directory, which has to be whole; RuntimeError if it is not."""
    done = subprocess.run([str(binary), "audit", "verify", str(data), "--public-key", key], capture_output=True, text=True, check=False,
                          timeout=120)
    if done.returncode or "all is as it was signed" not in done.stdout:
        raise RuntimeError(f"the audit log, exit code {done.returncode}: {done.stdout[-600:]}{done.stderr[-300:]}")
    return done.stdout.strip()
