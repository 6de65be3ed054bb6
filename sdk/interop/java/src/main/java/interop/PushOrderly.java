package interop;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicInteger;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.listener.ConsumeOrderlyStatus;
import org.apache.rocketmq.client.consumer.listener.MessageListenerOrderly;
import org.apache.rocketmq.common.message.MessageExt;

/** Orderly consumption: order is kept within a queue, over a failed message and over a change of the lock's owner. */
final class PushOrderly {
    private PushOrderly() {
    }

    static void register(Map<String, Scenario> all) {
        all.put("orderly", PushOrderly::ordered);
        all.put("orderly-handover", PushOrderly::handover);
    }

    private static MessageListenerOrderly into(Map<String, List<String>> seen) {
        return (messages, context) -> {
            for (MessageExt message : messages) {
                String queue = message.getBrokerName() + message.getQueueId();
                List<String> bodies = seen.computeIfAbsent(queue, key -> new ArrayList<>());
                synchronized (bodies) {
                    bodies.add(Context.text(message));
                }
            }
            return ConsumeOrderlyStatus.SUCCESS;
        };
    }

    private static void send(Context c, String topic, int from, int to) throws Exception {
        int queues = 4 * c.brokers;
        for (int i = from; i < to; i++) {
            for (int queue = 0; queue < queues; queue++) {
                c.producer().send(Context.message(topic, "A", null, String.format("%03d", i)),
                    (all, message, argument) -> all.get((Integer) argument), queue);
            }
        }
    }

    private static int count(Map<String, List<String>> seen) {
        return seen.values().stream().mapToInt(List::size).sum();
    }

    private static boolean sorted(Map<String, List<String>> seen) {
        return seen.values().stream().allMatch(bodies -> bodies.stream().sorted().distinct().count() == bodies.size()
            && new ArrayList<>(new java.util.TreeSet<>(bodies)).equals(bodies));
    }

    private static void ordered(Context c) throws Exception {
        String topic = c.topic("T", 4);
        send(c, topic, 0, 25);
        Map<String, List<String>> seen = new ConcurrentHashMap<>();
        AtomicInteger refusals = new AtomicInteger();
        List<Integer> times = new ArrayList<>();
        MessageListenerOrderly keep = into(seen);
        DefaultMQPushConsumer consumer = c.push(c.named("G"), topic, "*");
        consumer.setConsumeMessageBatchMaxSize(1);
        consumer.registerMessageListener((MessageListenerOrderly) (messages, context) -> {
            MessageExt message = messages.get(0);
            if (message.getQueueId() == 2 && Context.text(message).equals("010")) {
                synchronized (times) {
                    times.add(message.getReconsumeTimes());
                }
                if (refusals.incrementAndGet() <= 2) {
                    context.setSuspendCurrentQueueTimeMillis(200);
                    return ConsumeOrderlyStatus.SUSPEND_CURRENT_QUEUE_A_MOMENT;
                }
            }
            return keep.consumeMessage(messages, context);
        });
        consumer.start();
        int total = 25 * 4 * c.brokers;
        c.await("all messages in order", 25, () -> count(seen) >= total);
        c.expect("consumed", total, count(seen));
        c.expect("ordered", true, sorted(seen));
        c.expect("queues", 4 * c.brokers, new TreeMap<>(seen).size());
        if (c.brokers == 1) {
            c.expect("reconsumeTimes", "[0, 1, 2]", times);
        }
    }

    private static void handover(Context c) throws Exception {
        String topic = c.topic("T", 4);
        int queues = 4 * c.brokers;
        Map<String, List<String>> seen = new ConcurrentHashMap<>();
        DefaultMQPushConsumer first = start(c, topic, seen);
        c.await("the first holds all queues", 15, () -> Rebalance.queues(first, topic).size() == queues);
        send(c, topic, 0, 10);
        c.await("first part", 15, () -> count(seen) >= 10 * queues);
        DefaultMQPushConsumer second = start(c, topic, seen);
        c.await("both hold half", 40, () -> Rebalance.queues(first, topic).size() == queues / 2
            && Rebalance.queues(second, topic).size() == queues / 2);
        send(c, topic, 10, 20);
        c.await("second part", 25, () -> count(seen) >= 20 * queues);
        c.expect("afterJoin", 20 * queues, count(seen));
        first.shutdown();
        send(c, topic, 20, 30);
        c.await("third part", 45, () -> count(seen) >= 30 * queues);
        c.expect("afterLeave", 30 * queues, count(seen));
        c.expect("ordered", true, sorted(seen));
    }

    private static DefaultMQPushConsumer start(Context c, String topic, Map<String, List<String>> seen) throws Exception {
        DefaultMQPushConsumer consumer = c.push(c.named("G"), topic, "*");
        consumer.registerMessageListener(into(seen));
        consumer.start();
        return consumer;
    }
}
