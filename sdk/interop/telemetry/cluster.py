"""A name server and a broker with all of security on, plugins if there are any, and spans for a collector; clients that put them to
work, and clients that misbehave in every way that a panel shows."""

import importlib.machinery
import importlib.util
import json
import os
import shutil
import sys
import threading
from types import SimpleNamespace

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "../faults"), os.path.join(HERE, "..")]
from harness import everything, servers
from harness.sample import GRANTS
from node import GROUP, Client, Frame, Ledger, check, until
from otlp import Sink

TOPIC, STOPPED, BROKEN = "orders", "stopped", b"this breaks the sample"
HEARTBEAT, SEND_BACK, PULL = 34, 36, 11
BROKER = {"store.segment_size": "64MiB", "store.disk_clean_percent": 100, "store.disk_force_clean_percent": 100,
          "store.disk_max_used_percent": 100, "telemetry.traces.head_ratio": 1, "quota.enabled": "true",
          "quota.user.produce_bytes": 1_000_000}


def heartbeat(group, topic):
    """What a member of groups says: a group that is behind with nobody connected would be an alert."""
    return json.dumps({
        "clientID": "load@1", "producerDataSet": [{"groupName": "load"}],
        "consumerDataSet": [{"groupName": group, "consumeType": "CONSUME_PASSIVELY", "messageModel": "CLUSTERING",
                             "consumeFromWhere": "CONSUME_FROM_FIRST_OFFSET", "subscriptionDataSet": [{"topic": topic, "subString": "*"}],
                             "unitMode": False}]}).encode()


def bindings():
    """The bundled plugins, and the sample, which makes a metric and breaks where it is told to, and in whose shadow another says no."""
    bound = everything.bound()
    sample = {"name": "sample", "guest": "conformance", "hooks": ["authorize", "before-send"], "grants": GRANTS, "deadline_ms": 50,
              "on_failure": "open", "config": {"ask_host": True, "fault_on": BROKEN.decode(), "faults": {"before-send": "trap"}}}
    shadow = {"name": "shadow", "guest": "conformance", "hooks": ["before-send"], "grants": GRANTS, "deadline_ms": 50, "mode": "shadow",
              "config": {"reject_body": BROKEN.decode()}}
    return [{"name": name, "guest": name} | bound[name] for name in ("acl", "filter")] + [sample, shadow]


class Observed(servers.Blockhouse):
    """Our binary with what panels need."""

    def __init__(self, binary, guests):
        super().__init__(binary, guests, guests and {"broker-a": bindings(), "namesrv-0": bindings()[:1]}, security=True)
        self.sink = Sink()

    def command(self, server, role, *options):
        command, environment = super().command(server, role, *options)
        settings = BROKER | {"telemetry.traces.endpoint": self.sink.endpoint} if role == "broker" else {}
        return command + [word for key, value in settings.items() for word in ("--set", f"{key}={value}")], environment


class Cluster:
    """The two processes, and how Prometheus is let in."""

    def __init__(self, binary, guests):
        self.software = Observed(binary, guests)
        self.parts = servers.grown("observed", ["blockhouse"], ["blockhouse"], {"blockhouse": self.software}).ready()
        self.security = self.parts.security
        self.namesrv, [self.broker] = self.parts.namesrvs[0], self.parts.brokers
        self.address = SimpleNamespace(broker=self.broker.address)

    def jobs(self):
        """As `docs/operations.md` says it."""
        admin = self.security.admin
        return [{"job_name": "blockhouse", "scheme": "https", "tls_config": {"ca_file": self.security.root},
                 "basic_auth": {"username": admin.name, "password_file": str(admin.file)},
                 "static_configs": [{"targets": [server.ops for server in self.parts.servers()]}]}]

    def client(self, user=None):
        return Client(self.address, Ledger(), user or self.security.load)

    def metrics(self, server):
        with self.security.admin.open(server.ops, "/metrics") as answer:
            return answer.read().decode()

    def end(self):
        self.parts.__exit__()
        self.software.sink.close()


class Plain:
    """A node without security, for a load."""

    security = SimpleNamespace(admin=None)

    def __init__(self, node):
        self.node = node

    def client(self, _user=None):
        return Client(self.node, Ledger())


class Load:
    """Messages that are sent, pulled and committed by a member of a group, until it is ended. Then `trouble` is what went wrong."""

    def __init__(self, cluster):
        # On a connection of its own: members of groups are also asked things.
        self.client, self.member = cluster.client(), cluster.client()
        self.ended, self.trouble = threading.Event(), None
        setup = cluster.client(cluster.security.admin)
        for topic in (TOPIC, STOPPED):
            setup.create_topic(topic, 1)
        setup.create_group()
        answer = setup.connection.call(200, {}, b'{"groupName":"%s","consumeEnable":true}' % STOPPED.encode())
        check(answer.code == 0, f"{answer}")
        setup.close()
        self.thread = threading.Thread(target=self._run)
        self.thread.start()

    def _run(self):
        try:
            while not self.ended.wait(0.1):
                self.member.connection.call(HEARTBEAT, {}, heartbeat(GROUP, TOPIC))
                self.client.send_burst(TOPIC, 0, 10, 300)
                end = self.client.end_of(TOPIC, 0)
                self.client.pull(TOPIC, 0, max(0, end - 10))
                self.client.commit(TOPIC, 0, end - 3)
                # Beyond the end: there is an answer other than success.
                self.client.pull(TOPIC, 0, end + 1000)
        except Exception as error:  # pylint: disable=broad-except
            self.trouble = error

    def end(self):
        self.ended.set()
        self.thread.join(30)
        self.client.close()
        self.member.close()


