package interop;

import java.nio.charset.StandardCharsets;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Collection;
import java.util.Deque;
import java.util.List;
import java.util.Objects;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.concurrent.Callable;
import java.util.concurrent.atomic.AtomicInteger;
import org.apache.rocketmq.acl.common.AclClientRPCHook;
import org.apache.rocketmq.acl.common.SessionCredentials;
import org.apache.rocketmq.client.ClientConfig;
import org.apache.rocketmq.client.consumer.DefaultLitePullConsumer;
import org.apache.rocketmq.client.consumer.DefaultMQPullConsumer;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.PullResult;
import org.apache.rocketmq.client.consumer.PullStatus;
import org.apache.rocketmq.client.consumer.rebalance.AllocateMessageQueueAveragely;
import org.apache.rocketmq.client.exception.MQBrokerException;
import org.apache.rocketmq.client.exception.MQClientException;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.common.consumer.ConsumeFromWhere;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageExt;
import org.apache.rocketmq.common.message.MessageQueue;
import org.apache.rocketmq.remoting.RPCHook;

/** One scenario's names, clients and facts. Clients made here are shut down when the scenario ends. */
final class Context {
    private static final AtomicInteger CLIENTS = new AtomicInteger();
    final int brokers;
    private final String namesrv;
    private final String name;
    private final String runId;
    private final TreeMap<String, Object> facts = new TreeMap<>();
    private final List<String> failures = new ArrayList<>();
    private final Deque<Runnable> closers = new ArrayDeque<>();
    private DefaultMQProducer producer;
    private DefaultMQPullConsumer reader;

    Context(String namesrv, int brokers, String name, String runId) {
        this.namesrv = namesrv;
        this.brokers = brokers;
        this.name = name;
        this.runId = runId;
    }

    synchronized void fact(String key, Object value) {
        facts.put(key, value);
    }

    /** A fact that this scenario itself can judge. */
    synchronized void expect(String key, Object expected, Object actual) {
        facts.put(key, actual);
        if (!Objects.equals(String.valueOf(expected), String.valueOf(actual))) {
            failures.add(key + ": expected " + expected + ", got " + actual);
        }
    }

    synchronized void fail(String why) {
        failures.add(why);
    }

    synchronized String transcript() {
        TreeMap<String, Object> line = new TreeMap<>();
        line.put("scenario", name);
        line.put("outcome", failures.isEmpty() ? "ok" : "fail");
        line.put("facts", facts);
        line.put("why", failures);
        return Json.of(line).replace(runId, "RUN");
    }

    String named(String suffix) {
        return name + "-" + suffix + "-" + runId;
    }

    /** Creates the topic on every broker and waits until the name server routes to all of its queues. */
    String topic(String suffix, int queues) throws Exception {
        String topic = named(suffix);
        Compat.createTopic(producer(), "TBW102", topic, queues);
        await("route of " + topic, 40, () -> reader().fetchSubscribeMessageQueues(topic).size() == queues * brokers);
        return topic;
    }

    List<MessageQueue> queues(String topic) throws Exception {
        return new ArrayList<>(new TreeSet<>(reader().fetchSubscribeMessageQueues(topic)));
    }

    DefaultMQProducer producer() throws Exception {
        if (producer == null) {
            producer = newProducer(false);
            producer.start();
        }
        return producer;
    }

    DefaultMQProducer newProducer(boolean traced) {
        DefaultMQProducer made = new DefaultMQProducer(named("P"), hook(), traced, null);
        configure(made);
        made.setSendMsgTimeout(10_000);
        closers.push(made::shutdown);
        return made;
    }

    DefaultMQPushConsumer push(String group, String topic, String tags) throws Exception {
        return push(group, topic, tags, false);
    }

    DefaultMQPushConsumer push(String group, String topic, String tags, boolean traced) throws Exception {
        DefaultMQPushConsumer made = new DefaultMQPushConsumer(group, hook(), new AllocateMessageQueueAveragely(), traced, null);
        configure(made);
        made.setConsumeFromWhere(ConsumeFromWhere.CONSUME_FROM_FIRST_OFFSET);
        made.setConsumeThreadMin(4);
        made.setConsumeThreadMax(4);
        made.subscribe(topic, tags);
        closers.push(made::shutdown);
        return made;
    }

