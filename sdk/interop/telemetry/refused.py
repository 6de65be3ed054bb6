"""What is refused before anybody looks at its messages is a span as well: beyond a quota, with wrong credentials, without the right, with a code
that nobody serves."""

from collections import Counter
from pathlib import Path

import common
from common import PULL, SEND, Raw, message, pull
from node import check, records
from traced import BLOCKHOUSE, to

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
CREATE_TOPIC, NOBODYS = 17, 9_999
RULES = "p, user:app, *, Topic:orders, Pub, -, allow\n"
QUOTA = "[quota]\nenabled = true\n[[quota.override]]\nprincipals = [\"user:app\"]\nrequests = 20\n"


def refusals(node, receiver):
    """A node with users, rights and quotas."""
    quota = Path(node.work) / "quota.toml"
    quota.write_text(QUOTA)
    settings = to(receiver.endpoint, head_ratio=0, slow_ms=0)
    server = common.Server(node.binary, node.work, "standalone", "secured", ["--config", str(quota)], **settings)
    server.authenticated().authorized(RULES).start()
    try:
        return told(server, receiver)
    finally:
        server.kill()


def failed(receiver):
    """(operation, topic, error, in the client's trace) of what failed."""
    return [(span.attributes["messaging.operation.name"], span.attributes.get("messaging.destination.name", ""), span.attributes["error.type"],
             (span.trace, span.parent) == (TRACE, SPAN)) for span in receiver.spans(BLOCKHOUSE) if span.status == 2]


def told(server, receiver):
    server.user("app")
    server.admin("topic", "create", "orders")
    app, wrong = Raw(server.broker, "app"), Raw(server.broker)
    context = records.format_properties({"traceparent": f"00-{TRACE}-{SPAN}-01"})
    in_trace = dict(message("orders"), i=context)
    check(wrong.call(SEND, in_trace, b"x", user="app", password="wrong").code != 0, "a wrong signature is taken")
    check(app.call(CREATE_TOPIC, dict(topic="more", defaultTopic="TBW102", readQueueNums=1, writeQueueNums=1, perm=6,
                                      topicFilterType="SINGLE_TAG", topicSysFlag=0, order="false")).code != 0, "who may not creates a topic")
    check(app.call(PULL, pull("orders", "readers")).code != 0, "who may not reads")
    check(app.call(NOBODYS).code == 3, "a code that nobody serves")
    expected = Counter([("send", "orders", "NO_PERMISSION", True), ("UPDATE_AND_CREATE_TOPIC", "more", "NO_PERMISSION", False),
                        ("deliver", "orders", "NO_PERMISSION", False), ("UNKNOWN", "", "REQUEST_CODE_NOT_SUPPORTED", False)])
    receiver.wait("what was refused", lambda _: sum(expected.values()) <= len(failed(receiver)))
    check(Counter(failed(receiver)) == expected, f"{failed(receiver)}")
    # Beyond the quota: what leaves together, every second one in a trace.
    asked = [(app.begin(SEND, in_trace if number % 2 else message("orders"), b"x"), number % 2 == 1) for number in range(80)]
    # What is refused is answered before what waits for the disk.
    codes = {answer.opaque: answer.code for answer in (app.connection.next() for _ in asked)}
    answers = Counter((codes[opaque], is_traced) for opaque, is_traced in asked)
    check({code for code, _ in answers} == {0, 2} and answers[2, True] > 5 and answers[2, False] > 5, f"{answers}")
    for is_traced in (False, True):
        expected[("send", "orders", "SYSTEM_BUSY", is_traced)] = answers[2, is_traced]
    receiver.wait("what was too many", lambda _: sum(expected.values()) <= len(failed(receiver)))
    check(Counter(failed(receiver)) == expected, f"{Counter(failed(receiver))} instead of {expected}")
    # The log and the spans say the same of a request: its trace.
    recent = server.log()
    check(TRACE in recent, "no line of the log has the trace")
    app.close()
    wrong.close()
    server.stop()
    return f"{sum(expected.values())} refused"


SCENES = {"refusals": refusals}
