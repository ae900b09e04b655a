// What this subject can tell about itself while it runs: the 99th percentile of its latency. For people who watch, never
// evidence: the judge computes everything from the history.

package main

import "math/bits"

const (
	// maxRemembered is the most records whose due times are remembered; beyond it the oldest are left out (32 MiB).
	maxRemembered = 4 << 20
	// bucketBits: each power of two is cut into 64 buckets, so that a latency is known to 1.6 %.
	bucketBits = 6
)

// live has the due times of records without an outcome, and the latencies of those with one.
type live struct {
	// fromNs: latencies count for records due from here on.
	fromNs uint64
	// due has the due times of record base and of those after it; 0 once the outcome is known.
	due  []uint64
	base uint64

	buckets [(64 - bucketBits + 1) << bucketBits]uint64
	counted uint64
}

// handedOver remembers records that follow those before without a gap.
func (l *live) handedOver(intendedNs []uint64) {
	l.due = append(l.due, intendedNs...)
	if surplus := len(l.due) - maxRemembered; surplus > 0 {
		l.forget(surplus)
	}
}

// completed says that the outcome of these is known; wasAcked where they were acknowledged.
func (l *live) completed(indexes []uint64, wasAcked bool, ackNs uint64) {
	for _, index := range indexes {
		place := index - l.base
		if index < l.base || place >= uint64(len(l.due)) || l.due[place] == 0 {
			continue
		}
		due := l.due[place]
		l.due[place] = 0
		if wasAcked && due >= l.fromNs {
			l.buckets[bucket(ackNs-min(due, ackNs))]++
			l.counted++
		}
	}
	done := 0
	for done < len(l.due) && l.due[done] == 0 {
		done++
	}
	l.forget(done)
}

func (l *live) forget(count int) {
	l.due = l.due[count:]
	l.base += uint64(count)
}

// p99Ns is the 99th percentile of the latencies so far; 0 before the first.
func (l *live) p99Ns() uint64 {
	rank, seen := (l.counted*99+99)/100, uint64(0)
	for at, count := range l.buckets {
		if seen += count; count > 0 && seen >= rank {
			return highest(at)
		}
	}
	return 0
}

// bucket is that of a latency: small ones have one each, larger ones share it with those of the same leading bits.
func bucket(ns uint64) int {
	shift := max(bits.Len64(ns)-bucketBits-1, 0)
	return shift<<bucketBits + int(ns>>shift)
}

// highest is the largest latency of a bucket.
func highest(bucket int) uint64 {
	shift := max(bucket>>bucketBits-1, 0)
	leading := uint64(bucket - shift<<bucketBits)
	return (leading+1)<<shift - 1
}
