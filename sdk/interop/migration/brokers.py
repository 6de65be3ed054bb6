"""Brokers of both kinds that take turns on one data directory, with one address."""

import hashlib
import shutil
import subprocess
from pathlib import Path

from harness import paths, probe, servers, tools

HERE = Path(__file__).resolve().parent
BROKER = "broker-a"
# RocketMQ 4 reads these or does not start.
LOGBACK = "<configuration><root level=\"WARN\"/></configuration>\n"
OPENS = [f"--add-{what}=java.base/{package}=ALL-UNNAMED" for what, package in (
    ("exports", "jdk.internal.ref"), ("exports", "sun.nio.ch"), ("opens", "java.nio"), ("opens", "sun.nio.ch"),
    ("opens", "java.lang"), ("opens", "java.util"))]
# A disk that is fuller than this machine's should be is not what is tested.
ROOMY = ["-Drocketmq.broker.diskSpaceWarningLevelRatio=0.99", "-Drocketmq.broker.diskSpaceCleanForciblyRatio=0.98"]


class Java:
    """The released servers, client and tools of one version."""

    def __init__(self, version):
        tools.need("java", "javac", "mvn")
        self.version = version
        self.library = paths.CACHE / f"servers-{version}"
        if not (self.library / ".done").is_file():
            print(f"fetching Apache RocketMQ {version}", flush=True)
            try:
                tools.check(["mvn", "-q", "-B", "-f", str(HERE / "pom.xml"), "dependency:copy-dependencies",
                             f"-DoutputDirectory={self.library}", f"-Drocketmq.version={version}"])
            except RuntimeError as problem:
                raise tools.Missing(f"the jars of {version} cannot be fetched: {problem}") from problem
            (self.library / ".done").touch()

    @property
    def is_four(self):
        return self.version.startswith("4.")

    def command(self, server, heap, main, config):
        home = server.directory / "home"
        (home / "conf").mkdir(parents=True, exist_ok=True)
        for name in ("logback_namesrv.xml", "logback_broker.xml"):
            (home / "conf" / name).write_text(LOGBACK)
        return (["java", f"-Xms{heap}", f"-Xmx{heap}", *OPENS, "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1",
                 "-XX:MaxDirectMemorySize=512m", *ROOMY, f"-Duser.home={home}", f"-Drocketmq.home.dir={home}", "-cp",
                 f"{self.library}/*", main, "-c", str(config)], {"ROCKETMQ_HOME": str(home)})


class Layout:
    """How a data directory is laid out: the sizes of its files, where its log is, which address its messages carry."""

    def __init__(self, root, sizes=None, apart=False, host=servers.HOST):
        self.data = root / "data"
        self.log = root / "log-apart" if apart else self.data / "commitlog"
        self.apart = apart
        self.host = host
        self.port = servers.port()
        self.sizes = dict({"segment": 1 << 30, "queue": 300_000, "slots": 5_000_000, "entries": 20_000_000}, **(sizes or {}))

    def address(self):
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    def java(self):
        return {"storePathRootDir": self.data, "storePathCommitLog": self.log,
                "mappedFileSizeCommitLog": self.sizes["segment"], "mappedFileSizeConsumeQueue": 20 * self.sizes["queue"],
                "maxHashSlotNum": self.sizes["slots"], "maxIndexNum": self.sizes["entries"]}

    def ours(self):
        sets = [f"store.segment_size={self.sizes['segment']}", f"store.queue_file_entries={self.sizes['queue']}",
                f"store.index_slots={self.sizes['slots']}", f"store.index_entries={self.sizes['entries']}"]
        sets += ["store.disk_force_clean_percent=98", "store.disk_max_used_percent=99"]
        if self.apart:
            sets.append(f"store.commit_log_dir={self.log}")
        return [word for one in sets for word in ("--set", one)]

    def wrong_lengths(self):
        """The files that have not exactly the length that RocketMQ gives them."""
        wanted = [(self.log, "*", self.sizes["segment"]), (self.data / "consumequeue", "*/*/*", 20 * self.sizes["queue"]),
                  (self.data / "index", "*", 40 + 4 * self.sizes["slots"] + 20 * self.sizes["entries"]),
                  (self.data, "checkpoint", 4096)]
        found = []
        for directory, pattern, length in wanted:
            files = sorted(directory.glob(pattern))
            if not files:
                found.append(f"no {directory}/{pattern}")
            found += [f"{file}: {file.stat().st_size} bytes, not {length}" for file in files if file.stat().st_size != length]
        return found


    def dense(self):
        """Of files of the default sizes, which are nearly empty here: those that take much more room than what is in them."""
        found = []
        for directory, pattern, length in ((self.data / "consumequeue", "*/*/*", 6_000_000), (self.data / "index", "*", 420_000_040)):
            for file in directory.glob(pattern):
                stat = file.stat()
                if stat.st_size == length and stat.st_blocks * 512 > length // 10:
                    found.append(f"{file}: {stat.st_blocks * 512} of {stat.st_size} bytes are on the disk")
        return found

    def contents(self):
        """{path: (length, digest)} of all files."""
        files = {file for root in (self.data, self.log) for file in root.rglob("*") if file.is_file()}
        return {file: (file.stat().st_size, hashlib.sha256(file.read_bytes()).hexdigest()) for file in sorted(files)}


