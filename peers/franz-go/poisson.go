// The due times of a Poisson process: exponential gaps drawn from (seed, worker, record index); the same as
// loadgen/src/poisson.rs.
//
// Exactness: all steps are the same doubles as in Rust but for the logarithm, whose last bit may differ between Go's math
// and the libm that Rust calls (glibc's own differs between processors with and without fused multiply-add). A due time
// then differs by 1 ns where the sum of gaps lies that close to a whole nanosecond, and the fraction that is carried on
// makes up for it with the next. On amd64, of 1.1 million records none differed.

package main

import "math"

// poisson is a cursor over due times, as offsets from the start.
type poisson struct {
	random    random
	index     uint64
	first     uint64
	meanGapNs float64
	lengthNs  uint64
	offsetNs  uint64
	// fraction is what of the gaps so far is less than a nanosecond: kept, so that rounding does not add up.
	fraction float64
}

// newPoisson is a process of rate records a second from offset 0 up to lengthNs. The rate is above 0.
func newPoisson(seed uint64, worker uint16, first uint64, rate float64, lengthNs uint64) poisson {
	p := poisson{
		random:    newRandom(seed, worker, streamGap),
		index:     first,
		first:     first,
		meanGapNs: 1e9 / rate,
		lengthNs:  lengthNs,
	}
	p.step()
	return p
}

// due is when the record under the cursor is due; false past the end.
func (p *poisson) due() (uint64, bool) {
	return p.offsetNs, p.offsetNs < p.lengthNs
}

// advance moves to the next record.
func (p *poisson) advance() {
	p.index++
	p.step()
}

// passed is how many records the cursor has passed.
func (p *poisson) passed() uint64 {
	return p.index - p.first
}

func (p *poisson) step() {
	// The conversion keeps the compiler from fusing product and difference, which would round once instead of twice.
	gap := p.fraction - float64(math.Log(p.random.unitAt(p.index))*p.meanGapNs)
	p.fraction = gap - math.Trunc(gap)
	if gap >= 1<<64 || p.offsetNs+uint64(gap) < p.offsetNs {
		p.offsetNs = math.MaxUint64
		return
	}
	p.offsetNs += uint64(gap)
}
