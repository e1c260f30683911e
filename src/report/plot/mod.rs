//! The picture: level before and after, the gain that was found, the decays that gave it away.
//!
//! Three panels share the time axis: the level, the device's gain, and the partials over the spectrogram. To their
//! right stand the numbers and the decay rates over pitch. Panels fill a `Scene`; `render` draws it through plotters
//! with a font that is part of the program. Work and memory are bounded by the picture's size, not by the recording's.

mod axes;
#[cfg(feature = "pairs")]
mod comparison;
mod evidence;
mod facts;
mod gain;
mod legend;
mod level;
#[cfg(feature = "pairs")]
mod pair;
mod palette;
mod pitch;
mod render;
mod scene;
pub(in crate::report) mod spectrogram;
mod tracks;

use super::story::GainSource;
use crate::analysis::Analysis;
use crate::audio::Audio;
use crate::error::Error;
use crate::restore::Restored;
#[cfg(feature = "page")]
pub(in crate::report) use render::indexed_png;
use scene::{Point, Scene};

/// Size of the picture in pixels.
const SIZE: (u32, u32) = (1600, 1200);
/// Least distance of two labels on a time axis, in pixels.
const TIME_TICKS_APART: f64 = 90.0;

/// File format of a picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Pixels, 8 bit RGB.
    Png,
    /// Vectors; the spectrogram in it is a PNG.
    Svg,
}

/// What a picture says that neither the recording nor its analysis knows.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Caption {
    /// Name of the recording; may be empty.
    pub name: String,
    /// Where the gain that was undone came from.
    pub gain_source: GainSource,
}

/// One stage of the analysis, drawn on its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Detail {
    /// The partials over the spectrogram, with their fitted decays.
    Partials,
    /// Decay over pitch, against what pianos do.
    Decays,
    /// The device's gain with its band and its events.
    Gain,
    /// What the verdict rests on: laws against each other, steps measured and predicted.
    Evidence,
    /// Levels before and after.
    Levels,
}

/// Size of a picture of one stage, in pixels.
const DETAIL_SIZE: (u32, u32) = (1600, 900);

/// Upper left and lower right corner of a panel's data.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Place {
    from: Point,
    to: Point,
}

/// Draws the picture of one recording, 1600 x 1200 pixels.
///
/// With `restored`, the level after is that of the restored samples; without it, and with the verdict `agc`, it is the
/// level before with the gain taken off. Works for every verdict, for silence, and for any length.
///
/// # Errors
/// [`Error::Invalid`] when the drawing library fails; no recording is known to make it.
pub fn picture(
    audio: &Audio,
    analysis: &Analysis,
    restored: Option<&Restored>,
    caption: &Caption,
    format: Format,
) -> Result<Vec<u8>, Error> {
    drawn(&compose(audio, analysis, restored, caption), format)
}

/// Draws one stage of the analysis, 1600 x 900 pixels. Everything that matters differs in lightness or shape: it reads the same
/// when printed in grey.
///
/// # Errors
/// As [`picture`].
pub fn detail(
    audio: &Audio,
    analysis: &Analysis,
    what: Detail,
    caption: &Caption,
    format: Format,
) -> Result<Vec<u8>, Error> {
    drawn(&compose_detail(audio, analysis, what, caption), format)
}

/// Draws the comparison of a phone's recording with a microphone's, 1600 x 1200 pixels.
///
/// # Errors
/// As [`picture`].
#[cfg(feature = "pairs")]
pub fn pair_picture(
    validation: &crate::pair::Validation,
    phone: &str,
    mic: &str,
    format: Format,
) -> Result<Vec<u8>, Error> {
    drawn(&pair::compose(SIZE, validation, phone, mic), format)
}

