"""The commands for a cluster of two brokers of different kind, asked through one name server of each kind.

As in scenario.py, with `$broker2` and `$addr2` for the second broker. Each name server has topics and groups of its own, and both
must say the same of the same brokers.
"""

from scenario import SENT, row

PREPARE = [
    row("clusterList", "clusterList", "$cluster $broker 0 $addr V", "$cluster $broker2 0 $addr2 V", only="$cluster", drop="TPS"),
    row("updateTopic", "updateTopic -c $cluster -t $t -r 2 -w 2", "create topic to $addr success", "create topic to $addr2 success"),
    row("updateTopic.broker", "updateTopic -b $addr2 -t $t2 -r 3 -w 3", "create topic to $addr2 success"),
    row("updateSubGroup", "updateSubGroup -c $cluster -g $g", "create subscription group to $addr success",
        "create subscription group to $addr2 success", unordered=True),
    row("updateSubGroup.second", "updateSubGroup -c $cluster -g $g2 -r 5", "to $addr success", "to $addr2 success", unordered=True),
    row("route", "topicRoute -t $t -l", r"$cluster $broker \{0=$addr\} 2 2 6", r"$cluster $broker2 \{0=$addr2\} 2 2 6", "Total: 2 4 4",
        retry=15),
    row("route.one_broker", "topicRoute -t $t2 -l", r"$cluster $broker2 \{0=$addr2\} 3 3 6", "Total: 1 3 3", retry=15),
    row("topicClusterList", "topicClusterList -t $t", "^$cluster$"),
    row("client.consumer", "!consumer $g $t", "started"),
    row("client.send", "!send $p $t TagB KeyB hello $broker", "SEND_OK", save=SENT),
    row("client.send_second", "!send $p $t TagB KeyB hello $broker2", "SEND_OK", save={"offset_id2": r"offsetMsgId=(\w+)"}),
    row("sendMessage", "sendMessage -t $t -p one -k KeyA -c TagA -b $broker -i 1", "$broker 1 SEND_OK", save={"sent": r"SEND_OK (\w{32,})"}),
    row("sendMessage.second", "sendMessage -t $t -p two -k KeyA -c TagA -b $broker2 -i 1", "$broker2 1 SEND_OK",
        save={"sent2": r"SEND_OK (\w{32,})"}),
]

ASKED = [
    row("topicList", "topicList", "(?m)^$t$", "(?m)^$t2$", "(?m)^%RETRY%$g$", only="$run", unordered=True, retry=15),
    row("topicList.cluster", "topicList -c", "$cluster $t $g", only="$run", unordered=True, retry=15),
    row("topicStatus", "topicStatus -t $t", "(?m)^$broker 0 0 1 ", "(?m)^$broker 1 0 1 ", "(?m)^$broker2 0 0 1 ", "(?m)^$broker2 1 0 1 ",
        compare=False, retry=5),
    row("consumerProgress", "consumerProgress -g $g", "$t $broker 1 1 1 0 ", "$t $broker2 1 1 1 0 ", "Consume Diff Total: 0",
        compare=False, retry=45),
    row("consumerProgress.all", "consumerProgress", r"(?m)^$g 1 V\w+ PUSH CLUSTERING \d+ 0$", only="^$g ", retry=30),
    row("consumerConnection", "consumerConnection -g $g", r"@$g ADDR JAVA V\d", r"$t \*", "ConsumeType: CONSUME_PASSIVELY", unordered=True,
        retry=5),
    row("consumerStatus", "consumerStatus -g $g", r"1 \S+@$g V\d", "Rebalance OK"),
    row("producerConnection", "producerConnection -g $p -t $t", r"0001 \S+@$p ADDR JAVA V\d", retry=35),
    row("queryMsgByKey", "queryMsgByKey -t $t -k KeyA", "$sent 1 ", "$sent2 1 ", unordered=True, retry=10),
    row("queryMsgByUniqueKey", "queryMsgByUniqueKey -t $t -i $sent", r"Tags: \[TagA\]", "Queue ID: 1", "Store Host: $addr", drop="CommitLog Offset"),
    row("queryMsgByUniqueKey.second", "queryMsgByUniqueKey -t $t -i $sent2", r"Tags: \[TagA\]", "Queue ID: 1", "Store Host: $addr2", drop="CommitLog Offset"),
    row("queryMsgById", "queryMsgById -i $offset_id -t $t", "OffsetID: $offset_id", "UNIQ_KEY=$msg", r"Keys: \[KeyB\]", "Store Host: $addr",
        drop="CommitLog Offset"),
    row("queryMsgById.second", "queryMsgById -i $offset_id2 -t $t", "OffsetID: $offset_id2", r"Keys: \[KeyB\]", "Store Host: $addr2",
        drop="CommitLog Offset"),
    row("queryMsgByOffset", "queryMsgByOffset -t $t -b $broker -i 1 -o 0", "Topic: $t", "Queue Offset: 0", compare=False),
    row("queryMsgByOffset.second", "queryMsgByOffset -t $t -b $broker2 -i 1 -o 0", "Topic: $t", "Queue Offset: 0", compare=False),
    row("printMsg", "printMsg -t $t -s TagA -d true", "MSGID: $sent ", "MSGID: $sent2 ", compare=False),
    row("brokerStatus", "brokerStatus -c $cluster", r"$addr\s+brokerVersionDesc : V\d", r"$addr2\s+brokerVersionDesc : V\d", compare=False),
    row("getBrokerConfig", "getBrokerConfig -c $cluster", "Master: $addr", "Master: $addr2", "brokerName = $broker",
        "brokerName = $broker2", compare=False),
    row("getConsumerConfig", "getConsumerConfig -g $g2", "$broker", "$broker2", "retryMaxTimes = 5", unordered=True),
    row("getNamesrvConfig", "getNamesrvConfig", "listenPort = ", compare=False),
    row("brokerConsumeStats", "brokerConsumeStats -b $addr", "$t $g $broker 1 1 1 ", only="$t", unordered=True, retry=10),
    row("brokerConsumeStats.second", "brokerConsumeStats -b $addr2", "$t $g $broker2 1 1 1 ", only="$t", unordered=True, retry=10),
]

