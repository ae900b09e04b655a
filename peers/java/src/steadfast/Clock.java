// The clock of the whole harness, and what Linux lets a thread know and set about itself.
package steadfast;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;

/**
 * CLOCK_MONOTONIC nanoseconds: what System.nanoTime() gives on Linux (HotSpot: os::javaTimeNanos), though Java promises no
 * origin; so it is checked once.
 */
final class Clock {
    private static final double NS_PER_SECOND = 1e9;
    /** /proc/uptime has hundredths of a second and is read a moment later or sooner. */
    private static final double UPTIME_SLACK_S = 1;
    /** No load is ordered for a day from now, and none of yesterday. */
    private static final long DAY_NS = 86_400L * 1_000_000_000;

    private Clock() {}

    /** Nanoseconds. */
    static long now() {
        return System.nanoTime();
    }

    /**
     * Refuses to run where nanoTime cannot be the clock of the workload: it never exceeds the time since boot (which goes on
     * in suspension, and CLOCK_MONOTONIC does not), and the start of the load is near.
     */
    static void check(long startNs) throws Refusal, IOException {
        String uptime = Files.readString(Path.of("/proc/uptime"));
        double sinceBoot = Double.parseDouble(uptime.substring(0, uptime.indexOf(' ')));
        long now = now();
        boolean plausible = now > 0 && now / NS_PER_SECOND <= sinceBoot + UPTIME_SLACK_S;
        if (!plausible || Math.abs(startNs - now) > DAY_NS) {
            throw new Refusal("start_ns is " + startNs + ", System.nanoTime() is " + now + ", the time since boot "
                + sinceBoot + " s: this JVM's clock is not CLOCK_MONOTONIC; use HotSpot on Linux");
        }
    }

    /** Linux's id of the calling thread. */
    static int threadId() throws IOException {
        return Integer.parseInt(Files.readSymbolicLink(Path.of("/proc/thread-self")).getFileName().toString());
    }

    /**
     * Lets the calling thread be woken to the nanosecond and not up to 50 µs later, as our own generator does. Without it
     * the load is no less right, only later, so a refusal is said and no more.
     */
    static void fineTimers(int threadId) {
        try {
            Files.writeString(Path.of("/proc/" + threadId + "/timerslack_ns"), "1");
        } catch (IOException error) {
            System.err.println("the timer slack of the generator stays as it is: " + error.getMessage());
        }
    }
}
