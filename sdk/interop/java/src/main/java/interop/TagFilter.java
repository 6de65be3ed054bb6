package interop;

import java.util.Collection;
import java.util.Map;
import java.util.concurrent.ConcurrentLinkedQueue;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageExt;

/** Tag expressions; "Aa" and "BB" have the same hash, which the broker alone cannot tell apart. */
final class TagFilter {
    private TagFilter() {
    }

    static void register(Map<String, Scenario> all) {
        all.put("tag-filter", TagFilter::filter);
    }

    private static Collection<MessageExt> consume(Context c, String group, String topic, String tags) throws Exception {
        Collection<MessageExt> seen = new ConcurrentLinkedQueue<>();
        DefaultMQPushConsumer consumer = c.push(c.named(group), topic, tags);
        consumer.registerMessageListener(Push.into(seen));
        consumer.start();
        c.await("queues of " + group, 30, () -> Rebalance.queues(consumer, topic).size() == 4 * c.brokers);
        return seen;
    }

    private static void filter(Context c) throws Exception {
        String topic = c.topic("T", 4);
        Collection<MessageExt> two = consume(c, "TWO", topic, "TagA || TagC");
        Collection<MessageExt> colliding = consume(c, "HASH", topic, "Aa");
        Collection<MessageExt> all = consume(c, "ALL", topic, "*");
        Collection<MessageExt> none = consume(c, "NONE", topic, "TagZ");
        String[] tags = {"TagA", "TagB", "TagC", "Aa", "BB", null, "\u6807\u7b7e"};
        for (int i = 0; i < 4; i++) {
            for (String tag : tags) {
                c.producer().send(Context.message(topic, tag, null, tag + i));
            }
        }
        c.await("all", 15, () -> all.size() >= 28 && two.size() >= 8 && colliding.size() >= 4);
        Push.send(c, topic, "last", 4 * c.brokers);
        c.await("the last ones", 15, () -> all.size() >= 28 + 4 * c.brokers);
        c.expect("all", 28 + 4 * c.brokers, all.size());
        c.expect("two", "[TagA0, TagA1, TagA2, TagA3, TagC0, TagC1, TagC2, TagC3]", Context.texts(two));
        c.expect("colliding", "[Aa0, Aa1, Aa2, Aa3]", Context.texts(colliding));
        c.expect("none", 0, none.size());
        Collection<MessageExt> unicode = consume(c, "UNICODE", topic, "\u6807\u7b7e");
        c.await("unicode tag", 15, () -> unicode.size() >= 4);
        c.expect("unicode", 4, unicode.size());
        c.expect("tagKept", "\u6807\u7b7e", unicode.iterator().next().getTags());
        Message untagged = new Message(topic, new byte[] {1});
        c.expect("untagged", "SEND_OK", c.producer().send(untagged).getSendStatus());
    }
}
