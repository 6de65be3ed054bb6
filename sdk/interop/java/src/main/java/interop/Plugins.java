package interop;

import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.Collection;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.concurrent.Callable;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.TimeUnit;
import org.apache.rocketmq.client.consumer.DefaultMQPullConsumer;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.exception.MQBrokerException;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.client.producer.SendCallback;
import org.apache.rocketmq.client.producer.SendResult;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageExt;
import org.apache.rocketmq.common.message.MessageQueue;

/** What a client sees of the bundled plugins. They are bound as harness/plugins.py says; only its part runs these scenarios. */
final class Plugins {
    static final String PREFIX = "plugin-";
    private static final String QUARANTINE = "anonymous is in quarantine: ask the operator of this broker";

    private Plugins() {
    }

    static void register(Map<String, Scenario> all) {
        all.put("plugin-acl-send", Plugins::send);
        all.put("plugin-acl-pull", Plugins::pull);
        all.put("plugin-acl-rate", Plugins::rate);
        all.put("plugin-acl-route", Plugins::route);
        all.put("plugin-acl-registration", Plugins::registration);
        all.put("plugin-filter", Plugins::filter);
        all.put("plugin-fates", Plugins::fates);
        all.put("plugin-required-tag", Plugins::requiredTag);
    }

    /** Nothing may be sent to a guarded topic: not alone, not at once, not by callback and not without an answer. */
    private static void send(Context c) throws Exception {
        String topic = c.topic("GUARDED", 2);
        DefaultMQProducer producer = c.producer();
        Message message = Context.message(topic, "A", "k", "refused");
        c.expect("sync", "client 16 broker 16", Context.failure(() -> producer.send(message)));
        c.expect("toldWhy", true, told(() -> producer.send(message)).contains(QUARANTINE));
        c.expect("batch", "client 16 broker 16", Context.failure(() -> producer.send(Collections.singletonList(message))));
        MessageQueue queue = c.queues(topic).get(0);
        c.expect("toAQueue", "broker 16", Context.failure(() -> producer.send(message, queue)));
        CompletableFuture<Throwable> async = new CompletableFuture<>();
        producer.send(message, new SendCallback() {
            @Override
            public void onSuccess(SendResult result) {
                async.complete(null);
            }

            @Override
            public void onException(Throwable e) {
                async.complete(e);
            }
        });
        Throwable refusal = async.get(20, TimeUnit.SECONDS);
        c.expect("async", "16", refusal instanceof MQBrokerException ? ((MQBrokerException) refusal).getResponseCode() : refusal);
        producer.sendOneway(message);
        String open = c.topic("OPEN", 1);
        c.expect("elsewhere", "none", Context.failure(() -> producer.send(Context.message(open, "A", "k", "stored"))));
        c.expect("storedElsewhere", 1, c.readAll(open).size());
        c.expect("stored", 0, c.readAll(topic).size());
    }

    /** A group that is kept out of a topic gets nothing of it, whichever way it asks; another group gets all. */
    private static void pull(Context c) throws Exception {
        String topic = c.topic("GUARDED", 1);
        Push.send(c, topic, "m", 4);
        DefaultMQPullConsumer pulling = c.pull(c.named("KEPTOUT-PULL"));
        pulling.start();
        MessageQueue queue = c.queues(topic).get(0);
        c.expect("pull", "broker 16", Context.failure(() -> pulling.pull(queue, "*", 0, 32)));
        c.expect("toldWhy", true, told(() -> pulling.pull(queue, "*", 0, 32)).contains(QUARANTINE));
        Collection<MessageExt> keptOut = consume(c, "KEPTOUT-PUSH", topic, "*");
        Collection<MessageExt> others = consume(c, "ANYBODY", topic, "*");
        c.await("4 messages", 30, () -> others.size() >= 4);
        Thread.sleep(4_000); // a push consumer asks again 3 s after it was refused
        c.expect("others", 4, others.size());
        c.expect("keptOut", 0, keptOut.size());
    }

    /** Beyond the rate a producer is refused at once, with the code for flow control; nothing of it is stored. */
    private static void rate(Context c) throws Exception {
        String topic = c.topic("LIMITED", 1);
        int accepted = 0;
        TreeSet<String> outcomes = new TreeSet<>();
        for (int i = 0; i < 40; i++) {
            Message message = Context.message(topic, "A", "k", "m" + i);
            String outcome = Context.failure(() -> c.producer().send(message));
            accepted += outcome.equals("none") ? 1 : 0;
            outcomes.add(outcome);
        }
        c.expect("outcomes", "[broker 215, none]", outcomes);
        c.await("the reason", 10, () -> told(() -> c.producer().send(Context.message(topic, "B", "k", "more")))
            .contains("may send 2 messages per second: send slower"));
        long stored = c.readAll(topic).stream().filter(message -> message.getTags().equals("A")).count();
        c.expect("storedAsAccepted", true, stored == accepted);
    }

