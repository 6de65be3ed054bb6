"""Plugins that do whatever they like, in the real process: nothing gets through, nothing is lost, the node goes on, and the audit log has it."""

import json
import os
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../wire"))
from common import check, eventually, sample
from harness.sample import packed
from remoting import Connection, Frame

PUT_KV, GET_KV = 100, 101
AUDIT = "[audit]\nenabled = true\n"
# How each way to misbehave ends, as the node counts it. What takes its time may meet the deadline first: 50 ms at most.
SLOW = {"trap", "deadline"}
FAULTS = {"trap": {"trap"}, "loop": {"deadline"}, "grow": SLOW, "recurse": SLOW, "host_calls": {"deadline"}, "log_flood": SLOW,
          "oversized": SLOW, "index_beyond": {"answer"}, "index_twice": {"answer"}, "illegal_name": {"answer"}, "empty_name": {"answer"},
          "illegal_topic": {"answer"}, "too_many_edits": {"answer", "deadline"}}
# A node may take so much more for all of them together: one that grows without a bound would take far more.
GROWTH_MIB = 384


def bound(fault, hook, on, **more):
    """The sample with this fault, for a topic of its own."""
    name = fault.replace("_", "-")
    return sample({"faults": {hook: fault}, "fault_on": on}, name=name, hooks=[hook], topics=[f"{name}-*"], **more)


def resident(node):
    """MiB of memory that the process has."""
    with open(f"/proc/{node.process.pid}/status", encoding="ascii") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("VmRSS:")) // 1024


def failures(node, name, hook):
    return node.hook(name, hook)["failures"]


def audited(node, name, kind):
    """What the audit log has of failures of this plugin."""
    done = node.plain("audit", "query", node.data, "--kind", kind, "--outcome", "failed", "--limit", "100000", "--json")
    check(done.returncode == 0, done.stderr)
    found = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    return [record for record in found if record["policy"]["name"] == name]


def is_well(node, before):
    check(node.process.poll() is None, "the node is gone")
    check("not ready" not in node.get("/readyz"), node.get("/readyz"))
    check(resident(node) - before < GROWTH_MIB, f"{resident(node)} MiB, {before} before")


def whatever_a_plugin_does_nothing_gets_through(start):
    node = start(*[bound(fault, "before-send", "bad") for fault in FAULTS], extra=AUDIT, seconds=180)
    before = resident(node)
    for fault, ends in FAULTS.items():
        name = fault.replace("_", "-")
        good = lambda topic=f"{name}-topic": node.produce(topic, "good")[0] == 1
        eventually(good, f"{fault}: what it has nothing against is not stored")
        stored, error = node.produce(f"{name}-topic", "bad")
        check(stored == 0 and f"the plugin {name} cannot decide on this now" in error, f"{fault}: {stored} {error}")
        seen = failures(node, name, "before-send")
        check(seen and seen.keys() <= ends, f"{fault}: {seen}")
        # The next one meets an instance that knows nothing of it.
        eventually(good, f"{fault}: nothing is stored any more")
        check(node.consume(f"{name}-topic", "g") == ["good", "good"], f"{fault}: what is there")
    # None of the others has noticed.
    check(node.produce("orders", "bad")[0] == 1 and node.consume("orders", "g") == ["bad"], "others")
    is_well(node, before)
    node.stop()
    for fault in FAULTS:
        name = fault.replace("_", "-")
        check(audited(node, name, "send"), f"{fault}: the audit log has nothing of it")


def a_guard_that_fails_lets_nothing_through(start):
    ways = {"trap": {"trap"}, "loop": {"deadline"}, "oversized": SLOW}
    routes = sample({"faults": {"authorize": "trap"}}, name="routes", hooks=["authorize"], topics=["hidden"], codes=[105])
    node = start(*[bound(fault, "authorize", "pub topic:") for fault in ways], routes, extra=AUDIT, seconds=180)
    before = resident(node)
    check(node.produce("orders", "a", "b")[0] == 2, "what nobody guards is stored")
    for fault, ends in ways.items():
        topic = f"{fault}-topic"
        done = node.command_line("admin", "topic", "create", topic)
        check(done.returncode == 0, done.stderr)
        for _ in range(7):
            stored, error = node.produce(topic, "bad")
            check(stored == 0 and f"the plugin {fault} cannot decide on this now" in error, f"{fault}: {stored} {error}")
        seen = failures(node, fault, "authorize")
        check(seen.keys() <= ends | {"open"} and sum(seen.values()) >= 7 and node.plugin(fault)["breakerOpen"], f"{fault}: {seen}")
        # Meanwhile others are served, each by a group that begins.
        check(node.consume("orders", f"beside-{fault}") == ["a", "b"], "consuming does not go on")
    stored, error = node.produce("hidden", "bad")
    check(stored == 0 and "the plugin routes cannot decide on this now" in error, f"the name server: {stored} {error}")
    is_well(node, before)
    # Without the guard what is in the topic can be seen: nothing of what it failed at.
    for fault in ways:
        done = node.plugin_command("disable", fault, "--node", node.ops)
        check(done.returncode == 0, done.stderr)
        check(node.produce(f"{fault}-topic", "good")[0] == 1, "nobody guards it any more")
        check(node.consume(f"{fault}-topic", "g") == ["good"], f"{fault}: something got through")
    node.stop()
    for name in (*ways, "routes"):
        found = audited(node, name, "authorization")
        check(found, f"{name}: the audit log has nothing of it")


