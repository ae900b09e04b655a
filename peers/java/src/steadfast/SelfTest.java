// The self-check that peers/java/check runs with -ea: schedule, records, stamps and history against figures that the Rust
// tests hold too (loadgen/src/schedule_tests.rs, generator_tests.rs, verifier/src/stamp.rs). No broker is needed.
package steadfast;

import java.io.IOException;
import java.math.BigInteger;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.zip.CRC32C;
import org.apache.kafka.clients.producer.ProducerConfig;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.header.internals.RecordHeader;
import steadfast.Workload.Executor;
import steadfast.Workload.HeaderSpec;
import steadfast.Workload.KeyLaw;
import steadfast.Workload.PartitionChoice;
import steadfast.Workload.Stage;

/** Ends with 0 and one line when all holds, else with a stack trace. */
final class SelfTest {
    private static final long SECOND = 1_000_000_000;

    private SelfTest() {}

    public static void main(String[] args) throws Exception {
        boolean asserting = false;
        assert asserting = true;
        if (!asserting) {
            throw new IllegalStateException("run it with -ea: without, nothing is checked");
        }
        wideNumbers();
        varints();
        stampLayout();
        bytesOfASeedNeverChange();
        partitionsAndKeys();
        constantRateIsExactAfterThreeHours();
        warmUpAndRampHaveNoSeam();
        rampIsAParabola();
        whatNobodyTakesIsDebt();
        unlimited();
        contradictionsAreNamed();
        settings();
        workloadOfTheRunner();
        latencyOfTheWatcher();
        outcomesOfOneBatchGroup();
        historyAcrossWindows();
        System.out.println("java: the self-check holds");
    }

    private static void wideNumbers() {
        java.util.Random random = new java.util.Random(1);
        BigInteger two64 = BigInteger.ONE.shiftLeft(64);
        for (int i = 0; i < 100_000; i++) {
            long high = random.nextLong() >>> 1 + random.nextInt(63);
            long low = random.nextInt(4) == 0 ? 1L << random.nextInt(64) : random.nextLong();
            BigInteger wide = BigInteger.valueOf(high).shiftLeft(64).add(unsigned(low));
            assert Segments.toDouble(high, low) == wide.doubleValue() : wide;
            long bits = random.nextLong();
            long n = random.nextLong() >>> 1;
            assert Random.below(bits, n) == unsigned(bits).multiply(BigInteger.valueOf(n)).divide(two64).longValue();
        }
        // Exactly between two doubles: to the even one; a bit beyond: up.
        assert Segments.toDouble(1L << 53, Long.MIN_VALUE) == 0x1.0p117;
        assert Segments.toDouble(1L << 53, Long.MIN_VALUE + 1) == (double) (1L << 53) * 0x1.0p64;
        assert Segments.toDouble((1L << 53) + 1, 0) == 0x1.0p117;
        assert Segments.toDouble((1L << 53) + 1, 1) == 0x1.0p117 + 0x1.0p65;
    }

    private static BigInteger unsigned(long value) {
        return new BigInteger(Long.toUnsignedString(value));
    }

    private static void varints() {
        Bytes bytes = new Bytes();
        bytes.putUnsigned(0);
        bytes.putUnsigned(127);
        bytes.putUnsigned(300);
        bytes.putUnsigned(-1);
        bytes.putSigned(-1);
        bytes.putSigned(64);
        byte[] written = Arrays.copyOfRange(bytes.array(), Bytes.HEAD, Bytes.HEAD + bytes.length());
        byte[] expected = {0, 127, (byte) 0xac, 2, -1, -1, -1, -1, -1, -1, -1, -1, -1, 1, 1, (byte) 0x80, 1};
        assert Arrays.equals(written, expected) : Arrays.toString(written);
    }

