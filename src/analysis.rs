//! What an analysis found: verdict, law, gain curve with its band, events, and the evidence for all of it.

use crate::events;
use crate::law::LawFit;
use crate::sound::Sound;
use serde::Serialize;

/// Whether a gain control was at work.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "outcome", rename_all = "lowercase")]
pub enum Verdict {
    /// No gain control moved the level by more than can be told from the decays.
    None,
    /// A gain control was at work, and its gain is known to within the band.
    Agc,
    /// The music does not carry enough evidence to say.
    Undecided {
        /// Why, in one plain sentence.
        reason: String,
    },
}

/// The device's gain over time, offset free: its median over the recording is zero.
///
/// **Shape.** All four vectors' entry `i` belongs to time `start_s + i * hop_s`. **Units.** dB.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct GainCurve {
    /// Time of the first entry, in seconds from the first sample.
    pub start_s: f64,
    /// Time between entries, in seconds.
    pub hop_s: f64,
    /// The gain.
    pub gain_db: Vec<f64>,
    /// Lower edge of the 90 % confidence band.
    pub lower_db: Vec<f64>,
    /// Upper edge of the 90 % confidence band.
    pub upper_db: Vec<f64>,
}

/// Which way an event moved the gain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum EventKind {
    /// The gain fell.
    Attack,
    /// The gain rose.
    Release,
}

/// One place where the gain moved.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Event {
    /// Where it began, in seconds.
    pub start_s: f64,
    /// Where it ended, in seconds.
    pub end_s: f64,
    /// Fall or rise.
    pub kind: EventKind,
    /// Change of the gain from start to end, in dB; negative for an attack.
    pub change_db: f64,
    /// Half width of the 90 % band of that change, in dB.
    pub error_db: f64,
    /// Probability, 0 to 1, that the gain moved this way at all, from the resampled notes.
    pub confidence: f64,
    /// Partials that were already sounding and could vote on the change.
    pub partials_voted: usize,
    /// What they measured without any law, in dB, where at least one voted.
    pub measured_db: Option<f64>,
}

/// The numbers behind the verdict.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct EvidenceSummary {
    /// Decay misfit J without any gain (see `docs/model.md`); lower is better.
    pub j_without_gain: f64,
    /// Decay misfit J with the fitted gain removed.
    pub j_with_gain: f64,
    /// Chance that notes without a gain control would improve J this much, from resampled notes.
    pub p_value: f64,
    /// Measured onset steps per dB of step that the law predicts; 1 where the law is right, 0 where there is none.
    pub step_slope: Option<f64>,
    /// Standard error of `step_slope`.
    pub step_slope_error: Option<f64>,
    /// Decay segments that were weighed.
    pub segment_len: usize,
    /// Notes (groups of segments with a common onset) that were weighed.
    pub note_len: usize,
    /// Onsets whose step could be measured.
    pub onset_len: usize,
    /// Standard deviation of the fitted gain over the recording, in dB.
    pub gain_movement_db: f64,
}

/// What was tried in the search, per law family.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FamilyReport {
    /// Law's name.
    pub law: String,
    /// Lowest misfit J it reached.
    pub j: f64,
    /// Evaluations spent.
    pub evaluation_len: usize,
    /// How the local search ended.
    pub termination: String,
}

/// Decay of the partials in one octave.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct OctaveDecay {
    /// Centre frequency in Hz.
    pub centre_hz: f64,
    /// Median decay in dB/s.
    pub median_db_per_s: f64,
    /// Segments in the octave.
    pub segment_len: usize,
}

/// One decay that was fitted, for tables and pictures.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DecaySegment {
    /// Note (group of segments with a common onset) it belongs to.
    pub note_index: usize,
    /// First frame's time, in seconds.
    pub start_s: f64,
    /// Last frame's time, in seconds.
    pub end_s: f64,
    /// Median frequency, in Hz.
    pub frequency_hz: f64,
    /// Level at the start of the fitted line, in dBFS (a sine of full scale is 0).
    pub level_db: f64,
    /// Decay `d` in dB/s, with the device's gain removed.
    pub decay_db_per_s: f64,
    /// Its standard error, in dB/s.
    pub decay_error_db_per_s: f64,
    /// α in 1/s.
    pub alpha_per_s: f64,
    /// Time to fall by 60 dB, in seconds; absent where the decay is not positive.
    pub t60_s: Option<f64>,
    /// Second-stage amplitude `c`, in dB.
    pub second_stage_db: f64,
    /// Robust standard deviation of the residual, in dB.
    pub residual_db: f64,
}

