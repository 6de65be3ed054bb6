package interop;

import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.listener.ConsumeConcurrentlyStatus;
import org.apache.rocketmq.client.consumer.listener.MessageListenerConcurrently;
import org.apache.rocketmq.client.consumer.rebalance.AllocateMessageQueueAveragely;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.client.producer.LocalTransactionState;
import org.apache.rocketmq.client.producer.SendResult;
import org.apache.rocketmq.client.producer.SendStatus;
import org.apache.rocketmq.client.trace.TraceBean;
import org.apache.rocketmq.client.trace.TraceContext;
import org.apache.rocketmq.client.trace.TraceDataEncoder;
import org.apache.rocketmq.client.trace.TraceType;
import org.apache.rocketmq.common.consumer.ConsumeFromWhere;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageType;

/**
 * An application that knows nothing of traces: an agent beside it does. A request is a line of words, the answer is one line:
 * `send TOPIC DELAY_LEVEL`, `batch TOPIC COUNT`, `consume GROUP TOPIC COUNT FAILURES RETRIES`. FAILURES are the times that each message is
 * sent back, to come again after a second; with more than RETRIES of them it becomes a dead letter, and need not come again.
 * `told KIND TOPIC ID OUTCOME` writes what the client's own encoder makes of a transaction's end or of a recall into RocketMQ's trace topic.
 */
public final class Traced {
    private Traced() {
    }

    /** `Traced NAMESRV [bridged]`: with the second word the client traces by itself, as RocketMQ has it. */
    public static void main(String[] arguments) throws Exception {
        PrintStream out = System.out;
        System.setOut(System.err);
        boolean bridged = arguments.length > 1;
        DefaultMQProducer producer = new DefaultMQProducer("traced-producer", null, bridged, null);
        producer.setNamesrvAddr(arguments[0]);
        producer.setSendMsgTimeout(20_000);
        // An agent makes the first calls slow.
        producer.setMqClientApiTimeout(20_000);
        producer.start();
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line; (line = in.readLine()) != null; ) {
            String answer;
            try {
                String[] words = line.split(" ");
                if (words[0].equals("consume")) {
                    answer = consume(arguments[0], words, bridged);
                } else {
                    answer = words[0].equals("told") ? told(producer, words) : send(producer, words);
                }
            } catch (Exception failed) {
                answer = ("failed " + failed).replaceAll("\\R", " ");
            }
            out.println(answer);
            out.flush();
        }
        producer.shutdown();
        System.exit(0);
    }

    private static String send(DefaultMQProducer producer, String[] words) throws Exception {
        SendResult sent;
        if (words[0].equals("batch")) {
            List<Message> messages = new ArrayList<>();
            for (int i = 0; i < Integer.parseInt(words[2]); i++) {
                messages.add(new Message(words[1], ("batched " + i).getBytes(StandardCharsets.UTF_8)));
            }
            sent = producer.send(messages);
        } else {
            Message message = new Message(words[1], "tag", "key", "traced".getBytes(StandardCharsets.UTF_8));
            if (!words[2].equals("0")) {
                message.setDelayTimeLevel(Integer.parseInt(words[2]));
            }
            sent = producer.send(message);
        }
        return sent.getSendStatus() == SendStatus.SEND_OK ? "ok " + sent.getMsgId() : sent.getSendStatus().toString();
    }

    private static String told(DefaultMQProducer producer, String[] words) throws Exception {
        TraceBean bean = new TraceBean();
        bean.setTopic(words[2]);
        bean.setMsgId(words[3]);
        bean.setMsgType(MessageType.Trans_msg_Commit);
        bean.setTransactionId("transaction");
        TraceContext context = new TraceContext();
        // Old clients have no recall.
        context.setTraceType(TraceType.valueOf(words[1]));
        context.setRegionId("region");
        context.setGroupName("traced-producer");
        context.setTraceBeans(new ArrayList<>());
        context.getTraceBeans().add(bean);
        if (words[1].equals("EndTransaction")) {
            bean.setTransactionState(LocalTransactionState.valueOf(words[4]));
        } else {
            context.setSuccess(Boolean.parseBoolean(words[4]));
        }
        String data = TraceDataEncoder.encoderFromContextBean(context).getTransData();
        SendResult sent = producer.send(new Message("RMQ_SYS_TRACE_TOPIC", data.getBytes(StandardCharsets.UTF_8)));
        return sent.getSendStatus() == SendStatus.SEND_OK ? "ok" : sent.getSendStatus().toString();
    }

    private static String consume(String namesrv, String[] words, boolean bridged) throws Exception {
        int failures = Integer.parseInt(words[4]);
        int retries = Integer.parseInt(words[5]);
        DefaultMQPushConsumer consumer = new DefaultMQPushConsumer(words[1], null, new AllocateMessageQueueAveragely(), bridged,
            null);
        consumer.setNamesrvAddr(namesrv);
        consumer.setMqClientApiTimeout(20_000);
        consumer.setConsumeFromWhere(ConsumeFromWhere.CONSUME_FROM_FIRST_OFFSET);
        consumer.setMaxReconsumeTimes(retries);
        // What is sent back last must have left.
        consumer.setAwaitTerminationMillisWhenShutdown(20_000);
        consumer.subscribe(words[2], "*");
        Map<String, Integer> failed = new ConcurrentHashMap<>();
        CountDownLatch left = new CountDownLatch(Integer.parseInt(words[3]));
        consumer.registerMessageListener((MessageListenerConcurrently) (messages, context) -> {
            int times = failed.merge(messages.get(0).getMsgId(), 1, Integer::sum);
            context.setDelayLevelWhenNextConsume(times > retries ? -1 : 1);
            if (times > failures || times > retries) {
                left.countDown();
            }
            return times > failures ? ConsumeConcurrentlyStatus.CONSUME_SUCCESS : ConsumeConcurrentlyStatus.RECONSUME_LATER;
        });
        consumer.start();
        boolean all = left.await(60, TimeUnit.SECONDS);
        if (!bridged) {
            // Some clients forget what they have not told yet when they stop.
            consumer.shutdown();
        }
        return all ? "ok" : "missing " + left.getCount();
    }
}
