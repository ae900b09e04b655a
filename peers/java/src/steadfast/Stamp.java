// The record stamp of verifier/src/stamp.rs: 16 bytes at the start of every value, so that the log alone can be judged.
package steadfast;

import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.zip.CRC32C;
import org.apache.kafka.common.header.Header;

/**
 * Writes stamps for the records of one topic: id u64, sequence u32, CRC-32C u32, little-endian. The checksum covers, each
 * prefixed by its length as i32: topic, key (-1 = none), the value behind the stamp, then name and value of each header.
 */
final class Stamp {
    /** Bytes of the stamp; no value is shorter. */
    static final int BYTES = 16;
    private static final int INDEX_BITS = 48;
    private static final VarHandle LONG = MethodHandles.byteArrayViewVarHandle(long[].class, ByteOrder.LITTLE_ENDIAN);
    private static final VarHandle INT = MethodHandles.byteArrayViewVarHandle(int[].class, ByteOrder.LITTLE_ENDIAN);
    /** A key is `key-` and a number. */
    private static final int MAX_KEY_BYTES = 24;

    private final CRC32C crc = new CRC32C();
    /** Topic, key and the length of the value, as they are checksummed: the topic stands there for good. */
    private final byte[] head;
    private final int afterTopic;
    private final byte[] length = new byte[Integer.BYTES];

    Stamp(String topic) {
        byte[] name = topic.getBytes(StandardCharsets.UTF_8);
        afterTopic = Integer.BYTES + name.length;
        head = new byte[afterTopic + Integer.BYTES + MAX_KEY_BYTES + Integer.BYTES];
        INT.set(head, 0, name.length);
        System.arraycopy(name, 0, head, Integer.BYTES, name.length);
    }

    /** Fills the first 16 bytes of a value whose rest stands there already. `key` may be null; `index` has 48 bits. */
    void write(byte[] value, int worker, long index, int sequence, byte[] key, List<Header> headers) {
        int at = afterTopic;
        INT.set(head, at, key == null ? -1 : key.length);
        at += Integer.BYTES;
        if (key != null) {
            System.arraycopy(key, 0, head, at, key.length);
            at += key.length;
        }
        INT.set(head, at, value.length - BYTES);
        at += Integer.BYTES;
        crc.reset();
        crc.update(head, 0, at);
        crc.update(value, BYTES, value.length - BYTES);
        for (Header header : headers) {
            piece(header.key().getBytes(StandardCharsets.UTF_8));
            piece(header.value());
        }
        LONG.set(value, 0, (long) worker << INDEX_BITS | index);
        INT.set(value, 8, sequence);
        INT.set(value, 12, (int) crc.getValue());
    }

    private void piece(byte[] bytes) {
        INT.set(length, 0, bytes.length);
        crc.update(length, 0, length.length);
        crc.update(bytes, 0, bytes.length);
    }
}
