//! How a request body is encoded on its way (RFC 9110 §8.4): as it is, or with gzip.

use flate2::Compression;
use flate2::write::GzEncoder;
use std::io::Write;

/// Shorter bodies are sent as they are: with its head such a request fits into one packet or two anyway, and an API has
/// more work with unpacking than with reading it.
const WORTH_IT: usize = 1024;

/// The body with gzip; `None` when it is better sent as it is.
// Never inlined: it has 64 KiB of its own on the stack, which every worker would hold for good.
#[inline(never)]
pub fn gzip(body: &[u8]) -> Option<Vec<u8>> {
    if body.len() < WORTH_IT {
        return None;
    }
    let mut encoder = GzEncoder::new(Vec::with_capacity(body.len() / 4), Compression::fast());
    // Memory takes all that is written, so that neither fails.
    encoder.write_all(body).ok()?;
    let packed = encoder.finish().ok()?;
    (packed.len() < body.len()).then_some(packed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    #[test]
    fn a_long_body_comes_out_as_it_went_in() {
        let body = br#"{"networkId":"net-0001","city":"Lisboa"}"#.repeat(100);
        let packed = gzip(&body).unwrap();
        assert!(packed.len() < body.len() / 10);
        let mut unpacked = Vec::new();
        flate2::read::GzDecoder::new(&packed[..])
            .read_to_end(&mut unpacked)
            .unwrap();
        assert_eq!(unpacked, body);
    }

    #[test]
    fn what_would_not_get_shorter_is_sent_as_it_is() {
        assert_eq!(gzip(&vec![b'x'; WORTH_IT - 1]), None);
        // All pairs of bytes in an order without repetition worth packing.
        let noise: Vec<u8> = (0..2048_u64)
            .map(|i| (i.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8)
            .scan(1_u64, |state, byte| {
                *state = (*state ^ u64::from(byte)).wrapping_mul(0x2545_f491_4f6c_dd1d);
                Some((*state >> 56) as u8)
            })
            .collect();
        assert_eq!(gzip(&noise), None);
    }
}