    DefaultLitePullConsumer lite(String group) {
        DefaultLitePullConsumer made = new DefaultLitePullConsumer(group, hook());
        configure(made);
        made.setPullThreadNums(4);
        made.setConsumeFromWhere(ConsumeFromWhere.CONSUME_FROM_FIRST_OFFSET);
        closers.push(made::shutdown);
        return made;
    }

    DefaultMQPullConsumer pull(String group) {
        DefaultMQPullConsumer made = new DefaultMQPullConsumer(group, hook());
        configure(made);
        closers.push(made::shutdown);
        return made;
    }

    synchronized DefaultMQPullConsumer reader() throws Exception {
        if (reader == null) {
            reader = pull(named("READER"));
            reader.start();
        }
        return reader;
    }

    /** Everything that can be read from a topic now, queue by queue. */
    List<MessageExt> readAll(String topic) throws Exception {
        List<MessageExt> all = new ArrayList<>();
        long deadline = System.nanoTime() + 30_000_000_000L;
        for (MessageQueue queue : queues(topic)) {
            long next = reader().minOffset(queue);
            while (next < reader().maxOffset(queue)) {
                if (System.nanoTime() > deadline) {
                    throw new IllegalStateException("reading " + queue + " stays at " + next + " of " + reader().maxOffset(queue));
                }
                PullResult result = reader().pull(queue, "*", next, 32);
                if (result.getPullStatus() == PullStatus.FOUND) {
                    all.addAll(result.getMsgFoundList());
                }
                next = result.getNextBeginOffset();
            }
        }
        return all;
    }

    void close() {
        for (Runnable closer : closers) {
            try {
                closer.run();
            } catch (RuntimeException e) {
                fail("shutdown: " + e);
            }
        }
    }

    /** What signs requests, where the environment names a user; TLS is told to the whole JVM by its properties. */
    private static RPCHook hook() {
        String user = System.getenv("INTEROP_ACCESS_KEY");
        return user == null ? null : new AclClientRPCHook(new SessionCredentials(user, System.getenv("INTEROP_SECRET_KEY")));
    }

    private void configure(ClientConfig client) {
        client.setNamesrvAddr(namesrv);
        client.setInstanceName(runId + "_" + CLIENTS.incrementAndGet());
        client.setClientCallbackExecutorThreads(2);
        // 5.x clients change a subscription's version at rebalance, and may leave the heartbeat that tells to the timer (30 s)
        client.setHeartbeatBrokerInterval(1_000);
    }

    /** Waits for a condition; false after the deadline. Exceptions count as "not yet". */
    boolean await(String what, int seconds, Callable<Boolean> condition) throws InterruptedException {
        long deadline = System.nanoTime() + seconds * 1_000_000_000L;
        Exception last = null;
        do {
            try {
                if (condition.call()) {
                    return true;
                }
                last = null;
            } catch (InterruptedException e) {
                throw e;
            } catch (Exception e) {
                last = e;
            }
            Thread.sleep(50);
        } while (System.nanoTime() < deadline);
        fail("not within " + seconds + " s: " + what + (last == null ? "" : " (" + last + ")"));
        return false;
    }

    /** The kind and code of the exception a call ends with, "none" if it ends well. Texts are not compared. */
    static String failure(Callable<?> call) throws InterruptedException {
        try {
            call.call();
            return "none";
        } catch (InterruptedException e) {
            throw e;
        } catch (MQBrokerException e) {
            return "broker " + e.getResponseCode();
        } catch (MQClientException e) {
            Throwable cause = e.getCause();
            String inner = cause instanceof MQBrokerException ? " broker " + ((MQBrokerException) cause).getResponseCode() : "";
            return "client " + e.getResponseCode() + inner;
        } catch (Exception e) {
            return e.getClass().getSimpleName();
        }
    }

    static Message message(String topic, String tags, String keys, String body) {
        return new Message(topic, tags, keys, body.getBytes(StandardCharsets.UTF_8));
    }

    static String text(MessageExt message) {
        return new String(message.getBody(), StandardCharsets.UTF_8);
    }

    static Set<String> texts(Collection<MessageExt> messages) {
        Set<String> bodies = new TreeSet<>();
        messages.forEach(message -> bodies.add(text(message)));
        return bodies;
    }

    static Set<String> properties(MessageExt message) {
        return new TreeSet<>(message.getProperties().keySet());
    }
}
