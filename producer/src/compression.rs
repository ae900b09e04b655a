//! The four codecs of a record batch, framed as Java clients and brokers read them.
//!
//! | codec | framing inside the batch | level (KIP-390) |
//! |---|---|---|
//! | gzip | one gzip member (RFC 1952) | -1, 1..=9 |
//! | snappy | xerial: magic `82 SNAPPY 00`, two versions, blocks of 32 KiB each led by its length | none |
//! | lz4 | LZ4 frame, independent blocks of 64 KiB, no checksums | one only: lz4_flex is a fast compressor, which is what Kafka's default level means |
//! | zstd | one zstd frame (KIP-110) | -131072..=22 |
//!
//! A [`Compressor`] keeps its codec's tables and one buffer between batches, so that sealing allocates nothing in
//! steady state. Expanding is here only for our own batches (to split one): its size is known beforehand and is
//! the cap. Whoever reads strangers' batches needs a reader of their own.

use std::io::{Read, Write};

use flate2::{Compress, Crc, FlushCompress, Status};
use lz4_flex::frame::{BlockMode, BlockSize, FrameDecoder, FrameEncoder, FrameInfo};
use thiserror::Error;

/// `compression.type`, with the number it has in a batch's attributes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[repr(i16)]
pub enum Compression {
    /// Records stand in the batch as they are.
    #[default]
    None = 0,
    /// RFC 1952.
    Gzip = 1,
    /// Snappy in xerial's framing.
    Snappy = 2,
    /// The LZ4 frame format.
    Lz4 = 3,
    /// RFC 8878; needs Produce v7 (KIP-110).
    Zstd = 4,
}

impl Compression {
    /// Every codec with its name in `compression.type`.
    pub const NAMES: [(&'static str, Compression); 5] = [
        ("none", Compression::None),
        ("gzip", Compression::Gzip),
        ("snappy", Compression::Snappy),
        ("lz4", Compression::Lz4),
        ("zstd", Compression::Zstd),
    ];

    /// The codec's name in `compression.type`.
    #[must_use]
    pub fn name(self) -> &'static str {
        Self::NAMES[self as usize].0
    }
}

/// A batch could not be compressed or expanded. Nothing has left yet when this happens: give up on the codec,
/// not on the records ([`BatchBuilder::seal`](crate::record_batch::BatchBuilder::seal) sends them uncompressed).
#[derive(Debug, Error)]
pub enum CompressionError {
    /// The codec's library refused; no memory, or bytes that this codec did not write.
    #[error("{codec}: {reason}")]
    Codec {
        /// The codec's name in `compression.type`.
        codec: &'static str,
        /// What its library said.
        reason: String,
    },
    /// The expanded length is not the one that was compressed.
    #[error("{codec} expanded to another length than the {expected} bytes that were compressed")]
    Length {
        /// The codec's name in `compression.type`.
        codec: &'static str,
        /// Length before compression, bytes.
        expected: usize,
    },
}

/// One producer's codec with its level, tables and spare buffer.
pub struct Compressor {
    codec: Codec,
    /// Where the next batch is compressed into; swapped with the batch's own buffer at seal.
    pub(crate) spare: Vec<u8>,
}

enum Codec {
    None,
    Gzip(Compress),
    Snappy(Box<snap::raw::Encoder>),
    Lz4(Box<FrameEncoder<Vec<u8>>>),
    Zstd(zstd::bulk::Compressor<'static>),
}

/// Level of a codec that has none or shall use its own default.
pub const DEFAULT_LEVEL: i32 = -1;

impl Compressor {
    /// A compressor for `compression` at `level`: gzip -1 or 1..=9, zstd -131072..=22 (3 is Kafka's default);
    /// snappy and lz4 have one level and ignore it. Fails only where zstd gets no memory.
    pub fn new(compression: Compression, level: i32) -> Result<Self, CompressionError> {
        let codec = match compression {
            Compression::None => Codec::None,
            Compression::Gzip => {
                let level = u32::try_from(level).map_or_else(
                    |_| flate2::Compression::default(),
                    |level| flate2::Compression::new(level.min(9)),
                );
                Codec::Gzip(Compress::new(level, false))
            }
            Compression::Snappy => Codec::Snappy(Box::new(snap::raw::Encoder::new())),
            Compression::Lz4 => Codec::Lz4(Box::new(lz4_encoder())),
            Compression::Zstd => Codec::Zstd(
                zstd::bulk::Compressor::new(level).map_err(|error| codec_error(compression, &error))?,
            ),
        };
        Ok(Self {
            codec,
            spare: Vec::new(),
        })
    }

