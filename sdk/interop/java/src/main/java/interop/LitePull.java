package interop;

import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.TreeSet;
import org.apache.rocketmq.client.consumer.DefaultLitePullConsumer;
import org.apache.rocketmq.client.consumer.DefaultMQPullConsumer;
import org.apache.rocketmq.common.message.MessageExt;
import org.apache.rocketmq.common.message.MessageQueue;

/** The lite pull consumer, by subscription and by assignment: seek, commit, pause. */
final class LitePull {
    private LitePull() {
    }

    static void register(Map<String, Scenario> all) {
        all.put("lite-pull-subscribe", LitePull::subscribe);
        all.put("lite-pull-assign", LitePull::assign);
    }

    private static List<MessageExt> poll(DefaultLitePullConsumer consumer, int count, int seconds) {
        List<MessageExt> all = new ArrayList<>();
        long deadline = System.nanoTime() + seconds * 1_000_000_000L;
        while (all.size() < count && System.nanoTime() < deadline) {
            all.addAll(consumer.poll(200));
        }
        return all;
    }

    private static void subscribe(Context c) throws Exception {
        String topic = c.topic("T", 4);
        int queues = 4 * c.brokers;
        Push.send(c, topic, "first", 5 * queues);
        DefaultLitePullConsumer consumer = c.lite(c.named("G"));
        consumer.setAutoCommit(false);
        consumer.subscribe(topic, "*");
        consumer.start();
        List<MessageExt> first = poll(consumer, 5 * queues, 20);
        c.expect("first", 5 * queues, Context.texts(first).size());
        c.fact("properties", Context.properties(first.get(0)));
        consumer.commitSync();
        consumer.shutdown(); // this client tells the broker only every 5 s, or here
        c.expect("committed", Collections.nCopies(queues, 5L), committed(c, topic));
        Push.send(c, topic, "second", 2 * queues);
        DefaultLitePullConsumer next = c.lite(c.named("G"));
        next.subscribe(topic, "*");
        next.start();
        List<MessageExt> second = poll(next, 2 * queues, 20);
        second.addAll(poll(next, 1, 1));
        c.expect("second", 2 * queues, second.size());
        c.expect("onlyNew", true, Context.texts(second).stream().allMatch(text -> text.startsWith("second")));
    }

    /** What the broker has as the group's offsets, once that is 5 everywhere. */
    private static List<Long> committed(Context c, String topic) throws Exception {
        DefaultMQPullConsumer asking = c.pull(c.named("G"));
        asking.start();
        List<Long> committed = new ArrayList<>();
        c.await("commits arrive", 10, () -> {
            committed.clear();
            for (MessageQueue queue : c.queues(topic)) {
                committed.add(asking.fetchConsumeOffset(queue, true));
            }
            return committed.stream().allMatch(offset -> offset == 5);
        });
        asking.shutdown();
        return committed;
    }

    private static void assign(Context c) throws Exception {
        String topic = c.topic("T", 1);
        MessageQueue queue = c.queues(topic).get(0);
        for (int i = 0; i < 10; i++) {
            c.producer().send(Context.message(topic, "A", null, "m" + i), queue);
        }
        DefaultLitePullConsumer consumer = c.lite(c.named("G"));
        consumer.setAutoCommit(false);
        consumer.start();
        c.fact("fetched", consumer.fetchMessageQueues(topic).size());
        consumer.assign(Collections.singletonList(queue));
        c.expect("all", "[m0, m1, m2, m3, m4, m5, m6, m7, m8, m9]", Context.texts(poll(consumer, 10, 15)));
        consumer.seek(queue, 6);
        c.expect("seek", "[m6, m7, m8, m9]", Context.texts(poll(consumer, 4, 15)));
        consumer.seekToBegin(queue);
        c.expect("seekToBegin", 10, poll(consumer, 10, 15).size());
        consumer.seekToEnd(queue);
        c.expect("seekToEnd", 0, poll(consumer, 1, 1).size());
        c.producer().send(Context.message(topic, "A", null, "woken"), queue);
        c.expect("woken", "[woken]", Context.texts(poll(consumer, 1, 15)));
        consumer.pause(Collections.singletonList(queue)); // a pull that is held may still bring it
        c.producer().send(Context.message(topic, "A", null, "paused"), queue);
        consumer.resume(Collections.singletonList(queue));
        c.expect("resumed", "[paused]", Context.texts(poll(consumer, 1, 15)));
        c.expect("offsetForTimestamp", 0, consumer.offsetForTimestamp(queue, 1L));
        c.fact("committedBefore", consumer.committed(queue));
        consumer.commitSync();
        c.await("commit arrives", 10, () -> consumer.committed(queue) == 12);
        c.expect("committed", 12, consumer.committed(queue));
        c.fact("illegalSeek", Context.failure(() -> {
            consumer.seek(queue, 99);
            return null;
        }));
        c.fact("queues", new TreeSet<>(c.queues(topic)).size());
    }
}
