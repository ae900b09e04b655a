// The record stamp: 16 bytes at the start of every value, so that the log alone can be judged. The layout is that of
// verifier/src/stamp.rs:
//
//	id u64 · sequence u32 · crc u32 · rest of the value, all little-endian
//	id  = worker (upper 16 bits) and index (lower 48 bits)
//	crc = CRC-32C over, each prefixed by its length as i32: topic, key (-1 = none), rest of value, then each header's
//	      key and value

package main

import (
	"encoding/binary"
	"hash/crc32"

	"github.com/twmb/franz-go/pkg/kgo"
)

// stampBytes is the length of the stamp; no value is shorter.
const stampBytes = 16

// maxIndex is the largest record index: the lower 48 bits of an id.
const maxIndex = 1<<48 - 1

// castagnoli is the polynomial of all checksums here; hash/crc32 has it in hardware where the machine does.
var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// noKey is the length prefix of a key that is not there: -1.
var noKey = []byte{0xff, 0xff, 0xff, 0xff}

// writeStamp fills value[:16]; the rest of the value must stand there already. topicCrc is topicChecksum of the topic,
// the same for every record.
func writeStamp(
	value []byte, worker uint16, index uint64, sequence, topicCrc uint32, key []byte, headers []kgo.RecordHeader,
) {
	crc := topicCrc
	if key == nil {
		crc = crc32.Update(crc, castagnoli, noKey)
	} else {
		crc = piece(crc, key)
	}
	crc = piece(crc, value[stampBytes:])
	for i := range headers {
		crc = piece(piece(crc, []byte(headers[i].Key)), headers[i].Value)
	}
	binary.LittleEndian.PutUint64(value, uint64(worker)<<48|index&maxIndex)
	binary.LittleEndian.PutUint32(value[8:], sequence)
	binary.LittleEndian.PutUint32(value[12:], crc)
}

// stampedIndex reads the record's index back from its value.
func stampedIndex(value []byte) uint64 {
	return binary.LittleEndian.Uint64(value) & maxIndex
}

// topicChecksum is the checksum after the topic.
func topicChecksum(topic string) uint32 {
	return piece(0, []byte(topic))
}

// piece goes on with one length-prefixed piece.
func piece(crc uint32, bytes []byte) uint32 {
	var length [4]byte
	binary.LittleEndian.PutUint32(length[:], uint32(len(bytes)))
	return crc32.Update(crc32.Update(crc, castagnoli, length[:]), castagnoli, bytes)
}