def a_stop_waits_for_nobody_at_the_expense_of_the_files(start):
    """A plugin that never comes to an end when it is told that no call follows, in many instances, and clients of the broker and of the name server
    that never read their answers."""
    deaf = sample({"faults": {"drain": "loop"}}, hooks=["before-send"], topics=["nobody"], instances=16)
    node = start(deaf, extra="[transport]\ndrain_ms = 60000\n[namesrv.limits]\ndrain_ms = 60000\n", seconds=180)
    check(node.produce("orders", "x" * 100_000)[0] == 1, "stored")
    with Connection(node.broker) as idle, Connection(node.namesrv) as deaf:
        value = dict(namespace="n", key="k")
        check(deaf.call(PUT_KV, value | {"value": "x" * 30_000}, b"").code == 0, "no value")
        deaf.raw(b"".join(deaf.numbered(Frame(GET_KV, value, b"")) for _ in range(2_000)))
        pull = dict(consumerGroup="g", topic="orders", maxMsgNums=32, sysFlag=4, commitOffset=0, suspendTimeoutMillis=0,
                    subscription="*", subVersion=0, expressionType="TAG", queueOffset=0)
        # Whichever queue it went to: far more than the system takes for somebody who does not read.
        idle.raw(b"".join(idle.numbered(Frame(11, pull | {"queueId": queue}, b"")) for queue in range(8) for _ in range(500)))
        eventually(lambda: "rocketmq_messages_out_total{" in node.get("/metrics"), "the pulls do not come")
        begun = time.monotonic()
        node.stop()
        took = time.monotonic() - begun
    check(took < 6, f"the stop took {took:.1f} s")
    for part in ("broker", "name server"):
        check(any(f"the {part} stops without those that it waited for: it waits for clients" in line for line in node.lines()), f"{part}: nobody was waited for")
    check(node.start(180), "it does not start")
    check(node.consume("orders", "h") == ["x" * 100_000], "it is there")


def what_is_no_plugin_of_this_contract_is_not_taken(start):
    node = start(sample({"reject_body": "poison"}, hooks=["before-send"]))
    with open(os.path.join(node.guests, "conformance.wasm"), "rb") as file:
        whole = file.read()
    ours, another = b"blockhouse:plugin/before-send@0.1.0", b"blockhouse:plugin/before-send@0.9.0"
    check(ours in whole, "the sample exports something else")
    wrong = {
        "not WebAssembly": b"\x7fELF\x02\x01\x01\x00 compiled",
        "core module": b"\0asm\x01\0\0\0",
        "contract": b"\0asm\x0d\0\x01\0",
        "compiled": whole[:len(whole) // 2],
        "before-send": whole.replace(ours, another),
    }
    for why, component in wrong.items():
        down = start(sample({}, guest=component, **({"hooks": ["before-send"]} if why == "before-send" else {})), ready=False)
        check(any("plugin sample" in line and why in line for line in down.lines()), f"{why}: {down.lines()[-2:]}")
    # A node that runs is not disturbed by the same.
    generation = lambda: json.loads(node.get("/v1/plugins"))["generation"]
    before = generation()
    for why, component in wrong.items():
        path = os.path.join(node.work, "wrong.wasm")
        with open(path, "wb") as file:
            file.write(packed(component, "2.0.0") if component.startswith(b"\0asm\x0d") else component)
        done = node.plugin_command("deploy", path, "--name", "sample", "--node", node.ops)
        check(done.returncode != 0 and (why != "before-send" or why in done.stderr), f"{why}: {done.stdout}{done.stderr}")
        check(generation() == before and node.produce("orders", "poison")[0] == 0, f"{why}: it changed something")
    check(node.produce("orders", "good")[0] == 1, "the one in force goes on")
