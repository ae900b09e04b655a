// The bytes of a history: numbers, frames, and a whole small file, read back here.

package main

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"hash/crc32"
	"math"
	"os"
	"path/filepath"
	"testing"
)

func TestNumbersAreShortAndExact(t *testing.T) {
	for _, c := range []struct {
		value uint64
		bytes []byte
	}{
		{0, []byte{0}},
		{127, []byte{0x7f}},
		{128, []byte{0x80, 1}},
		{300, []byte{0xac, 2}},
		{math.MaxUint64, []byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1}},
	} {
		if got := putUnsigned(nil, c.value); !bytes.Equal(got, c.bytes) {
			t.Errorf("%d: % x, not % x", c.value, got, c.bytes)
		}
	}
	for _, value := range []int64{0, -1, 1, -64, 64, math.MaxInt64, math.MinInt64} {
		// encoding/binary has the same form.
		if got, want := putSigned(nil, value), binary.AppendVarint(nil, value); !bytes.Equal(got, want) {
			t.Errorf("%d: % x, not % x", value, got, want)
		}
	}
}

func TestIntendedTimesAreChangesOfTheirDifferences(t *testing.T) {
	got := putHandedOver(nil, 7, []uint64{90, 94, 98, 103}, 100)
	// 90 is 10 before the hand-over, 94 is 4 later, 98 again 4, 103 one more than that.
	want := []byte{kindHandedOver, 7, 4, 100, 19, 8, 0, 2}
	if !bytes.Equal(got, want) {
		t.Errorf("% x, not % x", got, want)
	}
}

// body is what a frame holds, and where the next one begins.
func body(t *testing.T, file []byte, at int, number uint64) ([]byte, int) {
	t.Helper()
	length := int(binary.LittleEndian.Uint32(file[at:]))
	body := file[at+frameHeaderBytes : at+frameHeaderBytes+length]
	if got := binary.LittleEndian.Uint32(file[at+4:]); got != frameChecksum(number, body) {
		t.Fatalf("frame %d at %d: checksum %08x", number, at, got)
	}
	return body, at + frameBytes(length)
}

func TestAHistoryIsWholeAcrossWindows(t *testing.T) {
	w := order(t, `{"executor":"unlimited","records":1}`)
	w.History = filepath.Join(t.TempDir(), "0-0.bin")
	h, err := createHistory(w)
	if err != nil {
		t.Fatal(err)
	}
	intended := make([]uint64, maxRecordsPerEntry)
	for i := range intended {
		intended[i] = uint64(i*i) * 1_000_003
	}
	// Each entry takes a few hundred KB: the file grows past the 16 MiB of the first window.
	const entries = 70
	for i := range uint64(entries) {
		if err := h.handedOver(i*maxRecordsPerEntry, intended, 1<<60); err != nil {
			t.Fatal(err)
		}
	}
	if err := h.finish(); err != nil {
		t.Fatal(err)
	}

	file, err := os.ReadFile(w.History)
	if err != nil {
		t.Fatal(err)
	}
	if len(file) < chunkBytes {
		t.Fatalf("%d bytes: one window was enough", len(file))
	}
	if string(file[:8]) != historyMagic || binary.LittleEndian.Uint32(file[8:]) != uint32(len(file)/8) ||
		binary.LittleEndian.Uint32(file[12:]) != crc32.Checksum(file[8:12], castagnoli) {
		t.Fatalf("preamble % x", file[:16])
	}
	header, at := body(t, file, preambleBytes, 0)
	var said struct{ Workload json.RawMessage }
	if header[0] != kindHeader || json.Unmarshal(header[1:], &said) != nil || !json.Valid(said.Workload) {
		t.Fatalf("header %s", header)
	}
	for i := range uint64(entries) {
		var entry []byte
		entry, at = body(t, file, at, i+1)
		if want := putHandedOver(nil, i*maxRecordsPerEntry, intended, 1<<60); !bytes.Equal(entry, want) {
			t.Fatalf("entry %d differs", i)
		}
	}
	end, at := body(t, file, at, entries+1)
	if want := putEnd(nil, entries+1); !bytes.Equal(end, want) || at != len(file) {
		t.Fatalf("end % x at %d of %d", end, at, len(file))
	}
}
