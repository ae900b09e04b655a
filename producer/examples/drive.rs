//! Writes records at a steady rate with the single-threaded [`Driver`], and says what became of them.
//!
//! `cargo run --release -p steadfast-producer --example drive -- 127.0.0.1:9092 my-topic 100000 25000 linger.ms=0.2`
//!
//! Arguments: bootstrap server, topic, number of records, records per second, then any producer properties.

use std::collections::BTreeMap;
use std::error::Error;

use steadfast_producer::clock::{monotonic_ns, wall_ms};
use steadfast_producer::config::ProducerConfig;
use steadfast_producer::driver::Driver;
use steadfast_producer::error::AppendError;
use steadfast_producer::record::{Outcome, Record};

const SECOND_NS: u64 = 1_000_000_000;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [bootstrap, topic, count, rate, rest @ ..] = &arguments[..] else {
        return Err("usage: drive HOST:PORT TOPIC RECORDS RECORDS-PER-SECOND [property=value]...".into());
    };
    let (count, rate): (u64, u64) = (count.parse()?, rate.parse()?);
    let mut properties = BTreeMap::from([("bootstrap.servers".to_owned(), bootstrap.clone())]);
    for property in rest {
        let (name, value) = property.split_once('=').ok_or("properties are name=value")?;
        properties.insert(name.to_owned(), value.to_owned());
    }
    let config = ProducerConfig::from_properties(&properties).map_err(|errors| format!("{errors:#?}"))?;

    let mut producer = Driver::new(&config)?;
    let topic = producer.topic(topic);
    producer.ready(monotonic_ns() + 15 * SECOND_NS)?;

    let start_ns = monotonic_ns();
    let due_ns = |i: u64| start_ns + i * SECOND_NS / rate;
    let mut tally = Tally {
        latencies_ns: Vec::new(),
        not_written: 0,
        unknown: 0,
    };
    let mut next = 0;
    while next < count {
        let now_ns = monotonic_ns();
        let timestamp_ms = wall_ms();
        let mut full = false;
        while next < count && due_ns(next) <= now_ns && !full {
            let value = format!("{next:0100}");
            let record = Record {
                topic,
                partition: None,
                key: None,
                value: Some(value.as_bytes()),
                headers: &[],
                timestamp_ms,
            };
            match producer.append(&record, due_ns(next), now_ns) {
                Ok(()) => next += 1,
                Err(AppendError::BufferFull) => full = true,
                Err(error) => return Err(error.into()),
            }
        }
        producer.turn((!full).then(|| due_ns(next)))?;
        tally.fetch(&mut producer);
    }
    producer.close(monotonic_ns() + 150 * SECOND_NS)?;
    tally.fetch(&mut producer);
    tally.print();
    let metrics = producer.metrics();
    println!("{metrics:#?}");
    for topic in producer.durability() {
        println!("{}: {:?}", topic.topic, topic.warnings());
    }
    Ok(())
}

struct Tally {
    latencies_ns: Vec<u64>,
    not_written: usize,
    unknown: usize,
}

impl Tally {
    fn fetch(&mut self, producer: &mut Driver) {
        while let Some(done) = producer.next_completion() {
            match done.outcome {
                // The token is the record's due time: latency counts from there, not from the append.
                Outcome::Acked => {
                    self.latencies_ns.extend(
                        done.tokens
                            .iter()
                            .map(|due_ns| done.ack_ns.saturating_sub(*due_ns)),
                    );
                }
                Outcome::NotWritten => self.not_written += done.tokens.len(),
                Outcome::Unknown => self.unknown += done.tokens.len(),
            }
        }
    }

    fn print(&mut self) {
        self.latencies_ns.sort_unstable();
        let at = |share: f64| {
            let place = (self.latencies_ns.len() as f64 * share) as usize;
            self.latencies_ns.get(place).map_or(0, |ns| ns / 1000)
        };
        println!(
            "acked {} not written {} unknown {}; µs p50 {} p99 {} p99.9 {} max {}",
            self.latencies_ns.len(),
            self.not_written,
            self.unknown,
            at(0.5),
            at(0.99),
            at(0.999),
            self.latencies_ns.last().map_or(0, |ns| ns / 1000)
        );
    }
}
