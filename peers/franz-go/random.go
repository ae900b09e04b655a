// Random numbers that are a function of (seed, worker, stream, index), so that record i is the same whoever asks for it.
// SplitMix64; the same as loadgen/src/random.rs.

package main

import "math/bits"

// stream is what a random number is for; numbers of different streams are independent.
type stream uint64

const (
	streamPool   stream = 1 // bytes of the pool that values and header values are cut from
	streamOffset stream = 2 // where in the pool record i begins
	streamKey    stream = 3 // which key record i has
	streamGap    stream = 4 // gap before record i of a Poisson schedule
)

// random is one worker's random numbers of one stream.
type random struct {
	base uint64
}

func newRandom(seed uint64, worker uint16, of stream) random {
	return random{finish(finish(seed) + (uint64(worker)<<8 | uint64(of)))}
}

// at is the number of index i, uniform over all 64 bits.
func (r random) at(i uint64) uint64 {
	return finish(r.base + i*0x9e37_79b9_7f4a_7c15)
}

// unitAt is the number of index i, uniform in (0, 1]. Both steps are exact: 53 bits, then a power of two.
func (r random) unitAt(i uint64) float64 {
	return float64((r.at(i)>>11)+1) * (1.0 / (1 << 53))
}

// below maps 64 uniform bits to 0..n.
func below(uniform, n uint64) uint64 {
	hi, _ := bits.Mul64(uniform, n)
	return hi
}

func finish(z uint64) uint64 {
	z = (z ^ z>>30) * 0xbf58_476d_1ce4_e5b9
	z = (z ^ z>>27) * 0x94d0_49bb_1331_11eb
	return z ^ z>>31
}
