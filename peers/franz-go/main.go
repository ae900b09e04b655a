// The Go client franz-go as a subject of Steadfast (docs/subject.md): it produces what a workload orders and writes the
// history of it.
//
//	franz-go --workload FILE
//
//	workload.go ─▶ schedule.go ─▶ load.go ─▶ franz-go ─▶ completions.go
//	                generator.go ──▲  └───── history.go ◀────┘
//
// It ends with 0 after the last outcome, or with 1 and a sentence on standard error.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

func main() {
	// The generator is this goroutine, on a thread of its own, so that the time it waits for a core can be measured.
	runtime.LockOSThread()
	// The kernel wakes this thread when it asks for it, and not up to 50 us later.
	_ = unix.Prctl(unix.PR_SET_TIMERSLACK, 1, 0, 0, 0)
	if len(os.Args) != 3 || os.Args[1] != "--workload" {
		fmt.Fprintln(os.Stderr, "usage: franz-go --workload FILE")
		os.Exit(1)
	}
	if err := work(os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, "franz-go:", err)
		os.Exit(1)
	}
}

// work does what the workload in this file orders.
func work(path string) error {
	stop, restore := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer restore()
	w, err := readWorkload(path)
	if err != nil {
		return err
	}
	schedule, err := newSchedule(w)
	if err != nil {
		return err
	}
	generator, err := newGenerator(w)
	if err != nil {
		return err
	}
	settings, err := readSettings(w.Producer)
	if err != nil {
		return err
	}
	options, err := translate(w, settings, generator)
	for _, note := range settings.notes {
		fmt.Fprintln(os.Stderr, note)
	}
	if err != nil {
		return err
	}
	history, err := createHistory(w)
	if err != nil {
		return fmt.Errorf("cannot write %s: %w", w.History, err)
	}
	l := newLoad(w, schedule, generator, history, options.bufferBytes)
	l.client, err = connect(stop, w, options)
	switch {
	case err == nil:
		if err := l.run(stop); err != nil {
			// What the history does not know must not be sent: the process ends here.
			return l.lastWords(err)
		}
	case stop.Err() != nil && !errors.Is(err, errPartitions):
		// Asked to end before it began: nothing was handed over.
	default:
		return errors.Join(l.lastWords(err), history.finish())
	}
	if err := history.finish(); err != nil {
		return l.lastWords(err)
	}
	return l.report(monotonicNs(), true, l.note)
}

// lastWords tells whoever started this why it ends: a log on a full disk cannot say it.
func (l *load) lastWords(why error) error {
	_ = l.report(monotonicNs(), false, why.Error())
	return why
}
