"""What a broker says of its topics, groups and offsets, and what must not change when another one takes over."""

import json
import re
import time

from harness import probe

UPDATE_TOPIC, MAX_OFFSET, UPDATE_GROUP, POP_MESSAGE = 17, 30, 200, 200050
ALL_TOPICS, ALL_GROUPS, ALL_OFFSETS = 21, 201, 43


def make_topic(address, name, queues, perm=6, order=False, attributes=""):
    fields = {"topic": name, "defaultTopic": "TBW102", "readQueueNums": queues, "writeQueueNums": queues, "perm": perm,
              "topicFilterType": "SINGLE_TAG", "topicSysFlag": 0, "order": str(order).lower()}
    if attributes:
        fields["attributes"] = attributes
    expect(address, UPDATE_TOPIC, {key: str(value) for key, value in fields.items()})


def make_group(address, config):
    expect(address, UPDATE_GROUP, {}, json.dumps(config).encode())


def pop(address, group, topic, count):
    """Takes messages for 60 s without acknowledging them."""
    fields = {"consumerGroup": group, "topic": topic, "queueId": 0, "maxMsgNums": count, "invisibleTime": 60_000, "pollTime": 0,
              "bornTime": int(time.time() * 1000), "initMode": 0, "order": "false"}
    expect(address, POP_MESSAGE, {key: str(value) for key, value in fields.items()})


def max_offset(address, topic, queue):
    header, _ = probe.exchange(address, MAX_OFFSET, {"topic": topic, "queueId": str(queue)})
    return int((header.get("extFields") or {}).get("offset", 0))


def expect(address, code, fields, body=b""):
    header, said = probe.exchange(address, code, fields, 10.0, body)
    if header["code"] != 0:
        raise RuntimeError(f"request {code} to {address}: {header['code']} {header.get('remark')}")
    return said


def tables(address):
    """Topics, groups and committed offsets."""
    topics = load(expect(address, ALL_TOPICS, {}))["topicConfigTable"]
    groups = load(expect(address, ALL_GROUPS, {}))["subscriptionGroupTable"]
    offsets = load(expect(address, ALL_OFFSETS, {}))["offsetTable"]
    return {"topics": topics, "groups": groups, "offsets": offsets}


def load(text):
    """JSON as fastjson writes it: integer keys may lack their quotes."""
    return json.loads(re.sub(r"([{,])\s*(-?\d+)\s*:", r'\1"\2":', text.decode()))


def queues(known):
    """{topic: number of queues} of all topics."""
    return {name: max(topic["readQueueNums"], topic["writeQueueNums"], 1) for name, topic in known["topics"].items()}


def changed(before, after, moving=()):
    """What was there and is not there alike; offsets of `moving` groups may have risen."""
    found = []
    for kind in ("topics", "groups"):
        for name, config in before[kind].items():
            # What one version does not know it does not say.
            other = after[kind].get(name)
            alike = other is not None and all(other[key] == value for key, value in config.items() if key in other)
            if not alike:
                found.append(f"{kind} {name}: {config}, then {other}")
    for pair, offsets in before["offsets"].items():
        other = after["offsets"].get(pair, {})
        for queue, offset in offsets.items():
            rises = any(name in pair for name in moving)
            if other.get(queue) != offset and not (rises and other.get(queue, -1) > offset):
                found.append(f"offset of {pair} in queue {queue}: {offset}, then {other.get(queue)}")
    return found


def differences(before, after, ignored_times=lambda queue: False):
    """What two snapshots say differently of the messages that both should show: the later one may only have more."""
    found = []
    for queue, then in before.items():
        now = after.get(queue)
        if now is None:
            found.append(f"{queue} is gone")
            continue
        if now["min"] != then["min"] or now["max"] < then["max"]:
            found.append(f"{queue}: from {then['min']} to {then['max']}, then from {now['min']} to {now['max']}")
        for old, new in zip(then["messages"], now["messages"]):
            if old != new:
                found.append(f"{queue}: message {old}, then {new}")
                break
        if len(now["messages"]) < len(then["messages"]):
            found.append(f"{queue}: {len(then['messages'])} messages, then {len(now['messages'])}")
        found += looked_up(queue, then, now)
        if not ignored_times(then):
            found += [f"{queue}: offset at {time}: {offset}, then {now['times'][time]}" for time, offset in then["times"].items()
                      if now["times"].get(time, offset) != offset]
    return found


def unfound(seen):
    """Messages that a snapshot shows, and that its own queries by unique key and by key do not find. A delayed message that came twice, after
    a kill, is there twice under its unique key, of which the client gives one."""
    return [f"{queue}: {name} looked up by {way}: {ids}" for queue, what in seen.items() for name, ways in what["looked"].items()
            for way, ids in ways.items() if way != "id" and (not ids if way == "unique" else name not in ids)]


def looked_up(queue, then, now):
    found = []
    for name, ways in then["looked"].items():
        for way, ids in ways.items():
            other = now["looked"].get(name, {}).get(way)
            if other is None:
                if not queue.startswith("m-many "):  # of which each snapshot looks some up only
                    found.append(f"{queue}: {name} is not looked up by {way} any more")
                continue
            missing = set(ids) - set(other) if isinstance(ids, list) else ids != other
            if missing:
                found.append(f"{queue}: {name} looked up by {way}: {ids}, then {other}")
    return found
