// The clocks: CLOCK_MONOTONIC in nanoseconds, as every process of a host sees it, and sleeping until a moment of it.

package main

import (
	"time"

	"golang.org/x/sys/unix"
)

// base is a moment on Go's clock, baseNs the same moment on CLOCK_MONOTONIC. Go's monotonic clock is that clock, read
// without a system call (40 ns instead of 150 or more), but counted from a start of its own.
var base, baseNs = calibrate()

// calibrate reads both clocks in turn, and keeps the attempt that took the least time: the moment is known to half of
// that, some 100 ns.
func calibrate() (time.Time, uint64) {
	const attempts = 100
	start := time.Now()
	narrowest := time.Duration(1<<63 - 1)
	var origin uint64
	for range attempts {
		before := time.Since(start)
		var now unix.Timespec
		if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &now); err != nil {
			panic(err) // there is no Linux without this clock
		}
		after := time.Since(start)
		if after-before < narrowest {
			narrowest = after - before
			origin = uint64(now.Nano() - int64(before+(after-before)/2))
		}
	}
	return start, origin
}

// monotonicNs is the clock that all times of workload and history are on.
func monotonicNs() uint64 {
	return baseNs + uint64(time.Since(base))
}

// sleepUntil sleeps on this thread, not on Go's timers: those wake when their scheduler gets round to it.
func sleepUntil(atNs uint64) {
	at := unix.NsecToTimespec(int64(atNs))
	for unix.ClockNanosleep(unix.CLOCK_MONOTONIC, unix.TIMER_ABSTIME, &at, nil) == unix.EINTR {
	}
}
