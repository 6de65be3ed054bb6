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


def shortened(work, window):
    """Copies of the rules that wait for nothing, and look back for `window` alone where they look back; thresholds are as they are."""
    copies = []
    for path in rule_files():
        with open(path) as file:
            text = re.sub(r"\n *for: \w+", "", file.read())
        copies.append(os.path.join(work, os.path.basename(path)))
        with open(copies[-1], "w") as out:
            out.write(re.sub(r"(\[|offset )\d+[mhd]\b", rf"\g<1>{window}", text))
    return copies


def names_of_alerts():
    found = []
    for path in rule_files():
        with open(path) as file:
            found += re.findall(r"- alert: (\w+)", file.read())
    return found


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
    """`jobs` are scrape configurations; `rules` are files of alerts; `features` are not on by themselves."""

    def __init__(self, work, jobs, rules=(), features=()):
        config = os.path.join(work, "prometheus.yml")
        with open(config, "w") as out:
            json.dump({"global": {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"},
                       "rule_files": list(rules), "scrape_configs": jobs}, out)
        self.port, self.log = free_port(), open(os.path.join(work, "prometheus.log"), "w")
        self.process = subprocess.Popen(
            ["prometheus", f"--config.file={config}", f"--storage.tsdb.path={work}/tsdb", f"--web.listen-address=127.0.0.1:{self.port}",
             *[f"--enable-feature={feature}" for feature in features]],
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

    def alerts(self, name):
        """Those of this name, pending or firing."""
        [rule] = [rule for rule in self.rules() if rule["name"] == name]
        check(rule["health"] in ("ok", "unknown"), f"{name}: {rule.get('lastError')}")
        return rule["alerts"]

    def fires(self, name, seconds=40, **labels):
        """Waits until it fires for these labels, and has words for it."""
        def found():
            return [alert for alert in self.alerts(name) if alert["state"] == "firing" and labels.items() <= alert["labels"].items()]
        for alert in until(f"{name} {labels} fires: {self.alerts(name)}", found, seconds):
            said = " ".join(alert["annotations"].values())
            check("<no value>" not in said and "<error" not in said, f"{name}: {said}")

    def ends(self, name, seconds=40):
        until(f"{name} ends", lambda: not self.alerts(name), seconds)

    def quiet(self, *names):
        """None of these is there, now that the nodes have been scraped."""
        until("a scrape", lambda: self.query("up == 1"))
        for name in names:
            check(not (found := self.alerts(name)), f"{name} before the fault: {found}")

    def end(self):
        self.process.terminate()
        self.process.wait(10)
        self.log.close()
