"""Alerts about credentials, policies, certificates, the audit log and plugins."""

import itertools
import os
import socket
import subprocess
import time

import common
from certificates import Authority
from common import SEND, Raw, message
from disk import SmallDisk, Unable, run
from harness import everything
from harness.sample import GRANTS, packed
from node import check, until
from stage import job, secured

RULES = "p, user:app, *, Topic:orders, Pub, -, allow\n"
OPERATOR = "p, anonymous, *, Topic:*, Create|Update|Get, -, allow\np, anonymous, *, Cluster:*, Get|Update, -, allow\n"


def with_users(stage, *options, **settings):
    """A node that knows `app`, who may send to one topic, and a Prometheus that scrapes it."""
    node = stage.server(*options, **settings).authenticated().authorized(RULES).start()
    node.user("app")
    node.admin("topic", "create", "orders")
    return node, stage.prometheus(secured(node))


def again_and_again(prometheus, name, do):
    """Until the alert fires."""
    until(f"{name} fires", lambda: do() or any(alert["state"] == "firing" for alert in prometheus.alerts(name)), 60)
    prometheus.fires(name)


def wrong_credentials_and_what_is_denied(stage):
    node, prometheus = with_users(stage)
    prometheus.quiet("BlockhouseWrongCredentials", "BlockhouseManyDenials")
    client = Raw(node.broker)
    again_and_again(prometheus, "BlockhouseWrongCredentials", lambda: client.call(SEND, message("orders"), b"x", user="app", password="wrong").code == 0)
    prometheus.ends("BlockhouseWrongCredentials")
    app = Raw(node.broker, "app")
    check(app.call(SEND, message("orders"), b"x").code == 0, "what it may")
    again_and_again(prometheus, "BlockhouseManyDenials", lambda: [app.call(SEND, message("forbidden"), b"x").code for _ in range(5)].count(0) > 0)
    prometheus.ends("BlockhouseManyDenials")
    node.stop()
    return "then neither"


def policies_that_change_and_policies_that_are_wrong(stage):
    node, prometheus = with_users(stage)
    file, names = node.work / "policies" / "rules.csv", ("BlockhousePoliciesRefused", "BlockhousePoliciesChanged")
    prometheus.quiet(*names)
    file.write_text("p, this is no rule\n")
    node.tool("policy", "reload", "--node", node.ops, code=1)
    prometheus.fires("BlockhousePoliciesRefused", outcome="refused")
    check(not prometheus.alerts("BlockhousePoliciesChanged"), "nothing is changed")
    file.write_text(RULES + "p, user:app, *, Topic:more, Pub, -, allow\n")
    node.tool("policy", "reload", "--node", node.ops)
    prometheus.fires("BlockhousePoliciesChanged")
    for name in names:
        prometheus.ends(name)
    node.stop()
    return "a wrong set, a right one, and no more"


