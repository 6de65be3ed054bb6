"""The mqadmin commands, what each must say, and what of it is compared between two servers.

Words may hold $t $t2 $g $g2 $p (own topics, groups, producer group), $run (their common mark), $broker,
$addr, $cluster, $ns, and what an earlier row saved. `facts` are patterns (values filled in, spaces
collapsed) that must be found.
"""

from dataclasses import dataclass, field


@dataclass
class Row:
    id: str
    words: list
    facts: list = field(default_factory=list)
    only: str | None = None       # compare only lines with this pattern
    unordered: bool = False       # the order of lines means nothing
    save: dict = field(default_factory=dict)
    fails: bool = False           # an exception is the right outcome
    retry: float = 0.0            # seconds until the facts must hold
    compare: bool = True
    drop: str | None = None       # lines with this pattern are not compared


def row(name, command, *facts, **options):
    return Row(name, command.split(" "), list(facts), **options)


SENT = {"msg": r"msgId=(\w+)", "offset_id": r"offsetMsgId=(\w+)"}
PREPARE = [
    row("updateTopic", "updateTopic -c $cluster -t $t -r 2 -w 2", "create topic to $addr success",
        r"topicName=$t, readQueueNums=2, writeQueueNums=2, perm=RW-"),
    row("updateTopic.broker", "updateTopic -b $addr -t $t2 -r 4 -w 4 -p 6 -a +message.type=FIFO",
        "create topic to $addr success", r"attributes=\{\+message.type=FIFO\}"),
    row("updateTopic.illegal", "updateTopic -b $addr -t a/b", "Exception|illegal", fails=True),
    row("updateSubGroup", "updateSubGroup -c $cluster -g $g -m true", "create subscription group to $addr success",
        "groupName=$g, consumeEnable=true, consumeFromMinEnable=true"),
    row("updateSubGroup.second", "updateSubGroup -b $addr -g $g2 -r 5 -q 2", "groupName=$g2", "retryMaxTimes=5"),
    row("route", "topicRoute -t $t", '"readQueueNums":2', '"writeQueueNums":2', '"brokerName":"$broker"', '"perm":6',
        r"0:\s*\"$addr\"", retry=10),
    row("client.producer", "!producer $p $t", "SEND_OK", compare=False),
    row("client.consumer", "!consumer $g $t", "started"),
    row("client.send", "!send $p $t TagA KeyA\u00a0KeyB hello", "SEND_OK", save=SENT),
    row("sendMessage", "sendMessage -t $t -p body -k KeyC -c TagB -b $broker -i 1", "$broker 1 SEND_OK",
        save={"sent": r"SEND_OK (\w{32,})"}),
    row("sendMessage.any", "sendMessage -t $t2 -p second -k KeyD", "SEND_OK", only="SEND_OK", compare=False),
    row("sendMessage.no_topic", "sendMessage -t $run-missing -p x -b $broker -i 0", "", compare=False),
]

LISTS = [
    row("clusterList", "clusterList", "$cluster $broker 0 $addr", "true", only="$broker"),
    row("clusterList.detail", "clusterList -m", "$cluster $broker", only="$broker", compare=False),
    row("topicList", "topicList", "(?m)^$t$", "(?m)^%RETRY%$g$", only="$run", unordered=True, retry=10),
    row("topicList.cluster", "topicList -c", "$cluster $t $g", only="$run", unordered=True, retry=10),
    row("topicClusterList", "topicClusterList -t $t", "^$cluster$"),
    row("topicRoute.list", "topicRoute -t $t -l", r"$cluster $broker \{0=$addr\} 2 2 6", "Total: 1 2 2"),
    row("topicRoute.missing", "topicRoute -t $run-none", "CODE: 17", fails=True),
    row("topicStatus", "topicStatus -t $t", r"(?m)^$broker 0 0 \d+ ", r"(?m)^$broker 1 0 \d+ ", drop="TPS"),
    row("topicStatus.missing", "topicStatus -t $run-none", "CODE: 17", fails=True),
    row("allocateMQ", "allocateMQ -t $t2 -i 127.0.0.1@1,127.0.0.1@2", '"127.0.0.1@1"', '"queueId":3', compare=False),
]