    /**
     * A topic whose route is refused cannot be found. Where clients may make topics, a producer asks for the route of the
     * template next and sends there: who must not send has to be refused by the broker.
     */
    private static void route(Context c) throws Exception {
        String topic = c.named("HIDDEN");
        Compat.createTopic(c.producer(), "TBW102", topic, 4); // as many queues as a producer takes of the template
        c.expect("queues", "client -1", Context.failure(() -> c.reader().fetchSubscribeMessageQueues(topic)));
        c.expect("toldWhy", true, told(() -> c.reader().fetchSubscribeMessageQueues(topic)).contains(QUARANTINE));
        c.expect("sendByTheTemplate", "none", Context.failure(() -> c.producer().send(Context.message(topic, "A", "k", "there"))));
        Collection<MessageExt> seen = consume(c, "G", topic, "*");
        Thread.sleep(2_000); // nothing comes of which to wait for
        c.expect("consumed", 0, seen.size());
        String open = c.topic("OPEN", 1);
        c.expect("elsewhere", "none", Context.failure(() -> c.producer().send(Context.message(open, "A", "k", "stored"))));
    }

    /** This name server lets no broker register: its clients find none. */
    private static void registration(Context c) throws Exception {
        Message message = Context.message(c.named("T"), "A", "k", "nowhere");
        c.expect("send", "client 10005", Context.failure(() -> c.producer().send(message)));
        c.expect("queues", "client -1", Context.failure(() -> c.reader().fetchSubscribeMessageQueues(c.named("T"))));
    }

    /** What has no tag is refused, alone and in a batch; a node that runs a plugin from a template says so (plugins/languages). */
    private static void requiredTag(Context c) throws Exception {
        String topic = c.topic("T", 1);
        Message tagged = Context.message(topic, "A", "k", "tagged");
        Message bare = new Message(topic, "bare".getBytes(StandardCharsets.UTF_8));
        c.expect("tagged", "none", Context.failure(() -> c.producer().send(tagged)));
        c.expect("bare", "client 16 broker 16", Context.failure(() -> c.producer().send(bare)));
        c.expect("toldWhy", true, told(() -> c.producer().send(bare)).contains("set the property TAGS"));
        c.expect("batch", "client 16 broker 16", Context.failure(() -> c.producer().send(Arrays.asList(tagged, bare))));
        List<Message> both = Arrays.asList(Context.message(topic, "A", "k", "b1"), Context.message(topic, "A", "k", "b2"));
        c.expect("batchTagged", "none", Context.failure(() -> c.producer().send(both)));
        c.producer().sendOneway(bare);
        Collection<MessageExt> seen = consume(c, "G", topic, "A");
        c.await("3 messages", 30, () -> seen.size() >= 3);
        c.expect("stored", "[b1, b2, tagged]", Context.texts(c.readAll(topic)));
        c.expect("storedOnce", 3, c.readAll(topic).size());
    }

    /** Some groups are shown masked bodies, and not all messages; everything else of a message is as it was stored. */
    private static void filter(Context c) throws Exception {
        String topic = c.topic("MASKED", 2);
        for (int i = 0; i < 4; i++) {
            for (String tag : new String[] {"TagA", "TagB", "internal"}) {
                Message message = Context.message(topic, tag, tag + i, body(tag + i, "Ann", "123456789012"));
                message.putUserProperty("colour", "bl\u00fce");
                message.setFlag(7);
                c.producer().send(message);
            }
        }
        c.producer().send(Context.message(topic, "TagA", "text", "no JSON, Ann 123456789012"));
        Collection<MessageExt> shown = consume(c, "SHOWN", topic, "*");
        Collection<MessageExt> all = consume(c, "MASKED-ALL", topic, "*");
        Collection<MessageExt> tagged = consume(c, "MASKED-TAG", topic, "TagA");
        c.await("all that is to come", 30, () -> shown.size() >= 13 && all.size() >= 8 && tagged.size() >= 4);
        Thread.sleep(500); // what is hidden would come by now
        TreeSet<String> masked = new TreeSet<>();
        TreeSet<String> maskedA = new TreeSet<>();
        for (int i = 0; i < 4; i++) {
            maskedA.add(body("TagA" + i, "***", "***9012"));
            masked.add(body("TagB" + i, "***", "***9012"));
        }
        masked.addAll(maskedA);
        c.expect("shown", 13, shown.size());
        c.expect("all", masked, Context.texts(all));
        c.expect("allOnce", 8, all.size());
        c.expect("tagged", maskedA, Context.texts(tagged));
        c.expect("taggedOnce", 4, tagged.size());
        Map<String, String> stored = new TreeMap<>();
        shown.forEach(message -> stored.put(message.getKeys(), allButTheBody(message)));
        all.forEach(message -> c.expect("rest of " + message.getKeys(), stored.get(message.getKeys()), allButTheBody(message)));
    }

