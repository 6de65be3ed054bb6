"""Broker: heartbeats, client lists, notices, locks."""

from steps import Notices, Sleep, Step, case, group, heartbeat, messages, subscription, topic

TOPIC = [topic(queues=4), group()]


def members(name="$g"):
    return Step(38, {"consumerGroup": name})


def consumers(name="$g"):
    return Step(203, {"consumerGroup": name})


def producers(name="$g"):
    return Step(204, {"producerGroup": name})


def leave(consumer="$g", client="$client", via="main", **fields):
    ext = {"clientID": client, "consumerGroup": consumer} | fields
    return Step(35, {k: v for k, v in ext.items() if v is not None}, via=via)


def queue(number=0, name="$t", broker="$broker"):
    return {"brokerName": broker, "queueId": number, "topic": name}


def lock(*queues, client="$client", code=41, **more):
    return Step(code, {}, {"clientId": client, "consumerGroup": "$g", "mqSet": list(queues),
                           "onlyThisBroker": False} | more)


def check(expression, kind="TAG", **more):
    data = subscription("$t", expression) | {"expressionType": kind}
    return Step(46, {}, {"clientId": "$client", "group": "$g", "subscriptionData": data} | more)


def own_producers(body, names):
    groups = {name: clients for name, clients in body["data"].items() if name.startswith(names.values["run"])}
    return {name: [{"clientId": one["clientId"], "language": one["language"], "version": one["version"]}
                   for one in clients] for name, clients in groups.items()}


SECOND = heartbeat(client="$client2", via="second")

CASES = [
    case("heartbeat.consumer", TOPIC, heartbeat(quiet=False), members(), consumers()),
    case("heartbeat.producer", heartbeat(consumer=None, producer="$g", quiet=False), producers()),
    case("heartbeat.both", TOPIC, heartbeat(producer="$g2", quiet=False), members(), producers("$g2")),
    case("heartbeat.broadcasting", TOPIC, heartbeat(model="BROADCASTING", quiet=False), consumers()),
    case("heartbeat.active_consumer", TOPIC, heartbeat(kind="CONSUME_ACTIVELY", quiet=False), consumers()),
    case("heartbeat.tags", TOPIC, heartbeat(subscriptions=[subscription("$t", "a || b", ["a", "b"], [97, 98])]), consumers()),
    case("heartbeat.two_topics", TOPIC, topic("$t2"),
         heartbeat(subscriptions=[subscription("$t"), subscription("$t2")]), consumers()),
    case("heartbeat.unknown_topic", group(), heartbeat(subscriptions=[subscription("$t2")], quiet=False), consumers()),
    case("heartbeat.unknown_group", heartbeat(quiet=False), members(), Step(352, {"group": "$g"})),
    case("heartbeat.creates_retry_topic", TOPIC, heartbeat(), Step(351, {"topic": "%RETRY%$g"})),
    case("heartbeat.empty_sets", Step(34, {}, {"clientID": "$client", "consumerDataSet": [], "producerDataSet": []})),
    case("heartbeat.no_body", Step(34)),
    case("heartbeat.garbage", Step(34, {}, b"{nope")),
    case("heartbeat.no_client_id", Step(34, {}, {"consumerDataSet": [], "producerDataSet": []})),
    case("heartbeat.strange_type", heartbeat(kind="CONSUME_SIDEWAYS", quiet=False)),
    case("heartbeat.fingerprint", TOPIC, heartbeat(quiet=False, heartbeatFingerprint=77),
         heartbeat(quiet=False, heartbeatFingerprint=77, withoutSub=True, subscriptions=[])),
    case("heartbeat.fingerprint_unknown", TOPIC,
         heartbeat(quiet=False, heartbeatFingerprint=78, withoutSub=True, subscriptions=[])),
    case("heartbeat.changed_subscription", TOPIC, topic("$t2"), heartbeat(),
         heartbeat(subscriptions=[subscription("$t2")]), consumers()),
    case("members.two", TOPIC, heartbeat(), SECOND, members()),
    case("members.same_client_two_connections", TOPIC, heartbeat(), heartbeat(via="second"), members()),
    case("members.none", TOPIC, members()),
    case("members.unknown_group", members("$g2")),
    case("members.empty_header", Step(38)),
    case("members.leave", TOPIC, heartbeat(), SECOND, leave(), members()),
    case("members.last_leaves", TOPIC, heartbeat(), leave(), members(), consumers()),
    case("leave.never_joined", TOPIC, leave()),
    case("leave.no_client_id", TOPIC, heartbeat(), leave(client=None)),
    case("leave.no_group", TOPIC, heartbeat(), leave(consumer=None), members()),
    case("leave.producer", heartbeat(consumer=None, producer="$g"),
         Step(35, {"clientID": "$client", "producerGroup": "$g"}), producers()),
    case("notice.own_join", TOPIC, heartbeat(), Notices()),
    case("notice.other_joins", TOPIC, heartbeat(), Notices(), SECOND, Notices(), Notices("second")),
    case("notice.other_leaves", TOPIC, heartbeat(), SECOND, Notices(), leave(client="$client2", via="second"), Notices()),
    case("notice.same_again", TOPIC, heartbeat(), Notices(), heartbeat(), Notices()),
    case("notice.subscription_changes", TOPIC, topic("$t2"), heartbeat(), Notices(),
         heartbeat(subscriptions=[subscription("$t2")]), Notices()),
    case("notice.switched_off", topic(), group(notifyConsumerIdsChangedEnable=False), heartbeat(), SECOND, Notices()),
    case("notice.broadcasting", TOPIC, heartbeat(model="BROADCASTING"), Sleep(0.1),
         heartbeat(model="BROADCASTING", client="$client2", via="second"), Notices()),
    case("consumers.none", TOPIC, consumers()),
    case("consumers.empty_header", Step(203)),
    case("producers.none", producers()),
    case("producers.empty_header", Step(204)),
    case("producers.all", heartbeat(consumer=None, producer="$g"), Step(328, project=own_producers)),
    case("lock.one", TOPIC, lock(queue())),
    case("lock.again", TOPIC, lock(queue()), lock(queue())),
    case("lock.taken", TOPIC, lock(queue(0)), lock(queue(0), queue(1), client="$client2")),
    case("lock.unlock", TOPIC, lock(queue(0), queue(1)), lock(queue(0), code=42), lock(queue(0), queue(1), client="$client2")),
    case("lock.unlock_others", TOPIC, lock(queue()), lock(queue(), client="$client2", code=42), lock(queue(), client="$client2")),
    case("lock.unlock_never_locked", TOPIC, lock(queue(), code=42)),
    case("lock.unknown_topic", lock(queue(name="$t2"))),
    case("lock.other_broker", TOPIC, lock(queue(broker="other"))),
    case("lock.only_this_broker", TOPIC, lock(queue(), onlyThisBroker=True)),
    case("lock.empty_set", TOPIC, lock()),
    case("lock.no_body", Step(41), Step(42)),
    case("lock.garbage", Step(41, {}, b"[1,2"), Step(42, {}, b"[1,2")),
    case("check.tag", TOPIC, check("a || b")),
    case("check.tag_star", TOPIC, check("*")),
    case("check.unknown_type", TOPIC, check("a", "XPATH")),
    case("check.no_subscription", TOPIC, check("a", subscriptionData=None)),
    case("check.no_body", Step(46)),
    case("heartbeat.then_messages", TOPIC, heartbeat(), messages(1), members()),
]
