// Due times, against the formula and against values that loadgen/src/schedule.rs computed.

package main

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"math"
	"math/big"
	"strings"
	"testing"
)

const second = 1_000_000_000

// order is a workload with this executor.
func order(t *testing.T, executor string) *Workload {
	t.Helper()
	text := fmt.Sprintf(`{"seed":1,"worker":3,"incarnation":0,"first_index":0,"bootstrap_servers":[],"topic":"orders",
		"partitions":6,"partition":"round-robin","executor":%s,"start_ns":5000000000,"warmup_ns":0,"duration_ns":0,
		"drain_ns":1000000000,"record_size":100,"keys":{"distribution":"none"},"headers":[],"producer":{},"history":"h"}`,
		executor)
	w := &Workload{text: json.RawMessage(text)}
	if err := json.Unmarshal(w.text, w); err != nil {
		t.Fatal(err)
	}
	return w
}

// drive takes the whole schedule in steps, as a load does, and gives all due times.
func drive(t *testing.T, w *Workload, most int) []uint64 {
	t.Helper()
	s, err := newSchedule(w)
	if err != nil {
		t.Fatal(err)
	}
	var all, run []uint64
	for {
		due, left := s.nextDue()
		if !left {
			return all
		}
		var first uint64
		if first, run = s.takeDue(due, most, run); first != uint64(len(all)) || len(run) == 0 {
			t.Fatalf("%d records from %d on, where %d was due at %d", len(run), first, len(all), due)
		}
		all = append(all, run...)
	}
}

// print is FNV-1a over all due times.
func print(due []uint64) uint64 {
	hash := fnv.New64a()
	var bytes [8]byte
	for _, ns := range due {
		binary.LittleEndian.PutUint64(bytes[:], ns)
		hash.Write(bytes[:])
	}
	return hash.Sum64()
}

func TestAConstantRateIsExactAfterThreeHours(t *testing.T) {
	w := order(t, `{"executor":"constant-arrival-rate","rate":33.3}`)
	w.DurationNs = 3 * 3600 * second
	due := drive(t, w, 1000)
	if len(due) != int(math.Ceil(33.3*3*3600)) {
		t.Fatalf("%d records", len(due))
	}
	for i, ns := range due {
		// 33.3/s is 33,300,000 millionths.
		if want := uint64(5*second) + uint64(i)*1_000_000_000_000/33_300; ns != want {
			t.Fatalf("record %d: %d, not %d", i, ns, want)
		}
	}
}

func TestDueTimesAreThoseOfTheRustSchedule(t *testing.T) {
	const stages = `[{"target":1000,"duration_ns":0},{"target":1000,"duration_ns":1000000000},{"target":100,"duration_ns":0},
		{"target":20000.5,"duration_ns":3000000001},{"target":0,"duration_ns":2000000000}]`
	for _, c := range []struct {
		executor          string
		warmupNs, loadNs  uint64
		count             int
		last, fingerprint uint64
	}{
		{`{"executor":"constant-arrival-rate","rate":33.3}`, 0, 3 * 3600 * second,
			359_640, 10_804_969_969_969, 0x403dca6d2372c1c4},
		{`{"executor":"constant-arrival-rate","rate":25000.0}`, 2 * second, 8 * second,
			250_000, 14_999_960_000, 0x1469c5af6cbd84c4},
		{`{"executor":"constant-arrival-rate","rate":123456.789}`, 0, 5 * second,
			617_284, 9_999_992_345, 0x8ed1bb4b02c0c482},
		{`{"executor":"ramping-arrival-rate","start_rate":100,"stages":` + stages + `}`, 2 * second, 6*second + 1,
			51_352, 12_992_928_879, 0x49640f14360c6734},
		{`{"executor":"ramping-arrival-rate","start_rate":0,"stages":[{"target":1000,"duration_ns":10000000000}]}`,
			0, 10 * second, 5_000, 14_998_999_949, 0x27b1c33d96bb0233},
		{`{"executor":"ramping-arrival-rate","start_rate":1000,"stages":[{"target":90000,"duration_ns":60000000000}]}`,
			0, 60 * second, 2_730_000, 64_999_988_888, 0x29019ab0a6b446be},
	} {
		w := order(t, c.executor)
		w.WarmupNs, w.DurationNs = c.warmupNs, c.loadNs
		due := drive(t, w, 997)
		if len(due) != c.count || due[len(due)-1] != c.last || print(due) != c.fingerprint {
			t.Errorf("%s: %d records, the last due at %d, %#x", c.executor, len(due), due[len(due)-1], print(due))
		}
	}
}

