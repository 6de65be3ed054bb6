"""Tests with several server processes: killing them under load, and clusters of both kinds."""

import re
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor

from . import paths, probe, servers
from .clients import RUNNING, parse

MIXED_SCENARIOS = {
    "java": ["send-sync", "send-batch", "push-clustering", "push-broadcasting", "orderly", "lite-pull-subscribe", "tag-filter",
             "retry-to-dlq", "query", "create-topic", "rebalance", "delay-level", "push-restart"],
    "go": ["go-send-sync", "go-push-clustering", "go-tag-filter", "go-orderly"],
}


class Continuous:
    """The Java program that sends and consumes until it is told to stop."""

    def __init__(self, client, cluster):
        self.label = client.label
        home = cluster.directory / f"continuous-{client.label}"
        self.process = client.start(";".join(cluster.namesrv_addresses()), cluster.brokers, ["continuous"], home,
                                    cluster.environment(), stdin=subprocess.PIPE)
        self.sent = self.consumed = self.gap = 0
        self.steps, self.stepped = [], time.monotonic()
        self.transcript = None
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self):
        for line in self.process.stdout:
            progress = re.match(r"sent (\d+) consumed (\d+) gap (\d+)", line)
            if progress:
                self.sent, self.consumed, self.gap = map(int, progress.groups())
            else:
                self.transcript = parse(line) or self.transcript

    def goes_on(self, what, count=100, seconds=40):
        """Waits until so many more messages are acknowledged and consumed."""
        sent, consumed = self.sent + count, self.consumed + count
        deadline = time.monotonic() + seconds
        while self.sent < sent or self.consumed < consumed:
            if self.process.poll() is not None:
                raise RuntimeError(f"{self.label}: {what}: the client program ended")
            if time.monotonic() > deadline:
                raise RuntimeError(f"{self.label}: {what}: not {count} more messages in {seconds} s (sent {self.sent}, consumed {self.consumed})")
            time.sleep(0.1)
        self.step(what)

    def step(self, what):
        now = time.monotonic()
        self.steps.append(f"{what} {now - self.stepped:.1f} s")
        self.stepped = now

    def finish(self):
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        self.process.wait(90)
        self.reader.join(5)
        self.step("drained")
        if self.transcript is None:
            raise RuntimeError("the client program printed no transcript")
        return self.transcript

    def end(self):
        RUNNING.discard(self.process)
        if self.process.poll() is None:
            self.process.kill()


def kill_and_restart(report, clients, kind, software):
    """Two name servers, two brokers: kill -9 a name server, kill -9 and restart a broker, restart the name server empty."""
    begun = time.monotonic()
    tests = {client: f"{client.label} processes-kill ({kind})" for client in clients}
    with servers.grown("kill", [kind] * 2, [kind] * 2, software) as cluster:
        traffic = {}
        try:
            cluster.ready()
            for client in clients:
                traffic[client] = Continuous(client, cluster)
            _kill_under(list(traffic.values()), cluster)
            transcripts = {client: running.finish() for client, running in traffic.items()}
            if cluster.security:
                _audited(report, kind, cluster)
        except (RuntimeError, subprocess.TimeoutExpired) as problem:
            for test in tests.values():
                report.failed(test, [problem])
            return
        finally:
            for running in traffic.values():
                running.end()
    for client, running in traffic.items():
        if transcripts[client]["outcome"] == "ok":
            report.passed(tests[client], 1000 * (time.monotonic() - begun), f"{running.sent} messages, longest time without one "
                          f"{running.gap / 1000:.1f} s: {', '.join(running.steps)}")
        else:
            report.failed(tests[client], transcripts[client]["why"])


def _audited(report, kind, cluster):
    """Killed or not, each process has its audit log whole."""
    begun = time.monotonic()
    said = []
    for server in [*cluster.brokers, *cluster.namesrvs]:
        server.stop()
        said.append(f"{server.label} {server.audited().split(' in ')[0]}")
    report.passed(f"audit logs of processes-kill ({kind})", 1000 * (time.monotonic() - begun), "; ".join(said))


def _kill_under(traffic, cluster):
    """What is killed and started again while clients are at work; each must go on after every step."""
    def all_go_on(what, count=100, seconds=40):
        for running in traffic:
            running.goes_on(what, count, seconds)

    all_go_on("before", seconds=60)
    cluster.namesrvs[0].kill()
    all_go_on("one name server killed")
    cluster.brokers[0].kill()
    all_go_on("one broker killed")
    cluster.brokers[0].start()
    cluster.namesrvs[0].start()
    cluster.known(1, 90)
    all_go_on("the broker is back", 300, 60)
    # A name server that begins empty is full again within one report period (30 s by default).
    cluster.known(0, 45)
    all_go_on("the name server is back")


def mixed(report, clients, kinds, software, chosen):
    """One cluster of two brokers under two name servers of different kind; the clients use one name server at a time."""
    with servers.grown("mixed", kinds, kinds, software) as cluster:
        try:
            cluster.ready()
        except RuntimeError as problem:
            report.failed("mixed cluster", [problem])
            return
        for client in clients:
            names = [name for name in MIXED_SCENARIOS[client.label.split("-")[0]] if not chosen or name in chosen]
            with ThreadPoolExecutor(len(kinds)) as pool:
                runs = [pool.submit(_mixed_client, report, client, names, cluster, number, kind) for number, kind in enumerate(kinds)]
                for run in runs:
                    run.result()
        if not chosen:
            _mixed_admin(report, cluster)


def _mixed_admin(report, cluster):
    """mqadmin asks both name servers about both brokers, and is told the same."""
    command = [str(paths.INTEROP / "mqadmin" / "run"), "--mixed", "--namesrv", cluster.namesrvs[0].address,
               "--compare", cluster.namesrvs[1].address]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=300, check=False)
    if done.returncode == 77:
        report.skipped("mqadmin in the mixed cluster", done.stdout.strip())
        return
    rows = re.findall(r"^(ok  |FAIL) (\S+)(?: \((\d+) s\))?((?:\n {7}.*)*)", done.stdout, re.MULTILINE)
    for outcome, row, seconds, notes in rows:
        if outcome == "FAIL":
            report.failed(f"mqadmin mixed-{row}", notes.split("\n")[1:])
        else:
            report.passed(f"mqadmin mixed-{row}", 1000 * int(seconds or 0))
    if not rows or done.returncode not in (0, 1):
        report.failed("mqadmin in the mixed cluster", [done.stdout[-1500:]])


def _mixed_client(report, client, names, cluster, number, kind):
    def run(which):
        return client.run(cluster.namesrvs[number].address, cluster.broker_addresses(), which,
                          cluster.directory / f"{client.label}-{number}")

    found = run(names) if names else {}
    for name in names:
        transcript, note = found[name], ""
        if transcript["outcome"] != "ok":
            note = f"at the second attempt, after: {transcript['why'][0][:200]}"
            transcript = run([name])[name]
        test = f"{client.label} mixed-{name} (name server {number}: {kind})"
        if transcript["outcome"] == "ok":
            report.passed(test, transcript["ms"], note)
        else:
            report.failed(test, transcript["why"])
