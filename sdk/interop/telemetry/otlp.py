"""Receivers of OTLP, and what came in: our own small one, built from sdk/telemetry/examples."""

import hashlib
import http.server
import json
import os
import random
import re
import shutil
import socket
import subprocess
import sys
import threading

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, ".."), os.path.join(HERE, "../faults")]
from harness import paths, sink, tools
from node import check, until

# As the protocol numbers them.
KINDS = {1: "INTERNAL", 2: "SERVER", 3: "CLIENT", 4: "PRODUCER", 5: "CONSUMER"}


def plain(value):
    """What an attribute holds."""
    kind, held = next(iter((value or {}).items()), (None, None))
    return int(held) if kind == "intValue" else held


def attributes(of):
    return {pair["key"]: plain(pair.get("value")) for pair in of.get("attributes") or []}


class Span:
    def __init__(self, service, scope, span):
        self.service, self.scope, self.name = service, scope, span["name"]
        self.trace, self.id, self.parent = span["traceId"], span["spanId"], span.get("parentSpanId") or ""
        self.kind, self.attributes = KINDS.get(span.get("kind"), span.get("kind")), attributes(span)
        self.links = [(link["traceId"], link["spanId"]) for link in span.get("links") or []]
        self.begin, self.end = int(span["startTimeUnixNano"]), int(span["endTimeUnixNano"])
        self.flags = span.get("flags", 0) & 0xff
        self.status = (span.get("status") or {}).get("code", 0)

    @property
    def context(self):
        """As a message carries it."""
        return f"00-{self.trace}-{self.id}-{self.flags:02x}"

    def __repr__(self):
        return f"<{self.service.get('service.name')} {self.name} {self.id} of {self.parent or '-'} in {self.trace}>"


class Received:
    """What a receiver was told, request by request."""

    def __init__(self):
        self.lock, self.requests = threading.Lock(), []

    def take(self, line):
        with self.lock:
            self.requests.append(json.loads(line))

    def each(self, kind, scopes, items):
        """(resource, scope, item) of all requests of a kind."""
        with self.lock:
            requests = list(self.requests)
        for request in requests:
            for of in request.get(kind) or []:
                for scope in of.get(scopes) or []:
                    for item in scope.get(items) or []:
                        yield attributes(of["resource"]), scope, item

    def spans(self, service=None):
        spans = [Span(resource, scope, span) for resource, scope, span in self.each("resourceSpans", "scopeSpans", "spans")]
        return [span for span in spans if service in (None, span.service.get("service.name"))]

    def metrics(self):
        return [metric for _, _, metric in self.each("resourceMetrics", "scopeMetrics", "metrics")]

    def logs(self):
        return [record for _, _, record in self.each("resourceLogs", "scopeLogs", "logRecords")]

    def wait(self, what, fine, seconds=30):
        """The spans, once `fine(spans)` says so."""
        try:
            return until(what, lambda: (spans := self.spans()) and fine(spans) and spans, seconds)
        except Exception as late:
            raise RuntimeError(f"{late}: {self.spans()[-20:]}") from late


class Sink(Received):
    """Our own receiver, a process: gRPC and HTTP on one port."""

    def __init__(self, port=0, stays=False, **manner):
        """`stays`: at a port that no client is given when this one is gone: another may come in its place."""
        super().__init__()
        said = self._start(free() if stays else port, manner)
        for _ in range(5 * stays):
            # Whoever else looks for such a port may have been faster.
            said = said or self._start(free(), manner)
        check("listening on" in said, f"the receiver: {said}")
        self.port = int(said.rsplit(":", 1)[1])
        threading.Thread(target=self._read, daemon=True).start()

    def _start(self, port, manner):
        """The first line that it says: none if it cannot listen there."""
        command = [sink.built(), f"port={port}", *(f"{key}={value}" for key, value in manner.items())]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        return self.process.stdout.readline()

    def _read(self):
        for line in self.process.stdout:
            # One that is killed may end in the middle.
            if line.endswith("\n"):
                self.take(line)

    @property
    def endpoint(self):
        return f"http://127.0.0.1:{self.port}"

    def close(self):
        self.process.stdin.close()
        self.process.wait(10)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()


