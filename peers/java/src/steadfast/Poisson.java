// The due times of a Poisson process: the port of loadgen/src/poisson.rs. Exponential gaps from (seed, worker, index).
package steadfast;

/**
 * Offsets from the start, ns. The one due times that may differ from the Rust ones: both languages leave the last bit of a
 * logarithm open (and glibc's own depends on whether the CPU has FMA), so that a record may be due 1 ns sooner or later.
 * What is below a nanosecond is carried over, so differences do not add up.
 */
final class Poisson implements Schedule.DueTimes {
    private final long firstIndex;
    private final long intended;
    private final Cursor next;
    /** Runs ahead to what is due, for the debt. */
    private final Cursor ahead;

    Poisson(Workload workload, double rate, long lengthNs) throws Refusal {
        Segments.positive(rate);
        firstIndex = workload.firstIndex();
        Random random = new Random(workload.seed(), workload.worker(), Random.Stream.GAP);
        next = new Cursor(random, firstIndex, 1e9 / rate, lengthNs);
        ahead = new Cursor(random, firstIndex, 1e9 / rate, lengthNs);
        intended = Math.round(rate * lengthNs / 1e9);
    }

    @Override
    public long next() {
        return next.offset();
    }

    @Override
    public void advance() {
        next.advance();
    }

    @Override
    public long dueBy(long offsetNs) {
        while (ahead.offset() <= offsetNs) {
            ahead.advance();
        }
        return ahead.index - firstIndex;
    }

    @Override
    public long intended() {
        return intended;
    }

    private static final class Cursor {
        private final Random random;
        private final double meanGapNs;
        private final long lengthNs;
        private long index;
        private long offsetNs;
        /** What of the gaps so far is less than a nanosecond: kept, so that rounding does not add up. */
        private double fraction;

        Cursor(Random random, long firstIndex, double meanGapNs, long lengthNs) {
            this.random = random;
            this.meanGapNs = meanGapNs;
            this.lengthNs = lengthNs;
            index = firstIndex;
            step();
        }

        long offset() {
            return offsetNs < lengthNs ? offsetNs : Schedule.NONE;
        }

        void advance() {
            index++;
            step();
        }

        private void step() {
            double gap = fraction - StrictMath.log(random.unitAt(index)) * meanGapNs;
            fraction = gap % 1;
            // The sum of two numbers below 2^63 overflows into the sign.
            long moved = offsetNs + (long) gap;
            offsetNs = moved < 0 ? Long.MAX_VALUE : moved;
        }
    }
}
