// The load: one thread for generator, history and progress, from the first due record to the last outcome.
//
//     ┌────────────────────────── one wake ──────────────────────────┐
//     │ outcomes that callbacks queued ─▶ history.completed          │
//     │ due records ─▶ history.handedOver ─▶ client.send             │        the client's I/O thread ─▶ outcomes
//     │ a line of progress on stdout, once a second                  │
//     └───────────── sleep until the next is due, 100 µs at least ───┘
//
// A record stands in the history before the client gets it: whatever kills the program, no record reaches the cluster that
// the history does not know. What finds no room stays held and is tried again in order: it is late, never dropped.
package steadfast;

import java.io.IOException;
import java.time.Duration;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.locks.LockSupport;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.protocol.Errors;

/** Drives one workload. Times are nanoseconds of {@link Clock}. */
final class Load {
    /** Shortest time from one wake to the next. */
    private static final long WAKE_GAP_NS = 100_000;
    /** Most records handed over in one go; after so many, outcomes are booked. */
    private static final int RUN_RECORDS = 1_000;
    /** While outcomes are owed, the longest they wait for being booked. */
    private static final long BOOK_GAP_NS = 10_000_000;
    /** How long a record waits for room before it is tried again; where throughput is all that counts, not as long. */
    private static final long ROOM_LOOK_NS = 1_000_000;
    private static final long UNLIMITED_ROOM_LOOK_NS = 200_000;
    private static final long PROGRESS_NS = 1_000_000_000;
    /** How long records in flight may take for their outcomes after SIGTERM. */
    private static final long STOP_BOUND_NS = 5_000_000_000L;
    /** Callbacks of one batch come one after the other; a longer pause means another batch, or that the thread stood. */
    private static final long BATCH_PAUSE_NS = 5_000;
    /** What the client may take for its end when it owes nothing. */
    private static final Duration CLOSE_BOUND = Duration.ofSeconds(1);

    private final Schedule schedule;
    private final Generator generator;
    private final History history;
    private final Client client;
    private final Outcomes outcomes;
    private final AtomicBoolean stopAsked;
    private final long drainNs;
    private final int generatorTid;
    /** Free bytes of the client that are sure to take any one record. */
    private final long charge;
    /** Null for `unlimited`, whose latency means nothing. */
    private final Live live;
    private final long[] intended = new long[RUN_RECORDS];
    private final long[] group = new long[History.MAX_RECORDS_PER_ENTRY];

    /** Records that the history has and the client has not, for want of room. */
    private int held;
    /** True when the generator has made the first of them already. */
    private boolean made;
    /** Records that the client has and that have no outcome yet. */
    private long owed;
    private long sent;
    private long acked;
    private long notWritten;
    /** For `unlimited`: when something was last handed over, since it has no end on the clock. */
    private long movedNs;
    private boolean stopped;
    private long stoppedNs;
    private long progressNs;

    /** A load about to start. `batchSize`: bytes that the client takes from its buffer for a batch. */
    Load(
        Workload workload, Schedule schedule, Generator generator, History history, Client client, Outcomes outcomes,
        int batchSize, int generatorTid, AtomicBoolean stopAsked) {
        this.schedule = schedule;
        this.generator = generator;
        this.history = history;
        this.client = client;
        this.outcomes = outcomes;
        this.stopAsked = stopAsked;
        this.generatorTid = generatorTid;
        drainNs = workload.drainNs();
        movedNs = workload.startNs();
        charge = Math.max(batchSize, generator.maxRecordBytes());
        live = schedule.isUnlimited() ? null : new Live(workload.firstIndex(), schedule.warmupEndNs());
    }

    /** Runs it to its end: an outcome for everything as far as known, a finished history, the last line. */
    void run(long startNs) throws IOException, Refusal {
        long lateNs = Clock.now() - startNs;
        progressDue(Clock.now());
        tell(false, lateNs > 0 ? "ready " + lateNs / 1_000_000 + " ms after the start of the load" : null);
        try {
            String failure = drive();
            end(failure);
            if (failure != null) {
                throw new Refusal(failure);
            }
        } catch (IOException error) {
            // What the history does not know must not be sent; a log on a full disk cannot say why.
            tell(false, error.getMessage());
            throw error;
        }
    }

    /** Wakes until the load is over; gives what went wrong with the client, or null. */
    private String drive() throws IOException {
        while (true) {
            long now = Clock.now();
            book();
            boolean stopping = stopAsked.get() && !stopped;
            boolean more;
            try {
                more = handOver(now);
                // The last time, all that is due.
                while (stopping && more && !schedule.isUnlimited()) {
                    more = handOver(now);
                }
            } catch (RuntimeException error) {
                // Neither taken nor refused: this record stays without an outcome.
                held--;
                return "the client failed: " + error;
            }
            if (stopping) {
                stopped = true;
                stoppedNs = now;
            }
            if (progressDue(now)) {
                tell(false, null);
            }
            if (isOver(now)) {
                return null;
            }
            if (!more || stopped) {
                LockSupport.parkNanos(nextWake(now) - Clock.now());
            }
        }
    }

    /** Gives the client what is due, as far as it has room. True when more may be due and there was room for all so far. */
    private boolean handOver(long now) throws IOException {
        if (stopped) {
            return false;
        }
        if (held > 0) {
            sendHeld(now);
            return held == 0;
        }
        long room = schedule.isUnlimited() ? RUN_RECORDS : Math.max(1, client.freeBytes() / charge);
        long first = schedule.nextIndex();
        int count = schedule.take(now, (int) Math.min(room, RUN_RECORDS), intended);
        if (count == 0) {
            return false;
        }
        history.handedOver(first, intended, count, now);
        held = count;
        sent += count;
        movedNs = now;
        if (live != null) {
            live.handedOver(intended, count);
        }
        sendHeld(now);
        return held == 0 && count == RUN_RECORDS;
    }

