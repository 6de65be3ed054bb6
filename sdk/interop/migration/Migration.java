package interop;

import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.io.Writer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Paths;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.concurrent.Callable;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import org.apache.rocketmq.client.ClientConfig;
import org.apache.rocketmq.client.consumer.DefaultMQPullConsumer;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.PullResult;
import org.apache.rocketmq.client.consumer.listener.ConsumeConcurrentlyStatus;
import org.apache.rocketmq.client.consumer.listener.MessageListenerConcurrently;
import org.apache.rocketmq.client.exception.MQClientException;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.client.producer.LocalTransactionState;
import org.apache.rocketmq.client.producer.SendResult;
import org.apache.rocketmq.client.producer.SendStatus;
import org.apache.rocketmq.client.producer.TransactionListener;
import org.apache.rocketmq.client.producer.TransactionMQProducer;
import org.apache.rocketmq.common.consumer.ConsumeFromWhere;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageAccessor;
import org.apache.rocketmq.common.message.MessageClientExt;
import org.apache.rocketmq.common.message.MessageExt;
import org.apache.rocketmq.common.message.MessageQueue;

/**
 * The official client as a data directory's witness: it writes every kind of message, and says what it sees.
 *
 * <p>Reads commands from stdin, one a line, words separated by tabs, and answers each with one line: {@code ok ..} or {@code failed ..}.
 */
final class Migration {
    private static final String BROKER = "broker-a";
    /** The code of a query that finds nothing; the constant has moved between versions. */
    private static final int NO_MESSAGE = 208;
    private static final int BIG = 3_900_000;
    private static final String MANY = "m-many";
    private final String namesrv;
    private final boolean isFour;
    private final DefaultMQProducer producer;
    private final DefaultMQPullConsumer reader;

