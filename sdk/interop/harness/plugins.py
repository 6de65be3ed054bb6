"""What official clients see of the bundled plugins and of the sample that does what it is told, bound to broker and name servers, and what audit tells of it.

One broker is reported to two name servers. The second one lets no broker register.
"""

import time

from . import everything, probe, servers
from .collector import Collector
from .sample import GRANTS

# Scenarios of this part, and the one that is run at the second name server.
PREFIXES = ("plugin-", "go-plugin-")
CLOSED = ("plugin-acl-registration", "go-plugin-acl-registration")
# Those that plugins from the templates meet, of each language (../plugins/languages).
FROM_A_TEMPLATE = ("plugin-required-tag", "go-plugin-required-tag")
SENDS, PULLS, ROUTE_QUERY, REGISTER_BROKER = [10, 310, 320], [11, 361], [105], [103]


def mine(name):
    return name.startswith(PREFIXES)


def acl(name, config=None, **scope):
    """The plugin acl; without a config it keeps out everybody."""
    return {"name": name, "guest": "acl", "hooks": ["authorize"], "grants": {"log": True, "clock": True, "kv": True},
            "config": config or {"quarantine": {"principals": ["anonymous"]}}} | scope


def bound(collector):
    """What is bound to which server."""
    audit = {"name": "audit", "guest": "audit"} | collector.binding(redact={"ipv4_prefix": 8})
    tracing = {"name": "tracing", "guest": "tracing", "hooks": ["enrich-span"], "deadline_ms": 1_000,
               "grants": {"log": True, "message-bodies": True},
               "config": {"properties": {"message.keys": "KEYS"}, "fields": {"message.id": "$.id"}}}
    broker = [
        acl("acl-send", topics=["*plugin-acl-send-GUARDED-*"], codes=SENDS),
        acl("acl-pull", groups=["*plugin-acl-pull-KEPTOUT-*"], codes=PULLS),
        acl("acl-rate", {"rate": {"messages_per_second": 2}}, topics=["*plugin-acl-rate-LIMITED-*"], hooks=["before-send"]),
        {"name": "filter", "guest": "filter", "topics": ["*plugin-filter-MASKED-*"], "groups": ["*plugin-filter-MASKED-*"],
         "grants": {"log": True, "message-bodies": True},
         "config": {"hide": [{"header": "TAGS", "one_of": ["internal"]}],
                    "mask": [{"path": "$.name"}, {"path": "$.card", "keep_last": 4}]}},
        {"name": "fates", "guest": "conformance", "hooks": ["before-send", "pull"], "topics": ["*plugin-fates-FATES-*"], "grants": GRANTS,
         "config": {"reject_body": "poison", "reject_code": 13, "drop_body": "spam", "replace": {"card 1234": "card ****"},
                    "reroute": {"elsewhere": "plugin-fates-ELSEWHERE", "guarded": "plugin-acl-send-GUARDED-by-the-way"},
                    "deny_pull_groups": ["plugin-fates-BLOCKED"]}},
    ]
    return {
        "broker-a": [*broker, audit, tracing],
        # These make no spans.
        "namesrv-0": [acl("acl-route", topics=["*plugin-acl-route-HIDDEN-*"], codes=ROUTE_QUERY), audit],
        "namesrv-1": [acl("acl-registration", codes=REGISTER_BROKER), audit],
    }


def run(report, clients, blockhouse, only):
    collector = Collector()
    software = servers.Blockhouse(blockhouse.binary, blockhouse.guests, bound(collector), exported=everything.telemetry())
    with servers.grown("plugins", ["blockhouse"] * 2, ["blockhouse"], {"blockhouse": software}) as cluster:
        try:
            probe.wait_for_brokers(cluster.namesrvs[0].address, cluster.broker_addresses(), 90,
                                   lambda: [server.alive() for server in cluster.servers()])
            for client in clients:
                _client(report, client, cluster, collector, only)
        except RuntimeError as problem:
            report.failed("plugins", [problem])
            return
        _test(report, "plugins, a broker that may not register", lambda: _kept_out(cluster, collector))
        for server in cluster.servers():
            _test(report, f"plugins are well, {server.label}", lambda server=server: _well(server))


