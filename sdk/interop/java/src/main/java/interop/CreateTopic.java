package interop;

import java.util.List;
import java.util.Map;
import org.apache.rocketmq.common.message.MessageQueue;

/** Topic administration as far as a plain client reaches it. */
final class CreateTopic {
    private CreateTopic() {
    }

    static void register(Map<String, Scenario> all) {
        all.put("create-topic", CreateTopic::create);
    }

    private static void create(Context c) throws Exception {
        String topic = c.topic("T", 6);
        List<MessageQueue> queues = c.queues(topic);
        c.expect("queues", 6 * c.brokers, queues.size());
        c.expect("publishQueues", 6 * c.brokers, c.producer().fetchPublishMessageQueues(topic).size());
        c.fact("brokers", queues.stream().map(MessageQueue::getBrokerName).distinct().count());
        c.expect("minOffset", 0, c.reader().minOffset(queues.get(0)));
        c.expect("maxOffset", 0, c.reader().maxOffset(queues.get(0)));
        c.fact("earliestTime", c.reader().earliestMsgStoreTime(queues.get(0)));
        c.await("two more queues", 40, () -> { // again: a Java name server misses a change when another topic comes in with it
            Compat.createTopic(c.producer(), "TBW102", topic, 8);
            Thread.sleep(200);
            return c.queues(topic).size() == 8 * c.brokers;
        });
        c.expect("grown", 8 * c.brokers, c.queues(topic).size());
        c.fact("badName", Context.failure(() -> {
            Compat.createTopic(c.producer(), "TBW102", "bad name!", 4);
            return null;
        }));
        c.fact("systemName", Context.failure(() -> {
            Compat.createTopic(c.producer(), "TBW102", "SELF_TEST_TOPIC", 4);
            return null;
        }));
        c.fact("unknownTemplate", Context.failure(() -> {
            Compat.createTopic(c.producer(), c.named("NONE"), c.named("X"), 4);
            return null;
        }));
        c.fact("unknownTopic", Context.failure(() -> c.reader().fetchSubscribeMessageQueues(c.named("NONE"))));
    }
}