class Misbehaviour:
    """Clients that are refused, consumers that fail, a group that nobody is of any more, again and again until it is ended."""

    def __init__(self, cluster):
        self.cluster, self.ended, self.trouble, self.rounds = cluster, threading.Event(), None, 0
        self.thread = threading.Thread(target=self._run)
        self.thread.start()

    def _run(self):
        steps = [self.strangers, self.beyond_its_quota, self.broken_plugin, self.given_up, self.retried, self.left_behind, self.waits, self.changes]
        try:
            while not self.ended.is_set():
                for step in steps:
                    step()
                self.rounds += 1
                self.ended.wait(0.5)
        except Exception as error:  # pylint: disable=broad-except
            self.trouble = error

    def strangers(self):
        self.cluster.security.strangers(self.cluster.broker.address, TOPIC)

    def beyond_its_quota(self):
        client = self.cluster.client()
        client.send_burst(STOPPED, 0, 4, 500_000)
        client.close()

    def broken_plugin(self):
        client = self.cluster.client()
        frame = client.frame(TOPIC, 0, client.ledger.new_id(10), 10)
        client.connection.call(frame.code, frame.ext, BROKEN)
        client.close()

    def _back(self, level):
        """A consumer gives its first message back: after a while at this level, at once to the dead letters at -1."""
        client = self.cluster.client()
        begin = int(client.connection.call(31, {"topic": TOPIC, "queueId": 0}).ext["offset"])
        place = client.pull(TOPIC, 0, begin)
        check(place.code == 0, f"{place}")
        physical = int.from_bytes(place.body[28:36], "big")
        answer = client.connection.call(SEND_BACK, {"offset": physical, "group": GROUP, "delayLevel": level, "originTopic": TOPIC,
                                                    "originMsgId": "", "unitMode": "false", "maxReconsumeTimes": 16})
        client.close()
        return answer

    def given_up(self):
        check((answer := self._back(-1)).code == 0, f"send back: {answer}")

    def retried(self):
        """The message comes again, and is delivered again."""
        if self.rounds == 0:
            check((answer := self._back(1)).code == 0, f"send back: {answer}")
        client = self.cluster.client()
        until("a retry", lambda: client.pull(f"%RETRY%{GROUP}", 0, 0).code == 0)
        client.close()

    def left_behind(self):
        """A group with messages and without a member."""
        client = self.cluster.client()
        client.connection.call(15, dict(consumerGroup=STOPPED, topic=STOPPED, queueId=0, commitOffset=0))
        client.close()

    def waits(self):
        client = self.cluster.client()
        ext = dict(consumerGroup=GROUP, topic=STOPPED, queueId=0, queueOffset=client.end_of(STOPPED, 0), maxMsgNums=32, sysFlag=6,
                   commitOffset=0, suspendTimeoutMillis=500, subscription="*", subVersion=0, expressionType="TAG")
        client.connection.answer(client.connection.send(Frame(PULL, ext)))
        client.close()

    def changes(self):
        """Somebody who may changes a topic and a group."""
        client = self.cluster.client(self.cluster.security.admin)
        client.create_topic(STOPPED, 1)
        client.create_group()
        client.close()

    def end(self):
        self.ended.set()
        self.thread.join(60)


class Official:
    """The official Java client over TLS and signed: it sends and consumes, and stays connected."""

    def __init__(self, cluster, version="5.4.0"):
        loader = importlib.machinery.SourceFileLoader("authn_run", os.path.join(HERE, "../security/authn/run"))
        authn = importlib.util.module_from_spec(importlib.util.spec_from_loader("authn_run", loader))
        loader.exec_module(authn)
        load = cluster.security.load
        os.environ["JAVA_TOOL_OPTIONS"] = load.environment()["JAVA_TOOL_OPTIONS"]
        self.client = authn.Java(version, cluster.namesrv.address, cluster.parts.directory / "java")
        setup = cluster.client(cluster.security.admin)
        setup.create_topic("java", 1)
        setup.close()
        self.client.expect("ok", "producer", "p", load.name, load.secret)
        # On a busy machine its first requests take longer than it waits.
        for words in (("send", "p", "java", 20), ("consume", load.name, load.secret, "java", 20)):
            until(f"{words[0]}: {self.client.said}", lambda words=words: self.client.ask(*words) == "ok", 60)

    @staticmethod
    def why_not():
        return None if shutil.which("java") and shutil.which("mvn") else "no java or no mvn"

    def end(self):
        self.client.close()
