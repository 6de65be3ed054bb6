package interop;

import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageExt;

/** Delay levels: delivered neither early nor much too late, to the queue it was sent to, in order within a level. */
final class Delay {
    private Delay() {
    }

    static void register(Map<String, Scenario> all) {
        all.put("delay-level", Delay::levels);
    }

    private static void levels(Context c) throws Exception {
        String topic = c.topic("T", 4);
        List<MessageExt> seen = Collections.synchronizedList(new ArrayList<>());
        Map<String, Long> arrived = Collections.synchronizedMap(new TreeMap<>());
        DefaultMQPushConsumer consumer = c.push(c.named("G"), topic, "TagD");
        consumer.registerMessageListener((org.apache.rocketmq.client.consumer.listener.MessageListenerConcurrently)
            (messages, context) -> {
                for (MessageExt message : messages) {
                    arrived.put(Context.text(message), System.currentTimeMillis() - message.getBornTimestamp());
                    seen.add(message);
                }
                return org.apache.rocketmq.client.consumer.listener.ConsumeConcurrentlyStatus.CONSUME_SUCCESS;
            });
        consumer.start();
        c.await("queues", 15, () -> Rebalance.queues(consumer, topic).size() == 4 * c.brokers);
        for (int level = 2; level >= 0; level--) {
            for (int i = 0; i < 3; i++) {
                Message message = Context.message(topic, "TagD", "delay-key", level + "-" + i);
                message.setDelayTimeLevel(level);
                c.producer().send(message, (queues, sent, argument) -> queues.get(1), null);
            }
        }
        c.await("9 messages", 25, () -> seen.size() >= 9);
        c.expect("consumed", 9, seen.size());
        c.expect("atOnce", true, within(arrived, 0, 0, 4_000));
        c.expect("oneSecond", true, within(arrived, 1, 950, 5_000));
        c.expect("fiveSeconds", true, within(arrived, 2, 4_950, 9_000));
        c.expect("queue", true, seen.stream().allMatch(message -> message.getQueueId() == seen.get(0).getQueueId()));
        for (MessageExt message : seen) {
            if (Context.text(message).equals("2-0")) {
                Map<String, String> properties = RetryToDlq.stable(message);
                properties.replace("MAX_OFFSET", "x");
                properties.replace("MIN_OFFSET", "x");
                c.fact("properties", properties);
                c.fact("storeSize", message.getStoreSize());
                c.fact("reconsumeTimes", message.getReconsumeTimes());
            }
        }
        StringBuilder order = new StringBuilder();
        for (MessageExt message : c.readAll(topic)) {
            order.append(Context.text(message)).append(' ');
        }
        c.expect("storedOrder", "0-0 0-1 0-2 1-0 1-1 1-2 2-0 2-1 2-2", order.toString().trim());
    }

    private static boolean within(Map<String, Long> arrived, int level, long from, long to) {
        return arrived.entrySet().stream().filter(entry -> entry.getKey().startsWith(level + "-"))
            .allMatch(entry -> entry.getValue() >= from && entry.getValue() < to);
    }
}
