"""Name server: registration by a fake broker, which must leave nothing behind."""

import json
import zlib

from remoting import V5_4_0
from steps import case, namesrv

VERSION = {"counter": 5, "stateVersion": 0, "timestamp": 1700000000000}
NEWER = {"counter": 6, "stateVersion": 0, "timestamp": 1700000000000}


def topic_table(*topics, queues=2):
    return {name: {"attributes": {}, "order": False, "perm": 6, "readQueueNums": queues, "topicFilterType":
                   "SINGLE_TAG", "topicName": name, "topicSysFlag": 0, "writeQueueNums": queues} for name in topics}


def wrapper(version=VERSION, topics=("$t", "$t2"), queues=2):
    return {"filterServerList": [], "topicConfigSerializeWrapper": {
        "dataVersion": version, "mappingDataVersion": VERSION, "topicQueueMappingDetailMap": {},
        "topicQueueMappingInfoMap": {}, "topicConfigTable": topic_table(*topics, queues=queues)}}


def plain(**options):
    return lambda names: json.dumps(names.fill(wrapper(**options))).encode()


def deflated(with_mapping=True, topics=("$t", "$t2")):
    def build(names):
        def part(text):
            data = text.encode()
            return len(data).to_bytes(4, "big") + data
        out = part(json.dumps(VERSION)) + len(topics).to_bytes(4, "big")
        for name in topics:
            out += part(names.fill(name) + ' 2 2 6 SINGLE_TAG {}')
        out += part("[]")
        if with_mapping:
            out += (0).to_bytes(4, "big")
        return zlib.compress(out, 9)
    return build


def register(body, crc="right", version=V5_4_0, quiet=False, project=None, **fields):
    """`crc` right, wrong, or absent."""
    def with_crc(names):
        data = body(names) if callable(body) else body
        names.values["crc"] = str((zlib.crc32(data) & 0x7FFFFFFF) ^ (crc == "wrong"))
        return data
    ext = dict(brokerName="$fake", brokerAddr="127.0.0.1:19", clusterName="$run-cluster",
               haServerAddr="127.0.0.1:20", brokerId=0, compressed="false", enableActingMaster="false")
    if crc != "absent":
        ext["bodyCrc32"] = "$crc"
    ext.update(fields)
    return namesrv(103, {k: v for k, v in ext.items() if v is not None}, with_crc, version=version, quiet=quiet,
                   project=project)


def unregister(**fields):
    return namesrv(104, dict(brokerName="$fake", brokerAddr="127.0.0.1:19", clusterName="$run-cluster",
                             brokerId=0) | fields)


def route(name="$t", **options):
    return namesrv(105, {"topic": name}, **options)


def gone(name="$t"):
    """Unregistration is applied in batches, a little later."""
    return route(name, until=lambda answer: answer.code == 17, quiet=True)


def data_version(version, **fields):
    return namesrv(322, dict(brokerName="$fake", brokerAddr="127.0.0.1:19", clusterName="$run-cluster",
                             brokerId=0) | fields, version)


def member(body, names):
    return body["brokerAddrTable"].get(names.values["fake"])


DONE = [unregister(), gone()]

