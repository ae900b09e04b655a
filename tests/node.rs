//! A Kafka of the test's own: somebody else's cluster, as far as a run is concerned.

use std::collections::BTreeMap;
use std::fs::File;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use libtest_mimic::Failed;
use steadfast_wire::admin::{create_topic, delete_topic, metadata};
use steadfast_wire::connection::Connection;

use crate::support::{expect, expect_exit, steadfast};

/// How long one question to the node may take.
const ANSWER: Duration = Duration::from_secs(10);

/// One KRaft node; it ends with the value.
pub(crate) struct Node {
    process: Child,
    port: u16,
}

impl Node {
    /// Starts it with its files below `dir`, and waits until it listens.
    pub(crate) fn start(dir: &Path) -> Result<Node, Failed> {
        let port = free_port()?;
        Node::start_behind(dir, port, port)
    }

    /// As [`Node::start`], on a given port; clients are told to come to `advertised`.
    pub(crate) fn start_behind(dir: &Path, port: u16, advertised: u16) -> Result<Node, Failed> {
        let jars = jars()?;
        let controller = free_port()?;
        let file = dir.join("server.properties");
        let data = dir.join("data");
        std::fs::write(
            &file,
            format!(
                "process.roles=broker,controller\nnode.id=1\nlog.dirs={}\n\
                 listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}\n\
                 advertised.listeners=PLAINTEXT://127.0.0.1:{advertised}\ncontroller.listener.names=CONTROLLER\n\
                 controller.quorum.bootstrap.servers=127.0.0.1:{controller}\n\
                 offsets.topic.replication.factor=1\ngroup.initial.rebalance.delay.ms=0\n",
                data.display()
            ),
        )?;
        let log = File::create(dir.join("node.log"))?;
        let java = |main: &str, args: &[&str]| -> std::io::Result<Command> {
            let mut command = Command::new("java");
            command
                .args(["-Xmx512m", "-cp"])
                .arg(jars.join("*"))
                .arg(main)
                .args(args);
            command.stdout(log.try_clone()?).stderr(log.try_clone()?);
            Ok(command)
        };
        let path = file.to_string_lossy();
        let format = [
            "format",
            "-t",
            "MkU3OEVBNTcwNTJENDM2Qg",
            "-c",
            &path,
            "--standalone",
        ];
        let formatted = java("kafka.tools.StorageTool", &format)?.status()?;
        expect(formatted.success(), || format!("format: {formatted}"))?;
        let process = java("kafka.Kafka", &[&path])?.spawn()?;
        let node = Node { process, port };
        let begin = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            expect(begin.elapsed() < Duration::from_secs(30), || {
                "the node did not come up".into()
            })?;
            std::thread::sleep(Duration::from_millis(100));
        }
        Ok(node)
    }

    /// `127.0.0.1:port`.
    pub(crate) fn server(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Its topics, without Kafka's own, in the order of their names.
    pub(crate) fn topics(&self) -> Result<Vec<String>, Failed> {
        let found = metadata(&mut self.connect()?, None)?;
        let names = found.topics.into_iter().map(|topic| topic.name);
        let mut names: Vec<String> = names.filter(|name| !name.starts_with("__")).collect();
        names.sort();
        Ok(names)
    }

    /// Waits until these are its topics: a broker learns from its controller a moment later.
    pub(crate) fn expect_topics(&self, expected: &[&str]) -> Result<(), Failed> {
        let begin = Instant::now();
        loop {
            let found = self.topics()?;
            if found == expected {
                return Ok(());
            }
            expect(begin.elapsed() < ANSWER, || {
                format!("topics are {found:?}, and not {expected:?}")
            })?;
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// Makes a topic of one partition.
    pub(crate) fn create(&self, topic: &str) -> Result<(), Failed> {
        create_topic(&mut self.connect()?, topic, 1, 1, &BTreeMap::new())?;
        self.until_there(topic, true)
    }

    /// Deletes whatever has this name.
    pub(crate) fn delete(&self, topic: &str) -> Result<(), Failed> {
        delete_topic(&mut self.connect()?, topic)?;
        self.until_there(topic, false)
    }

    fn until_there(&self, topic: &str, wanted: bool) -> Result<(), Failed> {
        let begin = Instant::now();
        while self.topics()?.iter().any(|found| found == topic) != wanted {
            expect(begin.elapsed() < ANSWER, || {
                format!("topic {topic}: wanted there: {wanted}")
            })?;
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(())
    }

    fn connect(&self) -> Result<Connection, Failed> {
        Ok(Connection::connect(&self.server(), "steadfast-test", ANSWER)?)
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A port that was free a moment ago.
pub(crate) fn free_port() -> Result<u16, Failed> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

/// The fetched jars of Kafka.
pub(crate) fn jars() -> Result<PathBuf, Failed> {
    let output = steadfast(&["cluster", "fetch"]);
    expect_exit(&output, 0)?;
    Ok(PathBuf::from(String::from_utf8_lossy(&output.stdout).trim()))
}
