import java.util.Arrays;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicLong;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.client.producer.SendStatus;
import org.apache.rocketmq.common.message.Message;

/** An official Java producer with many threads that send synchronously. Arguments: name server, threads, seconds, bytes. */
public final class Load {
    private static final int SAMPLES = 1 << 16;

    public static void main(String[] arguments) throws Exception {
        int threads = Integer.parseInt(arguments[1]);
        long seconds = Long.parseLong(arguments[2]);
        byte[] body = new byte[Integer.parseInt(arguments[3])];
        Arrays.fill(body, (byte) 'x');
        DefaultMQProducer producer = new DefaultMQProducer("load");
        producer.setNamesrvAddr(arguments[0]);
        producer.setRetryTimesWhenSendFailed(0);
        producer.start();
        producer.createTopic("TBW102", "interop-load", 8, null);
        run(producer, threads, 3, body);
        System.out.println("warm");
        System.in.read();
        run(producer, threads, seconds, body);
        producer.shutdown();
    }

    private static void run(DefaultMQProducer producer, int threads, long seconds, byte[] body) throws Exception {
        AtomicBoolean stop = new AtomicBoolean();
        AtomicLong sent = new AtomicLong();
        AtomicLong refused = new AtomicLong();
        long[][] samples = new long[threads][SAMPLES];
        CountDownLatch done = new CountDownLatch(threads);
        long start = System.nanoTime();
        for (int thread = 0; thread < threads; thread++) {
            long[] mine = samples[thread];
            new Thread(() -> {
                for (int i = 0; !stop.get(); i++) {
                    long before = System.nanoTime();
                    try {
                        boolean ok = producer.send(new Message("interop-load", body)).getSendStatus() == SendStatus.SEND_OK;
                        (ok ? sent : refused).incrementAndGet();
                        mine[i % SAMPLES] = System.nanoTime() - before;
                    } catch (Exception error) {
                        refused.incrementAndGet();
                    }
                }
                done.countDown();
            }).start();
        }
        Thread.sleep(seconds * 1000);
        stop.set(true);
        done.await();
        double elapsed = (System.nanoTime() - start) / 1e9;
        long[] all = Arrays.stream(samples).flatMapToLong(Arrays::stream).filter(ns -> ns > 0).sorted().toArray();
        System.out.printf("{\"sent\":%d,\"refused\":%d,\"per_second\":%.0f,\"p50_us\":%d,\"p99_us\":%d}%n", sent.get(), refused.get(),
            sent.get() / elapsed, all[all.length / 2] / 1000, all[(int) (all.length * 0.99)] / 1000);
    }
}
