// The client under test: Apache Kafka's own producer, and what its answers mean.
package steadfast;

import java.time.Duration;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.locks.LockSupport;
import org.apache.kafka.clients.producer.Callback;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.Metric;
import org.apache.kafka.common.errors.AuthorizationException;
import org.apache.kafka.common.errors.InvalidTimestampException;
import org.apache.kafka.common.errors.InvalidTopicException;
import org.apache.kafka.common.errors.RecordBatchTooLargeException;
import org.apache.kafka.common.errors.RecordTooLargeException;
import org.apache.kafka.common.errors.TimeoutException;
import org.apache.kafka.common.protocol.Errors;

/** A producer whose `send` never waits. All but the callbacks runs in the generator's thread. */
final class Client {
    /** How often readiness is looked for, ns. */
    private static final long READY_LOOK_NS = 10_000_000;
    /** In {@link RecordMetadata#partition()}: chosen later, or never. */
    private static final int NO_PARTITION = -1;
    private static final long NO_OFFSET = -1;

    private final KafkaProducer<byte[], byte[]> producer;
    private final Outcomes outcomes;
    private final Thread generator = Thread.currentThread();
    private final Metric available;
    /** What went wrong is said once of each kind. */
    private final Set<Class<?>> said = ConcurrentHashMap.newKeySet();

    /** Why `send` did not take the last record; set by the callback, which it calls in the generator's own thread. */
    private Exception refusal;
    private int refusedPartition;

    /** What `send` did with a record. */
    enum Sent {
        /** Its outcome will come. */
        TAKEN,
        /** The client does not have it: its buffer is full, or it does not know the topic's leaders. */
        NO_ROOM,
        /** The client does not have it and never will. */
        REFUSED
    }

    /** Starts the client's I/O thread. What became of records that `send` took goes to `outcomes`. */
    Client(Map<String, Object> settings, Outcomes outcomes) throws Refusal {
        this.outcomes = outcomes;
        try {
            producer = new KafkaProducer<>(settings);
        } catch (KafkaException error) {
            throw new Refusal("the Java client does not take these settings: " + words(error));
        }
        available = producer.metrics().entrySet().stream()
            .filter(metric -> metric.getKey().name().equals("buffer-available-bytes"))
            .map(Map.Entry::getValue).findFirst()
            .orElseThrow(() -> new Refusal("this client does not tell its free buffer memory: use kafka-clients 4.1.0"));
    }

    /** Waits until the client knows the topic, at most until `boundNs`, and checks its number of partitions. */
    void ready(String topic, int partitions, long boundNs) throws Refusal {
        while (true) {
            try {
                int found = producer.partitionsFor(topic).size();
                if (found != partitions) {
                    throw new Refusal("topic " + topic + " has " + found + " partitions, the workload says " + partitions
                        + ": make them equal");
                }
                return;
            } catch (TimeoutException error) {
                if (Clock.now() >= boundNs) {
                    throw new Refusal("no broker has told the client of topic " + topic + " (" + words(error)
                        + "): is the cluster up, and the topic there?");
                }
            } catch (KafkaException error) {
                throw new Refusal("the client cannot learn of topic " + topic + ": " + words(error));
            }
            LockSupport.parkNanos(READY_LOOK_NS);
        }
    }

    /** Gives the client a record, which it copies. A failure other than a refusal is thrown. */
    Sent send(ProducerRecord<byte[], byte[]> record, long index) {
        refusal = null;
        producer.send(record, new Answer(index));
        if (refusal == null) {
            return Sent.TAKEN;
        }
        // With max.block.ms = 0 a full buffer (BufferExhaustedException) and missing metadata are timeouts at once.
        return refusal instanceof TimeoutException ? Sent.NO_ROOM : Sent.REFUSED;
    }

    /** Kafka's error code for the last refusal. */
    short refusedCode() {
        return Errors.forException(refusal).code();
    }

    /** The partition of the record refused last; -1 when none was chosen yet. */
    int refusedPartition() {
        return refusedPartition;
    }

    /** Bytes of buffer.memory that no batch has. */
    long freeBytes() {
        return ((Number) available.metricValue()).longValue();
    }

    /** Ends the client; what it still has may or may not be written. */
    void close(Duration patience) {
        producer.close(patience);
    }

    /** An exception's own words, or its name when it has none. */
    static String words(Throwable error) {
        Throwable cause = error.getCause() == null ? error : error.getCause();
        return cause.getMessage() == null ? cause.getClass().getSimpleName() : cause.getMessage();
    }

    /** Called once for each record. */
    private final class Answer implements Callback {
        private final long index;

        Answer(long index) {
            this.index = index;
        }

        @Override
        public void onCompletion(RecordMetadata metadata, Exception error) {
            int partition = metadata == null ? NO_PARTITION : metadata.partition();
            if (Thread.currentThread() == generator) {
                refusal = error;
                refusedPartition = partition;
            } else if (error == null) {
                // The client succeeds without an offset in one case alone: the broker knew the batch and not its place
                // (Sender.completeBatch, DUPLICATE_SEQUENCE_NUMBER).
                short code = metadata.hasOffset() ? Errors.NONE.code() : Errors.DUPLICATE_SEQUENCE_NUMBER.code();
                outcomes.add(index, metadata.offset(), partition, History.ACKED, code, Clock.now());
            } else {
                outcomes.add(index, NO_OFFSET, partition, outcome(error), Errors.forException(error).code(), Clock.now());
                if (said.add(error.getClass())) {
                    System.err.println("record " + index + ": " + error);
                }
            }
        }
    }

    /**
     * What a failure of a record that the client had taken says. Refused by the broker for what the record is or for who
     * sends it: not written, unless an earlier request with the same batch, whose answer was lost, met other rules; the
     * client does not tell. All else may have been written: a batch that expires (TimeoutException) may never have been
     * sent, or sent and not answered, and the client does not tell that either.
     */
    private static int outcome(Exception error) {
        boolean refused = error instanceof RecordTooLargeException || error instanceof RecordBatchTooLargeException
            || error instanceof InvalidTopicException || error instanceof InvalidTimestampException
            || error instanceof AuthorizationException;
        return refused ? History.NOT_WRITTEN : History.UNKNOWN;
    }
}
