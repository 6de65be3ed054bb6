"""Classes of faults of other brokers: who one is, what one may, and what a server is told to open. See SECURITY.md."""

import base64
import io
import json
import os
import shutil
import signal
import socket
import ssl
import struct
import subprocess
import tarfile
import tempfile
import threading
import urllib.parse
from pathlib import Path

from certificates import Authority
from common import NO_PERMISSION, PULL, SEND, SUCCESS, Raw, Skipped, check, message, private, pull, secret, until
import codes
import records
from harness.sample import packed
from remoting import BINARY, Closed, Connection, Frame, Timeout

CREATE_TOPIC = dict(defaultTopic="TBW102", readQueueNums=4, writeQueueNums=4, perm=6, topicFilterType="SINGLE_TAG", topicSysFlag=0, order="false")


def mine_and_victims(server, **settings):
    """A user that may do everything with what is his, and another's topic and group, with a message and a place."""
    rules = """\
p, user:mallory, *, Topic:mine*,   All, -, allow
p, user:mallory, *, Group:mine-g*, All, -, allow
p, user:victim,  *, Topic:victim,  All, -, allow
p, user:victim,  *, Group:victim-g, All, -, allow
"""
    node = server(**{"audit.enabled": "true"} | settings).authenticated().authorized(rules).start()
    for name in ("mallory", "victim"):
        node.user(name)
    for topic, group in (("mine", "mine-g"), ("victim", "victim-g")):
        node.admin("topic", "create", topic, "--queues", "1")
        node.admin("group", "create", group)
    raw = Raw(node.broker, "victim")
    sent = raw.call(SEND, message("victim") | {"i": records.format_properties({"KEYS": "key", "UNIQ_KEY": "A" * 32})}, b"of the victim")
    check(sent.code == SUCCESS, sent)
    check(raw.call(15, dict(consumerGroup="victim-g", topic="victim", queueId=0, commitOffset=1)).code == SUCCESS, "a place")
    node.sent = sent.ext["msgId"]
    raw.close()
    return node


def of_victims(node):
    """What there is of the victim, as its Super user sees it."""
    raw, shown = Raw(node.broker, "admin"), {}
    for topic in ("victim", "%RETRY%victim-g", "%DLQ%victim-g"):
        shown[topic] = [raw.call(code, {"topic": topic, "queueId": 0}).ext for code in (30, 31)]
        shown[f"{topic} itself"] = raw.call(351, {"topic": topic}).body
    shown["group"] = raw.call(352, {"group": "victim-g"}).body
    shown["place"] = raw.call(14, dict(consumerGroup="victim-g", topic="victim", queueId=0)).ext
    shown["users"] = raw.call(3005).body
    shown["acls"] = raw.call(3010).body
    raw.close()
    return shown


