// The entries of a history and their bytes: verifier/src/history/entry.rs.

package main

const (
	kindHeader     = 0
	kindHandedOver = 1
	kindCompleted  = 2
	kindEnd        = 3
	kindWithheld   = 4
)

// maxRecordsPerEntry is the most records of one entry; a longer run is written as several.
const maxRecordsPerEntry = 65_536

// outcome is one of the three outcomes; there is no fourth.
type outcome byte

const (
	acked      outcome = 0 // written, at the partition and offset given
	notWritten outcome = 1 // provably not written
	unknown    outcome = 2 // perhaps written
)

// completed is the outcome of records that stand one behind the other in one partition. Fields that franz-go does not
// tell (base sequence, broker, correlation id) are written as -1.
type completed struct {
	// indexes are those of the records, in the order in which they stand in the batch.
	indexes []uint64
	outcome outcome
	// partition and baseOffset are -1 when not known.
	partition  int32
	baseOffset int64
	// errorCode is Kafka's, 0 = none.
	errorCode int16
	// ackNs is when the client said so.
	ackNs uint64
	// producerID and producerEpoch are -1 when not known.
	producerID    int64
	producerEpoch int16
}

// withheld are records that were due and that the client never got.
type withheld struct {
	firstIndex, count     uint64
	firstDueNs, lastDueNs uint64
	// hadRoom is true when the client would have taken them.
	hadRoom bool
	// atNs is when they were given up.
	atNs uint64
}

// putHandedOver appends an entry of a run of records that is about to be given to the client.
func putHandedOver(to []byte, first uint64, intendedNs []uint64, handoverNs uint64) []byte {
	to = append(to, kindHandedOver)
	to = putUnsigned(to, first)
	to = putUnsigned(to, uint64(len(intendedNs)))
	to = putUnsigned(to, handoverNs)
	last, interval := handoverNs, uint64(0)
	for i, intended := range intendedNs {
		step := intended - last
		to = putSigned(to, int64(step-interval))
		// The first step leads to the hand-over and says nothing of those that follow.
		if i > 0 {
			interval = step
		}
		last = intended
	}
	return to
}

// putCompleted appends an entry of outcomes.
func putCompleted(to []byte, c *completed) []byte {
	to = append(to, kindCompleted, byte(c.outcome))
	to = putSigned(to, int64(c.partition))
	to = putSigned(to, c.baseOffset)
	to = putSigned(to, int64(c.errorCode))
	to = putUnsigned(to, c.ackNs)
	to = putSigned(to, c.producerID)
	to = putSigned(to, int64(c.producerEpoch))
	to = putSigned(to, -1)  // base sequence
	to = putUnsigned(to, 0) // transaction: none
	to = putSigned(to, -1)  // broker
	to = putSigned(to, -1)  // correlation id
	to = putUnsigned(to, uint64(len(c.indexes)))
	last := uint64(0)
	for _, index := range c.indexes {
		to = putSigned(to, int64(index-last))
		last = index
	}
	return to
}

// putWithheld appends an entry of records never handed over.
func putWithheld(to []byte, w *withheld) []byte {
	to = append(to, kindWithheld)
	to = putUnsigned(to, w.firstIndex)
	to = putUnsigned(to, w.count)
	to = putUnsigned(to, w.firstDueNs)
	to = putUnsigned(to, w.lastDueNs)
	if w.hadRoom {
		to = append(to, 1)
	} else {
		to = append(to, 0)
	}
	return putUnsigned(to, w.atNs)
}

// putEnd appends the end entry.
func putEnd(to []byte, entriesBefore uint64) []byte {
	return putUnsigned(append(to, kindEnd), entriesBefore)
}
