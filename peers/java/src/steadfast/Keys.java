// Which key record i has, and its position among the records of that key: the port of loadgen/src/keys.rs.
package steadfast;

import steadfast.Workload.KeyLaw;

/** Chooses keys for the records of one worker incarnation, in order of their indexes. */
final class Keys {
    /** Most distinct keys of one worker. */
    private static final long MAX_KEYS = 1 << 24;
    /** The record has no key. */
    static final long KEYLESS = -1;

    private final Random random;
    private final KeyLaw law;
    /** Distinct keys; 0 for keyless. */
    private final long count;
    /** The alias table of a zipf law (Walker 1977, built as Vose 1991); else null. */
    private final AliasTable aliases;
    /** Next sequence of each key, where it has no closed form. Unsigned. */
    private final int[] sequences;

    // What was chosen last.
    private long key;
    private int sequence;

    /** Ready for the workload's first record: what earlier incarnations used up is counted (some ns a record). */
    Keys(Workload workload) throws Refusal {
        random = new Random(workload.seed(), workload.worker(), Random.Stream.KEY);
        law = workload.keys();
        AliasTable table = null;
        if (law instanceof KeyLaw.Uniform uniform) {
            count = checked(uniform.count());
        } else if (law instanceof KeyLaw.Zipf zipf) {
            count = checked(zipf.count());
            table = new AliasTable((int) count, zipf.exponent());
        } else if (law instanceof KeyLaw.RoundRobin round) {
            count = round.count();
            if (count == 0) {
                throw wrongCount(0);
            }
        } else {
            count = 0;
        }
        aliases = table;
        boolean counted = law instanceof KeyLaw.Uniform || law instanceof KeyLaw.Zipf;
        sequences = new int[counted ? (int) count : 0];
        if (counted) {
            for (long i = 0; i < workload.firstIndex(); i++) {
                choose(i);
            }
        }
    }

    /** Chooses for record `i`. To be called once for each index, without gaps. */
    void choose(long i) {
        if (count == 0) {
            key = KEYLESS;
            sequence = (int) i;
            return;
        }
        if (law instanceof KeyLaw.RoundRobin) {
            key = i % count;
            sequence = (int) (i / count);
            return;
        }
        long bits = random.at(i);
        key = aliases == null ? Random.below(bits, count) : aliases.choose(bits);
        sequence = sequences[(int) key]++;
    }

    /** Number of the key chosen last; {@link #KEYLESS} for none. */
    long key() {
        return key;
    }

    /** Position among the records of that key, from 0; unsigned. */
    int sequence() {
        return sequence;
    }

    private static long checked(long count) throws Refusal {
        if (count < 1 || count > MAX_KEYS) {
            throw wrongCount(count);
        }
        return count;
    }

    private static Refusal wrongCount(long count) {
        return new Refusal(count + " keys: give 1 to " + MAX_KEYS);
    }

    /**
     * Columns of equal weight, each shared by at most two keys; key k (from 0) weighs 1 / (k + 1)^exponent.
     *
     * The last bit of a power is open in both languages. It can move a threshold by one in 2^32 where it crosses a whole
     * number, and then one record in 2^32 of that column gets the other key: possible, and not seen.
     */
    private static final class AliasTable {
        private final int[] thresholds;
        private final int[] others;

        AliasTable(int count, double exponent) throws Refusal {
            if (!Double.isFinite(exponent) || exponent < 0) {
                throw new Refusal("zipf exponent " + exponent + ": give 0 (uniform) or more");
            }
            double[] weights = new double[count];
            double sum = 0;
            for (int key = 0; key < count; key++) {
                weights[key] = StrictMath.pow(key + 1, -exponent);
                sum += weights[key];
            }
            double mean = sum / count;
            thresholds = new int[count];
            others = new int[count];
            // Two stacks of keys: lighter than the mean, and not.
            int[] small = new int[count];
            int[] large = new int[count];
            int smalls = 0;
            int larges = 0;
            for (int key = 0; key < count; key++) {
                weights[key] /= mean;
                thresholds[key] = 0xffff_ffff;
                others[key] = key;
                if (weights[key] < 1) {
                    small[smalls++] = key;
                } else {
                    large[larges++] = key;
                }
            }
            while (smalls > 0 && larges > 0) {
                int little = small[--smalls];
                int much = large[larges - 1];
                double weight = weights[little];
                thresholds[little] = (int) (long) (weight * 4_294_967_296.0);
                others[little] = much;
                weights[much] -= 1 - weight;
                if (weights[much] < 1) {
                    larges--;
                    small[smalls++] = much;
                }
            }
        }

        /** The column comes from the upper bits, the side of its threshold from the lower half. */
        long choose(long bits) {
            int column = (int) Random.below(bits, thresholds.length);
            return Integer.compareUnsigned((int) bits, thresholds[column]) < 0 ? column : others[column];
        }
    }
}