/// Draws devices side by side, 1600 x 1200 pixels.
///
/// # Errors
/// As [`picture`].
#[cfg(feature = "pairs")]
pub fn comparison_picture(
    devices: &[crate::pair::compare::DeviceReport],
    reference: &str,
    format: Format,
) -> Result<Vec<u8>, Error> {
    drawn(&comparison::compose(SIZE, devices, reference), format)
}

fn drawn(scene: &Scene, format: Format) -> Result<Vec<u8>, Error> {
    let bytes = match format {
        Format::Png => render::png(scene),
        Format::Svg => render::svg(scene).map(String::into_bytes),
    };
    bytes.map_err(|cause| Error::Invalid {
        what: "picture".to_owned(),
        cause,
        remedy: "leave it out and report this as a bug".to_owned(),
    })
}

/// Puts one panel in its place.
fn compose_detail(audio: &Audio, analysis: &Analysis, what: Detail, caption: &Caption) -> Scene {
    let mut scene = Scene::new(DETAIL_SIZE);
    facts::title(&mut scene, (24.0, 52.0), 1550.0, analysis, None, caption);
    let place = Place { from: (80.0, 150.0), to: (1570.0, 820.0) };
    match what {
        Detail::Partials => tracks::panel(&mut scene, place, audio, analysis),
        Detail::Decays => {
            pitch::panel(&mut scene, Place { from: (80.0, 150.0), to: (1570.0, 790.0) }, analysis);
        }
        Detail::Gain => gain::panel(&mut scene, place, audio.duration_s(), analysis),
        Detail::Evidence => evidence::panel(&mut scene, place, analysis),
        Detail::Levels => level::panel(&mut scene, place, audio, analysis, None),
    }
    if matches!(what, Detail::Gain | Detail::Levels) {
        axes::time_axis(&mut scene, (place.from.0, place.to.0), place.to.1, audio.duration_s());
    }
    scene
}

