//! Clusters of one node for the script: a real Kafka, kept by `steadfast cluster start` and restarted by orders on its
//! standard input; and our own broker, a process that ends by signals.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use libtest_mimic::Failed;

use crate::broker::Broker;
use crate::support::STEADFAST;

use super::player::Restart;

/// How long the node may take to start, with the fetch of its jars, and to restart after a kill.
const START_BOUND: Duration = Duration::from_secs(600);
const ORDER_BOUND: Duration = Duration::from_secs(90);
/// What the script counts on, beside Kafka's defaults.
const PROPERTIES: &[&str] = &[
    // The first use of a coordinator makes its topic: 50 partitions take seconds.
    "transaction.state.log.num.partitions=2",
    "offsets.topic.num.partitions=2",
    // A broker that was killed may come back as soon as its session has ended.
    "broker.session.timeout.ms=2000",
    "broker.heartbeat.interval.ms=500",
    // Transactions that are too old are looked for every 10 s by default.
    "transaction.abort.timed.out.transaction.cleanup.interval.ms=200",
];

/// Our own broker, with the same settings.
pub(crate) struct Simulated {
    broker: Broker,
}

impl Simulated {
    pub(crate) fn start(folder: &Path) -> Result<Simulated, Failed> {
        let properties: Vec<&str> = PROPERTIES.iter().flat_map(|property| ["-X", property]).collect();
        let broker = Broker::start(&folder.join("data"), &properties)?;
        Ok(Simulated { broker })
    }

    pub(crate) fn server(&self) -> String {
        self.broker.server.clone()
    }

    pub(crate) fn restart(&mut self, how: Restart) -> Result<(), String> {
        let done = match how {
            Restart::Clean => self.broker.stop_and_start(),
            Restart::Hard => self.broker.kill_and_start(Duration::ZERO),
        };
        done.map_err(|failed| failed.message().unwrap_or("it did not restart").to_owned())
    }

    /// It must end by itself.
    pub(crate) fn stop(self) -> Result<(), Failed> {
        self.broker.stop()
    }
}

/// It ends with the value: the pipe to its standard input does.
pub(crate) struct Kafka {
    process: Child,
    orders: Option<ChildStdin>,
    replies: Receiver<String>,
    pub(crate) server: String,
}

impl Kafka {
    pub(crate) fn start(version: &str, folder: &Path) -> Result<Kafka, String> {
        let properties = PROPERTIES.iter().flat_map(|property| ["--property", property]);
        let log = std::fs::File::create(folder.join("cluster.log")).map_err(|error| error.to_string())?;
        let mut process = Command::new(STEADFAST)
            .args(["cluster", "start", "--version", version, "--out"])
            .arg(folder.join("cluster"))
            .args(properties)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .map_err(|error| error.to_string())?;
        let orders = process.stdin.take();
        let output = process.stdout.take().ok_or("no standard output")?;
        let (sender, replies) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        let mut kafka = Kafka {
            process,
            orders,
            replies,
            server: String::new(),
        };
        kafka.server = kafka.reply(START_BOUND).map_err(|why| {
            let log = std::fs::read_to_string(folder.join("cluster.log")).unwrap_or_default();
            format!("Kafka {version} did not start: {why}\n{log}")
        })?;
        Ok(kafka)
    }

    pub(crate) fn restart(&mut self, how: Restart) -> Result<(), String> {
        let down = match how {
            Restart::Clean => "term 1",
            Restart::Hard => "kill 1",
        };
        for order in [down, "start 1"] {
            let input = self.orders.as_mut().ok_or("no standard input")?;
            writeln!(input, "{order}").map_err(|error| error.to_string())?;
            let reply = self.reply(ORDER_BOUND)?;
            if reply != format!("ok {order}") {
                return Err(reply);
            }
        }
        Ok(())
    }

    fn reply(&mut self, bound: Duration) -> Result<String, String> {
        self.replies
            .recv_timeout(bound)
            .map_err(|error| format!("no word from it ({error})"))
    }
}

impl Drop for Kafka {
    fn drop(&mut self) {
        self.orders = None;
        // It stops its brokers within seconds, or kills them.
        let _ended = self.process.wait();
    }
}
