import java.util.*;
import java.util.concurrent.*;
import org.apache.rocketmq.client.consumer.*;
import org.apache.rocketmq.client.consumer.listener.*;
import org.apache.rocketmq.client.producer.*;
import org.apache.rocketmq.common.consumer.ConsumeFromWhere;
import org.apache.rocketmq.common.message.*;

/** Drives a real Java client through its whole vocabulary, for the golden bytes. Usage: Traffic NAMESRV PREFIX */
public class Traffic {
    static String namesrv, prefix;

    static Message message(String topic, String tag, String key, String body) {
        return new Message(topic, tag, key, body.getBytes());
    }

    static void step(String name, Callable<?> work) {
        try {
            System.out.println(name + ": " + work.call());
        } catch (Throwable error) {
            System.out.println(name + ": " + error);
        }
    }

    public static void main(String[] args) throws Exception {
        namesrv = args[0];
        prefix = args[1];
        String topic = prefix + "_topic";
        DefaultMQProducer producer = new DefaultMQProducer(prefix + "_producer");
        producer.setNamesrvAddr(namesrv);
        producer.start();
        step("create topic", () -> createTopic(producer, topic));
        step("send", () -> producer.send(message(topic, "tagA", "key1 key2", "hello")));
        step("send auto", () -> producer.send(message(prefix + "_auto", "tagA", "k", "hello auto")));
        step("oneway", () -> { producer.sendOneway(message(topic, "tagB", "key3", "one way")); return ""; });
        step("batch", () -> producer.send(Arrays.asList(message(topic, "tagA", "b1", "batch 1"), message(topic, "tagB", "b2", "batch 2"))));
        step("unicode", () -> {
            Message m = message(topic, "tagÄ", "schlüssel", "größe 你好");
            m.putUserProperty("farbe", "grün");
            return producer.send(m);
        });
        SendResult sent = producer.send(message(topic, "tagC", "view", "look at me"));
        step("view", () -> producer.viewMessage(topic, sent.getOffsetMsgId()).toString().length());
        step("search", () -> producer.searchOffset(sent.getMessageQueue(), System.currentTimeMillis()));
        step("max", () -> producer.maxOffset(sent.getMessageQueue()));
        step("min", () -> producer.minOffset(sent.getMessageQueue()));
        step("earliest", () -> producer.earliestMsgStoreTime(sent.getMessageQueue()));

        DefaultMQPushConsumer push = push(prefix + "_push");
        push.subscribe(topic, "tagA || tagB");
        ConcurrentMap<String, Integer> seen = new ConcurrentHashMap<>();
        push.registerMessageListener((MessageListenerConcurrently) (list, context) -> {
            for (MessageExt m : list) {
                if (seen.merge(m.getMsgId(), 1, Integer::sum) == 1 && new String(m.getBody()).startsWith("batch")) {
                    context.setDelayLevelWhenNextConsume(1);
                    return ConsumeConcurrentlyStatus.RECONSUME_LATER;
                }
            }
            return ConsumeConcurrentlyStatus.CONSUME_SUCCESS;
        });
        push.start();
        DefaultMQPushConsumer orderly = push(prefix + "_orderly");
        orderly.subscribe(topic, "*");
        orderly.registerMessageListener((MessageListenerOrderly) (list, context) -> ConsumeOrderlyStatus.SUCCESS);
        orderly.start();
        DefaultMQPushConsumer second = push(prefix + "_push");
        second.setInstanceName("second");
        second.subscribe(topic, "tagA || tagB");
        second.registerMessageListener((MessageListenerConcurrently) (list, context) -> ConsumeConcurrentlyStatus.CONSUME_SUCCESS);
        second.start();
        DefaultMQPushConsumer pop = push(prefix + "_pop");
        step("pop", () -> DefaultMQPushConsumer.class.getMethod("setClientRebalance", boolean.class).invoke(pop, false));
        pop.subscribe(topic, "*");
        pop.registerMessageListener((MessageListenerConcurrently) (list, context) -> ConsumeConcurrentlyStatus.CONSUME_SUCCESS);
        pop.start();
        DefaultLitePullConsumer lite = new DefaultLitePullConsumer(prefix + "_lite");
        lite.setNamesrvAddr(namesrv);
        lite.setConsumeFromWhere(ConsumeFromWhere.CONSUME_FROM_FIRST_OFFSET);
        lite.subscribe(topic, "*");
        lite.start();
        for (int i = 0; i < 3; i++) step("lite poll", () -> lite.poll(2000).size());
        step("lite commit", () -> { lite.commitSync(); return ""; });
        step("sql", () -> {
            DefaultMQPushConsumer sql = push(prefix + "_sql");
            sql.subscribe(topic, MessageSelector.bySql("TAGS = 'tagA'"));
            sql.registerMessageListener((MessageListenerConcurrently) (list, context) -> ConsumeConcurrentlyStatus.CONSUME_SUCCESS);
            sql.start();
            Thread.sleep(1000);
            sql.shutdown();
            return "";
        });
        step("transaction", () -> transaction(topic));
        step("delay", () -> {
            Message m = message(topic, "tagA", "d", "delayed");
            m.setDelayTimeLevel(1);
            return producer.send(m);
        });
        step("request-reply", () -> requestReply(producer));
        Thread.sleep(6000);
        lite.shutdown();
        pop.shutdown();
        second.shutdown();
        orderly.shutdown();
        push.shutdown();
        producer.shutdown();
        System.exit(0);
    }

