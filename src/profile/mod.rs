//! Device profiles: the gain law of one device with its constants, learnt from pairs of phone and microphone, and used on
//! recordings that have no microphone beside them.
//!
//! [`mod@learn`] runs every law family backwards over the phone's own samples and asks how far the gain that comes out is from the
//! gain that the microphone shows ([`crate::pair::level`]); [`mod@file`] keeps what was found as versioned TOML; [`apply`] undoes it
//! on another recording, where only the recording's overall volume may still have to be found.

pub mod apply;
pub mod file;
pub mod learn;

pub use apply::{Volume, analyze_with};
pub use file::Profile;
pub use learn::{LearnConfig, Learnt, Take, learn};
