//! What all these commands begin with: two files read and aligned, or a refusal.

use crate::cli::failure::Failure;
use crate::cli::stdio;
use agcfix::decode::{self, Decoded};
use agcfix::pair::align::{AlignConfig, Alignment, ChannelOrder, Outcome, Polarity, align};
use std::path::Path;

/// Two recordings and how they run together.
#[derive(Debug)]
pub struct Together {
    pub phone: Decoded,
    pub mic: Decoded,
    pub alignment: Alignment,
}

/// Reads and aligns; unrelated recordings are refused.
pub fn together(phone_path: &Path, mic_path: &Path) -> Result<Together, Failure> {
    let (phone, mic) = (read(phone_path)?, read(mic_path)?);
    match align(&phone.audio, &mic.audio, &AlignConfig::default())? {
        Outcome::Aligned(alignment) => Ok(Together { phone, mic, alignment }),
        Outcome::Unrelated { reason } => Err(Failure::Refused(format!(
            "{} and {}: these are not the same performance: {reason}; give two recordings made at the same time, with at \
             least 10 s in common",
            phone_path.display(),
            mic_path.display()
        ))),
    }
}

/// Reads a recording and tells what was damaged in it.
pub fn read(path: &Path) -> Result<Decoded, Failure> {
    let decoded = decode::read(path)?;
    for warning in &decoded.warnings {
        stdio::warn(&format!("{}: {warning}", path.display()));
    }
    Ok(decoded)
}

/// An alignment for people, one fact a line.
pub fn told(alignment: &Alignment) -> String {
    let a = alignment;
    let earlier = if a.offset_s < 0.0 { "before" } else { "after" };
    let clock = if a.drift_ppm >= 0.0 { "fast" } else { "slow" };
    let mut out = format!(
        "The phone began {:.6} s {earlier} the microphone (± {:.3} ms); its clock runs {:.2} ppm {clock} (± {:.2}).\n\
         How sure: {} of {} windows agree within 1 ms ({:.0} %); they scatter by {:.3} ms. In common: {:.1} s.\n",
        a.offset_s.abs(),
        1e3 * a.offset_error_s,
        a.drift_ppm.abs(),
        a.drift_error_ppm,
        a.agreeing_len,
        a.window_len,
        100.0 * a.confidence,
        1e3 * a.jitter_s,
        a.overlap_s,
    );
    if a.pieces.len() > 1 {
        for pair in a.pieces.windows(2) {
            let at = pair[1].from_s;
            let jump_s = pair[1].phone_time_s(at) - pair[0].phone_time_s(at);
            let what = if jump_s < 0.0 { "lost" } else { "repeated or inserted" };
            out.push_str(&format!("Near {at:.1} s the phone {what} {:.2} ms of sound.\n", 1e3 * jump_s.abs()));
        }
    }
    if a.polarity == Polarity::Inverted {
        out.push_str("Polarity: one of the two is inverted.\n");
    }
    if a.channels == ChannelOrder::Swapped {
        out.push_str("Channels: left and right are exchanged.\n");
    }
    out
}