// The logarithm's last bit is the machine's own, so a due time may be 1 ns off.
func TestAPoissonProcessIsThatOfTheRustSchedule(t *testing.T) {
	w := order(t, `{"executor":"poisson","rate":25000}`)
	w.DurationNs = 40 * second
	due := drive(t, w, 997)
	if len(due) != 999_282 {
		t.Fatalf("%d records", len(due))
	}
	for i, want := range map[int]uint64{
		0: 5_000_024_444, 1: 5_000_024_914, 499_641: 24_998_281_208, 499_642: 24_998_332_139, 999_281: 44_999_994_198,
	} {
		if got := due[i]; got+1 < want || got > want+1 {
			t.Errorf("record %d: %d, not %d", i, got, want)
		}
	}
}

func TestWhatNobodyTakesIsDebt(t *testing.T) {
	w := order(t, `{"executor":"constant-arrival-rate","rate":1000}`)
	w.DurationNs = 2 * second
	s, err := newSchedule(w)
	if err != nil {
		t.Fatal(err)
	}
	at := uint64(5*second + 99_000_000)
	if before, then := s.debt(at-1), s.debt(at); before != 99 || then != 100 {
		t.Errorf("debt %d and %d", before, then)
	}
	s.takeDue(at, 30, nil)
	if debt := s.debt(9 * second); debt != 1970 {
		t.Errorf("debt %d", debt)
	}
}

func TestContradictionsAreNamed(t *testing.T) {
	for executor, word := range map[string]string{
		`{"executor":"constant-arrival-rate","rate":0}`:                                                       "rate",
		`{"executor":"constant-arrival-rate","rate":2e9}`:                                                     "rate",
		`{"executor":"poisson","rate":-1}`:                                                                    "rate",
		`{"executor":"ramping-arrival-rate","start_rate":1,"stages":[{"target":2,"duration_ns":5}]}`:          "stages",
		`{"executor":"ramping-arrival-rate","start_rate":0,"stages":[{"target":0,"duration_ns":1000000000}]}`: "ramp",
		`{"executor":"unlimited","records":281474976710656}`:                                                  "too long",
		`{"executor":"sometimes"}`:                                                                            "executor",
	} {
		w := order(t, executor)
		w.DurationNs = second
		if _, err := newSchedule(w); err == nil || !strings.Contains(err.Error(), word) {
			t.Errorf("%s: %v", executor, err)
		}
	}
}

func TestWideNumbersRoundAsOneConversion(t *testing.T) {
	for _, a := range []wide{
		{0, 1<<53 + 1}, {1, 0}, {1, 1}, {1, 1 << 11}, {1, 1<<11 + 1}, {3, 3 << 11}, {1 << 62, 1},
		{math.MaxUint64, math.MaxUint64},
		{0x20_0000_0000_0000, 0x8000_0000_0000_0000}, {0x20_0000_0000_0000, 0x8000_0000_0000_0001},
	} {
		exact := new(big.Int).SetUint64(a.hi)
		exact.Lsh(exact, 64).Add(exact, new(big.Int).SetUint64(a.lo))
		if want, _ := new(big.Float).SetInt(exact).Float64(); a.float() != want {
			t.Errorf("%v: %v, not %v", a, a.float(), want)
		}
	}
}
