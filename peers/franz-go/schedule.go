// When each record is due: the open model of loadgen/src/schedule.rs. Due times follow from the executor and the seed
// alone, never from how the system under test behaves, so a stall shows as latency and not as a pause of the load.
//
//	start_ns        warmup_end_ns                                    end_ns
//	   |---- first rate ---|-- stage 1 --|-- stage 2 --| ... --------|      constant, ramping: segments.go
//	   |---- gaps from the seed ------------------------------------ |      poisson.go
//	   |==== all the time, until `records` are taken                        unlimited: intended = hand-over

package main

import (
	"errors"
	"fmt"
	"math"
)

// schedule is a cursor over the due times of one worker incarnation. All times are CLOCK_MONOTONIC nanoseconds.
type schedule struct {
	startNs, warmupEndNs, endNs uint64
	first                       uint64
	// taken is how many records were taken so far; the next has index first + taken.
	taken uint64

	executor string
	// segments and current are those of constant and ramping rates.
	segments segments
	current  int
	// next is the cursor of poisson, ahead another one that counts what is due.
	next, ahead poisson
	// records is the end of unlimited.
	records uint64
}

// newSchedule is the schedule that workload orders, with nothing taken yet.
func newSchedule(w *Workload) (*schedule, error) {
	lengthNs := w.WarmupNs
	if w.Executor.Executor != executorUnlimited {
		lengthNs += w.DurationNs
	}
	endNs := w.StartNs + lengthNs
	if lengthNs < w.WarmupNs || endNs < lengthNs || endNs > math.MaxInt64 {
		return nil, tooLong("the load")
	}
	s := &schedule{
		startNs:     w.StartNs,
		warmupEndNs: w.StartNs + w.WarmupNs,
		endNs:       endNs,
		first:       w.FirstIndex,
		executor:    w.Executor.Executor,
	}
	intended, err := s.plan(w, lengthNs)
	if err != nil {
		return nil, err
	}
	if last := w.FirstIndex + intended; last < intended || last > maxIndex {
		return nil, tooLong("the number of records")
	}
	return s, nil
}

// plan makes what the executor needs and says how many records it intends; for poisson that is the expectation.
func (s *schedule) plan(w *Workload, lengthNs uint64) (uint64, error) {
	executor := &w.Executor
	switch executor.Executor {
	case executorConstant:
		rate, err := positive(executor.Rate)
		if err != nil {
			return 0, err
		}
		s.segments.add(lengthNs, rate, rate)
		err = s.segments.count()
		return s.segments.total, err
	case executorRamping:
		err := s.ramp(w)
		return s.segments.total, err
	case executorPoisson:
		if _, err := positive(executor.Rate); err != nil {
			return 0, err
		}
		s.next = newPoisson(w.Seed, w.Worker, w.FirstIndex, executor.Rate, lengthNs)
		s.ahead = s.next
		return uint64(math.Round(float64(executor.Rate*float64(lengthNs)) / 1e9)), nil
	case executorUnlimited:
		s.records = executor.Records
		return s.records, nil
	default:
		return 0, fmt.Errorf("executor %q: give %s, %s, %s or %s", executor.Executor,
			executorConstant, executorRamping, executorPoisson, executorUnlimited)
	}
}

// ramp makes a flat stretch of warm-up and a segment for each stage.
func (s *schedule) ramp(w *Workload) error {
	sum := uint64(0)
	for _, stage := range w.Executor.Stages {
		if sum+stage.DurationNs < sum {
			return tooLong("the sum of the stages")
		}
		sum += stage.DurationNs
	}
	if sum != w.DurationNs {
		return fmt.Errorf("the stages last %d ns together, the duration is %d ns: make them equal", sum, w.DurationNs)
	}
	rate, err := scaled(w.Executor.StartRate)
	if err != nil {
		return err
	}
	s.segments.add(w.WarmupNs, rate, rate)
	for _, stage := range w.Executor.Stages {
		target, err := scaled(stage.Target)
		if err != nil {
			return err
		}
		s.segments.add(stage.DurationNs, rate, target)
		rate = target
	}
	if err := s.segments.count(); err != nil {
		return err
	}
	if s.segments.total == 0 {
		return errors.New("the ramp never leaves 0 records/s: give a stage a target above 0")
	}
	return nil
}

// nextDue is when the next record not yet taken is due; false when nothing is left. unlimited is always due.
func (s *schedule) nextDue() (uint64, bool) {
	switch s.executor {
	case executorPoisson:
		offset, left := s.next.due()
		return s.startNs + offset, left
	case executorUnlimited:
		return s.startNs, s.taken < s.records
	default:
		if s.taken >= s.segments.total {
			return 0, false
		}
		return s.startNs + s.segments.dueIn(&s.current, s.taken), true
	}
}

// takeDue takes what is due at nowNs, oldest first and at most `most` records: their due times, appended to intended[:0],
// and the index of the first. What stays behind keeps its due time for later.
func (s *schedule) takeDue(nowNs uint64, most int, intended []uint64) (first uint64, due []uint64) {
	due = intended[:0]
	first = s.first + s.taken
	if nowNs < s.startNs {
		return first, due
	}
	now := nowNs - s.startNs
	switch s.executor {
	case executorPoisson:
		for len(due) < most {
			offset, left := s.next.due()
			if !left || offset > now {
				break
			}
			due = append(due, s.startNs+offset)
			s.next.advance()
		}
	case executorUnlimited:
		for run := min(s.records-s.taken, uint64(most)); run > 0; run-- {
			due = append(due, nowNs)
		}
	default:
		for i := s.taken; i < s.segments.total && len(due) < most; i++ {
			offset := s.segments.dueIn(&s.current, i)
			if offset > now {
				break
			}
			due = append(due, s.startNs+offset)
		}
	}
	s.taken += uint64(len(due))
	return first, due
}

// debt is how many records are due at nowNs that nobody took yet. unlimited has none, it owes nothing to a clock. Time
// does not go back between two calls.
func (s *schedule) debt(nowNs uint64) uint64 {
	if nowNs < s.startNs || s.executor == executorUnlimited {
		return 0
	}
	now := nowNs - s.startNs
	if s.executor == executorPoisson {
		for offset, left := s.ahead.due(); left && offset <= now; offset, left = s.ahead.due() {
			s.ahead.advance()
		}
		return s.ahead.passed() - min(s.ahead.passed(), s.next.passed())
	}
	due := s.segments.dueBy(now)
	return due - min(due, s.taken)
}

// unlimited: records are due whenever there is room, and latency is never judged.
func (s *schedule) unlimited() bool {
	return s.executor == executorUnlimited
}
