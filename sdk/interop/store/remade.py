"""A topic that was deleted and made again: the new messages stay, the old ones stay away, however the broker starts."""

import os
import shutil

from node import check
from scene import Stage

TOPIC, OTHER, QUEUES = "remade", "bystander", 4


def written(binary, work):
    """A topic deleted and made again, each of its queues written to before and after."""
    stage = Stage(binary, work).start()
    stage.client.create_topic(OTHER, QUEUES)
    stage.client.create_topic(TOPIC, QUEUES)
    stage.client.create_group()
    stage.fill(OTHER, QUEUES, 150)
    # More than there will be, so that old ones lie behind the new queue's end.
    stage.fill(TOPIC, QUEUES, 250)
    stage.delete(TOPIC)
    stage.client.create_topic(TOPIC, QUEUES)
    for queue in range(QUEUES):
        check((end := stage.client.end_of(TOPIC, queue)) == 0, f"the new topic's queue {queue} ends at {end}")
    return stage


def killed_at_once(binary, work):
    """kill -9 right after the deletion, and right after the first new messages; one queue never gets any."""
    stage = written(binary, work)
    try:
        stage.again(kill=True)
        ends = [stage.client.end_of(TOPIC, queue) for queue in range(QUEUES)]
        check(ends == [0] * QUEUES, f"after the deletion and a kill the queues end at {ends}")
        stage.fill(TOPIC, QUEUES - 1, 10)
        found = stage.again(kill=True)
        check((end := stage.client.end_of(TOPIC, QUEUES - 1)) == 0, f"the queue without messages ends at {end}")
        stage.fill(TOPIC, QUEUES, 120)
        stage.again(kill=True)
        return f"{found} found after the second kill, {stage.again()} after a stop"
    finally:
        stage.end()


def replayed(binary, work):
    """Full replays of the log, after a stop and after a kill: ConsumeQueues, our checkpoint and table are gone."""
    stage = written(binary, work)
    try:
        stage.fill(TOPIC, QUEUES, 30)
        stage.fill(OTHER, QUEUES, 20)
        for kill in (False, True):
            if kill:
                stage.node.kill()
            else:
                stage.stop()
            # After the kill some may not be there yet.
            shutil.rmtree(os.path.join(stage.data, "consumequeue"), ignore_errors=True)
            for name in ("checkpoint", "blockhouse/checkpoint", "blockhouse/queues"):
                if os.path.exists(path := os.path.join(stage.data, name)):
                    os.remove(path)
            stage.start()
            check(not stage.took_table(), "it took a table that is not there")
            check(stage.node.logged().count("made again") == QUEUES, "not said once per queue in the log")
            found = stage.intact()
            check(found == stage.ledger_size(), f"{found} found, {stage.ledger_size()} are of topics that are there")
            stage.fill(TOPIC, QUEUES, 30)
        return f"{stage.again()} found"
    finally:
        stage.end()


SCENES = {"remade topic, killed at once": killed_at_once, "remade topic, full replay": replayed}
