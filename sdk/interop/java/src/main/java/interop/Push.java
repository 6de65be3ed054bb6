package interop;

import java.util.Arrays;
import java.util.Collection;
import java.util.Map;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.atomic.AtomicLong;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.listener.ConsumeConcurrentlyStatus;
import org.apache.rocketmq.client.consumer.listener.MessageListenerConcurrently;
import org.apache.rocketmq.common.message.MessageExt;

/** Push consumers: shared and broadcast consumption, latency of a held pull, and committed offsets across restarts. */
final class Push {
    private Push() {
    }

    static void register(Map<String, Scenario> all) {
        all.put("push-clustering", Push::clustering);
        all.put("push-broadcasting", Push::broadcasting);
        all.put("push-restart", Push::restart);
        all.put("push-wakes", Push::wakes);
        all.put("push-heartbeat-v2", Push::heartbeatV2);
    }

    static MessageListenerConcurrently into(Collection<MessageExt> seen) {
        return (messages, context) -> {
            seen.addAll(messages);
            return ConsumeConcurrentlyStatus.CONSUME_SUCCESS;
        };
    }

    static void send(Context c, String topic, String prefix, int count) throws Exception {
        for (int i = 0; i < count; i++) {
            c.producer().send(Context.message(topic, "A", prefix + "-key-" + i, prefix + "-" + i));
        }
    }

    private static DefaultMQPushConsumer start(Context c, String topic, Collection<MessageExt> seen) throws Exception {
        DefaultMQPushConsumer consumer = c.push(c.named("G"), topic, "*");
        consumer.registerMessageListener(into(seen));
        consumer.start();
        return consumer;
    }

    private static void clustering(Context c) throws Exception {
        String topic = c.topic("T", 4);
        Collection<MessageExt> one = new ConcurrentLinkedQueue<>();
        Collection<MessageExt> two = new ConcurrentLinkedQueue<>();
        DefaultMQPushConsumer first = start(c, topic, one);
        DefaultMQPushConsumer second = start(c, topic, two);
        int half = 4 * c.brokers / 2;
        c.await("each consumer has half of the queues", 15, () -> Rebalance.queues(first, topic).size() == half
            && Rebalance.queues(second, topic).size() == half);
        long begun = System.nanoTime();
        send(c, topic, "m", 40);
        c.await("40 messages", 15, () -> one.size() + two.size() >= 40);
        c.expect("consumed", 40, one.size() + two.size());
        c.expect("first", 20, one.size());
        c.expect("second", 20, two.size());
        c.expect("soon", true, System.nanoTime() - begun < 10_000_000_000L); // a pull that nobody wakes is held for 15 s
        MessageExt any = one.iterator().next();
        Map<String, String> properties = new TreeMap<>(any.getProperties());
        for (String volatileOne : Arrays.asList("UNIQ_KEY", "KEYS", "CONSUME_START_TIME", "MAX_OFFSET")) {
            properties.replace(volatileOne, "x");
        }
        c.fact("properties", properties);
        c.fact("topic", any.getTopic());
        c.fact("reconsumeTimes", any.getReconsumeTimes());
    }

    private static void broadcasting(Context c) throws Exception {
        String topic = c.topic("T", 4);
        Collection<MessageExt> one = new ConcurrentLinkedQueue<>();
        Collection<MessageExt> two = new ConcurrentLinkedQueue<>();
        for (Collection<MessageExt> seen : Arrays.asList(one, two)) {
            DefaultMQPushConsumer consumer = c.push(c.named("G"), topic, "*");
            Compat.broadcasting(consumer);
            consumer.registerMessageListener(into(seen));
            consumer.start();
            c.await("all queues", 30, () -> Rebalance.queues(consumer, topic).size() == 4 * c.brokers);
        }
        send(c, topic, "b", 20);
        c.await("20 messages each", 15, () -> one.size() >= 20 && two.size() >= 20);
        c.expect("first", 20, Context.texts(one).size());
        c.expect("second", 20, Context.texts(two).size());
        c.expect("twice", 40, one.size() + two.size());
    }

    private static void restart(Context c) throws Exception {
        String topic = c.topic("T", 4);
        Collection<MessageExt> before = new ConcurrentLinkedQueue<>();
        DefaultMQPushConsumer first = start(c, topic, before);
        send(c, topic, "before", 20);
        c.await("20 messages", 15, () -> before.size() >= 20);
        Thread.sleep(300); // the offset moves after the listener's return
        first.shutdown(); // commits
        send(c, topic, "after", 12);
        Collection<MessageExt> after = new ConcurrentLinkedQueue<>();
        start(c, topic, after);
        c.await("12 messages", 15, () -> after.size() >= 12);
        Thread.sleep(500); // a wrong offset would bring more
        c.expect("before", 20, before.size());
        c.expect("after", 12, after.size());
        c.expect("onlyNew", true, Context.texts(after).stream().allMatch(text -> text.startsWith("after")));
    }

    /** Each message meets a held pull, or one just about to be held; none may wait until the pull's 15 s are over. */
    private static void wakes(Context c) throws Exception {
        String topic = c.topic("T", 8);
        Collection<MessageExt> seen = new ConcurrentLinkedQueue<>();
        AtomicLong slowest = new AtomicLong();
        DefaultMQPushConsumer consumer = c.push(c.named("G"), topic, "*");
        consumer.registerMessageListener((MessageListenerConcurrently) (messages, context) -> {
            long now = System.currentTimeMillis();
            messages.forEach(message -> slowest.accumulateAndGet(now - message.getStoreTimestamp(), Math::max));
            seen.addAll(messages);
            return ConsumeConcurrentlyStatus.CONSUME_SUCCESS;
        });
        consumer.start();
        c.await("all queues", 30, () -> Rebalance.queues(consumer, topic).size() == 8 * c.brokers);
        for (int i = 0; i < 300; i++) {
            c.producer().send(Context.message(topic, "A", null, "wake-" + i));
            Thread.sleep(i % 20);
        }
        c.await("300 messages", 30, () -> seen.size() >= 300);
        c.expect("consumed", 300, Context.texts(seen).size());
        c.expect("noneWaits", true, slowest.get() < 8_000);
        if (slowest.get() >= 8_000) {
            c.fail("the slowest message waited " + slowest.get() + " ms");
        }
    }

    private static void heartbeatV2(Context c) throws Exception {
        String topic = c.topic("T", 2);
        Collection<MessageExt> seen = new ConcurrentLinkedQueue<>();
        DefaultMQPushConsumer consumer = c.push(c.named("G"), topic, "*");
        c.fact("clientKnowsIt", Compat.heartbeatV2(consumer));
        consumer.registerMessageListener(into(seen));
        consumer.start();
        for (int i = 0; i < 3; i++) {
            Thread.sleep(1_100); // a heartbeat in between must not lose the subscription
            send(c, topic, "beat" + i, 2);
        }
        c.await("6 messages", 15, () -> seen.size() >= 6);
        c.expect("consumed", 6, seen.size());
        c.fact("clients", new TreeSet<>(Context.texts(seen)).size());
    }

}
