"""What a binding says of a plugin in the real process: for whom it runs, in which store, what its failure does, who must have signed it, and which
versions are kept."""

import hashlib
import json
import os
import shutil
import subprocess
import time

from acting import NO_PERMISSION, PULL, ROUTE, SEND, SUCCESS, ask, message, pull, refused, routed
from common import check, eventually, lines, sample, toml
from harness.sample import GRANTS, packed

LATE = "cannot decide on this now"
# So many calls of a version say how long it takes.
CALLS_MIN, SLOWER = 50, "before-send: a message takes"


def a_fresh_store_is_made_for_each_call(start):
    node = start(sample({"tell": True}, hooks=["before-send"], store="fresh"))
    begun = lambda: sum(line.startswith("init ") for line in lines(node))
    first = begun()
    for number in range(1, 4):
        check(ask(node.broker, SEND, message("orders"), b"x").code == SUCCESS, "not stored")
        check(begun() == first + number, f"{begun()} instances, {first} before {number} calls")
    eventually(lambda: lines(node).count("drained") >= 3, lambda: f"none of them is let go: {lines(node)}")
    check(lines(node).count("started") >= 3, f"they were not told that the process is ready: {lines(node)}")


def who_is_out_of_scope_is_not_asked_about(start):
    known = {"signatures": {"ann": "right", "bob": "right"}}
    node = start(sample(known, name="names", hooks=["authenticate"]),
                 sample({"deny_pull_groups": ["team-a-1", "team-b-1"]}, name="groups", hooks=["pull"], groups=["team-a-*"]),
                 sample({"reject_body": "secret"}, name="people", hooks=["before-send"], principals=["ann", "x-*"]),
                 sample({"reject_body": "secret"}, name="nobody", hooks=["before-send"], principals=["anonymous"], topics=["public-?"]),
                 sample({"deny_accesses": ["sub topic:orders"]}, name="routes", hooks=["authorize"], codes=[ROUTE]))

    def sent(topic, who=None):
        return ask(node.broker, SEND, message(topic) | ({"AccessKey": who, "Signature": "right"} if who else {}), b"secret")

    calls = lambda name, hook: node.hook(name, hook)["calls"]
    refused(sent("orders", "ann"), "the sample refuses this body")
    check(sent("orders", "bob").code == sent("orders").code == sent("public-12").code == SUCCESS, "who is out of scope is refused")
    refused(sent("public-1"), "the sample refuses this body")
    check((calls("people", "before-send"), calls("nobody", "before-send")) == (1, 1), "who is out of scope costs a call")
    refused(ask(node.broker, PULL, pull("orders", "team-a-1")), "the sample refuses the group team-a-1")
    for group in ("team-b-1", "team-a"):
        check(ask(node.broker, PULL, pull("orders", group)).code == SUCCESS, f"{group} may not pull")
    check(calls("groups", "pull") == 1, "a group that is out of scope costs a call")


def one_that_is_not_there_fails_as_its_binding_says(start):
    """On a broker and a name server: what it would have been asked about is refused, or goes on as if it had not been bound."""
    def missing(name, hook, topic, on_failure):
        return sample({"no_such_rule": 1}, name=name, hooks=[hook], topics=[topic], required=False, on_failure=on_failure)

    node = start(missing("closed", "before-send", "guarded", "closed"), missing("opened", "before-send", "free", "open"),
                 missing("closed-routes", "route-query", "hidden", "closed"), missing("opened-routes", "route-query", "free", "open"))
    refused(ask(node.broker, SEND, message("guarded"), b"x"), f"the plugin closed {LATE}")
    for topic in ("free", "hidden"):
        check(ask(node.broker, SEND, message(topic), b"x").code == SUCCESS, f"{topic}: not stored")
    routed(node, "free")
    refused(ask(node.namesrv, ROUTE, {"topic": "hidden"}), f"the plugin closed-routes {LATE}")
    check(node.consume("free", "g") == ["x"], "what is stored is there")
    for name, hook in (("closed", "before-send"), ("opened", "before-send"), ("closed-routes", "route-query"), ("opened-routes", "route-query")):
        check(node.hook(name, hook)["failures"].get("missing", 0) >= 1, node.hook(name, hook))
        check("no_such_rule" in node.plugin(name)["problem"], node.plugin(name))