def one_name_is_judged_and_acted_on_cve_2025_30215_cve_2026_33222(server, _work):
    """A request names what is mine where it is judged, and what is another's elsewhere."""
    node = mine_and_victims(server)
    before, raw = of_victims(node), Raw(node.broker, "mallory")
    props = lambda **more: {"i": records.format_properties(more)}
    body = json.dumps(dict(topicName="victim", topic="victim", groupName="victim-g", consumerGroup="victim-g", username="victim")).encode()
    lock = json.dumps(dict(consumerGroup="victim-g", clientId="c", mqSet=[dict(topic="victim", brokerName="broker-a", queueId=0)])).encode()
    hidden = records.batch((b"x", {"REAL_TOPIC": "victim", "REAL_QID": "0", "TOPIC": "victim"}))
    beat = json.dumps(dict(clientID="c", producerDataSet=[], consumerDataSet=[dict(
        groupName="victim-g", consumeType="CONSUME_PASSIVELY", messageModel="CLUSTERING", consumeFromWhere="CONSUME_FROM_LAST_OFFSET",
        subscriptionDataSet=[dict(topic="victim", subString="*", subVersion=1)])])).encode()
    # May be carried out for what is mine, but not for another's.
    either = [
        (SEND, message("mine") | {"topic": "victim", "producerGroup": "victim-g"}, b"x"),
        (10, dict(producerGroup="p", topic="mine", defaultTopic="TBW102", defaultTopicQueueNums=4, queueId=0, sysFlag=0, bornTimestamp=1,
                  flag=0, properties="", reconsumeTimes=0, b="victim"), b"x"),
        (SEND, message("mine") | props(REAL_TOPIC="victim", REAL_QID="0", TOPIC="victim", RETRY_TOPIC="victim", PGROUP="victim-g"), b"x"),
        (320, message("mine") | {"m": "true"}, hidden),
        (17, CREATE_TOPIC | {"topic": "mine", "topicName": "victim", "perm": 2}, body),
        (12, dict(topic="mine", key="key", maxNum=10, beginTimestamp=0, endTimestamp=2**62), b""),
        (PULL, pull("mine", "mine-g") | {"topicName": "victim"}, b""),
        (207, {"groupName": "mine-other-g", "group": "victim-g"}, b""),
        (215, {"topic": "mine-other", "topicName": "victim"}, b""),
        (34, {"groupName": "mine-g"}, beat),
        (353, dict(group="mine-g", topic="victim", readable="false"), b""),
        (222, dict(topic="victim", group="mine-g", timestamp=-1, isForce="true"), b""),
    ]
    refused = [
        (SEND, message("%RETRY%victim-g") | {"a": "mine-g"}, b"x"), (SEND, message("%DLQ%victim-g") | {"a": "mine-g"}, b"x"),
        (PULL, pull("%RETRY%victim-g", "mine-g"), b""), (PULL, pull("victim", "mine-g"), b""), (PULL, pull("mine", "victim-g"), b""),
        (361, pull("victim", "mine-g"), b""),
        (36, dict(offset=int(node.sent[-16:], 16), group="mine-g", delayLevel=0, originTopic="mine", originMsgId="x", maxReconsumeTimes=16), b""),
        (36, dict(offset=0, group="victim-g", delayLevel=0, originTopic="mine", originMsgId="x", maxReconsumeTimes=16), b""),
        (15, dict(consumerGroup="mine-g", topic="victim", queueId=0, commitOffset=0), b""),
        (15, dict(consumerGroup="victim-g", topic="mine", queueId=0, commitOffset=0), b""),
        (14, dict(consumerGroup="victim-g", topic="mine", queueId=0), b""),
        (314, dict(srcGroup="victim-g", destGroup="mine-g", topic="victim"), b""), (314, dict(srcGroup="mine-g", destGroup="victim-g"), b""),
        (309, dict(consumerGroup="mine-g", clientId="c", msgId=node.sent, brokerName="broker-a", topic="mine", group="mine-g"), b""),
        (33, dict(topic="mine", offset=int(node.sent[-16:], 16)), b""),
        (200, {"groupName": "mine-g"}, json.dumps({"groupName": "victim-g", "consumeEnable": False}).encode()),
        (18, {"topic": "mine"}, json.dumps({"topicConfigList": [CREATE_TOPIC | {"topicName": "victim"}]}).encode()),
        (3001, {"username": "mine"}, json.dumps(dict(username="mallory2", password="x" * 12, userType="Super")).encode()),
        (3002, {"username": "mallory"}, json.dumps(dict(username="mallory", userType="Super")).encode()),
        (3006, {"subject": "User:mallory"}, json.dumps(dict(subject="User:mallory", policies=[dict(policyType="Custom", entries=[
            dict(resource="Topic:victim", actions=["Pub"], decision="Allow")])])).encode()),
        (208, dict(consumerGroup="mine-g", topic="victim"), b""), (208, dict(consumerGroup="mine-g", topicList="mine;victim"), b""),
        (303, dict(topic="mine", group="victim-g"), b""), (308, dict(topic="mine", compareGroup="victim-g"), b""),
        (308, dict(topic="mine", compareGroup="mine-g", filterGroups="victim-g"), b""),
        (321, dict(topic="mine", queueId=0, index=0, count=1, consumerGroup="victim-g"), b""),
        (41, {"consumerGroup": "mine-g"}, lock), (42, {"consumerGroup": "mine-g"}, lock),
        (38, {"consumerGroup": "victim-g", "group": "mine-g"}, b""), (203, {"consumerGroup": "victim-g", "group": "mine-g"}, b""),
    ]
    for code, ext, data in either:
        for encoding in (0, BINARY):
            answer = answered(raw, code, ext, data, encoding)
            check(b"of the victim" not in answer.body, f"{code} {ext}: shows another's message")
    for code, ext, data in refused:
        for encoding in (0, BINARY):
            answer = answered(raw, code, ext, data, encoding)
            check(answer.code != SUCCESS and not answer.body, f"{code} {ext}: {answer}")
            check(answer.code == NO_PERMISSION or code in (33, 36, 309), f"{code} {ext}: refused for another reason: {answer}")
    # A name that is there twice: judged and acted on might be different ones.
    for names in (("mine", "victim"), ("victim", "mine")):
        twice = doubled(raw, SEND, message("mine"), "b", names)
        check(twice is None or twice.code != SUCCESS, f"a field twice: {twice}")
    check(of_victims(node) == before, f"the victim's is not as it was: {changed(before, of_victims(node))}")
    # The same on the server that has the users' table as its own: header and body name different users.
    admin = Raw(node.broker, "admin")
    for code, ext, data in ((3001, {"username": "alice"}, dict(username="bob", password="x" * 12, userType="Normal", userStatus="enable")),
                            (3006, {"subject": "User:mallory"}, dict(subject="User:victim", policies=[dict(policyType="Custom", entries=[
                                dict(resource="Topic:mine", actions=["Pub"], decision="Deny")])]))):
        answer = admin.call(code, ext, json.dumps(data).encode())
        users, acls = admin.call(3005).body.decode(), admin.call(3010).body.decode()
        check("bob" not in users and "User:victim" not in acls, f"{code} acts on the body's name: {answer}")
    node.stop()
    return f"{2 * (len(either) + len(refused)) + 2} requests with two names"


def changed(before, after):
    return {key: (before[key], after[key]) for key in before if before[key] != after[key]}


def answered(raw, code, ext, data, encoding):
    frame = raw.frame(code, ext, data)
    frame.encoding = encoding
    return raw.connection.answer(raw.connection.send(frame))


def doubled(raw, code, ext, field, values):
    """A request with a field twice, with the signature that its bytes have."""
    frame = raw.frame(code, ext | {field: "@@"}, b"x")
    text = frame._json().decode().replace(f'"{field}": "@@"', ", ".join(f'"{field}": "{value}"' for value in values))
    host, port = raw.connection.socket.getpeername()
    one = Connection(f"{host}:{port}", 10)
    try:
        one.raw(struct.pack(">iI", 4 + len(text) + 1, len(text)) + text.encode() + b"x")
        return one.next()
    except Closed:
        return None
    finally:
        one.close()


def fields_that_nobody_knows_make_nobody_else_cve_2022_24450(server, _work):
    node = mine_and_victims(server)
    before, count = of_victims(node), 0
    claims = ["x-mq-authorization-ak", "rpc-remote-address", "rpc-local-address", "x-mq-channel-id", "x-mq-namespace", "accessKey", "accesskey",
              "ACCESSKEY", "username", "user", "principal", "account", "tenant", "dom", "role", "roles", "userType", "isSuper", "admin", "SecurityToken",
              "token", "Authorization", "proxy_protocol_addr", "bname", "ns", "nsd", "namespace", "lo", "_principal", "actor"]
    for address, code, ext, data in ((node.broker, SEND, message("victim"), b"x"), (node.broker, PULL, pull("victim", "victim-g"), b""),
                                     (node.broker, 26, {}, b""), (node.namesrv, 319, {}, b""), (node.namesrv, 105, {"topic": "victim"}, b"")):
        for user in (None, "mallory"):
            raw = Raw(address, user)
            for claim in claims:
                for value in ("admin", "victim", "Super", "true", "127.0.0.1:1"):
                    answer = raw.call(code, ext | {claim: value}, data)
                    check(answer.code == NO_PERMISSION and not answer.body, f"{code} with {claim}={value} by {user}: {answer}")
                    count += 1
            raw.close()
    for header in ("X-Forwarded-For", "X-Forwarded-User", "X-Remote-User", "X-User", "Forwarded", "X-Original-URL", "X-HTTP-Method-Override", "X-Real-IP"):
        for value in ("admin", "127.0.0.1", "/healthz", "GET"):
            check(node.http("/v1/plugins", headers={header: value})[0] == 401, f"{header}: {value}")
            check(node.http("/v1/policy", "mallory", headers={header: value})[0] == 403, f"{header}: {value}")
            count += 2
    check(of_victims(node) == before, "the victim's is not as it was")
    node.stop()
    told = node.tool("audit", "query", str(node.data), "--outcome", "refused", "--limit", "100000", "--json", user=None)
    peers = {json.loads(line)["src_endpoint"]["ip"] for line in told.splitlines() if line.startswith("{")}
    check(peers == {"127.0.0.1"}, f"the audit log believes {peers}")
    return f"{count} requests"


