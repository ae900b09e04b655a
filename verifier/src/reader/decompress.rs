//! Decompression with a cap: what a codec gives is never more than [`MAX_DECOMPRESSED_BYTES`], whatever it claims.
//! Pure.
//!
//! Snappy comes in two dresses: one raw block, and the blocks of Java's `SnappyOutputStream` (xerial: 8 bytes magic,
//! two versions, then each block behind its length). Both are in use, so both are read.

use std::io::{self, Read};

/// Longest decompressed batch. Kafka's clients limit batches before compression, by default to 16 KiB.
pub const MAX_DECOMPRESSED_BYTES: usize = 64 << 20;
/// Largest zstd window, as a power of two: what level 21 asks for.
const MAX_ZSTD_WINDOW_LOG: u32 = 26;
/// Magic of xerial's stream, then version and compatible version.
const XERIAL_MAGIC: [u8; 8] = [0x82, b'S', b'N', b'A', b'P', b'P', b'Y', 0];
const XERIAL_HEADER_BYTES: usize = 16;

/// Why a batch was not decompressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Failed {
    /// A codec that Kafka had not defined when this was written.
    UnknownCodec,
    /// More than the cap.
    TooLarge,
    /// Bytes that the codec does not understand.
    Malformed,
}

/// Replaces `into` by what `bytes` decompress to. `codec`: the lowest three bits of a batch's attributes, not 0.
pub(super) fn decompress(codec: u8, bytes: &[u8], into: &mut Vec<u8>) -> Result<(), Failed> {
    into.clear();
    match codec {
        1 => drain(flate2::read::MultiGzDecoder::new(bytes), into),
        2 => snappy(bytes, into),
        3 => drain(lz4_flex::frame::FrameDecoder::new(bytes), into),
        4 => {
            let mut decoder =
                zstd::stream::read::Decoder::with_buffer(bytes).map_err(|_| Failed::Malformed)?;
            decoder
                .window_log_max(MAX_ZSTD_WINDOW_LOG)
                .map_err(|_| Failed::Malformed)?;
            drain(decoder, into)
        }
        _ => Err(Failed::UnknownCodec),
    }
}

fn drain(decoder: impl Read, into: &mut Vec<u8>) -> Result<(), Failed> {
    let read: io::Result<usize> = decoder.take(MAX_DECOMPRESSED_BYTES as u64 + 1).read_to_end(into);
    read.map_err(|_| Failed::Malformed)?;
    if into.len() > MAX_DECOMPRESSED_BYTES {
        Err(Failed::TooLarge)
    } else {
        Ok(())
    }
}

fn snappy(bytes: &[u8], into: &mut Vec<u8>) -> Result<(), Failed> {
    if !bytes.starts_with(&XERIAL_MAGIC) {
        return snappy_block(bytes, into);
    }
    let mut rest = bytes.get(XERIAL_HEADER_BYTES..).ok_or(Failed::Malformed)?;
    while !rest.is_empty() {
        let (length, tail) = rest.split_first_chunk::<4>().ok_or(Failed::Malformed)?;
        let length = usize::try_from(i32::from_be_bytes(*length)).map_err(|_| Failed::Malformed)?;
        let (block, tail) = tail.split_at_checked(length).ok_or(Failed::Malformed)?;
        snappy_block(block, into)?;
        rest = tail;
    }
    Ok(())
}

