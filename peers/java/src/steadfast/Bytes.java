// The body of one frame while it is put together: bytes and the variable-length integers of verifier/src/varint.rs.
package steadfast;

import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;
import java.nio.ByteOrder;
import java.util.Arrays;
import java.util.zip.CRC32C;

/** A growing run of bytes. LEB128, seven bits a byte, low bits first; signed numbers zigzag first. */
final class Bytes {
    private static final VarHandle LONG = MethodHandles.byteArrayViewVarHandle(long[].class, ByteOrder.LITTLE_ENDIAN);
    private static final VarHandle INT = MethodHandles.byteArrayViewVarHandle(int[].class, ByteOrder.LITTLE_ENDIAN);
    /** Number (u64) and length (u32) of the frame stand before its body, because its checksum covers them. */
    static final int HEAD = 12;
    /** Longest varint. */
    private static final int MAX_VARINT = 10;

    private final CRC32C crc = new CRC32C();
    private byte[] bytes = new byte[64 << 10];
    private int end = HEAD;

    /** Begins anew. */
    void clear() {
        end = HEAD;
    }

    /** One byte. */
    void put(byte value) {
        room(1);
        bytes[end++] = value;
    }

    /** Bytes as they are. */
    void put(byte[] values) {
        room(values.length);
        System.arraycopy(values, 0, bytes, end, values.length);
        end += values.length;
    }

    /** An unsigned number: 1 to 10 bytes. */
    void putUnsigned(long value) {
        room(MAX_VARINT);
        while ((value & ~0x7fL) != 0) {
            bytes[end++] = (byte) (value | 0x80);
            value >>>= 7;
        }
        bytes[end++] = (byte) value;
    }

    /** A signed number: 1 to 10 bytes. */
    void putSigned(long value) {
        putUnsigned(value << 1 ^ value >> 63);
    }

    /** Bytes of the body so far. */
    int length() {
        return end - HEAD;
    }

    /** What holds the body, from {@link #HEAD} on. */
    byte[] array() {
        return bytes;
    }

    /** The checksum of frame `number` with this body: CRC-32C over number, length and body (verifier/src/frame.rs). */
    int checksum(long number) {
        LONG.set(bytes, 0, number);
        INT.set(bytes, 8, length());
        crc.reset();
        crc.update(bytes, 0, end);
        return (int) crc.getValue();
    }

    private void room(int more) {
        if (end + more > bytes.length) {
            bytes = Arrays.copyOf(bytes, Math.max(bytes.length * 2, end + more));
        }
    }
}
