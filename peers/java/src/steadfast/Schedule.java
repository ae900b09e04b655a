// When each record is due: the port of loadgen/src/schedule.rs. Due times follow from the workload alone, never from how
// the system under test behaves.
package steadfast;

import steadfast.Workload.Executor;

/** A cursor over the due times of one worker incarnation. All times are nanoseconds of {@link Clock}. */
final class Schedule {
    /** Highest rate of one worker, records a second. */
    static final double MAX_RATE = 1e9;
    /** No further record. */
    static final long NONE = Long.MAX_VALUE;
    /** Record ids keep 48 bits for the index. */
    private static final long MAX_INDEX = (1L << 48) - 1;

    private final long startNs;
    private final long warmupEndNs;
    private final long endNs;
    private final long firstIndex;
    /** Null for `unlimited`, which owes nothing to a clock. */
    private final DueTimes dueTimes;
    private final long records;
    private long taken;

    /** Offsets from the start at which records are due, in order. */
    interface DueTimes {
        /** When the record under the cursor is due, ns; {@link #NONE} past the end. */
        long next();

        /** Moves to the next record. */
        void advance();

        /** How many records are due at or before this offset. Offsets do not go back between two calls. */
        long dueBy(long offsetNs);

        /** Records in all: exact, except for `poisson`, where it is the expectation. */
        long intended();
    }

    /** The schedule that a workload orders, with nothing taken yet. */
    Schedule(Workload workload) throws Refusal {
        startNs = workload.startNs();
        firstIndex = workload.firstIndex();
        Executor executor = workload.executor();
        long lengthNs;
        try {
            long measured = executor instanceof Executor.Unlimited ? 0 : workload.durationNs();
            lengthNs = Math.addExact(workload.warmupNs(), measured);
            endNs = Math.addExact(startNs, lengthNs);
        } catch (ArithmeticException error) {
            throw tooLong("the load");
        }
        warmupEndNs = startNs + workload.warmupNs();
        if (executor instanceof Executor.Constant constant) {
            dueTimes = Segments.flat(constant.rate(), lengthNs);
        } else if (executor instanceof Executor.Ramping ramping) {
            dueTimes = Segments.ramp(ramping, workload.warmupNs(), workload.durationNs());
        } else if (executor instanceof Executor.Poisson poisson) {
            dueTimes = new Poisson(workload, poisson.rate(), lengthNs);
        } else {
            dueTimes = null;
        }
        records = executor instanceof Executor.Unlimited unlimited ? unlimited.records() : dueTimes.intended();
        if (records > MAX_INDEX - firstIndex) {
            throw tooLong("the number of records");
        }
    }

    static Refusal tooLong(String what) {
        return new Refusal(what + " is too long: shorten the duration, or lower the rate or the number of records");
    }

    /** When the next record not yet taken is due; {@link #NONE} when nothing is left. `unlimited` is always due. */
    long nextDue() {
        if (dueTimes == null) {
            return taken < records ? startNs : NONE;
        }
        long offset = dueTimes.next();
        return offset == NONE ? NONE : startNs + offset;
    }

    /** Index of the next record not yet taken. */
    long nextIndex() {
        return firstIndex + taken;
    }

    /**
     * Takes what is due at `now`, oldest first, at most `max` records and as many as `intended` holds, which gets their due
     * times. Returns how many. What stays behind keeps its due time for later.
     */
    int take(long now, int max, long[] intended) {
        int most = Math.min(max, intended.length);
        int count = 0;
        if (now < startNs) {
            return 0;
        }
        if (dueTimes == null) {
            count = (int) Math.min(most, records - taken);
            java.util.Arrays.fill(intended, 0, count, now);
        } else {
            long offset = dueTimes.next();
            while (count < most && offset <= now - startNs) {
                intended[count++] = startNs + offset;
                dueTimes.advance();
                offset = dueTimes.next();
            }
        }
        taken += count;
        return count;
    }

    /** Schedule debt: records due at `now` that nobody took yet. Time does not go back between two calls. */
    long debt(long now) {
        if (dueTimes == null || now < startNs) {
            return 0;
        }
        return Math.max(0, dueTimes.dueBy(now - startNs) - taken);
    }

    /** Records in all: exact, except for `poisson`, where it is the expectation. */
    long intendedRecords() {
        return records;
    }

    /** True for `unlimited`: records are due whenever there is room, and latency is never judged. */
    boolean isUnlimited() {
        return dueTimes == null;
    }

    /** When warm-up ends and claims begin. */
    long warmupEndNs() {
        return warmupEndNs;
    }

    /** No record is due at or after this. For `unlimited` only the end of warm-up is known. */
    long endNs() {
        return endNs;
    }
}
