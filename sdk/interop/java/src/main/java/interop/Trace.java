package interop;

import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.TreeSet;
import java.util.concurrent.ConcurrentLinkedQueue;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.common.message.MessageExt;

/** Message trace: the clients write what they did into the trace topic, which the broker must have. */
final class Trace {
    private static final String TOPIC = "RMQ_SYS_TRACE_TOPIC";

    private Trace() {
    }

    static void register(Map<String, Scenario> all) {
        all.put("trace", Trace::trace);
    }

    private static void trace(Context c) throws Exception {
        String topic = c.topic("T", 2);
        DefaultMQProducer producer = c.newProducer(true);
        producer.start();
        List<String> ids = new ArrayList<>();
        for (int i = 0; i < 3; i++) {
            ids.add(producer.send(Context.message(topic, "TagT", "trace-key", "traced " + i)).getMsgId());
        }
        Collection<MessageExt> seen = new ConcurrentLinkedQueue<>();
        DefaultMQPushConsumer consumer = c.push(c.named("G"), topic, "*", true);
        consumer.registerMessageListener(Push.into(seen));
        consumer.start();
        c.await("consumed", 15, () -> seen.size() >= 3);
        c.await("the trace topic", 20, () -> !c.queues(TOPIC).isEmpty());
        c.fact("traceTopicQueues", c.queues(TOPIC).size());
        c.await("records of all messages", 30, () -> kinds(c, ids).size() == 3);
        c.expect("kinds", "[Pub, SubAfter, SubBefore]", kinds(c, ids));
        c.expect("published", 3, published(c, ids));
    }

    /** The kinds of the trace records that name one of the messages. */
    private static Collection<String> kinds(Context c, List<String> ids) throws Exception {
        Collection<String> kinds = new TreeSet<>();
        for (String record : records(c)) {
            if (ids.stream().anyMatch(record::contains)) {
                kinds.add(record.substring(0, record.indexOf('\u0001')));
            }
        }
        return kinds;
    }

    private static long published(Context c, List<String> ids) throws Exception {
        List<String> records = records(c);
        return ids.stream().filter(id -> records.stream().anyMatch(record -> record.startsWith("Pub\u0001") && record.contains(id))).count();
    }

    private static List<String> records(Context c) throws Exception {
        List<String> records = new ArrayList<>();
        for (MessageExt message : c.readAll(TOPIC)) {
            for (String record : Context.text(message).split("\u0002")) {
                if (record.indexOf('\u0001') > 0) {
                    records.add(record);
                }
            }
        }
        return records;
    }
}
