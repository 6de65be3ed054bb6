"""The bundled plugins where no official client is needed to see them: what `acl` keeps out, and when."""

import json
import time

from acting import NO_PERMISSION, SEND, STRANGER, SUCCESS, is_closed, message, refused, routed
from common import check
from remoting import Connection

GRANTS = {"log": True, "clock": True, "kv": True}
HEARTBEAT = 34


def acl(config, hooks, **more):
    return {"guest": "acl", "name": "acl", "hooks": hooks, "grants": GRANTS, "deadline_ms": 200, "config": config} | more


def hours(begin, end):
    """From so many minutes from now until so many."""
    clock = lambda minutes: time.strftime("%H:%M", time.gmtime(time.time() + 60 * minutes))
    return {"hours": {"from": clock(begin), "to": clock(end)}}


def acl_keeps_out_outside_of_hours(start):
    closed, opened = hours(120, 180), hours(-60, 60)
    node = start(acl(closed, ["authorize"], name="closed", topics=["closed"]), acl(opened, ["authorize"], name="opened", topics=["opened"]))
    stored, error = node.produce("closed", "a")
    check(stored == 0 and f"out of hours: come back from {closed['hours']['from']} to {closed['hours']['to']}" in error, error)
    check(node.produce("opened", "a")[0] == 1, "within the hours")
    check(node.hook("closed", "authorize")["objections"] >= 1 and node.hook("opened", "authorize")["objections"] == 0, node.plugin("closed"))


def acl_keeps_out_addresses(start):
    out = {"quarantine": {"addresses": ["127.0.0.0/8"]}}
    node = start(acl(out, ["authorize"], topics=["guarded"]), acl({"quarantine": {"addresses": [STRANGER]}}, ["connection"], name="door"))
    stored, error = node.produce("guarded", "a")
    check(stored == 0 and "127.0.0.1 is in quarantine" in error, error)
    check(node.produce("orders", "a")[0] == 1, "out of scope")
    for listener in (node.broker, node.namesrv):
        check(is_closed(listener, STRANGER) and not is_closed(listener, "127.0.0.1"), f"{listener}: who is let in")
    check(node.hook("door", "connection")["objections"] == 2, node.hook("door", "connection"))


def acl_keeps_out_administration(start):
    node = start(acl({"quarantine": {"principals": ["anonymous"]}}, ["admin-command"]))
    done = node.command_line("admin", "topic", "create", "orders")
    check(done.returncode != 0 and "anonymous is in quarantine" in done.stderr, done.stderr)
    check(node.produce("others", "a")[0] == 1, "sending is no administration")
    done = node.command_line("admin", "topics")
    check("orders" not in done.stdout and "others" in done.stdout, done.stdout)


def acl_keeps_out_clients(start):
    node = start(acl({"quarantine": {"clients": ["*@runaway-?"]}}, ["authorize"], codes=[SEND]))

    def sent(client_id):
        """What a client is answered that has said its name."""
        beat = json.dumps({"clientID": client_id, "producerDataSet": [{"groupName": "producers"}]}).encode()
        with Connection(node.broker, 20) as client:
            if client_id:
                check(client.call(HEARTBEAT, {}, beat).code == SUCCESS, "a heartbeat")
            return client.call(SEND, message("orders"), b"x")

    refused(sent("127.0.0.1@runaway-1"), "127.0.0.1@runaway-1 is in quarantine", NO_PERMISSION)
    for others in ("127.0.0.1@runaway-12", "127.0.0.1@steady", None):
        check(sent(others).code == SUCCESS, f"{others} is kept out")
    routed(node, "orders")
    check(node.consume("orders", "g") == ["x"] * 3, "what is stored")
