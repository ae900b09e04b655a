//! Pure: the bytes of record i, from (seed, worker, i) alone: same seed, same bytes, whatever the speed or the
//! incarnation.
//!
//! ```text
//! key      none, or the text `key-<number>`: number below `count` in decimal, `key-0` the most frequent of a zipf law
//! value    16 bytes of stamp (verifier's stamp.rs), then a cut from the pool at a random place
//! headers  name as ordered, value another cut from the pool
//! ```
//!
//! The pool is 64 KiB of random bytes (more for larger records), made once: random bytes for each record would cost
//! more than producing it. No allocation per record: a record is lent from buffers that the next one reuses.

use steadfast_producer::record_batch::Header;
use steadfast_verifier::stamp::{self, RecordId, STAMP_BYTES};
use steadfast_verifier::workload::{PartitionChoice, Workload};

use crate::keys::{KeyChooser, MAX_KEYS};
use crate::random::{Random, Stream, below};

/// Longest value or header value, bytes. Kafka's own default limit of a batch is 1 MiB.
pub const MAX_VALUE_BYTES: u32 = 64 << 20;
/// Most headers of a record.
pub const MAX_HEADERS: usize = 1000;

/// Different places in the pool where a value may begin.
const POOL_PLACES: u64 = 64 << 10;
/// `key-` and the digits of the largest u64.
const KEY_BYTES: usize = 4 + 20;
/// What record batch v2 adds to a record at most: length, attributes, deltas, and the lengths of key, value, headers.
const RECORD_OVERHEAD: usize = 5 + 1 + 10 + 5 + 5 + 5 + 5;
/// The lengths of name and value of a header.
const HEADER_OVERHEAD: usize = 5 + 5;

/// Why a workload has no records. All are mistakes of whoever wrote the workload: mend it, do not retry.
#[derive(Debug, thiserror::Error, PartialEq)]
pub enum GeneratorError {
    /// Too small for the stamp or too large for memory.
    #[error("record size {0}: give {STAMP_BYTES} (the stamp) to {MAX_VALUE_BYTES} bytes")]
    RecordSize(u32),
    /// No keys, or too many to count each.
    #[error("{0} keys: give 1 to {MAX_KEYS}")]
    KeyCount(u64),
    /// Not a skew.
    #[error("zipf exponent {0}: give 0 (uniform) or more")]
    Exponent(f64),
    /// A topic has at least one partition, and their numbers fit an i32.
    #[error("{0} partitions: give 1 or more, as the topic has")]
    Partitions(u32),
    /// Too many headers, or too long.
    #[error("headers: at most {MAX_HEADERS}, each of at most {MAX_VALUE_BYTES} bytes")]
    Headers,
}

/// What the records of one worker are cut from; made once, lent to a [`Generator`].
#[derive(Debug)]
pub struct Material {
    topic: String,
    pool: Vec<u8>,
    header_names: Vec<String>,
    header_sizes: Vec<usize>,
}

/// One record, lent until the next is made.
#[derive(Debug, Clone, Copy)]
pub struct GeneratedRecord<'g> {
    /// Index among the records of its worker.
    pub index: u64,
    /// Partition, where the workload fixes it; none leaves it to the producer.
    pub partition: Option<i32>,
    /// Key; none for keyless.
    pub key: Option<&'g [u8]>,
    /// Stamp and random bytes.
    pub value: &'g [u8],
    /// Names and values, in order.
    pub headers: &'g [Header<'g>],
}

/// Makes the records of one worker incarnation, in order of their indexes.
#[derive(Debug)]
pub struct Generator<'m> {
    material: &'m Material,
    worker: u16,
    places: Random,
    keys: KeyChooser,
    /// Number of partitions to go around; none when the producer chooses.
    round: Option<u64>,
    // The current record.
    index: u64,
    key: [u8; KEY_BYTES],
    key_from: usize,
    value: Vec<u8>,
    headers: Vec<Header<'m>>,
    /// The same as the stamp wants them.
    stamped_headers: Vec<(&'m [u8], &'m [u8])>,
    /// Index of the record that `advance` makes next.
    next: u64,
}

