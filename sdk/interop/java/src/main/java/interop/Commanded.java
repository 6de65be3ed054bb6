package interop;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.Queue;
import java.util.Random;
import java.util.TreeMap;
import java.util.concurrent.Callable;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.listener.ConsumeConcurrentlyStatus;
import org.apache.rocketmq.client.consumer.listener.MessageListenerConcurrently;
import org.apache.rocketmq.client.exception.MQBrokerException;
import org.apache.rocketmq.client.exception.MQClientException;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.client.producer.SendCallback;
import org.apache.rocketmq.client.producer.SendResult;
import org.apache.rocketmq.client.producer.SendStatus;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageExt;
import org.apache.rocketmq.common.message.MessageQueue;

/**
 * A producer and consumers that do what the driver says while it breaks the broker's disk. A command is a line on stdin, its answer a line
 * of JSON:
 *
 * <pre>
 * send WAY COUNT SIZE    sends until one is not stored; WAY: sync (the producer chooses the queue, and tries again), queue, async
 * consume GROUP FAILURES a push consumer of a new group, from the beginning; so many deliveries are answered with RECONSUME_LATER
 * consumed GROUP         what this group has received, compared with what was acknowledged
 * read                   the whole topic, by pulls, beside what was acknowledged
 * acknowledged           queue and offset of each message
 * look ID                one message, by its key and by its offset id
 * </pre>
 *
 * A body follows from its id: whatever comes can be judged.
 */
final class Commanded {
    private static final int QUEUES = 4;
    private final Context c;
    private final String topic;
    private final List<MessageQueue> queues;
    private final DefaultMQProducer producer;
    private final Map<String, Seen> groups = new TreeMap<>();
    /** Places by id: of SEND_OK, and of any other status. */
    private final Map<String, String> acknowledged = new TreeMap<>();
    private final Map<String, String> late = new TreeMap<>();
    private final Map<String, String> offsetIds = new TreeMap<>();
    /** Remarks by id. */
    private final Map<String, Object> refused = new TreeMap<>();
    private int sent;

    private Commanded(Context c) throws Exception {
        this.c = c;
        topic = c.named("T");
        // Cold clients on a busy machine exceed their timeouts.
        if (!c.await("topic", 60, () -> c.topic("T", QUEUES).equals(topic))) {
            throw new IllegalStateException(c.transcript());
        }
        queues = c.queues(topic);
        producer = c.newProducer(false);
        producer.setPollNameServerInterval(2_000);
        producer.start();
    }

    static void main(Context c, PrintStream out) throws IOException {
        Commanded commanded;
        try {
            commanded = new Commanded(c);
        } catch (Exception e) {
            out.println(Json.of(failure(e)));
            return;
        }
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        Map<String, Object> answer = Collections.singletonMap("topic", commanded.topic);
        String line;
        do {
            out.println(Json.of(answer));
            out.flush();
            line = in.readLine();
            if (line != null) {
                answer = commanded.answer(line.split(" "));
            }
        } while (line != null);
        c.close();
    }

    private static Map<String, Object> failure(Exception e) {
        return Collections.singletonMap("error", e + " cause " + e.getCause());
    }

    private Map<String, Object> answer(String[] words) {
        try {
            switch (words[0]) {
                case "send":
                    return send(words[1], Integer.parseInt(words[2]), Integer.parseInt(words[3]));
                case "consume":
                    consume(words[1], Integer.parseInt(words[2]));
                    return Collections.emptyMap();
                case "consumed":
                    return judged(groups.get(words[1]));
                case "read":
                    Seen seen = new Seen(0);
                    c.readAll(topic).forEach(seen::add);
                    return judged(seen);
                case "acknowledged":
                    return new TreeMap<>(acknowledged);
                case "look":
                    return look(words[1]);
                default:
                    throw new IllegalArgumentException(words[0]);
            }
        } catch (Exception e) {
            return failure(e);
        }
    }

    private Map<String, Object> send(String way, int count, int size) throws InterruptedException {
        Map<String, Object> answer = new TreeMap<>();
        int stored = 0;
        while (stored < count) {
            String id = c.named("m" + sent++);
            SendResult result;
            try {
                result = sent(way, new Message(topic, "A", id, body(id, size)));
            } catch (InterruptedException e) {
                throw e;
            } catch (Exception e) {
                Map<String, Object> refusal = refusal(e);
                refused.put(id, refusal.get("remark"));
                answer.put("refused", refusal);
                break;
            }
            boolean ok = result.getSendStatus() == SendStatus.SEND_OK;
            (ok ? acknowledged : late).put(id, result.getMessageQueue().getQueueId() + "@" + result.getQueueOffset());
            offsetIds.put(id, result.getOffsetMsgId());
            if (!ok) {
                answer.put("status", result.getSendStatus());
                break;
            }
            stored++;
        }
        answer.put("stored", stored);
        return answer;
    }

    private SendResult sent(String way, Message message) throws Exception {
        if (way.equals("sync")) {
            return producer.send(message);
        }
        if (way.equals("queue")) {
            return producer.send(message, queues.get(sent % QUEUES));
        }
        CompletableFuture<SendResult> outcome = new CompletableFuture<>();
        producer.send(message, new SendCallback() {
            @Override
            public void onSuccess(SendResult result) {
                outcome.complete(result);
            }

            @Override
            public void onException(Throwable e) {
                outcome.completeExceptionally(e);
            }
        });
        try {
            return outcome.get(20, TimeUnit.SECONDS);
        } catch (ExecutionException e) {
            throw e.getCause() instanceof Exception ? (Exception) e.getCause() : e;
        }
    }