CLIENTS = [
    row("consumerConnection", "consumerConnection -g $g", r"@$g ADDR JAVA V\d", r"$t \*", r"%RETRY%$g \*",
        "ConsumeType: CONSUME_PASSIVELY", "MessageModel: CLUSTERING", "ConsumeFromWhere: CONSUME_FROM_FIRST_OFFSET",
        save={"client": r"(\S+@$g) "}, unordered=True, retry=5),
    row("consumerConnection.offline", "consumerConnection -g $g2", "CODE: (17|206)", fails=True),
    row("producerConnection", "producerConnection -g $p -t $t", r"0001 \S+@$p ADDR JAVA V\d"),
    row("producerConnection.offline", "producerConnection -g $run-none -t $t", "CODE: 1 ", fails=True),
    row("producer", "producer -b $addr", r"producer group \($p\) instance : clientId=\S+@$p,remoteIP=/ADDR, language=JAVA",
        only=r"\($p\)"),
    row("consumerStatus", "consumerStatus -g $g", r"1 \S+@$g V\d", "Rebalance OK"),
    row("consumerStatus.one", "consumerStatus -g $g -i $client", "PROP_CLIENT_VERSION|#ConsumerRunningInfo|Rebalance|consumer",
        compare=False),
    row("consumerProgress", "consumerProgress -g $g", r"$t $broker 0 \d+ \d+ 0 ", r"$t $broker 1 \d+ \d+ 0 ",
        "Consume Diff Total: 0", drop="TPS", retry=20),
    row("consumerProgress.all", "consumerProgress", r"(?m)^$g 1 V\w+ PUSH CLUSTERING \d+ 0$", only="^$g ", retry=20),
    row("consumerProgress.clients", "consumerProgress -g $g -s true", r"$t $broker 0 \S+", drop="TPS"),
    row("consumerProgress.never_consumed", "consumerProgress -g $g2", "Consume Diff Total: 0|CODE|not|Exception", drop="TPS",
        fails=True),
]

MESSAGES = [
    row("queryMsgById", "queryMsgById -i $offset_id -t $t", "OffsetID: $offset_id", "Topic: $t", r"Tags: \[TagA\]",
        r"Keys: \[KeyA KeyB\]", "Queue Offset: ", r"UNIQ_KEY=$msg", "Message Body Path", "$g|no consumer|CONSUMED|NOT_CONSUME", retry=5),
    row("queryMsgById.missing", "queryMsgById -i $broker_id -t $t", "Exception", fails=True),
    row("queryMsgById.direct", "queryMsgById -i $offset_id -t $t -g $g -d $client", "CR_SUCCESS|consumeResult=CR_SUCCESS"),
    row("queryMsgByKey", "queryMsgByKey -t $t -k KeyC", "$sent 1 ", retry=5),
    row("queryMsgByKey.second_key", "queryMsgByKey -t $t -k KeyB", "$msg "),
    row("queryMsgByKey.missing", "queryMsgByKey -t $t -k KeyNone", "CODE: 208|no message", fails=True),
    row("queryMsgByUniqueKey", "queryMsgByUniqueKey -t $t -i $msg", "Topic: $t", r"Tags: \[TagA\]", r"Keys: \[KeyA KeyB\]",
        "Queue ID: ", "MSG_REGION=DefaultRegion", "CLUSTER=$cluster"),
    row("queryMsgByUniqueKey.all", "queryMsgByUniqueKey -t $t -i $msg -a", "$offset_id|Topic: $t"),
    row("queryMsgByUniqueKey.missing", "queryMsgByUniqueKey -t $t -i $no_id", "CODE: 208|no message", fails=True),
    row("queryMsgByOffset", "queryMsgByOffset -t $t -b $broker -i 1 -o 0", "Topic: $t", "Queue ID: 1", "Queue Offset: 0",
        compare=False),
    row("consumeMessage", "consumeMessage -t $t2 -c 100", "MSGID: ", compare=False),
    row("consumeMessage.queue", "consumeMessage -t $t -b $broker -i 1 -c 1", "Consume ok", "MSGID: ", "topic='$t'",
        compare=False),
    row("consumeMessage.offset", "consumeMessage -t $t -b $broker -i 1 -o 0 -c 1", "Consume ok", "MSGID: ", compare=False),
    row("printMsg", "printMsg -t $t -d true", "MSGID: $sent ", "MSGID: $msg ", r"minOffset=0, maxOffset=\d, MessageQueue \[topic=$t"
        , "BODY: hello", unordered=True, compare=False),
    row("printMsg.tag", "printMsg -t $t -s TagB -d true", "MSGID: $sent ", unordered=True, compare=False),
    row("printMsgByQueue", "printMsgByQueue -t $t -a $broker -i 1 -p true -d true", "MSGID: $sent ", compare=False),
    row("sendMsgStatus", "sendMsgStatus -b $broker -s 16 -c 1", "SEND_OK", compare=False),
    row("checkMsgSendRT", "checkMsgSendRT -t $t2 -a 2 -s 16", "$broker 0 true", "Avg RT", compare=False),
]

