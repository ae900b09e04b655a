// What becomes of completions, latencies and settings on their way, without a broker.

package main

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

func TestRunsOfOneAnswerAreOneEntry(t *testing.T) {
	// Two records of one batch, then a gap in offsets, another partition, a later answer, and errors.
	refused := fmt.Errorf("%w (uncompressed_bytes=9)", kerr.MessageTooLarge)
	c := completions{list: []completion{
		{index: 1, offset: 10, atNs: 1000, partition: 2},
		{index: 7, offset: 11, atNs: 1100, partition: 2},
		{index: 8, offset: 13, atNs: 1200, partition: 2},
		{index: 2, offset: 14, atNs: 1300, partition: 3},
		{index: 3, offset: 15, atNs: 1300 + sameAnswerNs + 1, partition: 3},
		{index: 4, offset: -1, atNs: 40_000, partition: 3, err: refused},
		{index: 5, offset: -1, atNs: 40_100, partition: 3, err: errors.Join(refused)},
		{index: 6, offset: -1, atNs: 40_200, partition: 3, err: kgo.ErrRecordTimeout},
	}}
	var got []completed
	err := c.book(func(run *completed) error {
		own := *run
		own.indexes = append([]uint64(nil), run.indexes...)
		got = append(got, own)
		return nil
	})
	want := []completed{
		{indexes: []uint64{1, 7}, partition: 2, baseOffset: 10, ackNs: 1000},
		{indexes: []uint64{8}, partition: 2, baseOffset: 13, ackNs: 1200},
		{indexes: []uint64{2}, partition: 3, baseOffset: 14, ackNs: 1300},
		{indexes: []uint64{3}, partition: 3, baseOffset: 15, ackNs: 1300 + sameAnswerNs + 1},
		{indexes: []uint64{4, 5}, outcome: notWritten, partition: 3, baseOffset: -1, errorCode: 10, ackNs: 40_000},
		{indexes: []uint64{6}, outcome: unknown, partition: 3, baseOffset: -1, errorCode: -1, ackNs: 40_200},
	}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%v\n got %+v\nwant %+v", err, got, want)
	}
	if err := c.book(func(*completed) error { return errors.New("nothing is left") }); err != nil {
		t.Error(err)
	}
}

func TestLatencyCountsFromTheDueTimeAndOnlyAfterWarmUp(t *testing.T) {
	l := live{base: 10, fromNs: 2_000_000}
	l.handedOver([]uint64{1_000_000, 2_000_000, 3_000_000})
	l.completed([]uint64{10}, true, 900_000_000)
	if p99 := l.p99Ns(); p99 != 0 {
		t.Errorf("warm-up counts: %d", p99)
	}
	l.completed([]uint64{12, 11}, true, 4_000_000)
	if p99 := l.p99Ns(); p99 < 2_000_000 || p99 > 2_040_000 {
		t.Errorf("p99 %d", p99)
	}
	// A second outcome or an unknown index changes nothing.
	l.completed([]uint64{11, 99}, true, 900_000_000)
	if p99 := l.p99Ns(); p99 > 2_040_000 || len(l.due) != 0 || l.base != 13 {
		t.Errorf("p99 %d, %d due from %d on", p99, len(l.due), l.base)
	}
	for _, ns := range []uint64{0, 1, 127, 128, 129, 1_000_000, 1<<64 - 1} {
		if top := highest(bucket(ns)); top < ns || top-ns > ns/64 {
			t.Errorf("%d is in a bucket up to %d", ns, top)
		}
	}
}

func TestWhatIsNotGivenIsOfTheProfile(t *testing.T) {
	s, err := readSettings(map[string]string{
		"profile": "low-latency", "max.in.flight": "5", "linger.ms": " 0.2", "queue.buffering.max.kbytes": "64",
		"max.block.ms": "5",
	})
	if err != nil {
		t.Fatal(err)
	}
	if s.millis("linger.ms") != 200*time.Microsecond || s.integer("max.in.flight.requests.per.connection") != 5 ||
		s.integer("buffer.memory") != 65_536 || s.integer("batch.size") != 16_384 {
		t.Errorf("%v", s.values)
	}
	if len(s.notes) != 1 || !strings.HasPrefix(s.notes[0], "max.block.ms ") {
		t.Errorf("%q", s.notes)
	}
	low, err := readSettings(map[string]string{"profile": "low-latency"})
	if err != nil || low.millis("linger.ms") != 0 {
		t.Errorf("%v", err)
	}
	if _, err := readSettings(map[string]string{"profile": "fast"}); err == nil {
		t.Error("fast is no profile")
	}
}

func TestFranzGoTakesItsOptions(t *testing.T) {
	for _, given := range []map[string]string{
		{},
		{"profile": "low-latency"},
		{"profile": "throughput", "compression.type": "zstd", "client.id": "shop", "metadata.max.age.ms": "1"},
		{"batch.size": "0", "request.timeout.ms": "1", "delivery.timeout.ms": "10", "connections.max.idle.ms": "-1"},
	} {
		w := order(t, `{"executor":"unlimited","records":1}`)
		w.BootstrapServers, w.Producer = []string{"127.0.0.1:9"}, given
		g, err := newGenerator(w)
		if err != nil {
			t.Fatal(err)
		}
		s, err := readSettings(given)
		if err != nil {
			t.Fatal(err)
		}
		options, err := translate(w, s, g)
		if err != nil {
			t.Fatal(err)
		}
		if err := kgo.ValidateOpts(options.all...); err != nil {
			t.Errorf("%v: %v", given, err)
		}
	}
	for _, given := range []map[string]string{
		{"acks": "1"}, {"enable.idempotence": "false"}, {"buffer.memory": "20"}, {"compression.type": "lzma"},
		{"retries": "many"},
	} {
		w := order(t, `{"executor":"unlimited","records":1}`)
		g, err := newGenerator(w)
		if err != nil {
			t.Fatal(err)
		}
		s, err := readSettings(given)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := translate(w, s, g); err == nil {
			t.Errorf("%v is taken", given)
		}
	}
}
