//! Plays the script to one cluster, given by its address, and writes down what it answers.
//!
//! ```text
//! > Produce v9: batch 1 again          what is asked, in the script's words
//! < responses:                         what comes back, field by field (text.rs), or: closed, silence
//! ```
//! The same script goes to every kind of broker: a kind is an [`Environment`], nothing else of it is known here.

use std::thread::sleep;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use steadfast_wire::kafka_protocol::messages::{ApiKey, RequestHeader};
use steadfast_wire::kafka_protocol::protocol::{Encodable, Request, StrBytes};

use super::layout::{Node, layout};
use super::socket::{ANSWER_BOUND, Heard, Socket};
use super::text::Names;

/// How long something that the cluster does by itself (an election, a marker, a time-out) may take.
pub(crate) const BY_ITSELF_BOUND: Duration = Duration::from_secs(20);
/// How often it is looked at.
const LOOK: Duration = Duration::from_millis(20);

/// How a broker goes down before it comes up again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Restart {
    /// SIGTERM.
    Clean,
    /// SIGKILL.
    Hard,
}

/// A cluster of one broker, and what can be done to it.
pub(crate) struct Environment<'a> {
    /// `host:port`.
    pub(crate) server: String,
    /// Returns when the broker leads all its partitions again, at the same address.
    pub(crate) restart: &'a mut dyn FnMut(Restart) -> Result<(), String>,
}

/// One case of the script.
#[derive(Clone, Copy)]
pub(crate) struct Case {
    pub(crate) name: &'static str,
    /// An API and the version of it without which this has no meaning.
    pub(crate) needs: Option<(ApiKey, i16)>,
    pub(crate) play: fn(&mut Player<'_, '_>) -> Result<(), String>,
}

/// What came of a script.
#[derive(Debug, Default)]
pub(crate) struct Played {
    /// The name of each case, and its questions and answers as text.
    pub(crate) answers: Vec<(&'static str, String)>,
    /// Cases that could not be played to their end, with the reason and the answers so far.
    pub(crate) broken: Vec<String>,
}

/// Plays all of it. A case that breaks off stops no other.
pub(crate) fn play(script: &[Case], environment: &mut Environment<'_>) -> Played {
    let mut played = Played::default();
    for case in script {
        let mut player = Player::new(environment);
        match player.play(case) {
            Ok(()) => played.answers.push((case.name, player.text)),
            Err(why) => played
                .broken
                .push(format!("{}: {why}\n--- so far\n{}", case.name, player.text)),
        }
    }
    played
}

/// What came back from one request.
#[derive(Debug)]
pub(crate) enum Answer {
    Node(Node),
    Closed,
    Silence,
}

impl Answer {
    /// The integer at `a.0.b`; none where there is none, so also without an answer.
    pub(crate) fn int(&self, path: &str) -> Option<i64> {
        match self {
            Answer::Node(node) => match node.at(path)? {
                Node::Int(value) => Some(*value),
                _ => None,
            },
            Answer::Closed | Answer::Silence => None,
        }
    }

    pub(crate) fn node(&self, path: &str) -> Option<&Node> {
        match self {
            Answer::Node(node) => node.at(path),
            Answer::Closed | Answer::Silence => None,
        }
    }
}

/// One case being played.
pub(crate) struct Player<'e, 'a> {
    environment: &'e mut Environment<'a>,
    socket: Option<Socket>,
    names: Names,
    text: String,
    correlation_id: i32,
}

impl<'e, 'a> Player<'e, 'a> {
    fn new(environment: &'e mut Environment<'a>) -> Player<'e, 'a> {
        Player {
            environment,
            socket: None,
            names: Names::default(),
            text: String::new(),
            correlation_id: 0,
        }
    }

    fn play(&mut self, case: &Case) -> Result<(), String> {
        match case.needs {
            Some((api, version)) if !self.speaks(api, version)? => {
                self.note("not spoken here");
                Ok(())
            }
            _ => (case.play)(self),
        }
    }

    /// Asks, and writes down question and answer.
    pub(crate) fn ask<R: Request>(
        &mut self,
        what: &str,
        version: i16,
        request: &R,
    ) -> Result<Answer, String> {
        self.question(what, version, R::KEY);
        let answer = self.quiet(version, request)?;
        self.answered(&answer);
        Ok(answer)
    }

    /// Asks until the code at `path` is none of `passing`, and writes the last answer down.
    pub(crate) fn settled<R: Request>(
        &mut self,
        what: &str,
        version: i16,
        request: &R,
        (path, passing): (&str, &[i64]),
    ) -> Result<Answer, String> {
        self.question(what, version, R::KEY);
        let deadline = Instant::now() + BY_ITSELF_BOUND;
        let answer = loop {
            let answer = self.quiet(version, request)?;
            match answer.int(path) {
                Some(code) if passing.contains(&code) && Instant::now() < deadline => sleep(LOOK),
                _ => break answer,
            }
        };
        self.answered(&answer);
        Ok(answer)
    }

