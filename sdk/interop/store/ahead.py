"""Progress ahead of the messages, as a power cut leaves it: groups and delay levels go on at the ends of their queues, nothing is skipped."""

import json
import os

from node import GROUP, body_of, check, loose_json, until
import records
from scene import Stage

TOPIC, DELAY_LEVEL_1, DELAYED = "ahead", "1", "delayed"
SET_BACK = "set back to the ends of their queues"


def rewrite(stage, name, change):
    """Changes a file of `config` as an editor or a power cut would; its `.bak` and journal know nothing of it."""
    path = os.path.join(stage.data, "config", name)
    with open(path) as file:
        content = loose_json.loads(file.read())
    change(content["offsetTable"])
    with open(path, "w") as file:
        json.dump(content, file)


def saved(stage, name):
    with open(os.path.join(stage.data, "config", name)) as file:
        return loose_json.loads(file.read())["offsetTable"]


def send_delayed(stage, topic, queue):
    """A message for later, at the shortest level; its id."""
    uid = stage.ledger.new_id(64)
    frame = stage.client.frame(topic, queue, uid, 64)
    frame.ext["i"] = records.format_properties({"UNIQ_KEY": uid, "KEYS": uid, "DELAY": DELAY_LEVEL_1})
    answer = stage.client.connection.call(310, frame.ext, frame.body)
    check(answer.code == 0, f"delayed send: {answer.code} {answer.remark}")
    return uid


def ids_from(stage, topic, queue, offset):
    """What a consumer gets that begins at an offset."""
    ids = []
    while offset < stage.client.end_of(topic, queue):
        answer = until("a pull", lambda: (got := stage.client.pull(topic, queue, offset)).code == 0 and got)
        for record in records.decode_all(answer.body):
            check(record["queueOffset"] == offset, f"{topic} {queue}: {record['queueOffset']} instead of {offset}")
            uid = record["properties"]["UNIQ_KEY"]
            check(record["body"].encode("latin1") == body_of(uid, stage.ledger.sent[uid]), f"not the body of {uid}")
            ids.append(uid)
            offset += 1
    return ids


def delivered(stage, expected):
    """Waits until delayed messages are where they belong."""
    until(f"{expected} are set free", lambda: set(expected) <= set(ids_from(stage, DELAYED, 0, 0)), 20)


def goes_on(stage, ahead):
    """Groups read everything that comes; delayed messages come."""
    check(stage.client.committed(TOPIC, 0) == 10, f"queue 0: {stage.client.committed(TOPIC, 0)} instead of its end, 10")
    check(stage.client.committed(TOPIC, 1) == 4, f"queue 1 was not ahead and is at {stage.client.committed(TOPIC, 1)}")
    check(stage.client.committed(TOPIC, 2) == 0, f"queue 2 has no message, and is at {stage.client.committed(TOPIC, 2)}")
    for queue, end in ((0, 10), (2, 0)):
        sent = [stage.ledger.acked[TOPIC, queue][end + n][0] for n in range(25) if stage.client.send(TOPIC, queue).code == 0]
        got = ids_from(stage, TOPIC, queue, stage.client.committed(TOPIC, queue))
        check(len(sent) == 25 and got == sent, f"queue {queue}: {len(got)} of {len(sent)} new messages come to the group")
        check(end + len(sent) < ahead, "the new messages do not show what a group ahead of them misses")
    delivered(stage, [send_delayed(stage, DELAYED, 0) for _ in range(5)])


def set_back(binary, work):
    """Stop, raise, start: what is there and what was never there; then kill -9, which must find nothing to set back."""
    stage, ahead = Stage(binary, work).start(), 1000
    try:
        for topic in (TOPIC, DELAYED):
            stage.client.create_topic(topic, 4)
        stage.client.create_group()
        stage.fill(TOPIC, 2, 10)
        stage.client.commit(TOPIC, 0, 6)
        stage.client.commit(TOPIC, 1, 4)
        delivered(stage, [send_delayed(stage, DELAYED, 0) for _ in range(3)])
        stage.stop()
        check(SET_BACK not in stage.node.logged(), "something was ahead at the first start")
        check(saved(stage, "delayOffset.json")[DELAY_LEVEL_1] == 3, f"{saved(stage, 'delayOffset.json')}")
        rewrite(stage, "consumerOffset.json", lambda table: table[f"{TOPIC}@{GROUP}"].update({"0": ahead, "2": ahead}))
        rewrite(stage, "delayOffset.json", lambda table: table.update({DELAY_LEVEL_1: ahead}))
        stage.start()
        logged = stage.node.logged()
        check("2 offsets of consumer groups were ahead" in logged, "not said how many groups")
        check(f"group {GROUP}, topic {TOPIC}, queue 0: from {ahead} to 10" in logged, "not said which is the first")
        check("1 offsets of delay levels were ahead" in logged, "not said of the delay level")
        # Already on disk: no message was taken yet.
        check(saved(stage, "consumerOffset.json")[f"{TOPIC}@{GROUP}"] == {"0": 10, "1": 4, "2": 0}, f"{saved(stage, 'consumerOffset.json')}")
        check(saved(stage, "delayOffset.json")[DELAY_LEVEL_1] == 3, f"{saved(stage, 'delayOffset.json')}")
        goes_on(stage, ahead)
        stage.client.commit(TOPIC, 1, 7)
        found = stage.again(kill=True)
        check(stage.client.committed(TOPIC, 1) == 7, f"committed 7 right before the kill, and is {stage.client.committed(TOPIC, 1)}")
        check(SET_BACK not in stage.node.logged(), "something was ahead after the kill")
        return f"{found} found"
    finally:
        stage.end()


SCENES = {"progress ahead of the messages": set_back}
