"""What spans of a broker have to look like: the messaging conventions of OpenTelemetry 1.44, and what we add to them."""

from node import check

SCHEMA = "https://opentelemetry.io/schemas/1.44.0"
# All attributes that the conventions have for messaging as such and for RocketMQ.
KNOWN = {f"messaging.{name}" for name in (
    "batch.message_count", "client.id", "consumer.group.name", "destination.name", "destination.subscription.name", "destination.template",
    "destination.anonymous", "destination.temporary", "destination.partition.id", "message.conversation_id", "message.envelope.size",
    "message.id", "message.body.size", "operation.type", "operation.name", "system", "rocketmq.consumption_model",
    "rocketmq.message.delay_time_level", "rocketmq.message.delivery_timestamp", "rocketmq.message.group", "rocketmq.message.keys",
    "rocketmq.message.tag", "rocketmq.message.type", "rocketmq.namespace")}
TYPES = {"create", "send", "receive", "process", "settle"}
# Of other parts of the conventions, and of our own.
FURTHER = ("network.peer.address", "network.peer.port", "error.type", "deployment.environment.name", "blockhouse.", "plugin.")
NUMBERS = {"messaging.message.body.size", "blockhouse.retries", "messaging.batch.message_count", "messaging.message.envelope.size",
           "messaging.rocketmq.message.delay_time_level", "network.peer.port"}
# What a span of an operation has, besides what all have.
OPERATIONS = {
    "send": ("send", {"messaging.destination.name"}),
    "deliver": ("receive", {"messaging.destination.name", "messaging.consumer.group.name"}),
    "commit": ("settle", {"messaging.destination.name", "messaging.consumer.group.name", "blockhouse.queue.offset"}),
    "retry": ("settle", {"messaging.destination.name", "messaging.consumer.group.name"}),
    "dead_letter": ("settle", {"messaging.destination.name", "messaging.consumer.group.name"}),
    # Nobody asks for it, and the conventions have no type for it.
    "release": (None, {"messaging.destination.name", "messaging.rocketmq.message.delay_time_level"}),
}
REQUIRED = {"messaging.system", "messaging.operation.name", "blockhouse.sampling.reason", "blockhouse.role"}
ASKED = {"messaging.operation.type", "network.peer.address", "network.peer.port"}
STAGES = {"hooks", "append", "flush"}
FLUSH = {"blockhouse.role", "blockhouse.log.offset", "blockhouse.flush.bytes", "blockhouse.flush.messages", "blockhouse.flush.sends"}
CALL = {"blockhouse.plugin.name", "blockhouse.plugin.hook", "blockhouse.plugin.verdict", "blockhouse.plugin.mode"}
RESOURCE = {"service.name", "service.namespace", "service.instance.id", "service.version"}


def hold(span):
    """Wrong if a broker's span is not as the table says."""
    has = span.attributes
    check(RESOURCE <= set(span.service), f"{span}: the resource has {span.service}")
    check(span.scope.get("schemaUrl") == SCHEMA, f"{span}: schema {span.scope.get('schemaUrl')}")
    check(span.flags & 1, f"{span} is exported and not sampled")
    check(span.begin <= span.end, f"{span} ends before it begins")
    check(len(span.trace) == 32 and int(span.trace, 16) and len(span.id) == 16 and int(span.id, 16), f"{span}: ids")
    for name, value in has.items():
        check(name in KNOWN or name.startswith(FURTHER), f"{span}: the conventions have no {name}")
        check(isinstance(value, int) == (name in NUMBERS or name.startswith("blockhouse.") and name.endswith("offset") or name.startswith("blockhouse.flush.")),
              f"{span}: {name} is {value!r}")
    operation = has.get("messaging.operation.name")
    if span.name == "flush commitlog":
        hold_flush(span)
        return
    if operation is None:
        check(span.kind == "INTERNAL" and span.parent, f"{span}: {span.kind}")
        is_call = CALL <= set(has) and span.name == f"{has['blockhouse.plugin.hook']} {has['blockhouse.plugin.name']}"
        check(is_call or span.name in STAGES, f"{span}: neither a stage nor a plugin's call: {has}")
        return
    if span.scope["scope"]["name"] == "blockhouse.trace-topic":
        hold_bridged(span, operation)
        return
    # What was refused before anything was done is called as RocketMQ calls the request, and is about no message.
    is_refused = operation.isupper() and (span.status == 2 or has.get("blockhouse.role") == "namesrv")
    check(operation in OPERATIONS or is_refused, f"{span}: there is no operation {operation}")
    kind, required = OPERATIONS.get(operation, (None, set()))
    is_asked = kind is not None or is_refused
    required = REQUIRED | required | (ASKED if is_asked else set()) - ({"messaging.operation.type"} if is_refused else set())
    check(has.get("messaging.operation.type") == kind and kind in TYPES | {None}, f"{span}: {has}")
    check(required <= set(has), f"{span} lacks {required - set(has)}")
    check(has["messaging.system"] == "rocketmq", f"{span}: {has}")
    check(span.kind == ("SERVER" if is_asked else "INTERNAL"), f"{span}: {span.kind}")
    check(span.name == f"{operation} {has.get('messaging.destination.name', '')}".strip(), f"{span}: its name")
    check(("error.type" in has) == (span.status == 2), f"{span}: error {has.get('error.type')}, status {span.status}")
    # Only an answer that is no error is told by its name, and only name servers have such.
    check("blockhouse.response.code" not in has or (span.status, has["blockhouse.role"]) == (0, "namesrv"), f"{span}: {has}")
    check(has.get("messaging.batch.message_count", 2) > 1, f"{span}: a batch of one")


def hold_flush(span):
    """The same of a sync of the log: a trace of its own, linked with the sends that waited for it."""
    has = span.attributes
    check(span.kind == "INTERNAL" and not span.parent and span.scope["scope"]["name"] == "blockhouse.broker", f"{span}: {span.kind}")
    check(set(has) - {"error.type"} == FLUSH and has["blockhouse.role"] == "broker", f"{span}: {has}")
    check(("error.type" in has) == (span.status == 2), f"{span}: error {has.get('error.type')}, status {span.status}")
    sends, links = has["blockhouse.flush.sends"], len(set(span.links))
    check(0 < links == len(span.links) <= min(sends, 32), f"{span}: {links} links of {sends} sends")
    check(sends <= has["blockhouse.flush.messages"] and has["blockhouse.flush.bytes"] > 0, f"{span}: {has}")


def hold_bridged(span, operation):
    """The same of a span that a client told of in RocketMQ's own way."""
    has = span.attributes
    # The conventions have no type for what a producer does to a message that it has sent.
    kind, named = {"send": ("PRODUCER", "send"), "process": ("CONSUMER", "process"), "end_transaction": ("CLIENT", None),
                   "recall": ("CLIENT", None)}.get(operation, (None, operation))
    check(span.kind == kind and has.get("messaging.operation.type") == named, f"{span}: {span.kind} {has}")
    check(has.get("messaging.system") == "rocketmq" and has.get("messaging.message.id"), f"{span}: {has}")
    check(span.name == f"{operation} {has.get('messaging.destination.name', '')}".strip(), f"{span}: its name")
    check(("error.type" in has) == (span.status == 2), f"{span}: error {has.get('error.type')}, status {span.status}")
    check(operation != "process" or "messaging.consumer.group.name" in has, f"{span}: {has}")
    check((operation == "end_transaction") == ("blockhouse.transaction.state" in has), f"{span}: {has}")
