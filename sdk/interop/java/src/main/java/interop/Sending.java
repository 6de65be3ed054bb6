package interop;

import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import org.apache.rocketmq.client.producer.SendCallback;
import org.apache.rocketmq.client.producer.SendResult;
import org.apache.rocketmq.client.producer.SendStatus;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageExt;

/** Every way a producer sends, and what of the message a consumer gets back. */
final class Sending {
    private Sending() {
    }

    static void register(Map<String, Scenario> all) {
        all.put("send-sync", Sending::sync);
        all.put("send-async", Sending::async);
        all.put("send-oneway", Sending::oneway);
        all.put("send-batch", Sending::batch);
        all.put("send-selector", Sending::selector);
        all.put("send-big", Sending::big);
    }

    private static void sync(Context c) throws Exception {
        String topic = c.topic("T", 4);
        TreeSet<String> places = new TreeSet<>();
        SendResult last = null;
        for (int i = 0; i < 8 * c.brokers; i++) {
            Message message = Context.message(topic, "TagA", "key-a key-b", "body \u00e9\u4e16 " + i % 10);
            message.putUserProperty("colour", "bl\u00fce");
            message.putUserProperty("size", "12");
            message.setFlag(7);
            last = c.producer().send(message);
            places.add(last.getMessageQueue().getQueueId() + "@" + last.getQueueOffset());
            if (last.getSendStatus() != SendStatus.SEND_OK) {
                c.fail("status " + last.getSendStatus());
            }
        }
        c.expect("places", "[0@0, 0@1, 1@0, 1@1, 2@0, 2@1, 3@0, 3@1]", places);
        c.fact("msgIdLength", last.getMsgId().length()); // 32, or 56 on a host with an IPv6 address only
        c.expect("offsetMsgIdLength", 32, last.getOffsetMsgId().length());
        c.fact("regionId", last.getRegionId());
        c.fact("traceOn", last.isTraceOn());
        c.fact("transactionIdIsMsgId", last.getMsgId().equals(last.getTransactionId()));
        List<MessageExt> stored = c.readAll(topic);
        c.expect("stored", 8 * c.brokers, stored.size());
        seen(c, stored.get(0));
        c.expect("sameIds", true, stored.stream().anyMatch(new SameId(last)::matches));
    }

    /** Everything of a stored message that does not change from run to run; the size covers all lengths in the record. */
    private static void seen(Context c, MessageExt message) {
        Map<String, String> properties = new TreeMap<>(message.getProperties());
        properties.replace("UNIQ_KEY", "id");
        c.fact("properties", properties);
        c.expect("body", "body \u00e9\u4e16", Context.text(message).substring(0, 7));
        c.fact("storeSize", message.getStoreSize());
        c.fact("sysFlag", message.getSysFlag());
        c.expect("flag", 7, message.getFlag());
        c.fact("bornHost", message.getBornHostString());
        c.expect("reconsumeTimes", 0, message.getReconsumeTimes());
        c.fact("preparedTransactionOffset", message.getPreparedTransactionOffset());
        c.expect("timesInOrder", true, message.getStoreTimestamp() > 0
            && Math.abs(message.getStoreTimestamp() - message.getBornTimestamp()) < 60_000);
    }

    private static final class SameId {
        private final SendResult sent;

        SameId(SendResult sent) {
            this.sent = sent;
        }

        boolean matches(MessageExt stored) {
            return stored.getMsgId().equals(sent.getMsgId()) && stored.getQueueOffset() == sent.getQueueOffset()
                && stored.getQueueId() == sent.getMessageQueue().getQueueId();
        }
    }

    private static void async(Context c) throws Exception {
        String topic = c.topic("T", 4);
        CountDownLatch done = new CountDownLatch(50);
        AtomicInteger accepted = new AtomicInteger();
        AtomicInteger refused = new AtomicInteger();
        for (int i = 0; i < 50; i++) {
            c.producer().send(Context.message(topic, "A", null, "async " + i), new SendCallback() {
                @Override
                public void onSuccess(SendResult result) {
                    accepted.incrementAndGet();
                    done.countDown();
                }

                @Override
                public void onException(Throwable e) {
                    refused.incrementAndGet();
                    done.countDown();
                }
            });
        }
        c.expect("answered", true, done.await(15, TimeUnit.SECONDS));
        c.expect("accepted", 50, accepted.get());
        c.expect("refused", 0, refused.get());
        c.expect("stored", 50, Context.texts(c.readAll(topic)).size());
    }

