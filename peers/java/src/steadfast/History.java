// The history: what this program says it did, appended while it does it. The format is verifier/src/history.rs (STFHIST2).
package steadfast;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.zip.CRC32C;

/** The writing end of a history. Times are nanoseconds of {@link Clock}. */
final class History {
    /** Records in one entry at most. */
    static final int MAX_RECORDS_PER_ENTRY = 65_536;

    /** Written, at the partition and offset given. */
    static final int ACKED = 0;
    /** Provably not written. */
    static final int NOT_WRITTEN = 1;
    /** Perhaps written. */
    static final int UNKNOWN = 2;

    private static final byte[] MAGIC = "STFHIST2".getBytes(StandardCharsets.US_ASCII);
    private static final byte HEADER = 0;
    private static final byte HANDED_OVER = 1;
    private static final byte COMPLETED = 2;
    private static final byte END = 3;
    private static final byte WITHHELD = 4;
    /** What the client does not tell. */
    private static final int NOT_KNOWN = -1;
    private static final int NO_TRANSACTION = 0;

    private final Path path;
    private final FileChannel channel;
    private final MappedFile file;
    private final Bytes body = new Bytes();
    /** Number of the next frame. */
    private long number;

    /** Makes the file, which must not be there yet, and writes the header. The folder must exist. */
    History(Workload workload) throws IOException {
        path = workload.history();
        channel = FileChannel.open(path, StandardOpenOption.CREATE_NEW, StandardOpenOption.READ,
            StandardOpenOption.WRITE);
        ByteBuffer preamble = ByteBuffer.allocate(2 * Long.BYTES).put(MAGIC).putLong(0).flip();
        while (preamble.hasRemaining()) {
            channel.write(preamble);
        }
        file = new MappedFile(channel);
        body.put(HEADER);
        body.put(header(workload, Clock.now(), System.currentTimeMillis()).getBytes(StandardCharsets.UTF_8));
        append();
    }

    /** `Header` of verifier/src/history/entry.rs, as JSON. The workload goes in as it was read. */
    private static String header(Workload workload, long startedNs, long startedWallMs) {
        return "{\"worker\":" + workload.worker() + ",\"incarnation\":" + workload.incarnation() + ",\"seed\":"
            + Long.toUnsignedString(workload.seed()) + ",\"workload\":" + workload.text() + ",\"started_ns\":" + startedNs
            + ",\"started_wall_ms\":" + startedWallMs + "}";
    }

    /**
     * Records that `count` records, `firstIndex` and those after it, are about to be given to the client; called before the
     * client gets them. `intended`: when each was due. An error leaves the file readable without them, so they must not be
     * handed over.
     */
    void handedOver(long firstIndex, long[] intended, int count, long handoverNs) throws IOException {
        assert count > 0 && count <= MAX_RECORDS_PER_ENTRY;
        body.clear();
        body.put(HANDED_OVER);
        body.putUnsigned(firstIndex);
        body.putUnsigned(count);
        body.putUnsigned(handoverNs);
        long last = handoverNs;
        long interval = 0;
        for (int i = 0; i < count; i++) {
            long step = intended[i] - last;
            body.putSigned(step - interval);
            // The first step leads to the hand-over and says nothing of those that follow.
            interval = i == 0 ? 0 : step;
            last = intended[i];
        }
        append();
    }

    /**
     * Records what became of `count` records: `indexes` in the order of their batch, whose first has `baseOffset` (-1: not
     * known). `errorCode` is Kafka's, 0 = none.
     */
    void completed(long[] indexes, int count, int outcome, int partition, long baseOffset, short errorCode, long ackNs)
        throws IOException {
        assert count > 0 && count <= MAX_RECORDS_PER_ENTRY;
        body.clear();
        body.put(COMPLETED);
        body.put((byte) outcome);
        body.putSigned(partition);
        body.putSigned(baseOffset);
        body.putSigned(errorCode);
        body.putUnsigned(ackNs);
        body.putSigned(NOT_KNOWN); // producer id
        body.putSigned(NOT_KNOWN); // producer epoch
        body.putSigned(NOT_KNOWN); // base sequence
        body.putUnsigned(NO_TRANSACTION);
        body.putSigned(NOT_KNOWN); // broker
        body.putSigned(NOT_KNOWN); // correlation id
        body.putUnsigned(count);
        long last = 0;
        for (int i = 0; i < count; i++) {
            body.putSigned(indexes[i] - last);
            last = indexes[i];
        }
        append();
    }

    /**
     * Records that these were due and are given up at `atNs` before the client got them. `hadRoom`: the client would have
     * taken them, so that it is this program's fault.
     */
    void withheld(long firstIndex, long count, long firstDueNs, long lastDueNs, boolean hadRoom, long atNs)
        throws IOException {
        body.clear();
        body.put(WITHHELD);
        body.putUnsigned(firstIndex);
        body.putUnsigned(count);
        body.putUnsigned(firstDueNs);
        body.putUnsigned(lastDueNs);
        body.put((byte) (hadRoom ? 1 : 0));
        body.putUnsigned(atNs);
        append();
    }

    /** Writes the end entry, cuts the file to its size and writes the end word. */
    void finish() throws IOException {
        body.clear();
        body.put(END);
        body.putUnsigned(number);
        append();
        file.finish();
        ByteBuffer word = ByteBuffer.allocate(2 * Integer.BYTES).order(ByteOrder.LITTLE_ENDIAN);
        word.putInt((int) (file.length() / Long.BYTES));
        CRC32C crc = new CRC32C();
        crc.update(word.array(), 0, Integer.BYTES);
        word.putInt((int) crc.getValue()).flip();
        long at = MAGIC.length;
        while (word.hasRemaining()) {
            at += channel.write(word, at);
        }
        channel.close();
    }

    private void append() throws IOException {
        if (body.length() > MappedFile.MAX_BODY_BYTES) {
            throw new IOException("the workload is too long for a history");
        }
        try {
            file.append(body, body.checksum(number));
        } catch (IOException error) {
            throw new IOException("the history " + path + " cannot be written: " + error.getMessage(), error);
        }
        number++;
    }
}