    /** The layout is a public format: the same bytes as in the test of verifier/src/stamp.rs. */
    private static void stampLayout() {
        byte[] value = Arrays.copyOf(new byte[Stamp.BYTES], Stamp.BYTES + 4);
        System.arraycopy(ascii("rest"), 0, value, Stamp.BYTES, 4);
        List<Header> headers = List.of(new RecordHeader("h", ascii("v")));
        new Stamp("orders").write(value, 3, 17, 17, ascii("k"), headers);
        ByteBuffer covered = ByteBuffer.allocate(64).order(ByteOrder.LITTLE_ENDIAN);
        for (String piece : List.of("orders", "k", "rest", "h", "v")) {
            covered.putInt(piece.length()).put(ascii(piece));
        }
        CRC32C crc = new CRC32C();
        crc.update(covered.flip());
        ByteBuffer expected = ByteBuffer.allocate(20).order(ByteOrder.LITTLE_ENDIAN);
        expected.putLong(3L << 48 | 17).putInt(17).putInt((int) crc.getValue()).put(ascii("rest"));
        assert Arrays.equals(value, expected.array()) : Arrays.toString(value);
        // The check value of CRC-32C itself (RFC 3720 B.4).
        crc.reset();
        crc.update(ascii("123456789"));
        assert crc.getValue() == 0xe306_9283L;
    }

    /** The fingerprints of generator_tests.rs: a change means that old seeds no longer replay. */
    private static void bytesOfASeedNeverChange() throws Refusal {
        List<HeaderSpec> headers = List.of(new HeaderSpec("source", 8), new HeaderSpec("trace", 0));
        long[] prints = {
            fingerprint(records(new KeyLaw.None(), 100, List.of()), 1000),
            fingerprint(records(new KeyLaw.Uniform(50), 64, headers), 1000),
            fingerprint(records(new KeyLaw.Zipf(50, 1.0), 16, List.of()), 1000),
            fingerprint(records(new KeyLaw.RoundRobin(7), 100_000, List.of()), 20),
        };
        long[] expected = {1_024_951_627L, 899_210_231L, 2_605_443_325L, 1_641_867_120L};
        assert Arrays.equals(prints, expected) : Arrays.toString(prints);
    }

    private static long fingerprint(Workload workload, int count) throws Refusal {
        Generator generator = new Generator(workload);
        CRC32C crc = new CRC32C();
        for (int i = 0; i < count; i++) {
            ProducerRecord<byte[], byte[]> record = generator.advance();
            ByteBuffer head = ByteBuffer.allocate(12).order(ByteOrder.LITTLE_ENDIAN);
            crc.update(head.putLong(generator.index()).putInt(record.partition()).flip());
            crc.update(record.key() == null ? ascii("none") : record.key());
            crc.update(record.value());
            for (Header header : record.headers()) {
                crc.update(ascii(header.key()));
                crc.update(header.value());
            }
        }
        return crc.getValue();
    }

    private static void partitionsAndKeys() throws Refusal {
        Workload order = order(new Executor.Unlimited(1), 0, 0, 0, 10, PartitionChoice.ROUND_ROBIN,
            new KeyLaw.RoundRobin(1000), 32, List.of());
        Generator generator = new Generator(order);
        for (long i = 10; i < 20; i++) {
            ProducerRecord<byte[], byte[]> record = generator.advance();
            assert generator.index() == i && record.partition() == i % 6;
            assert new String(record.key(), StandardCharsets.US_ASCII).equals("key-" + i);
            assert generator.current() == record;
        }
        Workload sticky = order(new Executor.Unlimited(1), 0, 0, 0, 10, PartitionChoice.STICKY, new KeyLaw.None(), 32,
            List.of());
        ProducerRecord<byte[], byte[]> record = new Generator(sticky).advance();
        assert record.partition() == null && record.key() == null;
        // A later incarnation goes on where the drawn keys of the first would be.
        Workload whole = records(new KeyLaw.Zipf(9, 0.9), 16, List.of());
        Generator first = new Generator(whole);
        for (int i = 0; i < 40; i++) {
            first.advance();
        }
        Workload later = order(new Executor.Unlimited(1), 0, 0, 0, 40, PartitionChoice.ROUND_ROBIN, new KeyLaw.Zipf(9, 0.9),
            16, List.of());
        assert Arrays.equals(first.advance().value(), new Generator(later).advance().value());
    }

