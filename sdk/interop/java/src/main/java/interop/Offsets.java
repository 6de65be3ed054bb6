package interop;

import java.util.List;
import java.util.Map;
import org.apache.rocketmq.common.message.MessageExt;
import org.apache.rocketmq.common.message.MessageQueue;

/** Minimum and maximum offset, the earliest time, and offsets by time. */
final class Offsets {
    private Offsets() {
    }

    static void register(Map<String, Scenario> all) {
        all.put("offsets", Offsets::offsets);
    }

    private static void offsets(Context c) throws Exception {
        String topic = c.topic("T", 2);
        MessageQueue queue = c.queues(topic).get(0);
        MessageQueue empty = c.queues(topic).get(1);
        long begun = System.currentTimeMillis();
        for (int i = 0; i < 5; i++) {
            c.producer().send(Context.message(topic, "A", null, "early" + i), queue);
        }
        Thread.sleep(300);
        long middle = System.currentTimeMillis();
        Thread.sleep(300);
        for (int i = 0; i < 5; i++) {
            c.producer().send(Context.message(topic, "A", null, "late" + i), queue);
        }
        c.await("10 messages", 10, () -> c.reader().maxOffset(queue) == 10);
        c.expect("min", 0, c.reader().minOffset(queue));
        c.expect("max", 10, c.reader().maxOffset(queue));
        c.expect("emptyMax", 0, c.reader().maxOffset(empty));
        c.expect("byMiddle", 5, c.reader().searchOffset(queue, middle));
        c.expect("byLongAgo", 0, c.reader().searchOffset(queue, 1_000));
        c.fact("byFuture", c.reader().searchOffset(queue, begun + 3_600_000));
        c.fact("byMinusOne", c.reader().searchOffset(queue, -1));
        c.fact("emptyByTime", c.reader().searchOffset(empty, middle));
        List<MessageExt> stored = c.readAll(topic);
        c.expect("byExactTime", true, exact(c, queue, stored.get(7)));
        long earliest = c.reader().earliestMsgStoreTime(queue);
        c.expect("earliestIsFirst", stored.get(0).getStoreTimestamp(), earliest);
        c.fact("earliestIsFirst", stored.get(0).getStoreTimestamp() == earliest);
        c.fact("earliestOfEmpty", c.reader().earliestMsgStoreTime(empty));
        MessageQueue unknown = new MessageQueue(c.named("NONE"), queue.getBrokerName(), 0);
        c.fact("unknownMax", Context.failure(() -> c.reader().maxOffset(unknown)));
        c.fact("unknownMin", Context.failure(() -> c.reader().minOffset(unknown)));
        c.fact("unknownByTime", Context.failure(() -> c.reader().searchOffset(unknown, middle)));
    }

    /** The first message with the time asked for, or an earlier one of the same millisecond. */
    private static boolean exact(Context c, MessageQueue queue, MessageExt message) throws Exception {
        long offset = c.reader().searchOffset(queue, message.getStoreTimestamp());
        return offset <= message.getQueueOffset() && offset >= 5;
    }
}
