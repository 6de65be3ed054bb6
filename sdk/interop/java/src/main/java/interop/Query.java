package interop;

import java.util.List;
import java.util.Map;
import java.util.TreeSet;
import org.apache.rocketmq.client.QueryResult;
import org.apache.rocketmq.client.producer.SendResult;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageExt;

/** Looking messages up: by key, by the client's unique key, by offset id. */
final class Query {
    private Query() {
    }

    static void register(Map<String, Scenario> all) {
        all.put("query", Query::query);
    }

    private static void query(Context c) throws Exception {
        String topic = c.topic("T", 4);
        long begun = System.currentTimeMillis();
        SendResult sent = null;
        for (int i = 0; i < 10; i++) {
            Message message = Context.message(topic, "A", "order-" + i + " " + (i % 2 == 0 ? "even" : "odd"), "m" + i);
            sent = c.producer().send(message);
        }
        SendResult last = sent;
        c.await("index", 10, () -> find(c, topic, "order-9", 32, begun).size() == 1);
        c.expect("oneKey", "[m3]", Context.texts(find(c, topic, "order-3", 32, begun)));
        c.expect("sharedKey", "[m0, m2, m4, m6, m8]", Context.texts(find(c, topic, "even", 32, begun)));
        c.fact("limited", find(c, topic, "odd", 2, begun).size());
        c.fact("unknownKey", Context.failure(() -> find(c, topic, "never", 32, begun)));
        c.fact("unknownTopic", Context.failure(() -> c.producer().queryMessage(c.named("NONE"), "even", 32, begun, Long.MAX_VALUE)));
        c.fact("beforeTime", Context.failure(() -> c.producer().queryMessage(topic, "even", 32, begun - 100_000, begun - 50_000)));
        MessageExt byUnique = c.producer().viewMessage(topic, last.getMsgId());
        c.expect("byUniqueKey", "m9", Context.text(byUnique));
        MessageExt byOffset = c.producer().viewMessage(topic, last.getOffsetMsgId());
        c.expect("byOffsetId", "m9", Context.text(byOffset));
        c.expect("sameId", last.getMsgId(), byOffset.getMsgId());
        c.fact("sameId", byOffset.getMsgId().equals(last.getMsgId()));
        c.fact("keys", byOffset.getKeys());
        c.fact("properties", new TreeSet<>(byOffset.getProperties().keySet()));
        c.fact("unknownUniqueKey", Context.failure(() -> c.producer().viewMessage(topic, "7F000001000000000000000000000000")));
        String id = last.getOffsetMsgId();
        String beyond = id.substring(0, 16) + "000000FFFFFFFFFF";
        c.fact("offsetIdBeyond", Context.failure(() -> c.producer().viewMessage(topic, beyond)));
        String between = id.substring(0, 31) + (id.endsWith("1") ? "2" : "1");
        c.fact("offsetIdBetween", Context.failure(() -> c.producer().viewMessage(topic, between)));
    }

    private static List<MessageExt> find(Context c, String topic, String key, int max, long begun) throws Exception {
        QueryResult result = c.producer().queryMessage(topic, key, max, begun - 60_000, System.currentTimeMillis() + 60_000);
        return result.getMessageList();
    }
}
