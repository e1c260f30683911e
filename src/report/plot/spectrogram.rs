//! A coarse spectrogram for the eye: one transform per column of pixels, so that its cost does not grow with length.

use super::palette::cividis;
use super::scene::Image;
use crate::audio::Audio;
use realfft::RealFftPlanner;

/// Window length in seconds, rounded to the next power of two in samples: tells neighbouring keys apart from C4 up.
const WINDOW_S: f64 = 0.085;
/// Levels this far below the loudest are as dark as silence, in dB: the noise of a phone lies below it, and would fill
/// the picture with grain that tells nothing and costs half of the file.
const RANGE_DB: f64 = 60.0;
/// Levels are drawn in steps of this many dB, finer than the eye tells on a colour map: grain again.
const STEP_DB: f64 = 3.0;
/// The loudest level's place on the colour map: what is drawn on top needs the light end for itself.
const LOUDEST_SHARE: f64 = 0.62;

/// Draws the power over time and log frequency. Column `i` is the moment in the middle of its pixel; row 0 is `high_hz`.
///
/// Channels are added by power. Silence and very short recordings give a dark picture, not an error.
pub(in crate::report) fn image(
    audio: &Audio,
    at: (u32, u32),
    size: (u32, u32),
    (low_hz, high_hz): (f64, f64),
) -> Image {
    let (width, height) = (size.0 as usize, size.1 as usize);
    let rate_hz = f64::from(audio.sample_rate_hz());
    let window_samples = ((WINDOW_S * rate_hz) as usize).next_power_of_two();
    let bin_hz = rate_hz / window_samples as f64;
    let transform = RealFftPlanner::<f32>::new().plan_fft_forward(window_samples);
    let (mut buffer, mut spectrum) = (transform.make_input_vec(), transform.make_output_vec());
    let mut scratch = transform.make_scratch_vec();
    let window: Vec<f32> = (0..window_samples)
        .map(|n| (0.5 - 0.5 * (std::f64::consts::TAU * n as f64 / window_samples as f64).cos()) as f32)
        .collect();
    // Edges of the rows in bins, from the top; the last is one more than there are rows.
    let edges: Vec<f64> =
        (0..=height).map(|row| high_hz * (low_hz / high_hz).powf(row as f64 / height as f64) / bin_hz).collect();

    let mut power = vec![0f32; spectrum.len()];
    let mut levels_db = vec![f32::NEG_INFINITY; width * height];
    for column in 0..width {
        let centre = (column as f64 + 0.5) / width as f64 * audio.sample_len() as f64;
        let first = centre as i64 - window_samples as i64 / 2;
        power.fill(0.0);
        for channel in audio.channels() {
            for (n, (slot, weight)) in buffer.iter_mut().zip(&window).enumerate() {
                let sample = usize::try_from(first + n as i64).ok().and_then(|i| channel.get(i));
                *slot = weight * sample.copied().unwrap_or(0.0);
            }
            // The lengths agree by construction; a column that failed would stay dark.
            if transform.process_with_scratch(&mut buffer, &mut spectrum, &mut scratch).is_ok() {
                for (sum, bin) in power.iter_mut().zip(&spectrum) {
                    *sum += bin.norm_sqr();
                }
            }
        }
        for row in 0..height {
            levels_db[row * width + column] = 10.0 * between(&power, edges[row + 1], edges[row]).log10();
        }
    }

    let loudest_db = levels_db.iter().copied().filter(|l| l.is_finite()).fold(f32::NEG_INFINITY, f32::max);
    let rgb = levels_db
        .iter()
        .flat_map(|level_db| {
            let below_db = (f64::from(level_db - loudest_db) / STEP_DB).round() * STEP_DB;
            cividis(LOUDEST_SHARE * (1.0 + below_db / RANGE_DB))
        })
        .collect();
    Image { at, size, rgb }
}

/// Loudest power between two places of the spectrum, in bins; between the bins where the stretch holds none.
fn between(power: &[f32], low: f64, high: f64) -> f32 {
    let interpolated = |bin: f64| {
        let below = bin.floor().max(0.0) as usize;
        match (power.get(below), power.get(below + 1)) {
            (Some(a), Some(b)) => a + (b - a) * (bin - below as f64) as f32,
            _ => 0.0,
        }
    };
    let inside = (low.ceil().max(0.0) as usize..=high.floor().max(0.0) as usize).filter_map(|bin| power.get(bin));
    inside.copied().fold(interpolated(0.5 * (low + high)), f32::max)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop where it fails")]
    use super::*;

    #[test]
    fn a_sine_is_brightest_in_its_own_row() {
        let rate_hz = 48_000u32;
        let sine = |n: usize| (std::f64::consts::TAU * 440.0 * n as f64 / f64::from(rate_hz)).sin() as f32;
        let audio = Audio::new(rate_hz, vec![(0..rate_hz as usize).map(sine).collect()]).unwrap();
        let (width, height) = (20usize, 200usize);
        let image = image(&audio, (0, 0), (width as u32, height as u32), (50.0, 6000.0));
        let brightness = |row: usize| u32::from(image.rgb[(row * width + width / 2) * 3]);
        let brightest = (0..height).max_by_key(|row| brightness(*row)).unwrap() as f64;
        let expected = height as f64 * (6000f64 / 440.0).ln() / (6000f64 / 50.0).ln();
        // Five rows: half a bin of 11.7 Hz.
        assert!((brightest - expected).abs() < 5.0, "row {brightest}, expected {expected}");
    }

    #[test]
    fn silence_and_a_single_sample_are_dark_pictures() {
        for sample_len in [1, 4800] {
            let audio = Audio::new(48_000, vec![vec![0.0; sample_len]]).unwrap();
            let image = image(&audio, (0, 0), (10, 10), (50.0, 6000.0));
            assert!(image.rgb.chunks(3).all(|rgb| rgb == cividis(0.0)));
        }
    }
}
