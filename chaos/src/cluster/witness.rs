//! Kafka's own tools as witnesses, on a cluster of real brokers that we run: its console consumer, and the dump of the
//! leaders' segment files. What they print is given on line by line; `verifier/src/oracle.rs` reads it.

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{Cluster, java, kafka};
use crate::clock::Deadline;
use crate::error::ChaosError;
use crate::process::{ChildSpec, Output, Program, ended_well};

/// How long one tool may take.
const TOOL_BOUND: Duration = Duration::from_secs(300);
/// The consumer ends when nothing came for so long, ms: group and first metadata take a few seconds on a busy machine.
const CONSUMER_IDLE_MS: &str = "15000";
/// Heap of a tool's JVM.
const TOOL_HEAP: &str = "-Xmx256m";

impl Cluster {
    /// Reads the topic with Kafka's console consumer; gives what it says on standard error. `logs`: where that is kept.
    pub fn consume(
        &self,
        topic: &str,
        logs: &Path,
        line: &mut dyn FnMut(&str) -> Result<(), String>,
    ) -> Result<String, ChaosError> {
        let servers = self.admin_servers().join(",");
        let args = [
            "org.apache.kafka.tools.consumer.ConsoleConsumer",
            "--bootstrap-server",
            &servers,
            "--topic",
            topic,
            "--from-beginning",
            "--timeout-ms",
            CONSUMER_IDLE_MS,
            "--property",
            "print.partition=true",
            "--property",
            "print.offset=true",
            "--property",
            "print.value=false",
        ];
        self.tool("oracle-consumer", &args, logs, line)
    }

    /// Dumps the batches of every segment that the leaders of the topic's partitions have.
    pub fn dump_segments(
        &self,
        topic: &str,
        logs: &Path,
        line: &mut dyn FnMut(&str) -> Result<(), String>,
    ) -> Result<String, ChaosError> {
        let files = self.segments(topic)?;
        let names: Vec<String> = files.iter().map(|file| file.display().to_string()).collect();
        let args = ["kafka.tools.DumpLogSegments", "--files", &names.join(",")];
        self.tool("oracle-segments", &args, logs, line)
    }

    /// The segment files of every partition, from the folder of the node that leads it.
    fn segments(&self, topic: &str) -> Result<Vec<PathBuf>, ChaosError> {
        let fail = |reason: String| ChaosError::admin(format!("find the segments of {topic}"), reason);
        let view = self.view(Some(topic)).map_err(fail)?;
        let found = view.topics.iter().find(|found| found.name == topic);
        let found = found.ok_or_else(|| fail("the topic is not there".into()))?;
        let data = self.data().as_ref().map(|data| data.path().to_owned());
        let data = data.ok_or_else(|| fail("the brokers' data is not here".into()))?;
        let mut files = Vec::new();
        for state in &found.partitions {
            let number = state.partition;
            let leader =
                u32::try_from(state.leader).map_err(|_| fail(format!("partition {number} has no leader")))?;
            let folder = data
                .join(&self.node(leader)?.name)
                .join(format!("{topic}-{number}"));
            let read = ChaosError::io(format!("read {}", folder.display()));
            let entries = fs::read_dir(&folder).and_then(Iterator::collect::<std::io::Result<Vec<_>>>);
            let of_partition = entries.map_err(read)?.into_iter().map(|entry| entry.path());
            let before = files.len();
            files.extend(
                of_partition.filter(|path| path.extension().is_some_and(|extension| extension == "log")),
            );
            if files.len() == before {
                return Err(fail(format!("{} holds none", folder.display())));
            }
        }
        // By partition and first offset: the numbers in the names have 20 digits.
        files.sort();
        Ok(files)
    }

    /// Runs one of the tools to its end.
    fn tool(
        &self,
        name: &str,
        args: &[&str],
        logs: &Path,
        line: &mut dyn FnMut(&str) -> Result<(), String>,
    ) -> Result<String, ChaosError> {
        let fail = |reason: String| ChaosError::admin(name, reason);
        let home = kafka::locate(&self.version)?;
        let (out, log) = (logs.join(format!("{name}.out")), logs.join(format!("{name}.log")));
        let mut all = vec![
            TOOL_HEAP.to_owned(),
            "-XX:+UseSerialGC".to_owned(),
            "-cp".to_owned(),
            home.class_path(),
        ];
        all.extend(args.iter().map(|&arg| arg.to_owned()));
        let mut child = self.spawner.spawn(&ChildSpec {
            name: name.to_owned(),
            program: Program::File(java::find()?),
            args: all.into_iter().map(Into::into).collect(),
            env: Vec::new(),
            cwd: Some(logs.to_owned()),
            stdout: Output::File(out.clone()),
            stderr: log.clone(),
        })?;
        let status = child.until(Deadline::after(TOOL_BOUND), Some(&self.spawner))?;
        let read = || ChaosError::io(format!("read what {name} printed"));
        let said = fs::read(&log).map_err(read())?;
        let said = String::from_utf8_lossy(&said).into_owned();
        ended_well(status, TOOL_BOUND).map_err(|how| {
            let last = said.lines().next_back().unwrap_or_default();
            fail(format!("{how}: {last}"))
        })?;
        for printed in BufReader::new(File::open(&out).map_err(read())?).lines() {
            line(&printed.map_err(read())?).map_err(fail)?;
        }
        // A line a record: what counts of it stands in oracle.json.
        fs::remove_file(&out).map_err(ChaosError::io(format!("remove {}", out.display())))?;
        Ok(said)
    }
}
