// The load of one worker incarnation, from the first due record to the last outcome, on one thread.
//
//	┌──────────────────────────────── one wake ────────────────────────────────┐
//	│ due records ─▶ history.handedOver ─▶ client.TryProduce (never blocks)    │
//	│ what the promises said ─▶ history.completed                              │
//	│ a line of progress on standard output, once a second                     │
//	└──────── sleep until the next record is due, 100 us after this wake at the earliest
//
// A record stands in the history before the client gets it. What finds no room in the client's buffer stays due and is
// tried again: it is late, never dropped.

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"golang.org/x/sys/unix"
)

const (
	// runRecords is the most records handed over in one wake.
	runRecords = 1_000
	// wakeGapNs is the shortest time from one wake to the next that the load chooses itself, ns: on two cores every wake
	// is stolen from the broker.
	wakeGapNs = 100_000
	// noRoomNs is the wait for room in a full buffer, ns; unlimitedNoRoomNs that of a load whose pace the client sets.
	noRoomNs          = 1_000_000
	unlimitedNoRoomNs = 150_000
	// owedNs: while outcomes are missing, they are looked for this often, ns.
	owedNs = 1_000_000
	// idleNs is the longest sleep, ns: how soon a signal is heard.
	idleNs = 50_000_000
	// progressNs is the time between two lines of progress.
	progressNs = 1_000_000_000
	// stopBoundNs is how long records in flight may take for their outcomes after SIGTERM, and closeBoundNs how long the
	// client may take to close: it waits a second for its own metrics.
	stopBoundNs  = 5_000_000_000
	closeBoundNs = 2_000_000_000
	// requestTimedOut is Kafka's code for records that the client never took.
	requestTimedOut = 7
)

// load is everything that a wake needs.
type load struct {
	workload  *Workload
	schedule  *schedule
	generator *generator
	history   *history
	client    *kgo.Client
	done      completions
	// promise is done.promise, made once and not for each record.
	promise func(*kgo.Record, error)
	// live is nil for unlimited, whose latency means nothing.
	live *live
	// bufferBytes is the client's bound, charge what the largest record takes of it.
	bufferBytes, charge int64

	intendedNs []uint64
	// held are records that the history has and the client has not, for want of room. Only unlimited has any: of the
	// others no more are taken than are sure to fit.
	held []kgo.Record
	// noRoom says that something was due and found no room at the last wake.
	noRoom bool

	sent, acked, notWritten, known uint64
	// movedNs is when something was last handed over: unlimited has no end on the clock.
	movedNs uint64
	// stoppedNs is when a signal came; 0 = none did.
	stoppedNs  uint64
	progressNs uint64
	// note is a sentence for the last line of progress.
	note string
}

// newLoad is a load that still lacks its client.
func newLoad(w *Workload, s *schedule, g *generator, h *history, bufferBytes int64) *load {
	l := &load{workload: w, schedule: s, generator: g, history: h, bufferBytes: bufferBytes, charge: g.userBytes()}
	l.promise = l.done.promise
	if !s.unlimited() {
		l.live = &live{fromNs: s.warmupEndNs, base: w.FirstIndex}
	}
	return l
}

// run does the whole load; a signal ends ctx. The history is not finished yet when it returns.
func (l *load) run(ctx context.Context) error {
	note := ""
	now := monotonicNs()
	if now > l.workload.StartNs {
		note = fmt.Sprintf("ready %d ms after the start of the load", (now-l.workload.StartNs)/1_000_000)
	}
	if err := l.report(now, false, note); err != nil {
		return err
	}
	l.progressNs = now + progressNs
	for {
		now = monotonicNs()
		if err := l.handOver(now); err != nil {
			return err
		}
		if err := l.done.book(l.book); err != nil {
			return err
		}
		if l.stoppedNs == 0 && ctx.Err() != nil {
			l.stoppedNs = now
		}
		if l.isOver(now) {
			if err := l.close(); err != nil {
				return err
			}
			return l.giveUp(now)
		}
		if now >= l.progressNs {
			if err := l.report(now, false, ""); err != nil {
				return err
			}
			// On a grid, except after a pause longer than it.
			l.progressNs = max(l.progressNs+progressNs, now+progressNs/2)
		}
		if wake := l.nextWake(now); wake > now {
			sleepUntil(wake)
		}
	}
}

// handOver gives the client what is due, as far as it has room.
func (l *load) handOver(now uint64) error {
	if l.stoppedNs != 0 {
		return nil
	}
	l.noRoom = false
	due, left := l.schedule.nextDue()
	if len(l.held) == 0 && (!left || due > now) {
		return nil
	}
	// Nobody else produces, so there is never less room than this until the next look.
	room := l.bufferBytes - l.client.BufferedProduceBytes()
	if len(l.held) > 0 {
		if room = l.offer(room); len(l.held) > 0 {
			return nil
		}
	}
	most := runRecords
	if !l.schedule.unlimited() {
		// As many as are sure to fit. Of unlimited a whole run: what finds no room is held, and its latency is never judged.
		most = int(min(int64(most), room/l.charge))
	}
	if l.noRoom = most == 0; l.noRoom {
		return nil
	}
	var first uint64
	first, l.intendedNs = l.schedule.takeDue(now, most, l.intendedNs)
	if len(l.intendedNs) == 0 {
		return nil
	}
	if err := l.history.handedOver(first, l.intendedNs, now); err != nil {
		return err
	}
	l.sent += uint64(len(l.intendedNs))
	l.movedNs = now
	if l.live != nil {
		l.live.handedOver(l.intendedNs)
	}
	l.held = l.generator.make(len(l.intendedNs), time.Now())
	l.offer(room)
	return nil
}

