//! Whom a fault meets: targets by name and by meaning. What they mean is looked up when the fault begins; what no cluster of
//! this file can have is refused here.

use steadfast_chaos::cluster::TopicSpec;
use steadfast_chaos::fault::Target;
use toml::Spanned;

use crate::scenario::cluster::ClusterWish;
use crate::scenario::diagnostics::{Problem, nearest};
use crate::scenario::notes::Notes;

const HINT: &str = "expected `leader(topic-0)`, `follower(topic-0)`, `controller`, `coordinator(txn-id)`, `broker-2`, \
                    `random`, `minority`, `all`, `every-broker`, `link(client, leader(topic-0))`, `link(leader(topic-0), brokers)`, \
                    `topic(topic)` or `client-id(id)`";
/// Longest transactional or client id that a message shows whole.
const MAX_ID: usize = 200;

/// Reads a target; `cluster` is none when it could not be read.
pub(super) fn read(
    text: &Spanned<String>,
    cluster: Option<&ClusterWish>,
    notes: &Notes<'_>,
) -> Option<Spanned<Target>> {
    match parse(text.get_ref(), cluster) {
        Ok(target) => Some(Spanned::new(text.span(), target)),
        Err((title, label, mend)) => {
            let problem = Problem::at(text.span(), &title, &label);
            notes.push(match mend {
                Some(mend) => problem.fix(
                    "a target with a similar name exists",
                    text.span(),
                    &format!("\"{mend}\""),
                ),
                None => problem,
            });
            None
        }
    }
}

/// Title, label, mend.
type TargetError = (String, String, Option<String>);

fn parse(text: &str, cluster: Option<&ClusterWish>) -> Result<Target, TargetError> {
    let text = text.trim();
    let unknown = || (format!("unknown target `{text}`"), HINT.to_owned(), None);
    let inside = |word: &str| inside(word, text);
    match text {
        "every-broker" => return Ok(Target::EveryBroker),
        "all" => return Ok(Target::All),
        "random" => return Ok(Target::Random),
        "controller" => return Ok(Target::Controller),
        "client" => return Ok(Target::Client),
        "minority" => return minority(cluster),
        _ => {}
    }
    if let Some(number) = text.strip_prefix("broker-") {
        return broker(number.parse().map_err(|_| unknown())?, cluster);
    }
    if let Some(inner) = inside("leader") {
        let (topic, partition, _) = partition_of("leader", inner, cluster)?;
        return Ok(Target::Leader { topic, partition });
    }
    if let Some(inner) = inside("follower") {
        let (topic, partition, spec) = partition_of("follower", inner, cluster)?;
        if spec.is_some_and(|spec| spec.replication_factor < 2) {
            let label = format!("`{topic}` has one copy of each partition");
            return Err(("nobody follows there".to_owned(), label, None));
        }
        return Ok(Target::Follower { topic, partition });
    }
    if let Some(id) = inside("coordinator") {
        if id.is_empty() || id.len() > MAX_ID {
            let label = "expected `coordinator(my-transactional-id)`".to_owned();
            return Err(("no transactional id".to_owned(), label, None));
        }
        return Ok(Target::Coordinator(id.to_owned()));
    }
    if let Some(topic) = inside("topic") {
        known("topic", topic, "", cluster)?;
        return Ok(Target::Topic(topic.to_owned()));
    }
    if let Some(id) = client_id(text) {
        if id.is_empty() || id.len() > MAX_ID {
            let label = "expected `client-id(my-client)`".to_owned();
            return Err(("no client id".to_owned(), label, None));
        }
        return Ok(Target::ClientId(id.to_owned()));
    }
    if let Some(ends) = inside("link") {
        let (from, to) = ends.split_once(',').ok_or_else(unknown)?;
        return match from.trim() {
            "client" => link(to, cluster),
            broker => between(broker, to.trim(), cluster),
        };
    }
    let words = [
        "every-broker",
        "all",
        "random",
        "minority",
        "controller",
        "broker-1",
    ];
    let mend = nearest(text, words).map(str::to_owned);
    Err((format!("unknown target `{text}`"), HINT.to_owned(), mend))
}

/// The id of `client-id(...)`.
pub(super) fn client_id(text: &str) -> Option<&str> {
    inside("client-id", text)
}

/// What stands between the parentheses behind a word.
fn inside<'a>(word: &str, text: &'a str) -> Option<&'a str> {
    let inner = text.trim().strip_prefix(word)?.trim_start().strip_prefix('(')?;
    inner.strip_suffix(')').map(str::trim)
}

