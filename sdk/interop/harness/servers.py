"""Starts and ends name servers and brokers of both kinds, each one process with a data directory of its own."""

import os
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

from . import everything, probe, secured, tools

HOST = "127.0.0.1"
CLUSTER = "DefaultCluster"


def port():
    """A port below the range that the system gives to clients; the Java broker also takes the ones two below and one above."""
    while True:
        candidate = random.randrange(20_000, 30_000)
        if all(_free(candidate + offset) for offset in (-2, -1, 0, 1)):
            return candidate


def _free(number):
    with socket.socket() as probe_socket:
        probe_socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe_socket.bind((HOST, number))
        except OSError:
            return False
    return True


class Server:
    """A process with its data directory and log file."""

    def __init__(self, label, directory):
        self.label = label
        self.directory = directory / label
        self.directory.mkdir(parents=True)
        self.address = f"{HOST}:{port()}"
        self.log = self.directory / "log.txt"
        self.process = None

    def command(self):
        """The command line and further environment."""
        raise NotImplementedError

    def start(self):
        command, environment = self.command()
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, cwd=self.directory,
                                            env=dict(os.environ, **environment), start_new_session=True)
        return self

    def alive(self):
        if self.process.poll() is not None:
            raise RuntimeError(f"{self.label} ended with {self.process.returncode}: {self.log.read_text(errors='replace')[-1500:]}")

    def kill(self):
        """kill -9."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self):
        """SIGTERM, and SIGKILL after 15 s; how many seconds it took, None if it was not running."""
        if self.process is None or self.process.poll() is not None:
            return None
        begun = time.monotonic()
        self.process.terminate()
        try:
            self.process.wait(15)
        except subprocess.TimeoutExpired:
            self.kill()
        return time.monotonic() - begun


class Java:
    """The released Java servers; the peer directory knows their version and how to fetch them."""

    def __init__(self, peer):
        tools.need("java", "mvn")
        shell = '. "$0/common.sh" && fetch_lib && printf "%s\\n%s\\n" "$RMQ_LIB" "$JOPENS"'
        lines = tools.check(["bash", "-c", shell, str(peer)]).strip().splitlines()
        self.library, self.opens = lines[-2], lines[-1].split()

    def command(self, server, heap, main, config):
        home = server.directory / "home"
        home.mkdir(exist_ok=True)
        return (["java", f"-Xms{heap}", f"-Xmx{heap}", *self.opens, "-XX:+UseSerialGC", "-XX:MaxDirectMemorySize=512m",
                 f"-Duser.home={home}", f"-Drocketmq.home.dir={home}", "-cp", f"{self.library}/*", main, "-c", str(config)],
                {"ROCKETMQ_HOME": str(home)})


def _properties(path, values):
    path.write_text("".join(f"{key}={value}\n" for key, value in values.items()))
    return path


class JavaServer(Server):
    def stop(self):
        if self.process is not None and self.process.poll() is None:
            self.kill()  # its data is thrown away, and it would take 15 s


class JavaNamesrv(JavaServer):
    def __init__(self, java, label, directory):
        super().__init__(label, directory)
        self.java = java

    def command(self):
        config = _properties(self.directory / "namesrv.conf", {
            "listenPort": self.address.split(":")[1], "kvConfigPath": self.directory / "kvConfig.json",
            "configStorePath": self.directory / "namesrv.properties"})
        return self.java.command(self, "96m", "org.apache.rocketmq.namesrv.NamesrvStartup", config)


class JavaBroker(JavaServer):
    def __init__(self, java, label, directory, namesrvs):
        super().__init__(label, directory)
        self.java = java
        self.namesrvs = namesrvs

    def command(self):
        listen = int(self.address.split(":")[1])
        store = self.directory / "store"
        config = _properties(self.directory / "broker.conf", {
            "brokerClusterName": CLUSTER, "brokerName": self.label, "brokerId": 0, "brokerIP1": HOST,
            "namesrvAddr": ";".join(self.namesrvs), "listenPort": listen, "haListenPort": listen + 1,
            "storePathRootDir": store, "storePathCommitLog": store / "commitlog", "brokerRole": "ASYNC_MASTER",
            "flushDiskType": "ASYNC_FLUSH", "autoCreateTopicEnable": "true", "autoCreateSubscriptionGroup": "true",
            # It refuses what waited 200 ms, which a small busy machine makes it do at any time.
            "waitTimeMillsInSendQueue": 5_000, "registerNameServerPeriod": 10_000, "diskMaxUsedSpaceRatio": 95})
        return self.java.command(self, "400m", "org.apache.rocketmq.broker.BrokerStartup", config)


class Blockhouse:
    """Our binary; with `guests`, the directory of the bundled plugins' components, all of them are bound, or what `bound` has for the
    label of a server, with `exported` in the configuration. With `security` all of that is on."""

    def __init__(self, binary, guests=None, bound=None, security=False, exported=""):
        self.binary, self.guests, self.bound, self.security, self.exported = binary, guests, bound, security, exported

    def command(self, server, role, *options):
        data = server.directory / "data"
        command = [str(self.binary), role, "--data", str(data), "--ops-listen", server.ops, *options]
        config = server.directory / "node.toml"
        if self.guests and self.bound is None:
            everything.configure(data, self.guests, config)
        elif self.guests:
            everything.write(data, self.guests, config, self.bound[server.label])
            with open(config, "a", encoding="utf-8") as out:
                out.write(self.exported)
        if server.security:
            with open(config, "a" if self.guests else "w", encoding="utf-8") as out:
                out.write(server.security.toml(server.label))
        return command + (["--config", str(config)] if self.guests or server.security else []), {}


class OurServer(Server):
    """A process of ours; `security` is what it shares with the others of its cluster, None without."""

    def __init__(self, blockhouse, label, directory, security):
        super().__init__(label, directory)
        self.blockhouse, self.security = blockhouse, security
        self.ops = f"{HOST}:{port()}"

    def audited(self):
        """What is said of its audit log, which has to be whole."""
        key = secured.public_key(self.log.read_text(errors="replace").splitlines())
        return secured.verify(self.blockhouse.binary, self.directory / "data", key)


class OurNamesrv(OurServer):

    def command(self):
        return self.blockhouse.command(self, "namesrv", "--namesrv-listen", self.address)


class OurBroker(OurServer):
    def __init__(self, blockhouse, label, directory, namesrvs, security):
        super().__init__(blockhouse, label, directory, security)
        self.namesrvs = namesrvs

    def command(self):
        return self.blockhouse.command(self, "broker", "--namesrv", ";".join(self.namesrvs), "--broker-listen", self.address,
                                       "--name", self.label, "--cluster", CLUSTER)


class OurStandalone(OurServer):
    """Name server and broker in one process: `address` is the name server's."""

    def __init__(self, blockhouse, label, directory, security):
        super().__init__(blockhouse, label, directory, security)
        self.broker = f"{HOST}:{port()}"

    def command(self):
        return self.blockhouse.command(self, "standalone", "--namesrv-listen", self.address, "--broker-listen", self.broker,
                                       "--name", "broker-a", "--cluster", CLUSTER)