/// Counts and medians over all partials.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PartialSummary {
    /// Partials followed over frames.
    pub track_len: usize,
    /// Decay segments in them.
    pub segment_len: usize,
    /// Points (partial x frame) in the segments.
    pub point_len: usize,
    /// Decay by octave.
    pub decay_by_octave: Vec<OctaveDecay>,
}

/// Something the user should know that did not stop the work.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Warning {
    /// The recording is too short for a trustworthy verdict.
    Short {
        /// Its length in seconds.
        duration_s: f64,
    },
    /// Samples sit at full scale: the device clipped, which no gain can undo.
    Clipped {
        /// How many.
        sample_len: usize,
    },
    /// The decoder met damage and went on.
    Damaged {
        /// What and where.
        what: String,
    },
}

impl std::fmt::Display for Warning {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Short { duration_s } => {
                write!(f, "only {duration_s:.1} s of sound: record at least 20 s for a sure verdict")
            }
            Self::Clipped { sample_len } => {
                write!(f, "{sample_len} samples are clipped: their peaks are lost; record with less gain")
            }
            Self::Damaged { what } => write!(f, "{what}; what could be decoded was used"),
        }
    }
}

/// What was analysed.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct InputSummary {
    /// Samples per second.
    pub sample_rate_hz: u32,
    /// Channels.
    pub channel_len: usize,
    /// Samples in each channel.
    pub sample_len: usize,
    /// Length in seconds.
    pub duration_s: f64,
}

impl InputSummary {
    /// What these samples are.
    #[must_use]
    pub fn of(sound: &dyn Sound) -> Self {
        Self {
            sample_rate_hz: sound.sample_rate_hz(),
            channel_len: sound.channel_len(),
            sample_len: sound.sample_len(),
            duration_s: sound.duration_s(),
        }
    }
}

/// Everything that one recording told.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Analysis {
    /// What was analysed.
    pub input: InputSummary,
    /// Whether a gain control was at work.
    pub verdict: Verdict,
    /// The numbers behind the verdict.
    pub evidence: EvidenceSummary,
    /// The best law, also where the verdict does not trust it; absent where no law improves on none.
    pub law: Option<LawFit>,
    /// Where the gain moved; empty unless the verdict is `agc`.
    pub events: Vec<Event>,
    /// The gain of `law`, in dB; flat zero where there is none.
    pub gain_curve: GainCurve,
    /// Counts and median decays.
    pub partials: PartialSummary,
    /// Every decay that was fitted.
    #[serde(skip)]
    pub decays: Vec<DecaySegment>,
    /// What each law family reached.
    pub families: Vec<FamilyReport>,
    /// What the user should know.
    pub warnings: Vec<Warning>,
}

impl Analysis {
    /// An analysis that knows only what it was told: the events are those of the gain that was told, numbers that nobody
    /// measured are not numbers, and there are no decays.
    ///
    /// **Units.** Gains in dB, times in seconds, as in [`GainCurve`].
    #[must_use]
    pub fn told(sound: &dyn Sound, verdict: Verdict, law: Option<LawFit>, gain_curve: GainCurve) -> Self {
        Self {
            input: InputSummary::of(sound),
            verdict,
            evidence: EvidenceSummary {
                j_without_gain: f64::NAN,
                j_with_gain: f64::NAN,
                p_value: f64::NAN,
                step_slope: None,
                step_slope_error: None,
                segment_len: 0,
                note_len: 0,
                onset_len: 0,
                gain_movement_db: f64::NAN,
            },
            law,
            events: events::find(&gain_curve, &[], &[], |_| 0.0),
            gain_curve,
            partials: PartialSummary { track_len: 0, segment_len: 0, point_len: 0, decay_by_octave: Vec::new() },
            decays: Vec::new(),
            families: Vec::new(),
            warnings: Vec::new(),
        }
    }
}
