//! Sends each line of standard input as a record, and says where it went: the application's producer at work.
//!
//! `cargo run -p steadfast-producer --example send -- 127.0.0.1:9092 my-topic < lines.txt`

use std::collections::BTreeMap;
use std::error::Error;
use std::io::BufRead;
use std::time::Duration;

use steadfast_producer::config::ProducerConfig;
use steadfast_producer::producer::{Producer, ProducerRecord};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(bootstrap), Some(topic)) = (arguments.next(), arguments.next()) else {
        return Err("usage: send HOST:PORT TOPIC < lines".into());
    };
    let properties = BTreeMap::from([("bootstrap.servers".to_owned(), bootstrap)]);
    let config = ProducerConfig::from_properties(&properties).map_err(|errors| format!("{errors:#?}"))?;
    let producer = Producer::new(&config)?;
    let mut tickets = Vec::new();
    for line in std::io::stdin().lock().lines() {
        tickets.push(producer.send(ProducerRecord::new(&topic, line?))?);
    }
    producer.flush(Duration::from_secs(120))?;
    for (line, ticket) in tickets.iter().enumerate() {
        match ticket.wait() {
            Ok(at) => println!(
                "line {}: partition {} offset {:?}",
                line + 1,
                at.partition,
                at.offset
            ),
            Err(error) => println!("line {}: {error}", line + 1),
        }
    }
    producer.close(Duration::from_secs(30))?;
    Ok(())
}