    /** What becomes of a message on its way in, and what its producer is told of it; and a group that may not pull. */
    private static void fates(Context c) throws Exception {
        String topic = c.topic("FATES", 1);
        String elsewhere = "plugin-fates-ELSEWHERE"; // the rule names it: of all that is in it one message is this run's
        Compat.createTopic(c.producer(), "TBW102", elsewhere, 1);
        c.await("route of " + elsewhere, 40, () -> c.reader().fetchSubscribeMessageQueues(elsewhere).size() == c.brokers);
        DefaultMQProducer producer = c.producer();
        Message poison = Context.message(topic, "A", "k", "poison");
        c.expect("rejected", "broker 13", Context.failure(() -> producer.send(poison)));
        c.expect("toldWhy", true, told(() -> producer.send(poison)).contains("the sample refuses this body"));
        SendResult dropped = producer.send(Context.message(topic, "A", "k", "spam"));
        c.expect("dropped", "SEND_OK at -1", dropped.getSendStatus() + " at " + dropped.getQueueOffset());
        c.expect("rerouted", "SEND_OK", producer.send(Context.message(topic, "A", "k", "elsewhere of " + topic)).getSendStatus());
        Message secretly = Context.message(topic, "A", "k", "guarded");
        c.expect("reroutedToAGuardedTopic", "client 16 broker 16", Context.failure(() -> producer.send(secretly)));
        c.expect("toldByTheGuard", true, told(() -> producer.send(secretly)).contains(QUARANTINE));
        SendResult changed = producer.send(Context.message(topic, "A", "k", "my card 1234"));
        c.expect("changed", "SEND_OK at 0", changed.getSendStatus() + " at " + changed.getQueueOffset());
        c.expect("stored", "[my card ****]", Context.texts(c.readAll(topic)));
        c.expect("storedElsewhere", 1L, c.readAll(elsewhere).stream()
            .filter(message -> new String(message.getBody(), StandardCharsets.UTF_8).equals("elsewhere of " + topic)).count());
        DefaultMQPullConsumer pulling = c.pull("plugin-fates-BLOCKED");
        pulling.start();
        MessageQueue queue = c.queues(topic).get(0);
        c.expect("pull", "broker 13", Context.failure(() -> pulling.pull(queue, "*", 0, 32)));
        c.expect("pullToldWhy", true, told(() -> pulling.pull(queue, "*", 0, 32)).contains("the sample refuses the group"));
    }

    private static String body(String id, String name, String card) {
        return "{\"id\": \"" + id + "\", \"name\":\"" + name + "\", \"card\":\"" + card + "\",\"price\":1.50}";
    }

    private static String allButTheBody(MessageExt message) {
        Map<String, String> properties = new TreeMap<>(message.getProperties());
        properties.remove("CONSUME_START_TIME");
        properties.remove("MAX_OFFSET");
        return message.getMsgId() + " " + message.getQueueId() + "@" + message.getQueueOffset() + " at " + message.getCommitLogOffset()
            + " born " + message.getBornTimestamp() + " stored " + message.getStoreTimestamp() + " flag " + message.getFlag()
            + " " + message.getSysFlag() + " " + message.getReconsumeTimes() + " " + properties;
    }

    private static Collection<MessageExt> consume(Context c, String group, String topic, String tags) throws Exception {
        Collection<MessageExt> seen = new ConcurrentLinkedQueue<>();
        DefaultMQPushConsumer consumer = c.push(c.named(group), topic, tags);
        consumer.registerMessageListener(Push.into(seen));
        consumer.start();
        return seen;
    }

    /** All that the exception of a call and its causes say; empty if it ends well. */
    private static String told(Callable<?> call) throws InterruptedException {
        try {
            call.call();
            return "";
        } catch (InterruptedException e) {
            throw e;
        } catch (Exception e) {
            StringBuilder text = new StringBuilder();
            for (Throwable each = e; each != null; each = each.getCause()) {
                text.append(each.getMessage()).append('\n');
            }
            return text.toString();
        }
    }
}