    /** What was thrown, with its code, and what the broker said. */
    private static Map<String, Object> refusal(Exception thrown) {
        Map<String, Object> said = new TreeMap<>();
        said.put("thrown", thrown.getClass().getSimpleName());
        said.put("text", String.valueOf(thrown.getMessage()));
        if (thrown instanceof MQClientException) {
            said.put("code", ((MQClientException) thrown).getResponseCode());
        }
        Throwable broker = thrown instanceof MQBrokerException ? thrown : thrown.getCause();
        if (broker instanceof MQBrokerException) {
            said.put("brokerCode", ((MQBrokerException) broker).getResponseCode());
            said.put("remark", ((MQBrokerException) broker).getErrorMessage());
        }
        return said;
    }

    private void consume(String group, int failures) throws Exception {
        Seen seen = new Seen(failures);
        groups.put(group, seen);
        DefaultMQPushConsumer consumer = c.push(c.named(group), topic, "*");
        consumer.setPollNameServerInterval(2_000);
        consumer.setPersistConsumerOffsetInterval(1_000);
        consumer.registerMessageListener((MessageListenerConcurrently) (messages, context) -> {
            if (seen.fails()) {
                return ConsumeConcurrentlyStatus.RECONSUME_LATER;
            }
            messages.forEach(seen::add);
            return ConsumeConcurrentlyStatus.CONSUME_SUCCESS;
        });
        consumer.start();
    }

    private Map<String, Object> judged(Seen seen) {
        Map<String, String> missing = new TreeMap<>(acknowledged);
        Map<String, Object> unacknowledged = new TreeMap<>();
        List<String> elsewhere = new ArrayList<>();
        int lateOnes = 0;
        for (Map.Entry<String, String> had : seen.places.entrySet()) {
            String place = missing.remove(had.getKey());
            if (place == null) {
                place = late.get(had.getKey());
                lateOnes += place == null ? 0 : 1;
            }
            if (place == null) {
                unacknowledged.put(had.getKey(), refused.get(had.getKey()));
            } else if (!place.equals(had.getValue())) {
                elsewhere.add(had.getKey() + " " + place + ", came from " + had.getValue());
            }
        }
        Map<String, Object> answer = new TreeMap<>();
        answer.put("had", seen.places.size());
        answer.put("again", seen.again.get());
        answer.put("failed", seen.failed.get());
        answer.put("wrong", seen.wrong);
        answer.put("late", lateOnes);
        answer.put("missing", missing);
        answer.put("unacknowledged", unacknowledged);
        answer.put("elsewhere", elsewhere);
        return answer;
    }

    private Map<String, Object> look(String id) throws InterruptedException {
        Map<String, Object> answer = new TreeMap<>();
        answer.put("key", found(() -> producer.queryMessage(topic, id, 8, 0, Long.MAX_VALUE).getMessageList()));
        answer.put("offsetId", found(() -> Collections.singletonList(producer.viewMessage(topic, offsetIds.get(id)))));
        return answer;
    }

    /** Ids of what is found, null for a body that is none; or how the call fails. */
    private static Object found(Callable<List<MessageExt>> call) throws InterruptedException {
        List<Object> ids = new ArrayList<>();
        String failure = Context.failure(() -> {
            for (MessageExt message : call.call()) {
                ids.add(message == null ? "none" : id(message.getBody()));
            }
            return null;
        });
        return failure.equals("none") ? ids : failure;
    }

    /** Id, size, and what cannot be compressed. */
    private static byte[] body(String id, int size) {
        byte[] head = (id + ":" + size + ":").getBytes(StandardCharsets.UTF_8);
        byte[] body = new byte[Math.max(size, head.length)];
        new Random(id.hashCode()).nextBytes(body);
        System.arraycopy(head, 0, body, 0, head.length);
        return body;
    }

    /** Of a body as it was sent; null of any other. */
    private static String id(byte[] body) {
        String[] head = new String(body, 0, Math.min(body.length, 100), StandardCharsets.UTF_8).split(":", 3);
        try {
            return Arrays.equals(body, body(head[0], Integer.parseInt(head[1]))) ? head[0] : null;
        } catch (ArrayIndexOutOfBoundsException | NumberFormatException | NegativeArraySizeException e) {
            return null;
        }
    }

    /** What a reader has had. */
    private static final class Seen {
        final Map<String, String> places = new ConcurrentHashMap<>();
        final Queue<String> wrong = new ConcurrentLinkedQueue<>();
        final AtomicInteger again = new AtomicInteger();
        final AtomicInteger failed = new AtomicInteger();
        private final int failures;

        Seen(int failures) {
            this.failures = failures;
        }

        boolean fails() {
            return failed.getAndUpdate(before -> Math.min(before + 1, failures)) < failures;
        }

        void add(MessageExt message) {
            String place = message.getQueueId() + "@" + message.getQueueOffset();
            String id = id(message.getBody());
            if (id == null) {
                wrong.add(place);
            } else if (places.put(id, place) != null) {
                again.incrementAndGet();
            }
        }
    }
}