    private static void constantRateIsExactAfterThreeHours() throws Refusal {
        long hours = 3 * 3600;
        Schedule schedule = new Schedule(load(new Executor.Constant(33.3), 0, hours * SECOND));
        List<Long> due = drive(schedule, 1, 1000);
        assert due.size() == (long) Math.ceil(33.3 * hours);
        BigInteger each = BigInteger.valueOf(1_000_000_000_000_000L);
        for (int i = 0; i < due.size(); i++) {
            // 33.3/s is 33,300,000 millionths.
            long exact = BigInteger.valueOf(i).multiply(each).divide(BigInteger.valueOf(33_300_000)).longValueExact();
            assert due.get(i) == 5 * SECOND + exact : i;
        }
        // A rate that divides nothing, and one of a single record in the whole load.
        assert drive(new Schedule(load(new Executor.Constant(24_999.999_999), 0, SECOND)), 1, 7).get(24_999)
            == 5 * SECOND + 999_960_000;
        assert drive(new Schedule(load(new Executor.Constant(0.000_001), 0, SECOND)), 1, 7).equals(List.of(5 * SECOND));
    }

    private static void warmUpAndRampHaveNoSeam() throws Refusal {
        Schedule constant = new Schedule(load(new Executor.Constant(1000), 2 * SECOND, 3 * SECOND));
        assert constant.intendedRecords() == 5000;
        assert constant.warmupEndNs() == 7 * SECOND && constant.endNs() == 10 * SECOND;
        Executor ramp = new Executor.Ramping(100, List.of(
            new Stage(1000, 0), new Stage(1000, SECOND), new Stage(100, 0), new Stage(100, SECOND)));
        List<Long> due = drive(new Schedule(load(ramp, 2 * SECOND, 2 * SECOND)), 1_000_000, 10_000);
        assert within(due, 0, 2) == 200 && within(due, 2, 3) == 1000 && within(due, 3, 4) == 100;
    }

    private static long within(List<Long> due, long from, long to) {
        return due.stream().filter(at -> at >= (5 + from) * SECOND && at < (5 + to) * SECOND).count();
    }

    private static void rampIsAParabola() throws Refusal {
        Executor ramp = new Executor.Ramping(0, List.of(new Stage(1000, 10 * SECOND)));
        Schedule schedule = new Schedule(load(ramp, 0, 10 * SECOND));
        assert schedule.intendedRecords() == 5000;
        List<Long> due = drive(schedule, 1, 10_000);
        for (int i = 0; i < due.size(); i++) {
            // N(t) = 50 t^2, so t = sqrt(i / 50).
            assert Math.abs(due.get(i) - (5e9 + Math.sqrt(i / 50.0) * 1e9)) <= 1 : i;
        }
    }

    private static void whatNobodyTakesIsDebt() throws Refusal {
        Executor ramp = new Executor.Ramping(0, List.of(new Stage(2000, SECOND), new Stage(0, SECOND)));
        for (Executor executor : List.of(new Executor.Constant(1000), ramp, new Executor.Poisson(1000))) {
            List<Long> onTime = drive(new Schedule(load(executor, 0, 2 * SECOND)), 1, 1);
            Schedule late = new Schedule(load(executor, 0, 2 * SECOND));
            assert late.debt(4 * SECOND) == 0;
            assert late.debt(onTime.get(99) - 1) == 99;
            assert late.debt(onTime.get(99)) == 100;
            assert late.debt(8 * SECOND) == onTime.size();
            long[] run = new long[30];
            assert late.take(8 * SECOND, Integer.MAX_VALUE, run) == 30 && late.nextIndex() == 30;
            assert run[0] == onTime.get(0) && run[29] == onTime.get(29);
            assert late.debt(8 * SECOND) == onTime.size() - 30;
            run = new long[onTime.size()];
            assert late.take(8 * SECOND, Integer.MAX_VALUE, run) == onTime.size() - 30 && run[0] == onTime.get(30);
            assert late.debt(9 * SECOND) == 0 && late.nextDue() == Schedule.NONE;
        }
    }

