// The bytes of record i: the port of loadgen/src/generator.rs. Same seed, same bytes as the Rust generator, whatever the
// speed or the incarnation.
//
//   key      none, or the text `key-<number>`
//   value    16 bytes of stamp, then a cut from a pool of random bytes at a random place
//   headers  name as ordered, value another cut from the pool
package steadfast;

import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.header.internals.RecordHeader;
import steadfast.Workload.HeaderSpec;

/** Makes the records of one worker incarnation, in order of their indexes. */
final class Generator {
    /** Longest value or header value, bytes. */
    private static final int MAX_VALUE_BYTES = 64 << 20;
    /** Most headers of a record. */
    private static final int MAX_HEADERS = 1000;
    /** Different places in the pool where a value may begin. */
    private static final int POOL_PLACES = 64 << 10;
    /** `key-` and the digits of the largest u64. */
    private static final int KEY_BYTES = 4 + 20;
    /** What record batch v2 adds to a record at most: length, attributes, deltas, and the lengths of key, value, headers. */
    private static final int RECORD_OVERHEAD = 5 + 1 + 10 + 5 + 5 + 5 + 5;
    /** The lengths of name and value of a header. */
    private static final int HEADER_OVERHEAD = 5 + 5;
    private static final VarHandle LONG = MethodHandles.byteArrayViewVarHandle(long[].class, ByteOrder.LITTLE_ENDIAN);

    private final String topic;
    private final int worker;
    private final byte[] pool;
    private final List<HeaderSpec> headerSpecs;
    private final Random places;
    private final Keys keys;
    private final Stamp stamp;
    /** The partitions to go around; null when the producer chooses. */
    private final Integer[] round;
    /** Of every record in turn: the client has copied it when `send` returns. */
    private final byte[] value;
    private final byte[] keyText = new byte[KEY_BYTES];

    /** Index of the record that `advance` makes next. */
    private long next;
    private ProducerRecord<byte[], byte[]> current;

    /** A generator whose first record is the workload's first. */
    Generator(Workload workload) throws Refusal {
        int size = workload.recordSize();
        if (size < Stamp.BYTES || size > MAX_VALUE_BYTES) {
            throw new Refusal("record size " + size + ": give " + Stamp.BYTES + " (the stamp) to " + MAX_VALUE_BYTES
                + " bytes");
        }
        headerSpecs = workload.headers();
        if (headerSpecs.size() > MAX_HEADERS || headerSpecs.stream().anyMatch(header -> header.size() > MAX_VALUE_BYTES)) {
            throw new Refusal("headers: at most " + MAX_HEADERS + ", each of at most " + MAX_VALUE_BYTES + " bytes");
        }
        if (workload.partitions() < 1) {
            throw new Refusal(workload.partitions() + " partitions: give 1 or more, as the topic has");
        }
        topic = workload.topic();
        worker = workload.worker();
        pool = pool(workload);
        places = new Random(workload.seed(), worker, Random.Stream.OFFSET);
        keys = new Keys(workload);
        stamp = new Stamp(topic);
        value = new byte[size];
        next = workload.firstIndex();
        round = workload.partition() == Workload.PartitionChoice.ROUND_ROBIN ? new Integer[workload.partitions()] : null;
        if (round != null) {
            Arrays.setAll(round, partition -> partition);
        }
    }

    /** Makes the next record and lends it until the one after. */
    ProducerRecord<byte[], byte[]> advance() {
        long i = next++;
        long bits = places.at(i);
        int rest = value.length - Stamp.BYTES;
        System.arraycopy(pool, (int) Random.below(bits, POOL_PLACES), value, Stamp.BYTES, rest);
        List<Header> headers = headerSpecs.isEmpty() ? List.of() : headers(bits);
        keys.choose(i);
        byte[] key = keys.key() == Keys.KEYLESS ? null : key(keys.key());
        stamp.write(value, worker, i, keys.sequence(), key, headers);
        Integer partition = round == null ? null : round[(int) (i % round.length)];
        current = new ProducerRecord<>(topic, partition, null, key, value, headers);
        return current;
    }

    /** The record made last, again. */
    ProducerRecord<byte[], byte[]> current() {
        return current;
    }

    /** Index of the record made last among the records of its worker. */
    long index() {
        return next - 1;
    }

    /** No record is longer than this in a batch, bytes. */
    int maxRecordBytes() {
        int bytes = RECORD_OVERHEAD + KEY_BYTES + value.length;
        for (HeaderSpec header : headerSpecs) {
            bytes += header.name().getBytes(StandardCharsets.UTF_8).length + HEADER_OVERHEAD + header.size();
        }
        return bytes;
    }

    private List<Header> headers(long bits) {
        List<Header> headers = new ArrayList<>(headerSpecs.size());
        for (int nth = 0; nth < headerSpecs.size(); nth++) {
            HeaderSpec header = headerSpecs.get(nth);
            long turned = Long.rotateLeft(bits, 13 * (nth + 1)) + nth / 64;
            int from = (int) Random.below(turned, POOL_PLACES);
            headers.add(new RecordHeader(header.name(), Arrays.copyOfRange(pool, from, from + header.size())));
        }
        return headers;
    }

    private byte[] key(long number) {
        int at = KEY_BYTES;
        do {
            keyText[--at] = (byte) ('0' + number % 10);
            number /= 10;
        } while (number != 0);
        keyText[--at] = '-';
        keyText[--at] = 'y';
        keyText[--at] = 'e';
        keyText[--at] = 'k';
        return Arrays.copyOfRange(keyText, at, KEY_BYTES);
    }

    private static byte[] pool(Workload workload) {
        int longest = workload.recordSize();
        for (HeaderSpec header : workload.headers()) {
            longest = Math.max(longest, header.size());
        }
        int words = (POOL_PLACES + longest + Long.BYTES - 1) / Long.BYTES;
        Random random = new Random(workload.seed(), workload.worker(), Random.Stream.POOL);
        byte[] pool = new byte[words * Long.BYTES];
        for (int i = 0; i < words; i++) {
            LONG.set(pool, i * Long.BYTES, random.at(i));
        }
        return pool;
    }
}
