"""Name server: routes, lists, KV, permissions, configuration."""

from remoting import BINARY, V4_9_3
from steps import case, namesrv, routed, succeeded, topic

TOPIC = [topic(queues=3), routed()]


def own_topics(body, names):
    return {"own": sorted(name for name in body["topicList"] if name.startswith(names.values["run"])),
            "brokerAddr": body.get("brokerAddr")}


def system_topics(body, names):
    """A broker's name and its cluster's count as system topics."""
    return {name: names.values[name] in body["topicList"] for name in ("cluster", "broker")}


def this_broker(body, names):
    """Other brokers and fake ones of other cases may stand beside it."""
    name, cluster = names.values["broker"], names.values["cluster"]
    return {"brokerAddrTable": {name: body["brokerAddrTable"][name]},
            "clusterAddrTable": {cluster: [x for x in body["clusterAddrTable"][cluster] if x == name]}}


def kv(code, **fields):
    return namesrv(code, {"namespace": "$run-ns"} | fields)


CASES = [
    case("route.existing", TOPIC, namesrv(105, {"topic": "$t"})),
    case("route.existing_4_9_3", TOPIC, namesrv(105, {"topic": "$t"}, version=V4_9_3)),
    case("route.existing_4_9_4", TOPIC, namesrv(105, {"topic": "$t"}, version=401)),
    case("route.existing_3_x", TOPIC, namesrv(105, {"topic": "$t"}, version=0)),
    case("route.standard_json", TOPIC,
         namesrv(105, {"topic": "$t", "acceptStandardJsonOnly": "true"}, version=V4_9_3)),
    case("route.not_standard_json", TOPIC, namesrv(105, {"topic": "$t", "acceptStandardJsonOnly": "false"})),
    case("route.binary_header", TOPIC, namesrv(105, {"topic": "$t"}, encoding=BINARY)),
    case("route.go_client", TOPIC, namesrv(105, {"topic": "$t"}, language="GO", version=317)),
    case("route.unknown_language", TOPIC, namesrv(105, {"topic": "$t"}, language="COBOL")),
    case("route.missing", namesrv(105, {"topic": "$t"})),
    case("route.missing_4_9_3", namesrv(105, {"topic": "$t"}, version=V4_9_3)),
    case("route.empty_name", namesrv(105, {"topic": ""})),
    case("route.no_topic_field", namesrv(105)),
    case("route.auto_create_topic", namesrv(105, {"topic": "TBW102"})),
    case("route.read_only_topic", topic(queues=2, perm=4), routed(), namesrv(105, {"topic": "$t"})),
    case("route.write_only_topic", topic(queues=2, perm=2), routed(), namesrv(105, {"topic": "$t"})),
    case("route.read_beyond_write", topic(queues=2, readQueueNums=4), routed(), namesrv(105, {"topic": "$t"})),
    case("route.topic_sys_flag", topic(topicSysFlag=3), routed(), namesrv(105, {"topic": "$t"})),
    case("route.order_conf", TOPIC,
         namesrv(100, {"namespace": "ORDER_TOPIC_CONFIG", "key": "$t", "value": "$broker:3"}),
         namesrv(105, {"topic": "$t"}),
         namesrv(102, {"namespace": "ORDER_TOPIC_CONFIG", "key": "$t"})),
    case("route.zone_mode", TOPIC,
         namesrv(105, {"topic": "$t", "__ZONE_MODE": "true", "__ZONE_NAME": "nowhere"})),
    case("cluster.info", namesrv(106, project=this_broker)),
    case("cluster.info_4_9_3", namesrv(106, version=V4_9_3, project=this_broker)),
    case("topics.all", TOPIC, namesrv(206, project=own_topics)),
    case("topics.by_cluster", TOPIC, namesrv(224, {"cluster": "$cluster"}, project=own_topics)),
    case("topics.by_missing_cluster", namesrv(224, {"cluster": "$run-none"})),
    case("topics.by_cluster_no_field", namesrv(224)),
    case("topics.system", namesrv(304, project=system_topics)),
    case("topics.unit", namesrv(311, project=own_topics)),
    case("topics.unit_sub", namesrv(312, project=own_topics)),
    case("topics.unit_sub_ununit", namesrv(313, project=own_topics)),
    case("members.existing", namesrv(901, {"clusterName": "$cluster", "brokerName": "$broker"})),
    case("members.missing", namesrv(901, {"clusterName": "$cluster", "brokerName": "$fake"})),
    case("members.no_field", namesrv(901, {"clusterName": "$cluster"})),
    case("kv.put_get", kv(100, key="k", value="v"), kv(101, key="k"), kv(100, key="k", value="w"),
         kv(101, key="k"), kv(102, key="k"), kv(101, key="k")),
    case("kv.get_missing", kv(101, key="none")),
    case("kv.delete_missing", kv(102, key="none")),
    case("kv.list", kv(100, key="l1", value="1"), kv(100, key="l2", value="größe"), kv(219),
         kv(102, key="l1"), kv(102, key="l2"), kv(219)),
    case("kv.list_missing", namesrv(219, {"namespace": "$run-none"})),
    case("kv.put_no_value", kv(100, key="k")),
    case("kv.put_no_namespace", namesrv(100, {"key": "k", "value": "v"})),
    case("kv.put_empty_value", kv(100, key="e", value=""), kv(101, key="e"), kv(102, key="e")),
    case("write_perm.wipe_missing_broker", namesrv(205, {"brokerName": "$fake"})),
    case("write_perm.add_missing_broker", namesrv(327, {"brokerName": "$fake"})),
    case("write_perm.no_field", namesrv(205)),
    case("topics.delete_in_namesrv", TOPIC, namesrv(216, {"topic": "$t"}), namesrv(105, {"topic": "$t"})),
    case("topics.delete_missing", namesrv(216, {"topic": "$t"})),
    case("topics.delete_no_field", namesrv(216)),
    case("topics.delete_with_cluster", TOPIC, namesrv(216, {"topic": "$t", "clusterName": "$cluster"}),
         namesrv(105, {"topic": "$t"})),
    case("topics.delete_other_cluster", TOPIC, namesrv(216, {"topic": "$t", "clusterName": "none"}),
         namesrv(105, {"topic": "$t"})),
    case("topics.register", namesrv(217, {"topic": "$t"}, {"queueDatas": [], "brokerDatas": []}),
         namesrv(105, {"topic": "$t"})),
    case("config.get", namesrv(319, body_kind="text",
                               project=lambda body, _: {key: key in body for key in ("listenPort", "kvConfigPath")})),
    case("config.update", namesrv(318, body=b"scanNotActiveBrokerInterval=5000\n"),
         namesrv(319, body_kind="text", project=lambda body, _: body.get("scanNotActiveBrokerInterval"))),
    case("config.update_unknown", namesrv(318, body=b"noSuchKey=1\n")),
    case("config.update_forbidden", namesrv(318, body=b"kvConfigPath=/tmp/other\n")),
    case("config.update_no_body", namesrv(318)),
]