    private static void unlimited() throws Refusal {
        Schedule schedule = new Schedule(order(new Executor.Unlimited(2500), 5 * SECOND, SECOND, 0, 70,
            PartitionChoice.STICKY, new KeyLaw.None(), 16, List.of()));
        long[] run = new long[1000];
        assert schedule.take(4 * SECOND, 1000, run) == 0 : "not before the start";
        for (long[] taken : new long[][] {{6, 70, 1000}, {7, 1070, 1000}, {8, 2070, 500}}) {
            assert schedule.nextDue() == 5 * SECOND && schedule.nextIndex() == taken[1];
            assert schedule.take(taken[0] * SECOND, 1000, run) == taken[2] && run[0] == taken[0] * SECOND;
            assert schedule.debt(taken[0] * SECOND) == 0;
        }
        assert schedule.nextDue() == Schedule.NONE;
    }

    private static void contradictionsAreNamed() {
        for (double rate : new double[] {0, -1, Double.NaN, Double.POSITIVE_INFINITY, 2e9, 1e-9}) {
            refused(() -> new Schedule(load(new Executor.Constant(rate), 0, SECOND)), "give more than 0");
        }
        Executor rest = new Executor.Ramping(0, List.of(new Stage(0, SECOND)));
        refused(() -> new Schedule(load(rest, 0, SECOND)), "never leaves 0");
        Executor ramp = new Executor.Ramping(1, List.of(new Stage(2, SECOND)));
        refused(() -> new Schedule(load(ramp, 0, 3 * SECOND)), "make them equal");
        refused(() -> new Schedule(load(new Executor.Constant(1), 0, Long.MAX_VALUE)), "too long");
        refused(() -> new Schedule(load(new Executor.Unlimited(1L << 48), 0, 0)), "too long");
        refused(() -> new Generator(records(new KeyLaw.None(), 15, List.of())), "record size 15");
        refused(() -> new Generator(records(new KeyLaw.Uniform(0), 16, List.of())), "0 keys");
        refused(() -> new Generator(records(new KeyLaw.Uniform((1 << 24) + 1), 16, List.of())), "keys: give");
        refused(() -> new Generator(records(new KeyLaw.Zipf(10, Double.NaN), 16, List.of())), "exponent");
    }

    private static void settings() throws Refusal {
        Map<String, Object> low = Settings.of(producing(Map.of("profile", "low-latency", "max.block.ms", "9")));
        assert low.get(ProducerConfig.LINGER_MS_CONFIG).equals("0") && low.get(ProducerConfig.MAX_BLOCK_MS_CONFIG).equals("0");
        assert low.get(ProducerConfig.MAX_IN_FLIGHT_REQUESTS_PER_CONNECTION).equals("1");
        assert Settings.batchSize(low) == 16_384;
        Map<String, Object> wide = Settings.of(producing(Map.of("profile", "throughput", "linger.ms", "0.2")));
        assert Settings.batchSize(wide) == 262_144 && wide.get(ProducerConfig.LINGER_MS_CONFIG).equals("1");
        Map<String, Object> plain = Settings.of(producing(Map.of("buffer.memory", "1000", "acks", "all", "nonsense", "1")));
        assert Settings.batchSize(plain) == 1000 && !plain.containsKey("nonsense");
        refused(() -> Settings.of(producing(Map.of("profile", "fast"))), "profile `fast`");
        refused(() -> Settings.of(producing(Map.of("transactional.id", "a"))), "transactions");
    }