CASES = [
    case("register.plain", register(plain()), route(), namesrv(106, project=member), DONE),
    case("register.no_crc", register(plain(), crc="absent"), route(), DONE),
    case("register.crc_zero", register(plain(), bodyCrc32=0), route(), DONE),
    case("register.wrong_crc", register(plain(), crc="wrong"), route()),
    case("register.compressed", register(deflated(), compressed="true"), route(), DONE),
    case("register.compressed_4_9", register(deflated(False), compressed="true", version=407), route(), DONE),
    case("register.compressed_but_says_plain", register(deflated()), route()),
    case("register.compressed_garbage", register(b"not zlib at all", compressed="true"), route()),
    case("register.compressed_cut",
         register(lambda names: deflated()(names)[:-20], compressed="true"), route()),
    case("register.garbage", register(b"{not json"), route()),
    case("register.no_body", register(b""), namesrv(106, project=member), unregister()),
    # The reference keeps an address-less broker after this refusal, which breaks mqadmin: register it fully, then remove it.
    case("register.one_topic_first", register(plain(topics=["$t"])), route(), register(plain(), quiet=True), DONE),
    case("register.no_topics", register(plain(topics=[])), namesrv(106, project=member), unregister()),
    # Registrations without a name or address are left to `hostile`: they poison the reference's tables for good.
    case("register.bad_broker_id", register(plain(), brokerId="zero")),
    case("register.slave", register(plain(), quiet=True),
         register(plain(), brokerId=1, brokerAddr="127.0.0.1:21", haServerAddr="127.0.0.1:22"),
         route(), namesrv(901, {"clusterName": "$run-cluster", "brokerName": "$fake"}),
         unregister(brokerId=1, brokerAddr="127.0.0.1:21"), DONE),
    case("register.slave_alone", register(plain(), brokerId=1), route(), unregister(brokerId=1), gone()),
    case("register.acting_master", register(plain(), brokerId=1, enableActingMaster="true"), route(),
         unregister(brokerId=1), gone()),
    case("register.same_version_other_topics", register(plain(), quiet=True),
         register(plain(queues=7)), route(), DONE),
    case("register.newer_version", register(plain(), quiet=True),
         register(plain(version=NEWER, queues=7)), route(), DONE),
    case("register.topic_removed", register(plain(topics=["$t", "$t2", "$run-x"]), quiet=True),
         register(plain(version=NEWER, topics=["$t", "$run-x"])), route("$t2"), DONE),
    case("register.older_version", register(plain(version=NEWER), quiet=True), register(plain(queues=7)),
         route(), DONE),
    case("register.other_address", register(plain(), quiet=True),
         register(plain(version=NEWER), brokerAddr="127.0.0.1:23"), route(),
         unregister(brokerAddr="127.0.0.1:23"), gone()),
    case("register.two_brokers", register(plain(), quiet=True), register(plain(), brokerName="$fake-2",
         brokerAddr="127.0.0.1:24"), route(), unregister(brokerName="$fake-2", brokerAddr="127.0.0.1:24"), DONE),
    case("register.order_conf_returned",
         namesrv(100, {"namespace": "ORDER_TOPIC_CONFIG", "key": "$t", "value": "$fake:2"}, quiet=True),
         register(plain(), project=lambda body, names: body["table"].get(names.values["t"])),
         namesrv(102, {"namespace": "ORDER_TOPIC_CONFIG", "key": "$t"}), DONE),
    case("unregister.missing", unregister()),
    case("unregister.no_field", namesrv(104, {"brokerName": "$fake"})),
    case("write_perm.wipe_add", register(plain(), quiet=True), namesrv(205, {"brokerName": "$fake"}), route(),
         namesrv(205, {"brokerName": "$fake"}), namesrv(327, {"brokerName": "$fake"}), route(), DONE),
    case("topics.delete_registered", register(plain(), quiet=True), namesrv(216, {"topic": "$t"}), route(),
         route("$t2"), unregister(), gone("$t2")),
    case("data_version.unknown_broker", data_version(VERSION)),
    case("data_version.same", register(plain(), quiet=True), data_version(VERSION), DONE),
    case("data_version.changed", register(plain(), quiet=True), data_version(NEWER), DONE),
    case("data_version.no_field", namesrv(322, {"brokerName": "$fake"}, VERSION)),
    case("data_version.no_body", register(plain(), quiet=True), data_version(b""), DONE),
    case("broker_heartbeat.known", register(plain(), quiet=True),
         namesrv(904, dict(clusterName="$run-cluster", brokerAddr="127.0.0.1:19", brokerName="$fake")), DONE),
    case("broker_heartbeat.unknown",
         namesrv(904, dict(clusterName="$run-cluster", brokerAddr="127.0.0.1:19", brokerName="$fake"))),
    case("broker_heartbeat.no_field", namesrv(904, {"brokerName": "$fake"})),
]
