//! Samples as 16-bit FLAC, for the page's players.

use super::invalid;
use crate::audio::Audio;
use crate::error::Error;
use flacenc::bitsink::ByteSink;
use flacenc::component::BitRepr;
use flacenc::config::Encoder;
use flacenc::error::Verify;
use flacenc::source::MemSource;

/// Bits of a sample: what a listener can hear, and what every browser plays.
const BITS: u32 = 16;

/// Encodes a recording; samples beyond full scale are clamped to it.
///
/// # Errors
/// [`Error::Invalid`] where the encoder refuses: no shape of [`Audio`] is known to make it.
pub(super) fn encode(audio: &Audio) -> Result<Vec<u8>, Error> {
    let refused =
        |cause: String| invalid(format!("the sound cannot be coded as FLAC: {cause}"), "link or leave it out");
    let scale = f64::from(1u32 << (BITS - 1));
    let channels = audio.channels();
    let mut samples = Vec::with_capacity(audio.sample_len() * channels.len());
    for n in 0..audio.sample_len() {
        let interleaved = channels.iter().map(|channel| (f64::from(channel[n]) * scale).round());
        samples.extend(interleaved.map(|x| x.clamp(-scale, scale - 1.0) as i32));
    }
    let config = Encoder::default().into_verified().map_err(|(_, error)| refused(error.to_string()))?;
    let block_size = config.block_size;
    let source = MemSource::from_samples(&samples, channels.len(), BITS as usize, audio.sample_rate_hz() as usize);
    let stream = flacenc::encode_with_fixed_block_size(&config, source, block_size)
        .map_err(|error| refused(format!("{error:?}")))?;
    let mut sink = ByteSink::new();
    stream.write(&mut sink).map_err(|error| refused(format!("{error:?}")))?;
    Ok(sink.into_inner())
}

#[cfg(all(test, feature = "decode"))]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop where it fails")]
    use super::*;
    use crate::decode::read_bytes;

    /// Noise from a fixed congruential sequence, between -1 and 1.
    fn noise(len: usize, seed: u64) -> Vec<f32> {
        let mut state = seed;
        let mut next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 40) as f32 / (1u64 << 23) as f32 - 1.0
        };
        (0..len).map(|_| next()).collect()
    }

    #[test]
    fn what_is_coded_comes_back_to_half_a_step_whatever_its_shape() {
        let tone = |len: usize| (0..len).map(|n| 0.3 * (n as f32 * 0.05).sin()).collect::<Vec<_>>();
        let steps = |len: usize| (0..len).map(|n| if n / 300 % 2 == 0 { -1.0 } else { 1.0 }).collect::<Vec<_>>();
        for (rate_hz, channels) in [
            (48_000, vec![tone(20_000)]),
            (44_100, vec![tone(9_000), noise(9_000, 1)]),
            (8_000, vec![vec![0.0; 5_000]]),
            (192_000, vec![steps(5_000)]),
            (11_025, vec![noise(1, 2)]),
            (22_050, vec![noise(33, 3)]),
            (96_000, (0..8).map(|seed| noise(4_097, seed)).collect()),
        ] {
            let audio = Audio::new(rate_hz, channels).unwrap();
            let back = read_bytes(encode(&audio).unwrap(), "page.flac".as_ref()).unwrap().audio;
            assert_eq!(back.sample_rate_hz(), rate_hz);
            assert_eq!(back.channels().len(), audio.channels().len());
            assert_eq!(back.sample_len(), audio.sample_len());
            let farthest = audio.channels().iter().flatten().zip(back.channels().iter().flatten());
            let farthest = farthest.map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            // Half a step; a whole one at +1, which 16 bits do not have.
            assert!(farthest <= 1.001 / 32_768.0, "{farthest} at {rate_hz} Hz");
        }
    }

    #[test]
    fn what_is_beyond_full_scale_is_clamped_not_wrapped() {
        let audio = Audio::new(8_000, vec![vec![1.5, -1.5, 0.5]]).unwrap();
        let back = read_bytes(encode(&audio).unwrap(), "page.flac".as_ref()).unwrap().audio;
        assert_eq!(back.channels()[0], [32_767.0 / 32_768.0, -1.0, 0.5]);
    }
}
