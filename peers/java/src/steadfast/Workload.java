// What is ordered: the JSON document of verifier/src/workload.rs, read once and checked.
package steadfast;

import com.fasterxml.jackson.core.JacksonException;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;

/**
 * The whole order. Times are nanoseconds of {@link Clock} or spans of them; `text` is the document as it was read, for the
 * history's header. `seed` has all 64 bits, as an unsigned number; all else fits a long.
 */
record Workload(
    String text, long seed, int worker, int incarnation, long firstIndex, List<String> bootstrapServers, String topic,
    int partitions, PartitionChoice partition, Executor executor, long startNs, long warmupNs, long durationNs, long drainNs,
    int recordSize, KeyLaw keys, List<HeaderSpec> headers, Map<String, String> producer, Path history) {

    private static final Set<String> FIELDS = Set.of(
        "seed", "worker", "incarnation", "first_index", "bootstrap_servers", "topic", "partitions", "partition", "executor",
        "start_ns", "warmup_ns", "duration_ns", "drain_ns", "record_size", "keys", "headers", "producer", "history");

    /** How a record finds its partition. */
    enum PartitionChoice {
        /** murmur2 of the key; keyless records are sticky. */
        BY_KEY,
        /** The producer's sticky choice (KIP-794). */
        STICKY,
        /** Record i to partition i mod n. */
        ROUND_ROBIN
    }

    /** When records are due. Rates are records a second. */
    sealed interface Executor {
        record Constant(double rate) implements Executor {}

        record Ramping(double startRate, List<Stage> stages) implements Executor {}

        record Poisson(double rate) implements Executor {}

        record Unlimited(long records) implements Executor {}
    }

    /** One stage of a ramp: the rate at its end, and how long it takes. */
    record Stage(double target, long durationNs) {}

    /** Which key a record has; `count` distinct ones. */
    sealed interface KeyLaw {
        record None() implements KeyLaw {}

        record Uniform(long count) implements KeyLaw {}

        record Zipf(long count, double exponent) implements KeyLaw {}

        record RoundRobin(long count) implements KeyLaw {}
    }

    /** A header of each record: its name, and how many random bytes its value has. */
    record HeaderSpec(String name, int size) {}

    /** Reads and checks a workload. */
    static Workload read(Path file) throws Refusal {
        try {
            String text = Files.readString(file);
            ObjectMapper mapper = new ObjectMapper();
            mapper.enable(DeserializationFeature.FAIL_ON_TRAILING_TOKENS);
            return of(new Fields(mapper.readTree(text), ""), text);
        } catch (JacksonException error) {
            throw new Refusal(file + " is not JSON: " + error.getOriginalMessage());
        } catch (IOException error) {
            throw new Refusal(file + " cannot be read (" + error + "): give the file of a workload");
        }
    }

    private static Workload of(Fields order, String text) throws Refusal {
        for (String beyond : List.of("transaction", "copy")) {
            if (order.has(beyond)) {
                throw new Refusal("the workload asks for `" + beyond
                    + "`, which this program does not do: run a scenario without it, or our own producer");
            }
        }
        order.only(FIELDS);
        List<HeaderSpec> headers = new ArrayList<>();
        for (Fields header : order.list("headers")) {
            header.only(Set.of("name", "size"));
            headers.add(new HeaderSpec(header.text("name"), (int) header.number("size", Integer.MAX_VALUE)));
        }
        return new Workload(
            text, order.seed(), (int) order.number("worker", 0xffff), (int) order.number("incarnation", Integer.MAX_VALUE),
            order.number("first_index", Long.MAX_VALUE), order.texts("bootstrap_servers"), order.text("topic"),
            (int) order.number("partitions", Integer.MAX_VALUE), partition(order), executor(order.object("executor")),
            order.number("start_ns", Long.MAX_VALUE), order.number("warmup_ns", Long.MAX_VALUE),
            order.number("duration_ns", Long.MAX_VALUE), order.number("drain_ns", Long.MAX_VALUE),
            (int) order.number("record_size", Integer.MAX_VALUE), keys(order.object("keys")), headers,
            order.textByName("producer"), Path.of(order.text("history")));
    }

    private static PartitionChoice partition(Fields order) throws Refusal {
        String choice = order.text("partition");
        return switch (choice) {
            case "by-key" -> PartitionChoice.BY_KEY;
            case "sticky" -> PartitionChoice.STICKY;
            case "round-robin" -> PartitionChoice.ROUND_ROBIN;
            default -> throw order.unknown("partition", choice);
        };
    }

    private static Executor executor(Fields executor) throws Refusal {
        String name = executor.text("executor");
        switch (name) {
            case "constant-arrival-rate":
                return new Executor.Constant(executor.rate("rate"));
            case "poisson":
                return new Executor.Poisson(executor.rate("rate"));
            case "unlimited":
                return new Executor.Unlimited(executor.number("records", Long.MAX_VALUE));
            case "ramping-arrival-rate":
                List<Stage> stages = new ArrayList<>();
                for (Fields stage : executor.list("stages")) {
                    stages.add(new Stage(stage.rate("target"), stage.number("duration_ns", Long.MAX_VALUE)));
                }
                return new Executor.Ramping(executor.rate("start_rate"), stages);
            default:
                throw executor.unknown("executor", name);
        }
    }

    private static KeyLaw keys(Fields keys) throws Refusal {
        String distribution = keys.text("distribution");
        return switch (distribution) {
            case "none" -> new KeyLaw.None();
            case "uniform" -> new KeyLaw.Uniform(keys.number("count", Long.MAX_VALUE));
            case "zipf" -> new KeyLaw.Zipf(keys.number("count", Long.MAX_VALUE), keys.rate("exponent"));
            case "round-robin" -> new KeyLaw.RoundRobin(keys.number("count", Long.MAX_VALUE));
            default -> throw keys.unknown("distribution", distribution);
        };
    }

    /** A JSON object whose fields must be there and of their kind; `path` leads to it, for messages. */
    private record Fields(JsonNode node, String path) {
        Fields {
            if (node == null || !node.isObject()) {
                node = new ObjectMapper().createObjectNode();
            }
        }

        boolean has(String name) {
            return node.hasNonNull(name);
        }

        void only(Set<String> names) throws Refusal {
            for (Iterator<String> found = node.fieldNames(); found.hasNext(); ) {
                String name = found.next();
                if (!names.contains(name) && has(name)) {
                    throw new Refusal("the workload has `" + path + name
                        + "`, which this program does not know: it was written for an older harness");
                }
            }
        }

        Refusal unknown(String name, String value) {
            return new Refusal("the workload's `" + path + name + "` is `" + value + "`, which this program does not know");
        }

        long number(String name, long most) throws Refusal {
            JsonNode value = node.get(name);
            if (value == null || !value.canConvertToLong() || !value.isIntegralNumber() || value.longValue() < 0
                || value.longValue() > most) {
                throw wrong(name, "a whole number from 0 to " + most);
            }
            return value.longValue();
        }

        /** The one number that uses all 64 bits. */
        long seed() throws Refusal {
            JsonNode value = node.get("seed");
            if (value == null || !value.isIntegralNumber() || value.bigIntegerValue().signum() < 0
                || value.bigIntegerValue().bitLength() > Long.SIZE) {
                throw wrong("seed", "a whole number of 64 bits");
            }
            return value.bigIntegerValue().longValue();
        }

        double rate(String name) throws Refusal {
            JsonNode value = node.get(name);
            if (value == null || !value.isNumber()) {
                throw wrong(name, "a number");
            }
            return value.doubleValue();
        }

        String text(String name) throws Refusal {
            JsonNode value = node.get(name);
            if (value == null || !value.isTextual()) {
                throw wrong(name, "a text");
            }
            return value.textValue();
        }

        Fields object(String name) {
            return new Fields(node.get(name), path + name + ".");
        }

        List<Fields> list(String name) throws Refusal {
            JsonNode value = node.get(name);
            if (value == null || !value.isArray()) {
                throw wrong(name, "a list");
            }
            List<Fields> items = new ArrayList<>();
            value.forEach(item -> items.add(new Fields(item, path + name + ".")));
            return items;
        }

        List<String> texts(String name) throws Refusal {
            JsonNode value = node.get(name);
            if (value == null || !value.isArray()) {
                throw wrong(name, "a list");
            }
            List<String> items = new ArrayList<>();
            value.forEach(item -> items.add(item.asText()));
            return items;
        }

        Map<String, String> textByName(String name) throws Refusal {
            JsonNode value = node.get(name);
            if (value == null || !value.isObject()) {
                throw wrong(name, "an object");
            }
            Map<String, String> items = new LinkedHashMap<>();
            value.properties().forEach(item -> items.put(item.getKey(), item.getValue().asText()));
            return items;
        }

        private Refusal wrong(String name, String expected) {
            return new Refusal("the workload's `" + path + name + "` is " + node.get(name) + ": give " + expected);
        }
    }
}
