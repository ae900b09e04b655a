//! `[cluster]`: how many nodes, which settings, which topics.

use std::collections::BTreeMap;
use std::ops::Range;

use steadfast_chaos::cluster::disk::SMALLEST;
use steadfast_chaos::cluster::kafka::PINNED;
use steadfast_chaos::cluster::{Front, TopicSpec, docker};
use toml::Spanned;

use crate::scenario::diagnostics::Problem;
use crate::scenario::grammar::Properties;
use crate::scenario::notes::Notes;
use crate::scenario::properties;
use crate::scenario::properties::Property;
use crate::scenario::reader::Table;
use crate::scenario::words::list;

/// The cluster that a scenario asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ClusterWish {
    /// Cluster kind, where the file insists on one.
    pub kind: Option<&'static str>,
    /// Brokers.
    pub nodes: u32,
    /// Dedicated controllers; 0 = combined.
    pub controllers: u32,
    /// Version of Apache Kafka; empty = whatever KAFKA_HOME has, else the pinned one.
    pub version: String,
    /// Image of a docker cluster, with its tag or digest; empty = Kafka's own of that version.
    pub image: String,
    /// Broker settings under Kafka's names.
    pub properties: BTreeMap<String, String>,
    /// Options of each broker's JVM.
    pub jvm_options: Vec<String>,
    /// Bytes of a small disk for each broker's data.
    pub disk: Option<u64>,
    /// Whether each broker has a wall clock of its own, where a fault that steps one is planned.
    pub own_clocks: bool,
    /// Topics to create, by name.
    pub topics: Vec<TopicSpec>,
    /// Whether brokers reach each other through proxies, where a fault between them is planned.
    pub linked: bool,
    /// What stands in front of every broker, where a fault of the network or of frames is planned.
    pub front: Front,
}

/// Replicas that must have a record before it is acknowledged.
pub(crate) fn min_insync(topic: &TopicSpec, broker: &BTreeMap<String, String>) -> u32 {
    let name = "min.insync.replicas";
    topic
        .configs
        .get(name)
        .or(broker.get(name))
        .and_then(|text| text.parse().ok())
        .unwrap_or(1)
}

/// Reads `[cluster]`.
pub(crate) fn read(table: &Table<'_>, notes: &Notes<'_>) -> Option<ClusterWish> {
    let nodes = table.integer("nodes");
    let controllers = table.integer("controllers");
    let version = match table.has("version") {
        true => table
            .text("version")
            .filter(|version| pinned(version, notes))
            .map(Spanned::into_inner),
        false => Some(String::new()),
    };
    let broker = table.property_table("properties");
    let properties = properties::check(Properties::Broker, &broker, notes);
    let node_count = nodes.as_ref().map(|n| (*n.get_ref(), n.span()));
    let mut topics = Vec::new();
    for (name, topic) in table.named("topics") {
        topics.extend(read_topic(&name, &topic, node_count.as_ref(), &broker, notes));
    }
    if table.has("topics") && topics.is_empty() && notes.clean() {
        let problem = Problem::at(
            table.place("topics"),
            "no topic",
            "expected `topics.NAME = { partitions = 6 }`",
        );
        notes.push(problem);
    }
    let kind = if table.has("kind") {
        Some(*table.word("kind")?.get_ref())
    } else {
        None
    };
    if kind == Some("external") {
        for name in ["properties", "controllers", "jvm-options"]
            .into_iter()
            .filter(|name| table.has(name))
        {
            table.out_of_place(name, "an external cluster is taken as it is");
        }
    }
    if kind.is_some_and(|kind| kind != "kafka") && table.has("disk") {
        table.out_of_place("disk", "only brokers of kind kafka get disks of their own");
    }
    if kind.is_some_and(|kind| kind != "docker") {
        for name in ["image", "tag"].into_iter().filter(|name| table.has(name)) {
            table.out_of_place(name, "only a docker cluster runs an image");
        }
    }
    let image = read_image(table, version.as_deref().unwrap_or_default(), notes);
    Some(ClusterWish {
        kind,
        nodes: u32::try_from(nodes?.into_inner()).ok()?,
        controllers: u32::try_from(controllers?.into_inner()).ok()?,
        version: version?,
        image: image?,
        properties,
        jvm_options: read_jvm_options(table, notes),
        disk: read_disk(table, notes),
        own_clocks: false,
        topics,
        linked: false,
        front: Front::Nothing,
    })
}

fn read_disk(table: &Table<'_>, notes: &Notes<'_>) -> Option<u64> {
    let size = table.has("disk").then(|| table.size("disk")).flatten()?;
    if *size.get_ref() < SMALLEST {
        let label = format!("expected {} MiB at least", SMALLEST >> 20);
        let problem = Problem::at(size.span(), "too small for a broker", &label);
        notes.push(problem.note("its data are on it, the metadata's log and index files among them"));
    }
    Some(size.into_inner())
}

