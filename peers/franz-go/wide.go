// Whole numbers of 128 bits, as far as the schedule needs them: products and sums that must not round.

package main

import "math/bits"

// wide is hi * 2^64 + lo.
type wide struct {
	hi, lo uint64
}

// product multiplies two numbers of 64 bits.
func product(a, b uint64) wide {
	hi, lo := bits.Mul64(a, b)
	return wide{hi, lo}
}

// plus adds; the sums of a schedule stay far below 2^128.
func (a wide) plus(b wide) wide {
	lo, carry := bits.Add64(a.lo, b.lo, 0)
	hi, _ := bits.Add64(a.hi, b.hi, carry)
	return wide{hi, lo}
}

// minus subtracts; b is at most a.
func (a wide) minus(b wide) wide {
	lo, borrow := bits.Sub64(a.lo, b.lo, 0)
	hi, _ := bits.Sub64(a.hi, b.hi, borrow)
	return wide{hi, lo}
}

// atMost is a <= b.
func (a wide) atMost(b wide) bool {
	return a.hi < b.hi || a.hi == b.hi && a.lo <= b.lo
}

// over divides and rounds down; false when the quotient needs more than 64 bits.
func (a wide) over(divisor uint64) (quotient, rest uint64, fits bool) {
	if a.hi >= divisor {
		return 0, 0, false
	}
	quotient, rest = bits.Div64(a.hi, a.lo, divisor)
	return quotient, rest, true
}

// float gives the nearest double, ties to even, as a conversion from u128 does in Rust.
func (a wide) float() float64 {
	if a.hi == 0 {
		return float64(a.lo)
	}
	// The upper 64 bits that count, and below them one bit that says whether anything was cut off: with 64 bits to round
	// to 53, that is enough to round once and rightly. What remains is a power of two, which is exact.
	shift := uint(bits.LeadingZeros64(a.hi))
	upper := a.hi<<shift | a.lo>>1>>(63-shift)
	if a.lo<<shift != 0 {
		upper |= 1
	}
	scale := float64(uint64(1)<<(63-shift)) * 2
	return float64(upper) * scale
}
