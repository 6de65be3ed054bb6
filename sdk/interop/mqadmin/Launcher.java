import java.io.*;
import java.nio.charset.StandardCharsets;
import java.security.Permission;
import java.util.*;
import org.apache.rocketmq.client.consumer.*;
import org.apache.rocketmq.client.consumer.listener.*;
import org.apache.rocketmq.client.producer.*;
import org.apache.rocketmq.common.consumer.ConsumeFromWhere;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.tools.command.MQAdminStartup;

/**
 * Runs official mqadmin commands one after the other in this JVM, because each start costs seconds.
 * A request is a line of tab-separated arguments; the answer is the command's output and a line with END.
 * `!consumer GROUP TOPIC` and `!producer GROUP TOPIC` start clients that stay alive, `!send GROUP TOPIC TAG KEYS BODY [BROKER]` sends.
 */
public class Launcher {
    static final String END = "\u0001END";
    static final List<Runnable> closers = new ArrayList<>();
    static final Map<String, DefaultMQProducer> producers = new HashMap<>();

    static class Exit extends SecurityException {
        Exit(int status) { super("exit " + status); }
    }

    /** A command that calls System.exit must not end the others. */
    @SuppressWarnings("removal")
    static void refuseExit() {
        try {
            System.setSecurityManager(new SecurityManager() {
                @Override public void checkPermission(Permission permission) { }
                @Override public void checkExit(int status) {
                    if (!"true".equals(System.getProperty("launcher.done"))) throw new Exit(status);
                }
            });
        } catch (UnsupportedOperationException newerJava) {
            // commands that exit then end the launcher, and the driver says so
        }
    }

    /**
     * A stopping client waits up to 3 s for its event thread, which sleeps in a poll. Waking it changes nothing but the time;
     * the event threads of live clients ignore it.
     */
    static void hurryShutdowns(Thread commands) {
        Thread watcher = new Thread(() -> {
            while (true) {
                try {
                    Thread.sleep(40);
                } catch (InterruptedException stop) {
                    return;
                }
                boolean stopping = Arrays.stream(commands.getStackTrace()).anyMatch(frame ->
                    frame.getMethodName().equals("shutdown") && frame.getClassName().endsWith(".NettyRemotingClient"));
                if (!stopping) continue;
                for (Thread thread : Thread.getAllStackTraces().keySet()) {
                    if (thread.getName().contains("NettyEventExecutor")) thread.interrupt();
                }
            }
        });
        watcher.setDaemon(true);
        watcher.start();
    }

    public static void main(String[] args) throws Exception {
        String namesrv = args[0];
        refuseExit();
        hurryShutdowns(Thread.currentThread());
        PrintStream answers = new PrintStream(new FileOutputStream(FileDescriptor.out), true, "UTF-8");
        BufferedReader requests = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line; (line = requests.readLine()) != null; ) {
            ByteArrayOutputStream captured = new ByteArrayOutputStream();
            PrintStream sink = new PrintStream(captured, true, "UTF-8");
            System.setOut(sink);
            System.setErr(sink);
            try {
                String[] words = line.split("\t");
                if (words[0].startsWith("!")) {
                    sink.println(client(namesrv, words));
                } else {
                    List<String> arguments = new ArrayList<>(Arrays.asList(words));
                    arguments.add("-n");
                    arguments.add(namesrv);
                    forgetCommands();
                    MQAdminStartup.main0(arguments.toArray(new String[0]), null);
                }
            } catch (Throwable error) {
                error.printStackTrace(sink);
            }
            sink.flush();
            answers.println(captured.toString("UTF-8"));
            answers.println(END);
        }
        closers.forEach(Runnable::run);
        System.setProperty("launcher.done", "true");
        System.exit(0);
    }

    /** Command objects keep their stopped clients; a fresh JVM would have fresh ones. */
    static void forgetCommands() throws Exception {
        java.lang.reflect.Field list = MQAdminStartup.class.getDeclaredField("SUB_COMMANDS");
        list.setAccessible(true);
        ((List<?>) list.get(null)).clear();
    }

    static Object client(String namesrv, String[] words) throws Exception {
        switch (words[0]) {
            case "!producer":
                return send(namesrv, words[1], new Message(words[2], "live".getBytes()), "");
            case "!send":
                return send(namesrv, words[1], new Message(words[2], words[3], words[4], words[5].getBytes("UTF-8")),
                    words.length > 6 ? words[6] : "");
            case "!consumer":
                return consumer(namesrv, words[1], words[2]);
            case "!sleep":
                Thread.sleep(Long.parseLong(words[1]));
                return "";
            default:
                return "unknown " + words[0];
        }
    }

    /** Always to the first queue, or that of a broker: left to itself the client begins with any, and the rows that follow show which. */
    static SendResult send(String namesrv, String group, Message message, String broker) throws Exception {
        return producer(namesrv, group).send(message, (queues, sent, none) -> queues.stream()
            .filter(queue -> broker.isEmpty() || queue.getBrokerName().equals(broker)).findFirst().get(), null);
    }

    static DefaultMQProducer producer(String namesrv, String group) throws Exception {
        DefaultMQProducer known = producers.get(group);
        if (known != null) return known;
        DefaultMQProducer producer = new DefaultMQProducer(group);
        producer.setNamesrvAddr(namesrv);
        producer.setInstanceName(group);
        producer.start();
        producers.put(group, producer);
        closers.add(producer::shutdown);
        return producer;
    }

    static String consumer(String namesrv, String group, String topic) throws Exception {
        DefaultMQPushConsumer consumer = new DefaultMQPushConsumer(group);
        consumer.setNamesrvAddr(namesrv);
        consumer.setInstanceName(group);
        consumer.setConsumeFromWhere(ConsumeFromWhere.CONSUME_FROM_FIRST_OFFSET);
        consumer.subscribe(topic, "*");
        consumer.registerMessageListener((MessageListenerConcurrently) (list, context) -> ConsumeConcurrentlyStatus.CONSUME_SUCCESS);
        consumer.start();
        closers.add(consumer::shutdown);
        return "started";
    }
}
