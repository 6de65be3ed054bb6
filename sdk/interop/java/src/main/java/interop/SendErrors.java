package interop;

import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import org.apache.rocketmq.client.exception.MQBrokerException;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.client.producer.SendCallback;
import org.apache.rocketmq.client.producer.SendResult;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageQueue;

/** What a producer may not send, and that a refused message leaves nothing behind. */
final class SendErrors {
    private SendErrors() {
    }

    static void register(Map<String, Scenario> all) {
        all.put("send-errors", SendErrors::errors);
        all.put("send-unknown-topic", SendErrors::unknownTopic);
    }

    private static void errors(Context c) throws Exception {
        String topic = c.topic("T", 1);
        DefaultMQProducer producer = c.newProducer(false);
        producer.setMaxMessageSize(12 * 1024 * 1024);
        producer.setCompressMsgBodyOverHowmuch(16 * 1024 * 1024);
        producer.start();
        MessageQueue queue = c.queues(topic).get(0);
        Message oversize = new Message(topic, new byte[5 * 1024 * 1024]);
        c.expect("oversize", "broker 13", Context.failure(() -> producer.send(oversize)));
        c.expect("oversizeAsync", "broker 13", asyncFailure(producer, oversize));
        Message wordy = new Message(topic, new byte[] {1});
        wordy.putUserProperty("wordy", new String(new char[33_000]).replace('\0', 'p'));
        c.expect("properties", "broker 13", Context.failure(() -> producer.send(wordy)));
        MessageQueue beyond = new MessageQueue(topic, queue.getBrokerName(), 99);
        c.fact("queueOutOfRange", Context.failure(() -> producer.send(new Message(topic, new byte[] {1}), beyond)));
        c.fact("emptyBody", Context.failure(() -> producer.send(new Message(topic, new byte[0]))));
        c.fact("badCharacters", Context.failure(() -> producer.send(new Message("a/../b", new byte[] {1}))));
        String longest = new String(new char[130]).replace('\0', 't');
        c.fact("longTopic", Context.failure(() -> producer.send(new Message(longest, new byte[] {1}))));
        c.fact("systemTopic", Context.failure(() -> producer.send(new Message("SCHEDULE_TOPIC_XXXX", new byte[] {1}))));
        c.expect("stored", 0, c.readAll(topic).size());
        c.expect("afterwards", "none", Context.failure(() -> producer.send(new Message(topic, new byte[] {1}))));
        c.expect("storedAfterwards", 1, c.readAll(topic).size());
    }

    private static String asyncFailure(DefaultMQProducer producer, Message message) throws Exception {
        CompletableFuture<String> outcome = new CompletableFuture<>();
        producer.send(message, new SendCallback() {
            @Override
            public void onSuccess(SendResult result) {
                outcome.complete("none");
            }

            @Override
            public void onException(Throwable e) {
                outcome.complete(e instanceof MQBrokerException
                    ? "broker " + ((MQBrokerException) e).getResponseCode() : e.getClass().getSimpleName());
            }
        });
        return outcome.get(20, TimeUnit.SECONDS);
    }

    /** A topic that nobody created is made by the first send, with the client's four queues. */
    private static void unknownTopic(Context c) throws Exception {
        String topic = c.named("NEW");
        c.expect("routeBefore", "client 17", Context.failure(() -> c.producer().fetchPublishMessageQueues(topic))
            .replaceAll("client -?\\d+.*", "client 17"));
        c.expect("status", "SEND_OK", c.producer().send(Context.message(topic, "A", "k", "first")).getSendStatus());
        c.await("route", 10, () -> !c.queues(topic).isEmpty());
        c.expect("queues", 4, c.queues(topic).size());
        c.expect("stored", "[first]", Context.texts(c.readAll(topic)));
    }
}
