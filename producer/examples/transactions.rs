//! Commits and aborts in turn, then says how many records readers must see.
//!
//! `cargo run --release -p steadfast-producer --example transactions -- --bootstrap-server 127.0.0.1:9092 my-topic 100 50`
//!
//! Arguments: topic, number of transactions, records in each, then any producer properties (`name=value`). Every third
//! transaction is aborted. Values are `T-R`: transaction and record. With `group=NAME` each transaction also commits an
//! offset of that group. Check with a reader of your own:
//!
//! `kafka-console-consumer.sh --isolation-level read_committed --topic my-topic --from-beginning ...`

use std::collections::BTreeMap;
use std::error::Error;
use std::time::Duration;

use steadfast_producer::clock::monotonic_ns;
use steadfast_producer::config::ProducerConfig;
use steadfast_producer::producer::{Producer, ProducerRecord};
use steadfast_producer::transaction::{GroupOffset, TransactionEvent};

const PATIENCE: Duration = Duration::from_secs(60);
const USAGE: &str = "usage: transactions --bootstrap-server HOST:PORT TOPIC TRANSACTIONS RECORDS [group=NAME] [property=value]...";

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [flag, bootstrap, topic, transactions, records, rest @ ..] = &arguments[..] else {
        return Err(USAGE.into());
    };
    if flag != "--bootstrap-server" {
        return Err(USAGE.into());
    }
    let (transactions, records): (u64, u64) = (transactions.parse()?, records.parse()?);
    let mut properties = BTreeMap::from([
        ("bootstrap.servers".to_owned(), bootstrap.clone()),
        ("transactional.id".to_owned(), "example".to_owned()),
        ("linger.ms".to_owned(), "0".to_owned()),
    ]);
    for property in rest {
        let (name, value) = property.split_once('=').ok_or(USAGE)?;
        properties.insert(name.to_owned(), value.to_owned());
    }
    let group = properties.remove("group");
    let config = ProducerConfig::from_properties(&properties).map_err(|errors| format!("{errors:#?}"))?;

    let producer = Producer::new(&config)?;
    producer.init_transactions(PATIENCE)?;
    let mut tally = Tally::default();
    for turn in 0..transactions {
        let number = producer.begin_transaction()?;
        for record in 0..records {
            let value = format!("{number}-{record}");
            producer.send(ProducerRecord::new(topic.as_str(), value))?;
        }
        if let Some(group) = &group {
            let position = GroupOffset {
                topic: topic.clone(),
                partition: 0,
                offset: i64::try_from(number)?,
            };
            producer.send_offsets_to_transaction(group, &[position])?;
        }
        let begun_ns = monotonic_ns();
        let event = if turn % 3 == 2 {
            // Some of it is in the log by then, some is not.
            std::thread::yield_now();
            producer.abort_transaction(PATIENCE)?
        } else {
            producer.commit_transaction(PATIENCE)?
        };
        tally.count(event, records, monotonic_ns() - begun_ns);
    }
    producer.close(PATIENCE)?;
    tally.print();
    Ok(())
}

#[derive(Default)]
struct Tally {
    committed: u64,
    aborted: u64,
    visible: u64,
    end_ns: Vec<u64>,
}

impl Tally {
    fn count(&mut self, event: TransactionEvent, records: u64, took_ns: u64) {
        self.end_ns.push(took_ns);
        match event {
            TransactionEvent::Committed { .. } => {
                self.committed += 1;
                self.visible += records;
            }
            TransactionEvent::Aborted { code: 0, .. } => self.aborted += 1,
            other => println!("{other:?}"),
        }
    }

    fn print(&mut self) {
        self.end_ns.sort_unstable();
        let median_us = self.end_ns.get(self.end_ns.len() / 2).map_or(0, |ns| ns / 1000);
        let Tally {
            committed,
            aborted,
            visible,
            ..
        } = self;
        println!(
            "committed {committed} aborted {aborted}; readers see {visible} records; the end took {median_us} us (median)"
        );
    }
}
