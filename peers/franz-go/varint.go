// Variable-length integers of the history: LEB128, seven bits a byte, low bits first; signed ones zigzag first, so that
// small numbers of either sign are short. The same as verifier/src/varint.rs.

package main

// putUnsigned appends an unsigned number: 1 to 10 bytes.
func putUnsigned(to []byte, value uint64) []byte {
	for value >= 0x80 {
		to = append(to, byte(value)|0x80)
		value >>= 7
	}
	return append(to, byte(value))
}

// putSigned appends a signed number: 1 to 10 bytes.
func putSigned(to []byte, value int64) []byte {
	return putUnsigned(to, uint64(value<<1^value>>63))
}
