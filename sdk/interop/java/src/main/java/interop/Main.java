package interop;

import java.io.PrintStream;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.ArrayList;

/**
 * Runs scenarios against one name server address, several at a time, and prints one JSON line for each.
 * Arguments: name server address, number of brokers behind it, run id, scenario names separated by commas or "all" (of those
 * that need no plugins).
 * "list" alone prints the names; "continuous" as scenario name runs the program of the kill tests, "commanded" that of the disk faults.
 */
public final class Main {
    private static final int PARALLEL = 10;
    private static final int RUN_SECONDS = 120;
    private static final Map<Context, Thread> RUNNING = new ConcurrentHashMap<>();

    private Main() {
    }

    static Map<String, Scenario> scenarios() {
        Map<String, Scenario> all = new LinkedHashMap<>();
        RetryToDlq.register(all);
        Rebalance.register(all);
        Trace.register(all);
        Delay.register(all);
        PushOrderly.register(all);
        Push.register(all);
        NewGroup.register(all);
        Sending.register(all);
        SendErrors.register(all);
        LitePull.register(all);
        Pull.register(all);
        TagFilter.register(all);
        Query.register(all);
        Offsets.register(all);
        CreateTopic.register(all);
        Plugins.register(all);
        return all;
    }

    public static void main(String[] args) throws Exception {
        PrintStream out = System.out;
        System.setOut(System.err); // the clients print; stdout is for transcripts only
        Map<String, Scenario> all = scenarios();
        if (args[0].equals("list")) {
            all.keySet().forEach(out::println);
            System.exit(0);
        }
        String namesrv = args[0];
        int brokers = Integer.parseInt(args[1]);
        String runId = args[2];
        if (args[3].equals("continuous")) {
            Continuous.main(new Context(namesrv, brokers, "continuous", runId), out);
            System.exit(0);
        }
        if (args[3].equals("commanded")) {
            Commanded.main(new Context(namesrv, brokers, "commanded", runId), out);
            System.exit(0);
        }
        List<String> chosen = args[3].equals("all") ? new ArrayList<>(all.keySet()) : Arrays.asList(args[3].split(","));
        if (args[3].equals("all")) {
            chosen.removeIf(name -> name.startsWith(Plugins.PREFIX));
        }
        if (brokers > 0) {
            warmUp(new Context(namesrv, brokers, "warm-up", runId));
        }
        ExecutorService pool = Executors.newFixedThreadPool(PARALLEL);
        List<Future<?>> running = new ArrayList<>();
        for (String name : chosen) {
            running.add(pool.submit(() -> one(new Context(namesrv, brokers, name, runId), all.get(name), out)));
        }
        long deadline = System.nanoTime() + RUN_SECONDS * 1_000_000_000L;
        for (Future<?> each : running) {
            try {
                each.get(Math.max(1, deadline - System.nanoTime()), TimeUnit.NANOSECONDS);
            } catch (TimeoutException e) {
                printHanging(out);
                break;
            }
        }
        out.flush();
        System.exit(0); // client threads may be alive
    }

    /** Loads the client's classes on one thread: ten cold ones at once exceed the clients' timeouts of 3 s on a busy machine. */
    private static void warmUp(Context context) throws InterruptedException {
        context.await("first message", 20, () -> {
            String topic = context.topic("T", 1);
            context.producer().send(Context.message(topic, "A", "k", "warm"));
            return !context.readAll(topic).isEmpty();
        });
        context.close();
    }

    /** Scenarios that do not end have failed, with the place where they are. */
    private static void printHanging(PrintStream out) {
        RUNNING.forEach((context, thread) -> {
            StackTraceElement[] at = thread.getStackTrace();
            context.fail("hangs at " + Arrays.asList(at).subList(0, Math.min(12, at.length)));
            String line = context.transcript();
            out.println(line.substring(0, line.length() - 1) + ",\"ms\":" + RUN_SECONDS * 1_000 + "}");
        });
    }

    private static void one(Context context, Scenario scenario, PrintStream out) {
        long begun = System.nanoTime();
        RUNNING.put(context, Thread.currentThread());
        try {
            if (scenario == null) {
                throw new IllegalArgumentException("no such scenario");
            }
            scenario.run(context);
        } catch (Throwable e) {
            StackTraceElement[] at = e.getStackTrace();
            context.fail(e + (at.length > 0 ? " at " + at[0] : "") + " cause " + e.getCause());
            e.printStackTrace();
        }
        RUNNING.remove(context);
        String line = context.transcript();
        synchronized (out) {
            out.println(line.substring(0, line.length() - 1) + ",\"ms\":" + (System.nanoTime() - begun) / 1_000_000 + "}");
            out.flush();
        }
        context.close();
    }
}