/// Puts the panels in their places.
fn compose(audio: &Audio, analysis: &Analysis, restored: Option<&Restored>, caption: &Caption) -> Scene {
    let place = |left: f64, top: f64, right: f64, bottom: f64| Place { from: (left, top), to: (right, bottom) };
    let (left, middle, right_left, right) = (80.0, 1130.0, 1205.0, 1570.0);
    let mut scene = Scene::new(SIZE);
    facts::title(&mut scene, (24.0, 52.0), 1550.0, analysis, restored, caption);
    level::panel(&mut scene, place(left, 150.0, middle, 385.0), audio, analysis, restored);
    gain::panel(&mut scene, place(left, 450.0, middle, 685.0), audio.duration_s(), analysis);
    tracks::panel(&mut scene, place(left, 750.0, middle, 1140.0), audio, analysis);
    facts::facts(&mut scene, place(right_left, 150.0, right, 685.0), analysis, caption);
    pitch::panel(&mut scene, place(right_left, 750.0, right, 1082.0), analysis);
    scene
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop where it fails")]
    use super::scene::{Anchor, Shape, Text};
    use super::*;
    use crate::analysis::Verdict;
    use crate::report::specimen;

    /// Left, top, right and bottom of a text's ink, from the metrics of the embedded font.
    fn bounds(text: &Text) -> (f64, f64, f64, f64) {
        let width = render::text_width(&text.text, text.size, text.weight);
        let left = match text.anchor {
            Anchor::Start => text.at.0,
            Anchor::Middle => text.at.0 - 0.5 * width,
            Anchor::End => text.at.0 - width,
        };
        (left, text.at.1 - 0.75 * text.size, left + width, text.at.1 + 0.2 * text.size)
    }

    const DETAILS: [Detail; 5] = [Detail::Partials, Detail::Decays, Detail::Gain, Detail::Evidence, Detail::Levels];

    fn assert_legible(scene: &Scene) {
        let size = (f64::from(scene.size.0), f64::from(scene.size.1));
        let texts: Vec<&Text> = scene
            .shapes
            .iter()
            .filter_map(|shape| match shape {
                Shape::Text(text) if !text.text.is_empty() => Some(text),
                _ => None,
            })
            .collect();
        for (i, text) in texts.iter().enumerate() {
            let (left, top, right, bottom) = bounds(text);
            let inside = left >= 0.0 && top >= 0.0 && right <= size.0 && bottom <= size.1;
            assert!(inside, "{:?} leaves the picture", text.text);
            for other in &texts[i + 1..] {
                let (l, t, r, b) = bounds(other);
                let apart = right + 3.0 <= l || r + 3.0 <= left || bottom <= t || b <= top;
                assert!(apart, "{:?} overlaps {:?}", text.text, other.text);
            }
        }
    }

    fn verdicts() -> [Verdict; 3] {
        let reason = "the notes are too short and too dense to tell a gain from their decay".to_owned();
        [Verdict::None, Verdict::Agc, Verdict::Undecided { reason }]
    }

    #[test]
    fn nothing_overlaps_whatever_the_verdict_and_length() {
        let caption = Caption {
            name: "a recording with rather a long name, take 3 (final).m4a".to_owned(),
            ..Caption::default()
        };
        for duration_s in [0.1, 12.0, 150.0] {
            let gain_db = |t: f64| if t < 0.5 * duration_s { 3.0 } else { -4.0 };
            let audio = specimen::audio(duration_s, gain_db);
            for verdict in verdicts() {
                let analysis = specimen::analysis(&audio, verdict, gain_db);
                assert_legible(&compose(&audio, &analysis, None, &caption));
                for what in DETAILS {
                    assert_legible(&compose_detail(&audio, &analysis, what, &caption));
                }
            }
        }
    }

    #[test]
    fn silence_one_sample_and_values_that_are_not_numbers_are_drawn_too() {
        for sample_len in [1, 800, 80_000] {
            let audio = Audio::new(8_000, vec![vec![0.0; sample_len]; 3]).unwrap();
            let mut analysis = specimen::analysis(&audio, Verdict::Agc, |_| f64::NAN);
            analysis.decays[0].frequency_hz = f64::NAN;
            analysis.decays[1].decay_db_per_s = f64::INFINITY;
            analysis.evidence.p_value = f64::NAN;
            analysis.evidence.j_with_gain = f64::NAN;
            analysis.events[0].start_s = f64::NAN;
            analysis.gain_curve.lower_db.clear();
            let scene = compose(&audio, &analysis, None, &Caption::default());
            assert_legible(&scene);
            render::png(&scene).unwrap();
            for what in DETAILS {
                let scene = compose_detail(&audio, &analysis, what, &Caption::default());
                assert_legible(&scene);
                render::png(&scene).unwrap();
            }
            analysis.decays.clear();
            analysis.gain_curve.gain_db.clear();
            assert_legible(&compose(&audio, &analysis, None, &Caption::default()));
        }
    }

    #[test]
    fn both_formats_hold_what_their_names_say() {
        let audio = specimen::audio(2.0, |_| 0.0);
        let analysis = specimen::analysis(&audio, Verdict::Agc, |t| -3.0 * t);
        let restored = Restored { audio: audio.clone(), overall_gain_db: -2.5, true_peak_dbtp: -1.0 };
        let caption = Caption { name: "<a> & \"b\".wav".to_owned(), ..Caption::default() };
        let draw = |format| picture(&audio, &analysis, Some(&restored), &caption, format).unwrap();
        let png = draw(Format::Png);
        assert_eq!(&png[..8], b"\x89PNG\r\n\x1a\n");
        assert_eq!(&png[16..24], &[0, 0, 6, 64, 0, 0, 4, 176]);
        let svg = String::from_utf8(draw(Format::Svg)).unwrap();
        assert!(svg.starts_with("<svg width=\"1600\" height=\"1200\"") && svg.trim_end().ends_with("</svg>"));
        assert!(svg.contains("&lt;a&gt; &amp;") && svg.contains("data:image/png;base64,iVBOR"));
    }
}