class Collector(Received):
    """The real collector: it takes OTLP as it does anywhere, and hands it on to us as JSON."""

    release = "v0.165.0"

    def __init__(self, work, tls=None):
        """`tls` are the options of its receivers' TLS."""
        super().__init__()
        taker = type("Taker", (_Taker,), {"received": self})
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), taker)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.port, self.http_port = free(), free()
        protocols = {kind: {"endpoint": f"127.0.0.1:{port}"} | ({"tls": tls} if tls else {})
                     for kind, port in (("grpc", self.port), ("http", self.http_port))}
        pipeline = {"receivers": ["otlp"], "exporters": ["otlp_http"]}
        config = {
            "receivers": {"otlp": {"protocols": protocols}},
            "exporters": {"otlp_http": {"endpoint": f"http://127.0.0.1:{self.server.server_port}", "encoding": "json", "compression": "none"}},
            "service": {"pipelines": {kind: pipeline for kind in ("traces", "metrics", "logs")}, "telemetry": {"metrics": {"level": "none"}}},
        }
        path = os.path.join(work, "collector.json")
        with open(path, "w") as out:
            # JSON is YAML.
            json.dump(config, out)
        self._start(work, path)

    def _start(self, work, *configs):
        """Runs it with these configurations, the later before the earlier."""
        options = [word for config in configs for word in ("--config", config)]
        tools.check([str(self.built()), "validate", *options])
        self.log = os.path.join(work, "collector.log")
        with open(self.log, "w") as log:
            self.process = subprocess.Popen([self.built(), *options], stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        until("the collector", self._is_up, 60)

    @classmethod
    def built(cls):
        tools.need("go")
        with open(os.path.join(HERE, "collector.yaml")) as of:
            manifest = of.read()
        directory = paths.CACHE / f"collector-{cls.release}-{hashlib.sha256(manifest.encode()).hexdigest()[:16]}"
        program = directory / "collector"
        if not program.is_file():
            print(f"building the collector {cls.release}", flush=True)
            directory.mkdir(parents=True, exist_ok=True)
            text = manifest.replace("  name: collector\n", f"  name: collector\n  output_path: {directory}\n")
            (directory / "manifest.yaml").write_text(text)
            builder = f"go.opentelemetry.io/collector/cmd/builder@{cls.release}"
            tools.check(["go", "run", builder, "--config", str(directory / "manifest.yaml")], cwd=directory)
        return program

    def _is_up(self):
        with open(self.log) as log:
            said = log.read()
        check(self.process.poll() is None, f"the collector: {said[-600:]}")
        return "Everything is ready" in said

    @property
    def endpoint(self):
        return f"http://127.0.0.1:{self.port}"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(20)
        self.server.shutdown()


class Shipped(Collector):
    """The same with the configuration that we ship, in front of a store of traces. Nothing of it is changed but its addresses."""

    def __init__(self, work, store):  # pylint: disable=super-init-not-called
        """`store` is the port of the store."""
        self.port = free()
        changes = {"receivers::otlp::protocols::grpc::endpoint": f"127.0.0.1:{self.port}",
                   "exporters::otlp/store::endpoint": f"127.0.0.1:{store}",
                   # It has a port for metrics of its own, which others may have taken.
                   "service::telemetry::metrics::level": "none"}
        self._start(work, str(paths.ROOT / "dashboards/collector/config.yml"), *(f"yaml:{key}: {value}" for key, value in changes.items()))

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(20)


class _Taker(http.server.BaseHTTPRequestHandler):
    received = None

    def do_POST(self):  # pylint: disable=invalid-name
        self.received.take(self.rfile.read(int(self.headers["content-length"])))
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *_words):  # pylint: disable=arguments-differ
        pass


def free():
    """A port that nobody has at the moment, nor is given for a connection while nobody listens there."""
    while True:
        port = random.randrange(21_000, 31_000)
        try:
            with socket.create_server(("127.0.0.1", port)):
                return port
        except OSError:
            pass


def agent():
    """The agent of OpenTelemetry for Java."""
    tools.need("java", "mvn")
    pom, directory = os.path.join(HERE, "pom.xml"), paths.CACHE / "opentelemetry-agent"
    with open(pom) as asked:
        version = re.search(r"javaagent</artifactId>\s*<version>(.*)</version>", asked.read()).group(1)
    jar = directory / f"opentelemetry-javaagent-{version}.jar"
    if not jar.is_file():
        print(f"fetching the agent of OpenTelemetry {version}", flush=True)
        shutil.rmtree(directory, ignore_errors=True)
        tools.check(["mvn", "-q", "-B", "-f", pom, "dependency:copy-dependencies", f"-DoutputDirectory={directory}"])
    return jar
