// What the harness asks for (one JSON document) and the lines of progress that it reads: verifier/src/workload.rs.
//
// Times ending in _ns are CLOCK_MONOTONIC nanoseconds or spans of them.

package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
)

// Workload is the whole order to one worker incarnation.
type Workload struct {
	Seed             uint64            `json:"seed"`
	Worker           uint16            `json:"worker"`
	Incarnation      uint32            `json:"incarnation"`
	FirstIndex       uint64            `json:"first_index"`
	BootstrapServers []string          `json:"bootstrap_servers"`
	Topic            string            `json:"topic"`
	Partitions       uint32            `json:"partitions"`
	Partition        string            `json:"partition"`
	Executor         Executor          `json:"executor"`
	StartNs          uint64            `json:"start_ns"`
	WarmupNs         uint64            `json:"warmup_ns"`
	DurationNs       uint64            `json:"duration_ns"`
	DrainNs          uint64            `json:"drain_ns"`
	RecordSize       uint32            `json:"record_size"`
	Keys             Keys              `json:"keys"`
	Headers          []HeaderSpec      `json:"headers"`
	Transaction      json.RawMessage   `json:"transaction"`
	Copy             json.RawMessage   `json:"copy"`
	Producer         map[string]string `json:"producer"`
	History          string            `json:"history"`

	// text is the document itself, for the header of the history.
	text json.RawMessage
}

// How a record finds its partition.
const (
	partitionByKey      = "by-key"
	partitionSticky     = "sticky"
	partitionRoundRobin = "round-robin"
)

// When records are due.
const (
	executorConstant  = "constant-arrival-rate"
	executorRamping   = "ramping-arrival-rate"
	executorPoisson   = "poisson"
	executorUnlimited = "unlimited"
)

// Key distributions.
const (
	keysNone       = "none"
	keysUniform    = "uniform"
	keysZipf       = "zipf"
	keysRoundRobin = "round-robin"
)

// Executor says when records are due; which fields count depends on Executor itself.
type Executor struct {
	Executor  string  `json:"executor"`
	Rate      float64 `json:"rate"`
	StartRate float64 `json:"start_rate"`
	Stages    []Stage `json:"stages"`
	Records   uint64  `json:"records"`
}

// Stage is one stage of a ramp.
type Stage struct {
	Target     float64 `json:"target"`
	DurationNs uint64  `json:"duration_ns"`
}

// Keys is a key distribution.
type Keys struct {
	Distribution string  `json:"distribution"`
	Count        uint64  `json:"count"`
	Exponent     float64 `json:"exponent"`
}

// HeaderSpec is one header of each record; its value is pseudo-random bytes.
type HeaderSpec struct {
	Name string `json:"name"`
	Size uint32 `json:"size"`
}

// Progress is one line of standard output, about once a second.
type Progress struct {
	AtNs         uint64  `json:"at_ns"`
	Sent         uint64  `json:"sent"`
	Acked        uint64  `json:"acked"`
	NotWritten   uint64  `json:"not_written"`
	Debt         uint64  `json:"debt"`
	P99Ns        uint64  `json:"p99_ns"`
	GeneratorTid int     `json:"generator_tid"`
	Done         bool    `json:"done"`
	Note         *string `json:"note"`
}

// readWorkload reads an order and refuses what this client is not asked for here.
func readWorkload(path string) (*Workload, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	workload := &Workload{text: text}
	decoder := json.NewDecoder(bytes.NewReader(text))
	// A field that nobody here knows may ask for something that nobody here does.
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(workload); err != nil {
		return nil, fmt.Errorf("%s is no workload that this subject understands: %w", path, err)
	}
	asked := func(field json.RawMessage) bool { return len(field) > 0 && string(field) != "null" }
	if asked(workload.Transaction) || asked(workload.Copy) {
		return nil, errors.New("this subject writes plain records: a workload with transactions or a copy is beyond it")
	}
	switch workload.Partition {
	case partitionByKey, partitionSticky, partitionRoundRobin:
	default:
		return nil, fmt.Errorf("partition %q: give by-key, sticky or round-robin", workload.Partition)
	}
	switch workload.Keys.Distribution {
	case keysNone, keysUniform, keysZipf, keysRoundRobin:
	default:
		return nil, fmt.Errorf("keys %q: give none, uniform, zipf or round-robin", workload.Keys.Distribution)
	}
	return workload, nil
}
