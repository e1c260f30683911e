//! Two recordings of one performance: a phone and a microphone.
//!
//! # Conventions
//! A recording's own time is `n / rate`, with its nominal rate. The phone's time `t` belongs to the microphone's time
//!
//! ```text
//! T(t) = offset + t / (1 + drift * 1e-6)
//! ```
//!
//! `offset` is where on the microphone's clock the phone began (negative: before the microphone), `drift` in parts per
//! million is positive where the phone's clock runs fast. The microphone's clock is the reference, not the truth: two
//! clocks tell their difference only.
//!
//! # Stages
//! [`onset_strength`] → [`coarse`] (where, to some ten milliseconds) → [`phat`] (delays in windows) → [`drift`] (a robust
//! line through the delays, in pieces where the phone lost sound) → [`mod@align`] → [`resample`] (the phone on the microphone's
//! clock) → [`level`] (what is left between them when the static response is taken away) → [`mod@validate`], [`mod@compare`].

pub mod onset_strength;
pub mod coarse;
pub mod phat;
pub mod drift;
pub mod resample;
pub mod align;
pub mod level;
pub mod validate;
pub mod compare;

pub use align::{AlignConfig, Alignment, Outcome, align};
pub use validate::{Validation, validate};