def _client(report, client, cluster, collector, only):
    begun = int(1000 * time.time())
    names = [name for name in client.names() if mine(name) and name not in FROM_A_TEMPLATE and (not only or name in only)]
    home = cluster.directory / client.label
    addresses = cluster.namesrv_addresses()

    def at_once(chosen):
        opened = [name for name in chosen if name not in CLOSED]
        found = client.run(addresses[0], cluster.broker_addresses(), opened, home) if opened else {}
        for name in set(chosen) - set(opened):
            found |= client.run(addresses[1], [], [name], home)
        return found

    found = at_once(names)
    for name in names:
        transcript, note = found[name], ""
        if transcript["outcome"] != "ok":
            note = f"at the second attempt, after: {transcript['why'][0][:200]}"
            transcript = at_once([name])[name]
        if transcript["outcome"] == "ok":
            report.passed(f"{client.label} {name}", transcript["ms"], note)
        else:
            report.failed(f"{client.label} {name}", transcript["why"])
    if names and not only:
        _test(report, f"{client.label} is told of by audit", lambda: _told(collector, "go-" if client.label == "go" else "", begun))


def _told(collector, prefix, begun):
    """Who, what and why of the very requests that this client's scenarios made since they began."""
    def decided(by, topic, **more):
        return collector.wait(decided_by=by, principal="anonymous", peer="127.0.0.0/8", time_ms=lambda ms: ms >= begun,
                              resource=lambda text: f"topic:{prefix}{topic}-" in text, shadow=False, **more)

    refused = {"kind": "authorization", "outcome": "refused", "reason": lambda text: "anonymous is in quarantine" in text}
    counted = [
        decided("acl-send", "plugin-acl-send-GUARDED", node="broker-a", code=lambda code: code in SENDS, **refused),
        decided("acl-pull", "plugin-acl-pull-GUARDED", node="broker-a", code=lambda code: code in PULLS, **refused),
        decided("acl-rate", "plugin-acl-rate-LIMITED", node="broker-a", kind="send", outcome="refused",
                reason=lambda text: "2 messages per second" in text),
        decided("filter", "plugin-filter-MASKED", node="broker-a", kind="delivery", outcome="dropped"),
        decided("filter", "plugin-filter-MASKED", node="broker-a", kind="delivery", outcome="edited"),
        *[decided("fates", "plugin-fates-FATES", node="broker-a", kind="send", outcome=outcome)
          for outcome in ("refused", "dropped", "rerouted", "edited")],
        decided("fates", "plugin-fates-FATES", node="broker-a", kind="delivery", outcome="refused"),
        decided("acl-route", "plugin-acl-route-HIDDEN", code=ROUTE_QUERY[0], **refused),
    ]
    if any("-KEPTOUT-" not in event["resource"] for event in counted[1]):
        raise RuntimeError(f"a group was refused that is not kept out: {counted[1]}")
    return f"{sum(map(len, counted))} decisions"


def _kept_out(cluster, collector):
    known = probe.brokers(cluster.namesrvs[1].address)
    if known:
        raise RuntimeError(f"the second name server knows {known}")
    told = collector.wait(decided_by="acl-registration", code=REGISTER_BROKER[0], outcome="refused", peer="127.0.0.0/8")
    return f"{len(told)} attempts"


def _well(server):
    """Loaded, no failure, nothing lost; every hook was called that is bound."""
    counts = lambda: everything.well(server.ops)
    # Spans are exported, and enriched for that, some time later.
    probe.wait_until(lambda: not everything.idle(counts()), 15, "a call of each hook that is bound")
    return f"calls {counts()}"


def _test(report, name, test):
    begun = time.monotonic()
    try:
        note = test()
        report.passed(name, 1000 * (time.monotonic() - begun), note)
    except (OSError, RuntimeError, ValueError) as problem:
        report.failed(name, [problem])
