// The bytes of records, against the fingerprints that loadgen/src/generator_tests.rs has, and against more from it.

package main

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"hash/fnv"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// records makes the first count records of a workload, in runs of 300.
func records(t *testing.T, w *Workload, count int) []kgo.Record {
	t.Helper()
	g, err := newGenerator(w)
	if err != nil {
		t.Fatal(err)
	}
	var all []kgo.Record
	for len(all) < count {
		all = append(all, g.make(min(300, count-len(all)), time.Time{})...)
	}
	return all
}

func TestBytesAreThoseOfTheRustGenerator(t *testing.T) {
	headers := []HeaderSpec{{"source", 8}, {"trace", 0}}
	for _, c := range []struct {
		keys    Keys
		size    uint32
		headers []HeaderSpec
		count   int
		print   uint32
	}{
		{Keys{Distribution: keysNone}, 100, nil, 1000, 1_024_951_627},
		{Keys{Distribution: keysUniform, Count: 50}, 64, headers, 1000, 899_210_231},
		{Keys{Distribution: keysZipf, Count: 50, Exponent: 1}, 16, nil, 1000, 2_605_443_325},
		{Keys{Distribution: keysRoundRobin, Count: 7}, 100_000, nil, 20, 1_641_867_120},
	} {
		w := order(t, `{"executor":"unlimited","records":1}`)
		w.Keys, w.RecordSize, w.Headers = c.keys, c.size, c.headers
		crc := uint32(0)
		for i, record := range records(t, w, c.count) {
			key := record.Key
			if key == nil {
				key = []byte("none")
			}
			crc = crc32.Update(crc, castagnoli, binary.LittleEndian.AppendUint64(nil, uint64(i)))
			crc = crc32.Update(crc, castagnoli, binary.LittleEndian.AppendUint32(nil, uint32(record.Partition)))
			crc = crc32.Update(crc, castagnoli, key)
			crc = crc32.Update(crc, castagnoli, record.Value)
			for _, header := range record.Headers {
				crc = crc32.Update(crc, castagnoli, []byte(header.Key))
				crc = crc32.Update(crc, castagnoli, header.Value)
			}
		}
		if crc != c.print {
			t.Errorf("%+v: %d, not %d", c.keys, crc, c.print)
		}
	}
}

// fingerprint is FNV-1a over keys, values and header values, a run at a time.
func fingerprint(t *testing.T, w *Workload, count int) uint64 {
	t.Helper()
	g, err := newGenerator(w)
	if err != nil {
		t.Fatal(err)
	}
	hash := fnv.New64a()
	for left := count; left > 0; left -= min(1000, left) {
		for _, record := range g.make(min(1000, left), time.Time{}) {
			key := record.Key
			if key == nil {
				key = []byte("none")
			}
			hash.Write(key)
			hash.Write(record.Value)
			for _, header := range record.Headers {
				hash.Write(header.Value)
			}
		}
	}
	return hash.Sum64()
}

func TestManyKeysAreThoseOfTheRustGenerator(t *testing.T) {
	for _, c := range []struct {
		keys        Keys
		size        uint32
		headers     []HeaderSpec
		first       uint64
		count       int
		fingerprint uint64
	}{
		{Keys{Distribution: keysZipf, Count: 10_000, Exponent: 1}, 16, nil, 0, 300_000, 0x10de225d3d1a5d99},
		{Keys{Distribution: keysZipf, Count: 1_000_000, Exponent: 1.2}, 16, nil, 0, 1_000_000, 0x7e0bc6b69d8a2180},
		{Keys{Distribution: keysZipf, Count: 5_000, Exponent: 0.37}, 16, nil, 0, 1_000_000, 0x52bfbfc503e37ac2},
		{Keys{Distribution: keysUniform, Count: 977}, 100, headersOf(70), 1000, 1_000, 0xd86b48734f333714},
	} {
		w := order(t, `{"executor":"unlimited","records":1}`)
		w.Keys, w.RecordSize, w.Headers, w.FirstIndex = c.keys, c.size, c.headers, c.first
		if got := fingerprint(t, w, c.count); got != c.fingerprint {
			t.Errorf("%+v: %#x, not %#x", c.keys, got, c.fingerprint)
		}
	}
}

func TestAStampIsAsDocumented(t *testing.T) {
	value := append(make([]byte, stampBytes), "rest"...)
	writeStamp(value, 3, 17, 17, topicChecksum("orders"), []byte("k"), []kgo.RecordHeader{{Key: "h", Value: []byte("v")}})
	var covered []byte
	for _, piece := range []string{"orders", "k", "rest", "h", "v"} {
		covered = append(binary.LittleEndian.AppendUint32(covered, uint32(len(piece))), piece...)
	}
	want := binary.LittleEndian.AppendUint64(nil, 3<<48|17)
	want = binary.LittleEndian.AppendUint32(want, 17)
	want = binary.LittleEndian.AppendUint32(want, crc32.Checksum(covered, castagnoli))
	if want = append(want, "rest"...); !bytes.Equal(value, want) {
		t.Errorf("% x, not % x", value, want)
	}
	if index := stampedIndex(value); index != 17 {
		t.Errorf("index %d", index)
	}
	// RFC 3720 B.4: 32 bytes of zero.
	if crc := crc32.Checksum(make([]byte, 32), castagnoli); crc != 0x8a9136aa {
		t.Errorf("CRC-32C %08x", crc)
	}
}

func TestALaterIncarnationMakesTheSameRecords(t *testing.T) {
	for _, keys := range []Keys{
		{Distribution: keysNone},
		{Distribution: keysUniform, Count: 9},
		{Distribution: keysZipf, Count: 9, Exponent: 0.9},
		{Distribution: keysRoundRobin, Count: 9},
	} {
		w := order(t, `{"executor":"unlimited","records":1}`)
		w.Keys = keys
		all := records(t, w, 60)
		w.FirstIndex = 23
		for i, record := range records(t, w, 37) {
			if same := &all[i+23]; !bytes.Equal(record.Value, same.Value) || !bytes.Equal(record.Key, same.Key) {
				t.Fatalf("%+v: record %d differs", keys, i+23)
			}
		}
	}
}

func TestMistakesInRecordsAreNamed(t *testing.T) {
	for i, spoil := range []func(*Workload){
		func(w *Workload) { w.RecordSize = 15 },
		func(w *Workload) { w.RecordSize = maxValueBytes + 1 },
		func(w *Workload) { w.Partitions = 0 },
		func(w *Workload) { w.Headers = []HeaderSpec{{"h", maxValueBytes + 1}} },
		func(w *Workload) { w.Keys = Keys{Distribution: keysUniform} },
		func(w *Workload) { w.Keys = Keys{Distribution: keysUniform, Count: maxKeys + 1} },
		func(w *Workload) { w.Keys = Keys{Distribution: keysZipf, Count: 5, Exponent: -1} },
	} {
		w := order(t, `{"executor":"unlimited","records":1}`)
		spoil(w)
		if _, err := newGenerator(w); err == nil {
			t.Errorf("mistake %d is none", i)
		}
	}
}

func headersOf(count int) []HeaderSpec {
	headers := make([]HeaderSpec, count)
	for i := range headers {
		headers[i] = HeaderSpec{fmt.Sprintf("h%d", i), uint32(i) * 3}
	}
	return headers
}
