"""A real Prometheus, with the alerts of this repository, that scrapes the nodes it is given each second."""

import json
import os
import re
import socket
import subprocess
import sys
import urllib.error
import urllib.parse
import urllib.request

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "../faults"))
from node import check, until

# What Grafana would put in: enough for a few scrapes.
INTERVAL = "10s"
RULES = os.path.join(HERE, "../../../dashboards/prometheus")


def rule_files():
    return [os.path.join(RULES, name) for name in sorted(os.listdir(RULES)) if name.endswith(".rules.yml")]


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def filled_in(text, values):
    """A query as Grafana sends it."""
    values = values | {"__rate_interval": INTERVAL}
    found = re.sub(r"\$(\w+)", lambda variable: values.get(variable[1], variable[0]), text)
    # What is left is a group of a regular expression, as "$1".
    check(not re.search(r"\$[A-Za-z_{]", found), f"an unknown variable: {found}")
    return found


class Prometheus:
    """`jobs` are scrape configurations; `rules` are files of alerts."""

    def __init__(self, work, jobs, rules):
        config = os.path.join(work, "prometheus.yml")
        with open(config, "w") as out:
            json.dump({"global": {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"},
                       "rule_files": rules, "scrape_configs": jobs}, out)
        self.port, self.log = free_port(), open(os.path.join(work, "prometheus.log"), "w")
        self.process = subprocess.Popen(
            ["prometheus", f"--config.file={config}", f"--storage.tsdb.path={work}/tsdb", f"--web.listen-address=127.0.0.1:{self.port}"],
            stdout=self.log, stderr=self.log)
        until("Prometheus answers", self._ready)

    def _ready(self):
        try:
            return self.query("vector(1)")
        except (OSError, ValueError):
            # It does not listen yet, or says that it is not ready.
            return None

    def get(self, path, **query):
        try:
            url = f"http://127.0.0.1:{self.port}/api/v1/{path}?{urllib.parse.urlencode(query, doseq=True)}"
            with urllib.request.urlopen(url, timeout=10) as answer:
                return json.load(answer)["data"]
        except urllib.error.HTTPError as error:
            raise ValueError(f"{query}: {error.read().decode()[:300]}") from None

    def query(self, expression):
        return self.get("query", query=expression)["result"]

    def rules(self):
        return [rule for group in self.get("rules")["groups"] for rule in group["rules"]]

    def end(self):
        self.process.terminate()
        self.process.wait(10)
        self.log.close()