    /// No compression: what most low-latency producers use.
    #[must_use]
    pub fn none() -> Self {
        Self {
            codec: Codec::None,
            spare: Vec::new(),
        }
    }

    /// The codec in use.
    #[must_use]
    pub fn compression(&self) -> Compression {
        match self.codec {
            Codec::None => Compression::None,
            Codec::Gzip(_) => Compression::Gzip,
            Codec::Snappy(_) => Compression::Snappy,
            Codec::Lz4(_) => Compression::Lz4,
            Codec::Zstd(_) => Compression::Zstd,
        }
    }

    /// Appends the compressed form of `input` to `output` (bytes already there stay).
    pub fn compress(&mut self, input: &[u8], output: &mut Vec<u8>) -> Result<(), CompressionError> {
        match &mut self.codec {
            Codec::None => {
                output.extend_from_slice(input);
                Ok(())
            }
            Codec::Gzip(deflate) => gzip(deflate, input, output),
            Codec::Snappy(encoder) => snappy(encoder, input, output),
            Codec::Lz4(encoder) => lz4(encoder, input, output),
            Codec::Zstd(compressor) => zstd(compressor, input, output),
        }
    }
}

/// Compresses once, without state kept between calls: for tools and tests. `level` as [`Compressor::new`].
pub fn compress(compression: Compression, level: i32, input: &[u8]) -> Result<Vec<u8>, CompressionError> {
    let mut output = Vec::new();
    Compressor::new(compression, level)?.compress(input, &mut output)?;
    Ok(output)
}

/// Expands what [`Compressor::compress`] wrote, to exactly `expected` bytes: more or fewer is an error, and
/// memory beyond `expected` is never asked for.
pub fn expand(compression: Compression, input: &[u8], expected: usize) -> Result<Vec<u8>, CompressionError> {
    let mut output = Vec::with_capacity(expected);
    // One byte above the cap is enough to see that there is more.
    let cap = expected as u64 + 1;
    match compression {
        Compression::None => output.extend_from_slice(input),
        Compression::Gzip => {
            flate2::read::GzDecoder::new(input)
                .take(cap)
                .read_to_end(&mut output)
                .map_err(|error| codec_error(compression, &error))?;
        }
        Compression::Snappy => expand_snappy(input, expected, &mut output)?,
        Compression::Lz4 => {
            FrameDecoder::new(input)
                .take(cap)
                .read_to_end(&mut output)
                .map_err(|error| codec_error(compression, &error))?;
        }
        Compression::Zstd => {
            output.resize(expected, 0);
            let length = zstd::bulk::decompress_to_buffer(input, &mut output[..])
                .map_err(|error| codec_error(compression, &error))?;
            output.truncate(length);
        }
    }
    if output.len() == expected {
        Ok(output)
    } else {
        Err(length_error(compression, expected))
    }
}

fn gzip(deflate: &mut Compress, input: &[u8], output: &mut Vec<u8>) -> Result<(), CompressionError> {
    /// Magic, deflate, no flags, no time, no hint, "unknown" file system (RFC 1952, 2.3).
    const MEMBER_HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];
    // Deflate never grows data by more than this (stored blocks): 5 bytes for each 16 KiB, and some.
    let bound = input.len() + input.len() / 1000 + 64;

