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

    /** Tried with three numbers: a Java name server misses a change of a topic when another topic comes in with it. */
    private static boolean grows(Context c, String topic) throws Exception {
        for (int queues = 8; queues <= 10; queues++) {
            Compat.createTopic(c.producer(), "TBW102", topic, queues);
            for (int i = 0; i < 50; i++) {
                if (c.queues(topic).size() == queues * c.brokers) {
                    return true;
                }
                Thread.sleep(100);
            }
        }
        return false;
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
        c.expect("grown", true, grows(c, topic));
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