    /** A document as the runner writes it, and one that asks for what this program does not do. */
    private static void workloadOfTheRunner() throws IOException, Refusal {
        String text = """
            {"seed":18446744073709551615,"worker":3,"incarnation":1,"first_index":1099511627776,
            "bootstrap_servers":["127.0.0.1:1","127.0.0.1:2"],"topic":"t","partitions":6,"partition":"by-key",
            "executor":{"executor":"ramping-arrival-rate","start_rate":0.5,"stages":[{"target":2.0,"duration_ns":7}]},
            "start_ns":1,"warmup_ns":2,"duration_ns":7,"drain_ns":4,"record_size":100,
            "keys":{"distribution":"zipf","count":5,"exponent":1.0},"headers":[{"name":"h","size":8}],
            "producer":{"linger.ms":"5"},"history":"h.bin"}""";
        Path file = Files.createTempFile("workload", ".json");
        try {
            Files.writeString(file, text);
            Workload read = Workload.read(file);
            assert read.seed() == -1 && read.worker() == 3 && read.firstIndex() == 1L << 40;
            assert read.bootstrapServers().equals(List.of("127.0.0.1:1", "127.0.0.1:2"));
            assert read.executor().equals(new Executor.Ramping(0.5, List.of(new Stage(2, 7))));
            assert read.keys().equals(new KeyLaw.Zipf(5, 1)) && read.partition() == PartitionChoice.BY_KEY;
            assert read.headers().equals(List.of(new HeaderSpec("h", 8)));
            assert read.producer().equals(Map.of("linger.ms", "5")) && read.text().equals(text);
            for (String[] wrong : new String[][] {
                {"{\"seed\"", "{\"copy\":{},\"seed\"", "asks for `copy`"},
                {"{\"seed\"", "{\"transaction\":{},\"seed\"", "asks for `transaction`"},
                {"{\"seed\"", "{\"later\":1,\"seed\"", "has `later`"},
                {"by-key", "at-random", "at-random"},
                {"\"record_size\":100", "\"record_size\":-1", "record_size"},
            }) {
                Files.writeString(file, text.replace(wrong[0], wrong[1]));
                refused(() -> Workload.read(file), wrong[2]);
            }
        } finally {
            Files.delete(file);
        }
    }

    private static void latencyOfTheWatcher() {
        Live live = new Live(10, 2_000_000);
        live.handedOver(new long[] {1_000_000, 2_000_000, 3_000_000}, 3);
        live.completed(10, true, 900_000_000);
        assert live.p99Ns() == 0 : "warm-up does not count";
        live.completed(12, true, 4_000_000);
        live.completed(11, true, 4_000_000);
        assert live.p99Ns() >= 1_980_000 && live.p99Ns() < 2_020_000 : live.p99Ns();
        // A second outcome or an unknown index changes nothing.
        live.completed(11, true, 900_000_000);
        live.completed(99, true, 900_000_000);
        assert live.p99Ns() < 2_020_000;
        long[] run = new long[5_000_000];
        Arrays.fill(run, 3_000_000);
        live.handedOver(run, run.length);
        live.completed(13 + run.length - 1, true, 4_000_000);
        assert live.p99Ns() < 2_020_000;
    }

    private static void outcomesOfOneBatchGroup() {
        Outcomes outcomes = new Outcomes();
        for (int i = 0; i < 20_000; i++) {
            outcomes.add(i, 100 + i, 5, History.ACKED, (short) 0, i);
        }
        outcomes.add(20_000, -1, -1, History.UNKNOWN, (short) -1, 7);
        outcomes.add(20_001, -1, -1, History.UNKNOWN, (short) -1, 7);
        assert outcomes.take() == 20_002 && outcomes.followsOn(19_999);
        assert !outcomes.followsOn(20_000) && outcomes.followsOn(20_001);
        assert outcomes.partition(19_999) == 5 && outcomes.outcome(19_999) == History.ACKED;
        assert outcomes.partition(20_001) == -1 && outcomes.outcome(20_001) == History.UNKNOWN;
        assert outcomes.errorCode(20_001) == -1 && outcomes.errorCode(0) == 0 && outcomes.offset(0) == 100;
        assert outcomes.take() == 0;
    }