    /** The signature differs between 4.9 and 5.x. */
    static Object createTopic(DefaultMQProducer producer, String topic) throws Exception {
        for (java.lang.reflect.Method method : DefaultMQProducer.class.getMethods()) {
            if (!method.getName().equals("createTopic")) continue;
            if (method.getParameterCount() == 4 && method.getParameterTypes()[3] == Map.class) {
                return method.invoke(producer, "TBW102", topic, 4, new HashMap<String, String>());
            }
            if (method.getParameterCount() == 3 && method.getParameterTypes()[2] == int.class && !method.isDefault()) {
                method.invoke(producer, "TBW102", topic, 4);
                return "";
            }
        }
        return "no createTopic";
    }

    static DefaultMQPushConsumer push(String group) {
        DefaultMQPushConsumer consumer = new DefaultMQPushConsumer(group);
        consumer.setNamesrvAddr(namesrv);
        consumer.setConsumeFromWhere(ConsumeFromWhere.CONSUME_FROM_FIRST_OFFSET);
        return consumer;
    }

    static Object transaction(String topic) throws Exception {
        TransactionMQProducer producer = new TransactionMQProducer(prefix + "_tx");
        producer.setNamesrvAddr(namesrv);
        producer.setTransactionListener(new TransactionListener() {
            public LocalTransactionState executeLocalTransaction(Message m, Object arg) { return (LocalTransactionState) arg; }
            public LocalTransactionState checkLocalTransaction(MessageExt m) { return LocalTransactionState.COMMIT_MESSAGE; }
        });
        producer.start();
        producer.sendMessageInTransaction(message(topic, "tagA", "tx", "commit"), LocalTransactionState.COMMIT_MESSAGE);
        Object result = producer.sendMessageInTransaction(message(topic, "tagA", "tx", "rollback"), LocalTransactionState.ROLLBACK_MESSAGE);
        Message late = message(topic, "tagA", "tx", "asked back");
        late.putUserProperty(MessageConst.PROPERTY_CHECK_IMMUNITY_TIME_IN_SECONDS, "1");
        producer.sendMessageInTransaction(late, LocalTransactionState.UNKNOW);
        if (Boolean.getBoolean("wait.check")) Thread.sleep(75000);
        producer.shutdown();
        return result;
    }

    static Object requestReply(DefaultMQProducer producer) throws Exception {
        DefaultMQProducer replier = new DefaultMQProducer(prefix + "_replier");
        replier.setNamesrvAddr(namesrv);
        replier.setInstanceName("replier");
        replier.start();
        DefaultMQPushConsumer server = push(prefix + "_server");
        server.subscribe(prefix + "_request", "*");
        server.registerMessageListener((MessageListenerConcurrently) (list, context) -> {
            for (MessageExt m : list) {
                try {
                    replier.send(org.apache.rocketmq.client.utils.MessageUtil.createReplyMessage(m, "reply".getBytes()), 3000);
                } catch (Exception error) {
                    System.out.println("reply: " + error);
                }
            }
            return ConsumeConcurrentlyStatus.CONSUME_SUCCESS;
        });
        producer.send(message(prefix + "_request", "x", "x", "first"));
        server.start();
        Thread.sleep(1500);
        Object answer = producer.request(message(prefix + "_request", "x", "x", "question"), 5000);
        server.shutdown();
        replier.shutdown();
        return answer;
    }
}
