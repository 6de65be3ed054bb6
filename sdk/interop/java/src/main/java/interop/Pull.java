package interop;

import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import org.apache.rocketmq.client.consumer.DefaultMQPullConsumer;
import org.apache.rocketmq.client.consumer.PullResult;
import org.apache.rocketmq.common.message.MessageQueue;

/** The old pull consumer, which shows the pull answers as they are; offsets that it updates itself. */
final class Pull {
    private Pull() {
    }

    static void register(Map<String, Scenario> all) {
        all.put("pull", Pull::answers);
        all.put("pull-offsets", Pull::offsets);
        all.put("pull-held", Pull::held);
    }

    /** Status, number of messages, next, minimum and maximum offset. */
    private static String shown(PullResult result) {
        int found = result.getMsgFoundList() == null ? 0 : result.getMsgFoundList().size();
        return result.getPullStatus() + " " + found + " next " + result.getNextBeginOffset() + " min " + result.getMinOffset()
            + " max " + result.getMaxOffset();
    }

    private static void answers(Context c) throws Exception {
        String topic = c.topic("T", 2);
        MessageQueue full = c.queues(topic).get(0);
        MessageQueue empty = c.queues(topic).get(1);
        for (int i = 0; i < 40; i++) {
            c.producer().send(Context.message(topic, i < 38 ? "A" : "B", null, "m" + i), full);
        }
        DefaultMQPullConsumer consumer = c.pull(c.named("G"));
        consumer.start();
        c.expect("first", "FOUND 32 next 32 min 0 max 40", shown(consumer.pull(full, "*", 0, 32)));
        c.expect("ten", "FOUND 10 next 10 min 0 max 40", shown(consumer.pull(full, "*", 0, 10)));
        c.expect("rest", "FOUND 8 next 40 min 0 max 40", shown(consumer.pull(full, "*", 32, 32)));
        c.fact("atEnd", shown(consumer.pull(full, "*", 40, 32)));
        c.fact("beyondByOne", shown(consumer.pull(full, "*", 41, 32)));
        c.fact("farBeyond", shown(consumer.pull(full, "*", 4_000, 32)));
        c.fact("emptyAtZero", shown(consumer.pull(empty, "*", 0, 32)));
        c.fact("emptyBeyond", shown(consumer.pull(empty, "*", 7, 32)));
        c.fact("tagB", shown(consumer.pull(full, "B", 0, 32)));
        c.fact("tagBAtTheEnd", shown(consumer.pull(full, "B", 32, 32)));
        c.fact("tagNone", shown(consumer.pull(full, "C", 0, 32)));
        MessageQueue wrong = new MessageQueue(topic, full.getBrokerName(), 50);
        c.fact("noSuchQueue", Context.failure(() -> consumer.pull(wrong, "*", 0, 32)));
        MessageQueue unknown = new MessageQueue(c.named("NONE"), full.getBrokerName(), 0);
        c.fact("noSuchTopic", Context.failure(() -> consumer.pull(unknown, "*", 0, 32)));
        c.fact("negative", Context.failure(() -> consumer.pull(full, "*", -1, 32)));
    }

    private static void offsets(Context c) throws Exception {
        String topic = c.topic("T", 2);
        MessageQueue queue = c.queues(topic).get(0);
        Push.send(c, topic, "m", 10);
        DefaultMQPullConsumer consumer = c.pull(c.named("G"));
        consumer.start();
        c.fact("beforeAnyCommit", consumer.fetchConsumeOffset(queue, true));
        c.await("group", 10, () -> { // it exists since the first heartbeat; the broker refuses offsets of others
            consumer.getOffsetStore().updateConsumeOffsetToBroker(queue, 3, false);
            return true;
        });
        c.expect("synchronous", 3, consumer.fetchConsumeOffset(queue, true));
        consumer.updateConsumeOffset(queue, 4);
        c.fact("inMemory", consumer.fetchConsumeOffset(queue, false));
        consumer.getDefaultMQPullConsumerImpl().getOffsetStore().persist(queue);
        c.await("commit of 4", 10, () -> consumer.fetchConsumeOffset(queue, true) == 4);
        c.expect("committed", 4, consumer.fetchConsumeOffset(queue, true));
        consumer.getOffsetStore().updateConsumeOffsetToBroker(queue, 2, false);
        c.expect("backwards", 2, consumer.fetchConsumeOffset(queue, true));
        consumer.getOffsetStore().updateConsumeOffsetToBroker(queue, 1_000, false);
        c.fact("beyondMax", consumer.fetchConsumeOffset(queue, true));
        DefaultMQPullConsumer other = c.pull(c.named("OTHER"));
        other.start();
        c.fact("otherGroup", other.fetchConsumeOffset(queue, true));
        MessageQueue unknown = new MessageQueue(topic, queue.getBrokerName(), 77);
        c.fact("noSuchQueue", other.fetchConsumeOffset(unknown, true));
    }

    /** A pull of an empty queue is held and answered as soon as something arrives, or when the client's time is over. */
    private static void held(Context c) throws Exception {
        String topic = c.topic("T", 1);
        MessageQueue queue = c.queues(topic).get(0);
        DefaultMQPullConsumer consumer = c.pull(c.named("G"));
        consumer.setBrokerSuspendMaxTimeMillis(15_000);
        consumer.start();
        CompletableFuture<String> answer = pullBlocking(consumer, queue, "*", 0);
        Thread.sleep(1_500);
        c.expect("heldWhileEmpty", false, answer.isDone());
        long sent = System.nanoTime();
        c.producer().send(Context.message(topic, "A", null, "wakes"), queue);
        c.expect("woken", "FOUND 1 next 1 min 0 max 1", answer.get(20, TimeUnit.SECONDS));
        c.expect("soon", true, System.nanoTime() - sent < 2_000_000_000L);
        CompletableFuture<String> filtered = pullBlocking(consumer, queue, "B", 1);
        Thread.sleep(300);
        c.producer().send(Context.message(topic, "A", null, "of another tag"), queue);
        Thread.sleep(500);
        c.producer().send(Context.message(topic, "B", null, "of this tag"), queue);
        String found = filtered.get(20, TimeUnit.SECONDS);
        if (found.startsWith("NO_MATCHED_MSG")) { // the broker's sweep over held pulls may have answered the first message
            found = pullBlocking(consumer, queue, "B", 2).get(20, TimeUnit.SECONDS);
        }
        c.expect("filtered", "FOUND 1 next 3 min 0 max 3", found);
        consumer.setBrokerSuspendMaxTimeMillis(1_000);
        long begun = System.nanoTime();
        c.expect("timeout", "NO_NEW_MSG 0 next 3 min 0 max 3", pullBlocking(consumer, queue, "*", 3).get(25, TimeUnit.SECONDS));
        long waited = (System.nanoTime() - begun) / 1_000_000;
        c.expect("afterItsTime", true, waited >= 950 && waited < 9_000);
    }

    private static CompletableFuture<String> pullBlocking(DefaultMQPullConsumer consumer, MessageQueue queue, String tags, long offset) {
        return CompletableFuture.supplyAsync(() -> {
            try {
                return shown(consumer.pullBlockIfNotFound(queue, tags, offset, 32));
            } catch (Exception e) {
                return e.toString();
            }
        });
    }
}
