// The workload's producer properties as the Java client takes them: the same settings as our own producer's, under Kafka's
// names.
package steadfast;

import java.math.BigDecimal;
import java.math.RoundingMode;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.apache.kafka.clients.producer.ProducerConfig;
import org.apache.kafka.common.serialization.ByteArraySerializer;
import steadfast.Workload.KeyLaw;
import steadfast.Workload.PartitionChoice;

/** Builds the properties; what cannot be carried over is said on standard error. */
final class Settings {
    /** Names the set of defaults that a scenario starts from; no property of Kafka's. */
    private static final String PROFILE = "profile";
    /** Where our own producer's defaults differ from Kafka's (producer/src/config/properties.rs). */
    private static final Map<String, Map<String, String>> PROFILES = Map.of(
        "kafka", Map.of(),
        "low-latency", Map.of(
            ProducerConfig.LINGER_MS_CONFIG, "0",
            ProducerConfig.MAX_IN_FLIGHT_REQUESTS_PER_CONNECTION, "1"),
        "throughput", Map.of(
            ProducerConfig.BATCH_SIZE_CONFIG, "262144",
            ProducerConfig.BUFFER_MEMORY_CONFIG, "134217728",
            ProducerConfig.SEND_BUFFER_CONFIG, "-1",
            ProducerConfig.RECEIVE_BUFFER_CONFIG, "-1"));

    private Settings() {}

    /** The properties of a producer for this workload. What was given wins over the profile. */
    static Map<String, Object> of(Workload workload) throws Refusal {
        Map<String, String> given = new LinkedHashMap<>(workload.producer());
        String profile = given.remove(PROFILE);
        Map<String, String> tuned = PROFILES.get(profile == null ? "kafka" : profile.trim());
        if (tuned == null) {
            throw new Refusal("profile `" + profile + "`: give one of " + String.join(", ", PROFILES.keySet()));
        }
        if (given.containsKey(ProducerConfig.TRANSACTIONAL_ID_CONFIG)) {
            throw new Refusal(ProducerConfig.TRANSACTIONAL_ID_CONFIG
                + " is set, and transactions are beyond this program: remove it");
        }
        Map<String, Object> settings = new LinkedHashMap<>(tuned);
        settings.put(ProducerConfig.ACKS_CONFIG, "all");
        settings.put(ProducerConfig.ENABLE_IDEMPOTENCE_CONFIG, "true");
        Set<String> known = ProducerConfig.configNames();
        List<String> unknown = new ArrayList<>();
        given.forEach((name, value) -> {
            if (known.contains(name)) {
                settings.put(name, value);
            } else {
                unknown.add(name);
            }
        });
        if (!unknown.isEmpty()) {
            System.err.println("the Java client does not have, and does without: " + String.join(", ", unknown));
        }
        wholeMilliseconds(settings);
        if (!given.containsKey(ProducerConfig.BATCH_SIZE_CONFIG)) {
            batchFits(settings);
        }
        if (workload.partition() == PartitionChoice.STICKY && !(workload.keys() instanceof KeyLaw.None)) {
            // A sticky choice that keys overrule would be none.
            settings.putIfAbsent(ProducerConfig.PARTITIONER_IGNORE_KEYS_CONFIG, "true");
        }
        // The generator never waits in `send`: what finds no room is tried again.
        settings.put(ProducerConfig.MAX_BLOCK_MS_CONFIG, "0");
        settings.put(ProducerConfig.BOOTSTRAP_SERVERS_CONFIG, String.join(",", workload.bootstrapServers()));
        settings.put(ProducerConfig.KEY_SERIALIZER_CLASS_CONFIG, ByteArraySerializer.class.getName());
        settings.put(ProducerConfig.VALUE_SERIALIZER_CLASS_CONFIG, ByteArraySerializer.class.getName());
        return settings;
    }

    /** Bytes of records a batch takes, in force. */
    static int batchSize(Map<String, Object> settings) {
        return (int) number(settings, ProducerConfig.BATCH_SIZE_CONFIG);
    }

    /** Ours lingers for fractions of a millisecond, the Java client does not: it waits longer, up to the next whole one. */
    private static void wholeMilliseconds(Map<String, Object> settings) throws Refusal {
        Object linger = settings.get(ProducerConfig.LINGER_MS_CONFIG);
        if (linger == null) {
            return;
        }
        try {
            BigDecimal written = new BigDecimal(linger.toString().trim());
            BigDecimal whole = written.setScale(0, RoundingMode.CEILING);
            if (whole.compareTo(written) != 0) {
                System.err.println("linger.ms = " + linger + " is " + whole + " here: the Java client takes whole milliseconds");
            }
            settings.put(ProducerConfig.LINGER_MS_CONFIG, whole.toPlainString());
        } catch (NumberFormatException error) {
            throw new Refusal("linger.ms = " + linger + " is not a number: give milliseconds");
        }
    }

    /** As ours does: a batch size that nobody asked for gives way to what must hold a batch. */
    private static void batchFits(Map<String, Object> settings) throws Refusal {
        for (String bound : List.of(ProducerConfig.BUFFER_MEMORY_CONFIG, ProducerConfig.MAX_REQUEST_SIZE_CONFIG)) {
            try {
                long room = number(settings, bound);
                if (number(settings, ProducerConfig.BATCH_SIZE_CONFIG) > room) {
                    settings.put(ProducerConfig.BATCH_SIZE_CONFIG, Long.toString(room));
                    System.err.println("batch.size lowered to " + room + ", all that " + bound + " has room for");
                }
            } catch (NumberFormatException error) {
                throw new Refusal(bound + " = " + settings.get(bound) + " is not a number: give bytes");
            }
        }
    }

    private static long number(Map<String, Object> settings, String name) {
        Object value = settings.get(name);
        return value == null
            ? ((Number) ProducerConfig.configDef().defaultValues().get(name)).longValue()
            : Long.parseLong(value.toString().trim());
    }
}
