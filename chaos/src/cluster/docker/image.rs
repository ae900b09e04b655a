//! The image: here or pulled, and looked into before anything relies on it.
//!
//! The look is a container like those of the brokers. It says what Kafka and Java are in the image, and shows by what it sees
//! that the engine's containers share this machine's kernel, network and files: an engine in a virtual machine, on another host,
//! or without the right to this network would run brokers that nobody reaches and whose processes nobody sees.

use std::fs;
use std::sync::Arc;
use std::time::Duration;

use steadfast_verifier::environment::Setting;

use super::container::{Container, Order};
use super::engine::{CALL_BOUND, Engine};
use super::{DATA, LOGS, START_SCRIPT};
use crate::clock::Deadline;
use crate::cluster::ground::Ground;
use crate::cluster::{ClusterSpec, kafka};
use crate::error::ChaosError;
use crate::journal::{DIRECTORY_MARKER, boot_id};

/// What is run when nobody names an image.
pub const DEFAULT_IMAGE: &str = "apache/kafka";
/// A download that takes longer than this is given up.
const PULL_BOUND: Duration = Duration::from_secs(900);
/// How long the look may take: one short JVM.
const LOOK_BOUND: Duration = Duration::from_secs(60);
/// Which network a process is in.
const NETWORK: &str = "/proc/self/ns/net";

/// An image that can run brokers here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Image {
    /// `apache/kafka:4.1.0`.
    pub(super) reference: String,
    /// `sha256:...`: what it was when it was looked into.
    pub(super) id: String,
    /// Version of Apache Kafka in it.
    pub(super) version: String,
    /// First line of its `java --version`.
    pub(super) java: String,
}

impl Image {
    /// That the brokers are not the published ones, where they are not.
    pub(super) fn difference(&self) -> Option<Setting> {
        let default = reference(DEFAULT_IMAGE, "", &self.version);
        (self.reference != default).then(|| Setting {
            scope: "docker".into(),
            name: "image".into(),
            value: format!("{} ({})", self.reference, self.id),
            default,
            reason: "the scenario's own".into(),
        })
    }
}

/// The whole name: with this tag, else the one in the name, else the version of Kafka.
pub fn reference(image: &str, tag: &str, version: &str) -> String {
    let image = if image.is_empty() { DEFAULT_IMAGE } else { image };
    // The last part of the path: before it a colon is that of a port.
    let last = image.rsplit('/').next().unwrap_or(image);
    if tag.is_empty() && last.contains([':', '@']) {
        return image.to_owned();
    }
    let version = if version.is_empty() {
        kafka::DEFAULT_VERSION
    } else {
        version
    };
    let tag = if tag.is_empty() { version } else { tag };
    format!("{image}:{tag}")
}

/// Makes sure of it.
pub(super) fn provide(
    engine: &Arc<Engine>,
    spec: &ClusterSpec,
    ground: &Ground,
    progress: &mut dyn FnMut(&str),
) -> Result<Image, ChaosError> {
    let reference = reference(&spec.image, "", &spec.version);
    let inspect = ["image", "inspect", "--format", "{{.Id}}", &reference];
    let id = match engine.call(&inspect, CALL_BOUND) {
        Ok(id) => id,
        Err(ChaosError::Admin { .. }) => {
            progress(&format!("pulling {reference}"));
            pull(engine, &reference)?;
            engine.call(&inspect, CALL_BOUND)?
        }
        Err(error) => return Err(error),
    };
    let data = ground.data(&engine.spawner)?;
    let order = Order {
        image: id.clone(),
        program: "/bin/sh",
        args: vec!["-c".into(), script()],
        env: Vec::new(),
        mounts: vec![(ground.logs.clone(), LOGS), (data.path().to_owned(), DATA)],
    };
    let log = ground.logs.join("docker-image.log");
    let container = Container::create(engine, "look", &order)?;
    let mut client = container.attend(&log)?;
    let status = client.until(Deadline::after(LOOK_BOUND), Some(&engine.spawner))?;
    drop((client, container));
    let text = fs::read_to_string(&log).unwrap_or_default();
    if status.is_none() {
        let what = format!("{reference} did not answer within {LOOK_BOUND:?}");
        return Err(ChaosError::missing(what, "look at the engine's own log"));
    }
    let network = fs::read_link(NETWORK).map_err(ChaosError::io(format!("read {NETWORK}")))?;
    let here = Here {
        boot: boot_id().map_err(ChaosError::io("read this machine's boot id"))?,
        network: network.to_string_lossy().into_owned(),
        marker: engine.journal().name().to_owned(),
    };
    let (version, java) = judge(&text, &here, &reference)?;
    if !spec.version.is_empty() && spec.version != version {
        return Err(ChaosError::missing(
            format!(
                "{reference} holds Apache Kafka {version}, but {} is asked for",
                spec.version
            ),
            format!("say `version = \"{version}\"` under [cluster], or name another image"),
        ));
    }
    Ok(Image {
        reference,
        id,
        version,
        java,
    })
}

fn pull(engine: &Engine, reference: &str) -> Result<(), ChaosError> {
    let pulled = engine.call_patiently(&["pull", "--quiet", reference], PULL_BOUND);
    pulled.map(drop).map_err(|error| match error {
        ChaosError::Admin { reason, .. } => ChaosError::missing(
            format!("the image {reference} is not here, and cannot be pulled: {reason}"),
            "look at the name and at the network, load it from a file (`docker load`), name another image \
             (`--set cluster.image=NAME:TAG`), or use --broker kafka",
        ),
        other => other,
    })
}

