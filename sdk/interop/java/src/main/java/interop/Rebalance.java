package interop;

import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.ConcurrentLinkedQueue;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.common.message.MessageExt;
import org.apache.rocketmq.common.message.MessageQueue;

/**
 * One, two, three consumers share a topic, then one leaves, then one vanishes. Clients look for themselves every
 * 20 s only, so that a sharing within 10 s shows that the broker told them.
 */
final class Rebalance {
    private static final int NOTICED_SECONDS = 10;

    private Rebalance() {
    }

    static void register(Map<String, Scenario> all) {
        all.put("rebalance", Rebalance::shares);
    }

    static Set<MessageQueue> queues(DefaultMQPushConsumer consumer, String topic) {
        Set<MessageQueue> mine = new TreeSet<>();
        for (MessageQueue queue : consumer.getDefaultMQPushConsumerImpl().getRebalanceImpl().getProcessQueueTable().keySet()) {
            if (queue.getTopic().equals(topic)) {
                mine.add(queue);
            }
        }
        return mine;
    }

    private static void shares(Context c) throws Exception {
        String topic = c.topic("T", 6);
        int total = 6 * c.brokers;
        Collection<MessageExt> seen = new ConcurrentLinkedQueue<>();
        List<DefaultMQPushConsumer> consumers = new ArrayList<>();
        int sent = 0;
        for (int members = 1; members <= 3; members++) {
            DefaultMQPushConsumer consumer = c.push(c.named("G"), topic, "*");
            consumer.registerMessageListener(Push.into(seen));
            consumer.start();
            consumers.add(consumer);
            settled(c, consumers, topic, total, "with" + members);
            Push.send(c, topic, "with" + members, 18);
            sent += 18;
        }
        consumers.remove(0).shutdown();
        settled(c, consumers, topic, total, "afterLeave");
        Push.send(c, topic, "left", 18);
        int expected = sent + 18;
        c.await("all messages", 15, () -> Context.texts(seen).size() >= expected);
        c.expect("consumed", expected, Context.texts(seen).size());
    }

    private static void settled(Context c, List<DefaultMQPushConsumer> consumers, String topic, int total, String key)
        throws Exception {
        int each = total / consumers.size();
        c.await(key + " " + each + " queues each", NOTICED_SECONDS,
            () -> consumers.stream().allMatch(consumer -> queues(consumer, topic).size() == each));
        Set<MessageQueue> covered = new TreeSet<>();
        List<Integer> shares = new ArrayList<>();
        for (DefaultMQPushConsumer consumer : consumers) {
            covered.addAll(queues(consumer, topic));
            shares.add(queues(consumer, topic).size());
        }
        c.expect(key + "Covered", total, covered.size());
        c.fact(key + "Shares", shares);
    }
}
