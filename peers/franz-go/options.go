// From Kafka's producer settings to franz-go's options.

package main

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"time"

	"github.com/klauspost/compress/zstd"
	"github.com/twmb/franz-go/pkg/kgo"
)

const (
	// leastBatchBytes and mostBatchBytes are the bounds of franz-go's ProducerBatchMaxBytes.
	leastBatchBytes, mostBatchBytes = 512, 1 << 30
	// requestBytes is more than a produce request of one batch takes beside it: client id, topic, lengths.
	requestBytes = 1024
	// leastUserBytes is the least that a record takes of the buffer: its stamp.
	leastUserBytes = stampBytes
)

// clientOptions are what a client is made of, and two bounds that the rest of this program must know.
type clientOptions struct {
	all []kgo.Opt
	// batchBytes is the longest batch.
	batchBytes int64
	// bufferBytes is what the client holds at most; franz-go counts keys, values and headers.
	bufferBytes int64
}

// translate makes the options of a workload.
func translate(w *Workload, s *settings, g *generator) (*clientOptions, error) {
	if acks := s.text("acks"); acks != "all" && acks != "-1" || !s.flag("enable.idempotence") {
		return nil, errors.New("acks = all and enable.idempotence = true are what all subjects are held to")
	}
	bufferBytes := s.integer("buffer.memory")
	if bufferBytes < g.userBytes() {
		return nil, fmt.Errorf("buffer.memory = %d: a record of %d bytes does not fit", bufferBytes, g.userBytes())
	}
	batchBytes := batchLimit(s, g)
	codec, err := compression(s)
	if err != nil {
		return nil, err
	}
	all := []kgo.Opt{
		kgo.SeedBrokers(w.BootstrapServers...),
		kgo.WithLogger(kgo.BasicLogger(os.Stderr, kgo.LogLevelWarn, nil)),
		kgo.RecordPartitioner(partitioner(w, s)),
		kgo.ProducerBatchCompression(codec),
		kgo.ProducerLinger(s.within("linger.ms", 0, time.Minute)),
		kgo.ProducerBatchMaxBytes(int32(batchBytes)),
		kgo.BrokerMaxWriteBytes(int32(min(max(s.integer("max.request.size"), batchBytes+requestBytes), mostBatchBytes))),
		kgo.MaxBufferedBytes(int(bufferBytes)),
		// Bytes are the bound, as in Kafka; this one is never reached before.
		kgo.MaxBufferedRecords(int(bufferBytes/leastUserBytes + 1)),
		kgo.RecordDeliveryTimeout(s.within("delivery.timeout.ms", time.Second, 30*24*time.Hour)),
		kgo.RecordRetries(int(s.integer("retries"))),
		// Kafka's retries bound these too; franz-go would give a partition up after 4, in the middle of an election.
		kgo.UnknownTopicRetries(int(s.integer("retries"))),
		// A connection that ends before its first answer is a broker that goes down: the addresses are known to be right.
		kgo.AlwaysRetryEOF(),
		kgo.DialTimeout(s.millis("socket.connection.setup.timeout.ms")),
		kgo.ConnIdleTimeout(idle(s)),
	}
	all = append(all, times(s)...)
	if id := s.text("client.id"); id != "" {
		all = append(all, kgo.ClientID(id))
	}
	if inFlight := s.integer("max.in.flight.requests.per.connection"); inFlight != 5 {
		s.note("max.in.flight.requests.per.connection = %d: franz-go holds up to 5 requests in flight, "+
			"and can be told otherwise only without idempotence", inFlight)
	}
	return &clientOptions{all, batchBytes, bufferBytes}, s.wrong
}

// batchLimit is the size of a batch. In Kafka a record larger than batch.size travels alone; franz-go refuses what is
// larger than its batches, so these take the largest record at least.
func batchLimit(s *settings, g *generator) int64 {
	wish := s.integer("batch.size")
	bounded := min(max(wish, g.batchBytes(), leastBatchBytes), mostBatchBytes-requestBytes)
	if bounded != wish {
		s.note("batch.size = %d: franz-go takes no record that does not fit its batches, so it is %d", wish, bounded)
	}
	return bounded
}

// partitioner is how records find their partition. Kafka 4's sticky choice (KIP-794) moves on after batch.size bytes and
// prefers partitions with little waiting; with keys, those choose by murmur2.
func partitioner(w *Workload, s *settings) kgo.Partitioner {
	if w.Partition == partitionRoundRobin {
		return kgo.ManualPartitioner()
	}
	keys := w.Partition == partitionByKey && !s.flag("partitioner.ignore.keys")
	adaptive := s.flag("partitioner.adaptive.partitioning.enable")
	return kgo.UniformBytesPartitioner(int(max(s.integer("batch.size"), 1)), adaptive, keys, nil)
}

func compression(s *settings) (kgo.CompressionCodec, error) {
	switch name := s.text("compression.type"); name {
	case "none":
		return kgo.NoCompression(), nil
	case "gzip":
		return kgo.GzipCompression().WithLevel(int(s.integer("compression.gzip.level"))), nil
	case "snappy":
		return kgo.SnappyCompression(), nil
	case "lz4":
		return kgo.Lz4Compression(), nil
	case "zstd":
		// This zstd has four levels; the nearest is taken.
		level := zstd.EncoderLevelFromZstd(int(s.integer("compression.zstd.level")))
		return kgo.ZstdCompression().WithLevel(int(level)), nil
	default:
		return kgo.CompressionCodec{}, fmt.Errorf("compression.type = %q: give none, gzip, snappy, lz4 or zstd", name)
	}
}

// idle is connections.max.idle.ms, where -1 is never.
func idle(s *settings) time.Duration {
	const most = 15 * time.Minute
	if s.text("connections.max.idle.ms") == "-1" {
		s.note("connections.max.idle.ms = -1: franz-go closes an idle connection after %v at the latest", most)
		return most
	}
	return s.within("connections.max.idle.ms", 100*time.Millisecond, most)
}

// times are those of requests and their retries.
func times(s *settings) []kgo.Opt {
	// franz-go gives up on a produce request after the time that the broker may take for it and its own on top. Half and
	// half makes request.timeout.ms of both together, as Kafka has it; other requests have the second half only.
	request := s.within("request.timeout.ms", 200*time.Millisecond, 30*time.Minute)
	// As in Kafka, this is also the least time between two looks at where the leaders are (franz-go's own: 5 s).
	backoff := s.within("retry.backoff.ms", 10*time.Millisecond, time.Minute)
	return []kgo.Opt{
		kgo.ProduceRequestTimeout(request - request/2),
		kgo.RequestTimeoutOverhead(request / 2),
		kgo.RetryBackoffFn(doubled(backoff, max(s.millis("retry.backoff.max.ms"), backoff))),
		kgo.MetadataMinAge(backoff),
		kgo.MetadataMaxAge(s.within("metadata.max.age.ms", backoff, time.Hour)),
	}
}

// doubled is the wait before each retry (KIP-580): doubled each time up to a bound, and up to 20 % more or less, so that
// what failed together does not come back together.
func doubled(first, most time.Duration) func(int) time.Duration {
	return func(fails int) time.Duration {
		wait := min(first<<min(max(fails-1, 0), 16), most)
		return time.Duration(float64(wait) * (0.8 + 0.4*rand.Float64()))
	}
}
