package interop;

import java.text.SimpleDateFormat;
import java.util.Collection;
import java.util.Date;
import java.util.Map;
import java.util.concurrent.ConcurrentLinkedQueue;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.common.consumer.ConsumeFromWhere;
import org.apache.rocketmq.common.message.MessageExt;

/**
 * Where a group without offsets begins. CONSUME_FROM_LAST_OFFSET reads young topics from their beginning all the same:
 * the broker answers 0 as long as the queue's first message is still in memory.
 */
final class NewGroup {
    private NewGroup() {
    }

    static void register(Map<String, Scenario> all) {
        all.put("new-group-from-first", c -> begin(c, ConsumeFromWhere.CONSUME_FROM_FIRST_OFFSET));
        all.put("new-group-from-last", c -> begin(c, ConsumeFromWhere.CONSUME_FROM_LAST_OFFSET));
        all.put("new-group-from-timestamp", c -> begin(c, ConsumeFromWhere.CONSUME_FROM_TIMESTAMP));
    }

    private static void begin(Context c, ConsumeFromWhere where) throws Exception {
        String topic = c.topic("T", 2);
        Push.send(c, topic, "old", 10);
        Collection<MessageExt> seen = new ConcurrentLinkedQueue<>();
        DefaultMQPushConsumer consumer = c.push(c.named("G"), topic, "*");
        consumer.setConsumeFromWhere(where);
        consumer.setConsumeTimestamp(new SimpleDateFormat("yyyyMMddHHmmss").format(new Date(System.currentTimeMillis() + 3_600_000)));
        consumer.registerMessageListener(Push.into(seen));
        consumer.start();
        c.await("queues", 15, () -> Rebalance.queues(consumer, topic).size() == 2 * c.brokers);
        Thread.sleep(1_500); // the first pulls are under way
        Push.send(c, topic, "new", 10);
        c.await("new messages", 15, () -> Context.texts(seen).stream().filter(text -> text.startsWith("new")).count() >= 10);
        c.expect("new", 10, seen.stream().filter(message -> Context.text(message).startsWith("new")).count());
        c.fact("old", seen.stream().filter(message -> Context.text(message).startsWith("old")).count());
    }
}
