"""Builds the scenario programs of each official client and runs them; a run yields one transcript per scenario."""

import hashlib
import json
import os
import secrets
import shutil
import subprocess
from pathlib import Path

from . import paths, tools

# Beyond the 120 s after which the Java program itself reports what hangs, and the warm-up before.
RUN_SECONDS = 190
RUNNING = set()
# The class files run with the jars of every version; compiled against the oldest.
OLDEST_JAVA = "4.9.8"
# Since then what signs is in the client's own jar.
SIGNS_ITSELF = [5, 3, 3]


class Client:
    """One official client in one version."""

    def __init__(self, label):
        self.label = label

    def command(self, namesrv, brokers, run_id, names, home):
        raise NotImplementedError

    def names(self):
        raise NotImplementedError

    def start(self, namesrv, brokers, names, home, environment=None, **pipes):
        """Starts the program; the run id makes its topics and groups new and has a fixed length, as sizes are compared. `environment` is
        how it is told to sign and to speak TLS."""
        home.mkdir(parents=True, exist_ok=True)
        command = self.command(namesrv, brokers, secrets.token_hex(3), ",".join(names), home)
        with open(home / "stderr.txt", "ab") as errors:
            process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True, cwd=home,
                                       env=dict(os.environ, **environment or {}), **pipes)
        RUNNING.add(process)
        return process

    def run(self, namesrv, brokers, names, home, environment=None):
        """Runs scenarios; returns {scenario: transcript}, with a failed one for whatever printed nothing."""
        process = self.start(namesrv, brokers, names, home, environment, stdin=subprocess.DEVNULL)
        try:
            output, _ = process.communicate(timeout=RUN_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            output, _ = process.communicate()
        RUNNING.discard(process)
        found = {}
        for line in output.splitlines():
            transcript = parse(line)
            if transcript:
                found[transcript["scenario"]] = transcript
        for name in names:
            found.setdefault(name, {"scenario": name, "outcome": "fail", "facts": {}, "ms": 0, "why": [
                f"no transcript (program ended with {process.returncode}): {_tail(home)}"]})
        return found


def parse(line):
    try:
        transcript = json.loads(line)
    except ValueError:
        return None
    return transcript if isinstance(transcript, dict) and "scenario" in transcript else None


def _tail(home):
    return (home / "stderr.txt").read_text(errors="replace")[-300:].replace("\n", " ")


class JavaClient(Client):
    def __init__(self, version):
        super().__init__(f"java-{version}")
        self.jars = _jars(version)
        self.classes = _classes()

    def java(self, home, *arguments):
        return ["java", "-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", f"-Duser.home={home}",
                f"-Drocketmq.client.logRoot={home}/logs", "-cp", f"{self.classes}:{self.jars}/*", "interop.Main", *arguments]

    def command(self, namesrv, brokers, run_id, names, home):
        command = self.java(home, namesrv, str(len(brokers)), run_id, names)
        if names in ("continuous", "commanded"):
            # A client that has lost a broker's queues looks for them with its next look at the group: every 20 s, here 3 s.
            command.insert(1, "-Drocketmq.client.rebalance.waitInterval=3000")
        return command

    def names(self):
        return subprocess.run(self.java(Path("/nonexistent"), "list"), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                              text=True, check=True).stdout.split()


def _jars(version):
    tools.need("java", "javac", "mvn")
    pom, directory = paths.INTEROP / "java" / "pom.xml", paths.CACHE / f"java-{version}"
    done, asked = directory / ".done", hashlib.sha256(pom.read_bytes()).hexdigest()
    if not done.is_file() or done.read_text() != asked:
        print(f"fetching the Java client {version}", flush=True)
        shutil.rmtree(directory, ignore_errors=True)
        apart = ["-Psigning"] if [int(part) for part in version.split(".")] < SIGNS_ITSELF else []
        tools.check(["mvn", "-q", "-B", "-f", str(pom), "dependency:copy-dependencies", "-DincludeScope=runtime",
                     f"-DoutputDirectory={directory}", f"-Drocketmq.version={version}", *apart])
        done.write_text(asked)
    return directory


def _classes():
    sources = sorted((paths.INTEROP / "java" / "src").rglob("*.java"))
    digest = hashlib.sha256(b"".join(source.read_bytes() for source in sources)).hexdigest()[:16]
    directory = paths.CACHE / f"java-classes-{digest}"
    if not (directory / ".done").is_file():
        shutil.rmtree(directory, ignore_errors=True)
        directory.mkdir(parents=True)
        tools.check(["javac", "-nowarn", "-Xlint:-options", "--release", "8", "-cp", f"{_jars(OLDEST_JAVA)}/*", "-d", str(directory),
                     *map(str, sources)])
        (directory / ".done").touch()
    return directory


class GoClient(Client):
    def __init__(self):
        super().__init__("go")
        tools.need("go")
        self.program = paths.CACHE / "interop-go"
        paths.CACHE.mkdir(parents=True, exist_ok=True)
        tools.check(["go", "build", "-o", str(self.program), "."], cwd=paths.INTEROP / "go")

    def command(self, namesrv, brokers, run_id, names, home):
        return [str(self.program), namesrv, ",".join(brokers), run_id, names]

    def names(self):
        return subprocess.run([str(self.program)], stdout=subprocess.PIPE, text=True, check=True).stdout.split()
