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

/// Fewest samples that can be coded: a block below 16 is no FLAC (RFC 9639, section 8.2), and a rate may be halved.
pub(super) const MIN_SAMPLES: usize = 32;

/// Highest rate that the encoder and browsers' sound cards take, in Hz; higher ones are halved.
const MAX_RATE_HZ: u32 = 96_000;
/// Taps of the half-band filter before a halving: 60 dB down at a ninth above the new band's edge.
const HALVING_TAPS: i64 = 63;

/// The rate at which a recording is coded, in Hz.
pub(super) fn coded_rate_hz(rate_hz: u32) -> u32 {
    if rate_hz > MAX_RATE_HZ { rate_hz / 2 } else { rate_hz }
}

/// Every second sample, low-pass filtered: a sinc at half of the band under a Hann window.
fn halved(channel: &[f32]) -> Vec<f32> {
    let reach = HALVING_TAPS / 2 + 1;
    let taps: Vec<f64> = (1 - reach..reach)
        .map(|k| {
            let x = std::f64::consts::FRAC_PI_2 * k as f64;
            let sinc = if k == 0 { 1.0 } else { x.sin() / x };
            0.5 * sinc * (0.5 + 0.5 * (std::f64::consts::PI * k as f64 / reach as f64).cos())
        })
        .collect();
    let at = |n: i64| usize::try_from(n).ok().and_then(|n| channel.get(n)).copied().unwrap_or(0.0);
    (0..channel.len().div_ceil(2) as i64)
        .map(|n| taps.iter().zip(1 - reach..).map(|(tap, k)| tap * f64::from(at(2 * n + k))).sum::<f64>() as f32)
        .collect()
}

/// Encodes a recording of at least [`MIN_SAMPLES`]; samples beyond full scale are clamped to it.
///
/// # Errors
/// [`Error::Invalid`] where the encoder refuses: no shape of [`Audio`] is known to make it.
pub(super) fn encode(audio: &Audio) -> Result<Vec<u8>, Error> {
    let refused =
        |cause: String| invalid(format!("the sound cannot be coded as FLAC: {cause}"), "link or leave it out");
    let scale = f64::from(1u32 << (BITS - 1));
    let rate_hz = coded_rate_hz(audio.sample_rate_hz());
    let halved: Option<Vec<Vec<f32>>> =
        (rate_hz < audio.sample_rate_hz()).then(|| audio.channels().iter().map(|channel| halved(channel)).collect());
    let channels = halved.as_deref().unwrap_or(audio.channels());
    let sample_len = channels.first().map_or(0, Vec::len);
    let mut samples = Vec::with_capacity(sample_len * channels.len());
    for n in 0..sample_len {
        let interleaved = channels.iter().map(|channel| (f64::from(channel[n]) * scale).round());
        samples.extend(interleaved.map(|x| x.clamp(-scale, scale - 1.0) as i32));
    }
    let config = Encoder::default().into_verified().map_err(|(_, error)| refused(error.to_string()))?;
    let block_size = config.block_size;
    let source = MemSource::from_samples(&samples, channels.len(), BITS as usize, rate_hz as usize);
    let mut stream = flacenc::encode_with_fixed_block_size(&config, source, block_size)
        .map_err(|error| refused(format!("{error:?}")))?;
    // The encoder counts the last, shorter block as the shortest; the format does not, and readers refuse it below 16.
    let block_size = block_size.min(sample_len.max(MIN_SAMPLES));
    stream.stream_info_mut().set_block_sizes(block_size, block_size).map_err(|error| refused(error.to_string()))?;
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
            (96_000, vec![steps(5_000)]),
            (11_025, vec![noise(MIN_SAMPLES, 2)]),
            (16_000, vec![noise(4_097, 2)]),
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
    fn rates_that_browsers_do_not_take_are_halved_and_the_audible_stays() {
        let sine = |hz: f64, rate_hz: f64, len: usize| -> Vec<f32> {
            (0..len).map(|n| (0.5 * (std::f64::consts::TAU * hz * n as f64 / rate_hz).sin()) as f32).collect()
        };
        let coded = |hz: f64| {
            let audio = Audio::new(192_000, vec![sine(hz, 192_000.0, 20_001)]).unwrap();
            read_bytes(encode(&audio).unwrap(), "page.flac".as_ref()).unwrap().audio
        };
        let heard = coded(5_000.0);
        assert_eq!((heard.sample_rate_hz(), heard.sample_len()), (96_000, 10_001));
        let expected = sine(5_000.0, 96_000.0, 10_001);
        let farthest = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        // Away from the ends, where the filter hangs over.
        assert!(farthest(&heard.channels()[0][50..9_950], &expected[50..9_950]) < 1e-3);
        // 70 kHz would fold to 26 kHz.
        assert!(farthest(&coded(70_000.0).channels()[0][50..9_950], &[0.0; 9_900]) < 1e-3);
    }

    #[test]
    fn what_is_beyond_full_scale_is_clamped_not_wrapped() {
        let audio = Audio::new(8_000, vec![[1.5, -1.5, 0.5, 0.0].repeat(8)]).unwrap();
        let back = read_bytes(encode(&audio).unwrap(), "page.flac".as_ref()).unwrap().audio;
        assert_eq!(back.channels()[0][..3], [32_767.0 / 32_768.0, -1.0, 0.5]);
    }
}
