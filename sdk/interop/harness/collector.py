"""A collector of decisions, as the bundled plugin audit expects one: it takes lines of JSON by POST."""

import collections
import http.server
import json
import threading

from . import probe

# A long run must not fill the memory of the driver.
KEPT = 100_000


class Collector:
    """Listens on a port of its own as long as the driver lives."""

    def __init__(self):
        self.events, self.refused = collections.deque(maxlen=KEPT), []
        # What the next requests are answered with instead of being taken.
        self.answers = []
        self.lock = threading.Lock()
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Receiver)
        server.daemon_threads = True
        server.collector = self
        self.base = f"http://127.0.0.1:{server.server_port}/v1/"
        self.url = self.base + "decisions"
        threading.Thread(target=server.serve_forever, daemon=True).start()

    def answer(self, text):
        """Takes the lines of a request; the status."""
        told = [json.loads(line) for line in text.splitlines()]
        with self.lock:
            if self.answers:
                return self.answers.pop(0)
            self.events.extend(told)
            return 204

    def told(self, **wanted):
        """The events that have these values; a function instead of a value judges it."""
        with self.lock:
            events = list(self.events)
        fits = lambda event, key, value: value(event[key]) if callable(value) else event[key] == value
        return [event for event in events if all(fits(event, key, value) for key, value in wanted.items())]

    def wait(self, seconds=30, **wanted):
        """The same, once there are any; RuntimeError if there are none in time."""
        shown = {key: value for key, value in wanted.items() if not callable(value)}
        probe.wait_until(lambda: self.told(**wanted), seconds, f"a decision with {shown} at the collector")
        return self.told(**wanted)

    def binding(self, **config):
        """What a binding of audit says besides its name: grants, deadline and config."""
        return {"grants": {"log": True, "http": [self.base]}, "deadline_ms": 5_000,
                "config": {"http": {"url": self.url, "timeout_ms": 4_000}} | config}


class _Receiver(http.server.BaseHTTPRequestHandler):
    def do_POST(self):  # pylint: disable=invalid-name
        body = self.rfile.read(int(self.headers["content-length"])).decode()
        if self.headers["content-type"] != "application/x-ndjson":
            self.server.collector.refused.append(self.headers["content-type"])
        self.send_response(self.server.collector.answer(body))
        self.end_headers()

    def log_message(self, *_words):  # pylint: disable=arguments-differ
        pass
