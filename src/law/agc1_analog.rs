//! WebRTC's first gain control in its analog mode: a real microphone slider moved in steps, then the digital stage.
//!
//! Desktop browsers ran it where the sound card lets programs set the capture level. The slow controller is that of the
//! adaptive digital mode (see `agc1_slider`); what moves is the slider of the card, taken as linear in amplitude over 256
//! positions, one frame after it was asked for. Cards with a slider in dB, or that take longer, differ by that. The gain
//! here is relative to the slider's position at the start.
//!
//! Source: the WebRTC project, `modules/audio_processing/agc/legacy/analog_agc`.

use super::agc1::{COMPRESSION, Device, HABITS as DIGITAL_HABITS, LIMITER, Recording, TARGET, VOLUME, WIDE, value};
use super::agc1_slider::Microphone;
use super::{GainControl, Habit, Law, Listened, Parameter, Scale};
use std::sync::Arc;

/// Index of the slider's position among the parameters.
const START: usize = 5;

static PARAMETERS: [Parameter; 6] = [
    TARGET,
    COMPRESSION,
    LIMITER,
    VOLUME,
    WIDE,
    Parameter {
        name: "slider",
        unit: "",
        low: 12.0,
        high: 255.0,
        default: 127.0,
        scale: Scale::Integer,
        meaning: "position of the microphone slider at the start, of 255; the controller keeps it above 12",
    },
];

/// As in the digital modes; sliders start in the middle, at either quarter, or at their top.
const HABITS: [Habit; 6] = {
    let [target, compression, limiter, volume, wide] = DIGITAL_HABITS;
    [target, compression, limiter, volume, wide, Habit::any_of(&[127.0, 255.0, 191.0, 64.0], 40.0)]
};

/// The adaptive analog mode.
#[derive(Debug, Clone, Copy, Default)]
pub struct Agc1Analog;

impl Law for Agc1Analog {
    fn name(&self) -> &'static str {
        "agc1-analog"
    }

    fn summary(&self) -> &'static str {
        "WebRTC's first gain control in analog mode: a sound card's microphone slider moved in steps, then a gain table \
         (WebRTC project, audio_processing/agc/legacy)"
    }

    fn parameters(&self) -> &[Parameter] {
        &PARAMETERS
    }

    fn has_ceiling(&self) -> bool {
        true
    }

    fn habits(&self) -> &[Habit] {
        &HABITS
    }

    fn start(&self, values: &[f64], sample_rate_hz: f64) -> Box<dyn GainControl> {
        Box::new(Device::new(&PARAMETERS, values, sample_rate_hz, microphone(values)))
    }

    fn listen(&self, recorded: &[f32], sample_rate_hz: f64) -> Option<Arc<dyn Listened>> {
        Some(Arc::new(Recording::new(&PARAMETERS, microphone, recorded, sample_rate_hz)))
    }
}

fn microphone(values: &[f64]) -> Option<Microphone> {
    Some(Microphone::Real(value(&PARAMETERS, values, START) as i32))
}