BROKER = [
    row("brokerStatus", "brokerStatus -b $addr", r"brokerVersionDesc : V\d", r"bootTimestamp : \d+", "putTps : ", "getTotalTps : ",
        "commitLogMaxOffset : ", "runtime : ", "msgPutTotalTodayNow : ", "sendThreadPoolQueueSize : ", compare=False),
    row("brokerStatus.cluster", "brokerStatus -c $cluster", r"ADDR brokerVersionDesc : V\d", compare=False),
    row("getBrokerConfig", "getBrokerConfig -b $addr", "brokerName = $broker", "brokerClusterName = $cluster", "brokerId = 0",
        "maxMessageSize = 4194304", "flushDiskType = ", compare=False),
    row("getBrokerConfig.cluster", "getBrokerConfig -c $cluster", "Master: $addr", "brokerName = $broker", compare=False),
    row("updateBrokerConfig", "updateBrokerConfig -b $addr -k longPollingEnable -v true", "update broker config success, $addr"),
    row("getNamesrvConfig", "getNamesrvConfig", "listenPort = ", compare=False),
    row("statsAll", "statsAll -t $t", r"$t $g \d+ \d+\.\d+ \d+\.\d+ \d+ \d+", only="$t", compare=False, retry=70),
    row("queryCq", "queryCq -t $t -q 1 -i 0 -c 2 -b $addr", r"max: \d+, min: 0", r"ConsumeQueueData\{physicOffset=\d+",
        compare=False),
    row("brokerConsumeStats", "brokerConsumeStats -b $addr", r"$t $g $broker 0 ", only="$t", unordered=True),
    row("getConsumerConfig", "getConsumerConfig -g $g", "groupName = $g", "retryMaxTimes = 16", "retryQueueNums = 1"),
    row("getConsumerConfig.second", "getConsumerConfig -g $g2", "groupName = $g2", "retryMaxTimes = 5", "retryQueueNums = 2"),
    row("updateKvConfig", "updateKvConfig -s $run-ns -k key -v value", "create or update kv config to namespace success"),
    row("deleteKvConfig", "deleteKvConfig -s $run-ns -k key", "delete kv config from namespace success"),
    row("updateOrderConf", "updateOrderConf -t $t -m put -v $broker:2", "update orderConf success"),
    row("updateOrderConf.get", "updateOrderConf -t $t -m get", "orderConf=.$broker:2"),
    row("updateOrderConf.delete", "updateOrderConf -t $t -m delete", "delete orderConf success"),
    row("cleanExpiredCQ", "cleanExpiredCQ -b $addr", "success"),
    row("cleanUnusedTopic", "cleanUnusedTopic -b $addr", "success"),
    row("deleteExpiredCommitLog", "deleteExpiredCommitLog -b $addr", "success"),
    row("wipeWritePerm", "wipeWritePerm -b $broker", r"wipe write perm of broker\[$broker\] in name server\[\S+\] OK, \d+"),
    row("wipeWritePerm.route", "topicRoute -t $t", '"perm":4'),
    row("addWritePerm", "addWritePerm -b $broker", r"add write perm of broker\[$broker\] in name server\[\S+\] OK, \d+"),
    row("addWritePerm.route", "topicRoute -t $t", '"perm":6'),
    row("wipeWritePerm.unknown", "wipeWritePerm -b $run-none", "OK, 0|Exception", fails=True),
]

OFFSETS = [
    row("resetOffsetByTime", "resetOffsetByTime -g $g -t $t -s 0", r"(?m)^$broker 0 0$", r"(?m)^$broker 1 0$", unordered=True),
    row("resetOffsetByTime.end", "resetOffsetByTime -g $g -t $t -s -1", r"(?m)^$broker 0 \d+$", r"(?m)^$broker 1 \d+$",
        unordered=True),
    row("resetOffsetByTime.now", "resetOffsetByTime -g $g -t $t -s now", r"(?m)^$broker 0 \d+$", unordered=True),
    row("resetOffsetByTime.offline", "resetOffsetByTime -g $g2 -t $t -s 0", r"(?m)^$broker 1 0$", unordered=True),
    row("resetOffsetByTime.unknown_group", "resetOffsetByTime -g $run-none -t $t -s 0", "CODE: 26|Exception", fails=True),
    row("skipAccumulatedMessage", "skipAccumulatedMessage -g $g -t $t -f true", r"(?m)^$broker 0 \d+$", unordered=True),
    row("cloneGroupOffset", "cloneGroupOffset -s $g -d $g2 -t $t", "clone group offset success"),
    row("consumerProgress.cloned", "consumerProgress -g $g2", r"$t $broker 0 |CODE: 17", drop="TPS|Diff Total|^$t", fails=True),
]

CLEANUP = [
    row("updateTopicPerm", "updateTopicPerm -c $cluster -t $t -p 4", "update topic perm from 6 to 4 in $addr success"),
    row("updateTopicPerm.route", "topicRoute -t $t", '"perm":4', retry=10),
    row("deleteSubGroup", "deleteSubGroup -c $cluster -g $g2", r"delete subscription group \[$g2\] from broker \[$addr\]"),
    row("getConsumerConfig.deleted", "getConsumerConfig -g $g2", "", only="groupName"),
    row("deleteTopic", "deleteTopic -c $cluster -t $t", r"delete topic \[$t\] from cluster \[$cluster\] success",
        r"delete topic \[$t\] from NameServer success"),
    row("deleteTopic.second", "deleteTopic -c $cluster -t $t2", r"delete topic \[$t2\] from NameServer success"),
    row("deleteTopic.route", "topicRoute -t $t2", "CODE: 17", fails=True),
    row("deleteTopic.again", "deleteTopic -c $cluster -t $t2", "success|CODE: 17", fails=True),
]

ROWS = PREPARE + LISTS + CLIENTS + MESSAGES + BROKER + OFFSETS + CLEANUP
