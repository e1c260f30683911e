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
//! → [`mod@restore`]
//!
//! Two things a recording cannot tell: a constant offset of `G` (an overall volume), and a straight line in `G` over
//! a whole passage (it looks like slower decay everywhere). See `docs/model.md`.

// In the order of the story: ground floor, sound to decays, gain laws, what a recording tells, what is done with it.
pub mod error;
pub mod units;
pub mod audio;
pub mod progress;
#[cfg(feature = "decode")]
pub mod decode;
pub mod stft;
pub mod peaks;
pub mod partials;
pub mod decay;
pub mod onsets;
pub mod law;
pub mod evidence;
pub mod fit;
pub mod analysis;
pub mod events;
pub mod analyze;
pub mod gain_csv;
pub mod restore;
#[cfg(feature = "pairs")]
pub mod pair;
#[cfg(feature = "pairs")]
pub mod profile;
#[cfg(feature = "dataset")]
pub mod dataset;
pub mod report;
pub mod encode;

pub use analysis::{Analysis, Verdict};
pub use analyze::{Config, analyze};
pub use audio::Audio;
pub use error::Error;
pub use restore::{Restored, restore};