    private static void oneway(Context c) throws Exception {
        String topic = c.topic("T", 4);
        for (int i = 0; i < 20; i++) {
            c.producer().sendOneway(Context.message(topic, "A", null, "oneway " + i));
        }
        c.await("20 one-way messages", 10, () -> c.readAll(topic).size() == 20);
        c.expect("stored", 20, Context.texts(c.readAll(topic)).size());
    }

    private static void batch(Context c) throws Exception {
        String topic = c.topic("T", 4);
        List<Message> messages = new ArrayList<>();
        for (int i = 0; i < 10; i++) {
            messages.add(Context.message(topic, "Tag" + i % 2, "batch-" + i, "batch " + i));
        }
        SendResult result = c.producer().send(messages);
        c.expect("status", "SEND_OK", result.getSendStatus());
        c.expect("queueOffset", 0, result.getQueueOffset());
        c.expect("msgIds", 10, result.getMsgId().split(",").length);
        c.expect("offsetMsgIds", 10, result.getOffsetMsgId().split(",").length);
        SendResult second = c.producer().send(messages, result.getMessageQueue());
        c.expect("nextQueueOffset", 10, second.getQueueOffset());
        List<MessageExt> stored = c.readAll(topic);
        c.expect("stored", 20, stored.size());
        stored.sort(Comparator.comparingLong(MessageExt::getQueueOffset));
        StringBuilder run = new StringBuilder();
        for (MessageExt message : stored) {
            run.append(message.getQueueOffset()).append('=').append(message.getKeys()).append(' ');
        }
        c.fact("run", run.toString().trim());
        c.expect("queues", 1, stored.stream().map(MessageExt::getQueueId).distinct().count());
        c.fact("properties", Context.properties(stored.get(3)));
        c.fact("sysFlag", stored.get(3).getSysFlag());
        c.fact("storeSize", stored.get(3).getStoreSize());
        c.expect("firstId", true, result.getMsgId().startsWith(stored.get(0).getMsgId()));
    }

    private static void selector(Context c) throws Exception {
        String topic = c.topic("T", 4);
        for (int i = 0; i < 20; i++) {
            c.producer().send(Context.message(topic, "A", null, String.format("%02d", i)),
                (queues, message, argument) -> queues.get((Integer) argument % 4), i);
        }
        TreeMap<Integer, List<String>> byQueue = new TreeMap<>();
        for (MessageExt message : c.readAll(topic)) {
            byQueue.computeIfAbsent(message.getQueueId(), queue -> new ArrayList<>()).add(Context.text(message));
        }
        c.expect("byQueue", "{0=[00, 04, 08, 12, 16], 1=[01, 05, 09, 13, 17], 2=[02, 06, 10, 14, 18], 3=[03, 07, 11, 15, 19]}",
            byQueue);
    }

    private static void big(Context c) throws Exception {
        String topic = c.topic("T", 1);
        char[] letters = new char[64 * 1024];
        Arrays.fill(letters, 'x');
        byte[] compressible = new String(letters).getBytes(StandardCharsets.US_ASCII);
        byte[] random = new byte[1024 * 1024];
        new Random(1).nextBytes(random);
        c.expect("compressible", "SEND_OK", c.producer().send(new Message(topic, compressible)).getSendStatus());
        c.expect("random", "SEND_OK", c.producer().send(new Message(topic, random)).getSendStatus());
        List<MessageExt> stored = c.readAll(topic);
        stored.sort(Comparator.comparingInt(message -> message.getBody().length));
        c.expect("compressibleIntact", true, Arrays.equals(compressible, stored.get(0).getBody()));
        c.expect("randomIntact", true, Arrays.equals(random, stored.get(1).getBody()));
        c.fact("sysFlags", stored.get(0).getSysFlag() + " " + stored.get(1).getSysFlag());
        c.fact("storeSizes", stored.get(0).getStoreSize() + " " + stored.get(1).getStoreSize());
    }
}
