package interop;

import java.io.PrintStream;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicLong;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.listener.ConsumeConcurrentlyStatus;
import org.apache.rocketmq.client.consumer.listener.MessageListenerConcurrently;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.client.producer.SendStatus;

/**
 * A producer and a consumer that run on while the driver kills and restarts servers. Prints `sent N consumed M gap MS` lines;
 * at a line on stdin it stops sending, waits for what was acknowledged, and prints its transcript.
 */
final class Continuous {
    private final Set<String> acknowledged = ConcurrentHashMap.newKeySet();
    private final Set<String> consumed = ConcurrentHashMap.newKeySet();
    private final AtomicLong refused = new AtomicLong();
    private final AtomicLong longestGapMs = new AtomicLong();
    private final AtomicBoolean stop = new AtomicBoolean();

    private Continuous() {
    }

    static void main(Context c, PrintStream out) throws Exception {
        new Continuous().run(c, out);
    }

    private void run(Context c, PrintStream out) throws Exception {
        String topic = c.topic("T", 2);
        DefaultMQPushConsumer consumer = c.push(c.named("G"), topic, "*");
        consumer.setPollNameServerInterval(2_000);
        consumer.setHeartbeatBrokerInterval(2_000);
        consumer.setPersistConsumerOffsetInterval(1_000);
        consumer.registerMessageListener((MessageListenerConcurrently) (messages, context) -> {
            messages.forEach(message -> consumed.add(Context.text(message)));
            return ConsumeConcurrentlyStatus.CONSUME_SUCCESS;
        });
        consumer.start();
        DefaultMQProducer producer = c.newProducer(false);
        producer.setPollNameServerInterval(2_000);
        producer.setSendMsgTimeout(3_000);
        producer.setRetryTimesWhenSendFailed(3);
        producer.start();
        List<Thread> senders = new ArrayList<>();
        for (int i = 0; i < 2; i++) {
            String prefix = "s" + i + "-";
            Thread sender = new Thread(() -> send(producer, topic, prefix));
            sender.start();
            senders.add(sender);
        }
        Thread progress = new Thread(() -> {
            while (!stop.get()) {
                out.println("sent " + acknowledged.size() + " consumed " + consumed.size() + " gap " + longestGapMs.get());
                out.flush();
                pause(200);
            }
        });
        progress.start();
        System.in.read();
        stop.set(true);
        for (Thread sender : senders) {
            sender.join();
        }
        c.await("everything acknowledged is consumed", 60, () -> consumed.containsAll(acknowledged));
        acknowledged.removeAll(consumed);
        c.expect("lost", 0, acknowledged.size());
        c.expect("goesOn", true, longestGapMs.get() < 15_000);
        System.err.println("consumed " + consumed.size() + " refused " + refused.get() + " longest gap ms " + longestGapMs.get()
            + " lost " + acknowledged);
        out.println(c.transcript());
        out.flush();
    }

    private void send(DefaultMQProducer producer, String topic, String prefix) {
        long last = System.currentTimeMillis();
        for (int i = 0; !stop.get(); i++) {
            String body = prefix + i;
            try {
                if (producer.send(Context.message(topic, "A", null, body)).getSendStatus() == SendStatus.SEND_OK) {
                    acknowledged.add(body);
                    long now = System.currentTimeMillis();
                    long gap = now - last;
                    longestGapMs.accumulateAndGet(gap, Math::max);
                    last = now;
                }
            } catch (Exception e) {
                refused.incrementAndGet();
            }
            pause(10);
        }
    }

    private static void pause(long ms) {
        try {
            Thread.sleep(ms);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }
}
