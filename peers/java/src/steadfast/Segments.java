// The due times of steady rates and ramps in whole numbers: the port of the arithmetic in loadgen/src/schedule.rs.
//
// Rates are cut to a millionth of a record a second. In a flat stretch record i is due at floor(i * RECORD / (2 * rate)),
// found from the one before by adding quotient and remainder; on a ramp by solving a parabola in doubles. Numbers that do
// not fit 64 bits are a pair of longs on the way of every record, and BigInteger elsewhere.
package steadfast;

import java.math.BigInteger;
import java.util.ArrayList;
import java.util.List;
import steadfast.Workload.Executor.Ramping;
import steadfast.Workload.Stage;

/** Stretches in which the rate moves linearly. Offsets from the start of the schedule, ns. */
final class Segments implements Schedule.DueTimes {
    /** Rates are whole numbers of this fraction of a record a second. */
    private static final double RATE_SCALE = 1e6;
    /** One record in units of (1 / RATE_SCALE records/s) x (1 ns) / 2; the half keeps the area under a ramp whole. */
    private static final long RECORD = 2_000_000_000_000_000L;
    private static final BigInteger BIG_RECORD = BigInteger.valueOf(RECORD);

    private final List<Segment> segments;
    private final long total;

    // The cursor: its record, its segment, and when it is due.
    private long index;
    private int current;
    private long next;
    // In a flat segment: (area before the record within the segment) / (2 * rate), as quotient and remainder.
    private long quotient;
    private long remainder;

    private Segments(Builder builder) throws Refusal {
        segments = builder.segments;
        BigInteger records = ceilingOfRecords(builder.before);
        if (records.bitLength() > 48) {
            throw Schedule.tooLong("the number of records");
        }
        total = records.longValueExact();
        if (total > 0) {
            toSegmentOf(0);
        } else {
            next = Schedule.NONE;
        }
    }

    /** A steady rate, records a second. */
    static Segments flat(double rate, long lengthNs) throws Refusal {
        long scaled = positive(rate);
        Builder builder = new Builder();
        builder.push(lengthNs, scaled, scaled);
        return new Segments(builder);
    }

    /** A flat warm-up at the first rate, then stages in which the rate moves to its target. */
    static Segments ramp(Ramping ramping, long warmupNs, long durationNs) throws Refusal {
        BigInteger stagesNs = BigInteger.ZERO;
        for (Stage stage : ramping.stages()) {
            stagesNs = stagesNs.add(BigInteger.valueOf(stage.durationNs()));
        }
        if (!stagesNs.equals(BigInteger.valueOf(durationNs))) {
            throw new Refusal("the stages last " + stagesNs + " ns together, the duration is " + durationNs
                + " ns: make them equal");
        }
        long rate = scaled(ramping.startRate());
        Builder builder = new Builder();
        builder.push(warmupNs, rate, rate);
        for (Stage stage : ramping.stages()) {
            long to = scaled(stage.target());
            builder.push(stage.durationNs(), rate, to);
            rate = to;
        }
        Segments ramp = new Segments(builder);
        if (ramp.total == 0) {
            throw new Refusal("the ramp never leaves 0 records/s: give a stage a target above 0");
        }
        return ramp;
    }

    /** A rate in millionths of a record a second, above 0. */
    static long positive(double rate) throws Refusal {
        long scaled = scaled(rate);
        if (scaled == 0) {
            throw wrong(rate);
        }
        return scaled;
    }

    private static long scaled(double rate) throws Refusal {
        if (!(rate >= 0 && rate <= Schedule.MAX_RATE)) {
            throw wrong(rate);
        }
        return Math.round(rate * RATE_SCALE);
    }

    private static Refusal wrong(double rate) {
        return new Refusal("rate " + rate + "/s: give more than 0 and at most " + Schedule.MAX_RATE
            + "/s (0 only within a ramp)");
    }

    @Override
    public long next() {
        return next;
    }

    @Override
    public void advance() {
        index++;
        if (index >= total) {
            next = Schedule.NONE;
            return;
        }
        Segment segment = segments.get(current);
        if (index >= segment.endIndex) {
            toSegmentOf(index);
        } else if (segment.isFlat()) {
            quotient += segment.stepQuotient;
            remainder += segment.stepRemainder;
            if (remainder >= segment.divisor) {
                remainder -= segment.divisor;
                quotient++;
            }
            next = segment.offset(quotient);
        } else {
            next = segment.offset(segment.onRamp(index));
        }
    }