// offer gives the client the records held, until one finds no room, and tells the room that is left.
func (l *load) offer(room int64) int64 {
	for len(l.held) > 0 {
		record := &l.held[0]
		bytes := int64(len(record.Key) + len(record.Value))
		for i := range record.Headers {
			bytes += int64(len(record.Headers[i].Key) + len(record.Headers[i].Value))
		}
		if bytes > room {
			l.noRoom = true
			return room
		}
		room -= bytes
		l.client.TryProduce(context.Background(), record, l.promise)
		l.held = l.held[1:]
	}
	return room
}

// book writes down what became of records.
func (l *load) book(c *completed) error {
	count := uint64(len(c.indexes))
	l.known += count
	switch c.outcome {
	case acked:
		l.acked += count
	case notWritten:
		l.notWritten += count
	}
	if l.live != nil {
		l.live.completed(c.indexes, c.outcome == acked, c.ackNs)
	}
	return l.history.completed(c)
}

// isOver is true when every outcome is known, or the time to wait for them has passed.
func (l *load) isOver(now uint64) bool {
	if l.stoppedNs != 0 {
		return l.owed() == 0 || now >= l.stoppedNs+stopBoundNs
	}
	_, left := l.schedule.nextDue()
	from := l.schedule.endNs
	if l.schedule.unlimited() {
		from = max(l.movedNs, l.workload.StartNs)
	}
	return !left && l.sent == l.known || now >= from+l.workload.DrainNs
}

// nextWake is when to look again; a moment already past means at once.
func (l *load) nextWake(now uint64) uint64 {
	wake := now + idleNs
	if l.owed() > 0 {
		wake = now + owedNs
	}
	due, left := l.schedule.nextDue()
	switch {
	case l.stoppedNs != 0 || !left && len(l.held) == 0:
		return wake
	case l.schedule.unlimited() && l.noRoom:
		return now + unlimitedNoRoomNs
	case l.schedule.unlimited():
		return min(wake, due)
	case l.noRoom:
		return now + noRoomNs
	default:
		return min(wake, max(due, now+wakeGapNs))
	}
}

// close ends the client when it still has records: it gives each up with an error of its own, which says that they are
// perhaps written.
func (l *load) close() error {
	if l.owed() == 0 {
		return nil
	}
	go l.client.Close()
	bound := monotonicNs() + closeBoundNs
	for l.owed() > 0 && monotonicNs() < bound {
		sleepUntil(monotonicNs() + owedNs)
		if err := l.done.book(l.book); err != nil {
			return err
		}
	}
	return nil
}

// owed is how many records the client has not said the outcome of.
func (l *load) owed() uint64 {
	return l.sent - l.known - uint64(len(l.held))
}

// giveUp writes down the records that no client took: those held, and those that were due and not even handed over.
func (l *load) giveUp(now uint64) error {
	if len(l.held) > 0 {
		lost := completed{
			outcome:       notWritten,
			partition:     -1,
			baseOffset:    -1,
			errorCode:     requestTimedOut,
			ackNs:         now,
			producerID:    -1,
			producerEpoch: -1,
		}
		for i := range l.held {
			lost.indexes = append(lost.indexes, stampedIndex(l.held[i].Value))
		}
		if err := l.book(&lost); err != nil {
			return err
		}
	}
	until := now
	if l.stoppedNs != 0 {
		until = l.stoppedNs
	}
	rest := withheld{hadRoom: !l.noRoom && len(l.held) == 0, atNs: now}
	for {
		first, due := l.schedule.takeDue(until, maxRecordsPerEntry, l.intendedNs)
		if l.intendedNs = due; len(due) == 0 {
			break
		}
		if rest.count == 0 {
			rest.firstIndex, rest.firstDueNs = first, due[0]
		}
		rest.lastDueNs = due[len(due)-1]
		rest.count += uint64(len(due))
	}
	if rest.count > 0 {
		if err := l.history.withheld(&rest); err != nil {
			return err
		}
		l.note = fmt.Sprintf("%d records were due and never handed over", rest.count)
	}
	return nil
}

// report writes a line of progress in one go, so that its reader wakes once. No note is "".
func (l *load) report(now uint64, done bool, note string) error {
	progress := Progress{
		AtNs:         now,
		Sent:         l.sent,
		Acked:        l.acked,
		NotWritten:   l.notWritten,
		GeneratorTid: unix.Gettid(),
		Done:         done,
	}
	if note != "" {
		progress.Note = &note
	}
	if l.stoppedNs == 0 {
		progress.Debt = l.schedule.debt(now)
	}
	if l.live != nil {
		progress.P99Ns = l.live.p99Ns()
	}
	line, err := json.Marshal(progress)
	if err != nil {
		return err
	}
	_, err = os.Stdout.Write(append(line, '\n'))
	return err
}