fn snappy_block(block: &[u8], into: &mut Vec<u8>) -> Result<(), Failed> {
    let claimed = snap::raw::decompress_len(block).map_err(|_| Failed::Malformed)?;
    if claimed > MAX_DECOMPRESSED_BYTES - into.len() {
        return Err(Failed::TooLarge);
    }
    let from = into.len();
    into.resize(from + claimed, 0);
    let written = snap::raw::Decoder::new().decompress(block, &mut into[from..]);
    if written.is_ok_and(|count| count == claimed) {
        Ok(())
    } else {
        Err(Failed::Malformed)
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::io::Write;

    use super::*;
    use proptest::prelude::*;

    /// What each codec makes of these bytes; 5 stands for snappy in xerial's dress.
    pub(in crate::reader) fn compress(codec: u8, bytes: &[u8]) -> Vec<u8> {
        match codec {
            1 => {
                let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
                encoder.write_all(bytes).unwrap();
                encoder.finish().unwrap()
            }
            2 => snap::raw::Encoder::new().compress_vec(bytes).unwrap(),
            3 => {
                let mut encoder = lz4_flex::frame::FrameEncoder::new(Vec::new());
                encoder.write_all(bytes).unwrap();
                encoder.finish().unwrap()
            }
            4 => zstd::stream::encode_all(bytes, 3).unwrap(),
            5 => {
                let mut stream = [&XERIAL_MAGIC[..], &1_i32.to_be_bytes(), &1_i32.to_be_bytes()].concat();
                for block in bytes.chunks(32 << 10) {
                    let block = compress(2, block);
                    stream.extend_from_slice(&(block.len() as i32).to_be_bytes());
                    stream.extend_from_slice(&block);
                }
                stream
            }
            _ => unreachable!(),
        }
    }

    fn codec_bits(codec: u8) -> u8 {
        if codec == 5 { 2 } else { codec }
    }

    #[test]
    fn bombs_stop_at_the_cap() {
        let zeros = vec![0; MAX_DECOMPRESSED_BYTES + 1];
        for codec in 1..=5 {
            let bomb = compress(codec, &zeros);
            let mut into = Vec::new();
            assert_eq!(
                decompress(codec_bits(codec), &bomb, &mut into),
                Err(Failed::TooLarge),
                "codec {codec}"
            );
            assert!(
                into.capacity() <= 2 * MAX_DECOMPRESSED_BYTES + 2,
                "codec {codec}: {}",
                into.capacity()
            );
        }
    }

    #[test]
    fn what_just_fits_fits() {
        let zeros = vec![0; MAX_DECOMPRESSED_BYTES];
        for codec in 1..=5 {
            let mut into = Vec::new();
            assert_eq!(
                decompress(codec_bits(codec), &compress(codec, &zeros), &mut into),
                Ok(())
            );
            assert_eq!(into.len(), zeros.len());
        }
    }

    #[test]
    fn a_snappy_length_that_lies() {
        // The block says 2^32 - 1 bytes, then 60 MiB, and has nothing.
        let mut into = Vec::new();
        assert_eq!(
            decompress(2, &[0xff, 0xff, 0xff, 0xff, 0x0f], &mut into),
            Err(Failed::TooLarge)
        );
        assert_eq!(
            decompress(2, &[0x80, 0x80, 0x80, 0x1e], &mut into),
            Err(Failed::Malformed)
        );
        let lie = [&XERIAL_MAGIC[..], &[0; 8], &i32::MAX.to_be_bytes(), &[0; 4]].concat();
        assert_eq!(decompress(2, &lie, &mut into), Err(Failed::Malformed));
    }

    #[test]
    fn codecs_that_do_not_exist() {
        for codec in [0, 5, 6, 7] {
            assert_eq!(decompress(codec, b"", &mut Vec::new()), Err(Failed::UnknownCodec));
        }
    }

    proptest! {
        #[test]
        fn round_trip(bytes in proptest::collection::vec(0..4_u8, 0..5_000), codec in 1..=5_u8) {
            let mut into = vec![7];
            prop_assert_eq!(decompress(codec_bits(codec), &compress(codec, &bytes), &mut into), Ok(()));
            prop_assert_eq!(into, bytes);
        }

        #[test]
        fn noise_does_no_harm(
            mut bytes in proptest::collection::vec(any::<u8>(), 0..300),
            codec in 1..=5_u8,
            valid_start in any::<bool>(),
        ) {
            if valid_start {
                let good = compress(codec, &[1; 40]);
                let keep = good.len() / 2;
                bytes.splice(..0, good[..keep].iter().copied());
            }
            let _ = decompress(codec_bits(codec), &bytes, &mut Vec::new());
        }
    }
}