class Broker(servers.Server):
    """A process on the layout's directory; several follow one another."""

    def __init__(self, label, layout, namesrv):
        super().__init__(label, layout.data.parent)
        self.layout = layout
        self.namesrv = namesrv
        self.address = layout.address()

    def ready(self, seconds=60):
        # Java writes an IPv6 address without brackets.
        plain = f"{self.layout.host}:{self.layout.port}"
        known = {plain, self.address}
        probe.wait_until(lambda: probe.brokers(self.namesrv) & known, seconds, f"{self.label} is registered", self.alive)
        probe.wait_until(self.answers, seconds, f"{self.label} answers", self.alive)
        return self

    def answers(self):
        try:
            return probe.ask(self.address, 28)[0] == 0  # GET_BROKER_RUNTIME_INFO
        except OSError:
            return False

    def stop_cleanly(self, seconds=60):
        self.process.terminate()
        code = self.process.wait(seconds)
        if (self.layout.data / "abort").exists():
            # From 90 % on it does not call its store clean.
            usage = shutil.disk_usage(self.layout.data)
            raise RuntimeError(f"{self.label} left `abort` behind after its stop (exit code {code}); "
                               f"the disk is {100 * usage.used // (usage.used + usage.free)} % full")


class JavaBroker(Broker):
    def __init__(self, java, label, layout, namesrv, extra=None):
        super().__init__(label, layout, namesrv)
        self.java = java
        self.extra = extra or {}

    def command(self):
        layout = self.layout
        config = self.directory / "broker.conf"
        values = {
            "brokerClusterName": servers.CLUSTER, "brokerName": BROKER, "brokerId": 0, "brokerIP1": layout.host,
            "namesrvAddr": self.namesrv, "listenPort": layout.port, "haListenPort": layout.port + 1, "brokerRole": "ASYNC_MASTER",
            "flushDiskType": "ASYNC_FLUSH", "autoCreateTopicEnable": "true", "autoCreateSubscriptionGroup": "true",
            "waitTimeMillsInSendQueue": 10_000, "osPageCacheBusyTimeOutMills": 10_000, "registerNameServerPeriod": 10_000,
            "diskMaxUsedSpaceRatio": 95, "enablePropertyFilter": "true", **layout.java(), **self.extra}
        config.write_text("".join(f"{key}={value}\n" for key, value in values.items()))
        return self.java.command(self, "400m", "org.apache.rocketmq.broker.BrokerStartup", config)


class OurBroker(Broker):
    def __init__(self, binary, label, layout, namesrv, extra=()):
        super().__init__(label, layout, namesrv)
        self.binary = binary
        self.extra = extra

    def command(self):
        layout = self.layout
        return ([str(self.binary), "broker", "--namesrv", self.namesrv, "--broker-listen", self.address, "--ops-listen", "off",
                 "--name", BROKER, "--cluster", servers.CLUSTER, "--data", str(layout.data), *layout.ours(), *self.extra], {})

    def checked(self, seconds=120):
        """What `admin store check` says of the stopped broker's files; nothing if all is well."""
        layout = self.layout
        command = [str(self.binary), "admin", "store", "check", "--data", str(layout.data), "--segment-size", str(layout.sizes["segment"]),
                   "--queue-file-entries", str(layout.sizes["queue"]), "--index-slots", str(layout.sizes["slots"])]
        command += ["--commit-log-dir", str(layout.log)] if layout.apart else []
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=seconds, check=False,
                              stdin=subprocess.DEVNULL)
        return [] if done.returncode == 0 else [f"admin store check: exit code {done.returncode}: {done.stdout[-1500:]}"]

    def refusal(self, seconds=30):
        """What it says when it does not start; an error if it does."""
        command, _ = self.command()
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=seconds, check=False,
                              stdin=subprocess.DEVNULL)
        if done.returncode != 1:
            raise RuntimeError(f"{self.label} ended with {done.returncode}, not 1: {done.stdout[-500:]}")
        return done.stdout.strip().splitlines()[-1]
