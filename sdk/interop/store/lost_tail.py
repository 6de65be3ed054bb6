"""Ends of ConsumeQueues that a disk lost after a clean stop: the start notices, builds the queues anew, nothing is missing."""

import os

from node import check
from scene import Stage, queue_file

UNIT, PER_FILE = 20, 100


def entries_in(path):
    """How many entries a file has, by its bytes."""
    with open(path, "rb") as file:
        data = file.read()
    return sum(data[at + 8:at + 12] != bytes(4) for at in range(0, len(data), UNIT))


def zero(path, entries):
    """The last entries become zeros, as blocks that were never written are."""
    end = entries_in(path) * UNIT
    with open(path, "r+b") as file:
        file.seek(end - entries * UNIT)
        file.write(bytes(entries * UNIT))


def shorten(path, entries):
    os.truncate(path, (entries_in(path) - entries) * UNIT)


def cut_inside(path, _):
    os.truncate(path, entries_in(path) * UNIT - 7)


def empty(path, _):
    os.truncate(path, 0)


def remove(path, _):
    os.remove(path)


def lost(stage, topic, queues, ways):
    """Damages some queues, starts, and compares everything; twice, since the first start must have mended the files."""
    stage.stop()
    for number, queue in enumerate(queues):
        way, entries = ways[number % len(ways)]
        way(queue_file(stage.data, topic, queue), entries)
    stage.start()
    logged = stage.node.logged()
    check(stage.took_table(), "the start did not come from the table of queues")
    check(logged.count("do not reach to its end") == len(queues), "not every lost end is in the log")
    check(f"{len(queues)} damaged queues are built anew" in logged, "the rebuild is not in the log")
    found = stage.intact()
    check(stage.again(kill=True) == found, "less after a kill")
    check("damaged" not in stage.node.logged(), "the damage was there once more")
    return found


def in_each_way(binary, work):
    stage = Stage(binary, work).start()
    try:
        stage.client.create_topic("tails", 16)
        stage.client.create_group()
        stage.fill("tails", 16, 250)
        ways = [(zero, 1), (zero, 30), (shorten, 1), (shorten, 30), (cut_inside, 0), (empty, 0), (remove, 0)]
        lost(stage, "tails", range(0, 14, 2), ways)
        stage.fill("tails", 16, 20)
        lost(stage, "tails", range(16), ways)
        stage.fill("tails", 16, 120)
        return f"{stage.again()} found, 7 and 16 of 16 queues damaged"
    finally:
        stage.end()


def among_many(binary, work):
    """So many queues that a start looks at some only: a lost block takes the end of more than one."""
    stage = Stage(binary, work, **{"store.queue_file_entries": 20}).start()
    topics, each = 42, 100
    try:
        stage.client.create_group()
        for number in range(topics):
            stage.client.create_topic(f"many-{number}", each)
            for queue in range(each):
                check(stage.client.send_burst(f"many-{number}", queue, 3, 100) == 3, "a send was refused")
        stage.stop()
        for number in range(topics):
            for queue in range(each):
                zero(queue_file(stage.data, f"many-{number}", queue), 1)
        stage.start()
        check(f"{topics * each} damaged queues are built anew" in stage.node.logged(), "the rebuild is not in the log")
        return f"{stage.intact()} found in {topics * each} queues"
    finally:
        stage.end()


SCENES = {"lost ends of ConsumeQueues": in_each_way, "lost ends among many queues": among_many}