    public static void main(String[] args) throws Exception {
        PrintStream out = System.out;
        System.setOut(System.err);
        Migration migration = new Migration(args[0], args[1].startsWith("4."));
        out.println("ok");
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line = in.readLine(); line != null; line = in.readLine()) {
            try {
                out.println("ok " + migration.perform(line.split("\t")));
            } catch (Throwable e) {
                e.printStackTrace();
                out.println("failed " + line.split("\t")[0] + ": " + e.toString().replace('\n', ' '));
            }
            out.flush();
        }
        System.exit(0);
    }

    private Migration(String namesrv, boolean isFour) throws Exception {
        this.namesrv = namesrv;
        this.isFour = isFour;
        producer = patient(new DefaultMQProducer("m-producer"), "producer");
        producer.setCompressMsgBodyOverHowmuch(Integer.MAX_VALUE);
        producer.setMaxMessageSize(4 << 20);
        producer.start();
        reader = configured(new DefaultMQPullConsumer("m-reader"), "reader");
        reader.start();
    }

    private <T extends ClientConfig> T configured(T config, String instance) {
        config.setNamesrvAddr(namesrv);
        config.setInstanceName(instance);
        config.setVipChannelEnabled(false);
        config.setPollNameServerInterval(1_000);
        config.setHeartbeatBrokerInterval(1_000);
        config.setPersistConsumerOffsetInterval(300);
        return config;
    }

    /** A producer that a busy machine does not fail: the brokers are compared, not their speed. */
    private <T extends DefaultMQProducer> T patient(T producer, String instance) {
        producer.setRetryTimesWhenSendFailed(5);
        producer.setSendMsgTimeout(10_000);
        return configured(producer, instance);
    }

    private String perform(String[] words) throws Exception {
        switch (words[0]) {
            case "send":
                return send(words[1]);
            case "delayed":
                return delayed(words[1], Integer.parseInt(words[2]), Integer.parseInt(words[3]));
            case "timed":
                return timed(words[1], words[2], Integer.parseInt(words[3]));
            case "transactions":
                return transactions(words[1], LocalTransactionState.valueOf(words[2]), Integer.parseInt(words[3]));
            case "retries":
                return retries(words[1], words[2]);
            case "commit":
                return commit(words[1], words[2]);
            case "ended":
                return String.valueOf(ended());
            case "count":
                return String.valueOf(count(words[1], words[2]));
            case "snapshot":
                return snapshot(words[1], words[2]);
            default:
                throw new IllegalArgumentException(words[0]);
        }
    }

    // ---- writing ----

    private static Message message(String topic, String tags, String keys, byte[] body) {
        Message message = new Message(topic, tags, keys, body);
        message.putUserProperty("colour", "gr\u00fcn");
        return message;
    }

    private static byte[] noise(Random random, int length) {
        byte[] body = new byte[length];
        random.nextBytes(body);
        return body;
    }

    /** Waits until a name server names the topic: a broker's next registration may be what brings it. */
    private static void routed(DefaultMQProducer producer, String topic) throws Exception {
        long deadline = System.nanoTime() + 30_000_000_000L;
        while (true) {
            try {
                producer.fetchPublishMessageQueues(topic);
                return;
            } catch (MQClientException e) {
                if (System.nanoTime() > deadline) {
                    throw e;
                }
                Thread.sleep(100);
            }
        }
    }

    private void stored(SendResult result) {
        if (result.getSendStatus() != SendStatus.SEND_OK && result.getSendStatus() != SendStatus.SLAVE_NOT_AVAILABLE) {
            throw new IllegalStateException(result.toString());
        }
    }

    /** Tags, keys, flags, batches, big and compressed messages, one queue with many; {@code phase} goes into keys and bodies. */
    private String send(String phase) throws Exception {
        Random random = new Random(phase.hashCode());
        routed(producer, "m-plain");
        for (int i = 0; i < 60; i++) {
            String keys = phase + "-k" + i + (i % 3 == 0 ? " " + phase + "-third" : "");
            Message message = message("m-plain", i % 4 == 3 ? null : "T" + i % 4, i % 5 == 4 ? null : keys, noise(random, 1 + random.nextInt(3_000)));
            message.setFlag(i);
            stored(producer.send(message, new MessageQueue("m-plain", BROKER, i % 4)));
        }
        routed(producer, "m-batch");
        for (int batch = 0; batch < 3; batch++) {
            List<Message> messages = new ArrayList<>();
            for (int i = 0; i < 20; i++) {
                messages.add(message("m-batch", "B", phase + "-b" + batch + "-" + i, ("batched " + i).getBytes(StandardCharsets.UTF_8)));
            }
            stored(producer.send(messages));
        }
        for (int part = 0; part < 10; part++) {
            List<Message> messages = new ArrayList<>();
            for (int i = 0; i < 60; i++) {
                messages.add(new Message(MANY, "N", null, ("one of many " + i).getBytes(StandardCharsets.UTF_8)));
            }
            stored(producer.send(messages, new MessageQueue(MANY, BROKER, 0)));
        }
        for (int i = 0; i < 4; i++) {
            stored(producer.send(message("m-big", "BIG", phase + "-big" + i, noise(random, BIG)), new MessageQueue("m-big", BROKER, i % 2)));
        }
        DefaultMQProducer squeezing = patient(new DefaultMQProducer("m-squeezing"), "squeezing");
        squeezing.setCompressMsgBodyOverHowmuch(1_000);
        squeezing.start();
        routed(squeezing, "m-typed");
        byte[] even = new byte[200_000];
        Arrays.fill(even, (byte) 'x');
        stored(squeezing.send(message("m-typed", "Z", phase + "-squeezed", even)));
        stored(squeezing.send(message("m-typed", null, null, new byte[] {0})));
        squeezing.shutdown();
        return "sent";
    }

    private String delayed(String phase, int level, int count) throws Exception {
        routed(producer, "m-delay");
        for (int i = 0; i < count; i++) {
            Message message = message("m-delay", "L" + level, phase + "-d" + level + "-" + i, new byte[] {1, 2, 3});
            message.setDelayTimeLevel(level);
            stored(producer.send(message));
        }
        return "sent";
    }

    /** Timer messages, which RocketMQ 5 has; the client of 4 has no name for the property. */
    private String timed(String phase, String seconds, int count) throws Exception {
        routed(producer, "m-delay");
        for (int i = 0; i < count; i++) {
            Message message = message("m-delay", "timed", phase + "-timed-" + i, new byte[] {4});
            MessageAccessor.putProperty(message, "TIMER_DELAY_SEC", seconds);
            stored(producer.send(message));
        }
        return "sent";
    }

    private String transactions(String phase, LocalTransactionState outcome, int count) throws Exception {
        TransactionMQProducer transacting = patient(new TransactionMQProducer("m-transactions"), "transacting");
        transacting.setTransactionListener(new TransactionListener() {
            @Override
            public LocalTransactionState executeLocalTransaction(Message message, Object argument) {
                return outcome;
            }

            @Override
            public LocalTransactionState checkLocalTransaction(MessageExt message) {
                return LocalTransactionState.UNKNOW;
            }
        });
        transacting.start();
        routed(transacting, "m-transaction");
        for (int i = 0; i < count; i++) {
            stored(transacting.sendMessageInTransaction(message("m-transaction", "X", phase + "-" + outcome + i, new byte[100]), null));
        }
        transacting.shutdown();
        return "sent";
    }

    /** Consumes three messages of a topic; each fails at first, is sent back, and comes again from the group's retry topic. */
    private String retries(String phase, String group) throws Exception {
        String topic = "m-failing";
        routed(producer, topic);
        for (int i = 0; i < 3; i++) {
            stored(producer.send(message(topic, phase, phase + "-f" + i, new byte[] {(byte) i})));
        }
        CountDownLatch again = new CountDownLatch(3);
        Map<String, AtomicInteger> tries = new ConcurrentHashMap<>();
        DefaultMQPushConsumer consumer = configured(new DefaultMQPushConsumer(group), "failing-" + phase + group.length());
        consumer.setConsumeFromWhere(ConsumeFromWhere.CONSUME_FROM_FIRST_OFFSET);
        consumer.subscribe(topic, phase);
        consumer.registerMessageListener((MessageListenerConcurrently) (messages, context) -> {
            MessageExt message = messages.get(0);
            if (tries.computeIfAbsent(message.getMsgId(), id -> new AtomicInteger()).getAndIncrement() == 0) {
                context.setDelayLevelWhenNextConsume(1);
                return ConsumeConcurrentlyStatus.RECONSUME_LATER;
            }
            again.countDown();
            return ConsumeConcurrentlyStatus.CONSUME_SUCCESS;
        });
        consumer.start();
        boolean done = again.await(40, TimeUnit.SECONDS);
        consumer.shutdown();
        if (!done) {
            throw new IllegalStateException("not all came again: " + tries);
        }
        return "consumed";
    }

    /** Sets a group's progress in the queues of a topic to what the list says. */
    private String commit(String group, String offsets) throws Exception {
        DefaultMQPullConsumer consumer = configured(new DefaultMQPullConsumer(group), "committing" + group);
        consumer.start();
        String[] words = offsets.split(",");
        long deadline = System.nanoTime() + 10_000_000_000L;
        for (int queue = 0; queue < words.length; queue++) {
            while (true) { // the group exists since the first heartbeat; a broker refuses offsets of others
                try {
                    MessageQueue of = new MessageQueue("m-plain", BROKER, queue);
                    consumer.pull(of, "*", 0, 1);
                    consumer.getOffsetStore().updateConsumeOffsetToBroker(of, Long.parseLong(words[queue]), false);
                    break;
                } catch (Exception e) {
                    if (System.nanoTime() > deadline) {
                        throw e;
                    }
                    Thread.sleep(100);
                }
            }
        }
        consumer.shutdown();
        return "committed";
    }

    // ---- reading ----

    private int count(String topic, String keys) throws Exception {
        int count = 0;
        for (MessageQueue queue : reader.fetchSubscribeMessageQueues(topic)) {
            for (MessageExt message : all(queue)) {
                count += message.getKeys() != null && message.getKeys().startsWith(keys) ? 1 : 0;
            }
        }
        return count;
    }

    /** How many half messages are noted as ended; from 5.0 on, one note names several. */
    private int ended() throws Exception {
        int count = 0;
        for (MessageExt note : all(new MessageQueue("RMQ_SYS_TRANS_OP_HALF_TOPIC", BROKER, 0))) {
            for (String offset : new String(note.getBody(), StandardCharsets.UTF_8).split(",")) {
                count += offset.isEmpty() ? 0 : 1;
            }
        }
        return count;
    }

    private List<MessageExt> all(MessageQueue queue) throws Exception {
        List<MessageExt> found = new ArrayList<>();
        long offset = reader.minOffset(queue);
        long end = reader.maxOffset(queue);
        for (int idle = 0; offset < end;) {
            PullResult result = reader.pull(queue, "*", offset, 32, 10_000);
            if (result.getMsgFoundList() != null && !result.getMsgFoundList().isEmpty()) {
                found.addAll(result.getMsgFoundList());
                idle = 0;
            } else if (result.getNextBeginOffset() == offset && ++idle > 20) {
                throw new IllegalStateException(queue + " at " + offset + " of " + end + ": " + result);
            }
            offset = result.getNextBeginOffset();
        }
        return found;
    }

    /** Writes all that a client can see of the queues (topic:count of queues, separated by commas) to a file. */
    private String snapshot(String path, String topics) throws Exception {
        Map<String, Object> queues = new TreeMap<>();
        int messages = 0;
        for (String word : topics.split(",")) {
            int colon = word.lastIndexOf(':');
            for (int id = 0; id < Integer.parseInt(word.substring(colon + 1)); id++) {
                MessageQueue queue = new MessageQueue(word.substring(0, colon), BROKER, id);
                long max = reader.maxOffset(queue);
                if (max > 0) {
                    List<MessageExt> found = all(queue);
                    messages += found.size();
                    queues.put(queue.getTopic() + " " + id, shown(queue, max, found));
                }
            }
        }
        try (Writer out = Files.newBufferedWriter(Paths.get(path), StandardCharsets.UTF_8)) {
            out.write(Json.of(queues));
        }
        return queues.size() + " " + messages;
    }

    private Map<String, Object> shown(MessageQueue queue, long max, List<MessageExt> found) throws Exception {
        Map<String, Object> shown = new TreeMap<>();
        shown.put("min", reader.minOffset(queue));
        shown.put("max", max);
        List<Object> messages = new ArrayList<>();
        Map<String, Object> looked = new TreeMap<>();
        Map<String, Object> times = new TreeMap<>();
        // The clocks of two processes need not be read for this: a message's own time finds it or one of the same time.
        for (int i = 0; i < found.size(); i++) {
            MessageExt message = found.get(i);
            messages.add(shown(message));
            // One topic has very many; of all others every message is looked up.
            boolean isProbe = !queue.getTopic().equals(MANY) || i < 6 || i > found.size() - 4 || i % 97 == 0;
            if (isProbe) {
                looked.put(id(message), lookedUp(queue.getTopic(), message));
                times.put(String.valueOf(message.getStoreTimestamp()), at(queue, message.getStoreTimestamp(), found));
                if (!isFour && i > 0) {
                    times.put(String.valueOf(message.getStoreTimestamp() - 1), at(queue, message.getStoreTimestamp() - 1, found));
                }
            }
        }
        shown.put("messages", messages);
        shown.put("looked", looked);
        shown.put("times", times);
        return shown;
    }

    /** RocketMQ 4 gives any of the messages of one moment, 5 the first. */
    private Object at(MessageQueue queue, long time, List<MessageExt> found) throws Exception {
        long offset = reader.searchOffset(queue, time);
        int index = (int) (offset - found.get(0).getQueueOffset());
        return isFour && index >= 0 && index < found.size() ? "stored at " + found.get(index).getStoreTimestamp() : String.valueOf(offset);
    }

    private static List<Object> shown(MessageExt message) {
        Map<String, String> properties = new TreeMap<>(message.getProperties());
        properties.keySet().removeAll(Arrays.asList("MIN_OFFSET", "MAX_OFFSET"));
        return Arrays.asList(message.getQueueOffset(), message.getMsgId(), id(message), message.getCommitLogOffset(),
            message.getBornTimestamp(), String.valueOf(message.getBornHost()), message.getStoreTimestamp(), String.valueOf(message.getStoreHost()),
            message.getStoreSize(), message.getSysFlag(), message.getFlag(), message.getReconsumeTimes(), message.getBodyCRC(),
            Arrays.hashCode(message.getBody()), message.getTopic(), properties);
    }

    private static String id(MessageExt message) {
        return ((MessageClientExt) message).getOffsetMsgId();
    }

    /** By offset id, by unique key, by each key: what is found. */
    private Map<String, Object> lookedUp(String topic, MessageExt message) throws Exception {
        Map<String, Object> looked = new TreeMap<>();
        looked.put("id", producer.viewMessage(topic, id(message)).getCommitLogOffset());
        if (topic.startsWith("RMQ_SYS_") || topic.startsWith("SCHEDULE_")) {
            return looked; // asked for under their real topics
        }
        String unique = message.getProperty("UNIQ_KEY");
        if (unique != null) {
            looked.put("unique", found(() -> Arrays.asList(reader.getDefaultMQPullConsumerImpl().queryMessageByUniqKey(topic, unique))));
        }
        if (message.getKeys() != null) {
            for (String key : message.getKeys().split(" ")) {
                looked.put("key " + key, found(topic, key));
            }
        }
        return looked;
    }

    private Object found(String topic, String key) throws Exception {
        return found(() -> reader.queryMessage(topic, key, 64, 0, Long.MAX_VALUE).getMessageList());
    }

    /** The offset ids of what a query gives, none if it finds nothing. */
    private Object found(Callable<List<MessageExt>> query) throws Exception {
        TreeSet<String> ids = new TreeSet<>();
        try {
            query.call().forEach(message -> ids.add(id(message)));
        } catch (MQClientException e) {
            if (e.getResponseCode() != NO_MESSAGE) {
                throw e;
            }
        }
        return ids;
    }
}