impl Material {
    /// Checks what the workload says about records and fills the pool.
    pub fn new(workload: &Workload) -> Result<Material, GeneratorError> {
        let size = workload.record_size;
        if !(STAMP_BYTES as u32..=MAX_VALUE_BYTES).contains(&size) {
            return Err(GeneratorError::RecordSize(size));
        }
        let headers = &workload.headers;
        if headers.len() > MAX_HEADERS || headers.iter().any(|header| header.size > MAX_VALUE_BYTES) {
            return Err(GeneratorError::Headers);
        }
        let longest = headers.iter().map(|header| header.size).fold(size, u32::max);
        let words = (POOL_PLACES + u64::from(longest)).div_ceil(8);
        let random = Random::new(workload.seed, workload.worker, Stream::Pool);
        Ok(Material {
            topic: workload.topic.clone(),
            pool: (0..words).flat_map(|i| random.at(i).to_le_bytes()).collect(),
            header_names: headers.iter().map(|header| header.name.clone()).collect(),
            header_sizes: headers.iter().map(|header| header.size as usize).collect(),
        })
    }

    /// The cut of `size` bytes at the place that `bits` names.
    #[inline]
    fn cut(&self, bits: u64, size: usize) -> &[u8] {
        let from = below(bits, POOL_PLACES) as usize;
        &self.pool[from..from + size]
    }
}

impl<'m> Generator<'m> {
    /// A generator whose first record is `workload.first_index`. Where keys are drawn it counts those of earlier
    /// incarnations first, some ns a record.
    pub fn new(workload: &Workload, material: &'m Material) -> Result<Generator<'m>, GeneratorError> {
        let partitions = workload.partitions;
        if partitions == 0 || i32::try_from(partitions).is_err() {
            return Err(GeneratorError::Partitions(partitions));
        }
        let Workload {
            seed,
            worker,
            first_index,
            ..
        } = *workload;
        let names = material.header_names.iter();
        Ok(Generator {
            material,
            worker,
            places: Random::new(seed, worker, Stream::Offset),
            keys: KeyChooser::new(&workload.keys, seed, worker, first_index)?,
            round: (workload.partition == PartitionChoice::RoundRobin).then_some(u64::from(partitions)),
            index: first_index,
            key: *b"key-00000000000000000000",
            key_from: KEY_BYTES,
            value: vec![0; workload.record_size as usize],
            headers: names
                .clone()
                .map(|name| Header {
                    key: name,
                    value: None,
                })
                .collect(),
            stamped_headers: names.map(|name| (name.as_bytes(), [].as_slice())).collect(),
            next: first_index,
        })
    }

    /// Makes the next record and lends it.
    #[inline]
    pub fn advance(&mut self) -> GeneratedRecord<'_> {
        let i = self.next;
        self.next += 1;
        self.index = i;
        let bits = self.places.at(i);
        let rest = &mut self.value[STAMP_BYTES..];
        rest.copy_from_slice(self.material.cut(bits, rest.len()));
        for (nth, header) in self.headers.iter_mut().enumerate() {
            let turned = bits
                .rotate_left(13 * (nth as u32 + 1))
                .wrapping_add(nth as u64 / 64);
            let value = self.material.cut(turned, self.material.header_sizes[nth]);
            header.value = Some(value);
            self.stamped_headers[nth].1 = value;
        }
        let (key, sequence) = self.keys.choose(i);
        self.key_from = match key {
            None => KEY_BYTES,
            Some(number) => write_key(&mut self.key, number),
        };
        let id = RecordId::new(self.worker, i);
        let key = key_text(&self.key, self.key_from);
        stamp::write(
            &mut self.value,
            id,
            sequence,
            &self.material.topic,
            key,
            &self.stamped_headers,
        );
        self.current()
    }

    /// The record made last, again.
    pub fn current(&self) -> GeneratedRecord<'_> {
        GeneratedRecord {
            index: self.index,
            partition: self.round.map(|partitions| (self.index % partitions) as i32),
            key: key_text(&self.key, self.key_from),
            value: &self.value,
            headers: &self.headers,
        }
    }

    /// No record is longer than this in a batch, bytes.
    pub fn max_record_bytes(&self) -> usize {
        let names = self
            .material
            .header_names
            .iter()
            .map(|name| name.len() + HEADER_OVERHEAD);
        RECORD_OVERHEAD
            + KEY_BYTES
            + self.value.len()
            + names.sum::<usize>()
            + self.material.header_sizes.iter().sum::<usize>()
    }
}

/// Writes `key-<number>` flush to the end of `text` and returns where it begins.
#[inline]
fn write_key(text: &mut [u8; KEY_BYTES], mut number: u64) -> usize {
    let mut at = KEY_BYTES;
    loop {
        at -= 1;
        text[at] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            break;
        }
    }
    at -= 4;
    text[at..at + 4].copy_from_slice(b"key-");
    at
}

#[inline]
fn key_text(text: &[u8; KEY_BYTES], from: usize) -> Option<&[u8]> {
    (from < KEY_BYTES).then(|| &text[from..])
}

#[cfg(test)]
#[path = "generator_tests.rs"]
mod tests;
