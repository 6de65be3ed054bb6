"""Broker: consumer offsets, queue limits, offsets by time."""

import time

from steps import Step, case, commit, committed, group, messages, send, topic

FAR = (int(time.time()) + 86_400) * 1000
TWO = [topic(queues=2), group(), messages(2)]


def queue(code, number=0, name="$t", **fields):
    return Step(code, {"topic": name, "queueId": number} | fields)


CASES = [
    case("offset.new_group", TWO, committed()),
    case("offset.new_group_not_created", topic(), messages(1), committed()),
    case("offset.new_group_zero_if_not_found", TWO, committed(setZeroIfNotFound="true")),
    case("offset.new_group_not_zero", TWO, committed(setZeroIfNotFound="false")),
    case("offset.empty_queue", TWO, committed(1)),
    case("offset.unknown_topic", group(), committed()),
    case("offset.queue_beyond", TWO, committed(9), committed(-1)),
    case("offset.retry_topic", group(), committed(topic="%RETRY%$g")),
    case("offset.commit", TWO, commit(1, quiet=False), committed()),
    case("offset.commit_back", TWO, commit(2), commit(1, quiet=False), committed()),
    case("offset.commit_beyond", TWO, commit(900, quiet=False), committed()),
    case("offset.commit_negative", TWO, commit(-5, quiet=False), committed()),
    case("offset.commit_unknown_topic", group(), commit(1, quiet=False), committed()),
    case("offset.commit_unknown_group", topic(), commit(1, quiet=False), committed()),
    case("offset.commit_queue_beyond", TWO, commit(1, 9, quiet=False), committed(9)),
    case("offset.commit_word", TWO, commit("many", quiet=False)),
    case("offset.commit_oneway", TWO, Step(15, dict(consumerGroup="$g", topic="$t", queueId=0, commitOffset=2), oneway=True),
         committed()),
    case("offset.commit_empty_header", Step(15)),
    case("offset.query_empty_header", Step(14)),
    case("offset.two_groups", TWO, group("$g2"), commit(1), commit(2, consumerGroup="$g2"), committed(),
         committed(consumerGroup="$g2")),
    case("max.filled", TWO, queue(30)),
    case("max.committed_flag", TWO, queue(30, committed="true"), queue(30, committed="false")),
    case("max.empty", TWO, queue(30, 1)),
    case("max.unknown_topic", queue(30)),
    case("max.queue_beyond", TWO, queue(30, 9), queue(30, -1)),
    case("max.empty_header", Step(30)),
    case("min.filled", TWO, queue(31)),
    case("min.empty", TWO, queue(31, 1)),
    case("min.unknown_topic", queue(31)),
    case("min.queue_beyond", TWO, queue(31, 9)),
    case("earliest.filled", TWO, queue(32)),
    case("earliest.empty", TWO, Step(32, {"topic": "$t", "queueId": 1}, save={"e": lambda a: a.ext.get("timestamp")}),
         queue(29, 0, timestamp="$e")),
    case("earliest.unknown_topic", queue(32)),
    case("by_time.zero", TWO, queue(29, timestamp=0)),
    case("by_time.future", TWO, queue(29, timestamp=FAR)),
    case("by_time.minus_one", TWO, queue(29, timestamp=-1)),
    case("by_time.lower", TWO, queue(29, timestamp=FAR, boundaryType="LOWER"), queue(29, timestamp=0, boundaryType="LOWER")),
    case("by_time.upper", TWO, queue(29, timestamp=FAR, boundaryType="UPPER"), queue(29, timestamp=0, boundaryType="UPPER")),
    case("by_time.lower_case_boundary", TWO, queue(29, timestamp=FAR, boundaryType="upper")),
    case("by_time.unknown_boundary", TWO, queue(29, timestamp=FAR, boundaryType="MIDDLE")),
    case("by_time.empty_queue", TWO, queue(29, 1, timestamp=0), queue(29, 1, timestamp=FAR)),
    case("by_time.unknown_topic", queue(29, timestamp=0)),
    case("by_time.empty_header", Step(29)),
    case("by_time.between", topic(), group(), send(quiet=True),
         Step(29, {"topic": "$t", "queueId": 0, "timestamp": 1}, until=lambda a: a.ext.get("offset") == "0")),
]
