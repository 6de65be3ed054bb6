"""What the dashboards and the example alerts of rocketmq-exporter ask for, one row per query: the families, what they are selected and grouped by,
and how they are put together. Written down here in words of our own; `exporter --upstream` compares it with a checkout of that project."""

import glob
import json
import os
import re
from collections import Counter

RUNTIME = "brokeruntime_"
BANDS = ["200to500ms", "500to1s", "1to2s", "2to3s", "3to4s", "4to5s", "5to10s", "10stomore"]
QUICK = ["0ms", "0to10ms", "10to50ms", "50to100ms", "100to200ms"]
CLIENT = ["client_consume_rt", "client_consumer_pull_rt", "client_consume_ok_msg_tps", "client_consumer_pull_tps"]
FAILED = "client_consume_fail_msg_count"
DATA, BROKER = ("Cluster", "Env"), ("Cluster", "Env", "broker")
TOPIC, PAIR, GROUP = (*BROKER, "topic"), (*BROKER, "topic", "group"), (*DATA, "topic", "group")


def family(name, where=()):
    matches = ",".join(f'{label}{"=" if label in DATA else "=~"}"${label.lower()}"' for label in where)
    return f"rocketmq_{name}" + (f"{{{matches}}}" if where else "")


def summed(name, where=(), *by, how="sum"):
    return f"{how}{' by (' + ','.join(by) + ')' if by else ''} ({family(name, where)})"


def runtime(*names):
    return [family(RUNTIME + name, DATA) for name in names]


def dashboard():
    """Of one broker, with its topics and groups."""
    yield from [family("broker_tps", DATA), *(family(f"broker_{name}", BROKER) for name in ("tps", "qps"))]
    yield from runtime("commitlog_maxoffset", "commitlog_minoffset", "dispatch_behind_bytes", "earliest_message_timestamp")
    yield from runtime(*(f"{pool}_threadpoolqueue_headwait_timemills" for pool in ("send", "pull", "query")))
    yield f"{runtime('commitlog_disk_ratio')[0]} * 100"
    for more, less in (("commitlog_maxoffset", "commitlog_minoffset"), ("msg_gettotal_today_now", "msg_gettotal_todaymorning"),
                       ("msg_gettotal_todaymorning", "msg_gettotal_yesterdaymorning"), ("msg_put_total_today_now", "msg_puttotal_todaymorning"),
                       ("msg_puttotal_todaymorning", "msg_puttotal_yesterdaymorning")):
        yield " - ".join(runtime(more, less))
    yield from (summed(f"{RUNTIME}pmdt_{band}", DATA) for band in QUICK + BANDS[:4])
    yield " + ".join(summed(f"{RUNTIME}pmdt_{band}", DATA) for band in BANDS[4:])
    yield " + ".join(summed(f"{RUNTIME}pmdt_{band}", DATA, "brokerIP") for band in BANDS)
    yield from [family("topic_dlq_offset", BROKER), family("topic_retry_offset", BROKER)]
    yield from (family(name, TOPIC) for name in ("consumer_offset", "producer_offset", "producer_tps"))
    yield from [family("consumer_tps", PAIR), summed("consumer_tps", PAIR, "group"), summed("producer_tps", TOPIC, "topic")]
    yield from [summed("producer_message_size", TOPIC, "topic"), summed("consumer_message_size", PAIR, "topic", "group")]
    yield from (summed(f"{who}_message_size", BROKER, "broker") for who in ("producer", "consumer"))
    yield summed("group_get_latency_by_storetime", PAIR, "group", "topic", "broker", how="max")
    yield summed("group_retrydiff", (*DATA, "group"), "group")
    behind = summed("group_diff", GROUP, "group", "topic")
    # Groups by how far they are behind: beyond the end, up to 100,000, further.
    yield from [f"{behind} < 0", f"{behind} >= 0 and {behind} <= 100000", f"{behind} > 100000"]
    yield from (family(name, GROUP) for name in (*CLIENT, FAILED))
    yield summed(FAILED, GROUP, "group")


def overview():
    """Of all brokers: families as they are."""
    days = [f"msg_{way}total_{day}morning" for way in ("put", "get") for day in ("today", "yesterday")]
    waits = [f"{pool}_threadpoolqueue_headwait_timemills" for pool in ("send", "pull", "query")]
    of_broker = [*days, *waits, "put_message_average_size", "put_message_size_total", "dispatch_behind_bytes", "msg_gettotal_today_now",
                 "msg_put_total_today_now", "commitlog_minoffset", "commitlog_maxoffset", "commitlogdir_capacity_total",
                 "commitlogdir_capacity_free", "consumequeue_disk_ratio", "commitlog_disk_ratio", "put_tps10", "getmiss_tps10",
                 "gettransfered_tps10", "gettotal_tps10", "getfound_tps10", *(f"pmdt_{band}" for band in QUICK + BANDS)]
    yield from (family(RUNTIME + name) for name in of_broker)
    yield from (family(name) for name in (*CLIENT, FAILED, "client_consume_fail_msg_tps"))
    yield from (family(f"{who}_{what}") for who in ("producer", "consumer") for what in ("tps", "message_size", "offset"))
    yield from (family(name) for name in ("broker_tps", "broker_qps", "group_get_latency_by_storetime"))
    yield uncommitted()


def uncommitted():
    return f"{summed('producer_offset', (), 'topic')} - on (topic) group_right () {summed('consumer_offset', (), 'group', 'topic')}"


def alerts():
    """Without the numbers from which on they fire."""
    yield from 2 * [summed("producer_tps", (), "cluster")] + 2 * [summed("consumer_tps", (), "cluster")]
    stored = "sum by (topic) (avg_over_time(rocketmq_producer_tps[5m])) * 5 * 60"
    yield f"({uncommitted()}) - ignoring (group) group_left () {stored}"
    yield family("group_get_latency_by_storetime")


# By the file of that project.
QUERIES = {"rocketmq_exporter.json": list(dashboard()), "rocketmq_exporter_overview.json": list(overview()), "example.rules": list(alerts())}


def facts(expression):
    """What a query is about, however it is written."""
    names, where = re.findall(r"rocketmq_\w+", expression), re.findall(r'(\w+) *=~? *"', expression)
    by = {label.strip() for labels in re.findall(r"\bby *\(([^)]*)\)", expression) for label in labels.split(",")}
    return tuple(sorted(set(names))), tuple(sorted(set(where))), tuple(sorted(by))


def upstream(directory):
    """Every query of a checkout of that project, with its file."""
    for path in sorted(glob.glob(os.path.join(directory, "*.json"))):
        with open(path) as file:
            todo = [json.load(file)]
        while todo:
            part = todo.pop()
            if isinstance(part, dict):
                if isinstance(part.get("expr"), str):
                    yield os.path.basename(path), part["expr"]
                todo += part.values()
            elif isinstance(part, list):
                todo += part
    with open(os.path.join(directory, "example.rules")) as file:
        for expression in re.findall(r"^ *expr: (.+)$", file.read(), re.M):
            # What has to be true for the alert to fire is another matter.
            yield "example.rules", re.sub(r" *(>=|<|>) *\d+$", "", expression)


def difference(directory):
    """What is asked there and not here, and the other way round."""
    theirs = Counter((where, facts(expression)) for where, expression in upstream(directory))
    ours = Counter((where, facts(expression)) for where, rows in QUERIES.items() for expression in rows)
    return list((theirs - ours).elements()), list((ours - theirs).elements())
