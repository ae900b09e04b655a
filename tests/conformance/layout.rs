//! The layouts of `layouts.txt`, and an answer taken apart by them.
//!
//! Not kafka-protocol's decoder, for two reasons: a field that it drops or fills in could never be compared, and the simulated
//! broker writes its answers with kafka-protocol, so that one mistake there would be made, and forgiven, on both sides.
//! Encodings: KIP-482 (compact lengths, tagged fields).

use std::sync::OnceLock;

/// One API's answer.
#[derive(Debug)]
pub(crate) struct Layout {
    pub(crate) api: &'static str,
    pub(crate) key: i16,
    pub(crate) flexible: i16,
    fields: Vec<Field>,
}

#[derive(Debug)]
struct Field {
    name: &'static str,
    kind: Kind,
    since: i16,
    until: i16,
    tag: Option<u64>,
}

#[derive(Debug)]
enum Kind {
    Bool,
    Int(usize),
    Uuid,
    Text,
    Records,
    Array(Box<Kind>),
    Struct(Vec<Field>),
}

/// A piece of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Node {
    Bool(bool),
    Int(i64),
    Uuid([u8; 16]),
    Text(Option<String>),
    Bytes(Option<Vec<u8>>),
    List(Option<Vec<Node>>),
    Struct(Vec<(String, Node)>),
}

impl Node {
    /// What stands at `a.0.b`; none when nothing does.
    pub(crate) fn at(&self, path: &str) -> Option<&Node> {
        path.split('.').try_fold(self, |node, step| match node {
            Node::Struct(fields) => fields.iter().find(|(name, _)| name == step).map(|(_, node)| node),
            Node::List(Some(items)) => items.get(step.parse::<usize>().ok()?),
            _ => None,
        })
    }
}

/// All layouts.
pub(crate) fn layouts() -> &'static [Layout] {
    static LAYOUTS: OnceLock<Vec<Layout>> = OnceLock::new();
    LAYOUTS.get_or_init(|| parse(include_str!("layouts.txt")))
}

/// The layout of an API.
pub(crate) fn layout(key: i16) -> Option<&'static Layout> {
    layouts().iter().find(|layout| layout.key == key)
}

impl Layout {
    /// Takes the frame of an answer apart: correlation id and body.
    pub(crate) fn decode(&self, version: i16, frame: &[u8]) -> Result<(i32, Node), String> {
        let mut cut = Cut {
            rest: frame,
            version,
            flexible: version >= self.flexible,
        };
        let correlation_id = cut.int(4)? as i32;
        // KIP-511: the header of ApiVersions is the old one in every version, so that any client can read it.
        if cut.flexible && self.api != "ApiVersions" {
            cut.tagged(&[])?;
        }
        let body = cut.fields(&self.fields)?;
        match cut.rest.len() {
            0 => Ok((correlation_id, body)),
            left => Err(format!("{left} bytes behind the end of {} v{version}", self.api)),
        }
    }
}

/// What is not taken apart yet.
struct Cut<'a> {
    rest: &'a [u8],
    version: i16,
    flexible: bool,
}

