//! An answer as text that can be compared: one line a struct, and what no two clusters share has a name instead.
//!
//! ```text
//! throttleTimeMs=*
//! responses:
//!   - name=m1
//!     partitionResponses:
//!       - index=0 errorCode=0 baseOffset=4 logAppendTimeMs=-1 logStartOffset=0 recordErrors=[] errorMessage=null
//! ```
//! Producer ids, topic ids and the like are named in the order in which a case meets them.

use steadfast_wire::admin::error_name;

use super::batch::{batches, epoch_name, timestamp_name};
use super::layout::Node;

/// Names for what differs from cluster to cluster, and the values they stand for.
#[derive(Debug, Default)]
pub(crate) struct Names {
    known: Vec<(&'static str, String)>,
}

impl Names {
    /// `<pid-1>` for the first producer id of a case.
    fn name(&mut self, class: &'static str, value: String) -> String {
        let entry = (class, value);
        if !self.known.contains(&entry) {
            self.known.push(entry.clone());
        }
        let of_class = self.known.iter().filter(|(known, _)| *known == class);
        let number = 1 + of_class.take_while(|(_, value)| *value != entry.1).count();
        format!("<{class}-{number}>")
    }

    pub(crate) fn pid(&mut self, pid: i64) -> String {
        if pid < 0 {
            pid.to_string()
        } else {
            self.name("pid", pid.to_string())
        }
    }

    fn integer(&mut self, field: &str, value: i64) -> String {
        match field {
            "throttleTimeMs" | "finalizedFeaturesEpoch" => "*".into(),
            "producerId" | "ongoingTxnProducerId" => self.pid(value),
            "port" if value >= 0 => "<port>".into(),
            "sessionId" if value > 0 => "<session>".into(),
            "lastTimestamp" | "timestamp" | "logAppendTimeMs" => timestamp_name(value),
            "leaderEpoch" | "committedLeaderEpoch" => epoch_name(value),
            "errorCode" | "partitionErrorCode" | "topicConfigErrorCode" if value != 0 => {
                format!("{value}({})", error_name(value as i16))
            }
            _ => value.to_string(),
        }
    }

    fn text(&self, field: &str, text: &str) -> String {
        if field == "clusterId" {
            return "<cluster-id>".into();
        }
        let mut text = text.to_owned();
        if field.ends_with("essage") {
            // Messages quote what has a name.
            let mut number = std::collections::BTreeMap::new();
            for (class, value) in &self.known {
                let number = number.entry(class).and_modify(|n| *n += 1).or_insert(1);
                text = replace_word(&text, value, &format!("<{class}-{number}>"));
            }
            text = without_clocks(&text);
        }
        text.replace('\n', "\\n")
    }

    /// A whole answer.
    pub(crate) fn lines(&mut self, node: &Node) -> Vec<String> {
        match node {
            Node::Struct(fields) => self.fields(fields),
            other => vec![self.scalar("", other)],
        }
    }

    fn fields(&mut self, fields: &[(String, Node)]) -> Vec<String> {
        let (mut head, mut rest) = (Vec::new(), Vec::new());
        for (name, node) in fields {
            match node {
                Node::List(Some(items)) if items.iter().any(|item| matches!(item, Node::Struct(_))) => {
                    rest.push(format!("{name}:"));
                    for item in in_order(name, items) {
                        let lines = self.lines(item);
                        rest.extend(
                            lines
                                .iter()
                                .enumerate()
                                .map(|(at, line)| format!("  {} {line}", if at == 0 { "-" } else { " " })),
                        );
                    }
                }
                Node::Struct(inner) => {
                    let lines = self.fields(inner);
                    rest.push(format!("{name}: {{{}}}", lines.join(" ")));
                }
                Node::Bytes(Some(bytes)) if name == "records" && !bytes.is_empty() => {
                    rest.push("records:".into());
                    rest.extend(batches(bytes, self).iter().map(|line| format!("  - {line}")));
                }
                scalar => head.push(format!("{name}={}", self.scalar(name, scalar))),
            }
        }
        if !head.is_empty() {
            rest.insert(0, head.join(" "));
        }
        rest
    }

    fn scalar(&mut self, field: &str, node: &Node) -> String {
        match node {
            Node::Bool(value) => value.to_string(),
            Node::Int(value) => self.integer(field, *value),
            Node::Uuid([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]) => "none".into(),
            Node::Uuid(id) => self.name("topic-id", base64(id)),
            Node::Text(None) | Node::Bytes(None) | Node::List(None) => "null".into(),
            Node::Text(Some(text)) => quoted(&self.text(field, text)),
            Node::Bytes(Some(bytes)) => format!("{} bytes", bytes.len()),
            Node::List(Some(items)) => {
                let items: Vec<String> = items.iter().map(|item| self.scalar(field, item)).collect();
                format!("[{}]", items.join(" "))
            }
            Node::Struct(_) => String::new(),
        }
    }
}

/// Kafka gives some lists in the order of a hash table: by these fields they are put in order.
const UNORDERED: &[(&str, &str)] = &[
    ("partitions", "partitionIndex"),
    ("activeProducers", "producerId"),
    ("apiKeys", "apiKey"),
    ("configs", "name"),
    ("supportedFeatures", "name"),
    ("finalizedFeatures", "name"),
];

fn in_order<'a>(list: &str, items: &'a [Node]) -> Vec<&'a Node> {
    let mut items: Vec<&Node> = items.iter().collect();
    if let Some((_, field)) = UNORDERED.iter().find(|(name, _)| *name == list) {
        items.sort_by_key(|item| match item.at(field) {
            Some(Node::Int(value)) => (*value, String::new()),
            Some(Node::Text(Some(text))) => (0, text.clone()),
            _ => (i64::MAX, String::new()),
        });
    }
    items
}

fn quoted(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-<>".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        text.to_owned()
    } else {
        format!("\"{text}\"")
    }
}

/// Numbers of 13 digits and more are milliseconds of some clock, and limits counted from it.
fn without_clocks(text: &str) -> String {
    const DIGITS: usize = 13;
    let mut out = String::new();
    for piece in text.split_inclusive(|c: char| !c.is_ascii_digit()) {
        let digits = piece.trim_end_matches(|c: char| !c.is_ascii_digit());
        if digits.len() >= DIGITS {
            out.push_str("<milliseconds>");
            out.push_str(&piece[digits.len()..]);
        } else {
            out.push_str(piece);
        }
    }
    out
}

/// Replaces `word` where it stands for itself and is no part of a longer number or name.
fn replace_word(text: &str, word: &str, by: &str) -> String {
    let (mut out, mut rest) = (String::new(), text);
    while let Some(at) = rest.find(word) {
        let (before, after) = (&rest[..at], &rest[at + word.len()..]);
        let joins = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
        out.push_str(before);
        let inside = joins(before.chars().next_back()) || joins(after.chars().next());
        out.push_str(if inside { word } else { by });
        rest = after;
    }
    out + rest
}

/// As Kafka writes a uuid in its messages: URL-safe, no padding.
fn base64(id: &[u8; 16]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let digit = |bits: u32| DIGITS[(bits & 63) as usize] as char;
    let mut out = String::new();
    for chunk in id.chunks(3) {
        let bits = chunk
            .iter()
            .chain(&[0; 2])
            .take(3)
            .fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte));
        let digits = [18, 12, 6, 0].map(|shift| digit(bits >> shift));
        out.extend(&digits[..=chunk.len()]);
    }
    out
}