def names_that_are_nearly_allowed_are_not(server, _work):
    """Case, beginnings, wildcards, what looks alike: of the same class as CVE-2024-51988, one right taken for another."""
    node = mine_and_victims(server)
    near = ["Mine", "MINE", "min", "xmine", " mine", "victim,mine", "*", "vic*", "victim*", "Topic:mine", "%25mine", "MINE%mine", "ns%victim", "ns%mine",
            "%RETRY%mine", "%DLQ%mine", "%SYS%mine", "\u043cine", "m\u0131ne", "mi\u0301ne", "\uff4dine", "victim\0mine", "../mine", "%2emine"]
    raw, before = Raw(node.broker, "mallory"), of_victims(node)
    for name in near:
        for code, ext, data in ((SEND, message(name), b"x"), (PULL, pull(name, "mine-g"), b""), (17, CREATE_TOPIC | {"topic": name}, b""),
                                (215, {"topic": name}, b"")):
            for encoding in (0, BINARY):
                try:
                    answer = answered(raw, code, ext, data, encoding)
                except Closed:
                    raw = Raw(node.broker, "mallory")
                    continue
                check(answer.code != SUCCESS, f"{code} with {name!r}: {answer}")
    topics = Raw(node.broker, "admin").call(21).body.decode()
    check(not any(f'"{name}"' in topics for name in near if name != "%RETRY%mine"), f"a topic was made: {topics[:300]}")
    check(of_victims(node) == before, "the victim's is not as it was")
    check(raw.call(SEND, message("mine-too"), b"x").code == SUCCESS, "what is allowed is not")
    node.stop()
    return f"{len(near)} names, four requests each"


def one_right_is_no_other_cve_2024_28098_cve_2024_29834_cve_2024_51988(server, _work):
    """Each right alone, against everything that needs another one, on every way in."""
    actions = ("Pub", "Sub", "Get", "List", "Create", "Update", "Delete")
    rules = "".join(f"p, user:{action.lower()}, *, {what}:*, {action}, -, allow\n" for action in actions for what in ("Topic", "Group"))
    node = server().authenticated().authorized(rules).start()
    for action in actions:
        node.user(action.lower())
    node.admin("topic", "create", "kept", "--queues", "1")
    node.admin("group", "create", "kept-g")
    admin = Raw(node.broker, "admin")
    check(admin.call(SEND, message("kept"), b"x").code == SUCCESS, "a message")
    acl = json.dumps(dict(subject="User:pub", policies=[dict(policyType="Custom", entries=[dict(resource="Topic:*", actions=["All"], decision="Allow")])])).encode()
    user = json.dumps(dict(username="pub", password="x" * 12, userType="Super", userStatus="enable")).encode()
    needs = [
        (node.broker, SEND, message("kept"), b"x", {"Pub"}), (node.broker, PULL, pull("kept", "kept-g"), b"", {"Sub"}),
        (node.broker, 17, CREATE_TOPIC | {"topic": "kept"}, b"", {"Create"}), (node.broker, 351, {"topic": "kept"}, b"", {"Get", "Pub", "Sub"}),
        (node.broker, 215, {"topic": "kept"}, b"", {"Delete"}), (node.broker, 207, {"groupName": "kept-g"}, b"", {"Delete"}),
        (node.broker, 353, {"group": "kept-g", "topic": "kept"}, b"", {"Update"}), (node.broker, 222, dict(topic="kept", group="kept-g", timestamp=-1), b"", {"Update"}),
        (node.broker, 200, {}, b'{"groupName":"kept-g"}', set()), (node.broker, 18, {}, b'{"topicConfigList":[]}', set()),
        (node.namesrv, 216, {"topic": "kept"}, b"", {"Delete"}), (node.namesrv, 105, {"topic": "kept"}, b"", {"Pub", "Sub", "Get"}),
        (node.namesrv, 100, dict(namespace="n", key="k", value="v"), b"", set()), (node.namesrv, 205, dict(brokerName="broker-a"), b"", set()),
    ]
    for address in (node.broker, node.namesrv):
        needs += [(address, 3001, {"username": "pub"}, user, set()), (address, 3002, {"username": "pub"}, user, set()), (address, 3003, {"username": "pub"}, b"", set()),
                  (address, 3005, {}, b"", set()), (address, 3006, {"subject": "User:pub"}, acl, set()), (address, 3008, {"subject": "User:pub"}, b"", set()),
                  (address, 25 if address == node.broker else 318, {}, b"x=1", set())]
    count = 0
    for address, code, ext, data, enough in needs:
        for action in actions:
            if action in enough:
                continue  # what it allows is allowed, and changes things
            answer = Raw(address, action.lower()).call(code, ext, data)
            check(answer.code == NO_PERMISSION and not answer.body, f"{code} with {action} alone: {answer}")
            count += 1
    for method, path in (("POST", "/v1/plugins/disable"), ("POST", "/v1/policy/reload"), ("POST", "/v1/policy/apply"), ("POST", "/v1/policy/rollback"),
                         ("GET", "/v1/policy/files"), ("GET", "/v1/audit/records"), ("GET", "/metrics"), ("PUT", "/v1/plugins/components")):
        for action in actions:
            check(node.http(path, action.lower(), method=method)[0] == 403, f"{method} {path} with {action}")
            count += 1
    check(Raw(node.broker, "get").call(351, {"topic": "kept"}).code == SUCCESS and Raw(node.broker, "pub").call(SEND, message("kept"), b"x").code == SUCCESS, "what they may")
    node.stop()
    return f"{count} requests with a right that is not theirs"