    /** Sends the records held, until one finds no room. */
    private void sendHeld(long now) throws IOException {
        while (held > 0) {
            ProducerRecord<byte[], byte[]> record = made ? generator.current() : generator.advance();
            made = true;
            long index = generator.index();
            Client.Sent sent = client.send(record, index);
            if (sent == Client.Sent.NO_ROOM) {
                return;
            }
            if (sent == Client.Sent.TAKEN) {
                owed++;
            } else {
                notWritten(index, client.refusedPartition(), client.refusedCode(), now);
            }
            held--;
            made = false;
        }
    }

    /** Writes down a record that never left this process. */
    private void notWritten(long index, int partition, short errorCode, long now) throws IOException {
        group[0] = index;
        history.completed(group, 1, History.NOT_WRITTEN, partition, -1, errorCode, now);
        notWritten++;
        if (live != null) {
            live.completed(index, false, now);
        }
    }

    /**
     * Writes down the outcomes that callbacks queued. Records of one batch, told by partition, offset and time, make one
     * entry with the time of the first callback: when the client knew.
     */
    private void book() throws IOException {
        int count = outcomes.take();
        int from = 0;
        while (from < count) {
            int to = from + 1;
            while (to < count && to - from < group.length && outcomes.followsOn(to)
                && outcomes.atNs(to) - outcomes.atNs(to - 1) < BATCH_PAUSE_NS) {
                to++;
            }
            int outcome = outcomes.outcome(from);
            long atNs = outcomes.atNs(from);
            for (int i = from; i < to; i++) {
                group[i - from] = outcomes.index(i);
                if (live != null) {
                    live.completed(outcomes.index(i), outcome == History.ACKED, atNs);
                }
            }
            history.completed(group, to - from, outcome, outcomes.partition(from), outcomes.offset(from),
                outcomes.errorCode(from), atNs);
            acked += outcome == History.ACKED ? to - from : 0;
            notWritten += outcome == History.NOT_WRITTEN ? to - from : 0;
            from = to;
        }
        owed -= count;
    }

    /** True when the load has ended: every outcome is known, or the time to wait for them is over. */
    private boolean isOver(long now) {
        boolean allTaken = stopped || schedule.nextDue() == Schedule.NONE && held == 0;
        return allTaken && owed == 0 || now >= deadline();
    }

    /** Until when outcomes are waited for. */
    private long deadline() {
        long from = schedule.isUnlimited() ? movedNs : schedule.endNs();
        long drained = from > Long.MAX_VALUE - drainNs ? Long.MAX_VALUE : from + drainNs;
        return stopped ? Math.min(drained, stoppedNs + STOP_BOUND_NS) : drained;
    }

    /** When to wake after the wake at `now`. */
    private long nextWake(long now) {
        long wake = Math.min(progressNs, deadline());
        if (owed > 0) {
            wake = Math.min(wake, now + BOOK_GAP_NS);
        }
        if (stopped) {
            return wake;
        }
        if (held > 0) {
            return Math.min(wake, now + (schedule.isUnlimited() ? UNLIMITED_ROOM_LOOK_NS : ROOM_LOOK_NS));
        }
        return Math.min(wake, Math.max(schedule.nextDue(), now + WAKE_GAP_NS));
    }

    private void end(String failure) throws IOException {
        // What was due after it was asked to stop is not missing.
        long now = stopped ? stoppedNs : Clock.now();
        boolean hadRoom = failure == null && held == 0 && client.freeBytes() >= charge;
        book();
        for (long index = schedule.nextIndex() - held; index < schedule.nextIndex(); index++) {
            notWritten(index, -1, Errors.REQUEST_TIMED_OUT.code(), Clock.now());
        }
        long withheld = giveUp(now, hadRoom);
        history.finish();
        String note = failure;
        if (note == null && withheld > 0) {
            note = withheld + " records were due and never handed over";
        }
        stopped = true;
        tell(true, note);
        client.close(owed == 0 ? CLOSE_BOUND : Duration.ZERO);
    }

    /** Writes down the records that were due by now and will never be handed over; returns how many. */
    private long giveUp(long now, boolean hadRoom) throws IOException {
        long firstIndex = schedule.nextIndex();
        long firstDue = schedule.nextDue();
        long lastDue = firstDue;
        // `unlimited` owes as many as it has left, due at any time.
        int count = schedule.take(now, intended.length, intended);
        while (count > 0) {
            lastDue = intended[count - 1];
            count = schedule.take(now, intended.length, intended);
        }
        long records = schedule.nextIndex() - firstIndex;
        if (records > 0) {
            history.withheld(firstIndex, records, schedule.isUnlimited() ? lastDue : firstDue, lastDue, hadRoom, now);
        }
        return records;
    }

    /** True when a progress line is due; then the next one is due a second later. */
    private boolean progressDue(long now) {
        boolean due = now >= progressNs;
        if (due) {
            // On a grid, except after a pause longer than it.
            progressNs = Math.max(progressNs + PROGRESS_NS, now + PROGRESS_NS / 2);
        }
        return due;
    }

    private void tell(boolean done, String note) throws IOException {
        long now = Clock.now();
        long debt = stopped ? 0 : schedule.debt(now);
        new Progress(now, sent, acked, notWritten, debt, live == null ? 0 : live.p99Ns(), generatorTid, done, note).print();
    }
}
