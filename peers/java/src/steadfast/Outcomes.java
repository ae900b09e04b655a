// What became of records, on its way from the client's I/O thread, which calls back, to the generator, which books it.
package steadfast;

/**
 * Two buffers: the I/O thread fills one while the generator reads the other. They grow to the records that the client may
 * hold at once, which buffer.memory bounds.
 */
final class Outcomes {
    /** Longs of one outcome: index, offset, ns, and what packs together. */
    private static final int STRIDE = 4;
    private static final int FIRST_CAPACITY = STRIDE * 8192;

    private long[] filling = new long[FIRST_CAPACITY];
    private int filled;
    private long[] taken = new long[FIRST_CAPACITY];

    /** Adds the outcome of a record. `offset` -1: not known. `outcome`: one of {@link History}. `atNs`: the callback's time. */
    synchronized void add(long index, long offset, int partition, int outcome, short errorCode, long atNs) {
        if (filled == filling.length) {
            filling = java.util.Arrays.copyOf(filling, filled * 2);
        }
        filling[filled] = index;
        filling[filled + 1] = offset;
        filling[filled + 2] = atNs;
        filling[filled + 3] = (long) partition << 32 | (long) outcome << 16 | errorCode & 0xffff;
        filled += STRIDE;
    }

    /** Takes all that was added since the last time, for the accessors below; returns how many. */
    synchronized int take() {
        long[] full = filling;
        filling = taken;
        taken = full;
        int count = filled / STRIDE;
        filled = 0;
        return count;
    }

    /** Of outcome `i` of those taken: which record. */
    long index(int i) {
        return taken[i * STRIDE];
    }

    long offset(int i) {
        return taken[i * STRIDE + 1];
    }

    long atNs(int i) {
        return taken[i * STRIDE + 2];
    }

    int partition(int i) {
        return (int) (taken[i * STRIDE + 3] >> 32);
    }

    int outcome(int i) {
        return (int) (taken[i * STRIDE + 3] >> 16) & 0xffff;
    }

    short errorCode(int i) {
        return (short) taken[i * STRIDE + 3];
    }

    /** True when outcome `i` is of the same partition, kind and error code as the one before, and the next offset. */
    boolean followsOn(int i) {
        return taken[i * STRIDE + 3] == taken[(i - 1) * STRIDE + 3]
            && (offset(i) == offset(i - 1) + 1 && offset(i - 1) >= 0 || offset(i) == offset(i - 1) && offset(i) < 0);
    }
}