fn read_jvm_options(table: &Table<'_>, notes: &Notes<'_>) -> Vec<String> {
    let Some(text) = table
        .has("jvm-options")
        .then(|| table.text("jvm-options"))
        .flatten()
    else {
        return Vec::new();
    };
    let options: Vec<String> = text.get_ref().split_whitespace().map(str::to_owned).collect();
    if let Some(wrong) = options
        .iter()
        .find(|option| !(option.starts_with("-X") || option.starts_with("-D")))
    {
        let title = format!("`{wrong}` is no option of a JVM");
        let problem = Problem::at(text.span(), &title, "expected options that begin with -X or -D");
        notes.push(problem.note("such as jvm-options = \"-XX:TieredStopAtLevel=1\""));
    }
    options
}

/// `image`, `tag` and the version of Kafka as the one name that the engine takes.
fn read_image(table: &Table<'_>, version: &str, notes: &Notes<'_>) -> Option<String> {
    let text = |name| {
        if !table.has(name) {
            return Some(None);
        }
        let text = table.text(name)?;
        // What a registry allows in names, tags and digests; a leading dash would be an option.
        let legal = |c: char| c.is_ascii_alphanumeric() || "._-/:@".contains(c);
        let first = text.get_ref().chars().next();
        if first.is_some_and(|first| first.is_ascii_alphanumeric()) && text.get_ref().chars().all(legal) {
            return Some(Some(text));
        }
        let title = format!("`{}` is no {name} of a container", text.get_ref());
        let problem = Problem::at(
            text.span(),
            &title,
            "expected letters, digits, `.`, `_`, `-`, `/`, `:`",
        );
        notes.push(problem.note("such as image = \"apache/kafka\", tag = \"4.1.0\""));
        None
    };
    let (image, tag) = (text("image")?, text("tag")?);
    if let (Some(image), Some(tag)) = (&image, &tag)
        && docker::reference(image.get_ref(), "", "untagged") == *image.get_ref()
    {
        let problem = Problem::at(tag.span(), "two tags for one image", "a second tag");
        notes.push(problem.context(image.span(), "has one already"));
        return None;
    }
    if image.is_none() && tag.is_none() {
        return Some(String::new());
    }
    let text = |value: Option<Spanned<String>>| value.map(Spanned::into_inner).unwrap_or_default();
    Some(docker::reference(&text(image), &text(tag), version))
}

fn pinned(version: &Spanned<String>, notes: &Notes<'_>) -> bool {
    let versions: Vec<&str> = PINNED.iter().map(|row| row.version).collect();
    let known = versions.contains(&version.get_ref().as_str());
    if !known {
        let title = format!("Kafka {} is not among the pinned versions", version.get_ref());
        let problem = Problem::at(version.span(), &title, &format!("expected {}", list(&versions)));
        notes.push(problem.note("another version can be run as `--broker external`, or from KAFKA_HOME"));
    }
    known
}

fn read_topic(
    name: &Spanned<String>,
    table: &Table<'_>,
    nodes: Option<&(u64, Range<usize>)>,
    broker: &BTreeMap<String, Property>,
    notes: &Notes<'_>,
) -> Option<TopicSpec> {
    if let Some(why) = bad_topic_name(name.get_ref()) {
        notes.push(Problem::at(
            name.span(),
            &format!("`{}` is not a topic name", name.get_ref()),
            why,
        ));
        return None;
    }
    let partitions = table.integer("partitions")?;
    let factor = table.integer("replication-factor")?;
    let written = table.properties();
    let configs = properties::check(Properties::Topic, &written, notes);
    if let Some((nodes, place)) = nodes
        && factor.get_ref() > nodes
    {
        let label = format!("{} copies need {} brokers", factor.get_ref(), factor.get_ref());
        let problem = Problem::at(
            factor.span(),
            "replication-factor is greater than the number of nodes",
            &label,
        );
        notes.push(problem.context(place.clone(), &format!("the cluster has {nodes}")));
    }
    let min_insync = written
        .get("min.insync.replicas")
        .or(broker.get("min.insync.replicas"));
    if let Some(property) = min_insync
        && property
            .value
            .parse::<u64>()
            .is_ok_and(|least| least > *factor.get_ref())
    {
        // Measured: it is no error to Kafka, and more copies than there are is asked of nobody (KIP-966).
        let label = format!(
            "Kafka would silently take it as {}: `{}` has no more copies",
            factor.get_ref(),
            name.get_ref()
        );
        let problem = Problem::at(
            property.span.clone(),
            "min.insync.replicas is greater than replication-factor",
            &label,
        );
        notes.push(if table.has("replication-factor") {
            problem.context(factor.span(), "copies")
        } else {
            problem
        });
    }
    Some(TopicSpec {
        name: name.get_ref().clone(),
        partitions: u32::try_from(*partitions.get_ref()).ok()?,
        replication_factor: u32::try_from(*factor.get_ref()).ok()?,
        configs,
    })
}

/// Kafka's rule (`Topic.validate`): 1 to 249 characters of `[a-zA-Z0-9._-]`, not `.` or `..`; internal names are left alone.
fn bad_topic_name(name: &str) -> Option<&'static str> {
    let legal = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    match name {
        "" | "." | ".." => Some("a topic needs a name"),
        _ if name.starts_with("__") => Some("names that begin with two underscores are Kafka's own"),
        _ if name.len() > 249 => Some("longer than 249 characters"),
        _ if !name.chars().all(legal) => Some("expected only ASCII letters, digits, `.`, `_` and `-`"),
        _ => None,
    }
}