def credentials_that_sign_nothing_cve_2021_22160(server, _work):
    node = mine_and_victims(server)
    part = lambda value: base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")
    tokens = [f"{part({'alg': alg, 'typ': 'JWT', 'kid': '../../../../dev/null'})}.{part({'sub': 'admin', 'iss': 'x'})}.{end}"
              for alg in ("none", "None", "NONE", "HS256", "RS256") for end in ("", "x")]
    wrong = ["", " ", "=", "AAAA", "null", "none", "0", base64.b64encode(b"").decode(), base64.b64encode(b"\0" * 20).decode(), "A" * 28, "\0", "%00", *tokens]
    count = 0
    for address, code, ext, data in ((node.broker, SEND, message("victim"), b"x"), (node.namesrv, 319, {}, b"")):
        for user in ("victim", "admin", "nobody", "", "*", "User:admin", "admin\0", "Admin", "$node"):
            for signature in [None, *wrong]:
                fields = {key: str(value) for key, value in ext.items()} | {"AccessKey": user}
                fields |= {"Signature": signature} if signature is not None else {}
                for more in ({}, {"SecurityToken": tokens[0]}, {"SignatureMethod": "none"}):
                    with Connection(address, 10) as one:
                        answer = one.answer(one.send(Frame(code, fields | more, data)))
                    check(answer.code == NO_PERMISSION and not answer.body, f"{user} with {signature!r} and {more}: {answer}")
                    count += 1
    # Signed with nothing, with the name, with another's secret; with the right one under another's name.
    for user, password in (("victim", "\0"), ("victim", "victim"), ("victim", secret("mallory")), ("admin", secret("mallory")), ("admin", "null")):
        answer = Raw(node.broker).call(SEND, message("victim"), b"x", user=user, password=password)
        check(answer.code == NO_PERMISSION, f"{user} with {password!r}: {answer}")
        count += 1
    basic = lambda text: "Basic " + base64.b64encode(text).decode()
    for value in [*(f"Bearer {token}" for token in tokens), basic(b"admin"), basic(b":"), basic(b"admin\0:" + secret("admin").encode()), "Basic", "Basic !!!", "basic",
                  "Digest username=admin", "Negotiate x", f"AWS4-HMAC-SHA256 Credential=admin, Signature={'0' * 64}"]:
        # An address that guesses is made to wait: that is no entry, either.
        check(node.http("/v1/policy", headers={"Authorization": value})[0] in (400, 401, 429), value)
        count += 1
    node.stop()
    return f"{count} ways"


def what_is_secret_is_in_no_log_cve_2025_50200(server, _work):
    node = server(**{"audit.enabled": "true"}).authenticated().authorized("p, user:alice, *, Topic:orders, Pub, -, allow\n")
    node.options += ["--set", "authn.rebind=true"]
    node.level = "trace"
    node.start()
    node.user("alice")
    seen, heard = [secret("admin"), secret("alice"), "canary-typed-wrong", "canary-in-a-url", "canary-in-a-body", "canary-cut"], []

    def told(*texts):
        heard.extend(str(text) for text in texts)

    for user, password in (("admin", None), ("alice", None), ("alice", "canary-typed-wrong"), ("nobody", "canary-typed-wrong")):
        for path in ("/metrics", "/v1/policy", "/none"):
            status, headers, text = node.http(path, user, password)
            told(status, headers, text)
            pair = base64.b64encode(f"{user}:{secret(user) if password is None else password}".encode()).decode()
            seen.append(pair)
    for value in ("Basic canary-typed-wrong", "Bearer canary-typed-wrong", "canary-typed-wrong"):
        told(*node.http("/metrics", headers={"Authorization": value})[1:])
    told(*node.http("/metrics?secret=canary-in-a-url&password=canary-in-a-url")[1:])
    signatures = []
    for address in (node.broker, node.namesrv):
        for user, password in (("admin", None), ("alice", None), ("alice", "canary-typed-wrong"), ("nobody", "canary-typed-wrong")):
            raw = Raw(address, user)
            for code, ext, body in ((26, {}, b""), (SEND, message("orders"), b"x"), (105, {"topic": "orders"}, b""), (9999, {}, b"")):
                frame = raw.frame(code, ext, body, password=password)
                signatures.append(frame.ext["Signature"])
                told(raw.connection.answer(raw.connection.send(frame)))
            raw.close()
        # Passwords in bodies: right, of the wrong kind, cut, and out of place.
        raw = Raw(address, "admin")
        whole = json.dumps(dict(username="bob", password="canary-in-a-body", userType="Normal", userStatus="enable"))
        for body in (whole, whole.replace("Normal", "canary-cut"), whole[:-3], whole[:40] + "canary-cut", f'["canary-in-a-body", {whole}]', '"canary-in-a-body"'):
            told(raw.call(3001, {"username": "bob"}, body.encode()), raw.call(3002, {"username": "bob"}, body.encode()))
        told(raw.call(3004, {"username": "bob"}), raw.call(3005))
        raw.close()
        one = Connection(address, 5)
        one.raw(b"\0\0\0\x40\0\0\0\x3c" + b'{"code":26,"extFields":{"AccessKey":"alice","Signature":"canary-cut'[:60])
        try:
            told(one.next())
        except (Closed, Timeout):
            pass
        one.close()
    told(node.http("/metrics", "admin")[2], arguments_of(node))
    node.stop()
    heard.append(node.log())
    heard += node.said
    heard.append(node.tool("audit", "query", str(node.data), "--limit", "100000", "--json", user=None))
    check("DEBUG" in node.log(), "nothing is in the log")
    everything = "\n".join(heard)
    for text in {form for one in seen for form in (one, base64.b64encode(one.encode()).decode(), one.encode().hex())} | set(signatures):
        at = everything.find(text)
        check(at < 0, f"{text!r} was told: {everything[max(0, at - 200):at + 60]!r}")
    return f"{len(seen)} secrets, {len(signatures)} signatures, {len(everything) // 1024} KiB of answers and logs"


def arguments_of(node):
    with open(f"/proc/{node.process.pid}/cmdline", "rb") as file:
        return file.read().decode(errors="replace")


