// Random numbers that are a function of (seed, worker, stream, index): the port of loadgen/src/random.rs. SplitMix64.
package steadfast;

/** One worker's random numbers of one stream. All numbers are unsigned 64-bit ones. */
final class Random {
    private static final long GOLDEN_GAMMA = 0x9e37_79b9_7f4a_7c15L;

    private final long base;

    /** What a random number is for; the numbers are part of every seed's meaning. */
    enum Stream {
        POOL(1),
        OFFSET(2),
        KEY(3),
        GAP(4);

        private final long number;

        Stream(long number) {
            this.number = number;
        }
    }

    Random(long seed, int worker, Stream stream) {
        base = finish(finish(seed) + ((long) worker << 8 | stream.number));
    }

    /** The number of index `i`, uniform over all 64 bits. */
    long at(long i) {
        return finish(base + i * GOLDEN_GAMMA);
    }

    /** The number of index `i`, uniform in (0, 1]. */
    double unitAt(long i) {
        return ((at(i) >>> 11) + 1) * 0x1.0p-53;
    }

    /** Maps 64 uniform bits to `0..n`: the upper half of their unsigned product. `n` is not negative. */
    static long below(long bits, long n) {
        // multiplyHigh takes bits for a signed number, which is 2^64 less when its top bit is set.
        return Math.multiplyHigh(bits, n) + (bits >> 63 & n);
    }

    private static long finish(long z) {
        z = (z ^ z >>> 30) * 0xbf58_476d_1ce4_e5b9L;
        z = (z ^ z >>> 27) * 0x94d0_49bb_1331_11ebL;
        return z ^ z >>> 31;
    }
}
