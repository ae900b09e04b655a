// The lines on standard output by which the runner follows the load: `Progress` of verifier/src/workload.rs.
package steadfast;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.FileDescriptor;
import java.io.FileOutputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;

/** How far the load is: counts of records since the start, p99 of the latency after warm-up (ns), and a sentence or null. */
record Progress(
    long atNs, long sent, long acked, long notWritten, long debt, long p99Ns, int generatorTid, boolean done, String note) {

    private static final ObjectMapper JSON = new ObjectMapper();
    private static final FileOutputStream OUT = new FileOutputStream(FileDescriptor.out);

    /** Prints the line in one go, so that its reader wakes once. */
    void print() throws IOException {
        OUT.write(line().getBytes(StandardCharsets.UTF_8));
    }

    /** As JSON with its newline. */
    String line() throws JsonProcessingException {
        return "{\"at_ns\":" + atNs + ",\"sent\":" + sent + ",\"acked\":" + acked + ",\"not_written\":" + notWritten
            + ",\"debt\":" + debt + ",\"p99_ns\":" + p99Ns + ",\"generator_tid\":" + generatorTid + ",\"done\":" + done
            + ",\"note\":" + JSON.writeValueAsString(note) + "}\n";
    }
}