impl Cut<'_> {
    fn fields(&mut self, fields: &[Field]) -> Result<Node, String> {
        let mut found = Vec::new();
        for field in fields.iter().filter(|field| field.tag.is_none()) {
            if (field.since..=field.until).contains(&self.version) {
                let node = self
                    .kind(&field.kind)
                    .map_err(|why| format!("{}: {why}", field.name))?;
                found.push((field.name.to_owned(), node));
            }
        }
        if self.flexible {
            found.extend(self.tagged(fields)?);
        }
        Ok(Node::Struct(found))
    }

    fn tagged(&mut self, fields: &[Field]) -> Result<Vec<(String, Node)>, String> {
        let mut found = Vec::new();
        for _ in 0..self.varint()? {
            let (tag, size) = (self.varint()?, self.varint()? as usize);
            let after = self
                .rest
                .len()
                .checked_sub(size)
                .ok_or("a tagged field that is cut")?;
            match fields.iter().find(|field| field.tag == Some(tag)) {
                Some(field) => found.push((field.name.to_owned(), self.kind(&field.kind)?)),
                None => found.push((format!("tag{tag}"), Node::Bytes(Some(self.take(size)?.to_vec())))),
            }
            if self.rest.len() != after {
                return Err(format!("tagged field {tag} is not as long as it says"));
            }
        }
        Ok(found)
    }

    fn kind(&mut self, kind: &Kind) -> Result<Node, String> {
        Ok(match kind {
            Kind::Bool => Node::Bool(self.int(1)? != 0),
            Kind::Int(size) => Node::Int(self.int(*size)?),
            Kind::Uuid => Node::Uuid(self.take(16)?.try_into().map_err(|_| "a short uuid")?),
            Kind::Text => {
                let length = if self.flexible {
                    self.compact()?
                } else {
                    self.int(2)?
                };
                let bytes = self.sized(length)?;
                Node::Text(bytes.map(|bytes| String::from_utf8_lossy(bytes).into_owned()))
            }
            Kind::Records => {
                let length = self.length()?;
                Node::Bytes(self.sized(length)?.map(<[u8]>::to_vec))
            }
            Kind::Array(element) => {
                let count = self.length()?;
                if count > self.rest.len() as i64 {
                    return Err(format!("a count of {count} with {} bytes left", self.rest.len()));
                }
                let items = (0..count).map(|_| self.kind(element)).collect::<Result<_, _>>()?;
                Node::List((count >= 0).then_some(items))
            }
            // Since Kafka 4 an absent struct may stand as -1 in front of it; none of ours is nullable.
            Kind::Struct(fields) => self.fields(fields)?,
        })
    }

    fn length(&mut self) -> Result<i64, String> {
        if self.flexible {
            self.compact()
        } else {
            self.int(4)
        }
    }

    fn compact(&mut self) -> Result<i64, String> {
        Ok(self.varint()? as i64 - 1)
    }

    fn sized(&mut self, length: i64) -> Result<Option<&[u8]>, String> {
        match usize::try_from(length) {
            Ok(length) => self.take(length).map(Some),
            Err(_) => Ok(None),
        }
    }

    fn varint(&mut self) -> Result<u64, String> {
        let mut value = 0;
        for shift in [0, 7, 14, 21, 28] {
            let byte = self.take(1)?[0];
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err("a varint without an end".into())
    }

    fn int(&mut self, size: usize) -> Result<i64, String> {
        let bytes = self.take(size)?;
        let start = if bytes[0] & 0x80 == 0 { 0 } else { -1 };
        Ok(bytes
            .iter()
            .fold(start, |value, byte| value << 8 | i64::from(*byte)))
    }

    fn take(&mut self, count: usize) -> Result<&[u8], String> {
        let (head, tail) = self
            .rest
            .split_at_checked(count)
            .ok_or(format!("{count} bytes wanted, {} left", self.rest.len()))?;
        self.rest = tail;
        Ok(head)
    }
}

fn parse(text: &'static str) -> Vec<Layout> {
    let mut lines = text
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .peekable();
    let mut layouts = Vec::new();
    while let Some(head) = lines.next() {
        let word = |name: &str| {
            let found = head
                .split(' ')
                .find_map(|word| word.strip_prefix(name)?.strip_prefix('='));
            found
                .and_then(|number| number.parse().ok())
                .expect("layouts.txt: a number")
        };
        layouts.push(Layout {
            api: head.split(' ').next().unwrap_or_default(),
            key: word("key"),
            flexible: word("flexible"),
            fields: parse_fields(&mut lines, 1),
        });
    }
    layouts
}

fn parse_fields(
    lines: &mut std::iter::Peekable<impl Iterator<Item = &'static str>>,
    depth: usize,
) -> Vec<Field> {
    let indent = |line: &str| (line.len() - line.trim_start().len()) / 2;
    let mut fields = Vec::new();
    while let Some(line) = lines.next_if(|line| indent(line) == depth) {
        let mut words = line.trim_start().split(' ');
        let name = words.next().unwrap_or_default();
        let kind = match words.next().unwrap_or_default() {
            "[]" => Kind::Array(Box::new(Kind::Struct(parse_fields(lines, depth + 1)))),
            "{}" => Kind::Struct(parse_fields(lines, depth + 1)),
            word => plain_kind(word),
        };
        let (mut since, mut until, mut tag) = (0, i16::MAX, None);
        for word in words {
            let number = |text: &str| text.parse::<i16>().expect("layouts.txt: a version");
            if let Some(text) = word.strip_prefix("tag=") {
                tag = text.parse().ok();
            } else if let Some(first) = word.strip_suffix('+') {
                since = number(first);
            } else {
                let (first, last) = word.split_once('-').unwrap_or((word, word));
                (since, until) = (number(first), number(last));
            }
        }
        fields.push(Field {
            name,
            kind,
            since,
            until,
            tag,
        });
    }
    fields
}

fn plain_kind(word: &str) -> Kind {
    match word {
        "bool" => Kind::Bool,
        "int8" => Kind::Int(1),
        "int16" => Kind::Int(2),
        "int32" => Kind::Int(4),
        "int64" => Kind::Int(8),
        "uuid" => Kind::Uuid,
        "string" => Kind::Text,
        "records" => Kind::Records,
        _ => Kind::Array(Box::new(plain_kind(
            word.strip_prefix("[]").expect("layouts.txt: a type"),
        ))),
    }
}
