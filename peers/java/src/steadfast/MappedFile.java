// A file that grows through mapped windows, so that what was stored is in the page cache whatever becomes of the process.
//
//   file    |0          16 MiB|          32 MiB|
//   window  |=================+==|                 each 16 MiB and the longest frame beyond, so that a frame that
//                             |=================+==|  begins in a window ends in it
//
// A window's bytes are written as zeros before it is mapped: a full disk is an IOException then, and never SIGBUS later.
// Because that takes milliseconds, another thread does it when the present window is half full.
package steadfast;

import java.io.IOException;
import java.lang.invoke.VarHandle;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.MappedByteBuffer;
import java.nio.channels.FileChannel;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.FutureTask;

/** The writing end of a file of frames (verifier/src/frame.rs). One thread appends. */
final class MappedFile {
    /** How much the file grows at a time. */
    private static final int CHUNK_BYTES = 16 << 20;
    /** Longest body of a frame. */
    static final int MAX_BODY_BYTES = 1 << 20;
    /** Length and checksum stand before the body. */
    private static final int HEADER_BYTES = 8;
    private static final int ALIGNMENT = 8;
    private static final int WINDOW_BYTES = CHUNK_BYTES + MAX_BODY_BYTES + HEADER_BYTES + ALIGNMENT;
    /** Longest file: its end word counts units of 8 bytes in 32 bits. */
    private static final long MAX_FILE_BYTES = 0xffff_ffffL * 8;
    /** How far ahead of the writing pages are faulted in, so that no page fault falls between due time and hand-over. */
    private static final int FAULT_AHEAD_BYTES = 64 << 10;
    /** The smallest page of any machine; touching more often than needed does no harm. */
    private static final int PAGE_BYTES = 4 << 10;
    private static final int ZEROS_BYTES = 256 << 10;

    private final FileChannel channel;
    private ByteBuffer window;
    /** Where the window begins in the file. */
    private long windowOffset;
    /** Where the next frame goes, counted from the window's begin. */
    private int position;
    /** Bytes of the window whose pages are present and writable. */
    private int present;
    /** The window after this one, once it is being made. */
    private FutureTask<ByteBuffer> following;

    /** Goes on behind what stands in the file, less than a window of bytes. */
    MappedFile(FileChannel channel) throws IOException {
        this.channel = channel;
        position = (int) channel.size();
        window = map(0);
        faultInBehind();
    }

    /** Bytes of the file so far. */
    long length() {
        return windowOffset + position;
    }

    /**
     * Stores a frame: body and checksum first, the length, which makes it count, last. A kill falls between two
     * instructions, and both see the same memory, so that the order of the stores is all that matters.
     */
    void append(Bytes body, int checksum) throws IOException {
        if (position >= CHUNK_BYTES) {
            moveOn();
        }
        window.put(position + HEADER_BYTES, body.array(), Bytes.HEAD, body.length());
        window.putInt(position + Integer.BYTES, checksum);
        VarHandle.storeStoreFence();
        window.putInt(position, body.length());
        VarHandle.storeStoreFence();
        position += HEADER_BYTES + (body.length() + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
        faultInBehind();
        if (following == null && position >= CHUNK_BYTES / 2) {
            prepareFollowing();
        }
    }

    /** Cuts the file to its size. Nothing can be appended after that. */
    void finish() throws IOException {
        if (following != null) {
            try {
                following.get();
            } catch (ExecutionException error) {
                // A window that nobody needs any more.
            } catch (InterruptedException error) {
                throw new IOException("interrupted while the file was finished", error);
            }
        }
        channel.truncate(length());
    }

    private void prepareFollowing() {
        long offset = windowOffset + CHUNK_BYTES;
        following = new FutureTask<>(() -> map(offset));
        Thread thread = new Thread(following, "history-ahead");
        thread.setDaemon(true);
        thread.start();
    }

    private void moveOn() throws IOException {
        try {
            window = following.get();
        } catch (ExecutionException error) {
            // Asked for again, it may find room.
            following = null;
            prepareFollowing();
            throw error.getCause() instanceof IOException cause ? cause : new IOException(error.getCause());
        } catch (InterruptedException error) {
            throw new IOException("interrupted while the file grew", error);
        }
        following = null;
        windowOffset += CHUNK_BYTES;
        position -= CHUNK_BYTES;
        present = 0;
    }

    /** Allocates a window and maps it. */
    private ByteBuffer map(long offset) throws IOException {
        long end = offset + WINDOW_BYTES;
        if (end > MAX_FILE_BYTES) {
            throw new IOException("a history holds 32 GiB at most");
        }
        ByteBuffer zeros = ByteBuffer.allocateDirect(ZEROS_BYTES);
        long at = channel.size();
        while (at < end) {
            zeros.clear().limit((int) Math.min(ZEROS_BYTES, end - at));
            at += channel.write(zeros, at);
        }
        MappedByteBuffer mapped = channel.map(FileChannel.MapMode.READ_WRITE, offset, WINDOW_BYTES);
        return mapped.order(ByteOrder.LITTLE_ENDIAN);
    }

    /** Makes the pages behind the position present, so that no store up to the next call faults. They are not used yet. */
    private void faultInBehind() {
        if (present >= Math.min(position + FAULT_AHEAD_BYTES, WINDOW_BYTES)) {
            return;
        }
        int from = (Math.max(present, position) + PAGE_BYTES - 1) / PAGE_BYTES * PAGE_BYTES;
        int to = Math.min(position + 2 * FAULT_AHEAD_BYTES, WINDOW_BYTES);
        for (int page = from; page < to; page += PAGE_BYTES) {
            window.put(page, (byte) 0);
        }
        present = to;
    }
}