fn link(to: &str, cluster: Option<&ClusterWish>) -> Result<Target, TargetError> {
    match parse(to, cluster)? {
        Target::Link(_)
        | Target::Between { .. }
        | Target::Topic(_)
        | Target::Client
        | Target::ClientId(_) => Err((
            "a link leads to brokers".to_owned(),
            "expected `link(client, broker-1)` or `link(client, leader(topic-0))`".to_owned(),
            None,
        )),
        Target::Controller if cluster.is_some_and(|cluster| cluster.controllers > 0) => Err((
            "clients have no link to a dedicated controller".to_owned(),
            "expected `link(client, broker-1)`".to_owned(),
            None,
        )),
        end => Ok(Target::Link(Box::new(end))),
    }
}

/// `link(leader(topic-0), brokers)`, `link(broker-1, broker-2)`.
fn between(broker: &str, other: &str, cluster: Option<&ClusterWish>) -> Result<Target, TargetError> {
    let wrong = |end: &str| {
        let title = format!("`{end}` is no end of a link between brokers");
        let label = "expected a broker and another one, or `brokers` for all others, such as `link(broker-1, broker-2)`, \
                     `link(leader(topic-0), brokers)`; or `client` first"
            .to_owned();
        (title, label, None)
    };
    let end = |text: &str| match parse(text, cluster)? {
        one @ (Target::Leader { .. }
        | Target::Follower { .. }
        | Target::Controller
        | Target::Coordinator(_)
        | Target::Broker(_)
        | Target::Random) => Ok(one),
        few @ Target::Minority if other == "brokers" => Ok(few),
        _ => Err(wrong(text)),
    };
    if let Some(cluster) = cluster {
        let what = match () {
            () if cluster.nodes < 2 => "a cluster of one broker",
            () if cluster.controllers > 0 => "a cluster with dedicated controllers",
            () => "",
        };
        if !what.is_empty() {
            let label = format!("there is none in {what} that a proxy could stand in");
            return Err(("no link between brokers".to_owned(), label, None));
        }
    }
    let first = end(broker)?;
    let second = match other {
        "brokers" => None,
        other => Some(Box::new(end(other)?)),
    };
    if second.as_deref() == Some(&first) {
        let label = "both ends are the same".to_owned();
        return Err(("no link leads from a broker to itself".to_owned(), label, None));
    }
    Ok(Target::Between {
        broker: Box::new(first),
        other: second,
    })
}

fn minority(cluster: Option<&ClusterWish>) -> Result<Target, TargetError> {
    match cluster {
        Some(cluster) if cluster.nodes < 3 => {
            let label = "a minority needs three brokers at least".to_owned();
            Err((format!("a minority of {} is nobody", cluster.nodes), label, None))
        }
        _ => Ok(Target::Minority),
    }
}

fn broker(number: u32, cluster: Option<&ClusterWish>) -> Result<Target, TargetError> {
    match cluster {
        Some(cluster) if number == 0 || number > cluster.nodes => {
            let label = if cluster.nodes == 1 {
                "the only broker is `broker-1`".to_owned()
            } else {
                format!("brokers are `broker-1` to `broker-{}`", cluster.nodes)
            };
            Err((format!("there is no `broker-{number}`"), label, None))
        }
        _ => Ok(Target::Broker(number)),
    }
}

/// `orders-0`: topic and partition, and the topic as the file has it.
fn partition_of<'a>(
    word: &str,
    text: &str,
    cluster: Option<&'a ClusterWish>,
) -> Result<(String, u32, Option<&'a TopicSpec>), TargetError> {
    let wrong = || {
        (
            format!("`{text}` names no partition"),
            format!("expected `{word}(topic-0)`: topic, `-`, partition"),
            None,
        )
    };
    let (topic, partition) = text.rsplit_once('-').ok_or_else(wrong)?;
    let partition: u32 = partition.parse().map_err(|_| wrong())?;
    let spec = known(word, topic, &format!("-{partition}"), cluster)?;
    if let Some(spec) = spec.filter(|spec| partition >= spec.partitions) {
        let label = format!("`{topic}` has partitions 0 to {}", spec.partitions - 1);
        let title = format!("there is no partition {partition} of `{topic}`");
        return Err((title, label, None));
    }
    Ok((topic.to_owned(), partition, spec))
}

/// The topic as the file has it; none when the file's cluster could not be read.
fn known<'a>(
    word: &str,
    topic: &str,
    rest: &str,
    cluster: Option<&'a ClusterWish>,
) -> Result<Option<&'a TopicSpec>, TargetError> {
    let Some(cluster) = cluster else {
        return Ok(None);
    };
    if let Some(found) = cluster.topics.iter().find(|found| found.name == topic) {
        return Ok(Some(found));
    }
    let names: Vec<&str> = cluster.topics.iter().map(|topic| topic.name.as_str()).collect();
    let mend = nearest(topic, names.iter().copied()).map(|near| format!("{word}({near}{rest})"));
    Err((
        format!("there is no topic `{topic}`"),
        format!("the topics are {}", names.join(", ")),
        mend,
    ))
}