REQUIRED = '[plugins.trust]\nrequire = { all_of = ["security"], any_of = ["team-a", "team-b"], minimum = 2 }\n'


def a_start_asks_for_signatures_as_well(start):
    """The operator's set of keys, on a broker and a name server: a plugin that was bound before is not above it."""
    for role, hook in (("standalone", "before-send"), ("namesrv", "route-query")):
        node = start(sample({}, hooks=[hook]), role=role)
        node.stop()
        path, trust = demand_signatures(node), os.path.join(node.data, "blockhouse", "trust")
        keys = os.path.join(node.work, "keys")
        os.makedirs(keys)
        for name in ("security", "team-a", "team-b", "stranger"):
            check(node.plugin_command("keygen", name, "--dir", keys).returncode == 0, "keygen")
        os.makedirs(trust, exist_ok=True)
        for name in ("security", "team-a", "team-b"):
            shutil.copy(os.path.join(keys, f"{name}.pub"), trust)
        signed = []
        for name in (None, "stranger", "team-a", "team-b", "security"):
            if name:
                done = node.plugin_command("sign", path, "--key", os.path.join(keys, f"{name}.key"))
                check(done.returncode == 0, done.stderr)
                signed.append(name)
            check(node.start() == ("security" in signed), f"{role}, signed by {signed}: {node.lines()[-2:]}")
            if name != "security":
                says_why = [line for line in node.lines() if "is signed by" in line or "needs the signature of security" in line]
                check(says_why, f"{signed}: {node.lines()[-2:]}")
        check(node.plugin("sample")["version"] == "1.0.0", node.plugin("sample"))
        node.stop()
        # A key that is not trusted any more.
        os.remove(os.path.join(trust, "security.pub"))
        check(not node.start(), f"{role}: it starts without the key that must have signed")


def demand_signatures(node):
    """Has the node's configuration demand signatures, of a component with a manifest: its file."""
    with open(os.path.join(node.guests, "conformance.wasm"), "rb") as file:
        component = packed(file.read(), "1.0.0")
    digest = hashlib.sha256(component).hexdigest()
    path = os.path.join(node.data, "blockhouse", "plugins", f"sha256-{digest}.wasm")
    with open(path, "wb") as file:
        file.write(component)
    config = os.path.join(node.work, "node.toml")
    with open(config, encoding="utf-8") as file:
        text = [f'digest = "sha256:{digest}"' if line.startswith("digest = ") else line for line in file.read().splitlines()]
    with open(config, "w", encoding="utf-8") as file:
        file.write(REQUIRED + "\n".join(text) + "\n")
    return path


def three_versions_are_kept(start):
    """The one in force and two before it, and no component beside theirs."""
    node = start()
    home = os.path.join(node.data, "blockhouse", "plugins")
    digests, versions = {}, [f"1.0.{number}" for number in range(4)]
    for version in versions:
        check(node.deploy(version, {"set_property": {"version": version}}) is None, f"the deploy of {version}")
        digests[version] = node.plugin("sample")["digest"].replace(":", "-")
    plugin = node.plugin("sample")
    check((plugin["version"], [past["version"] for past in plugin["history"]]) == ("1.0.3", ["1.0.2", "1.0.1"]), plugin)
    kept = {name for name in os.listdir(home) if name.endswith(".wasm")}
    check(kept == {digests[version] + ".wasm" for version in versions[1:]}, f"components: {kept}")
    compiled = code(node)
    for version in ("1.0.2", "1.0.1"):
        check(version in node.change("rollback"), f"a rollback to {version}")
        check(ask(node.broker, SEND, message("orders"), b"x").code == SUCCESS, "not stored")
    check(code(node) == compiled, "a rollback compiles")
    done = node.plugin_command("rollback", "sample", "--node", node.ops)
    check(done.returncode == 1 and "no version before" in done.stderr, done.stdout + done.stderr)
    routed(node, "orders")
    done = node.command_line("consume", "orders", "--group", "g", "--json")
    seen = {json.loads(line)["properties"]["version"] for line in done.stdout.splitlines()}
    check(seen == {"1.0.2", "1.0.1"}, f"messages have met {seen}")