class Cluster:
    """Some name servers and brokers, stopped and removed at the end; INTEROP_KEEP=1 keeps data and logs."""

    def __init__(self, what):
        self.directory = Path(tempfile.mkdtemp(prefix=f"blockhouse-interop-{what}-"))
        self.namesrvs, self.brokers, self.others, self.security = [], [], [], None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for server in [*self.brokers, *self.others, *self.namesrvs]:
            server.stop()
        if os.environ.get("INTEROP_KEEP"):
            print(f"kept: {self.directory}", flush=True)
        else:
            shutil.rmtree(self.directory, ignore_errors=True)

    def servers(self):
        return [*self.namesrvs, *self.brokers, *self.others]

    def ready(self, seconds=90):
        """Waits until every name server knows every broker, and all of them the user of the clients."""
        for number in range(len(self.namesrv_addresses())):
            self.known(number, seconds)
        if self.security:
            self.security.introduce(self.servers()[0].blockhouse.binary, self.security.load, ";".join(self.namesrv_addresses()))
        return self

    def known(self, number, seconds):
        """Waits until a name server knows all brokers; fails at once if a process has ended."""
        probe.wait_for_brokers(self.namesrv_addresses()[number], self.broker_addresses(), seconds,
                               lambda: [server.alive() for server in self.servers()], self.security and self.security.admin)

    def secure(self, brokers=()):
        self.security = secured.Security(self.directory / "security", brokers)

    def environment(self):
        """How clients are told to be let in."""
        return self.security.load.environment() if self.security else {}

    def namesrv_addresses(self):
        return [server.address for server in self.namesrvs or self.others]

    def broker_addresses(self):
        return [server.address for server in self.brokers] or [server.broker for server in self.others]


def single(target, software):
    """One name server and one broker: a standalone process of ours, or two Java processes."""
    cluster = Cluster(target)
    if target == "java":
        namesrv = JavaNamesrv(software, "namesrv", cluster.directory).start()
        cluster.namesrvs.append(namesrv)
        cluster.brokers.append(JavaBroker(software, "broker-a", cluster.directory, [namesrv.address]).start())
    else:
        if software.security:
            cluster.secure()
        cluster.others.append(OurStandalone(software, "standalone", cluster.directory, cluster.security).start())
    return cluster


def grown(what, namesrvs, brokers, software):
    """Several separate processes: kinds ("java" or "blockhouse") of name servers and of brokers; all know each other."""
    cluster, labels = Cluster(what), [f"broker-{'ab'[number]}" for number in range(len(brokers))]
    if any(kind != "java" and software[kind].security for kind in (*namesrvs, *brokers)):
        cluster.secure(labels)
    for number, kind in enumerate(namesrvs):
        where = (software[kind], f"namesrv-{number}", cluster.directory)
        made = JavaNamesrv(*where) if kind == "java" else OurNamesrv(*where, cluster.security)
        cluster.namesrvs.append(made.start())
    if cluster.security:
        _introduce_brokers(cluster)
    for label, kind in zip(labels, brokers):
        where = (software[kind], label, cluster.directory, cluster.namesrv_addresses())
        made = JavaBroker(*where) if kind == "java" else OurBroker(*where, cluster.security)
        cluster.brokers.append(made.start())
    return cluster


def _introduce_brokers(cluster):
    """A name server takes reports only from users it knows."""
    for server in cluster.namesrvs:
        probe.wait_until(lambda server=server: probe.listens(server.address), 60, f"{server.label} listens", server.alive)
        for user in cluster.security.brokers.values():
            cluster.security.introduce(server.blockhouse.binary, user, server.address, server.address)
