// The bytes of record i, from (seed, worker, i) alone; the same as loadgen/src/generator.rs, byte for byte.
//
//	key      none, or the text `key-<number>`
//	value    16 bytes of stamp (stamp.go), then a cut from the pool at a random place
//	headers  name as ordered, value another cut from the pool
//
// Records are made a run at a time: one array of records, one of their bytes, and one of their headers, given to the
// client as they are. The collector frees a run when its last record is done.

package main

import (
	"fmt"
	"math"
	"math/bits"
	"strconv"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

const (
	// maxValueBytes is the longest value or header value.
	maxValueBytes = 64 << 20
	// maxHeaders is the most headers of a record.
	maxHeaders = 1000
	// poolPlaces is the number of places in the pool where a value may begin.
	poolPlaces = 64 << 10
	// keyBytes is `key-` and the digits of the largest u64.
	keyBytes = 4 + 20
)

// generator makes the records of one worker incarnation, in order of their indexes.
type generator struct {
	topic    string
	topicCrc uint32
	worker   uint16
	size     int
	specs    []HeaderSpec
	pool     []byte
	places   random
	keys     *keyChooser
	// round is the number of partitions to go around; 0 when the client chooses.
	round uint64
	// next is the index of the record to be made next.
	next uint64
}

// newGenerator checks what the workload says about records and fills the pool. Where keys are drawn it counts those of
// earlier incarnations first.
func newGenerator(w *Workload) (*generator, error) {
	if w.RecordSize < stampBytes || w.RecordSize > maxValueBytes {
		return nil, fmt.Errorf("record size %d: give %d (the stamp) to %d bytes", w.RecordSize, stampBytes, maxValueBytes)
	}
	if w.Partitions == 0 || w.Partitions > math.MaxInt32 {
		return nil, fmt.Errorf("%d partitions: give 1 or more, as the topic has", w.Partitions)
	}
	longest := w.RecordSize
	for _, header := range w.Headers {
		longest = max(longest, header.Size)
	}
	if len(w.Headers) > maxHeaders || longest > maxValueBytes {
		return nil, fmt.Errorf("headers: at most %d, each of at most %d bytes", maxHeaders, maxValueBytes)
	}
	keys, err := newKeyChooser(w.Keys, w.Seed, w.Worker, w.FirstIndex)
	if err != nil {
		return nil, err
	}
	g := &generator{
		topic:    w.Topic,
		topicCrc: topicChecksum(w.Topic),
		worker:   w.Worker,
		size:     int(w.RecordSize),
		specs:    w.Headers,
		places:   newRandom(w.Seed, w.Worker, streamOffset),
		keys:     keys,
		next:     w.FirstIndex,
	}
	if w.Partition == partitionRoundRobin {
		g.round = uint64(w.Partitions)
	}
	words := (poolPlaces + uint64(longest) + 7) / 8
	of := newRandom(w.Seed, w.Worker, streamPool)
	g.pool = make([]byte, 0, words*8)
	for i := uint64(0); i < words; i++ {
		word := of.at(i)
		for shift := 0; shift < 64; shift += 8 {
			g.pool = append(g.pool, byte(word>>shift))
		}
	}
	return g, nil
}

// cut is size bytes of the pool, at the place that `uniform` names.
func (g *generator) cut(uniform uint64, size int) []byte {
	from := int(below(uniform, poolPlaces))
	return g.pool[from : from+size : from+size]
}

// make makes the next count records, ready for the client.
func (g *generator) make(count int, timestamp time.Time) []kgo.Record {
	records := make([]kgo.Record, count)
	space := make([]byte, 0, count*(g.size+keyBytes))
	headers := make([]kgo.RecordHeader, count*len(g.specs))
	for i := range records {
		own := headers[i*len(g.specs) : (i+1)*len(g.specs) : (i+1)*len(g.specs)]
		space = g.fill(&records[i], space, own)
		records[i].Timestamp = timestamp
	}
	return records
}

// fill makes the next record, with its bytes at the end of space, and gives the longer space.
func (g *generator) fill(record *kgo.Record, space []byte, headers []kgo.RecordHeader) []byte {
	i := g.next
	g.next++
	uniform := g.places.at(i)

	from := len(space)
	space = space[:from+g.size]
	value := space[from:len(space):len(space)]
	copy(value[stampBytes:], g.cut(uniform, g.size-stampBytes))

	for nth := range headers {
		turned := bits.RotateLeft64(uniform, 13*(nth+1)) + uint64(nth)/64
		headers[nth] = kgo.RecordHeader{Key: g.specs[nth].Name, Value: g.cut(turned, int(g.specs[nth].Size))}
	}

	number, keyed, sequence := g.keys.choose(i)
	if keyed {
		from = len(space)
		space = strconv.AppendUint(append(space, "key-"...), number, 10)
		record.Key = space[from:len(space):len(space)]
	}
	writeStamp(value, g.worker, i, sequence, g.topicCrc, record.Key, headers)

	record.Topic = g.topic
	record.Value = value
	record.Headers = headers
	record.Partition = -1 // not known, until the client has chosen
	if g.round > 0 {
		record.Partition = int32(i % g.round)
	}
	return space
}

// userBytes is what the largest record takes of the client's buffer: franz-go counts keys, values and headers.
func (g *generator) userBytes() int64 {
	sum := int64(g.size + keyBytes)
	for _, header := range g.specs {
		sum += int64(len(header.Name)) + int64(header.Size)
	}
	return sum
}

// batchBytes is what a batch of the largest record alone takes on the wire.
func (g *generator) batchBytes() int64 {
	const (
		batch  = 4 + 61       // length prefix and header of record batch v2
		record = 5*5 + 10 + 1 // length, offset delta, lengths of key, value and headers · timestamp delta · attributes
		header = 5 + 5        // lengths of name and value
	)
	return batch + record + g.userBytes() + header*int64(len(g.specs))
}