    @Override
    public long dueBy(long offsetNs) {
        long low = 0;
        long high = total;
        while (low < high) {
            long middle = low + (high - low) / 2;
            if (at(middle) <= offsetNs) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        return low;
    }

    @Override
    public long intended() {
        return total;
    }

    /** Puts the cursor's segment to that of record `i`, which lies behind it, and computes the due time afresh. */
    private void toSegmentOf(long i) {
        while (i >= segments.get(current).endIndex) {
            current++;
        }
        Segment segment = segments.get(current);
        if (segment.isFlat()) {
            BigInteger[] both = segment.within(i).divideAndRemainder(BigInteger.valueOf(segment.divisor));
            quotient = both[0].longValueExact();
            remainder = both[1].longValueExact();
            next = segment.offset(quotient);
        } else {
            next = segment.offset(segment.onRamp(i));
        }
    }

    /** When record `i` is due, whatever the cursor stands at. */
    private long at(long i) {
        int which = 0;
        while (i >= segments.get(which).endIndex) {
            which++;
        }
        Segment segment = segments.get(which);
        return segment.offset(segment.isFlat()
            ? segment.within(i).divide(BigInteger.valueOf(segment.divisor)).longValueExact()
            : segment.onRamp(i));
    }

    private static BigInteger ceilingOfRecords(BigInteger area) {
        return area.add(BIG_RECORD).subtract(BigInteger.ONE).divide(BIG_RECORD);
    }

    /** Segments from stretches in order. */
    private static final class Builder {
        private final List<Segment> segments = new ArrayList<>();
        private long startNs;
        /** Records due before the next stretch, in units of 1 / RECORD. */
        private BigInteger before = BigInteger.ZERO;

        void push(long lengthNs, long from, long to) {
            // A stage of 0 s moves the rate and holds no record.
            if (lengthNs > 0) {
                BigInteger through = before.add(BigInteger.valueOf(from + to).multiply(BigInteger.valueOf(lengthNs)));
                segments.add(new Segment(startNs, lengthNs, from, to, before, through));
                startNs += lengthNs;
                before = through;
            }
        }
    }

    private static final class Segment {
        private final long startNs;
        private final long lengthNs;
        /** Rates at both ends, in 1 / RATE_SCALE records a second. */
        private final long from;
        private final long to;
        /** Records due before this segment, in units of 1 / RECORD; also as two longs. */
        private final BigInteger before;
        private final long beforeHigh;
        private final long beforeLow;
        /** The first record that is not due in it (nor before it). */
        private final long endIndex;
        /** What one record adds in a flat segment: RECORD / divisor. */
        private final long divisor;
        private final long stepQuotient;
        private final long stepRemainder;

        Segment(long startNs, long lengthNs, long from, long to, BigInteger before, BigInteger through) {
            this.startNs = startNs;
            this.lengthNs = lengthNs;
            this.from = from;
            this.to = to;
            this.before = before;
            beforeHigh = before.shiftRight(Long.SIZE).longValue();
            beforeLow = before.longValue();
            // Beyond 63 bits the schedule as a whole is refused.
            endIndex = ceilingOfRecords(through).longValue();
            // A segment at rest holds no record, so nothing is divided by its rate.
            divisor = Math.max(1, 2 * from);
            stepQuotient = RECORD / divisor;
            stepRemainder = RECORD % divisor;
        }

        boolean isFlat() {
            return from == to;
        }

        /** From the start of the schedule, for an offset within the segment. */
        long offset(long within) {
            return startNs + Math.min(within, lengthNs - 1);
        }

        /** What is due within the segment before record `i`. */
        BigInteger within(long i) {
            return BigInteger.valueOf(i).multiply(BIG_RECORD).subtract(before);
        }

        /**
         * Solves `2 from t + (to - from) t^2 / length = within` for t. Double arithmetic and square root are those of
         * IEEE 754 in both languages, to the last bit.
         */
        long onRamp(long i) {
            long low = i * RECORD;
            long high = Math.multiplyHigh(i, RECORD) - beforeHigh - (Long.compareUnsigned(low, beforeLow) < 0 ? 1 : 0);
            low -= beforeLow;
            if ((high | low) == 0) {
                return 0;
            }
            double first = from;
            double within = toDouble(high, low);
            double square = first * first + ((double) to - first) * within / lengthNs;
            return (long) (within / (first + Math.sqrt(Math.max(square, 0))));
        }
    }

    /** The double nearest to a number of 127 bits that is not negative; of two equally near ones the even. */
    static double toDouble(long high, long low) {
        if (high == 0 && low >= 0) {
            return low;
        }
        // The upper 63 significant bits; what is cut off shows as a last bit that decides ties and nothing else.
        int shift = Long.SIZE - Long.numberOfLeadingZeros(high) + 1;
        long kept = shift == Long.SIZE ? high : high << Long.SIZE - shift | low >>> shift;
        long cut = shift == Long.SIZE ? low : low & (1L << shift) - 1;
        return Math.scalb((double) (cut == 0 ? kept : kept | 1), shift);
    }
}
