// The due times of constant and ramping rates, in the whole numbers of loadgen/src/schedule.rs: every rate is cut to a
// millionth of a record a second, and record i is due when the area under the rate reaches i. Nothing is summed up, so
// nothing drifts.

package main

import (
	"fmt"
	"math"
)

const (
	// maxRate is the highest rate of one worker, records a second.
	maxRate = 1e9
	// rateScale: rates are whole numbers of this fraction of a record a second.
	rateScale = 1e6
	// recordArea is one record in units of (1 / rateScale records/s) x (1 ns) / 2; the half keeps the area under a ramp
	// whole.
	recordArea = 2_000_000_000_000_000
)

// segment is a stretch in which the rate moves linearly. Times are offsets from the start of the schedule.
type segment struct {
	startNs, lengthNs uint64
	// from and to are the rates at both ends, in 1 / rateScale records a second.
	from, to uint64
	// before and through are the records due before this segment and before its end, in units of 1 / recordArea.
	before, through wide
}

// segments are the stretches of a load, and how many records they hold.
type segments struct {
	all   []segment
	total uint64
}

// add appends a stretch. One of 0 ns moves the rate and holds no record.
func (s *segments) add(lengthNs, from, to uint64) {
	if lengthNs == 0 {
		return
	}
	next := segment{lengthNs: lengthNs, from: from, to: to}
	if n := len(s.all); n > 0 {
		last := s.all[n-1]
		next.startNs, next.before = last.startNs+last.lengthNs, last.through
	}
	next.through = next.before.plus(product(from+to, lengthNs))
	s.all = append(s.all, next)
}

// count sets the total: record i is due in the load when the area up to the end is above i.
func (s *segments) count() error {
	var area wide
	if n := len(s.all); n > 0 {
		area = s.all[n-1].through
	}
	total, rest, fits := area.over(recordArea)
	if !fits {
		return tooLong("the load")
	}
	if rest > 0 {
		total++
	}
	s.total = total
	return nil
}

// dueIn is the offset of record i: the last moment before which no more than i records are due. *current is a segment at
// or before that of record i, and is moved on to it.
func (s *segments) dueIn(current *int, i uint64) uint64 {
	target := product(i, recordArea)
	for s.all[*current].through.atMost(target) {
		*current++
	}
	at := &s.all[*current]
	within := target.minus(at.before)
	var offset uint64
	if at.from == at.to {
		// Below the segment's length, so it fits.
		offset, _, _ = within.over(2 * at.from)
	} else {
		offset = at.onRamp(within)
	}
	return at.startNs + min(offset, at.lengthNs-1)
}

// onRamp solves `2 from t + (to - from) t^2 / length = within` for t, in the form that loses no digits near a flat ramp.
// The conversions keep the compiler from fusing products and sums, which would round otherwise than Rust does.
func (s *segment) onRamp(within wide) uint64 {
	if within == (wide{}) {
		return 0
	}
	from, to, area := float64(s.from), float64(s.to), within.float()
	square := float64(from*from) + float64(float64((to-from)*area)/float64(s.lengthNs))
	return uint64(area / (from + math.Sqrt(max(square, 0))))
}

// dueBy is how many records are due at or before offset; consistent with dueIn to the record.
func (s *segments) dueBy(offset uint64) uint64 {
	low, high := uint64(0), s.total
	for low < high {
		middle := low + (high-low)/2
		current := 0
		if s.dueIn(&current, middle) <= offset {
			low = middle + 1
		} else {
			high = middle
		}
	}
	return low
}

// scaled is a rate in the schedule's unit.
func scaled(rate float64) (uint64, error) {
	if !(rate >= 0 && rate <= maxRate) {
		return 0, refusedRate(rate)
	}
	return uint64(math.Round(rate * rateScale)), nil
}

// positive is the same, and not 0.
func positive(rate float64) (uint64, error) {
	whole, err := scaled(rate)
	if err == nil && whole == 0 {
		err = refusedRate(rate)
	}
	return whole, err
}

func refusedRate(rate float64) error {
	return fmt.Errorf("rate %v/s: give more than 0 and at most %v/s (0 only within a ramp)", rate, float64(maxRate))
}

func tooLong(what string) error {
	return fmt.Errorf("%s is too long: shorten the duration, or lower the rate or the number of records", what)
}