/// One word and a value a line; what fails says nothing, and is missed.
fn script() -> String {
    format!(
        "echo \"boot $(cat /proc/sys/kernel/random/boot_id)\"\n\
         echo \"network $(readlink {NETWORK})\"\n\
         echo \"marker $(cat {DATA}/{DIRECTORY_MARKER})\"\n\
         : > {DATA}/written && : >> {LOGS}/docker-image.log && echo 'writes yes'\n\
         test -x {START_SCRIPT} && echo 'starts yes'\n\
         for jar in /opt/kafka/libs/kafka_2.13-*.jar; do echo \"jar ${{jar##*/}}\"; done\n\
         PATH=${{JAVA_HOME:+$JAVA_HOME/bin:}}$PATH\n\
         java --version | while read -r line; do echo \"java $line\"; done\n"
    )
}

/// What the look must show.
struct Here {
    boot: String,
    network: String,
    marker: String,
}

/// Version of Kafka and of Java, or why this engine or this image cannot be used. Pure.
fn judge(text: &str, here: &Here, reference: &str) -> Result<(String, String), ChaosError> {
    let values = |word: &str| -> Vec<String> {
        let of_word = |line: &str| line.strip_prefix(word)?.strip_prefix(' ').map(str::to_owned);
        text.lines().filter_map(of_word).collect()
    };
    let value = |word: &str| values(word).into_iter().next().unwrap_or_default();
    let engine = |what: &str, mend: &str| {
        let mend = format!("{mend}, or use --broker kafka");
        Err(ChaosError::missing(format!("Docker's containers {what}"), mend))
    };
    let image = |what: &str| {
        let said = text.lines().last().unwrap_or("nothing");
        ChaosError::missing(
            format!("the image {reference} {what} (it said: {said})"),
            "name one with the layout of apache/kafka: /bin/sh, Java, /opt/kafka/bin and /opt/kafka/libs",
        )
    };
    let boot = value("boot");
    if boot.is_empty() {
        return Err(image("did not run /bin/sh"));
    }
    if boot != here.boot {
        return engine(
            "run on another kernel than this process, on another host or in a virtual machine",
            "use the engine of this machine (`docker context use default`, and no DOCKER_HOST)",
        );
    }
    if value("network") != here.network {
        return engine(
            "are not in this process's network, so their loopback ports cannot be reached",
            "use an engine that runs as root and not rootless, and run steadfast outside of a container",
        );
    }
    if value("marker") != here.marker {
        return engine(
            "do not see the run folder",
            "put it where the engine sees the same files (--out)",
        );
    }
    if value("writes") != "yes" {
        return engine(
            "may not write into the run folder as this user",
            "use an engine without remapped users, and a folder without a foreign security label (--out)",
        );
    }
    if value("starts") != "yes" {
        return Err(image(&format!("has no {START_SCRIPT}")));
    }
    let Some(version) = kafka::version_of_core(values("jar").into_iter()).filter(|version| version != "*")
    else {
        return Err(image("has no /opt/kafka/libs/kafka_2.13-VERSION.jar"));
    };
    let java = value("java");
    if java.is_empty() {
        return Err(image("has no Java"));
    }
    Ok((version, java))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEEN: &str = "boot b\nnetwork net:[1]\nmarker 7-1-0\nwrites yes\nstarts yes\n\
        jar kafka_2.13-4.1.0.jar\njava openjdk 21.0.1 2023-10-17\njava OpenJDK Runtime\n";

    fn judged(text: &str) -> Result<(String, String), String> {
        let here = Here {
            boot: "b".into(),
            network: "net:[1]".into(),
            marker: "7-1-0".into(),
        };
        judge(text, &here, "r").map_err(|error| error.to_string())
    }

    #[test]
    fn what_the_look_shows_is_taken() {
        let expected = ("4.1.0".to_owned(), "openjdk 21.0.1 2023-10-17".to_owned());
        assert_eq!(judged(SEEN), Ok(expected));
    }

    #[test]
    fn whatever_is_missing_or_different_is_told_with_its_mend() {
        for (from, to, word) in [
            ("boot b", "sh: not found", "/bin/sh"),
            ("boot b", "boot c", "another kernel"),
            ("net:[1]", "net:[2]", "rootless"),
            ("marker 7-1-0", "marker ", "run folder"),
            ("writes yes\n", "", "may not write"),
            ("starts yes\n", "", "kafka-server-start.sh"),
            ("4.1.0.jar", "*.jar", "libs"),
            ("java ", "", "no Java"),
        ] {
            let why = judged(&SEEN.replace(from, to)).expect_err(word);
            assert!(why.contains(word) && why.contains("mend:"), "{word}: {why}");
        }
    }

    #[test]
    fn a_tag_is_that_of_kafka_unless_named() {
        let default = format!("apache/kafka:{}", kafka::DEFAULT_VERSION);
        assert_eq!(reference("", "", ""), default);
        assert_eq!(reference("", "", "4.4.0"), "apache/kafka:4.4.0");
        assert_eq!(reference("host:5000/kafka", "", "4.4.0"), "host:5000/kafka:4.4.0");
        assert_eq!(reference("mine/kafka", "x", "4.4.0"), "mine/kafka:x");
        assert_eq!(reference("mine/kafka:y", "", "4.4.0"), "mine/kafka:y");
        assert_eq!(reference("kafka@sha256:1", "", ""), "kafka@sha256:1");
    }
}