def own_address():
    """An address of this machine that others could reach; nothing is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError as error:
            raise Unable(f"no address but loopback: {error}") from error
        return probe.getsockname()[0]


def secrets_in_plaintext(stage):
    """Over an address that is not loopback: for the node somebody from elsewhere."""
    address = own_address()
    node = stage.server("--insecure")
    node.broker_listen = f"{address}:0"
    node.authenticated().start()
    prometheus = stage.prometheus(secured(node))
    prometheus.quiet("BlockhouseCredentialsInPlaintext")
    check(Raw(node.broker, "admin").call(SEND, message("orders"), b"x").code == common.NO_PERMISSION, "a secret in plaintext is taken")
    prometheus.fires("BlockhouseCredentialsInPlaintext", outcome="plaintext")
    prometheus.ends("BlockhouseCredentialsInPlaintext")
    return "one request"


def a_certificate_that_ends_soon(stage):
    authority = Authority(os.path.join(stage.work, "ca"))
    cert, key = authority.issue("server", "IP:127.0.0.1", days=30)
    node = stage.server(**{"tls.mode": "permissive", "tls.cert": cert, "tls.key": key}).start()
    prometheus = stage.prometheus(job(node.ops))
    prometheus.quiet("BlockhouseCertificateEnds")
    authority.issue("server", "IP:127.0.0.1", days=3)
    prometheus.fires("BlockhouseCertificateEnds")
    authority.issue("server", "IP:127.0.0.1", days=30)
    prometheus.ends("BlockhouseCertificateEnds")
    node.stop()
    return "in three days, then in thirty"


def audited(stage, disk_mib):
    """A node whose audit log is on a disk of its own."""
    below = os.path.join(stage.work, "node", "data", "blockhouse")
    node = stage.server(**{"audit.enabled": "true"}).authorized(OPERATOR)
    os.makedirs(below, mode=0o700)
    disk = stage.disk(lambda: SmallDisk(below, "audit", disk_mib))
    node.start()
    return node, stage.prometheus(job(node.ops)), disk


def created(node, topic):
    ext = dict(topic=topic, defaultTopic="TBW102", readQueueNums=1, writeQueueNums=1, perm=6, topicFilterType="SINGLE_TAG", topicSysFlag=0,
               order="false")
    return Raw(node.broker, timeout=60).call(17, ext).code


def an_audit_log_without_room(stage):
    names = ["BlockhouseAuditNotWritable", "BlockhouseAuditEventsLost"]
    # Large enough for all that waits.
    node, prometheus, disk = audited(stage, 512)
    prometheus.quiet(*names)
    disk.fill()
    until("changes are refused", lambda: created(node, f"topic-{time.monotonic_ns()}"))
    prometheus.fires("BlockhouseAuditNotWritable")

    client, numbers = Raw(node.broker), itertools.count()

    def events():
        """Refusals, each of another topic, so that no two share a record."""
        for _ in range(40):
            batch = [client.frame(SEND, message(f"forbidden-{next(numbers)}"), b"x") for _ in range(500)]
            client.connection.raw(b"".join(client.connection.numbered(frame) for frame in batch))
            check(all(client.connection.next().code == common.NO_PERMISSION for _ in batch), "a send that nobody may")
        return prometheus.alerts("BlockhouseAuditEventsLost")

    until("events are lost", events, 120)
    prometheus.fires("BlockhouseAuditEventsLost")
    disk.make_room()
    for name in names:
        prometheus.ends(name, 60)
    check(created(node, "after") == 0, "changes are taken again")
    return "and room again"


def frozen_audit_log(stage, *names, seconds):
    """Its disk takes nothing, and says nothing."""
    node, prometheus, disk = audited(stage, 16)
    check(created(node, "before") == 0, "a change")
    prometheus.quiet(*names)
    run("fsfreeze", "--freeze", disk.path)
    try:
        waiting = Raw(node.broker, timeout=200)
        waiting.begin(SEND, message("orders"), b"x")
        waiting.begin(17, dict(topic="waits", defaultTopic="TBW102", readQueueNums=1, writeQueueNums=1, perm=6, topicFilterType="SINGLE_TAG",
                               topicSysFlag=0, order="false"))
        # And later ones: they wait in a queue of their own.
        again = Raw(node.broker)
        for name in names:
            until(f"{name} is seen", lambda name=name: again.call(SEND, message(f"more-{time.monotonic_ns()}"), b"x") and prometheus.alerts(name), seconds)
            prometheus.fires(name)
    finally:
        subprocess.run(["fsfreeze", "--unfreeze", disk.path], capture_output=True, check=False)
    for name in names:
        prometheus.ends(name)
    return "and goes on"


def an_audit_log_that_waits_for_its_disk(stage):
    return frozen_audit_log(stage, "BlockhouseAuditLags", seconds=60)


def an_audit_log_that_is_not_signed(stage):
    return frozen_audit_log(stage, "BlockhouseAuditNotSigned", seconds=120)


def a_plugin_that_is_taken_back(stage):
    """The node takes the version before again, since the new one traps."""
    if not stage.guests or not (component := stage.guests / "conformance.wasm").exists():
        raise Unable("no compiled plugins: --guests DIR")
    node = stage.server().start()
    prometheus = stage.prometheus(job(node.ops))
    prometheus.quiet("BlockhousePluginReverted")
    for version, config in (("1.0.0", {}), ("1.1.0", {"faults": {"before-send": "trap"}})):
        file, binding = node.work / f"{version}.wasm", node.work / f"{version}.toml"
        file.write_bytes(packed(component.read_bytes(), version))
        binding.write_text(everything.text("sample", {"grants": GRANTS, "deadline_ms": 200, "hooks": ["before-send"], "config": config}))
        node.tool("plugin", "deploy", str(file), "--name", "sample", "--binding", str(binding), "--node", node.ops, user=None)
    client = Raw(node.broker)
    until("the version before is back", lambda: client.call(SEND, message("orders"), b"x").code == 0, 30)
    prometheus.fires("BlockhousePluginReverted", outcome="reverted")
    prometheus.ends("BlockhousePluginReverted")
    node.stop()
    return "once"


def a_plugin_that_fails_again_and_again(stage):
    """It traps on some messages; the node leaves it alone, and asks it again later."""
    if not stage.guests or not (stage.guests / "conformance.wasm").exists():
        raise Unable("no compiled plugins: --guests DIR")
    name, broken, config = "BlockhousePluginBreakerOpen", b"this breaks the sample", os.path.join(stage.work, "plugins.toml")
    node = stage.server("--config", config)
    everything.write(node.data, stage.guests, config, [
        {"name": "sample", "guest": "conformance", "hooks": ["before-send"], "grants": GRANTS, "deadline_ms": 200,
         "config": {"fault_on": broken.decode(), "faults": {"before-send": "trap"}}}])
    node.start()
    prometheus, client = stage.prometheus(job(node.ops)), Raw(node.broker)
    check(client.call(SEND, message("orders"), b"x").code == 0, "a send that the plugin lets pass")
    prometheus.quiet(name)
    check(all(client.call(SEND, message("orders"), broken).code for _ in range(6)), "a send that the plugin traps on")
    prometheus.fires(name, plugin="sample")
    until("it is asked again", lambda: client.call(SEND, message("orders"), b"x").code == 0, 30)
    prometheus.ends(name)
    node.stop()
    return "six times, then well"


SCENES = {
    wrong_credentials_and_what_is_denied: ["BlockhouseWrongCredentials", "BlockhouseManyDenials"],
    policies_that_change_and_policies_that_are_wrong: ["BlockhousePoliciesRefused", "BlockhousePoliciesChanged"],
    secrets_in_plaintext: ["BlockhouseCredentialsInPlaintext"],
    a_certificate_that_ends_soon: ["BlockhouseCertificateEnds"],
    an_audit_log_without_room: ["BlockhouseAuditNotWritable", "BlockhouseAuditEventsLost"],
    an_audit_log_that_waits_for_its_disk: ["BlockhouseAuditLags"],
    an_audit_log_that_is_not_signed: ["BlockhouseAuditNotSigned"],
    a_plugin_that_is_taken_back: ["BlockhousePluginReverted"],
    a_plugin_that_fails_again_and_again: ["BlockhousePluginBreakerOpen"],
}
SLOW = [an_audit_log_that_is_not_signed]
