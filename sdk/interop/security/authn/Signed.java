import java.io.*;
import java.nio.charset.StandardCharsets;
import java.util.*;
import java.util.concurrent.*;
import org.apache.rocketmq.acl.common.AclClientRPCHook;
import org.apache.rocketmq.acl.common.SessionCredentials;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.listener.ConsumeConcurrentlyStatus;
import org.apache.rocketmq.client.consumer.listener.MessageListenerConcurrently;
import org.apache.rocketmq.client.consumer.rebalance.AllocateMessageQueueAveragely;
import org.apache.rocketmq.client.exception.MQBrokerException;
import org.apache.rocketmq.client.exception.MQClientException;
import org.apache.rocketmq.client.producer.*;
import org.apache.rocketmq.common.consumer.ConsumeFromWhere;
import org.apache.rocketmq.common.message.*;
import org.apache.rocketmq.remoting.RPCHook;

/**
 * The official client with the official hook that signs. A request is a line of words, the answer is one line:
 * `producer ID NAME SECRET`, `send ID TOPIC COUNT`, `async ID TOPIC COUNT`, `batch ID TOPIC COUNT`, `query ID TOPIC KEY`, `consume NAME SECRET TOPIC COUNT`.
 * NAME `-` is nobody.
 */
public class Signed {
    static final Map<String, DefaultMQProducer> producers = new HashMap<>();
    static String namesrv;

    static RPCHook hook(String name, String secret) {
        return name.equals("-") ? null : new AclClientRPCHook(new SessionCredentials(name, secret));
    }

    public static void main(String[] arguments) throws Exception {
        PrintStream out = System.out;
        System.setOut(System.err);
        namesrv = arguments[0];
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line; (line = in.readLine()) != null; ) {
            String answer;
            try {
                answer = answer(line.split(" "));
            } catch (MQBrokerException refused) {
                answer = "code " + refused.getResponseCode();
            } catch (MQClientException gaveUp) {
                answer = gaveUp.getResponseCode() > 0 ? "code " + gaveUp.getResponseCode() : "failed MQClientException";
            } catch (Throwable failed) {
                answer = "failed " + failed.getClass().getSimpleName();
            }
            out.println(answer);
            out.flush();
        }
        System.exit(0);
    }

    static String answer(String[] words) throws Exception {
        switch (words[0]) {
            case "producer": {
                DefaultMQProducer made = new DefaultMQProducer("signed-producer", hook(words[2], words[3]));
                made.setNamesrvAddr(namesrv);
                made.setInstanceName(words[1]);
                made.setSendMsgTimeout(10_000);
                made.start();
                producers.put(words[1], made);
                return "ok";
            }
            case "send": {
                for (int i = 0; i < Integer.parseInt(words[3]); i++) {
                    Message message = new Message(words[2], "tag", "key" + i, ("body é " + i).getBytes(StandardCharsets.UTF_8));
                    SendResult result = producers.get(words[1]).send(message);
                    if (result.getSendStatus() != SendStatus.SEND_OK) return result.getSendStatus().toString();
                }
                return "ok";
            }
            case "async": {
                int count = Integer.parseInt(words[3]);
                CountDownLatch left = new CountDownLatch(count);
                List<String> failed = Collections.synchronizedList(new ArrayList<>());
                for (int i = 0; i < count; i++) {
                    Message message = new Message(words[2], ("async " + i).getBytes(StandardCharsets.UTF_8));
                    producers.get(words[1]).send(message, new SendCallback() {
                        @Override public void onSuccess(SendResult result) { left.countDown(); }
                        @Override public void onException(Throwable e) { failed.add(e.toString()); left.countDown(); }
                    });
                }
                return left.await(30, TimeUnit.SECONDS) && failed.isEmpty() ? "ok" : "failed " + failed;
            }
            case "batch": {
                List<Message> messages = new ArrayList<>();
                for (int i = 0; i < Integer.parseInt(words[3]); i++) {
                    messages.add(new Message(words[2], ("batched " + i).getBytes(StandardCharsets.UTF_8)));
                }
                return producers.get(words[1]).send(messages).getSendStatus() == SendStatus.SEND_OK ? "ok" : "not stored";
            }
            case "query": {
                long now = System.currentTimeMillis();
                return "found " + producers.get(words[1]).queryMessage(words[2], words[3], 32, now - 600_000, now + 600_000).getMessageList().size();
            }
            case "consume": {
                int count = Integer.parseInt(words[4]);
                DefaultMQPushConsumer consumer = new DefaultMQPushConsumer("signed-consumer-" + words[3], hook(words[1], words[2]),
                    new AllocateMessageQueueAveragely());
                consumer.setNamesrvAddr(namesrv);
                consumer.setInstanceName("consumer-" + words[3]);
                consumer.setConsumeFromWhere(ConsumeFromWhere.CONSUME_FROM_FIRST_OFFSET);
                consumer.subscribe(words[3], "*");
                CountDownLatch left = new CountDownLatch(count);
                consumer.registerMessageListener((MessageListenerConcurrently) (messages, context) -> {
                    messages.forEach(message -> left.countDown());
                    return ConsumeConcurrentlyStatus.CONSUME_SUCCESS;
                });
                consumer.start();
                boolean all = left.await(40, TimeUnit.SECONDS);
                consumer.shutdown();
                return all ? "ok" : "missing " + left.getCount();
            }
            default:
                return "unknown";
        }
    }
}