def code(node):
    return sorted(line for line in node.get("/metrics").splitlines() if line.startswith("blockhouse_plugin_code_total{"))


def with_topic(start, topic, *bindings):
    """A name server with these plugins that knows the topic, of a broker without any."""
    namesrv = start(*bindings, role="namesrv")
    broker = start(role="broker", more=("--namesrv", namesrv.namesrv))
    check(ask(broker.broker, SEND, message(topic), b"x").code == SUCCESS, "not stored")
    eventually(lambda: ask(namesrv.namesrv, ROUTE, {"topic": topic}).code in (SUCCESS, NO_PERMISSION), f"{topic} is not there")
    return namesrv


def a_worse_version_on_a_name_server_goes_back_by_itself(start):
    namesrv = with_topic(start, "orders")
    check(namesrv.deploy("1.0.0", {}, hooks=["route-query"]) is None, "the first deploy")
    problem = namesrv.deploy("1.1.0", {"faults": {"route-query": "trap"}}, hooks=["route-query"])
    check(problem is None, problem)

    def is_back():
        # A name server answers all the same: that is what routes do by default.
        check(ask(namesrv.namesrv, ROUTE, {"topic": "orders"}).code == SUCCESS, "the route is refused")
        return namesrv.plugin("sample")["version"] == "1.0.0"

    eventually(is_back, lambda: f"it does not go back: {namesrv.plugin('sample')}")
    [past] = namesrv.plugin("sample")["history"]
    check(past["state"] == "rejected" and "calls failed" in past["reason"], past)
    namesrv.stop()
    check(namesrv.start() and namesrv.plugin("sample")["version"] == "1.0.0", "a restart brings it back")


def a_slower_version_goes_back_by_itself(start):
    """It does nothing wrong, and takes its time: for each message it looks for a hundred things that are not there."""
    node = start()
    body = b"x" * 20_000
    sent = lambda: check(ask(node.broker, SEND, message("orders"), body).code == SUCCESS, "not stored")
    # Slow is not late, however busy the machine is.
    check(node.deploy("1.0.0", {}, deadline_ms=5_000) is None, "the first deploy")
    for _ in range(CALLS_MIN):
        sent()
    problem = node.deploy("1.1.0", {"replace": {f"no such thing {number}": "" for number in range(100)}}, deadline_ms=5_000)
    check(problem is None, problem)
    for _ in range(CALLS_MIN):
        sent()
    eventually(lambda: node.plugin("sample")["version"] == "1.0.0", lambda: f"it does not go back: {node.plugin('sample')}")
    [past] = node.plugin("sample")["history"]
    check(past["state"] == "rejected" and SLOWER in past["reason"], past)
    sent()


def who_writes_too_much_is_cut_short(start):
    """A hundred lines in a second, of a KiB each; the next one says how many were lost."""
    node = start(sample({"faults": {"before-send": "log_flood"}, "fault_on": "flood"}, hooks=["before-send"]))
    flood = lambda: ask(node.broker, SEND, message("orders"), b"flood")
    ours = lambda: [line for line in node.lines() if "flood flood" in line]
    begun = time.monotonic()
    for _ in range(4):
        refused(flood(), f"the plugin sample {LATE}")
    seconds = int(time.monotonic() - begun) + 2
    check(100 <= len(ours()) <= 100 * seconds, f"{len(ours())} lines in {seconds} s")
    check(max(map(len, ours())) < 1_500, f"a line of {max(map(len, ours()))} bytes")
    lost = lambda: [line for line in node.lines() if "lines of it were too many and are lost" in line]
    # Whatever it writes next, in another second.
    eventually(lambda: flood().code == NO_PERMISSION and lost(), lambda: f"nobody says so: {node.lines()[-3:]}")


