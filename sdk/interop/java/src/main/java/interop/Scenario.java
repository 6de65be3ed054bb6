package interop;

/** What one scenario does with the official client; what it saw goes into the context as facts. */
interface Scenario {
    void run(Context c) throws Exception;
}
