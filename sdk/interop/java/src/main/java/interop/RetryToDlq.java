package interop;

import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.listener.ConsumeConcurrentlyStatus;
import org.apache.rocketmq.client.consumer.listener.MessageListenerConcurrently;
import org.apache.rocketmq.common.message.MessageExt;

/** Failed consumption: redelivery through the retry topic with a delay, and the dead-letter topic at the end. */
final class RetryToDlq {
    private RetryToDlq() {
    }

    static void register(Map<String, Scenario> all) {
        all.put("retry-to-dlq", RetryToDlq::toDlq);
        all.put("retry-default-delay", RetryToDlq::defaultDelay);
        all.put("retry-at-once-dlq", RetryToDlq::atOnce);
    }

    private static DefaultMQPushConsumer failing(Context c, String topic, int level, List<MessageExt> seen, int failures)
        throws Exception {
        DefaultMQPushConsumer consumer = c.push(c.named("G"), topic, "*");
        consumer.registerMessageListener((MessageListenerConcurrently) (messages, context) -> {
            seen.addAll(messages);
            context.setDelayLevelWhenNextConsume(level);
            return seen.size() <= failures ? ConsumeConcurrentlyStatus.RECONSUME_LATER : ConsumeConcurrentlyStatus.CONSUME_SUCCESS;
        });
        consumer.setPollNameServerInterval(500);
        return consumer;
    }

    /** Clients learn of their retry topic with a route poll at some time after the first heartbeat. */
    private static void startFully(Context c, DefaultMQPushConsumer consumer) throws Exception {
        consumer.start();
        c.await("queue of the retry topic", 30, () -> {
            consumer.getDefaultMQPushConsumerImpl().doRebalance();
            return !Rebalance.queues(consumer, "%RETRY%" + c.named("G")).isEmpty();
        });
    }

    private static void toDlq(Context c) throws Exception {
        String topic = c.topic("T", 1);
        List<MessageExt> seen = Collections.synchronizedList(new ArrayList<>());
        DefaultMQPushConsumer consumer = failing(c, topic, 1, seen, 99);
        consumer.setMaxReconsumeTimes(2);
        startFully(c, consumer);
        String id = c.producer().send(Context.message(topic, "TagR", "retry-key", "fails")).getMsgId();
        c.await("three deliveries", 25, () -> seen.size() >= 3);
        String dlq = "%DLQ%" + c.named("G");
        c.await("a dead letter", 15, () -> c.readAll(dlq).size() >= 1);
        c.expect("deliveries", 3, seen.size());
        c.expect("reconsumeTimes", "[0, 1, 2]", times(seen));
        c.expect("ids", true, seen.stream().allMatch(message -> message.getMsgId().equals(id)));
        c.fact("topics", topics(seen));
        c.fact("retryProperties", stable(seen.get(1)));
        c.fact("secondRetryProperties", stable(seen.get(2)));
        c.fact("retryStoreSize", seen.get(1).getStoreSize());
        MessageExt dead = c.readAll(dlq).get(0);
        c.expect("deadLetters", 1, c.readAll(dlq).size());
        c.fact("dlqQueues", c.queues(dlq).size());
        c.fact("dlqProperties", stable(dead));
        c.fact("dlqReconsumeTimes", dead.getReconsumeTimes());
        c.fact("dlqStoreSize", dead.getStoreSize());
        c.expect("dlqBody", "fails", Context.text(dead));
        c.fact("retryQueues", c.queues("%RETRY%" + c.named("G")).size());
    }

    /** Level 3 plus the number of redeliveries so far: the first one comes after 10 s. */
    private static void defaultDelay(Context c) throws Exception {
        String topic = c.topic("T", 1);
        List<MessageExt> seen = Collections.synchronizedList(new ArrayList<>());
        startFully(c, failing(c, topic, 0, seen, 1));
        c.producer().send(Context.message(topic, "TagR", "k", "fails once"));
        c.await("first delivery", 15, () -> seen.size() == 1);
        long first = System.currentTimeMillis();
        c.await("second delivery", 25, () -> seen.size() == 2);
        long waited = System.currentTimeMillis() - first;
        c.expect("tenSeconds", true, waited > 9_000 && waited < 16_000);
        c.expect("reconsumeTimes", "[0, 1]", times(seen));
        c.fact("topics", topics(seen));
    }

    private static void atOnce(Context c) throws Exception {
        String topic = c.topic("T", 1);
        List<MessageExt> seen = Collections.synchronizedList(new ArrayList<>());
        failing(c, topic, -1, seen, 99).start();
        c.producer().send(Context.message(topic, "TagR", "k", "hopeless"));
        String dlq = "%DLQ%" + c.named("G");
        c.await("a dead letter", 20, () -> c.readAll(dlq).size() >= 1);
        MessageExt dead = c.readAll(dlq).get(0);
        c.expect("deliveries", 1, seen.size());
        c.fact("dlqReconsumeTimes", dead.getReconsumeTimes());
        c.fact("dlqProperties", stable(dead));
    }

    private static List<Integer> times(List<MessageExt> seen) {
        List<Integer> times = new ArrayList<>();
        seen.forEach(message -> times.add(message.getReconsumeTimes()));
        return times;
    }

    private static List<String> topics(List<MessageExt> seen) {
        List<String> topics = new ArrayList<>();
        seen.forEach(message -> topics.add(message.getTopic()));
        return topics;
    }

    /** Properties with the values that differ from run to run replaced. */
    static Map<String, String> stable(MessageExt message) {
        Map<String, String> properties = new TreeMap<>(message.getProperties());
        for (String changing : new String[] {"UNIQ_KEY", "CONSUME_START_TIME", "ORIGIN_MESSAGE_ID", "DLQ_ORIGIN_MESSAGE_ID"}) {
            properties.computeIfPresent(changing, (key, value) -> "length " + value.length());
        }
        return properties;
    }
}