    output.extend_from_slice(&MEMBER_HEADER);
    output.reserve(bound + 8);
    deflate.reset();
    let status = deflate
        .compress_vec(input, output, FlushCompress::Finish)
        .map_err(|error| codec_error(Compression::Gzip, &error))?;
    if status != Status::StreamEnd {
        return Err(codec_error(
            Compression::Gzip,
            &"output is longer than deflate's bound",
        ));
    }
    let mut crc = Crc::new();
    crc.update(input);
    output.extend_from_slice(&crc.sum().to_le_bytes());
    output.extend_from_slice(&(input.len() as u32).to_le_bytes());
    Ok(())
}

/// xerial's stream header: magic, version 1, oldest version that can read it 1.
const XERIAL_HEADER: [u8; 16] = *b"\x82SNAPPY\0\0\0\0\x01\0\0\0\x01";
/// Block size of Kafka's `SnappyOutputStream`, bytes of input.
const XERIAL_BLOCK: usize = 32 * 1024;

fn snappy(
    encoder: &mut snap::raw::Encoder,
    input: &[u8],
    output: &mut Vec<u8>,
) -> Result<(), CompressionError> {
    output.extend_from_slice(&XERIAL_HEADER);
    for block in input.chunks(XERIAL_BLOCK) {
        let length_at = output.len();
        let start = length_at + 4;
        output.resize(start + snap::raw::max_compress_len(block.len()), 0);
        let length = encoder
            .compress(block, &mut output[start..])
            .map_err(|error| codec_error(Compression::Snappy, &error))?;
        output[length_at..start].copy_from_slice(&(length as u32).to_be_bytes());
        output.truncate(start + length);
    }
    Ok(())
}

fn expand_snappy(mut input: &[u8], expected: usize, output: &mut Vec<u8>) -> Result<(), CompressionError> {
    let wrong = || length_error(Compression::Snappy, expected);
    input = input.strip_prefix(&XERIAL_HEADER).ok_or_else(wrong)?;
    while !input.is_empty() {
        let (length, rest) = input.split_first_chunk::<4>().ok_or_else(wrong)?;
        let (block, rest) = rest
            .split_at_checked(u32::from_be_bytes(*length) as usize)
            .ok_or_else(wrong)?;
        let start = output.len();
        let claimed =
            snap::raw::decompress_len(block).map_err(|error| codec_error(Compression::Snappy, &error))?;
        if claimed > expected - start {
            return Err(wrong());
        }
        output.resize(start + claimed, 0);
        snap::raw::Decoder::new()
            .decompress(block, &mut output[start..])
            .map_err(|error| codec_error(Compression::Snappy, &error))?;
        input = rest;
    }
    Ok(())
}

fn lz4_encoder() -> FrameEncoder<Vec<u8>> {
    let info = FrameInfo::new()
        .block_size(BlockSize::Max64KB)
        .block_mode(BlockMode::Independent);
    FrameEncoder::with_frame_info(info, Vec::new())
}

fn lz4(
    encoder: &mut FrameEncoder<Vec<u8>>,
    input: &[u8],
    output: &mut Vec<u8>,
) -> Result<(), CompressionError> {
    if input.is_empty() {
        *encoder = lz4_encoder(); // an encoder used before opens no frame for nothing (lz4_flex 0.14)
    }
    // The encoder owns its writer: lend it the output, take it back whatever happened.
    std::mem::swap(encoder.get_mut(), output);
    let result = encoder
        .write_all(input)
        .and_then(|()| encoder.try_finish().map_err(std::io::Error::from));
    std::mem::swap(encoder.get_mut(), output);
    result.map_err(|error| codec_error(Compression::Lz4, &error))
}