def asked_raw(node, text):
    """Status line and body of the answer to these bytes over HTTP."""
    host, port = node.ops.split(":")
    with socket.create_connection((host, int(port)), 10) as one:
        one.sendall(text)
        got = b""
        try:
            while data := one.recv(1 << 16):
                got += data
        except ConnectionResetError:
            pass
        return got


def as_admin(method, path, body):
    """The bytes of a request of the Super user."""
    login = base64.b64encode(f"admin:{secret('admin')}".encode()).decode()
    return f"{method} {path} HTTP/1.1\r\nhost: x\r\nauthorization: Basic {login}\r\ncontent-length: {len(body)}\r\nconnection: close\r\n\r\n".encode() + body


def no_route_is_left_over_cve_2026_57219(server, _work):
    """Paths that servers have, or once had, and other spellings of ours: nobody is shown anything."""
    node = server(**{"audit.enabled": "true"}).authenticated().authorized("p, user:alice, *, Topic:orders, Pub, -, allow\n").start()
    node.user("alice")
    ours = ["/metrics", "/metrics/native", "/metrics/exporter", "/v1/info", "/v1/plugins", "/v1/plugins/acl/logs", "/v1/plugins/trace", "/v1/plugins/deploy", "/v1/plugins/disable", "/v1/plugins/enable",
            "/v1/plugins/rollback", "/v1/plugins/components", "/v1/policy", "/v1/policy/files", "/v1/policy/apply", "/v1/policy/reload",
            "/v1/policy/rollback", "/v1/audit", "/v1/audit/records"]
    spelled = [spell(path) for path in ours for spell in (
        str.upper, lambda p: p + "/", lambda p: "/" + p, lambda p: p.replace("/v1", "/V1"), lambda p: "/healthz/.." + p, lambda p: "/healthz/%2e%2e" + p,
        lambda p: "/./" + p[1:], lambda p: p + ";x=/healthz", lambda p: p + "%00", lambda p: p + "?x=/healthz", lambda p: p + "#/healthz", lambda p: p + ".json",
        lambda p: "/%76" + p[2:], lambda p: p.replace("/", "\\"), lambda p: "/readyz" + p, lambda p: "/v2" + p[3:], lambda p: "http://127.0.0.1" + p)]
    others = ["/", "/api", "/api/auth", "/api/whoami", "/api/users", "/api/definitions", "/auth", "/login", "/admin", "/admin/v2/brokers/configuration", "/config",
              "/configz", "/env", "/debug", "/debug/vars", "/debug/pprof/", "/debug/pprof/heap", "/actuator", "/actuator/env", "/actuator/heapdump", "/varz", "/connz",
              "/jsz", "/subsz", "/routez", "/leafz", "/accountz", "/console", "/api/jolokia", "/jolokia/list", "/swagger", "/openapi.json", "/v1", "/v1/", "/v1/users",
              "/v1/secrets", "/v1/config", "/v1/acls", "/v1/security/users", "/v1/node_config", "/v1/cluster_config", "/.git/config", "/.env", "/favicon.ico",
              "/proc/self/environ", "/../../../../etc/passwd", "/..%2f..%2fetc/passwd", "/shutdown", "/stop", "/reload", "/logs", "/threads", "/heap", "/profile"]
    count, unanswered = 0, set()
    for method in ("GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS", "TRACE", "PATCH", "CONNECT", "get", "PROPFIND"):
        for path in ours + spelled + others:
            got = asked_raw(node, f"{method} {path} HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\nconnection: close\r\n\r\n".encode())
            status = int(got.split()[1]) if got.startswith(b"HTTP/1.") else None
            if status is None:
                unanswered.add((method, path))
            check(status in (400, 401, 404, 405, 501, 505, None), f"{method} {path}: {status} {got[-200:]}")
            body = got.partition(b"\r\n\r\n")[2]
            check(len(body) < 300 and b"canary" not in got and b"root:" not in got, f"{method} {path}: {body[:200]}")
            count += 1
    behind = b"GET /v1/policy HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"
    # A second request in one that is not true about its length, and one behind a route that is free.
    for text in (b"GET /healthz HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n" + behind,
                 b"GET /healthz HTTP/1.1\r\nhost: x\r\ncontent-length: 4\r\ncontent-length: 60\r\n\r\n" + behind,
                 b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n" + behind):
        got = asked_raw(node, text)
        check(b"generation" not in got and b"rules" not in got, f"shown behind a route that is free: {got[-300:]}")
        count += 1
    check(node.http("/v1/info", "admin")[0] == 200, "and the one who may")
    node.stop()
    check(len(unanswered) < count // 50, f"not answered: {len(unanswered)}: {list(unanswered)[:5]}")
    return f"{count} requests without a name"


class Trap:
    """A place that nobody has a reason to connect to."""

    def __init__(self):
        self.listener, self.came = socket.create_server(("127.0.0.1", 0)), []
        self.port = self.listener.getsockname()[1]

        def run():
            try:
                while True:
                    one, peer = self.listener.accept()
                    self.came.append(peer)
                    one.close()
            except OSError:
                pass
        threading.Thread(target=run, daemon=True).start()

    def is_heard(self):
        """It would be seen."""
        before = len(self.came)
        socket.create_connection(("127.0.0.1", self.port), 5).close()
        until("the trap hears", lambda: len(self.came) > before)
        return before


def nobody_is_dialled_cve_2025_27817_cve_2022_24280_cve_2026_27446_cve_2023_46604(server, _work):
    """Addresses, URLs and names of classes in everything that a request can carry; by somebody who may do everything."""
    trap = Trap()
    node = server(**{"audit.enabled": "true"}).authenticated().start()
    node.admin("topic", "create", "orders", "--queues", "1")
    at = f"127.0.0.1:{trap.port}"
    values = [at, f"http://{at}/x", f"tcp://{at}", f"${{jndi:ldap://{at}/x}}", f"file://{at}/etc/passwd", "file:///etc/passwd", "/etc/passwd", f"rmi://{at}/x"]
    numbers = dict(queueId=0, offset=0, commitOffset=0, queueOffset=0, maxMsgNums=1, sysFlag=4, suspendTimeoutMillis=0, subVersion=0, brokerId=0, readQueueNums=1,
                   writeQueueNums=1, perm=6, topicSysFlag=0, maxNum=1, beginTimestamp=0, endTimestamp=1, timestamp=0, delayLevel=1, bodyCrc32=0)
    texts = ["topic", "defaultTopic", "consumerGroup", "group", "groupName", "producerGroup", "subscription", "expressionType", "key", "value", "namespace",
             "clientID", "clientId", "brokerName", "brokerAddr", "clusterName", "haServerAddr", "filterServerAddr", "username", "subject", "originTopic", "originMsgId",
             "masterAddress", "attributes", "srcGroup", "destGroup", "className", "properties", "url", "jwks_uri", "a", "b", "c", "i"]
    # What would make a reader of types build one of them.
    gadget = {"@type": "com.sun.rowset.JdbcRowSetImpl", "dataSourceName": f"ldap://{at}/x", "autoCommit": True,
              "class": "org.springframework.context.support.ClassPathXmlApplicationContext", "val": f"http://{at}/x.xml"}
    bodies = [b"", json.dumps(gadget).encode(), json.dumps([gadget]).encode(), json.dumps({"topicConfigSerializeWrapper": {"topicConfigTable": {"t": gadget}},
              "filterServerList": [at], "consumerDataSet": [gadget], "producerDataSet": [gadget], "clientID": at, "groupName": f"http://{at}/", **gadget}).encode(),
              b"\xac\xed\0\5sr\0\x11java.util.HashMap", f"<!DOCTYPE x [<!ENTITY e SYSTEM 'http://{at}/x'>]><x>&e;</x>".encode()]
    count, skipped = 0, {11, 361}  # they may wait
    for address in (node.broker, node.namesrv):
        raw = Raw(address, "admin")
        for code in sorted(set(codes.NAMES) - skipped):
            for number, value in enumerate(values):
                ext = dict.fromkeys(texts, value) | numbers
                body = bodies[number % len(bodies)]
                # A topic of a good name, where only other fields are to be believed.
                for more in ({}, {"topic": "orders", "b": "orders", "consumerGroup": "g", "group": "g", "groupName": "g", "clusterName": "c", "brokerName": f"b{number}"}):
                    try:
                        answer = raw.call(code, ext | more, body)
                        check(b"root:x:0" not in answer.body and "root:x:0" not in (answer.remark or ""), f"code {code} shows a file")
                    except Closed:
                        raw = Raw(address, "admin")
                    count += 1
        raw.close()
    deploys = [{"plugins": [{"name": "x", "digest": value}]} for value in values]
    for body in deploys:
        got = asked_raw(node, as_admin("POST", "/v1/plugins/deploy", json.dumps(body).encode()))
        check(b" 4" in got[:13] and b"root:x" not in got, f"{body}: {got[:200]}")
        count += 1
    # Brokers that were reported at the trap are looked after for a while: nobody goes there.
    check(node.process.poll() is None, "it ended")
    node.stop()
    came = trap.is_heard()
    check(came == 0, f"{came} connections to an address that came in a request")
    return f"{count} requests, none of them dialled or read a file"


def options_name_no_code_cve_2023_25194_cve_2025_27818_cve_2025_27819(server, work):
    """Login modules, stores and filters that other servers load by a name in their configuration."""
    trap, node = Trap(), server()
    at = f"ldap://127.0.0.1:{trap.port}/x"
    sets = [f"{section}.{key}={value}" for section in ("authn", "authz", "store", "plugins", "tls") for key in ("login_module", "class", "provider", "factory", "jaas_config")
            for value in ("com.sun.security.auth.module.JndiLoginModule", at)]
    sets += [f"authn.key_file={at}", f"authn.initial_user_file={at}", f"tls.cert={at}", f"authz.policies={at}", f"plugins.http_ca={at}"]
    for one in sets:
        done = subprocess.run([str(node.binary), "standalone", "--data", str(work / "x"), "--namesrv-listen", "0", "--broker-listen", "0", "--ops-listen", "0",
                               "--set", "authn.enabled=true", "--set", "authz.enabled=true", "--set", "tls.mode=permissive", "--set", one],
                              capture_output=True, text=True, timeout=60, check=False, stdin=subprocess.DEVNULL)
        check(done.returncode not in (0, 101), f"{one}: exit code {done.returncode} {done.stderr[-200:]}")
    lines = {"abstractAclPlugin": "x.y.Z", "messageStorePlugIn": "x.y.Z", "authenticationProvider": "x.y.Z", "authorizationStrategy": "x.y.Z",
             "authenticationMetadataProvider": at, "filterServerNums": "1", "rocketmqHome": at, "sasl.jaas.config": f"com.sun.security.auth.module.JndiLoginModule required user.provider.url=\"{at}\";"}
    for key, value in lines.items():
        conf = private(work / "broker.conf", f"{key}={value}\n")
        done = subprocess.run([str(node.binary), "config", "show", "--java-conf", str(conf)], capture_output=True, text=True, timeout=60, check=False)
        check(done.returncode != 0 or key in done.stderr, f"{key}: taken without a word: {done.stderr[-200:]}")
    check(trap.is_heard() == 0, "somebody went there")
    return f"{len(sets)} options and {len(lines)} keys of RocketMQ's file refused or told"


def names_of_files_stay_inside_cve_2022_26652_cve_2022_28357_cve_2024_27317(server, work):
    node = server(**{"audit.enabled": "true"}).authenticated().start()
    files = lambda: {str(path.relative_to(work)) for path in work.rglob("*") if "evil" in path.name}
    http = lambda method, path, body=b"": int(asked_raw(node, as_admin(method, path, body)).split()[1])

    away = str(Path(tempfile.gettempdir()) / f"evil-{os.getpid()}")
    ups = ["../../../evil", "../evil.wasm", away, "..", "a/../../evil", "..\\evil", "%2e%2e%2fevil", "evil\0", "sha256:../../evil", "sha256-../../evil",
           "sha256:" + "../" * 10 + away.lstrip("/"), "sha256:" + "A" * 64, f"file://{away}", "sha512:" + "0" * 128]
    for name in ups:
        quoted = urllib.parse.quote(name, safe="")
        check(400 <= http("PUT", f"/v1/plugins/components?digest={quoted}", b"\0asm\x0d\0\1\0") < 500, f"a component {name!r}")
        check(400 <= http("GET", f"/v1/plugins/{quoted}/logs") < 500, f"logs of {name!r}")
        for body in ({"plugins": [{"name": name, "digest": "sha256:" + "0" * 64}]}, {"plugins": [{"name": "x", "digest": name}]},
                     {"plugins": [{"name": "x", "digest": "sha256:" + "0" * 64, "cases": [{"file": name, "text": ""}]}]}):
            check(400 <= http("POST", "/v1/plugins/deploy", json.dumps(body).encode()) < 500, f"a deploy with {name!r}")
    node.stop()
    policed = server("standalone", "policed").authenticated().authorized("p, user:x, *, Topic:x, Pub, -, allow\n").start()
    # A name that would have to be decoded first is a name.
    for name in set(ups) - {"%2e%2e%2fevil"}:
        body = json.dumps({"files": [{"name": name + ".csv", "text": "p, user:x, *, Topic:x, Pub, -, allow\n"}]}).encode()
        node = policed
        check(400 <= http("POST", "/v1/policy/apply", body) < 500, f"policies in {name!r}")
    policed.stop()
    left = files()
    check(not left and not os.path.exists(away), f"files: {left}")
    return f"{len(ups)} names in five places"


def archives_stay_inside_cve_2022_26652_cve_2022_28357_cve_2024_27317(server, work):
    """Plugins that are loaded from a layout: what it says is where, and what is a link."""
    node = server()
    if not node.guests or not (guest := node.guests / "conformance.wasm").exists():
        raise Skipped("no compiled plugins: --guests DIR")
    component, target, outside = work / "good.wasm", work / "data", work / "outside"
    component.write_bytes(packed(guest.read_bytes(), "1.0.0"))
    outside.write_bytes(component.read_bytes())
    target.mkdir()
    load = lambda layout, code=1: node.tool("plugin", "load", str(layout), "--data", str(target), user=None, code=code)
    spoils, tried = ("../../../../evil", "/evil", "..", "link", "linked directory", "another's digest"), 0
    for number, spoil in enumerate((None, *spoils)):
        layout = work / f"layout-{number}"
        node.tool("plugin", "save", str(component), "-o", str(layout), user=None)
        blobs, index = layout / "blobs" / "sha256", layout / "index.json"
        digest = json.loads(index.read_text())["manifests"][0]["digest"]
        if spoil is None:
            check("sha256" in load(layout, 0), "a good layout is not loaded")
            shutil.rmtree(target)
            target.mkdir()
            continue
        if spoil == "link":
            for blob in list(blobs.iterdir()):
                blob.unlink()
                blob.symlink_to(outside)
        elif spoil == "linked directory":
            shutil.rmtree(blobs)
            blobs.symlink_to("/etc")
        elif spoil == "another's digest":
            index.write_text(index.read_text().replace(digest, "sha256:" + "0" * 64))
        else:
            index.write_text(index.read_text().replace(digest, f"sha256:{spoil}"))
        check("root:x" not in load(layout), "it shows a file")
        tried += 1
    archive, away = work / "names.tar", str(Path(tempfile.gettempdir()) / f"evil-{os.getpid()}.wasm")
    with tarfile.open(archive, "w") as tar:
        for name in ("../evil.wasm", away, "blobs/sha256/../../../evil"):
            entry = tarfile.TarInfo(name)
            entry.size = 4
            tar.addfile(entry, io.BytesIO(b"evil"))
        for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE):
            entry = tarfile.TarInfo("index.json")
            entry.type, entry.linkname = kind, "/etc/passwd"
            tar.addfile(entry)
    check("root:x" not in load(archive), "it shows a file")
    left = [path for path in work.rglob("*") if "evil" in path.name]
    check(not left and not os.path.exists(away) and not os.path.exists("/evil"), f"files: {left}")
    check(not list(target.rglob("*.wasm")), "a plugin was put there")
    return f"{tried} layouts and an archive"


def rights_are_never_wider_in_between_cve_2024_27309(server, work):
    """Asked without a pause while policies are applied, rolled back, read again and refused, and after a kill."""
    rules = "p, user:alice, *, Topic:*, Pub, -, allow\np, user:alice, *, Topic:secret, Pub, -, deny\np, user:eve, *, Topic:own, Pub, -, allow\n"
    node = server().authenticated().authorized(rules).start()
    for name in ("alice", "eve"):
        node.user(name)
    for topic in ("secret", "own", "open"):
        node.admin("topic", "create", topic, "--queues", "1")
    sets = []
    for number in range(2):
        sets.append(where := work / f"set-{number}")
        where.mkdir()
        (where / "rules.csv").write_text(rules + "".join(f"p, user:u{n}, *, Topic:t{n}, Pub, -, allow\n" for n in range(200 * number)))
    bad = work / "bad"
    bad.mkdir()
    (bad / "rules.csv").write_text("p, user:eve, *, Topic:*, Pub, -, allow\np, user:x, *, Nothing:x, Fly, -, allow\n")
    stop, wrong, counts = threading.Event(), [], {"asked": 0}

    def asks(user, topic, wanted):
        raw = Raw(node.broker, user)
        while not stop.is_set():
            answer = raw.call(SEND, message(topic), b"x")
            counts["asked"] += 1
            if answer.code != wanted:
                wrong.append((user, topic, answer.code, answer.remark))

    threads = [threading.Thread(target=asks, args=one) for one in (("alice", "secret", NO_PERMISSION), ("eve", "secret", NO_PERMISSION),
                                                                   ("eve", "open", NO_PERMISSION), ("alice", "open", SUCCESS))]
    for thread in threads:
        thread.start()
    try:
        for number in range(8):
            node.tool("policy", "apply", str(sets[number % 2]), "--node", node.ops)
            node.tool("policy", "apply", str(bad), "--node", node.ops, code=None)
            if number % 2:
                node.tool("policy", "rollback", "--node", node.ops)
            node.process.send_signal(signal.SIGHUP)
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    check(not wrong, f"{len(wrong)} of {counts['asked']}: {wrong[:3]}")
    for _ in range(3):
        node.kill()
        node.start()
        for user, topic in (("eve", "secret"), ("alice", "secret"), (None, "open")):
            check(Raw(node.broker, user).call(SEND, message(topic), b"x").code == NO_PERMISSION, f"{user} after a kill")
    # Where the rules cannot be read, nobody is served rather than everybody.
    node.kill()
    (node.data / "blockhouse" / "security" / "policies.json").write_text("{")
    (node.work / "policies" / "rules.csv").write_text("p, user:x, *, Nothing:x, Fly, -, allow\n")
    try:
        node.start(20)
        check(Raw(node.broker, "eve").call(SEND, message("secret"), b"x").code == NO_PERMISSION, "served without policies")
        said = "starts, and refuses"
    except Exception as problem:
        check("did not start" in str(problem), str(problem))
        said = "does not start"
    return f"{counts['asked']} requests over 8 rounds of changes, 3 kills; without readable rules it {said}"


def a_server_of_another_name_is_told_nothing_cve_2022_33681_cve_2022_33682_cve_2022_33683(server, work):
    """A broker reports to what is at its name server's address, and has another host's certificate of the same authority."""
    authority = Authority(str(work / "ca"))
    heard = {}
    for label, names in (("other address", "IP:127.0.0.9"), ("other name", "DNS:names.example"), ("right", "IP:127.0.0.1")):
        cert, key = authority.issue(label.replace(" ", "-"), names)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(cert, key)
        listener = socket.create_server(("127.0.0.1", 0))
        seen = heard[label] = []

        def run(listener=listener, context=context, seen=seen):
            try:
                while True:
                    one, _ = listener.accept()
                    try:
                        with context.wrap_socket(one, server_side=True) as safe:
                            safe.settimeout(5)
                            seen.append(("said", safe.recv(1 << 16)))
                    except (ssl.SSLError, OSError) as error:
                        seen.append(("ended", str(error)))
            except OSError:
                pass
        threading.Thread(target=run, daemon=True).start()
        port = listener.getsockname()[1]
        node = server("broker", label.replace(" ", "-"), ["--namesrv", f"127.0.0.1:{port}", "--name", "a"], **{
            "tls.outgoing.enabled": "true", "tls.outgoing.ca": authority.cert})
        node.settings["authn.node_user_file"] = private(node.work / "node.user", f"a:{secret('a')}\n")
        starting = threading.Thread(target=lambda node=node: quietly(node))
        starting.start()
        until(f"a connection to the one with the {label}", lambda seen=seen: any(kind == ("said" if label == "right" else "ended") for kind, _ in seen), 30)
        node.kill()
        starting.join()
        listener.close()
        said = b"".join(data for kind, data in seen if kind == "said")
        check((b"brokerName" in said) == (label == "right"), f"the one with the {label} was told {said[:100]!r}")
    return "two certificates of the right authority for others: nothing is said to them"


def quietly(node):
    try:
        node.start(30)
    except Exception:  # it is killed while it waits
        pass


def lines_of_others_in_no_log(server, _work):
    """Names with ends of lines and orders to terminals in them: of the same class as what is put into logs elsewhere."""
    node = server(**{"audit.enabled": "true"}).authenticated().authorized("p, user:alice, *, Topic:orders, Pub, -, allow\n").start()
    node.user("alice")
    forged = "2026-01-01T00:00:00Z  INFO forged-line allowed"
    names = [f"x\n{forged}", f"x\r\n{forged}", f"x\r{forged}", f"x\x1b[2J\x1b]0;{forged}\x07", f"x\u2028{forged}", f"x\u0085{forged}", f"x\x08\x08{forged}", f"\u202e{forged}", "x" * 100_000]
    for address in (node.broker, node.namesrv):
        for name in names:
            for user in (None, "alice"):
                raw = Raw(address, user)
                for code, ext in ((SEND, message(name)), (PULL, pull(name, name)), (105, {"topic": name}), (17, CREATE_TOPIC | {"topic": name}),
                                  (103, dict(brokerName=name, brokerAddr=name, clusterName=name, brokerId=0, haServerAddr=name)), (3001, {"username": name})):
                    try:
                        raw.call(code, ext, b"x")
                    except Closed:
                        raw = Raw(address, user)
                try:
                    raw.call(26, user=name, password="xxxxxxxx")
                except Closed:
                    pass
                raw.close()
    for name in names[:-1]:
        asked_raw(node, f"GET /{urllib.parse.quote(name)} HTTP/1.1\r\nhost: x\r\nauthorization: Basic {base64.b64encode(f'{name}:x'.encode()).decode()}\r\nconnection: close\r\n\r\n".encode())
    node.stop()
    log = (node.work / f"{node.runs}.log").read_bytes()
    table = node.tool("audit", "query", str(node.data), "--limit", "100000", user=None)
    told = node.tool("audit", "query", str(node.data), "--limit", "100000", "--json", user=None)
    for what, text in (("log", log.decode(errors="replace")), ("audit", told), ("table of the audit", table)):
        check(not any(line.startswith(forged[:20]) for line in text.splitlines()), f"a line of somebody else's in the {what}")
        bad = {char for char in text if char in "\x1b\x07\x08\r\u2028\u0085\u202e"}
        check(not bad, f"in the {what}: {bad}")
    check("forged-line" in told, "the refusals have no names")
    check(max(map(len, told.splitlines())) <= 32_768, "a record of any length")
    return f"{len(names)} names, each in one line"


SCENES = [one_name_is_judged_and_acted_on_cve_2025_30215_cve_2026_33222, fields_that_nobody_knows_make_nobody_else_cve_2022_24450,
          names_that_are_nearly_allowed_are_not, one_right_is_no_other_cve_2024_28098_cve_2024_29834_cve_2024_51988,
          credentials_that_sign_nothing_cve_2021_22160, what_is_secret_is_in_no_log_cve_2025_50200, no_route_is_left_over_cve_2026_57219,
          nobody_is_dialled_cve_2025_27817_cve_2022_24280_cve_2026_27446_cve_2023_46604,
          options_name_no_code_cve_2023_25194_cve_2025_27818_cve_2025_27819,
          names_of_files_stay_inside_cve_2022_26652_cve_2022_28357_cve_2024_27317,
          archives_stay_inside_cve_2022_26652_cve_2022_28357_cve_2024_27317, rights_are_never_wider_in_between_cve_2024_27309,
          a_server_of_another_name_is_told_nothing_cve_2022_33681_cve_2022_33682_cve_2022_33683, lines_of_others_in_no_log]
