"""The official client program: it writes messages and says what it sees."""

import hashlib
import json
import shutil
import subprocess

from harness import clients, paths, tools
from brokers import HERE

SOURCES = (HERE / "Migration.java", HERE.parent / "java" / "src" / "main" / "java" / "interop" / "Json.java")


def classes(oldest):
    """Compiled once, against the oldest version."""
    digest = hashlib.sha256(b"".join(source.read_bytes() for source in SOURCES)).hexdigest()[:16]
    directory = paths.CACHE / f"migration-classes-{oldest.version}-{digest}"
    if not (directory / ".done").is_file():
        shutil.rmtree(directory, ignore_errors=True)
        directory.mkdir(parents=True)
        tools.check(["javac", "-nowarn", "-Xlint:-options", "--release", "8", "-cp", f"{oldest.library}/*", "-d", str(directory),
                     *map(str, SOURCES)])
        (directory / ".done").touch()
    return directory


class Witness:
    """One JVM for a whole story."""

    def __init__(self, java, compiled, namesrv, home):
        home.mkdir()
        self.home = home
        self.snapshots = 0
        self.errors = open(home / "stderr.txt", "ab")
        self.process = subprocess.Popen(
            ["java", "-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", f"-Duser.home={home}", f"-Drocketmq.client.logRoot={home}",
             "-cp", f"{compiled}:{java.library}/*", "interop.Migration", namesrv, java.version],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.errors, text=True, encoding="utf-8", cwd=home)
        clients.RUNNING.add(self.process)
        self._answer("start")

    def ask(self, *words):
        self.process.stdin.write("\t".join(map(str, words)) + "\n")
        self.process.stdin.flush()
        return self._answer(words[0])

    def _answer(self, what):
        line = self.process.stdout.readline().strip()
        if not line.startswith("ok"):
            tail = (self.home / "stderr.txt").read_text(errors="replace")[-700:]
            raise RuntimeError(f"the client could not {what}: {line or 'it ended'}\n{tail}")
        return line[3:]

    def snapshot(self, topics):
        """All that it sees of these topics ({name: queues}); {"topic queue": what}."""
        self.snapshots += 1
        path = self.home / f"snapshot-{self.snapshots}.json"
        self.ask("snapshot", path, ",".join(f"{name}:{queues}" for name, queues in sorted(topics.items())))
        return json.loads(path.read_text())

    def close(self):
        clients.RUNNING.discard(self.process)
        self.process.kill()
        self.process.wait()
        self.errors.close()