fn zstd(
    compressor: &mut zstd::bulk::Compressor<'_>,
    input: &[u8],
    output: &mut Vec<u8>,
) -> Result<(), CompressionError> {
    let start = output.len();
    output.resize(start + zstd::zstd_safe::compress_bound(input.len()), 0);
    let result = compressor.compress_to_buffer(input, &mut output[start..]);
    output.truncate(start + result.as_ref().map_or(0, |length| *length));
    result
        .map(|_| ())
        .map_err(|error| codec_error(Compression::Zstd, &error))
}

fn codec_error(compression: Compression, reason: &dyn std::fmt::Display) -> CompressionError {
    CompressionError::Codec {
        codec: compression.name(),
        reason: reason.to_string(),
    }
}

fn length_error(compression: Compression, expected: usize) -> CompressionError {
    CompressionError::Length {
        codec: compression.name(),
        expected,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn every_codec() -> impl Iterator<Item = Compression> {
        Compression::NAMES.into_iter().map(|(_, codec)| codec)
    }

    #[test]
    fn frames_start_as_kafka_reads_them() {
        let bytes = vec![7; 40_000];
        let gzip = compress(Compression::Gzip, -1, &bytes).unwrap();
        assert_eq!(&gzip[..3], &[0x1f, 0x8b, 8]);
        let snappy = compress(Compression::Snappy, -1, &bytes).unwrap();
        assert_eq!(&snappy[..8], b"\x82SNAPPY\0");
        let first_block = u32::from_be_bytes(snappy[16..20].try_into().unwrap()) as usize;
        assert_eq!(
            snap::raw::decompress_len(&snappy[20..20 + first_block]).unwrap(),
            32 * 1024
        );
        let lz4 = compress(Compression::Lz4, -1, &bytes).unwrap();
        assert_eq!(&lz4[..4], &0x184d_2204_u32.to_le_bytes());
        // Version 01, independent blocks, nothing optional; blocks of 64 KiB: all that Kafka's reader takes.
        assert_eq!(&lz4[4..6], &[0b0110_0000, 0b0100_0000]);
        let zstd = compress(Compression::Zstd, 3, &bytes).unwrap();
        assert_eq!(&zstd[..4], &0xfd2f_b528_u32.to_le_bytes());
    }

    #[test]
    fn a_bomb_stops_at_the_length_that_was_promised() {
        let bytes = vec![0; 10 << 20];
        for codec in every_codec() {
            let small = compress(codec, -1, &bytes).unwrap();
            assert!(expand(codec, &small, 1000).is_err(), "{}", codec.name());
        }
    }

    #[test]
    fn nothing_at_all_is_a_frame_too_also_the_second_time() {
        for codec in every_codec() {
            let mut compressor = Compressor::new(codec, -1).unwrap();
            for input in [&b"something"[..], b"", b"", b"more"] {
                let mut output = Vec::new();
                compressor.compress(input, &mut output).unwrap();
                assert_eq!(
                    expand(codec, &output, input.len()).unwrap(),
                    input,
                    "{}",
                    codec.name()
                );
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn what_is_compressed_expands_again(
            noise in prop::collection::vec(any::<u8>(), 0..3000),
            repeat in 1..60_usize,
        ) {
            let input = noise.repeat(repeat);
            for codec in every_codec() {
                let mut compressor = Compressor::new(codec, if codec == Compression::Zstd { 3 } else { -1 }).unwrap();
                // Twice through the same tables: nothing of the first batch may leak into the second.
                for _ in 0..2 {
                    let mut output = b"in front".to_vec();
                    compressor.compress(&input, &mut output).unwrap();
                    prop_assert!(output.starts_with(b"in front"));
                    prop_assert_eq!(&expand(codec, &output[8..], input.len()).unwrap(), &input);
                }
            }
        }

        #[test]
        fn nonsense_is_an_error_and_no_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            for codec in every_codec().skip(1) {
                let _ = expand(codec, &bytes, 100);
                let mut framed = XERIAL_HEADER.to_vec();
                framed.extend_from_slice(&bytes);
                let _ = expand(codec, &framed, 100);
            }
        }
    }
}