CHANGED = [
    row("wipeWritePerm", "wipeWritePerm -b $broker", r"wipe write perm of broker\[$broker\] in name server\[$ns\] OK, \d+"),
    row("wipeWritePerm.route", "topicRoute -t $t -l", r"$broker \{0=$addr\} 2 2 4", r"$broker2 \{0=$addr2\} 2 2 6"),
    row("addWritePerm", "addWritePerm -b $broker", r"add write perm of broker\[$broker\] in name server\[$ns\] OK, \d+"),
    row("wipeWritePerm.second", "wipeWritePerm -b $broker2", r"wipe write perm of broker\[$broker2\] in name server\[$ns\] OK, \d+"),
    row("wipeWritePerm.second_route", "topicRoute -t $t -l", r"$broker \{0=$addr\} 2 2 6", r"$broker2 \{0=$addr2\} 2 2 4"),
    row("addWritePerm.second", "addWritePerm -b $broker2", r"add write perm of broker\[$broker2\] in name server\[$ns\] OK, \d+"),
    row("addWritePerm.route", "topicRoute -t $t -l", r"$broker \{0=$addr\} 2 2 6", r"$broker2 \{0=$addr2\} 2 2 6"),
    row("resetOffsetByTime", "resetOffsetByTime -g $g2 -t $t -s 0", "(?m)^$broker 1 0$", "(?m)^$broker2 1 0$", unordered=True),
    row("cloneGroupOffset", "cloneGroupOffset -s $g -d $g2 -t $t", "clone group offset success"),
    row("updateTopicPerm", "updateTopicPerm -c $cluster -t $t -p 4", "from 6 to 4 in $addr success", "from 6 to 4 in $addr2 success",
        unordered=True),
    row("updateTopicPerm.route", "topicRoute -t $t -l", r"\{0=$addr\} 2 2 4", r"\{0=$addr2\} 2 2 4", retry=15),
    row("deleteSubGroup", "deleteSubGroup -c $cluster -g $g2", r"group \[$g2\] from broker \[$addr\]", r"group \[$g2\] from broker \[$addr2\]",
        unordered=True),
    row("deleteTopic", "deleteTopic -c $cluster -t $t", r"delete topic \[$t\] from cluster \[$cluster\] success",
        r"delete topic \[$t\] from NameServer success"),
    row("deleteTopic.route", "topicRoute -t $t", "CODE: 17", fails=True),
    row("deleteTopic.topic_status", "topicStatus -t $t", "CODE: 17", fails=True),
]

ROWS = PREPARE + ASKED + CHANGED
