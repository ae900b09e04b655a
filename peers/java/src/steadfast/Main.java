// A subject (docs/subject.md) that drives Apache Kafka's own Java producer: `java --workload FILE`.
//
//   Workload ─▶ Schedule, Generator ─▶ Load ─▶ Client (kafka-clients)
//                                       │ ▲          │ callbacks
//                                       ▼ └ Outcomes ┘
//                                    History, Progress
package steadfast;

import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.locks.LockSupport;
import sun.misc.Signal;

/** The program. Ends with 0, or with 1 and a sentence on standard error. */
final class Main {
    /** How long the client may take to be ready, where the start of the load leaves it less, ns. */
    private static final long READY_BOUND_NS = 10_000_000_000L;

    private Main() {}

    public static void main(String[] args) {
        int code = 1;
        try {
            run(args);
            code = 0;
        } catch (Refusal refusal) {
            System.err.println(refusal.getMessage());
        } catch (IOException error) {
            System.err.println("input or output failed: " + error.getMessage());
        }
        // The client's own threads may still be about.
        System.exit(code);
    }

    private static void run(String[] args) throws IOException, Refusal {
        if (args.length != 2 || !args[0].equals("--workload")) {
            throw new Refusal("usage: java --workload FILE");
        }
        Workload workload = Workload.read(Path.of(args[1]));
        Clock.check(workload.startNs());
        int threadId = Clock.threadId();
        Clock.fineTimers(threadId);
        AtomicBoolean stop = stopSignals();
        Map<String, Object> settings = Settings.of(workload);
        Schedule schedule = new Schedule(workload);
        Generator generator = new Generator(workload);
        Outcomes outcomes = new Outcomes();
        Client client = new Client(settings, outcomes);
        History history = history(workload, threadId);
        try {
            long bound = Math.max(Clock.now() + READY_BOUND_NS, workload.startNs());
            client.ready(workload.topic(), workload.partitions(), bound);
        } catch (Refusal refusal) {
            lastWords(threadId, refusal.getMessage());
            history.finish();
            throw refusal;
        }
        new Load(workload, schedule, generator, history, client, outcomes, Settings.batchSize(settings), threadId, stop)
            .run(workload.startNs());
    }

    private static History history(Workload workload, int threadId) throws IOException {
        try {
            return new History(workload);
        } catch (IOException error) {
            String why = "the history " + workload.history() + " cannot be made (" + error
                + "): give a new file in a folder that is there, on a disk with room";
            lastWords(threadId, why);
            throw new IOException(why, error);
        }
    }

    /** Why it ends before it is done, to whoever started it: a log on a full disk cannot say it. */
    private static void lastWords(int threadId, String why) throws IOException {
        new Progress(Clock.now(), 0, 0, 0, 0, 0, threadId, false, why).print();
    }

    /** SIGTERM and SIGINT: the flag that they set, and a wake of the generator, which is this thread. */
    private static AtomicBoolean stopSignals() {
        AtomicBoolean stop = new AtomicBoolean();
        Thread generator = Thread.currentThread();
        for (String name : List.of("TERM", "INT")) {
            Signal.handle(new Signal(name), signal -> {
                stop.set(true);
                LockSupport.unpark(generator);
            });
        }
        return stop;
    }
}
