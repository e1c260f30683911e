//! Undo a phone's automatic gain control (AGC) on piano recordings, by physics.
//!
//! Every partial of a struck string decays as `A(t) = A0 e^(-αt)`. A gain control multiplies all partials by one
//! gain `g(t)` and so breaks that law for all of them at once. In decibels, for partial `p`:
//!
//! ```text
//! m_p(t) = a_p - d_p t + c_p e^(-t/τ) + G(t) + noise        G = 20 log10 g
//! ```
//!
//! Decay is therefore a reference signal that every recording carries. The stages, from sound to restored sound:
//!
//! [`audio`] → [`stft`] → [`peaks`] → [`partials`] → [`decay`] → [`evidence`] → [`fit`] (over [`law`]) → [`events`]
//! → [`restore`]
//!
//! Two things a recording cannot tell: a constant offset of `G` (an overall volume), and a straight line in `G` over
//! a whole passage (it looks like slower decay everywhere). See `docs/model.md`.

pub mod fit;
pub mod analysis;
pub mod audio;
#[cfg(feature = "decode")]
pub mod decode;
pub mod encode;
pub mod error;
pub mod stft;
pub mod peaks;
pub mod partials;
pub mod decay;
pub mod onsets;
pub mod gain_csv;
pub mod law;
pub mod evidence;
pub mod progress;
pub mod report;
pub mod restore;
pub mod units;

pub use analysis::{Analysis, Verdict};
pub use audio::Audio;
pub use error::Error;