    /** Frames one behind the other over three windows, each with its checksum; then the end word. */
    private static void historyAcrossWindows() throws Exception {
        Path folder = Files.createTempDirectory("history");
        Path file = folder.resolve("0-0.bin");
        try {
            Workload order = new Workload("{}", 1, 0, 0, 0, List.of(), "t", 1, PartitionChoice.STICKY,
                new Executor.Unlimited(1), 0, 0, 0, 0, 16, new KeyLaw.None(), List.of(), Map.of(), file);
            History history = new History(order);
            long[] run = new long[50_000];
            java.util.Random random = new java.util.Random(1);
            int entries = 1;
            for (int i = 0; i < 100; i++) {
                for (int j = 0; j < run.length; j++) {
                    run[j] = random.nextLong() >>> 1;
                }
                history.handedOver(0, run, run.length, SECOND);
                history.completed(run, 1, History.ACKED, 0, i, (short) 0, SECOND);
                entries += 2;
            }
            history.withheld(1, 1, 2, 3, true, 4);
            history.finish();
            assert countFrames(Files.readAllBytes(file)) == entries + 2;
        } finally {
            Files.deleteIfExists(file);
            Files.delete(folder);
        }
    }

    private static int countFrames(byte[] bytes) {
        assert bytes.length > 40 << 20;
        ByteBuffer file = ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN);
        assert new String(bytes, 0, 8, StandardCharsets.US_ASCII).equals("STFHIST2");
        CRC32C crc = new CRC32C();
        assert file.getInt(8) == bytes.length / 8;
        crc.update(bytes, 8, 4);
        assert file.getInt(12) == (int) crc.getValue();
        int at = 16;
        int number = 0;
        while (at < bytes.length) {
            int length = file.getInt(at);
            crc.reset();
            crc.update(ByteBuffer.allocate(12).order(ByteOrder.LITTLE_ENDIAN).putLong(number).putInt(length).flip());
            crc.update(bytes, at + 8, length);
            assert file.getInt(at + 4) == (int) crc.getValue() : "frame " + number;
            int next = at + 8 + (length + 7) / 8 * 8;
            for (int padding = at + 8 + length; padding < next; padding++) {
                assert bytes[padding] == 0;
            }
            at = next;
            number++;
        }
        return number;
    }

    /** Drives a schedule to its end in steps of `stepNs`, at most `max` records at a time. */
    private static List<Long> drive(Schedule schedule, long stepNs, int max) {
        List<Long> all = new ArrayList<>();
        long[] run = new long[max];
        long now = 0;
        while (schedule.nextDue() != Schedule.NONE) {
            now = Math.max(schedule.nextDue(), now + stepNs);
            assert schedule.nextIndex() == all.size();
            int count = schedule.take(now, max, run);
            assert count > 0;
            for (int i = 0; i < count; i++) {
                all.add(run[i]);
            }
        }
        return all;
    }

    private static Workload load(Executor executor, long warmupNs, long durationNs) {
        return order(executor, 5 * SECOND, warmupNs, durationNs, 0, PartitionChoice.ROUND_ROBIN, new KeyLaw.None(), 100,
            List.of());
    }

    private static Workload records(KeyLaw keys, int size, List<HeaderSpec> headers) {
        return order(new Executor.Unlimited(1), 0, 0, 0, 0, PartitionChoice.ROUND_ROBIN, keys, size, headers);
    }

    private static Workload producing(Map<String, String> properties) {
        return new Workload("{}", 1, 3, 0, 0, List.of("127.0.0.1:1"), "orders", 6, PartitionChoice.STICKY,
            new Executor.Unlimited(1), 0, 0, 0, 0, 16, new KeyLaw.None(), List.of(), properties, Path.of("h"));
    }

    private static Workload order(
        Executor executor, long startNs, long warmupNs, long durationNs, long firstIndex, PartitionChoice partition,
        KeyLaw keys, int size, List<HeaderSpec> headers) {
        return new Workload("{}", 1, 3, 0, firstIndex, List.of(), "orders", 6, partition, executor, startNs, warmupNs,
            durationNs, SECOND, size, keys, headers, Map.of(), Path.of("h"));
    }

    private interface Attempt {
        void run() throws Refusal;
    }

    private static void refused(Attempt attempt, String words) {
        try {
            attempt.run();
        } catch (Refusal refusal) {
            assert refusal.getMessage().contains(words) : refusal.getMessage();
            return;
        }
        throw new AssertionError("was not refused: " + words);
    }

    private static byte[] ascii(String text) {
        return text.getBytes(StandardCharsets.US_ASCII);
    }
}
