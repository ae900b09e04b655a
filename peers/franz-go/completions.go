// What became of records: franz-go calls a promise for each, in a goroutine of its own and one after the other; the
// generator fetches what has gathered and writes it down, a run of records at a time.
//
//	franz-go's goroutine:  promise(record, error) ─▶ clock ─▶ list        generator:  list ─▶ runs ─▶ history

package main

import (
	"errors"
	"sync"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

// sameAnswerNs is how far the stamps of one entry lie apart at most. The promises of a batch follow each other within some
// 100 ns, and an entry has one time of acknowledgement, that of its first: no record is said to be acknowledged earlier
// than it was by more than this.
const sameAnswerNs = 20_000

// completion is what one promise said.
type completion struct {
	index      uint64
	offset     int64
	atNs       uint64
	producerID int64
	partition  int32
	epoch      int16
	err        error
}

// completions hands what the promises say over to the generator.
type completions struct {
	mu   sync.Mutex
	list []completion
	// spare is the list of the time before last: the two are used in turn.
	spare []completion
	// indexes is scratch space of book.
	indexes []uint64
}

// promise is the same for every record: which one it is stands in its value, as it will in the log.
func (c *completions) promise(record *kgo.Record, err error) {
	done := completion{
		index:      stampedIndex(record.Value),
		offset:     record.Offset,
		atNs:       monotonicNs(),
		producerID: record.ProducerID,
		partition:  record.Partition,
		epoch:      record.ProducerEpoch,
		err:        err,
	}
	c.mu.Lock()
	c.list = append(c.list, done)
	c.mu.Unlock()
}

// book calls write for each run of what has gathered since the last call.
func (c *completions) book(write func(*completed) error) error {
	c.mu.Lock()
	list := c.list
	c.list, c.spare = c.spare[:0], nil
	c.mu.Unlock()

	var err error
	for from := 0; from < len(list) && err == nil; {
		first := &list[from]
		run := completed{
			partition:     first.partition,
			baseOffset:    first.offset,
			ackNs:         first.atNs,
			producerID:    first.producerID,
			producerEpoch: first.epoch,
		}
		run.outcome, run.errorCode = outcomeOf(first.err)
		c.indexes = append(c.indexes[:0], first.index)
		from++
		for from < len(list) && len(c.indexes) < maxRecordsPerEntry && follows(first, &list[from], len(c.indexes)) {
			c.indexes = append(c.indexes, list[from].index)
			from++
		}
		run.indexes = c.indexes
		err = write(&run)
	}
	clear(list) // errors would be kept alive
	c.spare = list
	return err
}

// follows tells whether a completion is one more of the run that began with first and has length records so far.
func follows(first, next *completion, length int) bool {
	inLog := next.offset == first.offset+int64(length)
	if first.offset < 0 {
		inLog = next.offset == first.offset
	}
	return inLog && next.partition == first.partition && next.producerID == first.producerID &&
		next.epoch == first.epoch && next.atNs-first.atNs <= sameAnswerNs && alike(first.err, next.err)
}

// alike tells whether two errors mean the same to the history.
func alike(a, b error) bool {
	if a == nil || b == nil {
		return a == nil && b == nil
	}
	outcomeA, codeA := outcomeOf(a)
	outcomeB, codeB := outcomeOf(b)
	return outcomeA == outcomeB && codeA == codeB
}

// outcomeOf says what an error of franz-go means: outcome and Kafka's error code, -1 where it is none of Kafka's.
//
// NOT_WRITTEN only where it follows that no record can be in the log:
//   - ErrMaxBuffered: it never came into the buffer.
//   - MessageTooLarge: the broker refused a whole batch for its size, as it would each time that the batch is sent, and
//     franz-go gives up what stands behind it in the partition, which an idempotent broker takes only after it.
//
// ErrRecordTimeout and ErrRecordRetries do not say so, although franz-go fails a batch with them only "if it was never
// issued, or issued and answered": the answer may be that of a second attempt (NOT_LEADER_OR_FOLLOWER from a broker that
// has just lost the partition), while the first, whose answer was lost, was written. All other errors fail every batch of
// a partition for what happened to the first. They are UNKNOWN.
func outcomeOf(err error) (outcome, int16) {
	if err == nil {
		return acked, 0
	}
	code := int16(-1)
	var kafka *kerr.Error
	if errors.As(err, &kafka) {
		code = kafka.Code
	}
	if errors.Is(err, kgo.ErrMaxBuffered) || errors.Is(err, kerr.MessageTooLarge) {
		return notWritten, code
	}
	return unknown, code
}