    /// Asks quietly until `done` likes the answer.
    pub(crate) fn until<R: Request>(
        &mut self,
        what: &str,
        version: i16,
        request: &R,
        done: impl Fn(&Answer) -> bool,
    ) -> Result<Answer, String> {
        let deadline = Instant::now() + BY_ITSELF_BOUND;
        loop {
            let answer = self.quiet(version, request)?;
            if done(&answer) {
                return Ok(answer);
            }
            if Instant::now() > deadline {
                return Err(format!("waited in vain for {what}; the last answer: {answer:?}"));
            }
            sleep(LOOK);
        }
    }

    /// Asks and writes nothing down.
    pub(crate) fn quiet<R: Request>(&mut self, version: i16, request: &R) -> Result<Answer, String> {
        let frame = self.frame(version, request)?;
        let heard = self.exchange(&frame, ANSWER_BOUND)?;
        self.understand(R::KEY, version, heard)
    }

    /// Sends bytes as they are; `api` says as which answer a frame is to be read.
    pub(crate) fn raw(
        &mut self,
        what: &str,
        bytes: &[u8],
        api: (ApiKey, i16),
        bound: Duration,
    ) -> Result<Answer, String> {
        self.note(&format!("> {what}"));
        let heard = self.exchange(bytes, bound)?;
        let answer = self.understand(api.0 as i16, api.1, heard)?;
        self.answered(&answer);
        // What follows on this connection belongs to nobody.
        self.socket = None;
        Ok(answer)
    }

    /// The whole frame of a request, for [`Player::raw`] to spoil.
    pub(crate) fn frame<R: Request>(&mut self, version: i16, request: &R) -> Result<Vec<u8>, String> {
        self.correlation_id += 1;
        let header = RequestHeader::default()
            .with_request_api_key(R::KEY)
            .with_request_api_version(version)
            .with_correlation_id(self.correlation_id)
            .with_client_id(Some(StrBytes::from_static_str("conformance")));
        let mut frame = BytesMut::from(&[0; 4][..]);
        header
            .encode(&mut frame, R::header_version(version))
            .and_then(|()| request.encode(&mut frame, version))
            .map_err(|error| format!("API {} v{version}: {error}", R::KEY))?;
        let length = (frame.len() - 4) as u32;
        frame[..4].copy_from_slice(&length.to_be_bytes());
        Ok(frame.to_vec())
    }

    /// A line of the script's own.
    pub(crate) fn note(&mut self, line: &str) {
        self.text.push_str(line);
        self.text.push('\n');
    }

    pub(crate) fn restart(&mut self, how: Restart) -> Result<(), String> {
        self.note(&format!("# restart: {how:?}"));
        self.socket = None;
        (self.environment.restart)(how)
    }

    /// Whether the cluster speaks this version.
    pub(crate) fn speaks(&mut self, api: ApiKey, version: i16) -> Result<bool, String> {
        let apis = self.quiet(0, &super::requests::api_versions())?;
        let Some(Node::List(Some(ranges))) = apis.node("apiKeys") else {
            return Err(format!("no API versions: {apis:?}"));
        };
        let int = |range: &Node, name: &str| match range.at(name) {
            Some(Node::Int(value)) => *value,
            _ => -1,
        };
        let range = ranges.iter().find(|range| int(range, "apiKey") == api as i64);
        Ok(range.is_some_and(|range| {
            (int(range, "minVersion")..=int(range, "maxVersion")).contains(&i64::from(version))
        }))
    }

    fn question(&mut self, what: &str, version: i16, key: i16) {
        let api = layout(key).map_or("?", |layout| layout.api);
        self.note(&format!("> {api} v{version}: {what}"));
    }

    fn answered(&mut self, answer: &Answer) {
        let lines = match answer {
            Answer::Node(node) => self.names.lines(node),
            Answer::Closed => vec!["closed".into()],
            Answer::Silence => vec!["silence".into()],
        };
        for (at, line) in lines.iter().enumerate() {
            let mark = if at == 0 { "<" } else { " " };
            self.note(&format!("{mark} {line}"));
        }
    }

    fn exchange(&mut self, bytes: &[u8], bound: Duration) -> Result<Heard, String> {
        let mut socket = match self.socket.take() {
            Some(socket) => socket,
            None => Socket::connect(&self.environment.server)?,
        };
        let heard = socket.exchange(bytes, bound)?;
        if matches!(heard, Heard::Frame(_)) {
            self.socket = Some(socket);
        }
        Ok(heard)
    }

    fn understand(&self, key: i16, version: i16, heard: Heard) -> Result<Answer, String> {
        let frame = match heard {
            Heard::Closed => return Ok(Answer::Closed),
            Heard::Silence => return Ok(Answer::Silence),
            Heard::Frame(frame) => frame,
        };
        let layout = layout(key).ok_or_else(|| format!("API {key} is not in layouts.txt"))?;
        // KIP-511: a version of ApiVersions that the broker does not know is answered in version 0.
        let old = key == ApiKey::ApiVersions as i16 && frame.get(4..6) == Some(&[0, 35]);
        let (_, node) = layout.decode(if old { 0 } else { version }, &frame)?;
        Ok(Answer::Node(node))
    }
}