def a_node_of_each_kind_waits_for_what_is_required(start):
    namesrv = start(role="namesrv")
    for role, hook, more in (("namesrv", "route-query", ()), ("broker", "before-send", ("--namesrv", namesrv.namesrv))):
        down = start(sample({"no_such_rule": 1}, hooks=[hook]), role=role, more=more, ready=False)
        check(down.process.returncode != 0, f"{role}: exit code 0")
        check(any("plugin sample" in line and "no_such_rule" in line for line in down.lines()), f"{role}: {down.lines()[-2:]}")
        check(not any("listening on" in line for line in down.lines()), f"{role} listens without it: {down.lines()}")
        node = start(sample({}, hooks=[hook]), role=role, more=more)
        check("not ready" not in node.get("/readyz"), node.get("/readyz"))
        node.stop()
        path = os.path.join(node.data, "blockhouse", "plugins", node_component(node))
        os.rename(path, path + ".gone")
        check(not node.start() and any("plugin sample" in line for line in node.lines()), f"{role} starts without its file: {node.lines()[-2:]}")
        os.rename(path + ".gone", path)
        check(node.start(), f"{role} does not start with it: {node.lines()[-2:]}")


def node_component(node):
    [name] = [name for name in os.listdir(os.path.join(node.data, "blockhouse", "plugins")) if name.endswith(".wasm")]
    return name


def a_name_server_shows_one_request(start):
    namesrv = with_topic(start, "hidden", sample({"deny_routes": ["hidden"]}, hooks=["authorize", "route-query"]))
    words = [namesrv.binary, "plugin", "trace", "--node", namesrv.ops, "--topic", "hidden", "--count", "1", "--json"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as trace:
        while trace.poll() is None:
            refused(ask(namesrv.namesrv, ROUTE, {"topic": "hidden"}), "the sample refuses the route of hidden")
        shown, error = trace.stdout.read(), trace.stderr.read()
    check(trace.returncode == 0, error)
    [request] = [json.loads(line) for line in shown.splitlines()]
    calls = [(call["hook"], call["plugin"], call["decision"]) for call in request["calls"]]
    check(calls == [("authorize", "sample", "continue"), ("route-query", "sample", "refuse")], f"{calls}")
    check(request["code"] == ROUTE and "the sample refuses the route of hidden" in json.dumps(request["calls"][1]), request)


def what_a_binding_must_not_say_keeps_the_node_down(start):
    """There is no `unlimited`, no tag, no scope that says nothing, and no import that was not granted."""
    node = start(sample({}, hooks=["before-send"]))
    node.stop()
    config = os.path.join(node.work, "node.toml")
    with open(config, encoding="utf-8") as file:
        good = file.read().splitlines()
    granted = lambda **more: GRANTS | more
    wrong = [("memory_mib", {"memory_mib": 0}), ("memory_mib", {"memory_mib": 257}), ("instances", {"instances": 17}), ("deadline_ms", {"deadline_ms": 0}),
             ("deadline_ms", {"deadline_ms": 10_001}), ("digest", {"digest": "latest"}), ("tag", {"tag": "v1"}), ("order", {"order": 1_001}),
             ("mode", {"mode": "audit"}), ("hooks", {"hooks": [], "required": False}), ("topics", {"hooks": ["connection"], "topics": ["orders"]}),
             ("groups", {"hooks": ["admin-command"], "groups": ["g"]}), ("blockhouse:plugin/kv", {"grants": granted(kv=False)}),
             ("blockhouse:plugin/log", {"grants": granted(log=False)}), ("before-send", {"grants": granted(http=["http://127.0.0.1/"])}),
             ("before-send", {"grants": granted(publish=["copies-*"])})]
    for why, change in wrong:
        kept = [line for line in good if line.split(" = ")[0] not in change]
        with open(config, "w", encoding="utf-8") as file:
            file.write("\n".join(kept + [f"{key} = {toml(value)}" for key, value in change.items()]) + "\n")
        check(not node.start(), f"it starts with {change}")
        check(node.process.returncode != 0 and why in node.lines()[-1], f"{change}: {node.lines()[-2:]}")
    with open(config, "w", encoding="utf-8") as file:
        file.write("\n".join(good) + "\n")
    check(node.start(), node.lines()[-2:])
