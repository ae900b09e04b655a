// What the program can tell about its latency while it runs. For people who watch, never evidence: the judge computes
// everything from the history.
package steadfast;

/** Due times of records without an outcome, and a histogram of the latencies of those acknowledged. */
final class Live {
    /** Most records whose due times are remembered (32 MiB); beyond it the oldest are left out of the percentile. */
    private static final int MAX_REMEMBERED = 4 << 20;
    private static final int FIRST_CAPACITY = 1 << 16;
    /** Steps per doubling of latency: 1 % is enough to watch. */
    private static final int STEPS_BITS = 7;
    private static final int STEPS = 1 << STEPS_BITS;

    /** Latencies count for records due from here on, ns. */
    private final long fromNs;
    /** A ring of due times, ns; its length is a power of two. 0 once the outcome is known. */
    private long[] due = new long[FIRST_CAPACITY];
    /** Index of the first remembered, and how many are. */
    private long base;
    private int size;
    private final long[] counts = new long[(Long.SIZE - STEPS_BITS) * STEPS];
    private long count;

    /** Remembers nothing yet. Records due before `fromNs` do not count. */
    Live(long firstIndex, long fromNs) {
        base = firstIndex;
        this.fromNs = fromNs;
    }

    /** `count` records that follow those before without a gap were handed over. */
    void handedOver(long[] intended, int count) {
        for (int i = 0; i < count; i++) {
            if (size == due.length) {
                makeRoom();
            }
            due[place(base + size)] = intended[i];
            size++;
        }
    }

    /** The outcome of record `index` is known; `ackNs` is when, for an acknowledged one. */
    void completed(long index, boolean acked, long ackNs) {
        long nth = index - base;
        if (nth < 0 || nth >= size) {
            return;
        }
        long dueNs = due[place(index)];
        due[place(index)] = 0;
        if (acked && dueNs != 0 && dueNs >= fromNs) {
            counts[step(Math.max(0, ackNs - dueNs))]++;
            count++;
        }
        while (size > 0 && due[place(base)] == 0) {
            base++;
            size--;
        }
    }

    /** 99th percentile of the latencies so far, ns; 0 before the first. */
    long p99Ns() {
        long beyond = count - (count * 99 + 99) / 100;
        long seen = 0;
        for (int step = counts.length - 1; step >= 0 && count > 0; step--) {
            seen += counts[step];
            if (seen > beyond) {
                return longestOf(step);
            }
        }
        return 0;
    }

    private void makeRoom() {
        if (size < MAX_REMEMBERED) {
            long[] larger = new long[due.length * 2];
            for (long index = base; index < base + size; index++) {
                larger[(int) (index & larger.length - 1)] = due[place(index)];
            }
            due = larger;
        } else {
            base++;
            size--;
        }
    }

    private int place(long index) {
        return (int) (index & due.length - 1);
    }

    private static int step(long ns) {
        int shift = Math.max(0, Long.SIZE - STEPS_BITS - 1 - Long.numberOfLeadingZeros(ns));
        return shift * STEPS + (int) (ns >>> shift);
    }

    private static long longestOf(int step) {
        int shift = Math.max(0, step / STEPS - 1);
        return ((long) (step - shift * STEPS) + 1 << shift) - 1;
    }
}
